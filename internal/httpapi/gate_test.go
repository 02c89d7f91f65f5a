package httpapi

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// gateBundle is a gate whose patience ends when the test says so.
type gateBundle struct {
	*gate
	t    *testing.T
	late chan time.Time // a value for each waiter whose patience ends
	lock sync.Mutex
	in   []string // who got in, in order
	out  []string // who was turned away
	wg   sync.WaitGroup
	held map[string][]ticket
}

func setupGate(t *testing.T, r room) *gateBundle {
	t.Helper()
	b := &gateBundle{gate: newGate(r), t: t, late: make(chan time.Time), held: map[string][]ticket{}}
	b.timer = func(time.Duration) (<-chan time.Time, func() bool) { return b.late, func() bool { return true } }
	return b
}

func partyID(name string) rateID { return callerID("test", name) }

// ask lets a network ask. It returns when the request is in, waits, or was turned away.
func (b *gateBundle) ask(ctx context.Context, who string) {
	b.t.Helper()
	before := b.waits(who)
	done := make(chan struct{})
	b.wg.Go(func() {
		defer close(done)
		t, ok := b.enter(ctx, partyID(who))
		b.lock.Lock()
		defer b.lock.Unlock()
		if ok {
			b.in = append(b.in, who)
			b.held[who] = append(b.held[who], t)
		} else {
			b.out = append(b.out, who)
		}
	})
	for {
		select {
		case <-done:
			return
		default:
		}
		if b.waits(who) > before {
			return
		}
		runtime.Gosched()
	}
}

// waits is how many requests of a network wait.
func (b *gateBundle) waits(who string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.parties[partyID(who)]; p != nil {
		return len(p.queue)
	}
	return 0
}

// leave ends the work of a network's oldest request, and waits until another is in, if one waits.
func (b *gateBundle) leave(who string) {
	b.t.Helper()
	b.lock.Lock()
	t, before := b.held[who][0], len(b.in)
	b.held[who] = b.held[who][1:]
	b.lock.Unlock()
	b.mu.Lock()
	follows := b.waiting > 0
	b.mu.Unlock()
	t.leave()
	for follows {
		b.lock.Lock()
		follows = len(b.in) == before
		b.lock.Unlock()
		runtime.Gosched()
	}
}

func (b *gateBundle) want(in, out []string) {
	b.t.Helper()
	b.lock.Lock()
	defer b.lock.Unlock()
	if !slices.Equal(b.in, in) || !slices.Equal(b.out, out) {
		b.t.Errorf("in  %v\nwant %v\nout %v\nwant %v", b.in, in, b.out, out)
	}
}

// end lets everybody go and wants the gate empty.
func (b *gateBundle) end() {
	b.t.Helper()
	close(b.late)
	for {
		b.lock.Lock()
		var all []ticket
		for who, ts := range b.held {
			all = append(all, ts...)
			delete(b.held, who)
		}
		b.lock.Unlock()
		for _, t := range all {
			t.leave()
		}
		b.mu.Lock()
		empty := b.running == 0 && b.waiting == 0
		b.mu.Unlock()
		if empty {
			break
		}
		runtime.Gosched()
	}
	b.wg.Wait()
	if len(b.parties) != 0 || b.turn != nil || b.lines != 0 || b.most != 0 {
		b.t.Errorf("%d parties, %d lines, most %d", len(b.parties), b.lines, b.most)
	}
}

func TestGateTurnsAwayAtOnce(t *testing.T) {
	t.Parallel()
	b := setupGate(t, room{slots: 1, waiting: 1, patience: time.Hour})
	ctx := t.Context()
	b.ask(ctx, "a")
	b.ask(ctx, "b")
	b.ask(ctx, "c")
	b.ask(ctx, "b")
	b.want([]string{"a"}, []string{"c", "b"})
	b.leave("a")
	b.want([]string{"a", "b"}, []string{"c", "b"})
	b.end()
}

// However many requests a network has waiting, networks take turns.
func TestGateTakesTurns(t *testing.T) {
	t.Parallel()
	b := setupGate(t, room{slots: 1, waiting: 10, patience: time.Hour})
	ctx := t.Context()
	for _, who := range []string{"a", "a", "a", "a", "b", "c", "b"} {
		b.ask(ctx, who)
	}
	for _, who := range []string{"a", "a", "b", "c", "a", "b"} {
		b.leave(who)
	}
	b.want([]string{"a", "a", "b", "c", "a", "b", "a"}, nil)
	b.end()
}

// A full waiting room has room for a newcomer while somebody holds more than its share.
func TestGateDisplacesTheGreedy(t *testing.T) {
	t.Parallel()
	b := setupGate(t, room{slots: 1, waiting: 4, patience: time.Hour})
	ctx := t.Context()
	for _, who := range []string{"x", "a", "a", "a", "a"} {
		b.ask(ctx, who)
	}
	for _, who := range []string{"a", "b", "c", "b", "d"} { // in turn: no, yes, yes, no, yes
		b.ask(ctx, who)
	}
	b.lock.Lock()
	slices.Sort(b.out)
	b.lock.Unlock()
	b.want([]string{"x"}, []string{"a", "a", "a", "a", "b"})
	for _, who := range []string{"x", "a", "b", "c"} {
		b.leave(who)
	}
	b.want([]string{"x", "a", "b", "c", "d"}, []string{"a", "a", "a", "a", "b"})
	b.end()
}

