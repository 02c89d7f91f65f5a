package sheet_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/sheet"
)

// lot is a row of a file of lots: half of its cells are as Excel shares them, and every one differs from row to row.
func lot(i int) []string {
	return []string{"06901234567892", fmt.Sprintf("LOT%06d", i), "2025-03-01", "2027年3月1日", fmt.Sprint(1000 + i), fmt.Sprintf("460120251%09d", i), "海口港免税仓库，散装，需冷藏"}
}

func bigCSV(rows int) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for i := range rows {
		_ = w.Write(lot(i)) // a Buffer does not fail
	}
	w.Flush()
	return b.Bytes()
}

func bigXLSX(t testing.TB, rows int, shared bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if !shared {
		err := sheet.WriteXLSX(&b, sheet.Page{Name: "a", Rows: func(yield func([]string) bool) {
			for i := range rows {
				if !yield(lot(i)) {
					return
				}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var cells, sst strings.Builder
	for i := range rows {
		fmt.Fprintf(&cells, `<row r="%d" spans="1:7">`, i+1)
		for j, text := range lot(i) {
			fmt.Fprintf(&cells, `<c r="%s%d" s="1" t="s"><v>%d</v></c>`, sheet.ColumnName(j), i+1, i*7+j)
			fmt.Fprintf(&sst, "<si><t>%s</t></si>", text)
		}
		cells.WriteString("</row>")
	}
	return parts(t, map[string]string{
		"xl/worksheets/b.xml":  "<worksheet><sheetData>" + cells.String() + "</sheetData></worksheet>",
		"xl/sharedStrings.xml": "<sst>" + sst.String() + "</sst>",
	})
}

// drain reads a file and gives the rows and the most that the heap held beyond what it held before, looked at every 25,000 rows after a
// collection.
func drain(t testing.TB, file []byte) (rows int, peak uint64) {
	t.Helper()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	table, err := sheet.Open(bytes.NewReader(file), int64(len(file)), sheet.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var row sheet.Row
	for err = table.Next(&row); err == nil; err = table.Next(&row) {
		if rows++; rows%25_000 == 0 {
			if now := heap(); now > before {
				peak = max(peak, now-before)
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return rows, peak
}

// TestMemory reads 100,000 rows: nothing is kept of them but an XLSX file's shared strings.
func TestMemory(t *testing.T) { //nolint:paralleltest // it measures the heap
	if testing.Short() {
		t.Skip("memory under the race detector says nothing")
	}
	const rows = 100_000
	for name, c := range map[string]struct {
		file []byte
		most uint64
	}{
		"csv":            {bigCSV(rows), 1 << 20},
		"shared strings": {bigXLSX(t, rows, true), 32 << 20}, // 700,000 strings of 11 MB, 12 bytes each to find them
	} {
		n, peak := drain(t, c.file)
		t.Logf("%s: %d rows of %d bytes, %d KiB of heap", name, n, len(c.file), peak>>10)
		if n != rows || peak > c.most {
			t.Errorf("%s: %d rows, %d KiB of heap, at most %d", name, n, peak>>10, c.most>>10)
		}
	}
}

// BenchmarkRead reads 100,000 rows of 7 cells.
func BenchmarkRead(b *testing.B) {
	for name, file := range map[string][]byte{"csv": bigCSV(100_000), "xlsx": bigXLSX(b, 100_000, false), "xlsx-shared": bigXLSX(b, 100_000, true)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				table, err := sheet.Open(bytes.NewReader(file), int64(len(file)), sheet.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				var row sheet.Row
				for err = table.Next(&row); err == nil; err = table.Next(&row) {
					n++
				}
				if n != 100_000 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
