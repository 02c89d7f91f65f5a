package trace

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// follow takes all events into the flows, as the worker does.
func (b *bundle) follow() {
	b.t.Helper()
	for more := true; more; {
		var err error
		more, err = b.followEvents(b.t.Context(), 1)
		must(b.t, err)
	}
}

func (b *bundle) whereabouts(start Start, at, viewer string) *Whereabouts {
	b.t.Helper()
	w, err := b.Whereabouts(b.t.Context(), start, moment(b.t, at), viewer)
	must(b.t, err)
	return w
}

func moment(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	must(t, err)
	return at
}

// rows are positions as short texts.
func (w *Whereabouts) rows() []string {
	out := make([]string, 0, len(w.Positions))
	for _, p := range w.Positions {
		amount := ""
		if p.Amount != "" {
			amount = " " + p.Amount + p.UOM
		}
		out = append(out, fmt.Sprintf("%s %s@%s %s ×%d%s", p.Lot, p.Firm.ID, p.Place.URI[strings.LastIndexByte(p.Place.URI, '/')+1:], p.State, p.Units, amount))
	}
	slices.Sort(out)
	return out
}

func (w *Whereabouts) want(t *testing.T, rows ...string) {
	t.Helper()
	slices.Sort(rows)
	if got := w.rows(); !slices.Equal(got, rows) {
		t.Errorf("at %s:\n got %s\nwant %s", w.At.Format(time.RFC3339), strings.Join(got, "\n     "), strings.Join(rows, "\n     "))
	}
}

// at is the place of an event.
func at(place string) string {
	return `"bizLocation":{"id":"urn:epc:id:sgln:690123456.` + place + `.0"},`
}

func unitURI(serial string) string { return node(gs1.Ref{GTIN: gtinA, Serial: serial}) }

func quoted(list ...string) string { return `"` + strings.Join(list, `","`) + `"` }

const lotL1 = `"ilmd":{"cbvmda:lotNumber":"L1"},`

// world: six units of lot L1 are made, packed three to a case, both cases on a pallet, shipped by the maker, received by the seller and
// unpacked; one is sold, one destroyed.
func (b *bundle) world() (seller, shop firm.Firm) {
	seller = b.firm(firm.Firm{ID: "seller", Name: lang.ZhEn("", "Seller"), Kind: firm.DutyFree, Country: "CN", Grants: []string{"690123456"}})
	shop = b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("", "Shop"), Kind: firm.DutyFree, Country: "CN", Grants: []string{"690123456"}})
	u := func(n ...int) string {
		var out []string
		for _, i := range n {
			out = append(out, unitURI(fmt.Sprintf("U%d", i)))
		}
		return quoted(out...)
	}
	b.capture(b.maker, strings.Join([]string{
		event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", at("001")+lotL1+`"epcList":[`+u(1, 2, 3, 4, 5, 6)+`]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", at("001")+`"parentID":"`+sscc(1)+`","childEPCs":[`+u(1, 2, 3)+`]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", at("001")+`"parentID":"`+sscc(2)+`","childEPCs":[`+u(4, 5, 6)+`]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-03T00:00:00Z", at("001")+`"parentID":"`+sscc(9)+`","childEPCs":[`+quoted(sscc(1), sscc(2))+`]`),
		event("ObjectEvent", "OBSERVE", "shipping", "2026-01-04T00:00:00Z", at("001")+`"epcList":["`+sscc(9)+`"]`),
	}, ","))
	b.capture(seller, strings.Join([]string{
		event("ObjectEvent", "OBSERVE", "receiving", "2026-01-05T00:00:00Z", at("002")+`"epcList":["`+sscc(9)+`"]`),
		event("AggregationEvent", "DELETE", "unpacking", "2026-01-06T00:00:00Z", at("002")+`"parentID":"`+sscc(9)+`","childEPCs":[`+quoted(sscc(2))+`]`),
		event("ObjectEvent", "OBSERVE", "shipping", "2026-01-07T00:00:00Z", at("002")+`"epcList":["`+sscc(2)+`"]`),
		event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-09T00:00:00Z", at("002")+`"epcList":[`+u(1)+`]`),
		event("ObjectEvent", "DELETE", "destroying", "2026-01-09T00:00:00Z", at("002")+`"epcList":[`+u(2)+`]`),
	}, ","))
	b.capture(shop, strings.Join([]string{
		event("ObjectEvent", "OBSERVE", "receiving", "2026-01-08T00:00:00Z", at("003")+`"epcList":["`+sscc(2)+`"]`),
		event("AggregationEvent", "DELETE", "unpacking", "2026-01-08T01:00:00Z", at("003")+`"parentID":"`+sscc(2)+`"`),
		event("ObjectEvent", "OBSERVE", "storing", "2026-01-10T00:00:00Z", at("004")+`"epcList":["`+sscc(2)+`"]`),
	}, ","))
	return seller, shop
}

