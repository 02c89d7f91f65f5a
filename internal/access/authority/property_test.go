package authority

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
)

// world makes bodies over few days, places and classes, so that they often meet.
type world struct {
	*rand.Rand
	register
}

func newWorld(seed uint64) *world { return &world{Rand: rand.New(rand.NewPCG(seed, 20180420))} }

func (w *world) some(from ...string) []string {
	var out []string
	for _, s := range from {
		if w.IntN(2) == 0 {
			out = append(out, s)
		}
	}
	return out
}

func day(n int) string { return time.Date(2018, 1, 1+n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly) }

const days = 12

func (w *world) body(n int) Authority {
	id := func() string { return fmt.Sprintf("b%02d", w.IntN(n)) }
	a := body(id())
	if w.IntN(3) > 0 {
		a.From = day(w.IntN(days))
	}
	if w.IntN(3) > 0 {
		a.To = day(w.IntN(days))
		if w.IntN(4) > 0 {
			a.Successor = id()
		}
	}
	return a
}

func (w *world) competence() Competence {
	return Competence{
		Matters: w.some(MatterTip, MatterResale), Classes: w.some("wine", "spirits"), Stages: w.some(Stages...),
		Places: w.some("46", "4601", "4602", "460106"),
	}
}

func (w *world) query() Query {
	pick := func(list ...string) string { return list[w.IntN(len(list))] }
	return Query{
		Matter: pick(Matters...), Class: pick("", "wine", "spirits", "toy"), Stage: pick("", StagePort, StageMarket),
		Place: pick("", "46", "4601", "4602", "460106", "4603"),
	}
}

// put tries to put a body, and keeps the register as it was when that is refused.
func (w *world) put(t *testing.T, a Authority) error {
	t.Helper()
	a = a.normalized()
	if err := a.check(); err != nil {
		return err
	}
	tried := register{Bodies: slices.Clone(w.Bodies)}
	rev := int64(0)
	if i := slices.IndexFunc(w.Bodies, func(b Authority) bool { return b.ID == a.ID }); i >= 0 {
		rev = w.Bodies[i].Revision
	}
	_, _, err := tried.put(a, rev)
	if err == nil {
		w.register = tried
	}
	return err
}

// Whatever Put accepts, in whatever order: a body acts for itself while it exists; after that whoever acts for its successor acts for it;
// who acts exists on that day; and every body is in the line of exactly the one that acts for it.
func TestPropertySuccession(t *testing.T) {
	t.Parallel()
	accepted, longest := 0, 0
	for seed := range uint64(80) {
		w := newWorld(seed)
		for range 60 {
			if w.put(t, w.body(8)) == nil {
				accepted++
			}
			longest = max(longest, checkSuccession(t, w.Bodies))
		}
	}
	if accepted < 300 || longest < 3 {
		t.Fatalf("%d bodies were accepted, the longest succession has %d: nothing was tested", accepted, longest)
	}
}

func checkSuccession(t *testing.T, bodies []Authority) (longest int) {
	t.Helper()
	sn := newSnapshot(1, bodies)
	for n := -1; n <= days; n++ {
		today := day(n)
		for i := range bodies {
			a := &bodies[i]
			got, err := sn.acting(a.ID, today)
			want, steps := a, 0
			for want != nil && !want.exists(today) && want.From <= today {
				want = sn.byID[want.Successor]
				if steps++; steps > len(bodies) {
					t.Fatalf("the succession of %s is a circle: %+v", a.ID, bodies)
				}
			}
			longest = max(longest, steps)
			switch {
			case want == nil || today < want.From:
				if fault.CodeOf(err) != "authority_not_acting" {
					t.Fatalf("%s on %s: %v, %v; nobody acts for it", a.ID, today, got, err)
				}
				if want != a && want != nil {
					t.Fatalf("%s ends before its successor %s begins", a.ID, want.ID)
				}
			case err != nil || got != want || !got.exists(today):
				t.Fatalf("%s on %s: %v, %v; want %s", a.ID, today, got, err, want.ID)
			}
		}
	}
	return longest
}

