package coldchain

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

const (
	gtinA  = gs1.GTIN("06901234567892")
	lotA   = "https://id.gs1.org/01/06901234567892/10/L1"
	pallet = "https://id.gs1.org/00/069012345600000015"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	maker   = firm.Firm{ID: "maker", Kind: firm.Producer, Prefixes: []string{"690123456"}}
	carrier = firm.Firm{ID: "carrier", Kind: firm.Carrier}
)

// graph is a trace graph that is told.
type graph struct {
	inside   map[string][]gs1.GTIN
	reported map[string]bool // thing and firm
	seen     []Observation
	wake     chan struct{}
}

func (g *graph) Handling(_ context.Context, thing, firm string, _, _ time.Time) (Handling, error) {
	return Handling{GTINs: g.inside[thing], Reported: g.reported[thing+" "+firm]}, nil
}

func (g *graph) Observed(_ context.Context, token string, _ int) ([]Observation, string, error) {
	if len(token) == len(g.seen) {
		return nil, token, nil
	}
	return g.seen[len(token):], token + strings.Repeat("x", len(g.seen)-len(token)), nil
}

func (g *graph) Wake() <-chan struct{} { return g.wake }

// bundle is a service over a fresh SQLite file, some days after noon.
type bundle struct {
	*Service
	t      testing.TB
	engine *failing
	graph  *graph
	clock  *clocktest.Clock
}

func setup(t testing.TB) *bundle {
	t.Helper()
	return setupAt(t, noon.Add(72*time.Hour))
}

func setupAt(t testing.TB, now time.Time) *bundle {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	b := &bundle{t: t, engine: &failing{Engine: eng}, graph: &graph{inside: map[string][]gs1.GTIN{}, reported: map[string]bool{}}, clock: clocktest.New(now)}
	b.Service, err = Open(t.Context(), Deps{Engine: b.engine, Now: b.clock.Now})
	must(t, err)
	return b
}

// settle follows everything that was written.
func (b *bundle) settle() {
	b.t.Helper()
	for more := true; more; {
		var err error
		more, err = b.Follow(b.t.Context(), b.graph, 1)
		must(b.t, err)
	}
}

func (b *bundle) limit(r Rules) {
	b.t.Helper()
	_, _, err := b.SetByFirm(b.t.Context(), maker, gtinA, r)
	must(b.t, err)
}

func (b *bundle) bind(f firm.Firm, thing string, from, to time.Time) {
	b.t.Helper()
	_, err := b.Bind(b.t.Context(), f, "log-1", thing, from, to)
	must(b.t, err)
}

func (b *bundle) take(batch ...Reading) Taken {
	b.t.Helper()
	t, err := b.Take(b.t.Context(), "maker", batch)
	must(b.t, err)
	return t
}

// look is what is known of the lot, under the maker's limits.
func (b *bundle) look(stays ...Stay) *View {
	b.t.Helper()
	set, err := b.InForce(b.t.Context(), gtinA)
	must(b.t, err)
	if len(stays) == 0 {
		stays = []Stay{{Thing: lotA, GTIN: gtinA}}
	}
	v, err := b.Look(b.t.Context(), set, stays)
	must(b.t, err)
	return v
}

// at is a reading of the logger so many minutes after noon.
func at(minute int, celsius float64) Reading {
	return Reading{Logger: "log-1", Time: noon.Add(time.Duration(minute) * time.Minute), Quantity: Temperature, Value: celsius, UOM: "CEL"}
}

// each is a reading every ten minutes.
func each(celsius ...float64) []Reading {
	out := make([]Reading, len(celsius))
	for i, c := range celsius {
		out[i] = at(10*i, c)
	}
	return out
}

func fridge() Rules {
	lo, hi := 2.0, 8.0
	return Rules{Temperature: &Range{Min: &lo, Max: &hi}, ExcursionMinutes: 20, GapMinutes: 30}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failing is an engine that fails a write, and every one after it, as a process does that is killed.
type failing struct {
	store.Engine

	mu   sync.Mutex
	left int // writes until then; 0: never
	dead bool
}

// killAfter lets so many writes through; 0 is all.
func (f *failing) killAfter(writes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.dead = writes, false
}

var errKilled = errors.New("killed")

func (f *failing) write() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errKilled
	}
	if f.left > 0 {
		f.left--
		f.dead = f.left == 0
	}
	return nil
}

func (f *failing) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	if err := f.write(); err != nil {
		return nil, err
	}
	return f.Engine.Insert(ctx, coll, recs)
}

func (f *failing) Replace(ctx context.Context, coll string, rec store.Record) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Engine.Replace(ctx, coll, rec)
}

func (f *failing) Delete(ctx context.Context, coll, id string, rev int64) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Engine.Delete(ctx, coll, id, rev)
}
