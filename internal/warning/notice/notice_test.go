package notice

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

func setup(t *testing.T) *Service {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	s, err := Open(t.Context(), eng, func() time.Time {
		at = at.Add(time.Second)
		return at
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// realData opens a file of the shared data, which lies beside the module's root.
func realData(t *testing.T, name string) *os.File {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	f, err := os.Open(filepath.Join(dir, "..", "shared", "data", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the shared data are absent: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestRealSafetyGate(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	want := ImportReport{Read: 179, New: 179, GTINs: 55, BadBarcodes: 5}

	dry, err := s.CheckSafetyGate(ctx, realData(t, "warnings/safety-gate.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantDry := want
	wantDry.DryRun = true
	if !reflect.DeepEqual(dry, wantDry) {
		t.Fatalf("dry run %+v, want %+v", dry, wantDry)
	}
	if list, _, err := s.List(ctx, SafetyGate, "", 10); err != nil || len(list) != 0 {
		t.Fatalf("the dry run wrote %d notices, %v", len(list), err)
	}

	done, total := 0, 0
	got, err := s.ImportSafetyGate(ctx, iotest.HalfReader(realData(t, "warnings/safety-gate.json")), func(d, n int) { done, total = d, n })
	if err != nil || !reflect.DeepEqual(got, want) || done != 179 || total != 179 {
		t.Fatalf("%+v, want %+v; told %d of %d; %v", got, want, done, total, err)
	}
	again, err := s.ImportSafetyGate(ctx, realData(t, "warnings/safety-gate.json"), nil)
	if err != nil || again.New != 0 || again.Changed != 0 || again.Unchanged != 179 {
		t.Fatalf("second import %+v, %v", again, err)
	}
	checkReal(t, s)
}

func checkReal(t *testing.T, s *Service) {
	t.Helper()
	withBarcode, badOnes := 0, []string{}
	n := 0
	err := s.All(t.Context(), func(x Notice) error {
		n++
		if len(x.GTINs)+len(x.BadBarcodes) > 0 {
			withBarcode++
		}
		badOnes = append(badOnes, x.BadBarcodes...)
		if x.Rev != 1 {
			t.Errorf("%s has revision %d", x.ID, x.Rev)
		}
		return nil
	})
	slices.Sort(badOnes)
	if err != nil || n != 179 || withBarcode != 56 || !slices.Equal(badOnes, []string{"5902694000421", "7802694520", "871565899960", "B0CHYPVWHV", "X001WYCL7V"}) {
		t.Fatalf("%d notices, %d with barcodes, bad: %v; %v", n, withBarcode, badOnes, err)
	}
	got, err := s.Notices(t.Context(), "08015700152937")
	if err != nil || len(got) != 1 {
		t.Fatalf("%d notices, %v", len(got), err)
	}
	x := got[0]
	if x.ID != "safety-gate/SR/03789/24" || len(x.GTINs) != 5 || len(x.Batches) != 5 || x.Batches[1] != "0220Y85107" {
		t.Fatalf("%+v", x)
	}
	var row map[string]string
	if err := json.Unmarshal(x.Original, &row); err != nil || row["alert_number"] != "SR/03789/24" || !strings.Contains(row["barcode"], "\n") {
		t.Fatalf("the original is not kept: %s, %v", x.Original, err)
	}
}

func TestSplitBarcodes(t *testing.T) {
	t.Parallel()
	const a, b, c = "08715658002512", "05902022534004", "00036000291452" // an EAN-13 each, and a UPC-A
	for cell, want := range map[string][2][]string{
		"":                                {nil, nil},
		" 8715658002512 ":                 {{a}, nil},
		"8715658002512\n5902022534004":    {{a, b}, nil},
		"8715658002512, 5902022534004;":   {{a, b}, nil},
		"8715658002512 5902022534004":     {{a, b}, nil},
		"8715658002512 and 5902022534004": {{a, b}, nil},
		"8715658002512、5902022534004":     {{a, b}, nil},
		"8 715658 002512":                 {{a}, nil},
		"EAN: 8715658002512":              {{a}, nil},
		"EAN-13 8715658002512":            {{a}, nil},
		"036000291452":                    {{c}, nil},
		"8715658002512/8715658002512":     {{a}, nil},
		"8715658002513":                   {nil, {"8715658002513"}},
		"8715658002512 5902022534005":     {{a}, {"5902022534005"}},
		"8715658002512 - 5902022534004":   {{a, b}, {"8715658002512 - 5902022534004"}},
		"from 8715658002512 to 5902022534004": {{a, b},
			{"from 8715658002512 to 5902022534004"}},
		"B0CHYPVWHV":      {nil, {"B0CHYPVWHV"}},
		"n/a":             {nil, {"n", "a"}},
		"871565 8002 513": {nil, {"871565 8002 513"}},
	} {
		gtins, bad := splitBarcodes(cell)
		if !slices.Equal(gtins, want[0]) || !slices.Equal(bad, want[1]) {
			t.Errorf("%q: %q and %q, want %q", cell, gtins, bad, want)
		}
	}
}

func FuzzSplitBarcodes(f *testing.F) {
	f.Add("8715658002512 - 5902022534004\nEAN 036000291452, B0CHYPVWHV")
	f.Fuzz(func(t *testing.T, cell string) {
		gtins, _ := splitBarcodes(cell)
		for _, g := range gtins {
			if _, err := gs1.ParseGTIN(g); err != nil {
				t.Fatalf("%q from %q: %v", g, cell, err)
			}
		}
	})
}

func TestImport(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	const file = `[
		{"alert_number":"A/1","product_name":"Lamp <3","barcode":"8715658002512","new_cell":{"x":[1.0]}},
		{"alert_number":" ","product_name":"Lamp"},
		"text",
		{"alert_number":"A/2"},
		{"alert_number":"A 3","product_name":"Lamp"},
		{"alert_number":"A/4","product_name":"Toy"},
		{"alert_number":"A/4","product_name":"Toy car"}
	]`
	r, err := s.ImportSafetyGate(ctx, strings.NewReader(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Read != 7 || r.New != 2 || r.Changed != 1 || r.RejectedAll != 4 || r.GTINs != 1 {
		t.Fatalf("%+v", r)
	}
	for i, row := range []int{2, 3, 4, 5} {
		if r.Rejected[i].Row != row || r.Rejected[i].Reason == "" {
			t.Fatalf("%+v", r.Rejected)
		}
	}
	n, err := s.Get(ctx, "safety-gate/A/4")
	if err != nil || n.Title != "Toy car" || n.Rev != 2 {
		t.Fatalf("%+v, %v", n, err)
	}
	first, err := s.Get(ctx, "safety-gate/A/1")
	if err != nil || first.Title != "Lamp <3" || canonical(first.Original) != canonical([]byte(
		`{"alert_number":"A/1","product_name":"Lamp <3","barcode":"8715658002512","new_cell":{"x":[1.0]}}`)) {
		t.Fatalf("%s, %v", first.Original, err)
	}

	changed := strings.Replace(file, "8715658002512", "5902022534004", 1)
	r, err = s.ImportSafetyGate(ctx, strings.NewReader(changed), nil)
	if err != nil || r.New != 0 || r.Changed != 3 { // A/4 changes to its first row and back
		t.Fatalf("%+v, %v", r, err)
	}
	if got, err := s.Notices(ctx, "08715658002512"); err != nil || len(got) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := s.Notices(ctx, "05902022534004"); err != nil || len(got) != 1 || !got[0].Imported.After(first.Imported) {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err = s.Get(ctx, "safety-gate/A/9")
	if fault.CodeOf(err) != "notice_unknown" {
		t.Fatal(err)
	}
}

func TestDryRunCountsLikeTheImport(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const file = `[{"alert_number":"1","product_name":"a"},{"alert_number":"1","product_name":"b"},{"alert_number":"1","product_name":"b"}]`
	dry, err := s.CheckSafetyGate(t.Context(), strings.NewReader(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	wet, err := s.ImportSafetyGate(t.Context(), strings.NewReader(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	dry.DryRun = false
	if !reflect.DeepEqual(dry, wet) || wet.New != 1 || wet.Changed != 1 || wet.Unchanged != 1 {
		t.Fatalf("%+v and %+v", dry, wet)
	}
}

func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, file string
		read       int
	}{
		{"empty", "", 0},
		{"an object", `{"a":1}`, 0},
		{"cut off", `[{"alert_number":"1","product_name":"a"},{"alert`, 1},
		{"no end", `[{"alert_number":"1","product_name":"a"}`, 1},
		{"something behind", `[{"alert_number":"1","product_name":"a"}] x`, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			r, err := s.ImportSafetyGate(t.Context(), strings.NewReader(tc.file), nil)
			if fault.KindOf(err) != fault.Malformed || fault.CodeOf(err) != "import_syntax" {
				t.Fatalf("%v", err)
			}
			if r.Read != tc.read || r.New != tc.read {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestFeed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if _, err := s.ImportSafetyGate(t.Context(), strings.NewReader(`[{"alert_number":"1","product_name":"a"}]`), nil); err != nil {
		t.Fatal(err)
	}
	changes, token, err := s.Changes(t.Context(), "", store.MaxBatch)
	if err != nil || len(changes) != 1 || changes[0].V.ID != "safety-gate/1" || changes[0].V.Rev != 1 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if changes, _, err = s.Changes(t.Context(), token, store.MaxBatch); err != nil || len(changes) != 0 {
		t.Fatalf("%+v, %v", changes, err)
	}
}
