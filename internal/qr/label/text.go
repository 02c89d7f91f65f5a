package label

import (
	"fmt"

	"github.com/haisu-trace/haisu/internal/qr/pdf"
)

// Sizes of the text, in millimetres; 2.6 mm are 7.4 points.
const (
	nameSize  = 2.6
	codeSize  = 2.1
	smallSize = 1.9
	leading   = 1.25 // from baseline to baseline, of the size
	leastText = 14.0 // the width that text beside the symbol needs
)

// prompt tells what to do with the symbol.
const prompt = "扫码查追溯 Scan to trace"

type box struct{ x, y, width, height float64 }

// block is a part of the text. Where there is no room for all, that with the least weight is left out first.
type block struct {
	style  pdf.Style
	size   float64
	text   string
	lines  int // at most
	weight int
}

// text draws the blocks that there is room for, one below the other.
func (w *Sheet) text(l Label, b box) {
	blocks := []block{{pdf.Plain, nameSize, l.Name, 2, 3}}
	for i, line := range l.readable() {
		blocks = append(blocks, block{pdf.Mono, codeSize, line, 3, 2})
		if i == 0 {
			blocks[len(blocks)-1].weight = 1 // the GTIN is in the shop's own code, too
		}
	}
	blocks[len(blocks)-1].weight = 4
	blocks = append(blocks, block{pdf.Plain, smallSize, fmt.Sprintf("%s №%d", prompt, l.Number), 2, 0})
	lines := make([][]string, len(blocks))
	height := 0.0
	for i, k := range blocks {
		lines[i] = w.faces.Fit(k.style, k.size, b.width, k.text, k.lines)
		height += k.size * leading * float64(len(lines[i]))
	}
	for weight := 0; height > b.height && weight <= 4; weight++ {
		for i, k := range blocks {
			if k.weight == weight {
				height -= k.size * leading * float64(len(lines[i]))
				lines[i] = nil
			}
		}
	}
	y := b.y + (b.height-height)/2
	for i, k := range blocks {
		for _, line := range lines[i] {
			y += k.size * leading
			w.canvas.Text(k.style, k.size, b.x, y-k.size*(leading-1), line)
		}
	}
}
