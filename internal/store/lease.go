package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
)

// ErrLeaseLost says that somebody else may hold the lease now.
var ErrLeaseLost = errors.New("store: lease lost")

// Lease is the stored state of a lease; its ID is the lease's name. But for Retire it is never deleted, so its revisions never repeat.
type Lease struct {
	Owner string `json:"owner"` // "": free
	Fence int64  `json:"fence"` // grows with every change of holder
	Term  int64  `json:"term"`  // milliseconds without a renewal after which it may be stolen
}

// Leases lets one of several processes do what must not be done twice at a time.
//
// No clocks are compared: a lease is stolen only after this process saw, by its own monotonic clock, no renewal for the whole
// term. A holder that stops for longer than the term (a long pause, a suspended machine) may still believe in its lease when another
// has it; so what a holder writes must carry the Fence, and must be refused where a greater fence was seen.
type Leases struct {
	coll  *Collection[Lease]
	owner string
	term  time.Duration
	now   clock.Now

	mu    sync.Mutex
	slots map[string]*slot
}

// slot is what this process knows of one lease. Whoever has put a value into busy owns the other fields and may write the lease, so
// that this process never competes with itself.
type slot struct {
	busy chan struct{}
	rev  int64     // the revision of another's lease,
	at   time.Time // and when this process first saw it
	held *Held
}

// OpenLeases opens the collection 'leases'. owner names this process for people who look into the database; a random part is added, so that
// a restarted process never takes its predecessor's lease for its own. now must have a monotonic reading, as time.Now has. A holder should
// renew every third of the term.
func OpenLeases(ctx context.Context, eng Engine, owner string, term time.Duration, now clock.Now) (*Leases, error) {
	if term < time.Millisecond {
		return nil, fmt.Errorf("store: a lease term of %v", term)
	}
	coll, err := Open(ctx, eng, Def[Lease]{Name: LeaseCollection})
	if err != nil {
		return nil, err
	}
	return &Leases{coll: coll, owner: owner + "/" + clock.Token(10), term: term, now: now, slots: map[string]*slot{}}, nil
}

// lock gives the slot of a lease, for this goroutine alone until it calls unlock.
func (l *Leases) lock(ctx context.Context, name string) (s *slot, unlock func(), err error) {
	l.mu.Lock()
	s = l.slots[name]
	if s == nil {
		s = &slot{busy: make(chan struct{}, 1)}
		l.slots[name] = s
	}
	l.mu.Unlock()
	select {
	case s.busy <- struct{}{}:
		return s, func() { <-s.busy }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// Held is a lease that this process took. It is safe for concurrent use.
type Held struct {
	Name  string
	Fence int64 // greater than that of every earlier holder

	l    *Leases
	rev  int64 // like a slot's fields
	over bool  // lost or released; likewise

	mu      sync.Mutex
	renewed time.Time // a moment before the last renewal was stored; zero: not held
}

// Try takes the lease if it is free, or was not renewed for its whole term while this process looked on; so whoever wants a lease calls Try
// again and again, a few times per term. It is false while another holds it, be it in this process.
func (l *Leases) Try(ctx context.Context, name string) (*Held, bool, error) {
	s, unlock, err := l.lock(ctx, name)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if s.held != nil && s.held.Valid() {
		return nil, false, nil
	}
	start := l.now()
	d, err := l.take(ctx, s, name, start)
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) {
		return nil, false, nil // another was faster, or holds it
	}
	if err != nil {
		return nil, false, err
	}
	s.held = &Held{Name: name, Fence: d.V.Fence, l: l, rev: d.Rev, renewed: start}
	return s.held, true, nil
}

// take writes the lease as ours. ErrConflict, ErrExists: it is another's.
func (l *Leases) take(ctx context.Context, s *slot, name string, start time.Time) (Doc[Lease], error) {
	d, err := l.coll.Get(ctx, name)
	if errors.Is(err, ErrNotFound) {
		d = Doc[Lease]{ID: name, Rev: 1, V: l.mine(1)}
		return d, l.coll.Insert(ctx, name, d.V)
	}
	if err != nil {
		return d, err
	}
	if !l.free(s, d, start) {
		return d, ErrConflict
	}
	d.V = l.mine(d.V.Fence + 1)
	if err := l.coll.Replace(ctx, d); err != nil {
		return d, err
	}
	d.Rev++
	return d, nil
}

func (l *Leases) mine(fence int64) Lease {
	return Lease{Owner: l.owner, Fence: fence, Term: l.term.Milliseconds()}
}

// free tells whether the lease, read after start, may be taken. It may if it is our own: then the answer to our write got lost, or
// its holder let it lapse.
func (l *Leases) free(s *slot, d Doc[Lease], start time.Time) bool {
	if d.V.Owner == "" || d.V.Owner == l.owner {
		return true
	}
	if s.rev != d.Rev {
		// Counted from after the read: the renewal may be as young as that.
		s.rev, s.at = d.Rev, l.now()
		return false
	}
	return start.Sub(s.at) >= max(l.term, time.Duration(d.V.Term)*time.Millisecond)
}

// Valid tells whether the lease was renewed within its term, so that nobody else can have it yet.
func (h *Held) Valid() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.renewed.IsZero() && h.l.now().Sub(h.renewed) < h.l.term
}

