package trace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

func madeOn(u Unit) string {
	return event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`)
}

func soldOn(u Unit) string {
	return event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`)
}

// anomalies gives those of a viewer.
func (b *bundle) anomalies(viewer string) []Anomaly {
	b.t.Helper()
	list, next, err := b.Anomalies(b.t.Context(), "", lang.En, viewer, "", 0)
	must(b.t, err)
	if next != "" {
		b.t.Fatal("there is a second page")
	}
	return list
}

func (b *bundle) onlyAnomaly() Anomaly {
	b.t.Helper()
	list := b.anomalies("")
	if len(list) != 1 {
		b.t.Fatalf("anomalies: %+v", list)
	}
	return list[0]
}

func (a *Anomaly) codes() (out []string) {
	for _, s := range a.Signals {
		out = append(out, s.Code+" "+s.Grade)
	}
	return out
}

func TestAnomalyOfManyScanners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	b.capture(b.maker, madeOn(u))
	cities := []string{"haikou", "sanya", "qionghai", "wanning", "danzhou"}
	for i := range 10 {
		b.scan(u.Ref(), fmt.Sprint("v", i), cities[i%3])
		b.clock.Advance(2 * time.Hour)
	}
	if list := b.anomalies(""); len(list) != 0 {
		t.Fatalf("ten visitors are %+v", list)
	}
	b.scan(u.Ref(), "v10", "haikou")
	a := b.onlyAnomaly()
	if got := a.codes(); !slices.Equal(got, []string{"many_scanners doubt"}) || a.Grade != GradeDoubt || a.Visitors != 11 || a.Serial != u.Serial || a.Lot != "L1" {
		t.Errorf("%+v", a)
	}
	if len(a.Places) != 3 || !strings.Contains(a.Signals[0].Text, "copied") {
		t.Errorf("%+v", a)
	}
	first := a.First
	for i := range 30 {
		b.clock.Advance(2 * time.Hour)
		b.scan(u.Ref(), fmt.Sprint("w", i), cities[i%5])
	}
	if a = b.onlyAnomaly(); a.Grade != GradeSerious || !a.First.Equal(first) || !a.Last.After(first) {
		t.Errorf("%+v", a)
	}
}

func TestAnomaliesBySignal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(b *bundle, u Unit)
		want []string
	}{
		{"in one place", func(b *bundle, u Unit) {
			b.capture(b.maker, madeOn(u))
			b.scan(u.Ref(), "a", "haikou")
			b.scan(u.Ref(), "b", "haikou")
		}, nil},
		{"one visitor in two places", func(b *bundle, u Unit) {
			b.capture(b.maker, madeOn(u))
			b.scan(u.Ref(), "a", "haikou")
			b.scan(u.Ref(), "a", "sanya")
		}, nil},
		{"two places at once", func(b *bundle, u Unit) {
			b.capture(b.maker, madeOn(u))
			b.scan(u.Ref(), "a", "haikou")
			b.clock.Advance(5 * time.Minute)
			b.scan(u.Ref(), "b", "sanya")
		}, []string{"far_apart doubt"}},
		{"before its label was put on", func(b *bundle, u Unit) {
			for i := range 4 {
				b.scan(u.Ref(), fmt.Sprint(i), "haikou")
			}
		}, []string{"scanned_unlabelled watch"}},
		{"after the sale", func(b *bundle, u Unit) {
			b.capture(b.maker, madeOn(u)+","+soldOn(u))
			for i := range 6 {
				b.scan(u.Ref(), fmt.Sprint(i), "haikou")
			}
		}, []string{"scanned_after_sale doubt"}},
		{"void", func(b *bundle, u Unit) {
			_, _, err := b.VoidUnit(b.t.Context(), b.maker, u.GTIN, u.Serial, Voiding{At: b.clock.Now(), By: "k", Reason: "damaged"})
			must(b.t, err)
			b.scan(u.Ref(), "a", "haikou")
		}, []string{"scanned_void doubt"}},
		{"another lot in the code", func(b *bundle, u Unit) {
			b.capture(b.maker, madeOn(u))
			ref := u.Ref()
			ref.Lot = "L2"
			b.scan(ref, "a", "haikou")
		}, []string{"lot_mismatch doubt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c.do(b, b.goods())
			list := b.anomalies("")
			if c.want == nil && len(list) == 0 {
				return
			}
			if len(list) != 1 || !slices.Equal(list[0].codes(), c.want) {
				t.Errorf("%+v", list)
			}
			if c.name == "two places at once" && list[0].Apart != 300 {
				t.Errorf("%d seconds apart", list[0].Apart)
			}
		})
	}
}

