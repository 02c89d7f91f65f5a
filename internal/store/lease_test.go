package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

const term = 10 * time.Second

// leaseBundle is two processes, each with a clock of its own, that want the lease 'work'.
type leaseBundle struct {
	*testing.T
	ctx            context.Context
	eng            *lossy
	aClock, bClock *clocktest.Clock
	a, b           *store.Leases
}

func setupLeases(t *testing.T) *leaseBundle {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &leaseBundle{T: t, ctx: t.Context(), eng: &lossy{Engine: eng}, aClock: storetest.NewClock(), bClock: storetest.NewClock()}
	l.bClock.Advance(1000 * time.Hour) // wall clocks need not agree
	l.a, l.b = l.open("a", l.aClock), l.open("b", l.bClock)
	return l
}

func (l *leaseBundle) open(owner string, c *clocktest.Clock) *store.Leases {
	l.Helper()
	leases, err := store.OpenLeases(l.ctx, l.eng, owner, term, c.Now)
	l.want(err, nil)
	return leases
}

func (l *leaseBundle) want(err, want error) {
	l.Helper()
	if !errors.Is(err, want) {
		l.Fatalf("error is %v, want %v", err, want)
	}
}

// advance moves both clocks.
func (l *leaseBundle) advance(d time.Duration) {
	l.aClock.Advance(d)
	l.bClock.Advance(d)
}

func (l *leaseBundle) takes(by *store.Leases, fence int64) *store.Held {
	l.Helper()
	h, ok, err := by.Try(l.ctx, "work")
	l.want(err, nil)
	if !ok {
		l.Fatal("the lease is not to be had")
	}
	if h.Fence != fence || !h.Valid() {
		l.Fatalf("the lease has fence %d and valid is %v, want %d and true", h.Fence, h.Valid(), fence)
	}
	return h
}

func (l *leaseBundle) refused(to *store.Leases) {
	l.Helper()
	h, ok, err := to.Try(l.ctx, "work")
	l.want(err, nil)
	if ok {
		l.Fatalf("the lease was given away with fence %d", h.Fence)
	}
}

// lossy is an engine whose next replace or insert happens, but whose answer gets lost.
type lossy struct {
	store.Engine
	mu   sync.Mutex
	lose bool
}

var errLost = errors.New("answer lost")

func (l *lossy) loseNext() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = true
}

func (l *lossy) lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.lose
	l.lose = false
	return was
}

func (l *lossy) Replace(ctx context.Context, coll string, rec store.Record) error {
	err := l.Engine.Replace(ctx, coll, rec)
	if l.lost() {
		return errors.Join(errLost, err)
	}
	return err
}

func (l *lossy) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	errs, err := l.Engine.Insert(ctx, coll, recs)
	if l.lost() {
		return nil, errors.Join(errLost, err)
	}
	return errs, err
}

func TestLeaseIsExclusive(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	l.takes(l.a, 1)
	l.refused(l.b)
	l.refused(l.a)
	if _, ok, err := l.b.Try(l.ctx, "other work"); err != nil || !ok {
		t.Fatalf("another lease gives %v, %v", ok, err)
	}
}

func TestLeaseRelease(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	h := l.takes(l.a, 1)
	l.want(h.Release(l.ctx), nil)
	if h.Valid() {
		t.Fatal("a released lease is valid")
	}
	l.want(h.Renew(l.ctx), store.ErrLeaseLost)
	l.takes(l.b, 2)
	l.want(h.Release(l.ctx), nil)
	l.refused(l.a)
}

func TestLeaseStolenAfterWholeTerm(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	h := l.takes(l.a, 1)
	l.advance(time.Hour) // nobody looked on meanwhile, so it counts for nothing
	l.refused(l.b)
	l.advance(term - time.Millisecond)
	l.refused(l.b)
	l.advance(time.Millisecond)
	thief := l.takes(l.b, 2)
	if h.Valid() {
		t.Fatal("the stolen lease is valid to its old holder")
	}
	l.want(h.Renew(l.ctx), store.ErrLeaseLost)
	l.want(h.Release(l.ctx), nil)
	l.want(thief.Renew(l.ctx), nil)
	l.refused(l.a)
}

func TestLeaseRenewed(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	h := l.takes(l.a, 1)
	for range 10 {
		l.refused(l.b)
		l.advance(term - time.Millisecond)
		if !h.Valid() {
			t.Fatal("the lease lapsed within its term")
		}
		l.want(h.Renew(l.ctx), nil)
	}
	l.refused(l.b)
	l.advance(term)
	if h.Valid() {
		t.Fatal("the lease is valid after its term")
	}
	l.takes(l.b, 2)
}

// TestLeaseClocks has the observer's clock stand still while the holder's runs, and the other way round.
func TestLeaseClocks(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	l.takes(l.a, 1)
	l.refused(l.b)
	l.aClock.Advance(100 * term)
	l.refused(l.b) // no time has passed for b
	l.bClock.Advance(term)
	l.takes(l.b, 2)
}

