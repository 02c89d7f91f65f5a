package blob

import (
	"context"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
)

// Orphaned is how old a blob is at least that Sweep takes for left behind: by then whoever put it has stored its Ref, or has died.
const Orphaned = 24 * time.Hour

// Sweep deletes the blobs of a purpose that no record refers to, and gives how many, and where the next call goes on ("": at the
// beginning). It looks at up to MaxList blobs. known is asked for blobs that were put before now by Orphaned at least; one that it does not know must
// never become known, see the package. It is for the one service whose purpose it is.
func Sweep(ctx context.Context, s Store, purpose, after string, now time.Time, known func(context.Context, Ref) (bool, error)) (deleted int, next string, err error) {
	all, err := s.List(ctx, purpose, after, MaxList)
	if err != nil {
		return 0, after, err
	}
	for _, b := range all {
		if now.Sub(b.Put) >= Orphaned {
			ok, err := known(ctx, b.Ref)
			if err != nil {
				return deleted, after, err
			}
			if !ok {
				if err := s.Delete(ctx, b.Ref); err != nil {
					return deleted, after, err
				}
				deleted++
			}
		}
		after = b.Key()
	}
	if len(all) < MaxList {
		after = ""
	}
	return deleted, after, nil
}

// Sweeper sweeps the blobs of one purpose, a page in each call. It is safe for concurrent use.
type Sweeper struct {
	Store   Store // nil: there is nothing to sweep
	Purpose string
	Now     clock.Now
	Known   func(context.Context, Ref) (bool, error) // see Sweep

	mu    sync.Mutex
	swept string // up to which blob
}

// Sweep looks at the next page, whatever limit is, and gives how many blobs it deleted.
func (s *Sweeper) Sweep(ctx context.Context, _ int) (int, error) {
	if s.Store == nil {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, next, err := Sweep(ctx, s.Store, s.Purpose, s.swept, s.Now(), s.Known)
	s.swept = next
	return n, err
}
