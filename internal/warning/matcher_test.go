package warning

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// fakeFeed is a feed in memory whose token is a position.
type fakeFeed struct {
	mu       sync.Mutex
	messages []Message
	err      error
	stuck    bool // ignores its ctx until the test ends
	asked    int
	wake     chan struct{}
	release  chan struct{}
}

func newFakeFeed() *fakeFeed {
	return &fakeFeed{wake: make(chan struct{}, 1), release: make(chan struct{})}
}

func (f *fakeFeed) publish(ms ...Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = append(f.messages, ms...)
}

func (f *fakeFeed) set(err error, stuck bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.stuck = err, stuck
}

func (f *fakeFeed) polls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeFeed) Wake() <-chan struct{} { return f.wake }

func (f *fakeFeed) Changes(_ context.Context, token string, limit int) ([]store.Changed[Message], string, error) {
	f.mu.Lock()
	f.asked++
	if f.stuck {
		f.mu.Unlock()
		<-f.release
		return nil, token, errors.New("released")
	}
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, token, f.err
	}
	at, _ := strconv.Atoi(token)
	var out []store.Changed[Message]
	for _, m := range f.messages[at:min(len(f.messages), at+limit)] {
		out = append(out, store.Changed[Message]{Doc: store.Doc[Message]{ID: m.ID(), Rev: 1, V: m}})
	}
	return out, strconv.Itoa(at + len(out)), nil
}

func alertMsg(i int, level Level, recall bool, sc Scope) Message {
	return Message{
		No: numbers.Format(2026, i+1), Rev: 1, Kind: KindAlert, Content: Content{Level: level, Recall: recall, Scope: sc},
		Published: day1.Add(time.Duration(i) * time.Second), Authority: "a", Key: "k",
	}
}

// The matcher gives, for random scopes and subjects, exactly what Affects gives for each warning in force, whatever order of
// publications, updates and lifts led there.
func TestMatcherEqualsBruteForce(t *testing.T) {
	t.Parallel()
	w := world{rand.New(rand.NewPCG(5, 6))}
	hits := 0
	for round := range 60 {
		m := NewMatcher(newFakeFeed(), Options{})
		inForce := map[string]*Message{}
		var all []*Message
		for i := range 40 {
			a := alertMsg(i, Level(Levels[w.IntN(4)].Code), w.IntN(4) == 0, w.scope())
			inForce[a.No] = &a
			all = append(all, &a)
			if w.IntN(2) == 0 {
				u := a
				u.Rev, u.Kind, u.Scope = 2, KindUpdate, w.scope()
				inForce[a.No] = &u
				all = append(all, &u)
			}
			if w.IntN(4) == 0 {
				l := *inForce[a.No]
				l.Rev, l.Kind = l.Rev+1, []MessageKind{KindLift, KindRetract}[w.IntN(2)]
				delete(inForce, a.No)
				all = append(all, &l)
			}
		}
		w.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for i, msg := range all {
			m.Apply(msg)
			if i%3 == 0 {
				m.Apply(all[w.IntN(i+1)]) // a feed may repeat itself
			}
		}
		if n := len(m.InForce()); n != len(inForce) {
			t.Fatalf("round %d: %d in force, want %d", round, n, len(inForce))
		}
		for range 60 {
			s := w.subject()
			got := m.Match(nil, s)
			hits += len(got)
			checkMatches(t, got, inForce, s)
		}
	}
	if hits < 1000 {
		t.Fatalf("only %d matches: the test proves little", hits)
	}
}

func checkMatches(t *testing.T, got []Match, inForce map[string]*Message, s Subject) {
	t.Helper()
	if !slices.IsSortedFunc(got, worstFirst) {
		t.Fatalf("not worst first: %+v", got)
	}
	seen := map[string]Match{}
	for _, g := range got {
		seen[g.Warning.No] = g
		if g.Via != s.ref(-1) && !slices.Contains(s.Ancestors, g.Via) || g.Why == "" {
			t.Fatalf("via %+v why %q of %+v", g.Via, g.Why, s)
		}
	}
	if len(seen) != len(got) {
		t.Fatal("a warning is given twice")
	}
	for no, msg := range inForce {
		affected, sure := Affects(&msg.Scope, s)
		g, found := seen[no]
		if found != affected || g.Certain != sure {
			t.Fatalf("%s: the matcher says %v %v, Affects %v %v; scope %+v subject %+v", no, found, g.Certain, affected, sure, msg.Scope, s)
		}
	}
	for no := range seen {
		if inForce[no] == nil {
			t.Fatalf("%s is not in force", no)
		}
	}
}

