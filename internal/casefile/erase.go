package casefile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// Export gives the filer everything that is kept of a case (PIPL, article 45). Its errors are those of Status.
func (s *Service) Export(ctx context.Context, no, secret string) (Record, error) {
	d, err := s.authenticate(ctx, no, secret)
	if err != nil {
		return Record{}, err
	}
	return s.record(ctx, d)
}

// Erase erases a case at its filer's request (PIPL, article 47). An open case is withdrawn by it. Its contact, texts and notes are gone, and the
// serial number of the single unit; kind, goods, dates, steps and clocks stay. The secret still opens what is left. It may be repeated; when it
// fails on the way, no text is shown any more, and Sweep carries it through. Its errors are those of Status.
func (s *Service) Erase(ctx context.Context, no, secret string) error {
	d, err := s.authenticate(ctx, no, secret)
	if err != nil {
		return err
	}
	return s.erase(ctx, d.No)
}

// erase orders the erasure in the case itself, then carries it out.
func (s *Service) erase(ctx context.Context, number string) error {
	at := s.time()
	_, err := s.cases.Update(ctx, number, func(d *document) error {
		if !d.Erased.IsZero() {
			return errThere
		}
		if !d.closed() {
			d.add(step{Kind: StepWithdrawn, At: at})
		}
		d.Erased, d.Serial = at, ""
		return nil
	})
	if err != nil && !errors.Is(err, errThere) {
		return fmt.Errorf("order the erasure of case %s: %w", number, err)
	}
	return s.carryOut(ctx, number)
}

// carryOut destroys the data key of a case whose erasure was ordered, and notes it.
func (s *Service) carryOut(ctx context.Context, number string) error {
	if err := s.vault.Erase(ctx, record(number)); err != nil {
		return err
	}
	_, err := s.cases.Update(ctx, number, func(d *document) error {
		if d.Gone {
			return errThere
		}
		d.Gone = true
		return nil
	})
	if err != nil && !errors.Is(err, errThere) {
		return fmt.Errorf("note the erasure of case %s: %w", number, err)
	}
	return nil
}

// Sweep is the retention job: up to limit of each, it erases the closed cases whose time is over, carries through erasures that were
// interrupted, and deletes expired claims and counters. It says how much it did. Any number of replicas may run it, and it may be killed.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	n, err := s.claims.Sweep(ctx, limit)
	m, err2 := s.attempts.Sweep(ctx, limit)
	due, err3 := s.each(ctx, erasureDue, limit, s.erase)
	begun, err4 := s.each(ctx, erasureBegun, limit, s.carryOut)
	return n + m + due + begun, errors.Join(err, err2, err3, err4)
}

// each does something for up to limit cases whose erasure is in a state, and whose time has come.
func (s *Service) each(ctx context.Context, state string, limit int, do func(ctx context.Context, number string) error) (int, error) {
	found, _, err := s.cases.Keys(ctx, store.Query{
		Index: indexErasure, Eq: store.K(state), To: store.K(s.time().Add(time.Millisecond)), Limit: limit,
	})
	if err != nil {
		return 0, fmt.Errorf("find cases to erase: %w", err)
	}
	done := 0
	var all error
	for _, p := range found {
		if err := do(ctx, p.ID); err != nil {
			all = errors.Join(all, err) // one that fails does not keep the others
			continue
		}
		done++
	}
	return done, all
}