var lotStart = Start{Ref: gs1.Ref{GTIN: gtinA, Lot: "L1"}}

func TestWhereaboutsFollowGoodsInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.world()
	b.follow()
	for at, rows := range map[string][]string{
		"2025-12-31T00:00:00Z": nil,
		"2026-01-01T12:00:00Z": {"L1 maker@6901234560015 here ×6"},
		"2026-01-04T12:00:00Z": {"L1 maker@6901234560015 in_transit ×6"},
		"2026-01-05T12:00:00Z": {"L1 seller@6901234560022 here ×6"},
		"2026-01-07T12:00:00Z": {"L1 seller@6901234560022 here ×3", "L1 seller@6901234560022 in_transit ×3"},
		"2026-01-08T00:30:00Z": {"L1 seller@6901234560022 here ×3", "L1 shop@6901234560039 here ×3"},
		// The case that went on to another place was empty by then.
		"2026-01-31T00:00:00Z": {"L1 seller@6901234560022 here ×1", "L1 seller@6901234560022 sold ×1", "L1 seller@6901234560022 ended ×1", "L1 shop@6901234560039 here ×3"},
	} {
		w := b.whereabouts(lotStart, at, "")
		w.want(t, rows...)
		if len(w.Truncated) > 0 || len(w.Made) > 0 || len(w.Reported) > 0 {
			t.Errorf("at %s: %+v", at, w)
		}
	}
	one := b.whereabouts(Start{Ref: gs1.Ref{GTIN: gtinA, Serial: "U5"}}, "2026-01-31T00:00:00Z", "")
	one.want(t, "L1 shop@6901234560039 here ×1")
	pallet := Start{SSCC: strings.TrimPrefix(sscc(9), "https://id.gs1.org/00/")}
	b.whereabouts(pallet, "2026-01-07T12:00:00Z", "").want(t, "L1 seller@6901234560022 here ×3", "L1 seller@6901234560022 in_transit ×3")
	b.whereabouts(pallet, "2026-01-02T12:00:00Z", "").want(t)
	for _, bad := range []Start{{Ref: gs1.Ref{GTIN: gtinA}}, {SSCC: "123"}, {Ref: gs1.Ref{GTIN: gtinA, Lot: "\x00"}}} {
		if _, err := b.Whereabouts(t.Context(), bad, b.clock.Now(), ""); err == nil {
			t.Errorf("%+v was followed", bad)
		}
	}
}

func TestFirmsSeeOneStepUpAndDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.world()
	b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("", "Stranger"), Kind: firm.Importer})
	b.follow()
	const end = "2026-01-31T00:00:00Z"
	if w := b.whereabouts(lotStart, end, "seller"); len(w.Positions) != 4 || w.Withheld != (Withheld{}) {
		t.Errorf("the seller, who dealt with both: %v, withheld %+v", w.rows(), w.Withheld)
	}
	w := b.whereabouts(lotStart, end, "maker")
	w.want(t, "L1 seller@6901234560022 here ×1", "L1 seller@6901234560022 sold ×1", "L1 seller@6901234560022 ended ×1")
	if w.Withheld != (Withheld{Units: 3, Rows: 1, Firms: 1}) || w.Units != 6 {
		t.Errorf("withheld from the maker: %+v of %d", w.Withheld, w.Units)
	}
	for _, start := range []Start{lotStart, {Ref: gs1.Ref{GTIN: gtinA, Lot: "none"}}} {
		if _, err := b.Whereabouts(t.Context(), start, b.clock.Now(), "stranger"); fault.CodeOf(err) != "not_found" {
			t.Errorf("a stranger: %v", err)
		}
	}
}

