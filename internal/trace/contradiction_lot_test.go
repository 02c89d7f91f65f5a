package trace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// lotStory is what is told of a lot, one line each: day, firm, role, step, then amounts or, with a '#', the serials of units.
func lotStory(text string) []lotLine {
	var out []lotLine
	for i, line := range strings.Split(text, "\n") {
		var day int64
		var f, role, step, what string
		_, _ = fmt.Sscan(line, &day, &f, &role, &step, &what)
		m := move{Doc: fmt.Sprintf("%s|e%02d", f, i), At: day * dayMillis, Firm: f, Role: role, Step: step, Action: "OBSERVE"}
		if step == "commissioning" {
			m.Action = "ADD"
		}
		l := lotLine{id: m.Doc, key: m.Doc, at: m.At, firm: f, part: partOfLine(&m), step: step}
		if serials, ok := strings.CutPrefix(what, "#"); ok {
			l.serials = strings.ReplaceAll(serials, ",", " ")
		} else {
			l.amounts = strings.ReplaceAll(strings.ReplaceAll(what, ",", " "), "none", "")
		}
		out = append(out, l)
	}
	return out
}

func TestContradictionsOfALot(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		story string
		want  []string
	}{
		"an honest lot":                {"0 m s commissioning 100\n1 m s shipping 100\n2 b s receiving 100\n3 b s retail_selling 60\n4 b s destroying 40", nil},
		"sold more":                    {"0 m s commissioning 100\n3 b s retail_selling 60\n4 b s retail_selling 41", []string{"more_out_than_made e00 e02 100 101"}},
		"sold and used more":           {"0 m o - 100KGM\n3 b s retail_selling 60.5KGM\n4 c i - 40KGM", []string{"more_out_than_made e00 e02 100 KGM 100.5 KGM"}},
		"made later, all the same":     {"0 m s commissioning 50\n3 b s retail_selling 60\n4 m s commissioning 50", nil},
		"of fractions":                 {"0 m o - 0.3KGM\n3 b s destroying 0.1KGM\n4 b s destroying 0.2KGM", nil},
		"of another unit of measure":   {"0 m o - 100KGM\n3 b s retail_selling 600", nil},
		"of units":                     {"0 m s commissioning #1,2\n3 b s retail_selling #1,2\n4 b s retail_selling #2\n5 b s destroying #3", []string{"more_out_than_made e00 e03 2 3"}},
		"units and pieces":             {"0 m s commissioning 10\n3 b s retail_selling #1,2,3\n4 b s retail_selling 8", []string{"more_out_than_made e00 e02 10 11"}},
		"nobody says how much is made": {"0 m s commissioning none\n3 b s retail_selling 60", nil},
		"nobody says that it is made":  {"3 b s retail_selling 60", nil},
		"shipped more":                 {"0 m s commissioning 100\n1 m s shipping 60\n2 m s shipping 60", []string{"more_shipped_than_made e00 e02 100 120"}},
		"shipped, returned, shipped":   {"0 m s commissioning 100\n1 m s shipping 60\n2 m s receiving 60\n3 m s shipping 100", nil},
		"shipped on by others":         {"0 m s commissioning 100\n1 m s shipping 100\n2 b s shipping 100\n3 c s shipping 100", nil},
		"told of before it was made":   {"0 b s receiving 10\n1 m s commissioning 100", []string{"used_before_made e00 e01"}},
		"encoded before it was made":   {"0 m s encoding 10\n1 m s commissioning 100", nil},
		"made while it was encoded":    {"0 m o encoding 10", nil},
	} {
		lines := lotStory(tt.story)
		var got []string
		for _, c := range lotConflicts(lines) {
			got = append(got, strings.TrimSpace(strings.Join([]string{c.Code, c.First, c.Second, strings.Join(c.Says, " ")}, " ")))
			if c.Grade == "" || c.At.IsZero() {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// More goods out never take a contradiction away, and more made never add one of amounts.
func TestContradictionsOfALotGrowWithWhatLeavesIt(t *testing.T) {
	t.Parallel()
	steps := []string{"s commissioning", "s shipping", "s receiving", "s retail_selling", "s destroying", "i -", "o -", "c packing"}
	amounts := func(list []Contradiction) (n int) {
		for _, c := range list {
			if c.Says != nil {
				n++
			}
		}
		return n
	}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		var lines []string
		for range 1 + r.IntN(12) {
			lines = append(lines, fmt.Sprintf("%d %c %s %d", r.IntN(20), 'a'+rune(r.IntN(3)), steps[r.IntN(len(steps))], 1+r.IntN(50)))
		}
		before := lotConflicts(inOrder(lotStory(strings.Join(lines, "\n"))))
		sold := lotConflicts(inOrder(lotStory(strings.Join(append(lines, "30 a s retail_selling 1000"), "\n"))))
		made := lotConflicts(inOrder(lotStory(strings.Join(append(lines, "0 a s commissioning 1000"), "\n"))))
		if amounts(sold) < amounts(before) {
			t.Fatalf("seed %d: %v, and with more sold %v", seed, before, sold)
		}
		if was := strings.Contains(strings.Join(codesOf(before), " "), MoreOutThanMade); !was && slices.Contains(codesOf(made), MoreOutThanMade) && len(before) > 0 {
			t.Fatalf("seed %d: %v, and with more made %v", seed, before, made)
		}
	}
}

func inOrder(lines []lotLine) []lotLine {
	slices.SortStableFunc(lines, func(a, b lotLine) int { return int(a.at - b.at) })
	return lines
}

func TestDatesOfALotThatDiffer(t *testing.T) {
	t.Parallel()
	record := func(firm, produced, expires string) store.Doc[Lot] {
		return store.Doc[Lot]{V: Lot{Firm: firm, Produced: produced, Expires: expires}}
	}
	list := dateConflicts([]store.Doc[Lot]{
		record("a", "2026-01-01", ""), record("b", "2026-01-01", "2028-01-01"), record("c", "2026-01-02", "2028-01-01"), record("d", "2026-01-02", "2029-01-01"),
	})
	var got []string
	for _, c := range list {
		got = append(got, strings.Join(append([]string{c.Code, c.First, c.Second}, c.Says...), " "))
	}
	if !slices.Equal(got, []string{"produced_differs a c 2026-01-01 2026-01-02", "expiry_differs b d 2028-01-01 2029-01-01"}) {
		t.Errorf("%+v", list)
	}
}

// Through the store: amounts, an error declaration that takes them back, dates, and who sees what.
func TestContradictionsOfALotAreShownToThoseConcerned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Unattended = true
	u := b.goods()
	ref := u.Ref()
	ref.Serial = ""
	shop := b.firm(firm.Firm{ID: "shop", Name: lang.ZhEn("", "Shop"), Kind: firm.DutyFree, Country: "CN", Grants: []string{"690123456"}})
	b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("", "Stranger"), Kind: firm.Importer})
	_, _, err := b.PutLot(t.Context(), shop, Lot{GTIN: gtinA, Lot: "L1", Produced: "2026-01-01", Expires: "2031-01-01"})
	must(t, err)
	lot := node(ref)
	amount := func(action, step, when, n, more string) string {
		return event("ObjectEvent", action, step, when, at("001")+more+`"quantityList":[{"epcClass":"`+lot+`","quantity":`+n+`}]`)
	}
	b.capture(b.maker, strings.Join([]string{
		amount("ADD", "commissioning", "2026-01-01T00:00:00Z", "100", ""),
		amount("OBSERVE", "shipping", "2026-01-02T00:00:00Z", "150", `"eventID":"urn:uuid:8f5b1c8e-4b1f-4f7b-9d55-0f9a4f4d2a11",`),
	}, ","))
	b.capture(shop, amount("OBSERVE", "retail_selling", "2026-01-03T00:00:00Z", "120", ""))
	see := func(viewer string, want ...string) {
		t.Helper()
		list, more, err := b.Contradictions(t.Context(), ref, lang.En, viewer)
		must(t, err)
		got := codesOf(list)
		slices.Sort(got)
		if more || !slices.Equal(got, want) || slices.ContainsFunc(list, func(c Contradiction) bool { return c.Text == "" || c.First == "" || c.Second == "" }) {
			t.Errorf("%q sees %+v, want %q", viewer, list, want)
		}
	}
	see("", ExpiryDiffers, MoreOutThanMade, MoreShippedThanMade)
	see("maker", ExpiryDiffers, MoreShippedThanMade)
	see("shop", ExpiryDiffers)
	if _, _, err := b.Contradictions(t.Context(), ref, lang.En, "stranger"); err == nil {
		t.Error("a stranger sees them")
	}
	b.capture(b.maker, amount("OBSERVE", "shipping", "2026-01-02T00:00:00Z", "150",
		`"eventID":"urn:uuid:8f5b1c8e-4b1f-4f7b-9d55-0f9a4f4d2a11","errorDeclaration":{"declarationTime":"2026-02-01T00:00:00Z","reason":"did_not_occur"},`))
	see("", ExpiryDiffers, MoreOutThanMade)
}
