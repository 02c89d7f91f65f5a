package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

const (
	// pollEvery is how often Run asks the feed.
	pollEvery = 500 * time.Millisecond
	// maxAge is how far behind the store an answer may be.
	maxAge = 2 * time.Second
	// pollTimeout bounds one poll on behalf of a caller.
	pollTimeout = 500 * time.Millisecond
	// roundTimeout bounds one round of Run.
	roundTimeout = 2 * time.Second
)

// snapshot is all bodies as of one revision of the register. It is immutable.
type snapshot struct {
	rev    int64
	bodies []Authority // in the order of their IDs
	byID   map[string]*Authority

	mu      sync.Mutex
	classes map[string][]string // by body and day: see competence
}

func newSnapshot(rev int64, bodies []Authority) *snapshot {
	sn := &snapshot{rev: rev, bodies: bodies, byID: make(map[string]*Authority, len(bodies)), classes: map[string][]string{}}
	for i := range bodies {
		sn.byID[bodies[i].ID] = &bodies[i]
	}
	return sn
}

func (sn *snapshot) get(id string) (Authority, error) {
	if a, ok := sn.byID[id]; ok {
		return *a, nil
	}
	return Authority{}, errUnknown(id)
}

func errUnknown(id string) error {
	return fault.New(fault.NotFound, "authority_unknown", "there is no authority %q", id)
}

// Run keeps the copy in memory true: it follows the feed every 500 ms, and at once when this process writes. It returns nil when
// ctx ends. Without it every answer is still at most 2 s behind, at the cost of a read on the caller's time now and then.
func (s *Service) Run(ctx context.Context) error {
	wake := s.docs.Wake()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		err := s.round(ctx, roundTimeout)
		if ctx.Err() != nil {
			return nil
		}
		if (err != nil) != failing {
			failing = err != nil
			s.log.WarnContext(ctx, "following the authorities", "failing", failing, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-wake:
		}
	}
}

func (s *Service) round(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.Refresh(ctx)
}

// Refresh reads the feed to its end. When it returns nil, every Put that returned before the call is known.
func (s *Service) Refresh(ctx context.Context) error {
	return s.refresh(ctx, func() bool { return false })
}

// refresh is Refresh, but stops once it has its turn if enough says that somebody else's poll did the work.
func (s *Service) refresh(ctx context.Context, enough func() bool) error {
	select {
	case s.poll <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("read the authorities: %w", ctx.Err())
	}
	defer func() { <-s.poll }()
	for !enough() {
		asked := s.mono() // an empty answer holds for the instant at which it was asked for
		changes, next, err := s.docs.Changes(ctx, s.token, store.MaxBatch)
		if errors.Is(err, store.ErrBadCursor) {
			s.token = ""
			continue
		}
		if err != nil {
			return fmt.Errorf("read the authorities: %w", err)
		}
		for i := range changes {
			if c := &changes[i]; c.ID == registerID && !c.Deleted {
				s.apply(c.Rev, c.V.Bodies)
			}
		}
		s.token = next
		if len(changes) == 0 {
			s.confirmed.Store(int64(asked))
			return nil
		}
	}
	return nil
}

// apply takes over a revision of the register unless a newer one is known.
func (s *Service) apply(rev int64, bodies []Authority) {
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	if rev > s.snap.Load().rev {
		s.snap.Store(newSnapshot(rev, slices.Clone(bodies)))
	}
}

func (s *Service) isFresh() bool {
	at := s.confirmed.Load()
	return at >= 0 && s.mono()-time.Duration(at) <= maxAge
}

// fresh gives the copy in memory, after a poll if it may be more than 2 s old. Who may do what is never answered from an older
// one: Unavailable (authorities_unconfirmed).
func (s *Service) fresh(ctx context.Context) (*snapshot, error) {
	if s.isFresh() {
		return s.snap.Load(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := s.refresh(ctx, s.isFresh); err != nil && !s.isFresh() {
		e := fault.New(fault.Unavailable, "authorities_unconfirmed", "which authority is competent cannot be confirmed at the moment").Because(err)
		e.Retry = time.Second
		return nil, e
	}
	return s.snap.Load(), nil
}
