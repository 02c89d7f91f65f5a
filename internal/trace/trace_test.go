package trace

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

func TestEveryValidDocumentIsCapturedIntoAFreshStore(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(sharedData(t, "epcis/valid"), "*.jsonld"))
	must(t, err)
	if len(files) != 47 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			must(t, err)
			doc, err := epcis.DecodeDocument(data, CaptureLimits)
			must(t, err)
			if doc.Query {
				return // the decoder's business only
			}
			b := setup(t)
			f := b.firm(firm.Firm{
				ID: "granted", Name: lang.ZhEn("", "Granted"), Kind: firm.Importer,
				Grants: []string{"4012345", "4000001", "0614141", "9521321", "9521141", "9521987", "4023333", "5200001", "4054739"},
			})
			res, err := b.Capture(t.Context(), f, doc)
			must(t, err)
			again, err := b.Capture(t.Context(), f, doc)
			must(t, err)
			for i, e := range res.Events {
				if e.Status != "new" || again.Events[i].Status != "known" {
					t.Errorf("event %d: first %+v, again %+v", i, e, again.Events[i])
				}
				raw, err := b.raws.Get(t.Context(), storageID(f, doc.Events[i]))
				must(t, err)
				if sup := doc.Events[i].SuppliedHash; sup != "" && sup != doc.Events[i].HashID() && raw.V.Supplied != sup {
					t.Errorf("event %d: the supplied hash %s is not kept", i, sup)
				}
			}
		})
	}
}

func TestCodesAreIssuedOnceAndOnlyByTheRegistrant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	one, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", 3000, "key")
	must(t, err)
	two, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", 3000, "key")
	must(t, err)
	other, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", 3000, "another")
	must(t, err)
	seen := map[string]bool{}
	for i := range one {
		if one[i].Serial != two[i].Serial || len(one[i].Serial) != serialLen {
			t.Fatalf("a retry gave %s, then %s", one[i].Serial, two[i].Serial)
		}
		seen[one[i].Serial], seen[other[i].Serial] = true, true
	}
	if len(seen) != 6000 {
		t.Fatalf("%d different serials", len(seen))
	}
	stranger := b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("", "Stranger"), Kind: firm.Importer})
	if _, err := b.IssueCodes(ctx, stranger, gtinA, "L1", 1, ""); fault.KindOf(err) != fault.Forbidden {
		t.Fatalf("a stranger: %v", err)
	}
	must(t, b.firms.Grant(ctx, "stranger", "6901234"))
	stranger, err = b.firms.Get(ctx, "stranger")
	must(t, err)
	if _, err := b.IssueCodes(ctx, stranger, gtinA, "L1", 1, ""); err != nil {
		t.Fatalf("with a grant: %v", err)
	}
	for _, n := range []int{0, -1, MaxCodes + 1} {
		if _, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", n, ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("count %d: %v", n, err)
		}
	}
	if _, err := b.IssueCodes(ctx, b.maker, gtinA, "L9", 1, ""); fault.KindOf(err) != fault.NotFound {
		t.Errorf("unknown lot: %v", err)
	}
}

func TestViewMergesFirmsTheRegistrantFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	a := b.firm(firm.Firm{ID: "a-reseller", Name: lang.ZhEn("", "Reseller"), Kind: firm.CrossEcom, Country: "CN"})
	_, created, err := b.PutProduct(ctx, a, Product{GTIN: gtinA, Name: lang.ZhEn("假名", "Wrong name"), Category: "spirits", Origin: "US", Net: "70 cl"})
	must(t, err)
	if !created {
		t.Error("the first PUT did not create")
	}
	b.goods()
	v, err := b.Product(ctx, gtinA)
	must(t, err)
	if v.Name[lang.En] != "Brandy" || v.Origin != "FR" || v.Net != "70 cl" || len(v.Sellers) != 2 || v.Sellers[0].ID != "maker" {
		t.Fatalf("got %+v", v)
	}
	_, created, err = b.PutProduct(ctx, a, Product{GTIN: gtinA, Name: lang.ZhEn("", "Other"), Category: "spirits"})
	must(t, err)
	if created {
		t.Error("the second PUT created")
	}
	if _, err := b.Product(ctx, gtinB); fault.CodeOf(err) != "product_not_found" {
		t.Errorf("unknown product: %v", err)
	}
	_, _, err = b.PutProduct(ctx, a, Product{GTIN: gtinA, Category: "nonsense", Origin: "France"})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "/name") || !strings.Contains(err.Error(), "/category") || !strings.Contains(err.Error(), "/origin") {
		t.Errorf("bad product: %v", err)
	}
}