// Serials that nobody issued are told of their lot, once each, and only where the lot has issued ones.
func TestAnomalyOfMadeUpSerials(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	_, _, err := b.PutLot(t.Context(), b.maker, Lot{GTIN: gtinA, Lot: "PLAIN"})
	must(t, err)
	b.scan(gs1.Ref{GTIN: gtinA, Lot: "PLAIN", Serial: "X"}, "a", "")
	b.scan(gs1.Ref{GTIN: gtinA, Serial: "X"}, "a", "")
	b.scan(gs1.Ref{GTIN: gtinA, Lot: "NONE", Serial: "X"}, "a", "")
	if list := b.anomalies(""); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	for range 2 {
		b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1", Serial: "X1"}, "a", "")
	}
	if a := b.onlyAnomaly(); a.Grade != GradeWatch || !slices.Equal(a.Serials, []string{"X1"}) || a.Serial != "" || a.Lot != u.Lot {
		t.Errorf("%+v", a)
	}
	for i := range maxUnknownSerials + 10 {
		b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1", Serial: fmt.Sprint("Y", i)}, "a", "")
	}
	if a := b.onlyAnomaly(); a.Grade != GradeDoubt || len(a.Serials) != maxUnknownSerials {
		t.Errorf("%s, %d serials", a.Grade, len(a.Serials))
	}
}

func TestAnomaliesAreOfTheFirmThatIssued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	other := b.firm(firm.Firm{ID: "other", Name: lang.ZhEn("店", "Shop"), Kind: firm.DutyFree})
	_, _, err := b.PutLot(t.Context(), other, Lot{GTIN: gtinA, Lot: "L1"})
	must(t, err)
	_, _, err = b.VoidUnit(t.Context(), b.maker, u.GTIN, u.Serial, Voiding{At: b.clock.Now(), By: "k", Reason: "damaged"})
	must(t, err)
	b.scan(u.Ref(), "a", "haikou")
	b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1", Serial: "X1"}, "a", "")
	for viewer, want := range map[string]int{"": 2, "maker": 2, "other": 0} {
		if got := b.anomalies(viewer); len(got) != want {
			t.Errorf("%q sees %+v", viewer, got)
		}
	}
	for g, want := range map[gs1.GTIN]int{gtinA: 2, gtinB: 0} {
		if got, _, err := b.Anomalies(t.Context(), g, lang.ZhHans, "maker", "", 0); err != nil || len(got) != want {
			t.Errorf("of %s: %+v, %v", g, got, err)
		}
	}
	page, next, err := b.Anomalies(t.Context(), "", lang.En, "maker", "", 1)
	must(t, err)
	rest, last, err := b.Anomalies(t.Context(), "", lang.En, "maker", next, 1)
	must(t, err)
	if len(page) != 1 || len(rest) != 1 || last != "" || page[0].Serial == rest[0].Serial {
		t.Errorf("pages: %+v, %+v, %q", page, rest, last)
	}
	if _, _, err := b.Anomalies(t.Context(), "", lang.En, "", "nonsense", 0); err == nil {
		t.Error("a cursor that nobody gave was taken")
	}
}

// What a person did not scan is no anomaly either, and a process that dies between both writes has told too much, never too little.
func TestAnomaliesComeBeforeTheirScans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	_, _, err := b.VoidUnit(t.Context(), b.maker, u.GTIN, u.Serial, Voiding{At: b.clock.Now(), By: "k", Reason: "damaged"})
	must(t, err)
	_, err = b.Scan(t.Context(), ScanRequest{Ref: u.Ref(), Preview: true})
	must(t, err)
	if list := b.anomalies(""); len(list) != 0 {
		t.Fatalf("a preview is %+v", list)
	}
	gone := &noScans{Engine: b.engine}
	s, err := Open(t.Context(), Deps{Engine: gone, Firms: b.firms, Warnings: b.warnings, Hasher: b.deps.Hasher, Now: b.clock.Now})
	must(t, err)
	a, err := s.Scan(t.Context(), ScanRequest{Ref: u.Ref(), Visitor: "a"})
	must(t, err)
	if a.Scan.Recorded || len(b.anomalies("")) != 1 {
		t.Errorf("recorded %v, anomalies %+v", a.Scan.Recorded, b.anomalies(""))
	}
}

// noScans is a store that dies before it takes a scan.
type noScans struct{ store.Engine }

func (n *noScans) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	if coll == "scans" {
		return nil, errors.New("the process is gone")
	}
	return n.Engine.Insert(ctx, coll, recs)
}
