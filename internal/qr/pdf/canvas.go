package pdf

import "strconv"

// perMM is points in a millimetre.
const perMM = 72 / 25.4

func points(mm float64) string { return string(appendNumber(nil, mm*perMM)) }

// Canvas is what is drawn on a page, in millimetres from the top left corner. Its zero value with Faces is empty.
type Canvas struct {
	Faces *Faces
	b     []byte
}

// Reset empties the canvas for the next page.
func (c *Canvas) Reset() { c.b = c.b[:0] }

// upright gives the operators in front of a page so many millimetres high, which make its units and its origin those of the canvas.
func upright(height float64) []byte {
	return append(appendNumbers(nil, perMM, 0, 0, -perMM, 0, height*perMM), "cm\n"...)
}

// Line draws a straight line of a width.
func (c *Canvas) Line(x1, y1, x2, y2, width float64) {
	c.b = appendNumbers(c.b, width)
	c.b = append(c.b, "w "...)
	c.b = appendNumbers(c.b, x1, y1)
	c.b = append(c.b, "m "...)
	c.b = appendNumbers(c.b, x2, y2)
	c.b = append(c.b, "l S\n"...)
}

// Scaled calls draw, in whose drawings a unit is so many millimetres and the origin is x, y, and fills what it drew.
func (c *Canvas) Scaled(x, y, unit float64, draw func(*Path)) {
	c.b = append(c.b, "q "...)
	c.b = appendNumbers(c.b, unit, 0, 0, unit, x, y)
	c.b = append(c.b, "cm\n"...)
	draw((*Path)(c))
	c.b = append(c.b, "f Q\n"...)
}

// Path draws on a grid; see Canvas.Scaled.
type Path Canvas

// Move begins an outline.
func (p *Path) Move(x, y int) { p.operator(x, y, 'm') }

// Line goes on with a straight line.
func (p *Path) Line(x, y int) { p.operator(x, y, 'l') }

// Close ends an outline.
func (p *Path) Close() { p.b = append(p.b, "h\n"...) }

func (p *Path) operator(x, y int, op byte) {
	p.b = strconv.AppendInt(p.b, int64(x), 10)
	p.b = append(p.b, ' ')
	p.b = strconv.AppendInt(p.b, int64(y), 10)
	p.b = append(p.b, ' ', op, '\n')
}

// appendNumbers writes numbers, each with a space after it.
func appendNumbers(b []byte, numbers ...float64) []byte {
	for _, n := range numbers {
		b = append(appendNumber(b, n), ' ')
	}
	return b
}

// appendNumber writes a number to a ten-thousandth, which is far below what a printer can place; PDF knows no exponents.
func appendNumber(b []byte, n float64) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, n, 'f', 4, 64)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	if string(b[start:]) == "-0" {
		return append(b[:start], '0')
	}
	return b
}
