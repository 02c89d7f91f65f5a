package demo

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

func (b *loadedBundle) states(t *testing.T) []warning.State {
	t.Helper()
	var out []warning.State
	must(t, b.Warnings.All(t.Context(), func(st warning.State) error {
		out = append(out, st)
		return nil
	}))
	return out
}

func testWarnings(t *testing.T, b *loadedBundle) {
	count := map[string]int{}
	var before time.Time
	for _, st := range b.states(t) {
		c := &st.Current
		count[string(c.Level)]++
		count[string(st.Status)]++
		count[c.Regime]++
		if slices.ContainsFunc(st.History, func(m warning.Message) bool { return m.Kind == warning.KindUpdate }) {
			count["updated"]++
		}
		if c.Recall {
			count["recall"]++
		}
		for _, cl := range c.Scope.Clauses {
			switch {
			case len(cl.Lots) > 0:
				count["by lot"]++
			case cl.SerialFrom != "":
				count["by serial"]++
			case cl.ProducedFrom != "":
				count["by date"]++
			default:
				count["by product"]++
			}
		}
		if st.Issued.Before(before) || c.Published.After(noon) {
			t.Errorf("%s was issued at %s, after %s, and last changed at %s", st.No, st.Issued, before, c.Published)
		}
		before = st.Issued
	}
	want := map[string]int{
		"red": 2, "orange": 4, "yellow": 9, "blue": 5, "in_force": 14, "lifted": 4, "retracted": 2, "updated": 3, "recall": 4,
		"food": 12, "product": 3, "cosmetic": 4, "medical_device": 1, "by lot": 16, "by serial": 1, "by date": 2, "by product": 1,
	}
	for what, n := range want {
		if count[what] != n {
			t.Errorf("%d warnings are %q, want %d", count[what], what, n)
		}
	}
	if n := len(b.Warnings.Matcher().InForce()); n != 14 {
		t.Errorf("the matcher of the running service knows %d warnings in force", n)
	}
}

func testSerialRange(t *testing.T, b *loadedBundle) {
	w := b.world
	for n, want := range map[int]string{1: trace.HeadRecalled, 2: trace.HeadRecalled, 3: trace.HeadCodeValid} {
		l := w.lot("junior", n)
		for _, ref := range []gs1.Ref{l.refs[0], l.refs[len(l.refs)-1]} {
			if a := b.look(t, ref); a.Headline.Status != want {
				t.Errorf("watch %s: %s, want %s", ref.Serial, a.Headline.Status, want)
			}
		}
	}
}

func testCounterfeitLot(t *testing.T, b *loadedBundle) {
	w := b.world
	whisky := w.products["corrant-18"]
	if a := b.look(t, gs1.Ref{GTIN: whisky.GTIN, Lot: "L19402Z"}); a.Headline.Status != trace.HeadWarning || a.Headline.Level != "red" {
		t.Errorf("the lot that nobody made: %+v", a.Headline)
	}
	if a := b.look(t, w.lot("corrant-18", 2).refs[0]); a.Headline.Status != trace.HeadCodeValid {
		t.Errorf("a genuine lot: %+v", a.Headline)
	}
}

// Every text is there in Chinese and in English, and each is in its own language.
func testLanguages(t *testing.T, b *loadedBundle) {
	w := b.world
	check := func(what string, text lang.Text) {
		t.Helper()
		zh, en := text[lang.ZhHans], text[lang.En]
		han := func(s string) bool {
			return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
		}
		if zh == "" || en == "" || !han(zh) || han(en) {
			t.Errorf("%s: %q", what, text)
		}
	}
	for _, f := range w.firms {
		check(f.ID, f.Name)
	}
	for id, s := range w.places {
		check(id, s.name)
		check(id, s.city)
	}
	for _, p := range w.inOrder {
		v, err := b.Trace.Product(t.Context(), p.GTIN)
		must(t, err)
		check(p.key, v.Name)
		check(p.key, v.Brand)
		check(p.key, v.Description)
		check(p.key, v.LotHint)
		if v.Origin == "" || v.Net == "" || len(v.Sellers) == 0 {
			t.Errorf("%s: %+v", p.key, v)
		}
	}
	for _, st := range b.states(t) {
		for _, m := range st.History {
			for _, text := range []lang.Text{m.Title, m.Advice, m.Summary, m.Issuer} {
				check(m.ID(), text)
			}
			if m.Rev > 1 {
				check(m.ID(), m.Reason)
			}
			if m.Level.Rank() >= warning.Orange.Rank() {
				check(m.ID()+" short text", m.ShortText)
			}
		}
	}
}

// No number is that of a real product or place: all are in the range of GS1 for demonstrations.
func TestNumbersAreForDemonstration(t *testing.T) {
	t.Parallel()
	w, err := newWorld(noon)
	must(t, err)
	seen := map[gs1.GTIN]bool{}
	for _, p := range w.inOrder {
		if _, err := gs1.ParseGTIN(string(p.GTIN)); err != nil || !strings.HasPrefix(string(p.GTIN), "0952") || seen[p.GTIN] {
			t.Errorf("%s: GTIN %s, %v", p.key, p.GTIN, err)
		}
		seen[p.GTIN] = true
	}
	uris := map[string]string{}
	for id, s := range w.places {
		e, err := gs1.ParseEPC(s.uri())
		must(t, err)
		if digits, _ := e.CompanyDigits(); !strings.HasPrefix(digits, "952") || !w.firms[s.firm].Named(e.String()) || uris[e.String()] != "" {
			t.Errorf("%s: %s", id, e)
		}
		uris[e.String()] = id
	}
}

// The officer of the demonstration may warn of everything, and the real bodies keep what is theirs.
func TestTheDemonstrationHasAnAuthority(t *testing.T) {
	t.Parallel()
	b := loaded(t)
	ctx := t.Context()
	acting, classes, err := b.bodies.Competence(ctx, officer.Authority)
	if err != nil || acting != officer.Authority || !slices.Equal(classes, []string{authority.AllClasses}) {
		t.Errorf("%s may warn of %v, %v", acting, classes, err)
	}
	got, err := b.bodies.Competent(ctx, authority.Query{Matter: authority.MatterWarning, Class: "spirits", Stage: authority.StageMarket, Place: "46", On: noon})
	if err != nil || got.ID != "hn-amr" {
		t.Errorf("%s, %v", got.ID, err)
	}
}
