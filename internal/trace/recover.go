package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/store"
)

// recoverAfter is how old an unfinished capture must be before another process completes it.
const recoverAfter = 30 * time.Second

// Recover completes captures whose process died after they were decided, and says how many. One that cannot be completed does
// not hold up the others.
func (s *Service) Recover(ctx context.Context) (int, error) {
	return recoverCaptures(ctx, s.captures, s.now, func(d store.Doc[captureDoc]) error { return s.complete(ctx, d) })
}

func recoverCaptures(ctx context.Context, captures *store.Collection[captureDoc], now clock.Now, complete func(store.Doc[captureDoc]) error) (int, error) {
	n := 0
	var all error
	err := captures.Each(ctx, store.Query{
		Index: byState, Eq: store.K(captureRunning), To: store.K(now().Add(-recoverAfter)),
	}, func(d store.Doc[captureDoc]) error {
		if err := complete(d); err != nil {
			all = errors.Join(all, fmt.Errorf("capture %s: %w", d.ID, err))
			return ctx.Err()
		}
		n++
		return nil
	})
	return n, errors.Join(all, err)
}

// complete rolls a decided capture forward from what is stored of it, and sees to one that is a job's.
func (s *Service) complete(ctx context.Context, d store.Doc[captureDoc]) error {
	if d.V.Source != nil {
		return s.resume(ctx, d)
	}
	f, err := s.firmOf(ctx, d.V.Firm)
	if err != nil {
		return err
	}
	events, err := s.decodeRaws(ctx, d.V.Raws)
	if err != nil {
		return err
	}
	return s.rollForward(ctx, f, d.ID, events, d.V.Created)
}

// RunRecovery calls Recover at once and then every recoverAfter, until ctx ends.
func (s *Service) RunRecovery(ctx context.Context) error {
	return runRecovery(ctx, s.deps.Log, s.Recover)
}

func runRecovery(ctx context.Context, log *slog.Logger, complete func(context.Context) (int, error)) error {
	t := time.NewTicker(recoverAfter)
	defer t.Stop()
	for {
		n, err := complete(ctx)
		if err != nil && ctx.Err() == nil && log != nil {
			log.ErrorContext(ctx, "capture recovery", "error", err)
		}
		if n > 0 && log != nil {
			log.InfoContext(ctx, "captures completed after a crash", "count", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// resume sees to the capture of a large document that a job should be at: it asks again for a job that is missing, and ends what a job gave
// up, forward if it was decided.
func (s *Service) resume(ctx context.Context, d store.Doc[captureDoc]) error {
	j, err := s.deps.Jobs.Get(ctx, job.Firm(d.V.Firm, s.deps.tenant), jobID(d.ID, &d.V))
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return s.enqueue(ctx, d.ID, &d.V)
	case err != nil || !j.State.Ended():
		return err
	}
	f, err := s.firmOf(ctx, d.V.Firm)
	if err != nil {
		return err
	}
	c := &capturing{s: s, f: f, id: d.ID, doc: d.V, progress: noProgress}
	if d.V.Decided {
		return c.forward(ctx)
	}
	why := CaptureError{Status: 500, Code: "internal", Detail: "the capture was given up; nothing of it is stored beyond what is counted here: send it again"}
	if j.State == job.Cancelled {
		why = CaptureError{Status: 409, Code: "job_cancelled", Detail: "the capture was cancelled"}
	}
	return c.finish(ctx, func(d *captureDoc) {
		d.State, d.Failed, d.Errors = captureFailed, d.Failed+1, append(d.Errors[:min(len(d.Errors), maxCaptureErrors-1)], why)
	})
}

func (s *Service) firmOf(ctx context.Context, id string) (firm.Firm, error) {
	firms, err := s.deps.Firms.GetMany(ctx, []string{id})
	if err != nil {
		return firm.Firm{}, err
	}
	f, ok := firms[id]
	if !ok {
		return firm.Firm{}, fmt.Errorf("there is no firm %s", id)
	}
	return f, nil
}
