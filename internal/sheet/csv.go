package sheet

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// csvRows reads RFC 4180 with the delimiter of the file: what separates the cells of its first line, or what "sep=;" there says. Beyond the
// RFC it reads what Excel reads: quotation marks within a cell that does not begin with one, as in 27" or ="0123", and lines that end with
// \r alone. encoding/csv does neither, keeps a cell that is never closed in memory to the end of the file, and does not count rows as office
// programs do, which number empty lines and take a cell of two lines for one row.
type csvRows struct {
	r      *bufio.Reader
	comma  byte
	file   *counted
	lim    Limits
	number int    // of the last row
	buf    []byte // the cell
	size   int    // bytes of the row so far
}

// counted counts what is read of the file itself, before it is decoded.
type counted struct {
	r io.ReaderAt
	n int64
}

func (c *counted) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.r.ReadAt(b, at)
	c.n = max(c.n, at+int64(n))
	return n, err
}

func openCSV(file io.ReaderAt, size int64, lim Limits) (*Table, error) {
	encoding, err := encodingOf(file, size)
	if err != nil {
		return nil, err
	}
	src := &counted{r: file}
	r := bufio.NewReaderSize(decoded(src, size, encoding), 64<<10)
	comma, said, err := delimiter(r)
	if err != nil {
		return nil, err
	}
	c := &csvRows{r: r, comma: comma, file: src, lim: lim}
	if said {
		if err := c.next(&Row{}); err != nil {
			return nil, err
		}
	}
	return &Table{Format: "csv", Encoding: encoding, Comma: rune(comma), rows: c, total: size}, nil
}

// delimiter looks at the first line that is not empty. said means that the line is there to name it.
func delimiter(b *bufio.Reader) (comma byte, said bool, err error) {
	head, err := b.Peek(b.Size())
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return 0, false, err
	}
	if rest, ok := strings.CutPrefix(string(head[:min(len(head), 7)]), "sep="); ok && len(rest) > 1 && strings.ContainsRune(",;\t|", rune(rest[0])) &&
		(rest[1] == '\n' || rest[1] == '\r') {
		return rest[0], true, nil
	}
	var counts [utf8.RuneSelf]int
	quoted, seen := false, false
scan:
	for _, c := range head {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case (c == '\n' || c == '\r') && seen:
			break scan
		case c == ',' || c == ';' || c == '\t' || c == '|':
			counts[c]++
			seen = true
		case c > ' ':
			seen = true
		}
	}
	comma = ','
	for _, c := range []byte(";\t|") {
		if counts[c] > counts[comma] {
			comma = c
		}
	}
	return comma, false, nil
}

func (c *csvRows) next(row *Row) error {
	c.number++
	if _, err := c.r.Peek(1); err != nil {
		return err
	}
	if c.number > c.lim.Rows {
		return &Error{Code: CodeRows, Row: c.number, Arg: strconv.Itoa(c.lim.Rows)}
	}
	row.Number, c.size = c.number, 0
	for column := 0; ; column++ {
		last, err := c.cell()
		if err != nil {
			return err
		}
		cell := csvCell(c.buf)
		switch {
		case len(cell.Text) > c.lim.Cell:
			return &Error{Code: CodeCellTooLong, Row: c.number, Arg: ColumnName(column)}
		case cell.Kind != Empty && column >= c.lim.Columns:
			return &Error{Code: CodeColumns, Row: c.number, Arg: strconv.Itoa(c.lim.Columns)}
		case column < c.lim.Columns:
			row.Cells = append(row.Cells, cell)
		}
		if last {
			return nil
		}
	}
}

// cell reads one cell into buf, and what ends it; last means that this is the end of the row.
func (c *csvRows) cell() (last bool, err error) {
	c.buf = c.buf[:0]
	b, err := c.r.ReadByte()
	if err == nil && b == '"' {
		if err = c.quoted(); err == nil {
			b, err = c.r.ReadByte()
			if err == nil && b != c.comma && b != '\n' && b != '\r' {
				return false, &Error{Code: CodeQuotes, Row: c.number}
			}
		}
	}
	for ; err == nil; b, err = c.r.ReadByte() {
		switch b {
		case c.comma:
			c.size++
			return false, c.fits()
		case '\n':
			return true, nil
		case '\r':
			return true, c.newline()
		}
		c.buf = append(c.buf, b)
		if err := c.grown(); err != nil {
			return false, err
		}
	}
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// quoted reads a cell behind its first quotation mark, up to and with its last.
func (c *csvRows) quoted() error {
	for {
		b, err := c.r.ReadByte()
		if err == nil && b == '"' {
			var more []byte
			if more, err = c.r.Peek(1); len(more) == 0 || more[0] != '"' {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return err
			}
			_, err = c.r.Discard(1)
		}
		switch {
		case errors.Is(err, io.EOF):
			return &Error{Code: CodeQuotes, Row: c.number}
		case err != nil:
			return err
		case b == '\r':
			if err := c.newline(); err != nil {
				return err
			}
			b = '\n'
		}
		c.buf = append(c.buf, b)
		if err := c.grown(); err != nil {
			return err
		}
	}
}

// newline takes the \n behind an \r, if there is one.
func (c *csvRows) newline() error {
	b, err := c.r.Peek(1)
	if len(b) == 1 && b[0] == '\n' {
		_, err = c.r.Discard(1)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (c *csvRows) grown() error {
	c.size++
	return c.fits()
}

func (c *csvRows) fits() error {
	if c.size > c.lim.Row {
		return &Error{Code: CodeRowTooLong, Row: c.number}
	}
	return nil
}

func (c *csvRows) position() int64 { return c.file.n }

func (*csvRows) close() error { return nil }

// csvCell reads what office programs do to a cell: ="0123" and '0123 keep the zeros of 0123.
func csvCell(field []byte) Cell {
	s := Trim(string(field))
	switch {
	case s == "":
		return Cell{}
	case s[0] == '=':
		if inner, ok := strings.CutPrefix(s, `="`); ok && len(inner) > 0 && strings.IndexByte(inner, '"') == len(inner)-1 {
			return textCell(inner[:len(inner)-1])
		}
		return Cell{Kind: Formula, Text: s}
	case s[0] == '\'' && len(s) > 1:
		s = s[1:]
	}
	return Cell{Kind: Text, Text: s}
}

// Trim takes off the white space at both ends, that which cannot be seen included: byte order marks, zero-width and ideographic spaces.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\uFEFF' || r >= '\u200B' && r <= '\u200D' || r == '\u2060'
	})
}
