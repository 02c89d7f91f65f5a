package demo

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// bodies gives every document of a collection by ID.
func bodies(t *testing.T, eng store.Engine, coll string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for after := ""; ; {
		recs, err := eng.All(t.Context(), coll, after, store.MaxBatch)
		must(t, err)
		if len(recs) == 0 {
			return out
		}
		for _, r := range recs {
			after = r.ID
			out[r.ID] = string(r.Body)
		}
	}
}

var collections = []string{
	"firms", "places", "products", "lots", "units", "code_batches", "foreign_codes", "events", "epcis_raw", "captures", "scans",
	"warning_drafts", "warning_messages", "warnings", "demo",
}

// TestLoaded looks at one load from all sides; its parts leave the data as they are, but for the scans of the last.
func TestLoaded(t *testing.T) { //nolint:tparallel // the parts share one load, and the last adds scans to it
	t.Parallel()
	b := loaded(t)
	for _, part := range []struct { //nolint:paralleltest // see above
		name string
		test func(*testing.T, *loadedBundle)
	}{
		{"counts", testCounts}, {"firms", testFirms}, {"every chain", testEveryChain}, {"descendants", testDescendants},
		{"gift box", testGiftBox}, {"foreign codes", testForeignCodes}, {"warnings", testWarnings}, {"serial range", testSerialRange},
		{"counterfeit lot", testCounterfeitLot}, {"languages", testLanguages}, {"showcase", testShowcase},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, b) })
	}
}

func testCounts(t *testing.T, b *loadedBundle) {
	sum := b.sum
	got := sum
	got.OK, got.Warning, got.Suspicious, got.Seller = Summary{}.OK, Summary{}.OK, Summary{}.OK, ""
	if want := (Summary{Firms: 12, Products: 60, Lots: 200, Units: 2000, Events: 1725, Warnings: 20}); got != want {
		t.Errorf("summary %+v, want %+v", got, want)
	}
	const watches = 72 // units with the serials of their maker, which nobody issued here
	gtins, lots := map[string]bool{}, map[string]bool{}
	for id := range bodies(t, b.Engine, "products") {
		gtins[id[:14]] = true
	}
	for id := range bodies(t, b.Engine, "lots") {
		lots[filepath.Dir(id)] = true
	}
	for what, n := range map[string][2]int{
		"firms": {len(bodies(t, b.Engine, "firms")), 12}, "products": {len(gtins), 60}, "lots": {len(lots), 200},
		"units": {len(bodies(t, b.Engine, "units")), 2000 - watches}, "events": {len(bodies(t, b.Engine, "epcis_raw")), 1725},
		"warnings": {len(bodies(t, b.Engine, "warnings")), 20}, "scans": {len(bodies(t, b.Engine, "scans")), len(strangers)},
	} {
		if n[0] != n[1] {
			t.Errorf("the store has %d %s, want %d", n[0], what, n[1])
		}
	}
	again, ok, err := Showcase(t.Context(), b.Engine)
	if err != nil || !ok || again != sum {
		t.Errorf("Showcase gives %+v, %v, %v; want %+v", again, ok, err, sum)
	}
}

func testFirms(t *testing.T, b *loadedBundle) {
	events := map[string]int{}
	for id, list := range b.world.history() {
		events[id] = len(list)
	}
	kinds := map[string]bool{}
	for _, f := range participants() {
		stored, err := b.Firms.Get(t.Context(), f.ID)
		must(t, err)
		kinds[stored.Kind] = true
		if events[f.ID] == 0 {
			t.Errorf("%s tells nothing", f.ID)
		}
	}
	want := []string{
		firm.Producer, firm.Importer, firm.DutyFree, firm.CrossEcom, firm.Agent, firm.Platform, firm.Carrier, firm.Warehouse, firm.Authority,
	}
	for _, k := range want {
		if !kinds[k] {
			t.Errorf("no firm is a %s", k)
		}
	}
}

func TestLoadTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	eng, err := sqlite.Open(t.Context(), filepath.Join(dir, "t.db"))
	must(t, err)
	defer func() { must(t, eng.Close()) }()
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	first := open(t, eng, box).load(t)
	before := map[string]map[string]string{}
	for _, coll := range collections {
		before[coll] = bodies(t, eng, coll)
	}
	tomorrow := func() time.Time { return noon.AddDate(0, 0, 1) }
	second, err := Load(t.Context(), open(t, eng, box).Services, officer, tomorrow, nil)
	must(t, err)
	if first != second {
		t.Errorf("the second load gives %+v, the first %+v", second, first)
	}
	for _, coll := range collections {
		if !maps.Equal(before[coll], bodies(t, eng, coll)) {
			t.Errorf("the second load changed %s", coll)
		}
	}
}

// mortal is an engine of a process that dies: after some inserts nothing is written any more.
type mortal struct {
	store.Engine
	left atomic.Int64
}

var errDead = errors.New("the process has died")

func (m *mortal) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	if m.left.Add(-1) < 0 {
		return nil, errDead
	}
	return m.Engine.Insert(ctx, coll, recs)
}

func (m *mortal) Replace(ctx context.Context, coll string, rec store.Record) error {
	if m.left.Load() < 0 {
		return errDead
	}
	return m.Engine.Replace(ctx, coll, rec)
}

