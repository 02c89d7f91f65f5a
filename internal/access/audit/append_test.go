package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// Several replicas, on two connections to one file, write at once: one chain, every entry in it once.
func TestManyWritersMakeOneChain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other, err := sqlite.Open(t.Context(), b.path)
	must(t, err)
	t.Cleanup(func() { must(t, other.Close()) })
	const writers, each = 6, 12
	services := []*Service{b.Service, b.open(b.eng), b.open(other), b.open(other)}
	var wg sync.WaitGroup
	var conflicts atomic.Int64
	for i, s := range services {
		for w := range writers {
			wg.Go(func() {
				for k := range each {
					e := fact(0)
					e.Actor = fmt.Sprintf("operator:%d.%d.%d", i, w, k)
					act, err := s.Begin(t.Context(), e)
					if err != nil {
						t.Errorf("begin: %v", err)
						return
					}
					if err := act.Done(t.Context(), Change{}); err != nil {
						t.Errorf("done: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, s := range services {
		conflicts.Add(s.Stats().Conflicts)
	}
	const total = 4 * writers * each * 2
	b.inOrder(total)
	seen := map[string]int{}
	attempts := map[int64]string{}
	for _, e := range b.list(Filter{}, MaxLimit) {
		seen[e.Phase+" "+e.Actor]++
		if e.Phase == Attempt {
			attempts[e.Seq] = e.Actor
			if e.Outcome != Done {
				t.Errorf("attempt %d is shown as %q", e.Seq, e.Outcome)
			}
		}
	}
	for _, e := range b.list(Filter{}, MaxLimit) {
		if e.Phase == Done && attempts[e.Attempt] != e.Actor {
			t.Errorf("entry %d of %s names the attempt of %q", e.Seq, e.Actor, attempts[e.Attempt])
		}
	}
	if len(seen) != total {
		t.Errorf("%d different entries, want %d", len(seen), total)
	}
	if conflicts.Load() == 0 {
		t.Error("no writer ever met another: the test tests nothing")
	}
}

// Callers that come while an insert is under way share the next one.
func TestWaitingCallersShareAnInsert(t *testing.T) {
	t.Parallel()
	b, h := setupHooked(t)
	entered, release := make(chan struct{}), make(chan struct{})
	h.onInsert(func(ctx context.Context, recs []store.Record) ([]error, error) {
		h.onInsert(nil)
		close(entered)
		<-release
		return h.Engine.Insert(ctx, collection, recs)
	})
	var wg sync.WaitGroup
	wg.Go(func() { must2(t, b.Record(t.Context(), fact(0))) })
	<-entered
	const more = 40
	for i := range more {
		w, err := b.prepare(t.Context(), fact(i))
		must(t, err)
		it, err := b.put(w)
		must(t, err)
		wg.Go(func() { must2(t, b.wait(t.Context(), it)) })
	}
	close(release)
	wg.Wait()
	if s := b.Stats(); s.Batches != 2 || s.Entries != more+1 || s.Waiting != 0 {
		t.Fatalf("got %+v", s)
	}
	b.inOrder(more + 1)
}

func must2(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// An insert's answer is lost in every way there is; nothing is doubled and nothing is lost.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, insert := range map[string]func(b *bundle, h *hooks) func(ctx context.Context, recs []store.Record) ([]error, error){
		"stored, and the answer lost": func(_ *bundle, h *hooks) func(ctx context.Context, recs []store.Record) ([]error, error) {
			return func(ctx context.Context, recs []store.Record) ([]error, error) {
				h.onInsert(nil)
				_, err := h.Engine.Insert(ctx, collection, recs)
				return nil, errors.Join(errDown, err)
			}
		},
		"not stored": func(_ *bundle, h *hooks) func(ctx context.Context, recs []store.Record) ([]error, error) {
			return func(context.Context, []store.Record) ([]error, error) {
				h.onInsert(nil)
				return nil, errDown
			}
		},
		"stored after it was looked for": func(_ *bundle, h *hooks) func(ctx context.Context, recs []store.Record) ([]error, error) {
			return func(ctx context.Context, late []store.Record) ([]error, error) {
				h.onInsert(func(ctx context.Context, recs []store.Record) ([]error, error) {
					h.onInsert(nil)
					if _, err := h.Engine.Insert(ctx, collection, late); err != nil {
						return nil, err
					}
					return h.Engine.Insert(ctx, collection, recs)
				})
				return nil, errDown
			}
		},
		"not stored, and another writer came first": func(b *bundle, h *hooks) func(ctx context.Context, recs []store.Record) ([]error, error) {
			return func(ctx context.Context, _ []store.Record) ([]error, error) {
				h.onInsert(nil)
				other := b.open(h.Engine)
				return nil, errors.Join(errDown, other.Record(ctx, fact(100)))
			}
		},
		"the look-up fails too": func(_ *bundle, h *hooks) func(ctx context.Context, recs []store.Record) ([]error, error) {
			return func(ctx context.Context, recs []store.Record) ([]error, error) {
				h.onInsert(nil)
				h.onGet(func(context.Context, []string) ([]store.Record, error) {
					h.onGet(nil)
					return nil, errDown
				})
				_, err := h.Engine.Insert(ctx, collection, recs)
				return nil, errors.Join(errDown, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, h := setupHooked(t)
			must(t, b.Record(t.Context(), fact(1)))
			h.onInsert(insert(b, h))
			must(t, b.Record(t.Context(), fact(2)))
			must(t, b.Record(t.Context(), fact(3)))
			count := map[string]int{}
			all := b.list(Filter{}, 0)
			for _, e := range all {
				count[e.Subject]++
			}
			if count["case/1"] != 1 || count["case/2"] != 1 || count["case/3"] != 1 {
				t.Errorf("got %v", count)
			}
			b.inOrder(int64(len(all)))
			if b.Stats().Failures == 0 {
				t.Error("the store never failed: the test tests nothing")
			}
		})
	}
}

// While the store is down callers are told so; what an action came to is not lost when it comes back, and to ask again doubles nothing.
func TestAnOutcomeOutlivesAFailureOfTheStore(t *testing.T) {
	t.Parallel()
	b, h := setupHooked(t)
	act, err := b.Begin(t.Context(), fact(1))
	must(t, err)
	down := make(chan struct{}, 1)
	h.onInsert(func(context.Context, []store.Record) ([]error, error) {
		select {
		case down <- struct{}{}:
		default:
		}
		return nil, errDown
	})
	// Done itself waits for 5 s; this is what it does first.
	it, err := act.outcome(func() (wire, error) { return b.prepare(t.Context(), Entry{Actor: "a", Action: "b", Phase: Done}) })
	must(t, err)
	<-down
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Begin(ctx, fact(2))
	wantCode(t, err, fault.Unavailable, "audit_unavailable")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the cause is lost: %v", err)
	}
	h.onInsert(nil)
	must(t, act.Done(t.Context(), Change{Why: "again"}))
	must(t, b.wait(t.Context(), it))
	must(t, b.Record(t.Context(), fact(3)))
	got := b.list(Filter{}, 0)
	if len(got) != 3 || got[0].Subject != "case/3" || got[1].Phase != Done || got[2].Outcome != Done {
		t.Fatalf("got %+v", got)
	}
	b.inOrder(3)
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	b, h := setupHooked(t)
	entered, release := make(chan struct{}), make(chan struct{})
	h.onInsert(func(ctx context.Context, recs []store.Record) ([]error, error) {
		h.onInsert(nil)
		close(entered)
		<-release
		return h.Engine.Insert(ctx, collection, recs)
	})
	w, err := b.prepare(t.Context(), fact(1))
	must(t, err)
	first, err := b.put(w)
	must(t, err)
	<-entered
	items := []*item{first}
	for range maxQueued {
		it, err := b.put(w)
		must(t, err)
		items = append(items, it)
	}
	_, err = b.Begin(t.Context(), fact(2))
	wantCode(t, err, fault.Unavailable, "audit_unavailable")
	var f *fault.Error
	if !errors.As(err, &f) || f.Retry <= 0 || !errors.Is(err, errFull) {
		t.Errorf("got %+v", f)
	}
	if s := b.Stats(); s.Refused != 1 || s.Waiting != maxQueued {
		t.Errorf("got %+v", s)
	}
	for _, it := range items[1000:] {
		b.queue.drop(it)
	}
	close(release)
	for _, it := range items[:1000] {
		must(t, b.wait(t.Context(), it))
	}
	must(t, b.Record(t.Context(), fact(3)))
	b.inOrder(1001)
	if b.queue.bytes != 0 || b.queue.len() != 0 {
		t.Errorf("%d bytes and %d entries are left in an empty queue", b.queue.bytes, b.queue.len())
	}
}

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	q := queue{}
	if _, err := q.put(&item{size: maxQueuedBytes}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.put(&item{size: 1}); !errors.Is(err, errFull) {
		t.Fatalf("got %v", err)
	}
}

// Close writes what waits, and refuses what comes after.
func TestCloseWritesWhatWaits(t *testing.T) {
	t.Parallel()
	b, h := setupHooked(t)
	entered, release := make(chan struct{}), make(chan struct{})
	h.onInsert(func(ctx context.Context, recs []store.Record) ([]error, error) {
		h.onInsert(nil)
		close(entered)
		<-release
		return h.Engine.Insert(ctx, collection, recs)
	})
	w, err := b.prepare(t.Context(), fact(1))
	must(t, err)
	first, err := b.put(w)
	must(t, err)
	<-entered
	second, err := b.put(w)
	must(t, err)
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	close(release)
	must(t, <-closed)
	must(t, b.wait(t.Context(), first))
	must(t, b.wait(t.Context(), second))
	wantCode(t, b.Record(t.Context(), fact(2)), fault.Unavailable, "audit_unavailable")
	b.inOrder(2)
}

// When the store never answers, whoever closes the trail gets away, and the callers are told.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	b, h := setupHooked(t)
	down := make(chan struct{})
	h.onInsert(func(ctx context.Context, _ []store.Record) ([]error, error) {
		close(down)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	w, err := b.prepare(t.Context(), fact(1))
	must(t, err)
	it, err := b.put(w)
	must(t, err)
	<-down
	b.cancel() // what Close does after 5 s
	must(t, b.Close())
	wantCode(t, b.wait(t.Context(), it), fault.Unavailable, "audit_unavailable")
}

// A new process finds the end of the chain, also where the index does not know it.
func TestTheEndIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(2*near+3, 1)
	tamper(t, b, `DELETE FROM e_audit_batches WHERE id >= '000000000003'`)
	s := b.open(b.eng)
	must(t, s.Record(t.Context(), fact(100)))
	tamper(t, b, `DELETE FROM e_audit_batches`)
	must(t, b.Record(t.Context(), fact(101)))
	b.inOrder(2*near + 5)
}

// A writer that fell far behind jumps to the end.
func TestFarBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	must(t, b.Record(t.Context(), fact(0)))
	s := b.open(b.eng)
	for i := range 3 * near {
		must(t, s.Record(t.Context(), fact(i)))
	}
	must(t, b.Record(t.Context(), fact(1)))
	b.inOrder(3*near + 2)
	if c := b.Stats().Conflicts; c != 1 {
		t.Errorf("%d conflicts, want 1", c)
	}
}

// A trail whose last batch cannot be read is not written on: that would hide where it was damaged.
func TestADamagedEndStopsTheTrail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(2, 1)
	tamper(t, b, `UPDATE d_audit_batches SET body = '{"v":1,"batch":2}' WHERE id = '000000000002'`)
	if _, err := b.open(b.eng).findHead(); err == nil {
		t.Fatal("it was read")
	}
	if r := b.verify(nil); r.Break == nil || r.Break.Kind != Changed || r.Break.Batch != 2 {
		t.Fatalf("got %v", r.Break)
	}
}