func TestMatchOrder(t *testing.T) {
	t.Parallel()
	m := NewMatcher(newFakeFeed(), Options{})
	whole := Scope{Clauses: []Clause{{GTINs: []string{string(gtin(1))}}}}
	someLot := Scope{Clauses: []Clause{{GTINs: []string{string(gtin(1))}, Lots: []string{"Z"}}}}
	for i, c := range []struct {
		level  Level
		recall bool
		scope  Scope
	}{{Blue, false, whole}, {Red, false, someLot}, {Red, false, whole}, {Yellow, true, whole}, {Red, false, whole}} {
		a := alertMsg(i, c.level, c.recall, c.scope)
		m.Apply(&a)
	}
	var got []string
	for _, x := range m.Match(nil, Subject{GTIN: gtin(1)}) {
		got = append(got, x.Warning.No[len("HN-2026-00000"):]+"/"+x.Why)
	}
	if want := []string{"4/product", "5/product", "3/product", "2/lot_unknown", "1/product"}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestMatchersDoNotDisturbReaders(t *testing.T) {
	t.Parallel()
	m := NewMatcher(newFakeFeed(), Options{})
	sc := Scope{Clauses: []Clause{{GTINs: []string{string(gtin(1))}}}}
	first := alertMsg(0, Red, false, sc)
	m.Apply(&first)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := m.Match(nil, Subject{GTIN: gtin(1)}); len(got) == 0 || got[0].Warning.Level != Red {
					t.Error("a warning in force was missed while others were published")
					return
				}
			}
		})
	}
	for i := 1; i < 300; i++ {
		a := alertMsg(i, Blue, false, sc)
		m.Apply(&a)
		l := a
		l.Rev, l.Kind = 2, KindLift
		m.Apply(&l)
	}
	close(stop)
	wg.Wait()
	if n := len(m.InForce()); n != 1 {
		t.Fatalf("%d in force", n)
	}
}

// confirmBundle is a matcher on a fake feed inside a synctest bubble, where time is fake.
func confirmBundle() (*fakeFeed, *Matcher) {
	f := newFakeFeed()
	start := time.Now()
	return f, NewMatcher(f, Options{Mono: func() time.Duration { return time.Since(start) }})
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	t.Run("polls when nothing is known, and not again within two seconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f, m := confirmBundle()
			f.publish(alertMsg(0, Red, false, Scope{Clauses: []Clause{{GTINs: []string{string(gtin(1))}}}}))
			if !m.Confirm(t.Context()) || len(m.Match(nil, Subject{GTIN: gtin(1)})) != 1 {
				t.Fatal("not confirmed, or the warning is not known")
			}
			n := f.polls()
			<-time.After(confirmAge)
			if !m.Confirm(t.Context()) || f.polls() != n {
				t.Fatal("polled although the knowledge is fresh")
			}
			<-time.After(1)
			if !m.Confirm(t.Context()) || f.polls() == n {
				t.Fatal("did not poll although two seconds are over")
			}
		})
	})
	t.Run("a failing store is not confirmed, and is once it works again", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f, m := confirmBundle()
			f.set(store.ErrUnavailable, false)
			if m.Confirm(t.Context()) {
				t.Fatal("confirmed by a store that fails")
			}
			f.set(nil, false)
			if !m.Confirm(t.Context()) {
				t.Fatal("not confirmed by a store that works")
			}
		})
	})
	t.Run("a stuck store costs half a second at most, for all who ask", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f, m := confirmBundle()
			f.set(nil, true)
			start := time.Now()
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if m.Confirm(t.Context()) {
						t.Error("confirmed by a stuck store")
					}
				})
			}
			wg.Wait()
			if d := time.Since(start); d != confirmTimeout {
				t.Errorf("took %v", d)
			}
			if n := f.polls(); n != 1 {
				t.Errorf("%d polls for 20 who asked", n)
			}
			start = time.Now()
			if m.Confirm(t.Context()) || time.Since(start) != 0 {
				t.Error("waited again for a poll that is known to be stuck")
			}
			close(f.release)
			synctest.Wait()
			f.set(nil, false)
			if !m.Confirm(t.Context()) {
				t.Error("not confirmed after the store came back")
			}
		})
	})
	t.Run("the caller's deadline holds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f, m := confirmBundle()
			f.set(nil, true)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			if m.Confirm(ctx) || time.Since(start) != 100*time.Millisecond {
				t.Errorf("took %v", time.Since(start))
			}
			close(f.release)
		})
	})
}

func TestRunFollowsTheFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, m := confirmBundle()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		sc := Scope{Clauses: []Clause{{GTINs: []string{string(gtin(1))}}}}

		f.publish(alertMsg(0, Red, false, sc)) // by another process: found by polling
		<-time.After(pollEvery)
		synctest.Wait()
		if n := len(m.InForce()); n != 1 {
			t.Fatalf("%d in force half a second later", n)
		}
		f.publish(alertMsg(1, Red, false, sc)) // by this process: found at once
		f.wake <- struct{}{}
		synctest.Wait()
		if n := len(m.InForce()); n != 2 {
			t.Fatalf("%d in force after the wake-up", n)
		}
		f.set(store.ErrUnavailable, false)
		<-time.After(confirmAge + 2*pollEvery)
		if m.Confirm(ctx) {
			t.Error("confirmed although the store fails")
		}
		f.set(nil, false)
		<-time.After(pollEvery)
		synctest.Wait()
		n := f.polls()
		if !m.Confirm(ctx) || f.polls() != n {
			t.Error("Run's poll did not confirm")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkMatch matches one scan with 32 ancestors against 100,000 warnings in force.
func BenchmarkMatch(b *testing.B) {
	m := NewMatcher(newFakeFeed(), Options{})
	batch := make([]*Message, 0, 100_000)
	for i := range 100_000 {
		c := Clause{GTINs: []string{string(gtin(i))}}
		switch i % 20 {
		case 0:
			c.Lots = []string{"L-2026/01", "L-2026/02", "L-2026/03"}
		case 1:
			c.SerialFrom, c.SerialTo = "1000", "9000"
		case 2:
			c.ProducedFrom, c.ProducedTo = "2026-01-01", "2026-03-01"
		}
		a := alertMsg(i, Level(Levels[i%4].Code), i%50 == 0, Scope{Clauses: []Clause{c}})
		batch = append(batch, &a)
	}
	m.Apply(batch...)
	for _, bc := range []struct {
		name   string
		spread int // ancestors are products 100,000 apart or more: no warning; else every third is under one
	}{{"clear", 1}, {"affected", 0}} {
		subjects := make([]Subject, 1024)
		r := rand.New(rand.NewPCG(7, 8))
		for i := range subjects {
			s := Subject{GTIN: gtin(200_000 + i), Lot: "L-2026/09", Serial: "77ab", Produced: "2026-06-01"}
			for a := range 32 {
				n := 100_000*(1+r.IntN(9)) + r.IntN(100_000)
				if bc.spread == 0 && a%3 == 0 {
					n = r.IntN(100_000) / 20 * 20 // lots: folded and not found, the dearest case
				}
				if bc.spread == 0 && a == 31 {
					n = 3 + 20*r.IntN(5000) // one hit
				}
				s.Ancestors = append(s.Ancestors, gs1.Ref{GTIN: gtin(n), Lot: fmt.Sprintf("l-%d", a), Serial: fmt.Sprint(a)})
			}
			subjects[i] = s
		}
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			found := 0
			for i := 0; b.Loop(); i++ {
				found += len(m.Match(nil, subjects[i&1023]))
			}
			if (found > 0) != (bc.name == "affected") {
				b.Fatalf("%d matches", found)
			}
		})
	}
}

// BenchmarkApply publishes one more warning beside 100,000 in force.
func BenchmarkApply(b *testing.B) {
	m := NewMatcher(newFakeFeed(), Options{})
	batch := make([]*Message, 0, 100_000)
	for i := range 100_000 {
		a := alertMsg(i, Blue, false, Scope{Clauses: []Clause{{GTINs: []string{string(gtin(i))}}}})
		batch = append(batch, &a)
	}
	m.Apply(batch...)
	for i := 100_000; b.Loop(); i++ {
		a := alertMsg(i, Blue, false, Scope{Clauses: []Clause{{GTINs: []string{string(gtin(i))}}}})
		m.Apply(&a)
	}
}
