package trace

import (
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
)

func TestSavingSaysWhatItDid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	p := Product{GTIN: gtinA, Name: lang.ZhEn("白兰地", "Brandy"), Category: "spirits"}
	product := func(p Product, dry bool, want Outcome) Product {
		t.Helper()
		b.clock.Advance(time.Minute)
		stored, o, err := b.SaveProduct(ctx, b.maker, p, dry)
		must(t, err)
		if o != want {
			t.Errorf("the product is %s, want %s", o, want)
		}
		return stored
	}
	product(p, true, New)
	first := product(p, false, New)
	if again := product(p, false, Unchanged); !again.Updated.Equal(first.Updated) {
		t.Errorf("the same product again was updated at %v, first at %v", again.Updated, first.Updated)
	}
	p.Brand = lang.Text{} // what a request without a brand may become
	product(p, false, Unchanged)
	p.Net = "700 mL"
	product(p, true, Changed)
	product(p, false, Changed)
	product(p, true, Unchanged)

	l := Lot{GTIN: gtinB, Lot: "L1", Quantity: 5}
	_, _, err := b.SaveLot(ctx, b.maker, l, true)
	if fault.CodeOf(err) != "product_not_found" {
		t.Errorf("a lot of an unknown product: %v", err)
	}
	l.GTIN = gtinA
	for i, want := range []Outcome{New, New, Unchanged} {
		if _, o, err := b.SaveLot(ctx, b.maker, l, i == 0); err != nil || o != want {
			t.Errorf("save %d of the lot: %s %v, want %s", i, o, err, want)
		}
	}
	l.Produced = "2026-02-30"
	if _, _, err := b.SaveLot(ctx, b.maker, l, true); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a day that is not: %v", err)
	}
}

func TestSavingAtOnceIsNewOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	outcomes := make([]Outcome, 8)
	for i := range outcomes {
		wg.Go(func() {
			_, o, err := b.SaveProduct(t.Context(), b.maker, Product{GTIN: gtinA, Name: lang.ZhEn("甲", ""), Category: "wine"}, false)
			if err != nil {
				t.Error(err)
			}
			outcomes[i] = o
		})
	}
	wg.Wait()
	n := 0
	for _, o := range outcomes {
		if o == New {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%v", outcomes)
	}
}

func TestCheckingStoresNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	shop := b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("免税店", ""), Kind: firm.DutyFree})
	_, _, err := b.PutLot(ctx, shop, Lot{GTIN: gtinA, Lot: "L1"})
	must(t, err)
	codes := []ForeignCode{{Scheme: SchemeDutyFree, Code: "HN1"}, {Scheme: SchemeDutyFree, Code: "hn 1"}, {Scheme: SchemeDutyFree, Code: "HN2"}}
	for i, want := range []int{2, 2, 0} {
		do := b.CheckForeignCodes
		if i == 1 {
			do = b.PutForeignCodes
		}
		if n, err := do(ctx, shop, gtinA, "L1", codes); err != nil || n != want {
			t.Errorf("%d: %d codes are new, %v, want %d", i, n, err, want)
		}
	}
	codes[2].Serial = "S1"
	if _, err := b.CheckForeignCodes(ctx, shop, gtinA, "L1", codes); fault.CodeOf(err) != "code_taken" {
		t.Errorf("a code that is taken: %v", err)
	}

	doc, err := epcis.DecodeDocument([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
		"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-01T00:00:00Z","epcisBody":{"eventList":[
		{"type":"ObjectEvent","eventTime":"2026-11-01T00:00:00Z","eventTimeZoneOffset":"+08:00","action":"OBSERVE","bizStep":"receiving",
		"epcList":["https://id.gs1.org/01/06901234567892/21/S1"]}]}}`), CaptureLimits)
	must(t, err)
	for i, want := range []string{"new", "new", "known"} {
		do := b.CheckCapture
		if i == 1 {
			do = b.Capture
		}
		res, err := do(ctx, b.maker, doc)
		must(t, err)
		if res.Events[0].Status != want {
			t.Errorf("%d: the event is %s, want %s", i, res.Events[0].Status, want)
		}
		if i == 0 {
			if raws, err := b.engine.All(ctx, "epcis_raw", "", 10); err != nil || len(raws) != 0 {
				t.Errorf("%d events were stored by looking, %v", len(raws), err)
			}
		}
	}
}
