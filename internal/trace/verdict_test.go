package trace

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

func TestHeadlineTakesTheWorst(t *testing.T) {
	t.Parallel()
	certain := func(l warning.Level, recall bool) warning.Match {
		return warning.Match{Certain: true, Warning: &warning.Message{No: "HN-1", Content: warning.Content{Level: l, Recall: recall, Title: lang.ZhEn("题", "T")}}}
	}
	possible := certain(warning.Red, true)
	possible.Certain = false
	unit := func() *chain {
		return &chain{askedLevel: gs1.Unit, product: &ProductView{}, lot: &LotView{}, unit: &Unit{State: UnitIssued}}
	}
	for name, c := range map[string]struct {
		change func(f *facts)
		head   string
		auth   string
		safety string
		level  string
	}{
		"in order": {func(*facts) {}, HeadCodeValid, AuthIssued, SafeNoneKnown, ""},
		"recalled and void": {func(f *facts) {
			f.chain.unit.State = UnitVoid
			f.matches = []warning.Match{certain(warning.Blue, true)}
		}, HeadRecalled, AuthVoid, SafeRecalled, "blue"},
		"warning":              {func(f *facts) { f.matches = []warning.Match{certain(warning.Orange, false)} }, HeadWarning, AuthIssued, SafeWarning, "orange"},
		"a possible recall":    {func(f *facts) { f.matches = []warning.Match{possible} }, HeadWarning, AuthIssued, SafeWarning, "red"},
		"certain before worse": {func(f *facts) { f.matches = []warning.Match{possible, certain(warning.Blue, false)} }, HeadWarning, AuthIssued, SafeWarning, "blue"},
		"unconfirmed and void": {func(f *facts) { f.confirmed = false; f.chain.unit.State = UnitVoid }, HeadUnconfirmed, AuthVoid, SafeUnconfirmed, ""},
		"void":                 {func(f *facts) { f.chain.unit.State = UnitVoid }, HeadVoid, AuthVoid, SafeNoneKnown, ""},
		"wrong lot":            {func(f *facts) { f.chain.lotMismatch = true }, HeadSuspicious, AuthSuspicious, SafeNoneKnown, ""},
		"many visitors":        {func(f *facts) { f.seen.visitors, f.seen.cities = manyScanners, manyCities }, HeadSuspicious, AuthSuspicious, SafeNoneKnown, ""},
		"not quite so many":    {func(f *facts) { f.seen.visitors, f.seen.cities = manyScanners-1, manyCities }, HeadCodeValid, AuthIssued, SafeNoneKnown, ""},
		"a bottle on display":  {func(f *facts) { f.seen.visitors, f.seen.cities = 50, manyCities-1 }, HeadCodeValid, AuthIssued, SafeNoneKnown, ""},
		"many after the sale":  {func(f *facts) { f.seen.afterSale = manyScannersAfterSale }, HeadSuspicious, AuthSuspicious, SafeNoneKnown, ""},
		"unknown unit":         {func(f *facts) { f.chain.unit = nil }, HeadUnknown, AuthUnknownUnit, SafeNoneKnown, ""},
		"unknown product":      {func(f *facts) { *f.chain = chain{askedLevel: gs1.Unit} }, HeadUnknown, AuthUnknownProduct, SafeNoneKnown, ""},
		"unknown and warned": {
			func(f *facts) {
				*f.chain = chain{askedLevel: gs1.Unit}
				f.matches = []warning.Match{certain(warning.Red, false)}
			},
			HeadWarning, AuthUnknownProduct, SafeWarning, "red",
		},
		"expired is no headline": {func(f *facts) { f.chain.lot.Expires = "2026-11-23" }, HeadCodeValid, AuthIssued, SafeNoneKnown, ""},
	} {
		for _, tag := range []string{lang.ZhHans, lang.En} {
			t.Run(name+" "+tag, func(t *testing.T) {
				t.Parallel()
				f := facts{asked: Asked{GTIN: string(gtinA), Serial: "S"}, lang: tag, now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), chain: unit(), confirmed: true}
				c.change(&f)
				a := f.verdict()
				if a.Headline.Status != c.head || a.Authenticity.Status != c.auth || a.Safety.Status != c.safety || a.Headline.Level != c.level {
					t.Errorf("headline %+v, authenticity %s, safety %s", a.Headline, a.Authenticity.Status, a.Safety.Status)
				}
				for _, s := range []string{a.Headline.Title, a.Headline.Todo, a.Authenticity.Text, a.Safety.Text, a.Sale.Text} {
					if s == "" {
						t.Errorf("a text is missing: %+v", a)
					}
				}
				for i := 1; i < len(a.Findings); i++ {
					if rank(a.Findings[i-1]) > rank(a.Findings[i]) {
						t.Errorf("findings are not worst first: %+v", a.Findings)
					}
				}
			})
		}
	}
}

