// Package pdf writes PDF 1.7 (ISO 32000-1) as it goes: pages of vector drawings and text, in A4 or any other size.
//
// Nothing that was written is kept but the offset of each object, eight bytes, which the table at the end needs: a document of a hundred
// thousand labels takes the memory of one page. Libraries that are at hand hold the whole document.
//
// Text is drawn as outlines, as printing houses ask for it (转曲): each glyph that is used is described once in a Type 3 font, so that a document
// needs no font where it is printed, however the font that it was made with is built. A table back to Unicode lets it be searched.
package pdf

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
)

// Info describes a document. Two documents of the same information and pages are the same bytes.
type Info struct {
	Title   string
	Created time.Time
	ID      string // tells apart documents of one title
}

// Writer writes one document. After an error it does nothing, and gives that error again. It is not safe for concurrent use.
type Writer struct {
	out     io.Writer
	info    Info
	faces   *Faces
	offset  int64
	offsets []int64 // of the objects, from number 1 on; 0: reserved
	levels  []node  // of the tree of pages that are not written, leaves first
	line    []byte  // is used again and again, as are packed and packer
	packed  bytes.Buffer
	packer  *zlib.Writer
	err     error

	catalogue, resources, described int // numbers
}

// NewWriter begins a document whose text is drawn with the faces.
func NewWriter(out io.Writer, info Info, faces *Faces) *Writer {
	w := &Writer{out: out, info: info, faces: faces}
	packer, err := zlib.NewWriterLevel(&w.packed, zlib.BestSpeed)
	w.packer, w.err = packer, err
	w.print("%%PDF-1.7\n%%\xE2\xE3\xCF\xD3\n") // the second line tells tools that the file is binary
	w.catalogue, w.resources, w.described = w.reserve(), w.reserve(), w.reserve()
	return w
}

func (w *Writer) print(format string, args ...any) {
	w.line = fmt.Appendf(w.line[:0], format, args...)
	w.write(w.line)
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	var n int
	n, w.err = w.out.Write(b)
	w.offset += int64(n)
}

// reserve gives the number of an object that is written later.
func (w *Writer) reserve() int {
	w.offsets = append(w.offsets, 0)
	return len(w.offsets)
}

// object writes an object under its number.
func (w *Writer) object(number int, format string, args ...any) {
	w.begin(number)
	w.print(format, args...)
	w.print("\nendobj\n")
}

func (w *Writer) begin(number int) {
	w.offsets[number-1] = w.offset
	w.print("%d 0 obj\n", number)
}

// stream writes data, given in parts, as a compressed stream with a number of its own.
func (w *Writer) stream(parts ...[]byte) int {
	number := w.reserve()
	w.packed.Reset()
	w.packer.Reset(&w.packed)
	for _, data := range parts {
		if _, err := w.packer.Write(data); err != nil && w.err == nil {
			w.err = err
		}
	}
	if err := w.packer.Close(); err != nil && w.err == nil {
		w.err = err
	}
	w.begin(number)
	w.print("<< /Filter /FlateDecode /Length %d >>\nstream\n", w.packed.Len())
	w.write(w.packed.Bytes())
	w.print("\nendstream\nendobj\n")
	return number
}

// Page adds a page of width by height millimetres with what is drawn on the canvas.
func (w *Writer) Page(width, height float64, c *Canvas) error {
	content := w.stream(upright(height), c.b)
	page := w.reserve()
	parent := w.adopt(0, page, 1)
	w.object(page, "<< /Type /Page /Parent %d 0 R /MediaBox [0 0 %s %s] /Resources %d 0 R /Contents %d 0 R >>",
		parent, points(width), points(height), w.resources, content)
	return w.err
}

// Close ends the document; it does not close what it is written to. A document has at least one page.
func (w *Writer) Close() error {
	if len(w.levels) == 0 {
		return fmt.Errorf("pdf: a document without pages")
	}
	root := w.closeTree()
	w.faces.write(w)
	w.object(w.catalogue, "<< /Type /Catalog /Pages %d 0 R /Lang (zh-Hans) /ViewerPreferences << /PrintScaling /None /DisplayDocTitle true >> >>", root)
	w.object(w.described, "<< /Title %s /Producer (Haisu) /CreationDate (D:%s) >>",
		textString(w.info.Title), w.info.Created.UTC().Format("20060102150405Z"))
	w.table()
	return w.err
}

// table writes the cross-reference table (ISO 32000-1, 7.5.4) and the trailer.
func (w *Writer) table() {
	start := w.offset
	w.print("xref\n0 %d\n0000000000 65535 f \n", len(w.offsets)+1)
	for _, offset := range w.offsets {
		w.print("%010d 00000 n \n", offset)
	}
	sum := sha256.Sum256([]byte(w.info.Title + "\x00" + w.info.ID))
	id := hex.EncodeToString(sum[:16])
	w.print("trailer\n<< /Size %d /Root %d 0 R /Info %d 0 R /ID [<%s> <%s>] >>\nstartxref\n%d\n%%%%EOF\n",
		len(w.offsets)+1, w.catalogue, w.described, id, id, start)
}

// textString writes text outside of pages (ISO 32000-1, 7.9.2.2).
func textString(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteByte('>')
	return b.String()
}
