package ledger_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// Time is fake within the bubble of a test, and what the store does takes none of it: what passes is what sequencers wait for.

// maxPending is for how long an answer may say that a document waits for its leaf, and stale how old what an answer says of it may be.
const (
	maxPending = 2 * time.Second
	stale      = 400 * time.Millisecond
)

// runs has a process sequence until the test ends.
func (b *bundle) runs(s *ledger.Service) (stop func()) {
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		must(b, <-done)
	}
}

// loggedWithin writes a note at each of a hundred moments that fall differently into the sequencers' rhythm, and wants its leaf in time.
func (b *bundle) loggedWithin(limit time.Duration) {
	b.Helper()
	for i := range 100 {
		<-time.After(time.Duration(i)*7*time.Millisecond + time.Second)
		b.write(1)
		<-time.After(limit)
		synctest.Wait()
		h, err := b.Service.Head(b.ctx)
		must(b, err)
		if h.Size != int64(b.n) {
			b.Fatalf("%v after document %d was written, %d have a leaf", limit, b.n, h.Size)
		}
	}
}

// What the process itself writes wakes it.
func TestAnOwnDocumentIsPendingForTwoSecondsAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		defer b.runs(b.Service)()
		b.loggedWithin(maxPending - stale)
	})
}

// What another process writes is looked for.
func TestAnothersDocumentIsPendingForTwoSecondsAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		eng, err := sqlite.Open(b.ctx, b.path) // which writes of the first one do not wake
		must(t, err)
		defer func() { must(t, eng.Close()) }()
		defer b.runs(b.open(eng))()
		b.loggedWithin(maxPending - stale)
	})
}