func TestLateFactsAndCorrectionsMoveGoods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seller := b.firm(firm.Firm{ID: "seller", Name: lang.ZhEn("", "Seller"), Kind: firm.DutyFree, Country: "CN", Grants: []string{"690123456"}})
	sale := event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-03T00:00:00Z", at("002")+`"epcList":["`+unitURI("A")+`"]`)
	b.capture(seller, sale)
	b.capture(b.maker, event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", at("001")+`"parentID":"`+sscc(1)+`","childEPCs":[`+quoted(unitURI("A"), unitURI("B"))+`]`))
	b.follow()
	b.whereabouts(lotStart, "2026-01-31T00:00:00Z", "").want(t) // nobody has told the lot of A and B
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", at("001")+lotL1+`"epcList":[`+quoted(unitURI("A"), unitURI("B"))+`]`))
	b.follow()
	b.whereabouts(lotStart, "2026-01-31T00:00:00Z", "").want(t, "L1 seller@6901234560022 sold ×1", "L1 maker@6901234560015 here ×1")
	b.capture(seller, strings.Replace(sale, `"eventTime"`, `"eventID":"`+b.onlyEvent(unitURI("A"), "retail_selling")+`","errorDeclaration":{"declarationTime":"2026-02-01T00:00:00Z","reason":"urn:epcglobal:cbv:er:did_not_occur"},"eventTime"`, 1))
	b.follow()
	b.whereabouts(lotStart, "2026-01-31T00:00:00Z", "").want(t, "L1 maker@6901234560015 here ×2")
	// All over again, as after a restore: every line counts once.
	must(t, b.followers.Delete(t.Context(), flowFollower))
	b.follow()
	b.whereabouts(lotStart, "2026-01-31T00:00:00Z", "").want(t, "L1 maker@6901234560015 here ×2")
}

// onlyEvent is the ID of the one event of a node with a step.
func (b *bundle) onlyEvent(n, step string) string {
	b.t.Helper()
	facts, err := b.eventsOf(b.t.Context(), n)
	must(b.t, err)
	for _, f := range facts {
		if f.Step == step {
			return f.id
		}
	}
	b.t.Fatalf("no %s of %s", step, n)
	return ""
}

func TestWhatWasMadeIsFollowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lot := func(l string) string { return "https://id.gs1.org/01/" + string(gtinA) + "/10/" + l }
	set := node(gs1.Ref{GTIN: gtinB, Serial: "SET"})
	b.capture(b.maker, strings.Join([]string{
		event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", at("001")+lotL1+`"epcList":[`+quoted(unitURI("A"), unitURI("B"), unitURI("C"))+`]`),
		event("ObjectEvent", "ADD", "commissioning", "2026-01-02T00:00:00Z", at("001")+`"ilmd":{"cbvmda:lotNumber":"S1"},"epcList":["`+set+`"]`),
		strings.Replace(event("TransformationEvent", "", "commissioning", "2026-01-03T00:00:00Z", at("002")+`"inputEPCList":["`+unitURI("A")+`"],"outputQuantityList":[{"epcClass":"`+lot("M1")+`","quantity":40,"uom":"KGM"}]`), `"action":"",`, "", 1),
		event("AggregationEvent", "ADD", "assembling", "2026-01-03T00:00:00Z", at("001")+`"parentID":"`+set+`","childEPCs":["`+unitURI("B")+`"]`),
		event("ObjectEvent", "OBSERVE", "shipping", "2026-01-04T00:00:00Z", at("001")+`"epcList":["`+set+`"]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-04T00:00:00Z", at("002")+`"parentID":"`+sscc(1)+`","childQuantityList":[{"epcClass":"`+lot("M1")+`","quantity":25.5,"uom":"KGM"}]`),
		event("ObjectEvent", "OBSERVE", "receiving", "2026-01-05T00:00:00Z", at("003")+`"epcList":["`+sscc(1)+`"]`),
		event("AggregationEvent", "DELETE", "unpacking", "2026-01-06T00:00:00Z", at("003")+`"parentID":"`+sscc(1)+`","childQuantityList":[{"epcClass":"`+lot("M1")+`","quantity":5.5,"uom":"KGM"}]`),
		event("ObjectEvent", "OBSERVE", "storing", "2026-01-07T00:00:00Z", at("004")+`"epcList":["`+sscc(1)+`"]`),
	}, ","))
	b.follow()
	w := b.whereabouts(lotStart, "2026-01-31T00:00:00Z", "")
	w.want(t, "L1 maker@6901234560022 used ×1", "L1 maker@6901234560015 here ×1", "L1 maker@6901234560015 in_transit ×1",
		"S1 maker@6901234560015 in_transit ×1", "M1 maker@6901234560046 here ×0 20KGM", "M1 maker@6901234560039 here ×0 5.5KGM")
	var made []string
	for _, m := range w.Made {
		made = append(made, fmt.Sprintf("%s %s ×%d", m.GTIN, m.Lot, m.Units))
	}
	if !slices.Equal(made, []string{"06901234567892 M1 ×0", "06901234567908 S1 ×1"}) {
		t.Errorf("made: %q", made)
	}
	if len(w.Reported) != 1 || w.Reported[0].Amount != "40" || w.Reported[0].UOM != "KGM" || w.Reported[0].Lot != "M1" {
		t.Errorf("reported: %+v", w.Reported)
	}
	b.whereabouts(lotStart, "2026-01-02T12:00:00Z", "").want(t, "L1 maker@6901234560015 here ×3")
}

func TestCyclesEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pack := func(parent, child, when string) string {
		return event("AggregationEvent", "ADD", "packing", when, at("001")+`"parentID":"`+parent+`","childEPCs":["`+child+`"]`)
	}
	b.capture(b.maker, strings.Join([]string{
		event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", at("001")+lotL1+`"epcList":["`+unitURI("A")+`"]`),
		pack(sscc(1), unitURI("A"), "2026-01-02T00:00:00Z"),
		pack(sscc(2), sscc(1), "2026-01-03T00:00:00Z"),
		pack(sscc(1), sscc(2), "2026-01-04T00:00:00Z"),
	}, ","))
	b.follow()
	for _, start := range []Start{lotStart, {Ref: gs1.Ref{GTIN: gtinA, Serial: "A"}}, {SSCC: sscc(2)[len("https://id.gs1.org/00/"):]}} {
		if w := b.whereabouts(start, "2026-01-31T00:00:00Z", ""); w.Units != 1 {
			t.Errorf("%+v: %d units", start, w.Units)
		}
	}
	if a := b.scan(gs1.Ref{GTIN: gtinA, Serial: "A"}, "v", ""); !a.Scan.Recorded {
		t.Error("the scan was not answered")
	}
}

func TestAmountsAreRead(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		n    float64
		unit string
	}{
		"": {0, ""}, "12": {12, ""}, "12EA": {12, "EA"}, "2.5KGM": {2.5, "KGM"}, "1e3": {1000, ""}, "1E3KGM": {1000, "KGM"}, "1E+2EA": {100, "EA"},
		"-4KGM": {0, "KGM"}, "NaN": {0, "NaN"}, "1e400KGM": {0, "KGM"}, "7E": {7, "E"}, "5H87": {5, "H87"},
	} {
		if n, unit := parseAmount(in); n != want.n || unit != want.unit {
			t.Errorf("%q: %g %q", in, n, unit)
		}
	}
}

func TestBaseOfSurvivesAnyPart(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"f1|urn:uuid:1", "f1|ni:///sha-256;ab?ver=CBV2.0"} {
		for suffix, first := range map[string]bool{"": true, "|3": false, "|error-20260101T000000.000Z": true, "|error-20260101T000000.000Z|2": false} {
			if baseOf(id+suffix) != id || firstPart(id+suffix) != first {
				t.Errorf("%s: base %s, first %v", id+suffix, baseOf(id+suffix), firstPart(id+suffix))
			}
		}
	}
}

// Times are milliseconds, UTC, whatever the clock and the question have.
func TestTimesOfAnswersAreMilliseconds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.Advance(123*time.Millisecond + 456_789)
	unit := b.goods().Ref()
	b.follow()
	asked := b.clock.Now().In(time.FixedZone("", 8*3600))
	want := asked.UTC().Truncate(time.Millisecond)
	w, err := b.Whereabouts(t.Context(), lotStart, asked, "")
	must(t, err)
	l, err := b.Ancestors(t.Context(), lotStart, asked, "")
	must(t, err)
	p, err := b.Product(t.Context(), gtinA)
	must(t, err)
	for name, got := range map[string]time.Time{
		"whereabouts at": w.At, "whereabouts as of": w.AsOf, "lineage at": l.At, "product updated": p.Updated,
		"safety as of": b.scan(unit, "v", "").Safety.AsOf,
	} {
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestAncestorsAreFoundInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lot := func(l string) string { return "https://id.gs1.org/01/" + string(gtinB) + "/10/" + l }
	transform := func(when, in, out string) string {
		return strings.Replace(event("TransformationEvent", "", "commissioning", when, at("002")+in+","+out), `"action":"",`, "", 1)
	}
	supplier := b.firm(firm.Firm{ID: "supplier", Name: lang.ZhEn("", "Supplier"), Kind: firm.Producer, Grants: []string{"690123456"}})
	b.capture(supplier, transform("2026-01-01T00:00:00Z", `"inputQuantityList":[{"epcClass":"`+lot("GRAIN")+`","quantity":9,"uom":"KGM"}]`, `"outputQuantityList":[{"epcClass":"`+lot("MALT")+`"}]`))
	b.capture(b.maker, strings.Join([]string{
		transform("2026-01-02T00:00:00Z", `"inputQuantityList":[{"epcClass":"`+lot("MALT")+`","quantity":5,"uom":"KGM"}]`, `"ilmd":{"cbvmda:lotNumber":"L1"},"outputEPCList":["`+unitURI("A")+`"]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-03T00:00:00Z", at("002")+`"parentID":"`+sscc(1)+`","childEPCs":["`+unitURI("A")+`"]`),
		event("AggregationEvent", "DELETE", "unpacking", "2026-01-05T00:00:00Z", at("002")+`"parentID":"`+sscc(1)+`"`),
		transform("2026-01-06T00:00:00Z", `"inputQuantityList":[{"epcClass":"`+lot("LATER")+`","quantity":5,"uom":"KGM"}]`, `"outputQuantityList":[{"epcClass":"`+lot("GRAIN")+`"}]`),
	}, ","))
	b.follow()
	list := func(start Start, when, viewer string) (out []string) {
		l, err := b.Ancestors(t.Context(), start, moment(t, when), viewer)
		must(t, err)
		for _, a := range l.Items {
			out = append(out, fmt.Sprintf("%d %s %s%s", a.Depth, a.Relation, a.Lot, a.Serial))
		}
		if l.Withheld.Rows > 0 {
			out = append(out, fmt.Sprintf("%d withheld", l.Withheld.Rows))
		}
		return out
	}
	unit := Start{Ref: gs1.Ref{GTIN: gtinA, Serial: "A"}}
	box := Start{SSCC: sscc(1)[len("https://id.gs1.org/00/"):]}
	for _, tt := range []struct {
		start  Start
		when   string
		viewer string
		want   []string
	}{
		// GRAIN was made of LATER only after it had gone into MALT.
		{unit, "2026-01-31T00:00:00Z", "", []string{"1 input MALT", "2 input GRAIN"}},
		{unit, "2026-01-01T12:00:00Z", "", nil},
		{box, "2026-01-04T00:00:00Z", "", []string{"1 content A", "2 input MALT", "3 input GRAIN"}},
		{box, "2026-01-31T00:00:00Z", "", nil},
		{lotStart, "2026-01-31T00:00:00Z", "", []string{"1 input MALT", "2 input GRAIN"}},
		{unit, "2026-01-31T00:00:00Z", "maker", []string{"1 input MALT", "2 input GRAIN"}},
	} {
		if got := list(tt.start, tt.when, tt.viewer); !slices.Equal(got, tt.want) {
			t.Errorf("%+v at %s for %q: %q, want %q", tt.start, tt.when, tt.viewer, got, tt.want)
		}
	}
	if _, err := b.Ancestors(t.Context(), unit, b.clock.Now(), "stranger"); fault.CodeOf(err) != "not_found" {
		t.Errorf("a stranger: %v", err)
	}
}