func TestForeignCodesResolveLikeAScan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.maker.Kind = firm.DutyFree
	u := b.goods()
	ctx := t.Context()
	codes := []ForeignCode{{Scheme: SchemeDutyFree, Code: "HN 2026 0001", Serial: u.Serial}, {Scheme: "udi", Code: "(01)0690"}}
	n, err := b.PutForeignCodes(ctx, b.maker, gtinA, "L1", codes)
	must(t, err)
	again, err := b.PutForeignCodes(ctx, b.maker, gtinA, "L1", codes)
	must(t, err)
	if n != 2 || again != 0 {
		t.Fatalf("added %d, then %d", n, again)
	}
	a, err := b.Resolve(ctx, "ｈｎ20260001 ", ScanRequest{Lang: lang.En})
	must(t, err)
	if a.Level != "unit" || a.Asked.Serial != u.Serial || a.Asked.Scheme != SchemeDutyFree || !a.Scan.First {
		t.Fatalf("got %+v", a)
	}
	_, err = b.PutForeignCodes(ctx, b.maker, gtinA, "L1", []ForeignCode{{Scheme: SchemeDutyFree, Code: "hn20260001"}, {Scheme: "brand", Code: "X1"}})
	if fault.CodeOf(err) != "code_taken" || !strings.Contains(err.Error(), "/codes/0/code") {
		t.Fatalf("a taken code: %v", err)
	}
	if a, err := b.Resolve(ctx, "x1", ScanRequest{Lang: lang.En}); err != nil || a.Level != "lot" {
		t.Fatalf("the other code of that request: %+v, %v", a, err)
	}
	for code, level := range map[string]string{
		"6901234567892": "product", "https://example.com" + u.Ref().Path(): "unit", "(01)06901234567892(10)L1": "lot", "no such code": "none",
	} {
		a, err := b.Resolve(ctx, code, ScanRequest{Lang: lang.En})
		must(t, err)
		if a.Level != level {
			t.Errorf("%q: level %s, want %s", code, a.Level, level)
		}
		if level == "none" && (a.Headline.Status != HeadUnknown || a.Findings[0].Code != "code_unknown") {
			t.Errorf("%q: %+v", code, a.Headline)
		}
	}
}

func sscc(n int) string {
	s := fmt.Sprintf("0690123456%07d", n)
	return "https://id.gs1.org/00/" + s + string(gs1.CheckDigit(s))
}

func event(typ, action, step, when, rest string) string {
	return fmt.Sprintf(`{"type":%q,"action":%q,"bizStep":%q,"eventTime":%q,"eventTimeZoneOffset":"+00:00",%s}`, typ, action, step, when, rest)
}

func TestChainFollowsContainersWhileTheUnitIsInside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	unit := node(u.Ref())
	pallet := sscc(1)
	b.capture(b.maker, strings.Join([]string{
		event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"epcList":["`+unit+`"]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", `"parentID":"`+pallet+`","childEPCs":["`+unit+`"]`),
		event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+pallet+`"]`),
		event("AggregationEvent", "DELETE", "unpacking", "2026-01-04T00:00:00Z", `"parentID":"`+pallet+`"`),
		event("ObjectEvent", "OBSERVE", "storing", "2026-01-05T00:00:00Z", `"epcList":["`+pallet+`"]`),
		event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", `"epcList":["`+unit+`"]`),
	}, ","))
	a := b.scan(u.Ref(), "v", "")
	var got []string
	for _, s := range a.Chain {
		if s.Provenance != ProvMissing {
			got = append(got, s.Title)
		}
	}
	want := []string{"Produced and coded", "Packed", "Shipped", "Unpacked", "Sold at retail"}
	if !slices.Equal(got, want) {
		t.Fatalf("chain %v, want %v", got, want)
	}
	if a.Sale.Status != SaleSold {
		t.Errorf("sale %+v", a.Sale)
	}
}

