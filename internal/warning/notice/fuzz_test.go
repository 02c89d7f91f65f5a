package notice

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// FuzzSafetyGate checks files as they are uploaded: whatever is in one, it is refused with a reason or counted to the last row, and a
// row that is taken can be stored and found.
func FuzzSafetyGate(f *testing.F) {
	for _, s := range []string{
		`[{"alert_number":"A/1","product_name":"Lamp <3","barcode":"8715658002512","new_cell":{"x":[1.0]}},{"alert_number":" "},"text",5,null]`,
		`[{"alert_number":"A/1","product_name":"x","batch_number":"1;2, 3 / 4"},{"alert_number":"A/1","product_name":"y"}]`,
		`[`, `[]x`, `{}`, "[{\"alert_number\":\"\xff\"}]", `[{"alert_number":"\u0000","product_name":"\ud800"}]`,
	} {
		f.Add([]byte(s))
	}
	if rows, err := os.ReadFile("../../../../shared/data/warnings/safety-gate.json"); err == nil {
		f.Add(rows[:min(len(rows), 20_000)])
	} else if !errors.Is(err, fs.ErrNotExist) {
		f.Fatal(err)
	}
	eng, err := sqlite.Open(f.Context(), filepath.Join(f.TempDir(), "t.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := eng.Close(); err != nil {
			f.Error(err)
		}
	})
	s, err := Open(f.Context(), eng, func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) })
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// A dry run reads what an import reads and writes nothing, so that inputs do not meet one another.
		r, err := s.CheckSafetyGate(t.Context(), bytes.NewReader(data), nil)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Malformed && k != fault.TooLarge {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		if r.New+r.Changed+r.Unchanged+r.RejectedAll != r.Read || len(r.Rejected) != min(r.RejectedAll, maxRejected) {
			t.Errorf("rows are missing: %+v", r)
		}
		n, err := parseSafetyGate(data)
		if err != nil {
			return
		}
		if len(n.ID) > 512 || !utf8.ValidString(n.ID) || n.Title == "" || !utf8.Valid(n.Original) {
			t.Errorf("cannot be stored: %+v", n)
		}
	})
}

// FuzzSafetyGateRow reads single rows, which the fuzzer finds its way into sooner.
func FuzzSafetyGateRow(f *testing.F) {
	f.Add([]byte(`{"alert_number":"SR/01234/26","product_name":"Toy","barcode":"8715658002512 - 5902022534004","batch_number":"L1, L2"}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		n, err := parseSafetyGate(row)
		if err != nil {
			return
		}
		if len(n.ID) > 512 || !utf8.ValidString(n.ID) || n.Number == "" || n.Title == "" || !utf8.Valid(n.Original) {
			t.Errorf("cannot be stored: %+v", n)
		}
		if again, err := parseSafetyGate(n.Original); err != nil || !same(&n, &again) || again.ID != n.ID {
			t.Errorf("what is kept of it reads %+v, %v, not %+v", again, err, n)
		}
	})
}
