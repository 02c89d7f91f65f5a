// Package sheet reads and writes the tables that office programs make: CSV and XLSX. It knows nothing of what the tables mean, does no
// I/O but through the readers and writers that it is given, and makes no temporary files.
//
// Reading is in one pass and in bounded memory, whatever the file claims of itself: one row is in memory at a time, beside the shared
// strings of an XLSX file, which Limits bound. A compressed part is given up as soon as it unpacks to more than Limits allow; a declared
// size is never believed.
//
// A formula is never computed. In XLSX the value that the program stored beside it is read; without one the cell is marked. In CSV only
// ="0123", the way to keep zeros in front, is understood.
package sheet

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
)

// Kind is what a cell holds.
type Kind uint8

// The kinds. All cells of a CSV file are Empty, Text or Formula.
const (
	Empty   Kind = iota
	Text         // Text, without space around it
	Number       // a decimal, as the file has it: 45717, 6.90123E+12
	Date         // 2006-01-02, or 2006-01-02T15:04:05 when the day has a time
	Bool         // TRUE or FALSE
	Formula      // a formula without a stored value; Text is the formula in CSV, "" in XLSX
	Failed       // an error value such as #N/A
)

// Cell is one cell.
type Cell struct {
	Kind Kind
	Text string
}

// Row is one row that is not empty. Cells has no gaps; cells behind the last one that holds something may be missing.
type Row struct {
	Number int // as an office program counts, from 1
	Cells  []Cell
}

// Cell gives a cell by its column, from 0.
func (r *Row) Cell(column int) Cell {
	if column < 0 || column >= len(r.Cells) {
		return Cell{}
	}
	return r.Cells[column]
}

// Limits bound what is read. A field that is zero has its default.
type Limits struct {
	Rows        int   // the last row's number; 1,048,576, which is Excel's own limit
	Columns     int   // 256
	Cell        int   // bytes of one cell; 131,072: Excel's 32,767 characters, as UTF-8
	Row         int   // bytes of one row; 1 MiB
	Unpacked    int64 // bytes of one part of an XLSX file; 512 MiB
	Ratio       int64 // how many times a part may grow when it is unpacked, beyond its first MiB; 200
	Directory   int   // bytes of the list of an XLSX file's parts; 256 KiB, some 2,000 parts
	StringBytes int   // shared strings of an XLSX file together; 48 MiB
	Strings     int   // number of them; 2,000,000
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Rows:        cmp.Or(l.Rows, 1<<20),
		Columns:     cmp.Or(l.Columns, 256),
		Cell:        cmp.Or(l.Cell, 128<<10),
		Row:         cmp.Or(l.Row, 1<<20),
		Unpacked:    cmp.Or(l.Unpacked, 512<<20),
		Ratio:       cmp.Or(l.Ratio, 200),
		Directory:   cmp.Or(l.Directory, 256<<10),
		StringBytes: cmp.Or(l.StringBytes, 48<<20),
		Strings:     cmp.Or(l.Strings, 2_000_000),
	}
}

// Error says why a file cannot be read, or not beyond a row. Code is stable; Arg is what the code is about, if anything.
type Error struct {
	Code string
	Row  int // 0: the file as a whole
	Arg  string
	Err  error // the cause, for logs only
}

// The codes of Error.
const (
	CodeEmpty       = "file_empty"          // there is nothing in it
	CodeOldExcel    = "file_old_excel"      // .xls, or a workbook with a password
	CodeUnknown     = "file_unknown"        // neither CSV nor XLSX
	CodeEncoding    = "file_encoding"       // neither UTF-8 nor UTF-16 nor GB18030
	CodeQuotes      = "file_quotes"         // quotation marks that do not pair
	CodeRowTooLong  = "row_too_long"        // mostly a quotation mark that is never closed
	CodeCellTooLong = "cell_too_long"       // Arg is the column
	CodeColumns     = "too_many_columns"    // Arg is how many there may be
	CodeRows        = "too_many_rows"       // Arg is how many there may be
	CodePackage     = "file_package"        // the ZIP or its parts are broken; Arg is the part
	CodeBomb        = "file_unpacked_large" // Arg is the part
	CodeNoSheet     = "file_no_sheet"       // no visible worksheet
	CodeStrings     = "file_strings_large"  // too many different texts
)

func (e *Error) Error() string {
	s := e.Code
	if e.Row > 0 {
		s = fmt.Sprintf("row %d: %s", e.Row, s)
	}
	if e.Arg != "" {
		s += " (" + e.Arg + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Table is a table that is being read. It is for one goroutine.
type Table struct {
	Format   string // csv or xlsx
	Encoding string // of CSV: utf-8, utf-16 or gb18030
	Comma    rune   // of CSV
	Sheet    string // of XLSX: the name of the worksheet
	Date1904 bool   // of XLSX: day 0 is 1904-01-01

	rows  rows
	total int64
	err   error // the end of reading
}

// rows gives rows. next fills a row whose Cells are empty; it may give an empty row. io.EOF.
type rows interface {
	next(row *Row) error
	position() int64
	close() error
}

// Open begins to read the table of a file, whose format its content tells, whatever its name. Of a workbook it is the first visible
// worksheet. r is read until Close. *Error, or an error of r.
func Open(r io.ReaderAt, size int64, lim Limits) (*Table, error) {
	lim = lim.withDefaults()
	head := make([]byte, min(size, 512))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case size == 0:
		return nil, &Error{Code: CodeEmpty}
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return openXLSX(r, size, lim)
	case bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")):
		return nil, &Error{Code: CodeOldExcel}
	}
	return openCSV(r, size, lim)
}

// Next reads the next row that is not empty into row, whose memory is used again. io.EOF, *Error, or an error of the file's reader; none of
// them goes away.
func (t *Table) Next(row *Row) error {
	for {
		clear(row.Cells)
		row.Cells = row.Cells[:0]
		if t.err == nil {
			t.err = t.rows.next(row)
		}
		if t.err != nil {
			return t.err
		}
		for len(row.Cells) > 0 && row.Cells[len(row.Cells)-1].Kind == Empty {
			row.Cells = row.Cells[:len(row.Cells)-1]
		}
		if len(row.Cells) > 0 {
			return nil
		}
	}
}

// Progress is how much was read of how much; both are in units of the file's own.
func (t *Table) Progress() (done, total int64) { return min(t.rows.position(), t.total), t.total }

// Close ends reading. It does not close the file.
func (t *Table) Close() error { return t.rows.close() }

// ColumnName is the name of a column, from 0, as office programs have it: A, B, …, Z, AA.
func ColumnName(column int) string {
	var b []byte
	for n := column + 1; n > 0; n = (n - 1) / 26 {
		b = append([]byte{byte('A' + (n-1)%26)}, b...)
	}
	return string(b)
}
