package trace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// story is a unit's events, one a line: minutes, firm, place, step, then options.
func story(lines string) []fact {
	var out []fact
	for i, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var minutes int
		var f, place, step, more string
		_, _ = fmt.Sscan(line, &minutes, &f, &place, &step, &more)
		e := &eventDoc{
			Firm: f, BizLocation: "https://id.gs1.org/414/" + place, Step: step, Type: "ObjectEvent", Action: "OBSERVE",
			Time: time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC), Things: []thing{{EPC: "u", Role: roleSubject}},
		}
		x := fact{eventDoc: e, id: fmt.Sprintf("e%02d", i)}
		switch kind, value, _ := strings.Cut(more, "="); kind {
		case "in":
			e.Type, e.Action, e.Parent, e.Things[0].Role = "AggregationEvent", "ADD", value, roleChild
		case "out":
			e.Type, e.Action, e.Parent, e.Things[0].Role = "AggregationEvent", "DELETE", value, roleChild
		case "emptied":
			e.Type, e.Action, e.Parent, e.Things = "AggregationEvent", "DELETE", value, nil
		case "made":
			e.Action = "ADD"
		case "free":
			e.DutyFree = true
		case "returned":
			e.Disposition = kind
		case "wrong":
			x.corrected = true
		}
		out = append(out, x)
	}
	return out
}

func codesOf(list []Contradiction) []string {
	out := []string{}
	for _, c := range list {
		out = append(out, c.Code)
	}
	return out
}

var known = circumstances{
	expires: "2026-01-05", recalled: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC),
	cities: map[string]string{"https://id.gs1.org/414/P": "海口", "https://id.gs1.org/414/Q": "三亚", "https://id.gs1.org/414/P/254/2": "海口"},
}

func TestContradictions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		story string
		want  []string
	}{
		"an honest life":          {"0 a P commissioning\n10 a P packing in=S\n20 a P shipping\n200 b Q receiving\n210 b Q unpacking out=S\n300 b Q retail_selling", nil},
		"a second stay in a box":  {"0 a P packing in=S\n10 a P unpacking out=S\n20 a P packing in=S\n30 a P unpacking emptied=S\n40 a P packing in=S", nil},
		"two boxes":               {"0 a P packing in=S\n10 a P packing in=T", []string{TwoContainers}},
		"twice into one box":      {"0 a P packing in=S\n10 a P packing in=S", []string{TwoContainers}},
		"received first":          {"0 a P commissioning\n100 b Q receiving\n200 a P shipping", []string{ReceivedBeforeShipped}},
		"no shipping at all":      {"0 a P commissioning\n100 b Q receiving\n200 b Q storing", nil},
		"sold twice":              {"0 a P retail_selling\n30 a P retail_selling", []string{SoldTwice}},
		"one sale told twice":     {"0 a P retail_selling\n5 a P retail_selling", nil},
		"sold, returned and sold": {"0 a P retail_selling\n30 a P receiving returned\n60 a P retail_selling", nil},
		"one of the sales wrong":  {"0 a P retail_selling wrong\n30 a P retail_selling", nil},
		"duty-free and resold":    {"0 a P retail_selling free\n2000 a P retail_selling", []string{DutyFreeResold}},
		"two cities in an hour":   {"0 a P storing\n59 a Q storing", []string{ImpossibleTravel}},
		"two cities in an hour and more": {
			"0 a P storing\n60 a Q storing", nil,
		},
		"two spots of one site":      {"0 a P storing\n0 a P/254/2 storing", nil},
		"two places at once":         {"0 a P storing\n0 b X storing", []string{TwoPlaces}},
		"sold after its recall":      {"2881 a P retail_selling", []string{UsedAfterRecall}},
		"sold after its date":        {"7000 a P retail_selling", []string{UsedAfterExpiry, UsedAfterRecall}},
		"told of before it was made": {"0 a P storing\n5 a P storing\n10 a P commissioning made", []string{UsedBeforeMade}},
		"encoded before it was made": {"0 a P encoding\n10 a P commissioning made", nil},
		"made twice":                 {"0 a P commissioning made\n30 a P commissioning made", []string{MadeTwice}},
		"one making told twice":      {"0 a P commissioning made\n5 a P commissioning made", nil},
		"alive after its end":        {"0 a P destroying\n10 a P storing", []string{MovedAfterEnd}},
	} {
		if got := codesOf(contradictions("u", story(tt.story), known)); !slices.Equal(got, append([]string{}, tt.want...)) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	for code, grade := range contradictionGrades {
		if text := contradictionTexts[code]; text.zh == "" || text.en == "" || grade == "" {
			t.Errorf("%s has no text or grade", code)
		}
	}
}

// What is found does not depend on the order of telling, and taking an event back takes back whatever it was part of.
func TestContradictionsFollowFromTheEventsAlone(t *testing.T) {
	t.Parallel()
	steps := []string{"storing", "shipping", "receiving", "retail_selling", "destroying", "commissioning made", "packing in=S", "packing in=T", "unpacking out=S", "unpacking emptied=T"}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		var lines []string
		for range 2 + r.IntN(10) {
			step, more, _ := strings.Cut(steps[r.IntN(len(steps))], " ")
			lines = append(lines, fmt.Sprintf("%d %c %c %s %s", r.IntN(9000), 'a'+rune(r.IntN(3)), 'P'+rune(r.IntN(3)), step, more))
		}
		facts := story(strings.Join(lines, "\n"))
		want := contradictions("u", facts, known)
		r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		got := contradictions("u", facts, known)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: shuffled %v, in order %v", seed, got, want)
		}
		for i := range facts {
			facts[i].corrected = true
			for _, c := range contradictions("u", facts, known) {
				if c.First == facts[i].id || c.Second == facts[i].id {
					t.Fatalf("seed %d: %v rests on an event that was declared an error", seed, c)
				}
			}
			facts[i].corrected = false
		}
	}
}

