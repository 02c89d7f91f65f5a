package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// Why a run must stop. Progress returns them, and they are the cause of the context's end; a runner hands them on.
var (
	ErrCancelled = errors.New("job: cancelled")
	ErrTakenOver = errors.New("job: another process has it")
	ErrPutBack   = errors.New("job: put back for now") // the process ends, or others wait
)

// Run is one attempt at a job.
type Run struct {
	Job Job // as it was when the attempt began

	s       *Service
	held    *store.Held
	stop    context.CancelCauseFunc
	started time.Time // by the process's clock
	yield   chan struct{}
}

// Input decodes the job's input.
func (r *Run) Input(v any) error { return decode("input", r.Job.Input, v) }

// Cursor decodes the cursor of the last Progress, and leaves v alone if there was none.
func (r *Run) Cursor(v any) error {
	if len(r.Job.Cursor) == 0 {
		return nil
	}
	return decode("cursor", r.Job.Cursor, v)
}

func decode(what string, data json.RawMessage, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("job: %s: %w", what, err)
	}
	return nil
}

// Progress stores how far the job has come: the next attempt, if there is one, begins with this cursor (JSON of MaxCursor bytes at most; nil
// leaves the one before). When it returns nil that is durable, and the job was still this run's. Each call is a write: do some tenths of
// a second of work between two. After an error the runner does nothing more and returns it.
func (r *Run) Progress(ctx context.Context, done, total int64, cursor any) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	at, err := encode(cursor)
	if err != nil {
		return fmt.Errorf("job: cursor: %w", err)
	}
	if len(at) > MaxCursor {
		return fmt.Errorf("job: a cursor of %d bytes", len(at))
	}
	err = r.write(ctx, func(j *Job) {
		if done > j.Done {
			j.Tries = 0
		}
		j.Done, j.Total = done, total
		if at != nil {
			j.Cursor = at
		}
	})
	if err != nil {
		return err
	}
	select {
	case <-r.yield:
		return ErrPutBack
	default:
		return nil
	}
}

// write changes the job, which must still be this run's and wanted.
func (r *Run) write(ctx context.Context, change func(j *Job)) error {
	_, err := r.own(ctx, func(j *Job) error {
		if j.Cancel {
			return ErrCancelled
		}
		change(j)
		return nil
	})
	return err
}

