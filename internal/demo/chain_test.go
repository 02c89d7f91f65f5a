package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

func testEveryChain(t *testing.T, b *loadedBundle) {
	w := b.world
	var mu sync.Mutex
	heads, units := map[string]int{}, 0
	must(t, each(t.Context(), w.lots, func(ctx context.Context, l *lot) error {
		for i, ref := range l.refs {
			if (l.seq+i)%everyNth != 0 {
				continue
			}
			tag := []string{lang.ZhHans, lang.En}[i%2]
			a, err := b.Trace.Scan(ctx, trace.ScanRequest{Ref: ref, Lang: tag, Preview: true})
			if err != nil {
				return err
			}
			if bad := badChain(a, l); bad != "" {
				return fmt.Errorf("%s %s: %s", l.key, ref.Path(), bad)
			}
			mu.Lock()
			heads[a.Headline.Status]++
			units++
			mu.Unlock()
		}
		return nil
	}))
	if want := 2000 / everyNth; units < want-10 || units > want+10 || everyNth == 1 && units != want {
		t.Errorf("%d units", units)
	}
	if len(heads) != 3 || heads[trace.HeadCodeValid] < units*8/10 || heads[trace.HeadWarning] == 0 || heads[trace.HeadRecalled] == 0 {
		t.Errorf("headlines: %v", heads)
	}
}

// badChain says what a chain lacks, "" for nothing.
func badChain(a *trace.Answer, l *lot) string {
	want := map[string]bool{"production": true, "port": true, "warehouse": true, "store": true}
	verified := false
	for _, s := range a.Chain {
		delete(want, s.Stage)
		switch {
		case s.Provenance == trace.ProvMissing:
			return "the stage " + s.Stage + " is missing"
		case s.Title == "" || s.Place == "" || s.Firm == "":
			return fmt.Sprintf("a step without title, place or firm: %+v", s)
		case s.Time.After(noon):
			return "it has a step in the future"
		}
		if s.Stage == "port" && s.Provenance == trace.ProvVerified && s.Document == l.consignment.declaration {
			verified = true
		}
	}
	switch {
	case len(want) > 0:
		return fmt.Sprintf("it lacks %v", want)
	case !verified:
		return "customs does not confirm the declaration"
	case a.Level != "unit" || a.Authenticity.Status != trace.AuthIssued:
		return a.Level + " " + a.Authenticity.Status
	case a.Lot == nil || a.Lot.Declaration != l.consignment.declaration || a.Lot.Inspection == "" || a.Product == nil:
		return "product or lot is not told"
	case slices.ContainsFunc(a.Findings, func(f trace.Finding) bool { return f.Code == "expired" }):
		return "it is past its date"
	}
	return ""
}

func testDescendants(t *testing.T, b *loadedBundle) {
	w := b.world
	whey := w.lot("whey-bulk", 3)
	got, err := b.Trace.Descendants(t.Context(), &warning.Scope{Clauses: []warning.Clause{{GTINs: []string{string(whey.GTIN)}, Lots: []string{whey.Lot.Lot}}}})
	must(t, err)
	for _, key := range []string{"stage1-900", "stage2-900"} {
		l := w.lot(key, 3)
		if !slices.Contains(got, gs1.Ref{GTIN: l.GTIN, Lot: l.Lot.Lot}) {
			t.Errorf("lot %s of %s is made of the whey; descendants are %v", l.Lot.Lot, key, got)
		}
		if a := b.look(t, l.refs[0]); a.Headline.Status != trace.HeadWarning || a.Headline.Level != string(warning.Yellow) {
			t.Errorf("a tin made of the whey: %+v", a.Headline)
		}
	}
	malt := w.lot("malt-bulk", 2)
	sub, err := b.Trace.Subject(t.Context(), w.lot("harbour-100", 2).refs[0])
	must(t, err)
	if !slices.Contains(sub.Ancestors, gs1.Ref{GTIN: malt.GTIN, Lot: malt.Lot.Lot}) {
		t.Errorf("the blend's ancestors are %v", sub.Ancestors)
	}
}

func testGiftBox(t *testing.T, b *loadedBundle) {
	w := b.world
	sub, err := b.Trace.Subject(t.Context(), w.lot("nuit-gift", 2).refs[3])
	must(t, err)
	for _, key := range giftContents["nuit-gift"] {
		if part := w.lot(key, 2).refs[3]; !slices.Contains(sub.Ancestors, part) {
			t.Errorf("the box does not hold %v but %v", part, sub.Ancestors)
		}
	}
}

func testForeignCodes(t *testing.T, b *loadedBundle) {
	w := b.world
	schemes := map[string]int{}
	for _, l := range w.lots {
		for i, code := range l.otherCodes() {
			schemes[code.Scheme]++
			if i > 0 {
				continue
			}
			a, err := b.Trace.Resolve(t.Context(), code.Code, trace.ScanRequest{Lang: lang.En, Preview: true})
			must(t, err)
			if a.Asked.Scheme != code.Scheme || a.Asked.Serial != l.refs[0].Serial || a.Level != "unit" {
				t.Errorf("%s resolves to %+v at level %s", code.Code, a.Asked, a.Level)
			}
		}
	}
	if schemes[trace.SchemeDutyFree] < 500 || schemes["udi"] != 24 || schemes["brand"] != 72 {
		t.Errorf("codes of other schemes: %v", schemes)
	}
}

// Whatever the day of loading, the data are in order.
func TestEveryDayOfTheYear(t *testing.T) {
	t.Parallel()
	for day := 0; day < 800; day += 3 {
		base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, day)
		w, err := newWorld(base)
		must(t, err)
		seen := map[gs1.Ref]bool{}
		for _, l := range w.lots {
			ref := gs1.Ref{GTIN: l.GTIN, Lot: l.Lot.Lot}
			must(t, ref.Valid())
			if seen[ref] {
				t.Fatalf("%s: two lots %v", base.Format(time.DateOnly), ref)
			}
			seen[ref] = true
			if l.Expires != "" && l.Expires <= w.date(30).Format(time.DateOnly) && l.seller != "" {
				t.Errorf("%s: lot %d of %s expires on %s", base.Format(time.DateOnly), l.number, l.key, l.Expires)
			}
			if l.from != nil && l.from.made >= l.made {
				t.Errorf("lot %d of %s is older than what it is made of", l.number, l.key)
			}
			for _, part := range l.inside {
				if part.made >= l.made {
					t.Errorf("gift lot %d is older than its contents", l.number)
				}
			}
		}
	}
}

func TestHistoryIsDeterministic(t *testing.T) {
	t.Parallel()
	tell := func() map[string][]event {
		w, err := newWorld(noon.Truncate(24 * time.Hour))
		must(t, err)
		for _, l := range w.lots {
			l.refs = l.ownSerials()
		}
		return w.history()
	}
	a, b := tell(), tell()
	for id, list := range a {
		if fmt.Sprint(len(list)) != fmt.Sprint(len(b[id])) {
			t.Fatalf("%s tells %d events, then %d", id, len(list), len(b[id]))
		}
		for part := range slices.Chunk(list, perDocument) {
			first, err := encode(part, noon)
			must(t, err)
			second, err := encode(b[id][:len(part)], noon)
			must(t, err)
			b[id] = b[id][len(part):]
			for i := range first.Events {
				if first.Events[i].HashID() != second.Events[i].HashID() {
					t.Fatalf("%s: event %d differs", id, i)
				}
			}
		}
	}
}
