package pdf

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// write writes the fonts and the dictionary that names them.
func (f *Faces) write(w *Writer) {
	if f.err != nil && w.err == nil {
		w.err = f.err
	}
	var fonts []byte
	for _, u := range []*used{&f.latin, &f.mono, &f.chinese} {
		if u.shown {
			fonts = fmt.Appendf(u.appendResource(append(fonts, ' '), 0), " %d 0 R", writeViewers(w))
		}
		for from := 0; from < len(u.glyphs); from += perFont {
			fonts = fmt.Appendf(u.appendResource(append(fonts, ' '), from/perFont), " %d 0 R", u.write(w, u.glyphs[from:min(from+perFont, len(u.glyphs))]))
		}
	}
	w.object(w.resources, "<< /Font <<%s >> >>", fonts)
}

// write writes some glyphs as a Type 3 font (ISO 32000-1, 9.6.5), and gives its number.
func (u *used) write(w *Writer, glyphs []glyph) int {
	em := float64(u.font.em) / 64
	var procs, names, widths strings.Builder
	for i, g := range glyphs {
		data, err := u.font.outline(&u.buf, g.index, g.advance*em)
		if err != nil && w.err == nil {
			w.err = fmt.Errorf("pdf: the outline of %U: %w", g.r, err)
		}
		fmt.Fprintf(&procs, " /g%d %d 0 R", i+1, w.stream(data))
		fmt.Fprintf(&names, " /g%d", i+1)
		fmt.Fprintf(&widths, " %s", appendNumber(nil, g.advance*em))
	}
	unicodes := w.stream(toUnicode(glyphs))
	number := w.reserve()
	unit := appendUnit(nil, em)
	w.object(number, "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 0 0] /FontMatrix [%s 0 0 %s 0 0] /CharProcs <<%s >>"+
		" /Encoding << /Type /Encoding /Differences [1%s ] >> /FirstChar 1 /LastChar %d /Widths [%s ] /Resources << >> /ToUnicode %d 0 R >>",
		unit, unit, procs.String(), names.String(), len(glyphs), widths.String(), unicodes)
	return number
}

// appendUnit writes a unit of the font in ems.
func appendUnit(b []byte, em float64) []byte { return fmt.Appendf(b, "%.10f", 1/em) }

// toUnicode maps the codes of some glyphs to their characters (ISO 32000-1, 9.10.3).
func toUnicode(glyphs []glyph) []byte {
	b := []byte("/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n" +
		"/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n" +
		"1 begincodespacerange <00> <FF> endcodespacerange\n")
	for from := 0; from < len(glyphs); from += 100 { // a list of the language may have 100
		part := glyphs[from:min(from+100, len(glyphs))]
		b = fmt.Appendf(b, "%d beginbfchar\n", len(part))
		for i, g := range part {
			b = fmt.Appendf(b, "<%02X> <", from+i+1)
			for _, u := range utf16.Encode([]rune{g.r}) {
				b = fmt.Appendf(b, "%04X", u)
			}
			b = append(b, ">\n"...)
		}
		b = append(b, "endbfchar\n"...)
	}
	return append(b, "endcmap CMapName currentdict /CMap defineresource pop end end\n"...)
}

// writeViewers writes the font that is not part of the document: its name and its character collection tell the viewer what to use.
func writeViewers(w *Writer) int {
	described, descendant, number := w.reserve(), w.reserve(), w.reserve()
	w.object(described, "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0"+
		" /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>")
	w.object(descendant, "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /DW 1000 /FontDescriptor %d 0 R"+
		" /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> >>", described)
	w.object(number, "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light-UniGB-UTF16-H /Encoding /UniGB-UTF16-H /DescendantFonts [%d 0 R] >>",
		descendant)
	return number
}
