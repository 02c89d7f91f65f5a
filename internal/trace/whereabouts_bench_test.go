package trace

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// bigLot captures, as fast as the store takes it, a lot of n units: commissioned 200 at a time, packed perCase to a case and 50 cases to a
// pallet, shipped and received by the pallet, and every second unit sold by an event of its own.
func bigLot(b *testing.B, s *Service, n, perCase int) {
	b.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	no := 0
	var items []store.Item[eventDoc]
	put := func(e eventDoc) {
		no++
		e.ID = fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", no)
		e.Confirmed, e.Recorded = true, e.Time
		items = append(items, store.Item[eventDoc]{ID: e.Firm + "|" + e.ID, V: e})
		if len(items) == store.MaxBatch {
			flush(b, s, items)
			items = items[:0]
		}
	}
	serial := func(i int) string { return unitURI(fmt.Sprintf("S%011d", i)) }
	place := func(i int) string { return fmt.Sprintf("https://id.gs1.org/414/69012345600%02d", i) }
	list := func(role string, from, to int, name func(int) string) (out []thing) {
		for i := from; i < min(to, n); i++ {
			out = append(out, thing{EPC: name(i), Role: role})
		}
		return out
	}
	for i := 0; i < n; i += partSize {
		put(eventDoc{Firm: "maker", Type: "ObjectEvent", Action: "ADD", Step: "commissioning", Time: start.Add(time.Duration(i) * time.Second), BizLocation: place(1), Lot: "L1", Things: list(roleSubject, i, i+partSize, serial)})
	}
	cases := (n + perCase - 1) / perCase
	for c := range cases {
		put(eventDoc{Firm: "maker", Type: "AggregationEvent", Action: "ADD", Step: "packing", Time: start.Add(48*time.Hour + time.Duration(c)*time.Second), BizLocation: place(1), Parent: sscc(c), Things: list(roleChild, c*perCase, (c+1)*perCase, serial)})
	}
	for p := range (cases + 49) / 50 {
		pallet := sscc(900_000 + p)
		e := eventDoc{Firm: "maker", Type: "AggregationEvent", Action: "ADD", Step: "packing", Time: start.Add(72*time.Hour + time.Duration(p)*time.Second), BizLocation: place(1), Parent: pallet}
		for c := p * 50; c < min(cases, (p+1)*50); c++ {
			e.Things = append(e.Things, thing{EPC: sscc(c), Role: roleChild})
		}
		put(e)
		one := []thing{{EPC: pallet, Role: roleSubject}}
		put(eventDoc{Firm: "maker", Type: "ObjectEvent", Action: "OBSERVE", Step: "shipping", Time: start.Add(96 * time.Hour), BizLocation: place(1), Things: one})
		put(eventDoc{Firm: "seller", Type: "ObjectEvent", Action: "OBSERVE", Step: "receiving", Time: start.Add(120 * time.Hour), BizLocation: place(2 + p%20), Things: one})
	}
	for i := 0; i < n; i += 2 {
		put(eventDoc{Firm: "seller", Type: "ObjectEvent", Action: "OBSERVE", Step: "retail_selling", Time: start.Add(150*time.Hour + time.Duration(i)*time.Minute), BizLocation: place(2 + i%20), Things: list(roleSubject, i, i+1, serial)})
	}
	flush(b, s, items)
}

func flush(b *testing.B, s *Service, items []store.Item[eventDoc]) {
	b.Helper()
	errs, err := s.events.InsertMany(b.Context(), items)
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

// Where a lot of 100,000 units went: packed ten to a case, and every second one sold by an event of its own.
func BenchmarkWhereabouts(b *testing.B) {
	for _, perCase := range []int{10, 100} {
		b.Run(fmt.Sprintf("units=100000/case=%d", perCase), func(b *testing.B) { benchWhereabouts(b, 100_000, perCase) })
	}
}

func benchWhereabouts(b *testing.B, n, perCase int) {
	b.Helper()
	ctx := b.Context()
	dir := b.TempDir()
	eng, err := sqlite.Open(ctx, filepath.Join(dir, "t.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = eng.Close() }()
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	if err != nil {
		b.Fatal(err)
	}
	firms, err := firm.Open(ctx, eng, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	if err := firms.Put(ctx, firm.Firm{ID: "maker", Name: lang.ZhEn("", "Maker"), Kind: firm.Producer}); err != nil {
		b.Fatal(err)
	}
	s, err := Open(ctx, Deps{Engine: eng, Firms: firms, Warnings: &fakeWarnings{}, Hasher: box, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	bigLot(b, s, n, perCase)
	began := time.Now()
	for more := true; more; {
		if more, err = s.followEvents(ctx, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("followed in %v", time.Since(began).Round(time.Millisecond))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		w, err := s.Whereabouts(ctx, lotStart, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), "")
		if err != nil {
			b.Fatal(err)
		}
		if w.Units != n || len(w.Truncated) > 0 {
			b.Fatalf("%d units, truncated %v", w.Units, w.Truncated)
		}
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/(1<<20), "MiB/op")
}