// Whoever names itself as the source of a rival's goods, before and after everything that others said of them, is nobody's partner by that.
func TestNamingOneselfShowsNothingOfOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.world()
	stranger, asSource := b.stranger()
	for day := 1; day <= 11; day++ {
		for hour, things := range map[int]string{1: sscc(9), 2: sscc(2), 3: unitURI("U1"), 4: unitURI("U5")} {
			for _, minute := range []int{0, 59} {
				res := b.capture(stranger, event("ObjectEvent", "OBSERVE", "inspecting", fmt.Sprintf("2026-01-%02dT%02d:%02d:00Z", day, hour, minute), `"epcList":["`+things+`"],`+asSource))
				if !res.Events[0].Confirmed {
					t.Fatal("the event is not confirmed: the test tests nothing")
				}
			}
		}
	}
	b.follow()
	for _, start := range []Start{lotStart, {Ref: gs1.Ref{GTIN: gtinA, Serial: "U5"}}, {SSCC: strings.TrimPrefix(sscc(2), "https://id.gs1.org/00/")}} {
		w := b.whereabouts(start, "2026-01-31T00:00:00Z", "stranger")
		for _, p := range w.Positions {
			if p.Firm.ID != "stranger" {
				t.Errorf("%+v: the stranger sees %+v", start, p)
			}
		}
		for _, r := range w.Reported {
			t.Errorf("%+v: the stranger sees %+v", start, r)
		}
	}
	l, err := b.Ancestors(t.Context(), Start{SSCC: strings.TrimPrefix(sscc(2), "https://id.gs1.org/00/")}, moment(t, "2026-01-05T00:00:00Z"), "stranger")
	must(t, err)
	if len(l.Items) != 0 || l.Withheld.Rows == 0 {
		t.Errorf("the stranger sees %+v, withheld %+v", l.Items, l.Withheld)
	}
}
