package trace

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// stranger has a key, and nothing to do with the goods. asSource are the members that make it a party of an event.
func (b *bundle) stranger() (f firm.Firm, asSource string) {
	f = b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("", "Stranger"), Kind: firm.Importer, GLNs: []string{"4012345000009"}})
	return f, `"sourceList":[{"type":"owning_party","source":"urn:epc:id:pgln:4012345.00000"}]`
}

// warn puts a red warning about lots of product A, or all of it, in force.
func (b *bundle) warn(lots ...string) warning.Scope {
	sc := warning.Scope{Clauses: []warning.Clause{{GTINs: []string{string(gtinA)}, Lots: lots}}}
	b.warnings.messages = append(b.warnings.messages, &warning.Message{
		No: fmt.Sprintf("HN-%d", len(b.warnings.messages)+1), Rev: 1, Content: warning.Content{Level: warning.Red, Title: lang.ZhEn("毒", "Poison"), Scope: sc},
	})
	return sc
}

func unitOf(serial string) string { return node(gs1.Ref{GTIN: gtinA, Serial: serial}) }

func TestATransactionCommissionsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	stranger, asSource := b.stranger()
	res := b.capture(stranger, event("TransactionEvent", "ADD", "retail_selling", "2026-01-05T00:00:00Z",
		`"epcList":["`+unitOf("FAKE")+`"],"bizTransactionList":[{"type":"po","bizTransaction":"urn:x:1"}],`+asSource))
	if res.Events[0].Confirmed {
		t.Fatal("naming oneself is enough to sell a rival's unit")
	}
	a := b.scan(gs1.Ref{GTIN: gtinA, Serial: "FAKE"}, "v", "")
	if a.Authenticity.Status != AuthUnknownUnit || a.Headline.Status != HeadUnknown || a.Sale.Status != SaleUnsold {
		t.Fatalf("%+v %+v", a.Authenticity, a.Sale)
	}
}

func TestNeighboursInACaseAreNoAncestors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	box := node(gs1.Ref{GTIN: gtinB, Serial: "CASE"})
	make1 := func(serial, lot string) string {
		return event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"ilmd":{"cbvmda:lotNumber":"`+lot+`"},"epcList":["`+unitOf(serial)+`"]`)
	}
	b.capture(b.maker, strings.Join([]string{
		make1("GOOD", "L1"), make1("BAD", "L2"),
		event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", `"parentID":"`+box+`","childEPCs":["`+unitOf("GOOD")+`","`+unitOf("BAD")+`"]`),
	}, ","))
	b.warnings.messages = []*warning.Message{{No: "HN-1", Rev: 1, Content: warning.Content{Level: warning.Red, Title: lang.ZhEn("毒", "Poison"), Scope: warning.Scope{
		Clauses: []warning.Clause{{GTINs: []string{string(gtinA)}, SerialFrom: "BAD", SerialTo: "BAD"}},
	}}}}
	for serial, want := range map[string]string{"GOOD": SafeNoneKnown, "BAD": SafeWarning} {
		if a := b.scan(gs1.Ref{GTIN: gtinA, Serial: serial}, "v", ""); a.Safety.Status != want {
			t.Errorf("%s: %+v", serial, a.Safety)
		}
	}
	if a := b.scan(gs1.Ref{GTIN: gtinB, Serial: "CASE"}, "v", ""); a.Safety.Status != SafeWarning {
		t.Errorf("the case: %+v", a.Safety)
	}
}

func TestStrangersCannotCrowdOutAUnitsHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	stranger, _ := b.stranger()
	var noise []string
	for i := range maxNodeFacts + 10 {
		noise = append(noise, event("ObjectEvent", "OBSERVE", "storing", time.Unix(int64(i), 0).UTC().Format(time.RFC3339), `"epcList":["`+node(u.Ref())+`"]`))
	}
	b.capture(stranger, strings.Join(noise, ","))
	b.capture(b.maker, event("ObjectEvent", "DELETE", "decommissioning", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))
	if a := b.scan(u.Ref(), "v", ""); a.Headline.Status != HeadVoid {
		t.Fatalf("%+v", a.Headline)
	}
}

func TestPartsOfALongEventKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	const id = "urn:x:commissioning"
	stranger, _ := b.stranger()
	b.capture(stranger, event("ObjectEvent", "OBSERVE", "storing", "2026-01-06T00:00:00Z", `"eventID":"`+id+`#1","epcList":["`+unitOf("X")+`"]`))
	var list []string
	for i := range partSize + 1 {
		list = append(list, fmt.Sprintf("%q", unitOf(fmt.Sprintf("S%05d", i))))
	}
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"eventID":"`+id+`","epcList":[`+strings.Join(list, ",")+`]`))
	if a := b.scan(gs1.Ref{GTIN: gtinA, Serial: fmt.Sprintf("S%05d", partSize)}, "v", ""); a.Authenticity.Status != AuthIssued {
		t.Fatalf("the last unit of the event: %+v", a.Authenticity)
	}
}

