package job

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

const (
	// pollEvery is how often jobs are looked for that other processes stored, or that have become due.
	pollEvery = 2 * time.Second
	// keepEvery is how often a run renews its lease, and looks whether it is still wanted. A lease's term is some times longer.
	keepEvery = 5 * time.Second
	// ownersAtOnce bounds the owners that one look for work asks about. The next one goes on with those behind.
	ownersAtOnce = 200
	// jobsOfOwner bounds the jobs of one owner that are tried: the first ones may be another process's already.
	jobsOfOwner = 8
)

// Run works until ctx ends, then stops the jobs under way, puts them back with their cursors, and returns nil. It may be killed at any
// instruction.
func (s *Service) Run(ctx context.Context) error {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	free := make(chan struct{}, s.Workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := s.recover(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "jobs of dead processes", "error", err)
		}
		for s.step(ctx, free, &wg) {
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// step starts one job in a goroutine of its own, and is false if there is none to start, or nobody to run it.
func (s *Service) step(ctx context.Context, free chan struct{}, wg *sync.WaitGroup) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case free <- struct{}{}:
	default:
		if err := s.makeRoom(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "jobs that wait", "error", err)
		}
		return false
	}
	r, err := s.next(ctx)
	if err != nil && ctx.Err() == nil {
		s.Log.ErrorContext(ctx, "the next job", "error", err)
	}
	if r == nil {
		<-free
		return false
	}
	wg.Go(func() {
		s.execute(ctx, r)
		<-free
		s.nudge()
	})
	return true
}

// kinds are those that this process can run, as index keys.
func (s *Service) kinds() []store.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]store.Key, 0, len(s.runners))
	for k := range s.runners {
		out = append(out, store.K(k))
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

// next begins the job that is to be run next; nil if there is none. Owners take turns: the one after the one who was served last comes
// first, in the order of their names, and each gives the job that is due longest.
func (s *Service) next(ctx context.Context) (*Run, error) {
	var r *Run
	err := s.waiting(ctx, func(j *Job) (bool, error) {
		var err error
		if r, err = s.begin(ctx, j.ID); err != nil || r == nil {
			return false, err
		}
		s.last = ownerKey(j.Owner)
		return true, nil
	})
	return r, err
}

func ownerKey(o Owner) store.Key { return store.K(o.ID, o.Tenant) }

// waiting calls f for due jobs, in turn of owners, until it says that it is satisfied.
func (s *Service) waiting(ctx context.Context, f func(j *Job) (bool, error)) error {
	kinds := s.kinds()
	if len(kinds) == 0 {
		return nil
	}
	q := store.Query{Index: byQueue, Eq: kinds[0], Or: kinds[1:], Limit: 1, From: s.last.After()}
	wrapped := len(s.last) == 0
	for range ownersAtOnce {
		p, err := s.jobs.Find(ctx, q)
		if err != nil {
			return err
		}
		if len(p.Items) == 0 {
			if wrapped {
				return nil
			}
			wrapped = true
			q.From, q.To = nil, s.last.After()
			continue
		}
		owner := ownerKey(p.Items[0].V.Owner)
		ok, err := s.waitingOf(ctx, kinds, owner, f)
		if err != nil || ok {
			return err
		}
		q.From = owner.After()
	}
	s.last = q.From // many owners' jobs are all not due, or taken: the next look begins behind them
	return nil
}

func (s *Service) waitingOf(ctx context.Context, kinds []store.Key, owner store.Key, f func(j *Job) (bool, error)) (bool, error) {
	due := append(slices.Clone(owner), store.K(s.now().Add(time.Millisecond))...)
	p, err := s.jobs.Find(ctx, store.Query{Index: byQueue, Eq: kinds[0], Or: kinds[1:], Limit: jobsOfOwner, From: owner, To: due})
	if err != nil {
		return false, err
	}
	for i := range p.Items {
		if ok, err := f(&p.Items[i].V); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// makeRoom asks the job that has run longest to be put back, if it had its Slice and an owner waits who has no job running here.
func (s *Service) makeRoom(ctx context.Context) error {
	s.mu.Lock()
	busy := map[Owner]bool{}
	var longest *Run
	for _, r := range s.active {
		busy[r.Job.Owner] = true
		if longest == nil || r.started.Before(longest.started) {
			longest = r
		}
	}
	s.mu.Unlock()
	if longest == nil || s.Now().Sub(longest.started) < Slice {
		return nil
	}
	return s.waiting(ctx, func(j *Job) (bool, error) {
		if busy[j.Owner] {
			return false, nil
		}
		select {
		case longest.yield <- struct{}{}:
		default:
		}
		return true, nil
	})
}

// recover puts back the jobs of processes that are dead.
func (s *Service) recover(ctx context.Context) error {
	kinds := s.kinds()
	if len(kinds) == 0 {
		return nil
	}
	var all error
	seen := map[string]bool{}
	q := store.Query{Index: byRunning, Eq: kinds[0], Or: kinds[1:], Limit: 100}
	for {
		p, err := s.jobs.Find(ctx, q)
		if err != nil {
			return errors.Join(all, err)
		}
		for i := range p.Items {
			j := &p.Items[i].V
			s.mu.Lock()
			mine := s.active[j.ID] != nil
			s.mu.Unlock()
			if mine {
				continue
			}
			seen[leaseName(j.ID)] = true
			all = errors.Join(all, s.putBack(ctx, j.ID))
		}
		if p.Next == "" {
			break
		}
		q.Cursor = p.Next
	}
	for name := range s.watched {
		if !seen[name] {
			s.Leases.Forget(name)
		}
	}
	s.watched = seen
	return all
}

// putBack puts a running job back if its process has not renewed the lease for a term.
func (s *Service) putBack(ctx context.Context, id string) error {
	held, ok, err := s.Leases.Try(ctx, leaseName(id))
	if err != nil || !ok {
		return err
	}
	now := s.now()
	d, err := s.jobs.Update(ctx, id, func(j *Job) error {
		if j.State != Running || j.Fence >= held.Fence {
			return errNothingToDo
		}
		j.Fence = held.Fence
		j.Crashes++
		switch {
		case j.Cancel:
			j.end(Cancelled, now)
		case j.Crashes >= MaxCrashes:
			j.fail(CodeCrashed, "the job broke off too often", now)
		default:
			j.State, j.Due = Queued, now
		}
		return nil
	})
	if err == nil {
		s.Log.WarnContext(ctx, "a job broke off", "job", id, "kind", d.V.Kind, "crashes", d.V.Crashes, "state", d.V.State)
	}
	over := errors.Is(err, store.ErrNotFound) || d.V.State.Ended()
	if over || errors.Is(err, errNothingToDo) {
		err = nil
	}
	return errors.Join(err, s.letGo(ctx, held, over))
}

// keep renews the run's lease until end is called, and stops the run when it is another's, or not wanted any more.
func (r *Run) keep(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(keepEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				r.check(ctx)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// check renews the lease once, and stops the run if that is called for. While the store cannot be reached the lease may lapse: then the run
// stops as well, since another process may begin at any time.
func (r *Run) check(ctx context.Context) {
	err := r.held.Renew(ctx)
	if errors.Is(err, store.ErrLeaseLost) || err != nil && !r.held.Valid() {
		r.stop(ErrTakenOver)
		return
	}
	d, err := r.s.jobs.Get(ctx, r.Job.ID)
	if err == nil && d.V.Cancel {
		r.stop(ErrCancelled)
	}
}
