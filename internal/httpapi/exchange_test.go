package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// board is an Exchange that replicas of one process share.
type board struct {
	mu     sync.Mutex
	counts map[string]Counts
	err    error
}

func (b *board) Swap(_ context.Context, own Counts) ([]Counts, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	b.counts[own.Replica] = own
	var out []Counts
	for _, c := range b.counts {
		out = append(out, c)
	}
	return out, nil
}

func testHash(purpose, text string) string { return fmt.Sprintf("%s/%x", purpose, text) }

// replicas makes n guards with the same limits that exchange their counts.
func replicas(t *testing.T, n int, l Limits, e Exchange) ([]*Guard, *clocktest.Clock) {
	t.Helper()
	clk := clocktest.New(now)
	var out []*Guard
	for range n {
		g, err := NewGuard(GuardConfig{Limits: &l, Exchange: e, Hash: testHash, Now: clk.Now})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	return out, clk
}

func exchange(t *testing.T, gs []*Guard) {
	t.Helper()
	for _, g := range gs {
		if err := g.swap.once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// The overshoot that swapper's comment states, for a client that asks all replicas as fast as it can, and for one that takes turns.
func TestOvershootOfReplicas(t *testing.T) {
	t.Parallel()
	rates := map[string]Rate{}
	for name, l := range newClasses(new(DefaultLimits()), time.Now, nil).limiters() {
		rates[name] = l.limit
	}
	rates["smallest"] = Rate{Every: 10 * time.Second, Burst: 2}
	for name, rate := range rates {
		for _, n := range []int{1, 2, 3, 6} {
			for _, all := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s by %d at once %v", name, n, all), func(t *testing.T) {
					t.Parallel()
					gs, clk := replicas(t, n, Limits{Read: Bounds{Address: rate}}, &board{counts: map[string]Counts{}})
					id, granted, turn := addressID(netip.MustParseAddr("203.0.113.7")), 0, 0
					whole := time.Duration(rate.Burst) * rate.Every
					term := max(5*whole, time.Minute)
					const steps = 20 // in a second
					check := func(t0 time.Duration) {
						bound := float64(rate.Burst) + t0.Seconds()/rate.Every.Seconds() +
							float64(n-1)*(float64(rate.Burst)+2/rate.Every.Seconds())
						if float64(granted) > bound+float64(n) {
							t.Fatalf("after %v %d requests were granted, and %.0f is the bound", t0, granted, bound)
						}
					}
					for at := time.Duration(0); at < term; at += time.Second / steps {
						for range 1 + int(2*time.Second/steps/rate.Every) { // twice the rate, of each replica or in turn
							if all {
								for _, g := range gs {
									if g.classes.read.address.take(id).ok {
										granted++
									}
								}
							} else if turn++; gs[turn%n].classes.read.address.take(id).ok {
								granted++
							}
						}
						check(at)
						clk.Advance(time.Second / steps)
						if (at+time.Second/steps)%time.Second == 0 {
							exchange(t, gs)
						}
					}
					if least := term.Seconds() / rate.Every.Seconds() * 0.8; float64(granted) < least {
						t.Errorf("%d requests were granted, and the rate allows %.0f", granted, least)
					}
				})
			}
		}
	}
}

// What one replica granted counts at another that has never seen the client, once; and a lost exchange loses nothing.
func TestCountsAreHeardOnce(t *testing.T) {
	t.Parallel()
	e := &board{counts: map[string]Counts{}}
	gs, clk := replicas(t, 2, Limits{Read: Bounds{Address: Rate{Every: time.Minute, Burst: 16}}}, e)
	id := addressID(netip.MustParseAddr("203.0.113.7"))
	take := func(i int) grant { return gs[i].classes.read.address.take(id) }
	for range 6 {
		take(0)
	}
	exchange(t, gs)
	e.err = errors.New("the store is away")
	if err := gs[0].swap.once(t.Context()); err == nil {
		t.Error("a failure is kept secret")
	}
	if err := gs[1].swap.once(t.Context()); err == nil {
		t.Error("a failure is kept secret")
	}
	for range 2 {
		take(0)
	}
	_ = gs[0].swap.once(t.Context())
	e.err = nil
	exchange(t, gs)
	exchange(t, gs)
	if g := take(1); !g.ok || g.left != 16-6-2-1 {
		t.Errorf("%+v", g)
	}
	exchange(t, gs)
	exchange(t, gs)
	if g := take(0); !g.ok || g.left != 16-6-2-1-1 {
		t.Errorf("%+v", g)
	}
	exchange(t, gs)
	clk.Advance(time.Hour)
	exchange(t, gs)
	if g := take(1); g.left != 15 || len(gs[1].classes.read.address.pending) != 0 {
		t.Errorf("%+v, %d pending", g, len(gs[1].classes.read.address.pending))
	}
}

// What is exchanged is bounded, is nothing for clients far from their limit, and has no address in it.
func TestWhatIsExchanged(t *testing.T) {
	t.Parallel()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	clk := clocktest.New(now)
	guard := func() *Guard {
		e, err := OpenExchange(t.Context(), eng, time.Now) // the engine's clock, by which documents expire
		if err != nil {
			t.Fatal(err)
		}
		hash := func(purpose, text string) string { return fmt.Sprintf("%x", fnv(purpose+text)) }
		g, err := NewGuard(GuardConfig{Exchange: e, Hash: hash, Now: clk.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	a, b := guard(), guard()
	stored := func() []store.Record {
		recs, err := eng.All(t.Context(), "rate_counts", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return recs
	}
	light := netip.MustParseAddr("198.51.100.9")
	a.classes.scan.address.take(addressID(light))
	exchange(t, []*Guard{a, b})
	if n := len(stored()); n != 0 {
		t.Errorf("%d documents for nothing", n)
	}
	addr := netip.MustParseAddr("203.0.113.0")
	for range 10 * maxHeavy {
		for range 5 {
			a.classes.login.address.take(addressID(addr))
		}
		addr = addr.Next()
	}
	exchange(t, []*Guard{a, b})
	recs := stored()
	if len(recs) != 1 {
		t.Fatalf("%d documents", len(recs))
	}
	var c Counts
	if err := json.Unmarshal(recs[0].Body, &c); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Windows[len(c.Windows)-1].Granted["login.address"]); n != maxHeavy {
		t.Errorf("%d keys", n)
	}
	for _, plain := range []string{"203.0.113", "cb0071"} {
		if strings.Contains(string(recs[0].Body), plain) {
			t.Errorf("%s holds %s", recs[0].Body, plain)
		}
	}
	if len(b.classes.login.address.pending) != maxHeavy {
		t.Errorf("%d keys were heard", len(b.classes.login.address.pending))
	}
	for range windowsKept {
		exchange(t, []*Guard{a, b})
	}
	rev := stored()[0].Rev
	exchange(t, []*Guard{a, b})
	if got := stored()[0].Rev; got != rev {
		t.Error("a quiet replica goes on writing")
	}
}

func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func TestExchangeNeedsAHash(t *testing.T) {
	t.Parallel()
	if _, err := NewGuard(GuardConfig{Exchange: &board{}}); err == nil {
		t.Error("counts would be exchanged by address")
	}
}