func TestAWarningAboutAnInputReachesWhatWasMadeOfIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	ctx := t.Context()
	lotA, lotB := node(gs1.Ref{GTIN: gtinA, Lot: "L1"}), node(gs1.Ref{GTIN: gtinB, Lot: "IN7"})
	sc := warning.Scope{Clauses: []warning.Clause{{GTINs: []string{string(gtinB)}, Lots: []string{"IN7"}}}}
	b.warnings.messages = []*warning.Message{{No: "HN-1", Rev: 1, Content: warning.Content{Level: warning.Red, Title: lang.ZhEn("毒", "Poison"), Scope: sc}}}
	if a := b.scan(u.Ref(), "v", ""); a.Safety.Status != SafeNoneKnown {
		t.Fatalf("before: %+v", a.Safety)
	}
	b.capture(b.maker, `{"type":"TransformationEvent","bizStep":"commissioning","eventTime":"2025-12-31T00:00:00Z","eventTimeZoneOffset":"+00:00",
		"inputQuantityList":[{"epcClass":"`+lotB+`","quantity":1}],"outputQuantityList":[{"epcClass":"`+lotA+`","quantity":10}]}`)
	a := b.scan(u.Ref(), "v", "")
	if a.Safety.Status != SafeWarning || a.Headline.Status != HeadWarning || a.Headline.Level != "red" || a.Findings[0].Match != "certain" {
		t.Fatalf("after: %+v %+v", a.Headline, a.Findings)
	}
	made, err := b.Descendants(ctx, &sc)
	must(t, err)
	if !slices.Equal(made, []gs1.Ref{{GTIN: gtinA, Lot: "L1"}}) {
		t.Fatalf("descendants %v", made)
	}
	news, token, err := b.MadeChanges(ctx, "", 10)
	must(t, err)
	if !slices.Equal(news, made) {
		t.Fatalf("made %v", news)
	}
	if news, _, err := b.MadeChanges(ctx, token, 10); err != nil || len(news) != 0 {
		t.Fatalf("again %v, %v", news, err)
	}
}

func TestACyclicAggregationEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	p1, p2 := sscc(1), sscc(2)
	agg := func(parent, child string) string {
		return event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", `"parentID":"`+parent+`","childEPCs":["`+child+`"]`)
	}
	b.capture(b.maker, strings.Join([]string{agg(p1, node(u.Ref())), agg(p2, p1), agg(p1, p2)}, ","))
	if a := b.scan(u.Ref(), "v", ""); len(a.Chain) != 3+len(usualStages) {
		t.Fatalf("%d steps: %+v", len(a.Chain), a.Chain)
	}
}