func TestWhatCannotBeStoredIsRefusedBeforeItIsDecided(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	var inputs []string
	for i := range 3000 {
		inputs = append(inputs, fmt.Sprintf(`"x:%d"`, i))
	}
	ns := "https://example.com/" + strings.Repeat("n", 450) + "/"
	doc, err := epcis.DecodeDocument([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",{"x":"`+ns+`"}],
"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[`+
		event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`)+`,
		{"type":"TransformationEvent","eventTime":"2026-01-04T00:00:00Z","eventTimeZoneOffset":"+00:00","inputEPCList":[`+strings.Join(inputs, ",")+`],
		"outputEPCList":["`+unitOf("OUT")+`"]}]}}`), CaptureLimits)
	must(t, err)
	_, err = b.Capture(t.Context(), b.maker, doc)
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "/epcisBody/eventList/1 event_too_large") {
		t.Fatalf("got %v", err)
	}
	b.clock.Advance(recoverAfter + time.Second)
	if n, err := b.Recover(t.Context()); n != 0 || err != nil {
		t.Fatalf("something was decided: %d, %v", n, err)
	}
}

func TestACaptureThatCannotBeCompletedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	ctx := t.Context()
	must(t, b.captures.Insert(ctx, "a-broken", captureDoc{Firm: b.maker.ID, State: captureRunning, Raws: []string{"gone"}, Created: b.clock.Now()}))
	e, err := epcis.DecodeEvent([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],`+
		event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`)[1:]), CaptureLimits)
	must(t, err)
	r := rawItem(b.maker, e)
	must(t, b.raws.Insert(ctx, r.ID, r.V))
	must(t, b.captures.Insert(ctx, "b-sound", captureDoc{Firm: b.maker.ID, State: captureRunning, Raws: []string{r.ID}, Created: b.clock.Now()}))
	b.clock.Advance(recoverAfter + time.Second)
	if n, err := b.Recover(ctx); n != 1 || err == nil || !strings.Contains(err.Error(), "a-broken") {
		t.Fatalf("recovered %d, %v", n, err)
	}
	if a := b.scan(u.Ref(), "v", ""); a.Sale.Status != SaleSold {
		t.Fatalf("%+v", a.Sale)
	}
}

// A warning names a lot; the events name units. The gift box is found by the lot that its unit was issued for.
func TestDescendantsKnowTheLotsOfUnits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	box := gs1.Ref{GTIN: gtinB, Serial: "BOX"}
	body := `"eventID":"urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8","parentID":"` + node(box) + `","childEPCs":["` + node(u.Ref()) + `"]`
	b.capture(b.maker, event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", body))
	sc := b.warn("L1")
	got, err := b.Descendants(t.Context(), &sc)
	must(t, err)
	if !slices.Equal(got, []gs1.Ref{box}) {
		t.Fatalf("descendants %v", got)
	}
	other := b.warn("L2")
	if got, err := b.Descendants(t.Context(), &other); err != nil || len(got) != 0 {
		t.Fatalf("of another lot: %v, %v", got, err)
	}
	// An event that was declared an error made nothing.
	b.capture(b.maker, event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z",
		body+`,"errorDeclaration":{"declarationTime":"2026-01-08T00:00:00Z","reason":"incorrect_data"}`))
	if got, err := b.Descendants(t.Context(), &sc); err != nil || len(got) != 0 {
		t.Fatalf("after the correction: %v, %v", got, err)
	}
	if a := b.scan(box, "v", ""); a.Safety.Status != SafeNoneKnown {
		t.Fatalf("the scan says %+v", a.Safety)
	}
}

func TestARegisteredCodeDoesNotSpeakForABarCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	ctx := t.Context()
	rival := b.firm(firm.Firm{ID: "rival", Name: lang.ZhEn("", "Rival"), Kind: firm.Importer})
	_, _, err := b.PutProduct(ctx, rival, Product{GTIN: gtinB, Name: lang.ZhEn("", "Harmless"), Category: "spirits"})
	must(t, err)
	_, _, err = b.PutLot(ctx, rival, Lot{GTIN: gtinB, Lot: "SAFE"})
	must(t, err)
	link := "https://haisu.example" + u.Ref().Path()
	_, err = b.PutForeignCodes(ctx, rival, gtinB, "SAFE", []ForeignCode{{Scheme: "brand", Code: "6901234567892"}, {Scheme: "brand", Code: link}})
	if fault.KindOf(err) != fault.Invalid {
		t.Fatalf("a rival registers GS1 codes: %v", err)
	}
	udi := "(01)06901234567892(10)L1(21)MAKERS-OWN"
	_, err = b.PutForeignCodes(ctx, b.maker, gtinA, "L1", []ForeignCode{{Scheme: "udi", Code: udi, Serial: u.Serial}})
	must(t, err)
	b.warn()
	for _, code := range []string{"6901234567892", link, udi} {
		a, err := b.Resolve(ctx, code, ScanRequest{Lang: lang.En})
		must(t, err)
		if a.Asked.GTIN != string(gtinA) || a.Headline.Status != HeadWarning {
			t.Errorf("%s: asked %+v, %+v", code, a.Asked, a.Headline)
		}
		if code == udi && (a.Asked.Scheme != "udi" || a.Level != "unit") {
			t.Errorf("the UDI: %+v, level %s", a.Asked, a.Level)
		}
	}
}

func TestAUnitIsOneUnitWithAndWithoutItsLot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	if a := b.scan(u.Ref(), "me", ""); !a.Scan.First {
		t.Fatalf("%+v", a.Scan)
	}
	if a := b.scan(gs1.Ref{GTIN: gtinA, Serial: u.Serial}, "you", ""); a.Scan.First || a.Scan.Count != 1 {
		t.Fatalf("the same unit without its lot: %+v", a.Scan)
	}
}

// The label of a recalled lot, with the serial of a sound unit: the shopper holds one or the other.
func TestBothLotsCountWhenTheyDiffer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	b.warn("L9")
	for lot, want := range map[string]string{"": HeadCodeValid, "L1": HeadCodeValid, "L9": HeadWarning, "L8": HeadSuspicious} {
		ref := gs1.Ref{GTIN: gtinA, Lot: lot, Serial: u.Serial}
		if a := b.scan(ref, "v", ""); a.Headline.Status != want {
			t.Errorf("lot %q: %+v", lot, a.Headline)
		}
		sub, err := b.Subject(t.Context(), ref)
		must(t, err)
		if affected := len(b.warnings.Match(nil, sub)) > 0; affected != (want == HeadWarning) {
			t.Errorf("lot %q: a holder is alerted: %t", lot, affected)
		}
	}
}

func TestACertainWarningIsNotCutOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	for range maxMatches + 5 {
		b.warn("L-1") // reads like L1
	}
	b.warn("L1")
	a := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1"}, "v", "")
	if a.Findings[0].Match != "certain" || len(a.Findings) != maxMatches {
		t.Fatalf("%d findings, first %+v", len(a.Findings), a.Findings[0])
	}
}

// Whoever follows the edges must not look at a chain that was read before the edge was written by another process.
func TestAFollowerOfEdgesSeesThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	other, err := Open(ctx, b.deps)
	must(t, err)
	made := gs1.Ref{GTIN: gtinA, Lot: "L1"}
	if sub, err := other.Subject(ctx, made); err != nil || len(sub.Ancestors) != 0 {
		t.Fatalf("before: %+v, %v", sub, err)
	}
	b.capture(b.maker, `{"type":"TransformationEvent","bizStep":"commissioning","eventTime":"2025-12-31T00:00:00Z","eventTimeZoneOffset":"+00:00",
		"inputQuantityList":[{"epcClass":"`+node(gs1.Ref{GTIN: gtinB, Lot: "IN7"})+`","quantity":1}],"outputQuantityList":[{"epcClass":"`+node(made)+`","quantity":10}]}`)
	news, _, err := other.MadeChanges(ctx, "", 10)
	must(t, err)
	if !slices.Equal(news, []gs1.Ref{made}) {
		t.Fatalf("made %v", news)
	}
	if sub, err := other.Subject(ctx, made); err != nil || len(sub.Ancestors) != 1 {
		t.Fatalf("after: %+v, %v", sub, err)
	}
}

// Whoever may not speak for a product can neither recall it nor clear it.
func TestARivalsWordNeitherTaintsNorClears(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	ctx := t.Context()
	rival, asSource := b.stranger()
	// A rival packs its own recalled unit into ours.
	res := b.capture(rival, event("AggregationEvent", "ADD", "packing", "2026-01-05T00:00:00Z",
		`"parentID":"`+node(u.Ref())+`","childEPCs":["https://id.gs1.org/01/06901234567908/21/BAD"],`+asSource))
	if res.Events[0].Confirmed {
		t.Error("a rival packs into a unit that is not its own")
	}
	// A rival gives a lot a production date outside the warning's.
	_, _, err := b.PutLot(ctx, b.maker, Lot{GTIN: gtinA, Lot: "L2"})
	must(t, err)
	_, _, err = b.PutLot(ctx, rival, Lot{GTIN: gtinA, Lot: "L2", Produced: "2020-01-01"})
	must(t, err)
	b.warnings.messages = []*warning.Message{{No: "HN-1", Rev: 1, Content: warning.Content{Level: warning.Red, Title: lang.ZhEn("毒", "Poison"), Scope: warning.Scope{
		Clauses: []warning.Clause{{GTINs: []string{string(gtinA)}, ProducedFrom: "2026-02-01"}}}}}}
	if a := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L2"}, "v", ""); a.Headline.Status != HeadWarning {
		t.Errorf("a rival's date clears: %+v", a.Headline)
	}
	// The lot in a link clears nothing for a unit whose lot is not recorded.
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"epcList":["`+unitOf("NOLOT")+`"]`))
	b.warnings.messages = nil
	b.warn("BAD")
	for lot, certain := range map[string]string{"": "possible", "GOOD": "possible", "BAD": "certain"} {
		a := b.scan(gs1.Ref{GTIN: gtinA, Lot: lot, Serial: "NOLOT"}, "v", "")
		if a.Headline.Status != HeadWarning || a.Findings[0].Match != certain {
			t.Errorf("lot %q in the link: %+v %+v", lot, a.Headline, a.Findings)
		}
	}
}