func (h *Held) setRenewed(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.renewed = t
}

// Renew starts the term anew. ErrLeaseLost: another has it, or it was released, and the holder must stop. After any other error (the store cannot be
// reached) the lease is still held while Valid says so, and Renew may be tried again.
func (h *Held) Renew(ctx context.Context) error {
	_, unlock, err := h.l.lock(ctx, h.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if h.over {
		return h.lost()
	}
	start := h.l.now()
	if err := h.write(ctx, h.l.mine(h.Fence)); err != nil {
		return err
	}
	h.setRenewed(start)
	return nil
}

// Release frees the lease for the next Try of anybody; h is not valid any more, even if Release fails. It is no error if another
// has the lease already.
func (h *Held) Release(ctx context.Context) error {
	h.setRenewed(time.Time{})
	_, unlock, err := h.l.lock(ctx, h.Name)
	if err != nil {
		return err
	}
	defer unlock()
	h.over = true
	h.setRenewed(time.Time{}) // a Renew that was under way may have set it again
	if err := h.write(ctx, Lease{Fence: h.Fence, Term: h.l.term.Milliseconds()}); err != nil && !errors.Is(err, ErrLeaseLost) {
		return err
	}
	return nil
}

// Retire deletes the lease for good, with what this process remembers of it: for a name that is used once, such as a job's, whose matter has
// ended and says so itself, so that whoever takes the lease nevertheless finds nothing to do. h is not valid any more, even if Retire fails.
func (h *Held) Retire(ctx context.Context) error {
	h.setRenewed(time.Time{})
	_, unlock, err := h.l.lock(ctx, h.Name)
	if err != nil {
		return err
	}
	defer unlock()
	h.over = true
	h.setRenewed(time.Time{}) // a Renew that was under way may have set it again
	h.l.drop(h.Name)
	err = h.l.coll.DeleteRev(ctx, Doc[Lease]{ID: h.Name, Rev: h.rev})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return nil // another has it, or has retired it
	}
	return err
}

// Forget drops what this process remembers of a lease that it looked at and does not hold. The next Try looks on for a whole term again.
func (l *Leases) Forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.slots[name]
	if s == nil {
		return
	}
	select {
	case s.busy <- struct{}{}: // nobody is at it
		if s.held == nil || !s.held.Valid() {
			delete(l.slots, name)
		}
		<-s.busy
	default:
	}
}

func (l *Leases) drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slots, name)
}

// write stores the lease if it is still h's. A conflict may come from a write of our own whose answer got lost: then owner and fence
// are as they were, and it is written again over the new revision.
func (h *Held) write(ctx context.Context, v Lease) error {
	err := h.l.coll.Replace(ctx, Doc[Lease]{ID: h.Name, Rev: h.rev, V: v})
	if errors.Is(err, ErrConflict) {
		d, getErr := h.l.coll.Get(ctx, h.Name)
		if getErr != nil {
			return getErr
		}
		if d.V.Owner == h.l.owner && d.V.Fence == h.Fence {
			h.rev = d.Rev
			err = h.l.coll.Replace(ctx, Doc[Lease]{ID: h.Name, Rev: h.rev, V: v})
		}
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		h.over = true
		h.setRenewed(time.Time{})
		return h.lost()
	}
	if err != nil {
		return err
	}
	h.rev++
	return nil
}

func (h *Held) lost() error {
	return fmt.Errorf("%s, fence %d: %w", h.Name, h.Fence, ErrLeaseLost)
}