func TestUnconfirmedEventsStayOffTheChain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	stranger := b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("", "Stranger"), Kind: firm.Importer, GLNs: []string{"4012345000009"}})
	ev := event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`)
	if res := b.capture(stranger, ev); res.Events[0].Confirmed {
		t.Fatal("a stranger's sale is confirmed")
	}
	if a := b.scan(u.Ref(), "v", ""); a.Sale.Status != SaleUnsold {
		t.Fatalf("sale %+v", a.Sale)
	}
	named := event("ObjectEvent", "OBSERVE", "receiving", "2026-01-05T00:00:00Z",
		`"epcList":["`+node(u.Ref())+`"],"destinationList":[{"type":"owning_party","destination":"urn:epc:id:pgln:4012345.00000"}]`)
	if res := b.capture(stranger, named); !res.Events[0].Confirmed {
		t.Fatal("a named destination is not confirmed")
	}
	commission := event("ObjectEvent", "ADD", "commissioning", "2026-01-05T00:00:00Z",
		`"epcList":["https://id.gs1.org/01/06901234567892/21/FAKE"],"destinationList":[{"type":"owning_party","destination":"urn:epc:id:pgln:4012345.00000"}]`)
	if res := b.capture(stranger, commission); res.Events[0].Confirmed {
		t.Fatal("a stranger commissioned a unit")
	}
	a := b.scan(gs1.Ref{GTIN: gtinA, Serial: "FAKE"}, "v", "")
	if a.Authenticity.Status != AuthUnknownUnit {
		t.Fatalf("%+v", a.Authenticity)
	}
}

func TestAnErrorDeclarationTakesBackOnlyItsOwnFirmsEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	shop := b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("", "Shop"), Kind: firm.DutyFree, Grants: []string{"690123456"}})
	body := `"epcList":["` + node(u.Ref()) + `"],"eventID":"urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"`
	sale := event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", body)
	wrong := event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z",
		body+`,"errorDeclaration":{"declarationTime":"2026-01-07T00:00:00Z","reason":"incorrect_data"}`)
	b.capture(shop, sale)
	if a := b.scan(u.Ref(), "v", ""); a.Sale.Status != SaleSoldDutyFree {
		t.Fatalf("sale %+v", a.Sale)
	}
	b.capture(b.maker, wrong)
	if a := b.scan(u.Ref(), "v", ""); a.Sale.Status != SaleSoldDutyFree {
		t.Fatal("another firm took the sale back")
	}
	wrong = strings.Replace(wrong, "2026-01-07", "2026-01-08", 1)
	b.capture(shop, wrong)
	a := b.scan(u.Ref(), "v", "")
	if a.Sale.Status != SaleUnsold || !slices.ContainsFunc(a.Chain, func(s Step) bool { return s.Corrected }) {
		t.Fatalf("after the correction: %+v %+v", a.Sale, a.Chain)
	}
}

func TestTheSameEventTwiceIsAConflictAndAnotherUnderItsIDToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	decode := func(id, step string) *epcis.Event {
		e, err := epcis.DecodeEvent([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"eventID":"`+id+
			`","type":"ObjectEvent","action":"OBSERVE","bizStep":"`+step+`","eventTime":"2026-01-06T00:00:00Z","eventTimeZoneOffset":"+00:00","epcList":["`+node(u.Ref())+`"]}`), CaptureLimits)
		must(t, err)
		return e
	}
	const id = "urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"
	if _, err := b.CaptureEvent(t.Context(), b.maker, decode(id, "shipping")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.CaptureEvent(t.Context(), b.maker, decode(id, "shipping")); fault.CodeOf(err) != "event_exists" {
		t.Fatalf("again: %v", err)
	}
	if _, err := b.CaptureEvent(t.Context(), b.maker, decode(id, "receiving")); fault.CodeOf(err) != "event_id_taken" {
		t.Fatalf("another: %v", err)
	}
}

// dies leaves what a process that captures events leaves when it dies after it has decided and stored the last of them.
func (b *bundle) dies(events ...string) {
	b.t.Helper()
	ctx := b.t.Context()
	doc, err := epcis.DecodeDocument([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[`+
		strings.Join(events, ",")+`]}}`), CaptureLimits)
	must(b.t, err)
	var ids []string
	for _, e := range doc.Events {
		r := rawItem(b.maker, e)
		must(b.t, b.raws.Insert(ctx, r.ID, r.V))
		ids = append(ids, r.ID)
	}
	id := captureID(b.maker, doc.Events)
	must(b.t, b.captures.Insert(ctx, id, captureDoc{Firm: b.maker.ID, State: captureRunning, Raws: ids, Created: b.clock.Now()}))
	part := document(b.maker, doc.Events[len(doc.Events)-1], b.clock.Now())[0]
	part.V.Capture = id
	must(b.t, b.events.Insert(ctx, part.ID, part.V))
}

// A capture that died after it was decided shows nothing, and everything once it was recovered.
func TestACaptureThatDiedIsCompleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	ctx := t.Context()
	b.dies(event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`),
		event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))

	if a := b.scan(u.Ref(), "v", ""); a.Sale.Status != SaleUnsold {
		t.Fatal("an event of an unfinished capture shows")
	}
	if made, token, err := b.MadeChanges(ctx, "", 10); err != nil || len(made) != 0 || token != "" {
		t.Fatalf("the feed went past an unfinished capture: %v %q %v", made, token, err)
	}
	if n, err := b.Recover(ctx); err != nil || n != 0 {
		t.Fatalf("a young capture was recovered: %d, %v", n, err)
	}
	b.clock.Advance(recoverAfter + time.Second)
	if n, err := b.Recover(ctx); err != nil || n != 1 {
		t.Fatalf("recovered %d, %v", n, err)
	}
	if a := b.scan(u.Ref(), "v", ""); a.Sale.Status != SaleSold || a.Chain[0].Title != "Shipped" && len(a.Chain) < 2 {
		t.Fatalf("after recovery: %+v", a.Sale)
	}
}

