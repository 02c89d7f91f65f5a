package pdf

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Font is a TrueType or OpenType font whose outlines are drawn. It is safe for concurrent use.
type Font struct {
	sfnt *sfnt.Font
	em   fixed.Int26_6 // units in an em
}

// ReadFont reads a font file or a collection of fonts, of which it takes the one for simplified Chinese, else the first. The file is read from as glyphs
// are needed, and must stay open.
func ReadFont(file io.ReaderAt) (*Font, error) {
	all, err := sfnt.ParseCollectionReaderAt(file)
	if err != nil {
		return nil, fmt.Errorf("read font: %w", err)
	}
	var first *Font
	for i := range all.NumFonts() {
		one, err := all.Font(i)
		if err != nil {
			return nil, fmt.Errorf("read font %d of the collection: %w", i, err)
		}
		f := newFont(one)
		if first == nil {
			first = f
		}
		if name, err := one.Name(nil, sfnt.NameIDFull); err == nil && strings.Contains(name+" ", " SC ") {
			return f, nil
		}
	}
	return first, nil
}

func newFont(f *sfnt.Font) *Font { return &Font{sfnt: f, em: fixed.I(int(f.UnitsPerEm()))} }

// built reads a font that is part of the program.
func built(data []byte) func() *Font {
	return sync.OnceValue(func() *Font {
		f, err := sfnt.Parse(data)
		if err != nil {
			panic(fmt.Sprintf("pdf: a built-in font: %v", err)) // the data is a constant, which a test reads
		}
		return newFont(f)
	})
}

// The fonts for Latin letters and digits that are part of the program, whose zero and one differ from O and l.
var (
	regular = built(goregular.TTF)
	mono    = built(gomono.TTF)
)

// glyph finds the glyph of a character; 0: there is none.
func (f *Font) glyph(buf *sfnt.Buffer, r rune) (sfnt.GlyphIndex, error) {
	return f.sfnt.GlyphIndex(buf, r)
}

// advance gives the width of a glyph in units of the font.
func (f *Font) advance(buf *sfnt.Buffer, g sfnt.GlyphIndex) (float64, error) {
	a, err := f.sfnt.GlyphAdvance(buf, g, f.em, font.HintingNone)
	return float64(a) / 64, err
}

// outline draws a glyph as the content of a Type 3 glyph (ISO 32000-1, 9.6.5), in units of the font.
func (f *Font) outline(buf *sfnt.Buffer, g sfnt.GlyphIndex, advance float64) ([]byte, error) {
	segments, err := f.sfnt.LoadGlyph(buf, g, f.em, nil)
	if err != nil {
		return nil, err
	}
	p := glyphPath{}
	for _, s := range segments {
		p.segment(s)
	}
	if p.open {
		p.b = append(p.b, "h\n"...)
	}
	out := appendNumbers(nil, advance, 0, p.left, p.bottom, p.right, p.top)
	out = append(out, "d1\n"...)
	return append(append(out, p.b...), 'f'), nil
}

// glyphPath writes the outline of a glyph and measures it.
type glyphPath struct {
	b                        []byte
	open                     bool
	at                       [2]float64
	left, bottom, right, top float64
}

// point turns a point of sfnt, whose y grows downwards, into units of the font.
func (p *glyphPath) point(v fixed.Point26_6) [2]float64 {
	q := [2]float64{float64(v.X) / 64, -float64(v.Y) / 64}
	p.left, p.right = min(p.left, q[0]), max(p.right, q[0])
	p.bottom, p.top = min(p.bottom, q[1]), max(p.top, q[1])
	return q
}

func (p *glyphPath) segment(s sfnt.Segment) {
	switch s.Op {
	case sfnt.SegmentOpMoveTo:
		if p.open {
			p.b = append(p.b, "h\n"...)
		}
		p.open = true
		p.to('m', p.point(s.Args[0]))
	case sfnt.SegmentOpLineTo:
		p.to('l', p.point(s.Args[0]))
	case sfnt.SegmentOpQuadTo: // as a cubic curve, PDF's only one
		q, end := p.point(s.Args[0]), p.point(s.Args[1])
		p.to('c', towards(p.at, q), towards(end, q), end)
	case sfnt.SegmentOpCubeTo:
		p.to('c', p.point(s.Args[0]), p.point(s.Args[1]), p.point(s.Args[2]))
	}
}

// towards is two thirds of the way from a to b.
func towards(a, b [2]float64) [2]float64 {
	return [2]float64{a[0] + (b[0]-a[0])*2/3, a[1] + (b[1]-a[1])*2/3}
}

func (p *glyphPath) to(op byte, through ...[2]float64) {
	for _, q := range through {
		p.b = appendNumbers(p.b, q[0], q[1])
		p.at = q
	}
	p.b = append(p.b, op, '\n')
}
