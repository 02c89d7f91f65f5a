package pdf

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/image/font/sfnt"
)

// Style is what text is drawn with.
type Style int

// The styles.
const (
	Plain Style = iota
	Mono        // every letter and digit is equally wide: for what people read off one by one
)

// perFont is how many glyphs a Type 3 font has: its codes are single bytes, of which 0 is not used.
const perFont = 255

// Faces are the fonts of a document and the glyphs that it used of them. It belongs to one document.
type Faces struct {
	latin, mono used
	chinese     used // without font: what viewers have for the name STSong-Light
	err         error
}

// NewFaces makes the faces of a document: Latin letters are drawn with fonts of the program, and all other characters with chinese. If that is nil,
// other characters are left to the viewer (ISO 32000-1, 9.7.5.2), which has to have a Chinese font.
func NewFaces(chinese *Font) *Faces {
	return &Faces{latin: used{name: "L", font: regular()}, mono: used{name: "M", font: mono()}, chinese: used{name: "C", font: chinese}}
}

// used is a font and what was used of it.
type used struct {
	name   string
	font   *Font
	buf    sfnt.Buffer
	codes  map[rune]int // index in glyphs
	glyphs []glyph
	shown  bool // without font: text was left to the viewer
}

type glyph struct {
	r       rune
	index   sfnt.GlyphIndex
	advance float64 // in ems
}

// take finds the glyph of a character; false: the font has none.
func (u *used) take(r rune) (int, bool, error) {
	if i, ok := u.codes[r]; ok {
		return i, true, nil
	}
	g, err := u.font.glyph(&u.buf, r)
	if err != nil || g == 0 {
		return 0, false, err
	}
	return u.add(r, g)
}

func (u *used) add(r rune, g sfnt.GlyphIndex) (int, bool, error) {
	advance, err := u.font.advance(&u.buf, g)
	if err != nil {
		return 0, false, err
	}
	if u.codes == nil {
		u.codes = map[rune]int{}
	}
	u.codes[r] = len(u.glyphs)
	u.glyphs = append(u.glyphs, glyph{r: r, index: g, advance: advance / (float64(u.font.em) / 64)})
	return u.codes[r], true, nil
}

// place is how one character is drawn: as glyph i of a face, or by the viewer if that has no font.
type place struct {
	face *used
	i    int
	wide float64 // in ems
	r    rune
}

// find says how a character is drawn. A font without a glyph for it shows its sign for that.
func (f *Faces) find(r rune, style Style) place {
	latin := &f.latin
	if style == Mono {
		latin = &f.mono
	}
	for _, face := range []*used{latin, &f.chinese} {
		if face.font == nil {
			face.shown = true
			return place{face: face, wide: 1, r: r}
		}
		i, ok, err := face.take(r)
		if err == nil && !ok && face == &f.chinese {
			i, ok, err = face.add(r, 0)
		}
		if err != nil && f.err == nil {
			f.err = fmt.Errorf("pdf: character %U: %w", r, err)
		}
		if ok {
			return place{face: face, i: i, wide: face.glyphs[i].advance, r: r}
		}
	}
	return place{}
}

// drawn says whether a character shows: those that steer the direction or the shape of text do not.
func drawn(r rune) bool {
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}

// Width measures text of a size in millimetres.
func (f *Faces) Width(style Style, size float64, text string) float64 {
	sum := 0.0
	for _, r := range text {
		if drawn(r) {
			sum += f.find(r, style).wide
		}
	}
	return sum * size
}

// Fit breaks text into lines no wider than width, at most so many; what does not fit is cut, with an ellipsis. Lines break between Chinese characters, and
// at spaces elsewhere if they can.
func (f *Faces) Fit(style Style, size, width float64, text string, lines int) []string {
	var out []string
	rest := []rune(strings.Join(strings.Fields(text), " "))
	for len(rest) > 0 {
		n := f.fitting(style, size, width, rest)
		if n == len(rest) {
			return append(out, string(rest))
		}
		if len(out) == lines-1 {
			for n > 0 && f.Width(style, size, string(rest[:n])+"…") > width {
				n--
			}
			return append(out, strings.TrimSpace(string(rest[:n]))+"…")
		}
		if at := lastSpace(rest[:n+1]); at > 0 && rest[n] < 0x2E80 && rest[n-1] < 0x2E80 {
			n = at
		}
		for n > 1 && strings.ContainsRune(notFirst, rest[n]) {
			n--
		}
		out = append(out, strings.TrimSpace(string(rest[:n])))
		rest = []rune(strings.TrimSpace(string(rest[n:])))
	}
	return out
}

// notFirst does not begin a line (GB/T 15834, 5.1.3).
const notFirst = "，。、；：？！）》」』】〉…,.;:?!)]}%"

// fitting is how many characters fit, at least one.
func (f *Faces) fitting(style Style, size, width float64, text []rune) int {
	sum := 0.0
	for i, r := range text {
		if drawn(r) {
			sum += f.find(r, style).wide * size
		}
		if sum > width {
			return max(i, 1)
		}
	}
	return len(text)
}

func lastSpace(text []rune) int {
	for i := len(text) - 1; i > 0; i-- {
		if text[i] == ' ' {
			return i
		}
	}
	return 0
}

// Text draws a line of text whose baseline begins at x, y.
func (c *Canvas) Text(style Style, size, x, y float64, text string) {
	c.b = append(c.b, "BT "...)
	c.b = appendNumbers(c.b, 1, 0, 0, -1, x, y)
	c.b = append(c.b, "Tm "...)
	var face *used // the font that is set: of the face, the one with this number
	var number int
	for _, r := range text {
		if !drawn(r) {
			continue
		}
		p := c.Faces.find(r, style)
		if p.face == nil { // the font failed, which Close says
			continue
		}
		if p.face != face || p.i/perFont != number {
			if face != nil {
				c.b = append(c.b, "> Tj "...)
			}
			face, number = p.face, p.i/perFont
			c.b = append(face.appendResource(c.b, number), ' ')
			c.b = appendNumbers(c.b, size)
			c.b = append(c.b, "Tf <"...)
		}
		c.b = p.appendCode(c.b)
	}
	if face != nil {
		c.b = append(c.b, "> Tj "...)
	}
	c.b = append(c.b, "ET\n"...)
}

// appendResource writes the name of one of the face's fonts, from 0 on, each of which has perFont of its glyphs.
func (u *used) appendResource(b []byte, number int) []byte {
	return strconv.AppendInt(append(append(b, '/'), u.name...), int64(number), 10)
}

func (p place) appendCode(b []byte) []byte {
	if p.face.font != nil {
		return fmt.Appendf(b, "%02X", p.i%perFont+1)
	}
	for _, u := range utf16.Encode([]rune{p.r}) {
		b = fmt.Appendf(b, "%04X", u)
	}
	return b
}