func TestContradictionsAreShownToThoseConcerned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	shop := b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("", "Shop"), Kind: firm.DutyFree, Country: "CN", Grants: []string{"690123456"}})
	b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("", "Stranger"), Kind: firm.Importer})
	unit := node(u.Ref())
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", at("001")+`"epcList":["`+unit+`"]`))
	b.capture(shop, strings.Join([]string{
		event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-02T00:00:00Z", at("002")+`"epcList":["`+unit+`"]`),
		event("ObjectEvent", "OBSERVE", "retail_selling", "2030-01-02T00:00:00Z", at("002")+`"epcList":["`+unit+`"]`),
	}, ","))
	for _, viewer := range []string{"", "shop", "maker"} {
		list, more, err := b.Contradictions(t.Context(), u.Ref(), lang.En, viewer)
		must(t, err)
		if got := codesOf(list); more || !slices.Equal(got, []string{UsedAfterExpiry, DutyFreeResold}) || list[0].Text == "" || list[1].Grade != GradeSerious {
			t.Errorf("%q sees %+v", viewer, list)
		}
	}
	if _, _, err := b.Contradictions(t.Context(), u.Ref(), lang.En, "stranger"); err == nil {
		t.Error("a stranger sees them")
	}
	if _, _, err := b.Contradictions(t.Context(), gs1.Ref{GTIN: gtinA}, lang.En, ""); err == nil {
		t.Error("a product has them")
	}
}

// A unit that comes into one container twice shares its events during both stays, and none between them.
func TestTwoStaysInOneContainer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	unit := node(u.Ref())
	stay := func(action, step, when string) string {
		return event("AggregationEvent", action, step, when, `"parentID":"`+sscc(1)+`","childEPCs":["`+unit+`"]`)
	}
	of := func(step, when string) string {
		return event("ObjectEvent", "OBSERVE", step, when, `"epcList":["`+sscc(1)+`"]`)
	}
	b.capture(b.maker, strings.Join([]string{
		event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"epcList":["`+unit+`"]`),
		stay("ADD", "packing", "2026-01-02T00:00:00Z"), of("shipping", "2026-01-03T00:00:00Z"), stay("DELETE", "unpacking", "2026-01-04T00:00:00Z"),
		of("storing", "2026-01-05T00:00:00Z"),
		stay("ADD", "packing", "2026-01-06T00:00:00Z"), of("receiving", "2026-01-07T00:00:00Z"), stay("DELETE", "unpacking", "2026-01-08T00:00:00Z"),
	}, ","))
	var got []string
	for _, s := range b.scan(u.Ref(), "v", "").Chain {
		if s.Provenance != ProvMissing {
			got = append(got, s.Title)
		}
	}
	if want := []string{"Produced and coded", "Packed", "Shipped", "Unpacked", "Packed", "Received", "Unpacked"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A scan tells of what contradicts itself in what was said by those who may speak for the product, and of nothing that a stranger puts beside it.
func TestAScanTellsOfContradictions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	shop := b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("", "Shop"), Kind: firm.DutyFree, Country: "CN", Grants: []string{"690123456"}})
	rival := b.firm(firm.Firm{ID: "rival", Name: lang.ZhEn("", "Rival"), Kind: firm.Importer, GLNs: []string{"4012345000009"}})
	for _, f := range []firm.Firm{shop, rival} {
		_, _, err := b.PutLot(t.Context(), f, Lot{GTIN: gtinA, Lot: "L1", Expires: map[string]string{"shop": "2031-01-01", "rival": "2026-01-01"}[f.ID]})
		must(t, err)
	}
	unit := node(u.Ref())
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", at("001")+`"epcList":["`+unit+`"]`))
	b.capture(rival, event("ObjectEvent", "OBSERVE", "receiving", "2025-12-01T00:00:00Z",
		`"epcList":["`+unit+`"],"destinationList":[{"type":"owning_party","destination":"https://id.gs1.org/417/4012345000009"}]`))
	see := func(want ...string) {
		t.Helper()
		for _, ref := range []gs1.Ref{u.Ref(), {GTIN: gtinA, Serial: u.Serial}} {
			a := b.scan(ref, "v", "")
			if got := codesOf(a.Contradictions); !slices.Equal(got, want) || slices.ContainsFunc(a.Contradictions, func(c Contradiction) bool { return c.Text == "" }) {
				t.Errorf("a scan of %v tells of %+v, want %q", ref, a.Contradictions, want)
			}
			if a.Authenticity.Status != AuthIssued {
				t.Errorf("%+v", a.Authenticity)
			}
		}
	}
	see(ExpiryDiffers)
	if list, _, err := b.Contradictions(t.Context(), u.Ref(), lang.En, ""); err != nil || !slices.Contains(codesOf(list), UsedBeforeMade) {
		t.Errorf("an officer sees %+v, %v", list, err)
	}
	b.capture(shop, event("ObjectEvent", "OBSERVE", "storing", "2025-11-01T00:00:00Z", at("002")+`"epcList":["`+unit+`"]`))
	b.clock.Advance(time.Minute)
	see(UsedBeforeMade, ExpiryDiffers)
	lot := u.Ref()
	lot.Serial = ""
	if got := codesOf(b.scan(lot, "v", "").Contradictions); !slices.Equal(got, []string{ExpiryDiffers}) {
		t.Errorf("a scan of the lot tells of %q", got)
	}
}