// Two firms use one text for different goods: nobody can tell which is at hand.
func TestOfTwoMeaningsOfACodeTheWorseCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	rival := b.firm(firm.Firm{ID: "rival", Name: lang.ZhEn("", "Rival"), Kind: firm.Importer})
	_, _, err := b.PutProduct(ctx, rival, Product{GTIN: gtinB, Name: lang.ZhEn("", "Harmless"), Category: "spirits"})
	must(t, err)
	_, _, err = b.PutLot(ctx, rival, Lot{GTIN: gtinB, Lot: "SAFE"})
	must(t, err)
	_, err = b.PutForeignCodes(ctx, b.maker, gtinA, "L1", []ForeignCode{{Scheme: "brand", Code: "TIN 7"}})
	must(t, err)
	_, err = b.PutForeignCodes(ctx, rival, gtinB, "SAFE", []ForeignCode{{Scheme: "aa", Code: "tin7"}})
	must(t, err)
	b.warn("L1")
	a, err := b.Resolve(ctx, "TIN7", ScanRequest{Lang: lang.En})
	must(t, err)
	if a.Headline.Status != HeadWarning || a.Asked.GTIN != string(gtinA) {
		t.Fatalf("%+v %+v", a.Asked, a.Headline)
	}
}

// What is written behind the decision makes a document longer than it was when it was checked. A capture that could not roll forward for
// it would hold up whoever waits for it: the flows of all firms, and the alerts.
func TestNothingGrowsTooLargeBehindItsDecision(t *testing.T) {
	t.Parallel()
	b := setup(t)
	build := func(inputs, fill int) *epcis.Document {
		var list []string
		for i := range inputs {
			list = append(list, fmt.Sprintf(`"x:%04d"`, i))
		}
		list = append(list, `"https://example.com/`+strings.Repeat("f", fill)+`"`)
		doc, err := epcis.DecodeDocument([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",{"x":"https://example.com/`+strings.Repeat("n", 450)+`/"}],
"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[
{"type":"TransformationEvent","eventTime":"2026-01-04T00:00:00Z","eventTimeZoneOffset":"+00:00","inputEPCList":[`+strings.Join(list, ",")+`],"outputEPCList":["`+unitOf("OUT")+`"]}]}}`), CaptureLimits)
		must(t, err)
		return doc
	}
	size := func(doc *epcis.Document) int {
		n, err := sizeOf(document(b.maker, doc.Events[0], b.clock.Now())[0].V)
		must(t, err)
		return n
	}
	const some = 1000 // each of the inputs has the same length, so all take the same room
	each := size(build(some+1, 0)) - size(build(some, 0))
	inputs := some + (store.MaxBody-11-size(build(some, 0)))/each
	doc := build(inputs, store.MaxBody-10-size(build(inputs, 0)))
	if n := size(doc); n != store.MaxBody-10 {
		t.Fatalf("%d bytes: the test tests nothing", n)
	}
	if _, err := b.Capture(t.Context(), b.maker, doc); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
	if open, err := b.captures.Count(t.Context(), store.Query{Index: byState, Eq: store.K(captureRunning)}, 1); err != nil || open != 0 {
		t.Errorf("%d captures that cannot end, %v", open, err)
	}
}

// Each part of a transformation has all inputs: a text of some kilobytes would be stored as many megabytes, and be read as such with every leaf of the log.
func TestAnEventIsStoredInBoundedSize(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list := func(prefix string, n int) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`"x:%s%d"`, prefix, i))
		}
		return strings.Join(out, ",")
	}
	e, err := epcis.DecodeEvent([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",{"x":"https://example.com/`+strings.Repeat("n", 450)+`/"}],
"type":"TransformationEvent","eventTime":"2026-01-04T00:00:00Z","eventTimeZoneOffset":"+00:00","inputEPCList":[`+list("i", 1500)+`],"outputEPCList":[`+list("o", 5000)+`]}`), CaptureLimits)
	must(t, err)
	if _, err := b.CaptureEvent(t.Context(), b.maker, e); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "event_too_large") {
		t.Errorf("%v", err)
	}
}