func TestALongEventIsStoredInPartsAndFoundByEveryUnit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	var list []string
	for i := range 3*partSize + 7 {
		list = append(list, fmt.Sprintf("%q", node(gs1.Ref{GTIN: gtinA, Serial: fmt.Sprintf("S%05d", i)})))
	}
	ilmd := `"ilmd":{"cbvmda:lotNumber":"L1"},`
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", ilmd+`"epcList":[`+strings.Join(list, ",")+`]`))
	for _, i := range []int{0, partSize, 3*partSize + 6} {
		a := b.scan(gs1.Ref{GTIN: gtinA, Serial: fmt.Sprintf("S%05d", i)}, "v", "")
		if a.Level != "unit" || a.Authenticity.Status != AuthIssued || a.Lot == nil || a.Lot.Lot != "L1" {
			t.Errorf("unit %d: %+v, lot %+v", i, a.Authenticity, a.Lot)
		}
	}
}

func TestOneScanIsTheFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	preview, err := b.Scan(t.Context(), ScanRequest{Ref: u.Ref(), Lang: lang.En, Preview: true})
	must(t, err)
	if preview.Scan.Recorded || preview.Scan.First {
		t.Fatalf("a preview was counted: %+v", preview.Scan)
	}
	var mu sync.Mutex
	firsts := 0
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			a, err := b.Scan(t.Context(), ScanRequest{Ref: u.Ref(), Lang: lang.En, Visitor: fmt.Sprint(i)})
			if err != nil || !a.Scan.Recorded {
				t.Errorf("scan %d: %+v, %v", i, a, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if a.Scan.First {
				firsts++
			}
		})
	}
	wg.Wait()
	if firsts != 1 {
		t.Fatalf("%d scans were the first", firsts)
	}
}

func TestNamingOneselfDoesNotEndARivalsUnit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	rival := b.firm(firm.Firm{ID: "rival", Name: lang.ZhEn("", "Rival"), Kind: firm.Importer, GLNs: []string{"4012345000009"}})
	for _, step := range []string{"decommissioning", "destroying"} {
		ev := event("ObjectEvent", "DELETE", step, "2026-01-05T00:00:00Z",
			`"epcList":["`+node(u.Ref())+`"],"sourceList":[{"type":"owning_party","source":"urn:epc:id:pgln:4012345.00000"}]`)
		if res := b.capture(rival, ev); res.Events[0].Confirmed {
			t.Errorf("%s by a rival is confirmed", step)
		}
		if a := b.scan(u.Ref(), "v", ""); a.Headline.Status != HeadCodeValid {
			t.Errorf("%s by a rival: %+v", step, a.Headline)
		}
	}
	b.capture(b.maker, event("ObjectEvent", "DELETE", "destroying", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))
	if a := b.scan(u.Ref(), "v", ""); a.Headline.Status != HeadVoid {
		t.Errorf("destroyed by its maker: %+v", a.Headline)
	}
}

func TestWhatIsInASoldBoxIsSold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	box := node(gs1.Ref{GTIN: gtinB, Serial: "BOX1"})
	b.capture(b.maker, strings.Join([]string{
		event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", `"parentID":"`+box+`","childEPCs":["`+node(u.Ref())+`"]`),
		event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", `"epcList":["`+box+`"]`),
	}, ","))
	if a := b.scan(u.Ref(), "v", ""); a.Sale.Status != SaleSold {
		t.Fatalf("sale %+v", a.Sale)
	}
}

func TestTwoFirmsMayReportOneEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	shop := b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("", "Shop"), Kind: firm.DutyFree, Grants: []string{"690123456"}})
	ev := event("ObjectEvent", "OBSERVE", "shipping", "2026-01-06T00:00:00Z",
		`"eventID":"urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8","epcList":["`+node(u.Ref())+`"]`)
	for _, f := range []firm.Firm{b.maker, shop} {
		if res := b.capture(f, ev); res.Events[0].Status != "new" {
			t.Errorf("%s: %+v", f.ID, res.Events[0])
		}
	}
}

func TestOnlyDutyFreeOperatorsRegisterOfficialLabels(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	_, err := b.PutForeignCodes(t.Context(), b.maker, gtinA, "L1", []ForeignCode{{Scheme: SchemeDutyFree, Code: "HN1"}})
	if fault.CodeOf(err) != "not_duty_free" {
		t.Fatalf("a producer: %v", err)
	}
}
