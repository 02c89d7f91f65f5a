// Package label prints the codes of units: as sheets of labels in a PDF, as a ZIP of symbols, and as a list for a printing house.
//
// Labels are written one after another as they are given, and none is kept: any number of them takes the memory of one page.
package label

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// Label is what one label says.
type Label struct {
	Number int64  // position in the batch, from 1 on
	GTIN   string // 14 digits
	Lot    string
	Serial string
	Link   string // what the symbol holds: the Digital Link
	Name   string // of the product
}

// Writer takes labels. After an error nothing is to be added. Close completes what was written, and not what it is written to.
type Writer interface {
	Add(l Label) error
	Close() error
}

// readable is the text for people beside the symbol (GS1 General Specifications, 4.14): each value after its application identifier.
func (l Label) readable() []string {
	out := []string{"(01) " + l.GTIN}
	if l.Lot != "" {
		out = append(out, "(10) "+l.Lot)
	}
	return append(out, "(21) "+l.Serial)
}

// List is a CSV file (RFC 4180) in UTF-8 with a byte order mark, without which Excel takes it for another encoding.
type List struct {
	out    *csv.Writer
	begun  bool
	record []string
	to     io.Writer
}

// NewList begins a list.
func NewList(out io.Writer) *List {
	w := csv.NewWriter(out)
	w.UseCRLF = true
	return &List{out: w, to: out}
}

// columns of the list. A printing house's program reads them by name.
var columns = []string{"number", "gtin", "lot", "serial", "digital_link", "human_readable", "product"}

// Add adds a line.
func (w *List) Add(l Label) error {
	if err := w.begin(); err != nil {
		return err
	}
	w.record = append(w.record[:0], strconv.FormatInt(l.Number, 10), l.GTIN, cell(l.Lot), cell(l.Serial), l.Link,
		strings.ReplaceAll(strings.Join(l.readable(), ""), ") ", ")"), cell(l.Name))
	return w.out.Write(w.record)
}

func (w *List) begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	if _, err := io.WriteString(w.to, "\uFEFF"); err != nil {
		return err
	}
	return w.out.Write(columns)
}

// Close writes what is buffered.
func (w *List) Close() error {
	if err := w.begin(); err != nil {
		return err
	}
	w.out.Flush()
	return w.out.Error()
}

// cell keeps a spreadsheet from taking a text for a formula: an apostrophe is put before what begins like one. The link has the values as they are.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
