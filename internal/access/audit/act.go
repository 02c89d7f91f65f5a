package audit

import (
	"context"
	"sync"
	"time"
)

// Act is an action under way, whose attempt is in the trail. Its methods may be called by several goroutines; the first outcome counts.
type Act struct {
	Seq int64     // of the attempt
	At  time.Time // when it was written

	s    *Service
	base wire
	mu   sync.Mutex
	out  *item // the outcome, once it is queued
}

// Begin records that an action is about to be done; the attempt is durable before it returns nil. Phase, Outcome and Attempt of e are not used.
// The action must not be done after an error. Unavailable (audit_unavailable): the trail cannot be written; the attempt may still appear in
// it, without an outcome, if the store had it already.
func (s *Service) Begin(ctx context.Context, e Entry) (*Act, error) {
	e.Phase, e.Outcome, e.Attempt = Attempt, "", 0
	it, err := s.record(ctx, e)
	if err != nil {
		return nil, err
	}
	base := wire{
		Action: it.w.Action, Actor: it.w.Actor, Attempt: it.seq, Authority: it.w.Authority, Request: it.w.Request, Subject: it.w.Subject,
	}
	return &Act{Seq: it.seq, At: it.at, s: s, base: base}, nil
}

// Record records a single fact, such as a read: it is durable before Record returns nil. Phase is Read where e says nothing; Outcome
// and Attempt are kept. Unavailable (audit_unavailable), after which it may still have been recorded.
func (s *Service) Record(ctx context.Context, e Entry) error {
	if e.Phase == "" {
		e.Phase = Read
	}
	_, err := s.record(ctx, e)
	return err
}

func (s *Service) record(ctx context.Context, e Entry) (*item, error) {
	w, err := s.prepare(ctx, e)
	if err != nil {
		return nil, err
	}
	it, err := s.put(w)
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, it); err != nil {
		s.queue.drop(it)
		return nil, err
	}
	return it, nil
}

// Change is what an action changed. Before and After are documents as they are stored, or nil; they may be json.RawMessage.
type Change struct {
	Subject       string // "": that of the attempt
	Why           string
	Before, After any
}

// Done records that the action was done. It does not stop when ctx ends, as it does when a client goes away: it waits 5 s at most. After an
// Unavailable error the outcome is still queued, is written once the store answers, and is lost only if the process ends before; to call
// Done again waits for the same outcome.
func (a *Act) Done(ctx context.Context, c Change) error {
	return a.finish(ctx, func() (wire, error) {
		e := Entry{Actor: a.base.Actor, Action: a.base.Action, Phase: Done, Why: c.Why, Subject: c.Subject}
		var err error
		if e.Before, err = state(c.Before); err != nil {
			return wire{}, err
		}
		if e.After, err = state(c.After); err != nil {
			return wire{}, err
		}
		return a.s.prepare(ctx, e)
	})
}

// Failed records that the action failed or was refused; outcome is a stable code. See Done. After Done it does nothing, so it may be deferred.
func (a *Act) Failed(ctx context.Context, outcome string) error {
	return a.finish(ctx, func() (wire, error) {
		return a.s.prepare(ctx, Entry{Actor: a.base.Actor, Action: a.base.Action, Phase: Failed, Outcome: outcome})
	})
}

func (a *Act) finish(ctx context.Context, entry func() (wire, error)) error {
	it, err := a.outcome(entry)
	if err != nil {
		return err
	}
	return a.s.wait(context.WithoutCancel(ctx), it)
}

// outcome queues the outcome, if none is yet.
func (a *Act) outcome(entry func() (wire, error)) (*item, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out != nil {
		return a.out, nil
	}
	w, err := entry()
	if err != nil {
		return nil, err
	}
	w.Attempt, w.Authority, w.Request = a.base.Attempt, a.base.Authority, a.base.Request
	if w.Subject == "" {
		w.Subject = a.base.Subject
	}
	a.out, err = a.s.put(w)
	return a.out, err
}