// Whatever Put accepts: for every query and day exactly one body has the most specific competence, and it is the one that is given. And
// what Put refuses as a tie is one: there is a day and a query that two bodies cover with the same rank.
func TestPropertyTheMostSpecificWins(t *testing.T) {
	t.Parallel()
	answered, ties := 0, 0
	for seed := range uint64(100) {
		w := newWorld(seed)
		for range 25 {
			a := w.body(8)
			for range 1 + w.IntN(2) {
				a.Competences = append(a.Competences, w.competence())
			}
			err := w.put(t, a)
			if f, ok := errors.AsType[*fault.Error](err); ok {
				for _, field := range f.Fields {
					if field.Code == "equally_competent" {
						ties++
						witness(t, w.Bodies, a.normalized())
					}
				}
			}
		}
		sn := newSnapshot(1, w.Bodies)
		for range 200 {
			q, today := w.query(), day(w.IntN(days))
			got, ok := sn.competent(&q, today)
			best := mostSpecific(w.Bodies, &q, today)
			if len(best) > 1 {
				t.Fatalf("seed %d: %v are equally competent for %+v on %s", seed, best, q, today)
			}
			if ok != (len(best) == 1) || ok && got.ID != best[0] {
				t.Fatalf("seed %d: %+v on %s: %v, want %v", seed, q, today, got, best)
			}
			if ok {
				answered++
			}
		}
	}
	if answered < 1500 || ties < 60 {
		t.Fatalf("%d queries were answered and %d ties refused: nothing was tested", answered, ties)
	}
}

// mostSpecific is the rule said anew: of the bodies that cover the query those that no other outranks.
func mostSpecific(bodies []Authority, q *Query, today string) (ids []string) {
	var top rank
	for i := range bodies {
		a := &bodies[i]
		if today < a.From || a.To != "" && today >= a.To {
			continue
		}
		for _, c := range a.Competences {
			r, ok := covers(c, q)
			if !ok || ids != nil && r.compare(top) < 0 {
				continue
			}
			if ids == nil || r.compare(top) > 0 {
				top, ids = r, nil
			}
			if !slices.Contains(ids, a.ID) {
				ids = append(ids, a.ID)
			}
		}
	}
	return ids
}

// covers expands a competence into all of its single cells.
func covers(c Competence, q *Query) (best rank, ok bool) {
	cells := func(list []string) []string {
		if len(list) == 0 {
			return []string{""}
		}
		return list
	}
	for _, m := range cells(c.Matters) {
		for _, s := range cells(c.Stages) {
			for _, cl := range cells(c.Classes) {
				for _, p := range cells(c.Places) {
					fits := (m == "" || m == q.Matter) && (s == "" || s == q.Stage) && (cl == "" || cl == q.Class) &&
						len(q.Place) >= len(p) && q.Place[:len(p)] == p
					r := rank{min(len(m), 1), min(len(s), 1), min(len(cl), 1), len(p)}
					if fits && (!ok || r.compare(best) > 0) {
						best, ok = r, true
					}
				}
			}
		}
	}
	return best, ok
}

// witness fails unless some other body on some day covers something with the same rank as a does.
func witness(t *testing.T, bodies []Authority, a Authority) {
	t.Helper()
	for n := -1; n <= days; n++ {
		for _, matter := range Matters {
			for _, class := range []string{"", "wine", "spirits"} {
				for _, stage := range append([]string{""}, Stages...) {
					for _, place := range []string{"", "46", "4601", "4602", "460106"} {
						q := Query{Matter: matter, Class: class, Stage: stage, Place: place}
						for i := range bodies {
							b := &bodies[i]
							if b.ID != a.ID && b.exists(day(n)) && a.exists(day(n)) && equalSomewhere(&a, b, &q) {
								return
							}
						}
					}
				}
			}
		}
	}
	t.Fatalf("refused as a tie, and is none: %+v among %+v", a, bodies)
}

// equalSomewhere says whether two bodies cover a query by cells of one rank.
func equalSomewhere(a, b *Authority, q *Query) bool {
	ranks := func(x *Authority) (out []rank) {
		for _, c := range x.Competences {
			for _, p := range append([]string{}, orEmpty(c.Places)...) {
				single := c
				single.Places = nil
				if p != "" {
					single.Places = []string{p}
				}
				if r, ok := covers(single, q); ok {
					out = append(out, r)
				}
			}
		}
		return out
	}
	other := ranks(b)
	return slices.ContainsFunc(ranks(a), func(r rank) bool { return slices.Contains(other, r) })
}

func orEmpty(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}
