package audit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
)

// random writes entries of few actors, subjects and actions in batches of random sizes, now and then with a clock that is behind.
func (b *bundle) random(seed uint64, n int) []Entry {
	b.t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	for n > 0 {
		batch := make([]Entry, min(1+r.IntN(6), n))
		for i := range batch {
			batch[i] = Entry{
				Actor:   fmt.Sprintf("operator:%d", r.IntN(3)),
				Action:  fmt.Sprintf("case.%d", r.IntN(3)),
				Subject: []string{"", "case/1", "case/2", "case/3"}[r.IntN(4)],
			}
		}
		b.batch(batch...)
		n -= len(batch)
		b.clock.Advance(time.Duration(r.IntN(2000)-500) * time.Millisecond)
	}
	all := b.list(Filter{}, MaxLimit)
	return all
}

// Every filter, range and page size gives what a look at all entries gives, in the same order.
func TestListAgainstAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.random(1, 300)
	if len(all) != 300 {
		t.Fatalf("%d entries", len(all))
	}
	if !slices.IsSortedFunc(all, func(x, y Entry) int { return y.At.Compare(x.At) }) {
		t.Fatal("not the newest first")
	}
	r := rand.New(rand.NewPCG(2, 2))
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	for range 60 {
		f := Filter{
			Actor: pick("", "", "operator:0", "operator:2", "operator:9"), Subject: pick("", "", "case/1", "case/3"), Action: pick("", "", "case.0", "case.2"),
		}
		if r.IntN(2) == 0 {
			f.From = all[r.IntN(len(all))].At
		}
		if r.IntN(2) == 0 {
			f.To = all[r.IntN(len(all))].At
		}
		var want []int64
		for _, e := range all {
			if (f.Actor == "" || f.Actor == e.Actor) && (f.Subject == "" || f.Subject == e.Subject) && (f.Action == "" || f.Action == e.Action) &&
				!e.At.Before(f.From) && (f.To.IsZero() || e.At.Before(f.To)) {
				want = append(want, e.Seq)
			}
		}
		var got []int64
		for _, e := range b.list(f, 1+r.IntN(40)) {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v\ngot  %v\nwant %v", f, got, want)
		}
	}
}

// A search that finds little reads a bounded number of batches for one page, and goes on with the next.
func TestAPageIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rare := fact(7)
	rare.Actor = "operator:rare"
	b.batch(rare)
	for range maxExamined {
		b.batch(fact(7))
	}
	f := Filter{Subject: "case/7", Actor: "operator:rare"}
	page, next, err := b.List(t.Context(), f, "", 10)
	must(t, err)
	if len(page) != 0 || next == "" {
		t.Fatalf("got %d entries, next %q", len(page), next)
	}
	page, next, err = b.List(t.Context(), f, next, 10)
	must(t, err)
	if len(page) != 1 || page[0].Seq != 1 || next != "" {
		t.Fatalf("got %+v, next %q", page, next)
	}
}

func TestForeignCursorsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(3, 2)
	_, next, err := b.List(t.Context(), Filter{Actor: "operator:chen.yu"}, "", 1)
	must(t, err)
	for _, c := range []string{"x", "AAAA", next + "A", next[:len(next)-1] + "!"} {
		_, _, err := b.List(t.Context(), Filter{Actor: "operator:chen.yu"}, c, 1)
		wantCode(t, err, fault.Malformed, "bad_cursor")
	}
	_, _, err = b.List(t.Context(), Filter{Actor: "operator:other"}, next, 1)
	wantCode(t, err, fault.Malformed, "bad_cursor")
}

// The outcome of an attempt is found wherever it is: on the same page, on another, or nowhere.
func TestOutcomesOfAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var acts []*Act
	for i := range 6 {
		act, err := b.Begin(t.Context(), fact(i))
		must(t, err)
		acts = append(acts, act)
	}
	must(t, acts[1].Done(t.Context(), Change{Subject: "case/else"}))
	must(t, acts[3].Failed(t.Context(), "not_competent"))
	must(t, acts[4].Done(t.Context(), Change{}))
	for _, limit := range []int{1, 2, 100} {
		got := map[int64]string{}
		for _, e := range b.list(Filter{}, limit) {
			if e.Phase == Attempt {
				got[e.Seq] = e.Outcome
			}
		}
		want := map[int64]string{1: Unknown, 2: Done, 3: Unknown, 4: Failed, 5: Done, 6: Unknown}
		for seq, outcome := range want {
			if got[seq] != outcome {
				t.Errorf("pages of %d: attempt %d is shown as %q, want %q", limit, seq, got[seq], outcome)
			}
		}
	}
}
