package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

const term = 20 * time.Second

var (
	firmA = Firm("a", "")
	firmB = Firm("b", "")
)

// bundle is one store, and the process 'one' on it.
type bundle struct {
	*Service
	t     *testing.T
	path  string
	disk  store.Engine
	clock *clocktest.Clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, path: filepath.Join(t.TempDir(), "t.db"), clock: storetest.NewClock()}
	b.disk = b.file()
	b.Service = b.process("one", b.disk)
	return b
}

// file opens the store's file as another process does.
func (b *bundle) file() store.Engine {
	b.t.Helper()
	eng, err := sqlite.Open(b.t.Context(), b.path, sqlite.WithClock(b.clock.Now))
	b.ok(err)
	b.t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			b.t.Error(err)
		}
	})
	return eng
}

// process is another process. Its kind 'count' counts to its input, one at a step, into seen.
func (b *bundle) process(name string, eng store.Engine) *Service {
	b.t.Helper()
	leases, err := store.OpenLeases(b.t.Context(), eng, name, term, b.clock.Now)
	b.ok(err)
	s, err := Open(b.t.Context(), Deps{
		Engine: eng, Leases: leases, Now: b.clock.Now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	b.ok(err)
	return s
}

func (b *bundle) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) fails(err error, code string) {
	b.t.Helper()
	if fault.CodeOf(err) != code {
		b.t.Fatalf("error is %v, want %s", err, code)
	}
}

func (b *bundle) enqueue(n New) Job {
	b.t.Helper()
	j, err := b.Enqueue(b.t.Context(), n)
	b.ok(err)
	return j
}

func (b *bundle) get(id string) Job {
	b.t.Helper()
	d, err := b.jobs.Get(b.t.Context(), id)
	b.ok(err)
	return d.V
}

func (b *bundle) is(id string, want State) Job {
	b.t.Helper()
	j := b.get(id)
	if j.State != want {
		b.t.Fatalf("job %s is %s, %+v; want %s", id, j.State, j.Failure, want)
	}
	return j
}

// drain runs jobs, one after the other, until none is due.
func (b *bundle) drain(s *Service) {
	b.t.Helper()
	b.ok(s.recover(b.t.Context()))
	for b.one(s) {
	}
}

// one runs one job, if one is due.
func (b *bundle) one(s *Service) bool {
	b.t.Helper()
	r, err := s.next(b.t.Context())
	b.ok(err)
	if r == nil {
		return false
	}
	s.execute(b.t.Context(), r)
	return true
}

// ledger is what runners of 'count' did: the numbers that each job counted, in order.
type ledger struct {
	mu    sync.Mutex
	steps map[string][]int
}

func newLedger() *ledger { return &ledger{steps: map[string][]int{}} }

func (l *ledger) note(id string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps[id] = append(l.steps[id], n)
}

// count is a runner that counts to its input.
func (l *ledger) count(ctx context.Context, r *Run) (any, error) {
	var to, at int
	if err := errors.Join(r.Input(&to), r.Cursor(&at)); err != nil {
		return nil, err
	}
	for at < to {
		at++
		l.note(r.Job.ID, at)
		if err := r.Progress(ctx, int64(at), int64(to), at); err != nil {
			return nil, err
		}
	}
	return fmt.Sprintf("counted to %d", at), nil
}

// whole checks that a job counted 1, 2, 3, … n, where a step may have been done again.
func (l *ledger) whole(t *testing.T, id string, n, repeats int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	at, again := 0, 0
	for _, k := range l.steps[id] {
		switch k {
		case at + 1:
			at++
		case at:
			again++
		default:
			t.Fatalf("job %s counted %v", id, l.steps[id])
		}
	}
	if at != n || again > repeats {
		t.Fatalf("job %s counted %v; want to %d with at most %d repeats", id, l.steps[id], n, repeats)
	}
}
