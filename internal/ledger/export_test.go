package ledger

import (
	"context"
	"errors"
)

// PointerID is for tests that take away what came after a backup.
var PointerID = pointerID

// IsFenced says whether a round gave way to a later holder of the lease.
func IsFenced(err error) bool { return errors.Is(err, errFenced) }

// RoundWithoutLease has a sequencer work that only believes that it has the lease.
func RoundWithoutLease(ctx context.Context, s *Service, fence int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, err := s.round(ctx, fence)
	if err != nil {
		s.edge = nil
	}
	if errors.Is(err, errRaced) {
		s.progress.update(func(p *progress) { p.conflicts++ })
		return nil
	}
	return err
}
