package job

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestShutDownPutsBack(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	b.Register("count", func(ctx context.Context, r *Run) (any, error) {
		b.ok(r.Progress(ctx, 1, 4, 1))
		l.note(r.Job.ID, 1)
		stop()
		<-ctx.Done()
		return nil, fmt.Errorf("whatever: %w", ctx.Err())
	})
	j := b.enqueue(New{Kind: "count", Owner: firmA, Input: 4})
	b.ok(b.Run(ctx))
	got := b.is(j.ID, Queued)
	if string(got.Cursor) != "1" || got.Crashes != 0 || got.Tries != 0 {
		t.Errorf("put back as %+v", got)
	}
	next := b.process("next", b.disk)
	next.Register("count", l.count)
	b.drain(next) // at once: no term has to pass
	b.is(j.ID, Success)
	l.whole(t, j.ID, 4, 0)
}

func TestALongJobMakesRoomForAnotherOwner(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	b.Register("count", l.count)
	var runs []string
	b.Register("long", func(ctx context.Context, r *Run) (any, error) {
		var at int
		b.ok(r.Cursor(&at))
		for at < 3 {
			at++
			runs = append(runs, fmt.Sprint(r.Job.Attempts, "/", at))
			b.ok(b.makeRoom(ctx)) // before its slice is over: nothing
			b.clock.Advance(Slice / 2)
			b.ok(b.makeRoom(ctx))
			if err := r.Progress(ctx, int64(at), 3, at); err != nil {
				return nil, err
			}
		}
		return "done", nil
	})
	alone := b.enqueue(New{Kind: "long", Owner: firmA})
	b.clock.Advance(time.Millisecond)
	b.enqueue(New{Kind: "count", Owner: firmA, Input: 1}) // the same owner's: it is no reason
	b.one(b.Service)
	if got := b.is(alone.ID, Success); got.Attempts != 1 {
		t.Errorf("made room for its own owner: %v", runs)
	}
	b.drain(b.Service)
	runs = nil
	long := b.enqueue(New{Kind: "long", Owner: firmA})
	b.one(b.Service)
	b.is(long.ID, Success)
	long = b.enqueue(New{Kind: "long", Owner: firmB})
	short := b.enqueue(New{Kind: "count", Owner: firmA, Input: 1})
	b.last = ownerKey(firmA) // so it is the other's turn
	runs = nil
	b.one(b.Service)
	if got := b.is(long.ID, Queued); got.Crashes != 0 || got.Tries != 0 || string(got.Cursor) != "2" {
		t.Errorf("put back as %+v after %v", got, runs)
	}
	b.one(b.Service)
	b.is(short.ID, Success)
	b.one(b.Service)
	if b.is(long.ID, Success); fmt.Sprint(runs) != "[1/1 1/2 2/3]" {
		t.Errorf("its steps were %v", runs)
	}
}

// TestTwoProcessesOnOneFile has two processes work off many jobs at once, each job in one of them.
func TestTwoProcessesOnOneFile(t *testing.T) {
	t.Parallel()
	const jobs, steps = 40, 3
	b, l := setup(t), newLedger()
	b.Now = time.Now // real ones: both are alive
	two := b.process("two", b.file())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	running, ended := map[string]bool{}, 0
	for _, s := range []*Service{b.Service, two} {
		s.Register("count", func(ctx context.Context, r *Run) (any, error) {
			mu.Lock()
			if running[r.Job.ID] {
				t.Errorf("job %s is run twice at a time", r.Job.ID)
			}
			running[r.Job.ID] = true
			mu.Unlock()
			result, err := l.count(ctx, r)
			mu.Lock()
			delete(running, r.Job.ID)
			if ended++; ended == jobs {
				stop()
			}
			mu.Unlock()
			return result, err
		})
	}
	var ids []string
	for i := range jobs {
		ids = append(ids, b.enqueue(New{Kind: "count", Owner: Firm(fmt.Sprint(i%5), ""), Input: steps}).ID)
	}
	var wg sync.WaitGroup
	for _, s := range []*Service{b.Service, two} {
		wg.Go(func() { b.ok(s.Run(ctx)) })
	}
	wg.Wait()
	for _, id := range ids {
		if got := b.is(id, Success); got.Attempts != 1 || got.Crashes != 0 {
			t.Errorf("%+v", got)
		}
		l.whole(t, id, steps, 0)
	}
	if n := b.leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

func TestEnqueueWakes(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	b.Register("count", func(ctx context.Context, r *Run) (any, error) {
		defer stop()
		return l.count(ctx, r)
	})
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	j := b.enqueue(New{Kind: "count", Owner: firmA, Input: 1})
	b.ok(<-done)
	b.is(j.ID, Success)
}

func TestUnknownKindsAreLeftToOthers(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	j := b.enqueue(New{Kind: "newer", Owner: firmA, Input: 1})
	if b.one(b.Service) {
		t.Fatal("a process without runners runs something")
	}
	b.Register("count", l.count)
	b.drain(b.Service)
	b.is(j.ID, Queued)
}