func TestEverySentenceIsInBothLanguages(t *testing.T) {
	t.Parallel()
	check := func(where string, list ...say) {
		for _, s := range list {
			if s.zh == "" || s.en == "" {
				t.Errorf("%s: %+v", where, s)
			}
		}
	}
	for k, v := range headlines {
		check(k, v.title, v.todo)
	}
	for k, v := range findingTexts {
		check(k, v.title, v.text, v.todo)
		if _, ok := severity[k]; !ok {
			t.Errorf("%s has no severity", k)
		}
	}
	for _, m := range []map[string]say{authTexts, safetyTexts, saleTexts, stageNames, stepNames, typeNames, levelNames} {
		for k, v := range m {
			check(k, v)
		}
	}
}

func TestTwoPlacesWithinAnHourAreSuspicious(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	b.scan(u.Ref(), "me", "海口")
	b.clock.Advance(10 * time.Minute)
	if a := b.scan(u.Ref(), "me", "三亚"); a.Headline.Status != HeadCodeValid {
		t.Fatalf("my own second scan: %+v", a.Headline)
	}
	b.clock.Advance(10 * time.Minute)
	a := b.scan(u.Ref(), "you", "海口")
	if a.Headline.Status != HeadSuspicious || a.Findings[0].Code != "far_apart" || a.Scan.Count != 2 {
		t.Fatalf("somebody else: %+v %+v", a.Headline, a.Scan)
	}
}

func TestAnAnswerSurvivesAStoreThatCannotRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	b.exposures.err = errors.New("the store is full")
	a, err := b.Scan(t.Context(), ScanRequest{Ref: u.Ref(), Lang: lang.En, Device: "d1"})
	must(t, err)
	if a.Scan.Recorded || a.Scan.First || a.Headline.Status != HeadCodeValid {
		t.Fatalf("%+v %+v", a.Headline, a.Scan)
	}
	b.exposures.err = nil
	a, err = b.Scan(t.Context(), ScanRequest{Ref: u.Ref(), Lang: lang.En, Device: "d1"})
	must(t, err)
	if !a.Scan.Recorded || !a.Scan.First {
		t.Fatalf("%+v", a.Scan)
	}
	if got := fmt.Sprint(b.exposures.refs[1]); b.exposures.refs[1].Lot != "L1" {
		t.Errorf("the exposure lacks the lot of the records: %s", got)
	}
}

func TestUnconfirmedWarningsAreNeverSafe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	b.warnings.unconfirmed = true
	if a := b.scan(u.Ref(), "v", ""); a.Safety.Status != SafeUnconfirmed || a.Headline.Status != HeadUnconfirmed {
		t.Fatalf("%+v %+v", a.Headline, a.Safety)
	}
}

func TestFallBackSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	for name, c := range map[string]struct {
		ref         gs1.Ref
		level, code string
	}{
		"unknown serial of a lot": {gs1.Ref{GTIN: gtinA, Lot: "L1", Serial: "NOPE"}, "lot", "unit_unknown"},
		"unknown serial":          {gs1.Ref{GTIN: gtinA, Serial: "NOPE"}, "product", "unit_unknown"},
		"unknown lot":             {gs1.Ref{GTIN: gtinA, Lot: "L9"}, "product", "lot_unknown"},
		"unknown product":         {gs1.Ref{GTIN: gtinB, Lot: "L9", Serial: "1"}, "none", "product_unknown"},
	} {
		a := b.scan(c.ref, "v", "")
		if a.Level != c.level || a.Headline.Status != HeadUnknown || a.Findings[0].Code != c.code {
			t.Errorf("%s: level %s, %+v, findings %+v", name, a.Level, a.Headline, a.Findings)
		}
	}
}

// Signals come from the scans themselves, and fade.
func TestScansAfterTheSaleAreCountedAndFade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	for i := range manyScannersAfterSale + 1 {
		b.scan(u.Ref(), fmt.Sprintf("shopper %d", i), "counter 7")
	}
	if a := b.scan(u.Ref(), "buyer", "counter 7"); a.Headline.Status != HeadCodeValid {
		t.Fatalf("on display: %+v", a.Headline)
	}
	b.clock.Advance(time.Hour)
	b.capture(b.maker, event("ObjectEvent", "OBSERVE", "retail_selling", b.clock.Now().Format(time.RFC3339), `"epcList":["`+node(u.Ref())+`"]`))
	b.clock.Advance(time.Hour)
	for i := range manyScannersAfterSale {
		if a := b.scan(u.Ref(), fmt.Sprintf("stranger %d", i), ""); a.Headline.Status != HeadCodeValid {
			t.Fatalf("stranger %d: %+v", i, a.Headline)
		}
	}
	if a := b.scan(u.Ref(), "one more", ""); a.Headline.Status != HeadSuspicious {
		t.Fatalf("after %d strangers: %+v", manyScannersAfterSale, a.Headline)
	}
	b.clock.Advance(countedFor)
	b.recent.byRef.InvalidateAll() // as it does after recentMaxAge
	if a := b.scan(u.Ref(), "much later", ""); a.Headline.Status != HeadCodeValid || a.Scan.Count != 2*manyScannersAfterSale+3 {
		t.Fatalf("much later: %+v %+v", a.Headline, a.Scan)
	}
}