// own changes the job, which must still be this run's.
func (r *Run) own(ctx context.Context, change func(j *Job) error) (Job, error) {
	d, err := r.s.jobs.Update(ctx, r.Job.ID, func(j *Job) error {
		if j.State != Running || j.Fence != r.held.Fence {
			return ErrTakenOver
		}
		return change(j)
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrTakenOver
	}
	return d.V, err
}

// begin takes the job if nobody has it, and it is still to be done.
func (s *Service) begin(ctx context.Context, id string) (*Run, error) {
	held, ok, err := s.Leases.Try(ctx, leaseName(id))
	if err != nil || !ok {
		return nil, err
	}
	now := s.now()
	d, err := s.jobs.Update(ctx, id, func(j *Job) error {
		if j.State != Queued || j.Fence >= held.Fence || j.Due.After(now) {
			return errNothingToDo
		}
		if j.Started.IsZero() {
			j.Started = now
		}
		j.State, j.Fence = Running, held.Fence
		j.Attempts++
		return nil
	})
	if err != nil {
		over := errors.Is(err, store.ErrNotFound) || d.V.State.Ended()
		if over || errors.Is(err, errNothingToDo) {
			err = nil
		}
		return nil, errors.Join(err, s.letGo(ctx, held, over))
	}
	r := &Run{Job: d.V, s: s, held: held, started: s.Now(), yield: make(chan struct{}, 1), stop: func(error) {}}
	s.metrics.began(&d.V, now)
	return r, nil
}

func leaseName(id string) string { return "job/" + id }

// letGo gives a lease back, for good if the job has ended.
func (s *Service) letGo(ctx context.Context, held *store.Held, ended bool) error {
	if ended {
		return held.Retire(ctx)
	}
	return held.Release(ctx)
}

// settleFor is how long storing what became of a run may take.
const settleFor = 10 * time.Second

// execute runs a job that begin took until it ends, or is put back, and stores what became of it.
func (s *Service) execute(ctx context.Context, r *Run) {
	kept := context.WithoutCancel(ctx) // what became of the job is stored even while the process ends
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	s.mu.Lock()
	s.active[r.Job.ID] = r
	run := s.runners[r.Job.Kind]
	s.mu.Unlock()
	renewed := r.keep(kept)
	result, err := s.call(ctx, run, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // it stopped because it was told to, whatever it made of that
		if errors.Is(err, context.Canceled) {
			err = ErrPutBack // the process ends
		}
	}
	kept, cancel := context.WithTimeout(kept, settleFor)
	defer cancel()
	state, err := s.settle(kept, r, result, err)
	renewed()
	if err == nil {
		err = s.letGo(kept, r.held, state.Ended())
	}
	if err != nil {
		// Another has the job, or the lease lapses and whoever sees it goes on from the cursor.
		s.Log.WarnContext(kept, "the end of a job's run could not be stored", "job", r.Job.ID, "kind", r.Job.Kind, "error", err)
	}
	s.mu.Lock()
	delete(s.active, r.Job.ID)
	s.mu.Unlock()
	s.metrics.ended(&r.Job, state, s.Now().Sub(r.started))
}

// call calls the runner, and makes an error of its panic.
func (s *Service) call(ctx context.Context, run Runner, r *Run) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("job: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return run(ctx, r)
}

// settle stores what became of a run that returned result and err, and gives the job's state; "" if it could not, or had no right to.
func (s *Service) settle(ctx context.Context, r *Run, result any, err error) (State, error) {
	var change func(j *Job)
	switch {
	case err == nil:
		change = s.succeeded(ctx, r, result)
	case errors.Is(err, ErrPutBack), errors.Is(err, ErrCancelled), errors.Is(err, ErrTakenOver):
		// Whether it was taken over the fence decides: where the lease only lapsed, the job is put back.
		change = func(j *Job) { j.State, j.Due = Queued, s.now() }
	default:
		change = s.failed(ctx, r, err)
	}
	j, werr := r.own(ctx, func(j *Job) error {
		if change(j); j.State != Success && j.Cancel {
			j.Failure = nil
			j.end(Cancelled, s.now())
		}
		return nil
	})
	if werr != nil {
		return "", werr
	}
	return j.State, nil
}

func (s *Service) succeeded(ctx context.Context, r *Run, result any) func(j *Job) {
	data, err := encode(result)
	switch {
	case err != nil:
		return s.failed(ctx, r, fmt.Errorf("job: result: %w", err))
	case len(data) > MaxResult:
		return s.failed(ctx, r, fault.New(fault.TooLarge, CodeResultTooLarge, "the result has %d bytes; at most %d are kept", len(data), MaxResult))
	}
	return func(j *Job) {
		j.Result = data
		j.end(Success, s.now())
	}
}

// failed says what an error of a runner makes of the job.
func (s *Service) failed(ctx context.Context, r *Run, err error) func(j *Job) {
	if unavailable(err) {
		s.Log.WarnContext(ctx, "a job cannot go on for now", "job", r.Job.ID, "kind", r.Job.Kind, "error", err)
		return func(j *Job) {
			if j.Tries++; j.Tries >= MaxTries {
				j.fail(unavailableCode(err), "what the job needs was not available for too long", s.now())
				return
			}
			j.State, j.Due = Queued, s.now().Add(pause(j.Tries))
		}
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind == fault.Internal {
		s.Log.ErrorContext(ctx, "a job failed", "job", r.Job.ID, "kind", r.Job.Kind, "error", err)
		f = fault.New(fault.Internal, CodeInternal, "something is wrong with this service; the operators are told")
	}
	return func(j *Job) { j.fail(f.Code, f.Detail, s.now()) }
}

func unavailable(err error) bool {
	return fault.KindOf(err) == fault.Unavailable || errors.Is(err, store.ErrUnavailable)
}

// unavailableCode is the code of what stays unavailable.
func unavailableCode(err error) string {
	if fault.KindOf(err) == fault.Unavailable {
		return fault.CodeOf(err)
	}
	return "unavailable"
}

// pause is how long a job waits after the n-th time that something was unavailable: 1 s, 2 s, 4 s, … 5 min.
func pause(n int) time.Duration {
	return min(time.Second<<min(n-1, 20), 5*time.Minute)
}
