package trace

import (
	"encoding/json"
	"testing"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// record is one firm's record of product A, told by name alone or with a brand and origin.
func (b *bundle) record(f firm.Firm, brand lang.Text, origin string) {
	b.t.Helper()
	_, _, err := b.PutProduct(b.t.Context(), f, Product{GTIN: gtinA, Name: lang.ZhEn("白兰地", "Brandy"), Category: "spirits", Brand: brand, Origin: origin})
	must(b.t, err)
}

func TestEachFactSaysWhoStandsBehindIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	shop := b.firm(firm.Firm{ID: "a-shop", Name: lang.ZhEn("店", "Shop"), Kind: firm.DutyFree})
	customs := b.firm(firm.Firm{ID: "customs", Name: lang.ZhEn("海关", "Customs"), Kind: firm.Authority})

	b.record(shop, lang.ZhEn("假牌", "Fake"), "IT")
	v, err := b.Product(ctx, gtinA)
	must(t, err)
	stranger := Fact{Status: ProvClaimed, By: "a-shop"}
	if want := (ProductFacts{Name: stranger, Brand: stranger, Category: stranger, Origin: stranger, Net: missing}); asJSON(t, v.Facts) != asJSON(t, want) {
		t.Errorf("a stranger's product has %+v", v.Facts)
	}
	if v.Facts.Brand.Steers() || v.Facts.Origin.Steers() || v.Provenance != ProvClaimed {
		t.Errorf("a stranger's brand and origin steer others: %+v", v)
	}

	b.record(b.maker, lang.Text{lang.ZhHans: "酒厂牌"}, "")
	v, err = b.Product(ctx, gtinA)
	must(t, err)
	own := Fact{Status: ProvClaimed, By: "maker", Own: true}
	if want := (ProductFacts{Name: own, Brand: own, Category: own, Origin: stranger, Net: missing}); asJSON(t, v.Facts) != asJSON(t, want) {
		t.Errorf("with the maker's it has %+v", v.Facts)
	}
	if v.Brand[lang.En] != "" || !v.Facts.Brand.Steers() || v.Facts.Origin.Steers() {
		t.Errorf("a stranger adds to the maker's brand: %v", v.Brand)
	}

	b.record(customs, nil, "FR")
	v, err = b.Product(ctx, gtinA)
	must(t, err)
	if f := v.Facts.Origin; f.Status != ProvVerified || f.By != "customs" || f.Name.In(lang.En) != "Customs" || f.Date != "2026-11-24" || v.Origin != "FR" {
		t.Errorf("an authority's origin is %s by %+v", v.Origin, f)
	}
	if v.Provenance != ProvClaimed {
		t.Errorf("with one fact claimed the whole is %s", v.Provenance)
	}
}

// asJSON makes facts comparable.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

func TestALotOfAStrangerIsClaimedAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	shop := b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("店", "Shop"), Kind: firm.DutyFree})
	b.record(shop, nil, "")
	_, _, err := b.PutLot(ctx, shop, Lot{GTIN: gtinA, Lot: "L9", Produced: "2026-01-01", Declaration: "640120261000012345"})
	must(t, err)
	v, err := b.Lot(ctx, gtinA, "L9")
	must(t, err)
	by := Fact{Status: ProvClaimed, By: "shop"}
	if want := (LotFacts{Produced: by, Expires: missing, Quantity: missing, Declaration: by, Inspection: missing}); asJSON(t, v.Facts) != asJSON(t, want) || v.Provenance != ProvClaimed {
		t.Errorf("the lot is %s by %+v", v.Provenance, v.Facts)
	}
	a := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L9"}, "", "")
	if asJSON(t, a.Lot.Facts) != asJSON(t, v.Facts) {
		t.Errorf("a scan says %+v", a.Lot.Facts)
	}
}

func TestAnAuthoritysEventVerifiesTheNumberThatItNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   string
		number string
		want   string
	}{
		"authority":      {firm.Authority, "640120261000012345", ProvVerified},
		"another number": {firm.Authority, "640120261000099999", ProvClaimed},
		"a firm":         {firm.DutyFree, "640120261000012345", ProvClaimed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			by := b.firm(firm.Firm{ID: "port-body", Name: lang.ZhEn("洋浦海关", "Yangpu Customs"), Kind: c.kind})
			b.goods()
			_, _, err := b.PutLot(t.Context(), b.maker, Lot{GTIN: gtinA, Lot: "L1", Produced: "2026-01-01", Declaration: "640120261000012345", Inspection: "460100126000123001"})
			must(t, err)
			before := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1"}, "", "")
			if before.Lot.Facts.Declaration.Status != ProvClaimed {
				t.Fatalf("before, the declaration is %+v", before.Lot.Facts.Declaration)
			}
			b.inspect(by, c.number)
			a := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1"}, "", "")
			f := a.Lot.Facts.Declaration
			if f.Status != c.want || a.Lot.Facts.Inspection.Status != ProvClaimed || a.Lot.Provenance != ProvClaimed {
				t.Fatalf("the lot's facts are %+v", a.Lot.Facts)
			}
			if c.want == ProvVerified && (f.By != "port-body" || f.Document != c.number || f.Date != "2026-01-29" || f.Name.In(lang.En) != "Yangpu Customs") {
				t.Errorf("the declaration is verified by %+v", f)
			}
			encoded, err := a.AppendJSON(nil)
			must(t, err)
			var again Answer
			must(t, json.Unmarshal(encoded, &again))
			if asJSON(t, again.Lot.Facts) != asJSON(t, a.Lot.Facts) || asJSON(t, again.Product.Facts) != asJSON(t, a.Product.Facts) {
				t.Errorf("the JSON says %+v", again.Lot.Facts)
			}
		})
	}
}

// inspect captures the inspection of lot L1 under a document.
func (b *bundle) inspect(by firm.Firm, number string) {
	b.t.Helper()
	res := b.capture(by, event("ObjectEvent", "OBSERVE", "inspecting", "2026-01-29T02:00:00Z",
		`"quantityList":[{"epcClass":"`+node(gs1.Ref{GTIN: gtinA, Lot: "L1"})+`","quantity":5}],
"bizTransactionList":[{"type":"inv","bizTransaction":"urn:epcglobal:cbv:bt:6901234000001:`+number+`"}]`))
	if len(res.Events) != 1 {
		b.t.Fatalf("captured %+v", res)
	}
}
