package sheet_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/sheet"
)

// small are limits that a fuzzer can reach.
var small = sheet.Limits{Rows: 500, Columns: 16, Cell: 400, Row: 2000, Unpacked: 64 << 10, Directory: 4 << 10, StringBytes: 4 << 10, Strings: 50}

// walk reads a file to its end and holds what comes to the limits.
func walk(t *testing.T, file []byte) ([]sheet.Row, error) {
	t.Helper()
	table, err := sheet.Open(bytes.NewReader(file), int64(len(file)), small)
	if err != nil {
		return nil, err
	}
	var out []sheet.Row
	last := 0
	var row sheet.Row
	for err = table.Next(&row); err == nil; err = table.Next(&row) {
		size := 0
		for _, c := range row.Cells {
			size += len(c.Text)
			if (c.Kind == sheet.Empty) != (c.Text == "") && c.Kind != sheet.Formula || len(c.Text) > small.Cell {
				t.Errorf("row %d: %+v", row.Number, c)
			}
		}
		if row.Number <= last || row.Number > small.Rows || len(row.Cells) == 0 || len(row.Cells) > small.Columns || size > small.Row*4 {
			t.Fatalf("after row %d: %+v", last, row)
		}
		last = row.Number
		out = append(out, sheet.Row{Number: row.Number, Cells: slices.Clone(row.Cells)})
	}
	if again := table.Next(&row); !errors.Is(again, err) {
		t.Errorf("%v, and then %v", err, again)
	}
	if done, total := table.Progress(); done > total {
		t.Errorf("%d of %d", done, total)
	}
	_ = table.Close() // what is wrong with the file was said
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return out, err
}

// FuzzCSV holds the reader to encoding/csv wherever that one reads a file and no rule of ours goes further.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a;b\r\n\"x\r\ny\";2", "sep=;\na;b\n", "\uFEFFa\tb\n=\"01\"\t'2\n", "a|b\r1|\"2\"\"3\"\r", "\xC9\xCC\xC6\xB7,b\n", "\xFF\xFEa\x00,\x00", "\"a\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if bytes.HasPrefix(file, []byte("PK\x03\x04")) {
			return
		}
		rows, err := walk(t, file)
		if err != nil || !utf8.Valid(file) || bytes.HasPrefix(file, []byte("\uFEFF")) || bytes.HasPrefix(file, []byte("sep=")) || bytes.ContainsAny(file, "\r;\t|='\x01") {
			return
		}
		r := csv.NewReader(bytes.NewReader(file))
		r.FieldsPerRecord = -1
		all, err := r.ReadAll()
		if err != nil {
			return
		}
		var want, got []string
		for _, record := range all {
			for i := range record {
				record[i] = sheet.Trim(record[i])
			}
			if s := strings.TrimRight(strings.Join(record, "\x01"), "\x01"); s != "" {
				want = append(want, s)
			}
		}
		for _, row := range rows {
			var cells []string
			for _, c := range row.Cells {
				cells = append(cells, c.Text)
			}
			got = append(got, strings.Join(cells, "\x01"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, encoding/csv reads %q", got, want)
		}
	})
}

// FuzzXLSX reads whole files.
func FuzzXLSX(f *testing.F) {
	f.Add(book(f, `<row><c t="s"><v>0</v></c><c s="1"><v>45717</v></c></row>`))
	f.Add(parts(f, map[string]string{"xl/worksheets/b.xml": "<a/>"}))
	var b bytes.Buffer
	if err := sheet.WriteXLSX(&b, sheet.Page{Name: "a", Header: true, Widths: []int{3}, Rows: rowsOf([]string{"x", "y"})}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		_, _ = walk(t, file) // an error is an answer; the limits are held in walk
	})
}

// FuzzWorksheet reads what is within a file: the parts as XML, which a fuzzer of whole files hardly reaches behind the checksums of ZIP.
func FuzzWorksheet(f *testing.F) {
	f.Add(`<worksheet><sheetData><row r="2"><c r="A2" t="s"><v>0</v></c><c t="inlineStr"><is><r><t>a</t></r></is></c></row></sheetData></worksheet>`,
		`<sst><si><t>甲</t></si><si><r><t>乙</t></r><rPh><t>yi</t></rPh></si></sst>`, `<styleSheet><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>`)
	f.Add(`<worksheet><sheetData><row><c s="0"><f>A1</f><v>45717.5</v></c><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c></row></sheetData>`, `<sst/>`, `<a/>`)
	f.Fuzz(func(t *testing.T, worksheet, sst, styles string) {
		_, _ = walk(t, parts(t, map[string]string{"xl/worksheets/b.xml": worksheet, "xl/sharedStrings.xml": sst, "xl/styles.xml": styles}))
	})
}