// TestLeaseHolderTerm: an observer with a shorter term waits for the holder's.
func TestLeaseHolderTerm(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	hasty, err := store.OpenLeases(l.ctx, l.eng, "hasty", term/10, l.bClock.Now)
	l.want(err, nil)
	l.takes(l.a, 1)
	l.refused(hasty)
	l.advance(term / 2)
	l.refused(hasty)
	l.advance(term / 2)
	l.takes(hasty, 2)
}

func TestLeaseLapsedIsTakenAgain(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	old := l.takes(l.a, 1)
	l.advance(term)
	l.takes(l.a, 2)
	l.want(old.Renew(l.ctx), store.ErrLeaseLost)
}

// TestLeaseLapsedIsRenewed: a late holder may go on if nobody stole the lease.
func TestLeaseLapsedIsRenewed(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	h := l.takes(l.a, 1)
	l.advance(2 * term)
	l.want(h.Renew(l.ctx), nil)
	if !h.Valid() {
		t.Fatal("the renewed lease is not valid")
	}
	l.refused(l.a)
}

func TestLeaseRestart(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	l.takes(l.a, 1)
	again := l.open("a", l.aClock) // the same name, another process
	l.refused(again)
	l.advance(term)
	l.takes(again, 2)
}

func TestLeaseLostAnswers(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	l.eng.loseNext()
	_, _, err := l.a.Try(l.ctx, "work")
	l.want(err, errLost)
	l.refused(l.b)
	h := l.takes(l.a, 2) // the lease is its own already

	l.eng.loseNext()
	l.want(h.Renew(l.ctx), errLost)
	l.want(h.Renew(l.ctx), nil)
	if !h.Valid() {
		t.Fatal("the lease is not valid after a renewal whose predecessor's answer got lost")
	}
	l.eng.loseNext()
	l.want(h.Release(l.ctx), errLost)
	if h.Valid() {
		t.Fatal("the lease is valid after Release failed")
	}
	l.want(h.Release(l.ctx), nil)
	l.takes(l.b, 3)
}

func TestLeaseContenders(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	const rounds, contenders = 20, 8
	all := make([]*store.Leases, contenders)
	for i := range all {
		all[i] = l.open("c", l.aClock)
	}
	for round := range rounds {
		var wg sync.WaitGroup
		held := make([]*store.Held, 2*contenders)
		errs := make([]error, len(held))
		for i := range held { // two goroutines for each contender
			wg.Go(func() { held[i], _, errs[i] = all[i/2].Try(l.ctx, "work") })
		}
		wg.Wait()
		l.want(errors.Join(errs...), nil)
		var winner *store.Held
		for _, h := range held {
			if h != nil && winner != nil {
				t.Fatalf("round %d: two hold the lease, with fences %d and %d", round, winner.Fence, h.Fence)
			}
			if h != nil {
				winner = h
			}
		}
		if winner == nil {
			t.Fatalf("round %d: nobody holds a free lease", round)
		}
		if winner.Fence != int64(round+1) {
			t.Fatalf("round %d: the fence is %d", round, winner.Fence)
		}
		l.want(winner.Release(l.ctx), nil)
	}
}

func TestLeaseContextEnds(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	h := l.takes(l.a, 1)
	ctx, cancel := context.WithCancel(l.ctx)
	cancel()
	l.want(h.Renew(ctx), context.Canceled)
	if !h.Valid() {
		t.Fatal("a renewal that did not happen ended the lease")
	}
	_, _, err := l.b.Try(ctx, "work")
	l.want(err, context.Canceled)
	if _, err := store.OpenLeases(l.ctx, l.eng, "x", 0, l.aClock.Now); err == nil {
		t.Fatal("a term of 0 was accepted")
	}
}

func TestRetireDeletesTheLease(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	h := l.takes(l.a, 1)
	l.want(h.Retire(l.ctx), nil)
	if h.Valid() {
		t.Error("a retired lease is valid")
	}
	l.want(h.Renew(l.ctx), store.ErrLeaseLost)
	l.want(h.Retire(l.ctx), nil)
	recs, err := l.eng.Get(l.ctx, store.LeaseCollection, []string{"work"})
	if err != nil || len(recs) != 0 {
		t.Errorf("%d leases are stored, %v", len(recs), err)
	}
	// One that was lost is the other's to retire.
	slow := l.takes(l.a, 1)
	l.refused(l.b)
	l.advance(term)
	l.takes(l.b, 2)
	l.want(slow.Retire(l.ctx), nil)
	l.refused(l.a)
}

func TestForgetLooksOnForAWholeTermAgain(t *testing.T) {
	t.Parallel()
	l := setupLeases(t)
	l.takes(l.a, 1)
	l.a.Forget("work") // is held, and stays so
	l.refused(l.a)
	l.refused(l.b)
	l.advance(term)
	l.b.Forget("work")
	l.b.Forget("another")
	l.refused(l.b)
	l.advance(term)
	l.takes(l.b, 2)
}