// A load that dies is completed by the next one, also on another day, and leaves what an undisturbed load leaves.
func TestLoadThatDied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	undisturbed, err := sqlite.Open(t.Context(), filepath.Join(dir, "whole.db"))
	must(t, err)
	defer func() { must(t, undisturbed.Close()) }()
	want := open(t, undisturbed, box).load(t)

	eng, err := sqlite.Open(t.Context(), filepath.Join(dir, "died.db"))
	must(t, err)
	defer func() { must(t, eng.Close()) }()
	tomorrow := func() time.Time { return noon.AddDate(0, 0, 1) }
	for _, writes := range []int64{60, 150, 300, 400, 500} {
		b := open(t, eng, box)
		dying := &mortal{Engine: eng}
		dying.left.Store(1 << 40)
		half := open(t, dying, box)
		dying.left.Store(writes)
		if _, err := Load(t.Context(), half.Services, officer, now, nil); !errors.Is(err, errDead) {
			t.Fatalf("after %d writes the load gives %v", writes, err)
		}
		if begun, _, err := State(t.Context(), b.Engine); err != nil || !begun {
			t.Fatalf("after a death the load counts as begun: %v, %v", begun, err)
		}
	}
	if _, ok, err := Showcase(t.Context(), eng); err != nil || ok {
		t.Fatalf("a load that died has a showcase: %v, %v", ok, err)
	}
	got, err := Load(t.Context(), open(t, eng, box).Services, officer, tomorrow, nil)
	must(t, err)
	if got != want {
		t.Errorf("the completed load gives %+v, want %+v", got, want)
	}
	for _, coll := range []string{"firms", "places", "products", "lots", "units", "code_batches", "foreign_codes", "events", "epcis_raw"} {
		if a, b := ids(bodies(t, eng, coll)), ids(bodies(t, undisturbed, coll)); !slices.Equal(a, b) {
			t.Errorf("%s has %d documents, want the same %d", coll, len(a), len(b))
		}
	}
	for id, body := range bodies(t, eng, "captures") {
		if !strings.Contains(body, `"state":"success"`) {
			t.Errorf("capture %s is not complete: its events do not show", id)
		}
	}
	for _, coll := range []string{"warning_drafts", "warning_messages", "warnings"} {
		if a, b := len(bodies(t, eng, coll)), len(bodies(t, undisturbed, coll)); a != b {
			t.Errorf("%s has %d documents, want %d", coll, a, b)
		}
	}
}

func ids(docs map[string]string) []string { return slices.Sorted(maps.Keys(docs)) }

func TestState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, coll := range ours { // those of services that this test does not open
		if _, err := b.Engine.All(t.Context(), coll, "", 1); err != nil {
			_, err := b.Engine.Declare(t.Context(), store.Spec{Name: coll})
			must(t, err)
		}
	}
	check := func(when string, wantBegun, wantEmpty bool) {
		t.Helper()
		if begun, empty, err := State(t.Context(), b.Engine); err != nil || begun != wantBegun || empty != wantEmpty {
			t.Errorf("%s: begun %v, empty %v, %v", when, begun, empty, err)
		}
	}
	check("at first", false, true)
	must(t, b.Firms.Put(t.Context(), firm.Firm{ID: "someone", Name: lang.ZhEn("某企业", "Someone"), Kind: firm.Producer}))
	check("with a firm of somebody else's", false, false)
	b.load(t)
	check("after the load", true, false)
}

func testShowcase(t *testing.T, b *loadedBundle) {
	sum := b.sum
	for _, tag := range []string{lang.ZhHans, lang.En} {
		for _, c := range []struct {
			name string
			req  trace.ScanRequest
			want string
		}{
			{"in order", trace.ScanRequest{Ref: sum.OK, Visitor: "me"}, trace.HeadCodeValid},
			{"under warning", trace.ScanRequest{Ref: sum.Warning, Visitor: "me"}, trace.HeadWarning},
			{"suspicious", trace.ScanRequest{Ref: sum.Suspicious, Visitor: "me", Place: "海口 Haikou"}, trace.HeadSuspicious},
		} {
			c.req.Lang = tag
			a, err := b.Trace.Scan(t.Context(), c.req)
			must(t, err)
			if a.Headline.Status != c.want || a.Headline.Title == "" || a.Headline.Todo == "" {
				t.Errorf("%s in %s: %+v", c.name, tag, a.Headline)
			}
			if c.want == trace.HeadSuspicious && (a.Sale.Status != trace.SaleSoldDutyFree || a.Scan.Count < len(strangers) || len(a.Scan.Places) < 5) {
				t.Errorf("suspicious: sale %s, scans %+v", a.Sale.Status, a.Scan)
			}
			if c.want == trace.HeadWarning && a.Headline.Level != string(warning.Orange) {
				t.Errorf("the warning's level is %q", a.Headline.Level)
			}
		}
	}
	coded := slices.ContainsFunc(b.look(t, sum.OK).Chain, func(s trace.Step) bool { return s.Stage == "warehouse" && s.Title == "赋码" })
	if !coded {
		t.Error("the unit got its code in the bonded warehouse, and the chain does not say so")
	}
	f, err := b.Firms.Get(t.Context(), sum.Seller)
	must(t, err)
	if !f.Owns(sum.OK.GTIN.CompanyDigits()) {
		t.Errorf("seller %s may not issue codes for %s", sum.Seller, sum.OK.GTIN)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := setup(b)
		b.StartTimer()
		s.load(b)
	}
}