// No network works in all places, so that a newcomer need not wait for the long work of another.
func TestGateKeepsPlacesFree(t *testing.T) {
	t.Parallel()
	b := setupGate(t, room{slots: 4, waiting: 4, patience: time.Hour})
	ctx := t.Context()
	for range 5 {
		b.ask(ctx, "a")
	}
	b.ask(ctx, "b")
	b.want([]string{"a", "a", "a", "b"}, nil)
	b.lock.Lock()
	free := b.held["b"][0]
	b.held["b"] = nil
	b.lock.Unlock()
	free.leave()
	if b.waits("a") != 2 { // a has its three, and the place stays free
		t.Errorf("%d of a wait", b.waits("a"))
	}
	b.leave("a")
	b.want([]string{"a", "a", "a", "b", "a"}, nil)
	b.end()
}

func TestGateLosesPatience(t *testing.T) {
	t.Parallel()
	b := setupGate(t, room{slots: 1, waiting: 4, patience: time.Hour})
	b.ask(t.Context(), "a")
	b.ask(t.Context(), "b")
	gone, cancel := context.WithCancel(t.Context())
	b.ask(gone, "c")
	b.late <- time.Now() // whoever of the two it reaches
	cancel()
	for n := 0; n < 1; {
		b.lock.Lock()
		n = len(b.out)
		b.lock.Unlock()
	}
	b.end()
}

// A request that would not get its turn in time is turned away at once, and one of another network, whose turn comes sooner, is not.
func TestGateForesees(t *testing.T) {
	t.Parallel()
	b := setupGate(t, room{slots: 1, waiting: 100, patience: time.Second})
	ctx := t.Context()
	b.ask(ctx, "a")
	b.hold = int64(300 * time.Millisecond)
	for range 5 {
		b.ask(ctx, "a")
	}
	b.want([]string{"a"}, []string{"a", "a"}) // three fit into a second
	b.ask(ctx, "b")
	b.want([]string{"a"}, []string{"a", "a"})
	b.end()
}

// Whatever comes, the bounds hold, whoever asks no more than its share is served, and nothing is left behind.
func TestGateUnderStress(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 3))
			g := newGate(room{slots: 1 + r.IntN(8), waiting: r.IntN(20), patience: time.Duration(r.IntN(3)) * time.Millisecond})
			var wg sync.WaitGroup
			for w := range 40 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(w)))
					for range 300 {
						ctx, cancel := context.WithCancel(context.Background())
						if r.IntN(4) == 0 {
							cancel()
						}
						tk, ok := g.enter(ctx, keyOf(r.IntN(1+w)))
						if ok {
							g.mu.Lock()
							if g.running > g.slots || g.waiting > g.room.waiting || tk.party.running > g.each || g.lines > g.waiting {
								t.Errorf("running %d, waiting %d, of one %d, lines %d", g.running, g.waiting, tk.party.running, g.lines)
							}
							g.mu.Unlock()
							tk.leave()
						}
						cancel()
					}
				})
			}
			wg.Wait()
			if g.running != 0 || g.waiting != 0 || len(g.parties) != 0 || g.turn != nil || g.most != 0 {
				t.Errorf("left behind: running %d, waiting %d, parties %d", g.running, g.waiting, len(g.parties))
			}
		})
	}
}

// An attacker with many requests from few networks does not keep another network from its share.
func TestGateIsFairUnderAttack(t *testing.T) {
	t.Parallel()
	b := setupGate(t, room{slots: 2, waiting: 8, patience: time.Hour})
	ctx := t.Context()
	for range 50 {
		b.ask(ctx, "attacker 1")
		b.ask(ctx, "attacker 2")
	}
	served := 0
	for range 30 {
		b.ask(ctx, "honest")
		for _, who := range []string{"attacker 1", "attacker 2", "honest"} {
			b.lock.Lock()
			works := len(b.held[who]) > 0
			b.lock.Unlock()
			if works {
				b.leave(who)
				if who == "honest" {
					served++
				}
			}
			b.ask(ctx, "attacker 1")
			b.ask(ctx, "attacker 2")
		}
	}
	b.lock.Lock()
	refused := slices.Contains(b.out, "honest")
	b.lock.Unlock()
	if refused || served < 25 {
		t.Errorf("%d served, refused: %v", served, refused)
	}
	b.end()
}

func BenchmarkGate(b *testing.B) {
	g := newGate(rooms(2)[costScan])
	b.ReportAllocs()
	ctx := context.Background()
	for b.Loop() {
		t, _ := g.enter(ctx, rateID{1})
		t.leave()
	}
}
