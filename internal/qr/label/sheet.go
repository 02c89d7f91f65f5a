package label

import (
	"io"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/qr"
	"github.com/haisu-trace/haisu/internal/qr/pdf"
)

// Sheet is a PDF of sheets of labels: on each the symbol, as outlines, and as much of the text as there is room for.
type Sheet struct {
	out    *pdf.Writer
	g      Geometry
	faces  *pdf.Faces
	canvas pdf.Canvas
	onPage int
	symbol symbol
}

// NewSheet begins a document. chinese draws all that is not Latin; nil leaves it to the viewer. The geometry has been checked.
func NewSheet(out io.Writer, g Geometry, info pdf.Info, chinese *pdf.Font) *Sheet {
	faces := pdf.NewFaces(chinese)
	return &Sheet{out: pdf.NewWriter(out, info, faces), g: g, faces: faces, canvas: pdf.Canvas{Faces: faces}}
}

// Fits says whether the symbol of a link has modules that can be printed and read at the size that the geometry gives it. The code is label_symbol_small.
func (g Geometry) Fits(link string) error {
	var s symbol
	return s.encode(link, g.Symbol)
}

// symbol records the outlines of a symbol, whose scale is known only when it is complete.
type symbol struct {
	points []point
	side   int
}

type point struct {
	x, y int
	op   byte
}

func (s *symbol) Move(x, y int) { s.points = append(s.points, point{x, y, 'm'}) }
func (s *symbol) Line(x, y int) { s.points = append(s.points, point{x, y, 'l'}) }
func (s *symbol) Close()        { s.points = append(s.points, point{op: 'h'}) }

func (s *symbol) encode(link string, size float64) (err error) {
	s.points = s.points[:0]
	if s.side, err = qr.Draw(link, s); err != nil {
		return err
	}
	if least := float64(s.side) * minModule; size < least-tolerance {
		return fault.New(fault.Malformed, "label_symbol_small",
			"a symbol of this link needs %.1f mm for its %d modules, not %g", least, s.side, size)
	}
	return nil
}

func (s *symbol) draw(p *pdf.Path) {
	for _, at := range s.points {
		switch at.op {
		case 'm':
			p.Move(at.x, at.y)
		case 'l':
			p.Line(at.x, at.y)
		default:
			p.Close()
		}
	}
}

// Add draws the next label.
func (w *Sheet) Add(l Label) error {
	if w.onPage == w.g.PerPage() {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if err := w.symbol.encode(l.Link, w.g.Symbol); err != nil {
		return err
	}
	x, y := w.g.position(w.onPage)
	w.onPage++
	beside := w.g.LabelWidth >= w.g.Symbol+leastText+inset
	sx, sy := x, y+(w.g.LabelHeight-w.g.Symbol)/2
	if !beside {
		sx, sy = x+(w.g.LabelWidth-w.g.Symbol)/2, y
	}
	w.canvas.Scaled(sx, sy, w.g.Symbol/float64(w.symbol.side), w.symbol.draw)
	if beside {
		w.text(l, box{x + w.g.Symbol, y + inset, w.g.LabelWidth - w.g.Symbol - inset, w.g.LabelHeight - 2*inset})
	} else {
		w.text(l, box{x + inset, y + w.g.Symbol, w.g.LabelWidth - 2*inset, w.g.LabelHeight - w.g.Symbol - inset/2})
	}
	if w.g.CutMarks {
		w.cutMarks(x, y)
	}
	return nil
}

// Close writes the last page and the end of the document.
func (w *Sheet) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.out.Close()
}

func (w *Sheet) flush() error {
	err := w.out.Page(w.g.PageWidth, w.g.PageHeight, &w.canvas)
	w.canvas.Reset()
	w.onPage = 0
	return err
}

// cutMarks draws a small cross at each corner of a label.
func (w *Sheet) cutMarks(x, y float64) {
	const arm, hair = 1.5, 0.1
	for _, cx := range []float64{x, x + w.g.LabelWidth} {
		for _, cy := range []float64{y, y + w.g.LabelHeight} {
			w.canvas.Line(cx-arm, cy, cx+arm, cy, hair)
			w.canvas.Line(cx, cy-arm, cx, cy+arm, hair)
		}
	}
}
