package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// maxPage is the largest page.
const maxPage = 100

// List gives the requests of an authority, and of those for which it acts, in a state ("": in any), the oldest first: those that
// press. limit is 1 to 100, default 20. A page may be short and still have a next one. Invalid for an unknown state; Malformed (bad_cursor).
func (s *Service) List(ctx context.Context, authority, state, cursor string, limit int) (requests []Request, next string, err error) {
	if state != "" && !slices.Contains(States, state) {
		return nil, "", fault.InvalidFields(fault.Field{Pointer: "/state", Code: "unknown_code", Detail: "one of: " + strings.Join(States, ", ")})
	}
	if limit <= 0 {
		limit = 20
	}
	q := store.Query{Index: indexQueue, Eq: store.K(authority, state), Limit: min(limit, maxPage), Cursor: cursor}
	if s.bodies != nil {
		line, err := s.bodies.Line(ctx, authority)
		if err != nil {
			return nil, "", err
		}
		for _, id := range line {
			if id != authority {
				q.Or = append(q.Or, store.K(id, state))
			}
		}
	}
	p, err := s.docs.Find(ctx, q)
	if errors.Is(err, store.ErrBadCursor) {
		return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list requests: %w", err)
	}
	for i := range p.Items {
		if r := s.present(p.Items[i].V); state == "" || r.State == state {
			requests = append(requests, r)
		}
	}
	return requests, p.Next, nil
}

// errDecided stops an update of a request that stands where it should.
var errDecided = errors.New("approval: already there")

// Decide approves or rejects a request, and carries an approved one out before it returns. The caller has made sure that who decides may do
// what is asked. Where carrying out fails for now the request is approved, and Run goes on with it. To decide again what one has decided
// changes nothing.
//
// NotFound; Forbidden (four_eyes) for the operator who asked; Invalid, since a rejection has a reason; Conflict (already_decided,
// approval_expired).
func (s *Service) Decide(ctx context.Context, id, by, byName string, approve bool, reason string) (Request, error) {
	reason = strings.TrimSpace(reason)
	if err := checkReason(reason, !approve); err != nil {
		return Request{}, err
	}
	state := Rejected
	if approve {
		state = Approved
	}
	r, err := s.move(ctx, id, func(r *Request) error {
		if by == "" || by == r.By {
			return fault.New(fault.Forbidden, "four_eyes", "another operator than the one who asks has to approve")
		}
		if r.DecidedBy == by && (r.State == state || approve && (r.State == Done || r.State == Failed)) {
			return errDecided
		}
		if err := s.undecided(r); err != nil {
			return err
		}
		r.State, r.DecidedBy, r.DecidedName, r.Decided, r.Reason = state, by, byName, s.time(), reason
		return nil
	})
	if err != nil || r.State != Approved {
		return r, err
	}
	done, err := s.carryOut(ctx, r)
	if err != nil {
		s.log.WarnContext(ctx, "approved, but not carried out yet; the worker will", "request", id, "error", err)
		return r, nil
	}
	return done, nil
}

// Withdraw takes back a request that is not decided yet; only who asked may. NotFound; Forbidden (other_asker); Conflict
// (already_decided, approval_expired).
func (s *Service) Withdraw(ctx context.Context, id, by string) (Request, error) {
	return s.move(ctx, id, func(r *Request) error {
		if by == "" || by != r.By {
			return fault.New(fault.Forbidden, "other_asker", "only the operator who asked may take a request back")
		}
		if r.State == Withdrawn {
			return errDecided
		}
		if err := s.undecided(r); err != nil {
			return err
		}
		r.State, r.Decided = Withdrawn, s.time()
		return nil
	})
}

// undecided passes a request that is still to be decided.
func (s *Service) undecided(r *Request) error {
	switch s.present(*r).State {
	case Pending:
		return nil
	case Expired:
		return fault.New(fault.Conflict, "approval_expired", "the request has expired; it has to be asked anew")
	}
	return fault.New(fault.Conflict, "already_decided", "the request is %s already", r.State)
}

// move changes a request. change may run several times; errDecided of it is no error.
func (s *Service) move(ctx context.Context, id string, change func(r *Request) error) (Request, error) {
	if !idPattern.MatchString(id) {
		return Request{}, errUnknown(id)
	}
	d, err := s.docs.Update(ctx, id, change)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Request{}, errUnknown(id)
	case err != nil && !errors.Is(err, errDecided):
		return Request{}, err
	}
	return d.V, nil
}

func checkReason(reason string, required bool) error {
	bad := func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	}
	switch {
	case required && reason == "":
		return fault.InvalidFields(fault.Field{Pointer: "/reason", Code: "required", Detail: "say why it is rejected"})
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, bad) || utf8.RuneCountInString(reason) > maxReason:
		return fault.InvalidFields(fault.Field{
			Pointer: "/reason", Code: "text", Detail: fmt.Sprintf("at most %d characters, none of them control characters", maxReason),
		})
	}
	return nil
}

// carryOut carries an approved request out and notes what came of it. Any number of processes may do so at once. An error means that it
// is to be tried again.
func (s *Service) carryOut(ctx context.Context, r Request) (Request, error) {
	result, err := s.carry(ctx, r)
	if err != nil && !final(err) {
		return r, err
	}
	failure := ""
	if err != nil {
		failure = fault.CodeOf(err)
	}
	return s.move(ctx, r.ID, func(r *Request) error {
		switch {
		case r.State == Done, failure != "" && r.State == Failed:
			return errDecided
		case failure != "":
			r.State, r.Failure = Failed, failure
		default:
			// What was done is done, even if another process, which came too late to see it, has noted a failure meanwhile.
			r.State, r.Result, r.Failure = Done, result, ""
		}
		return nil
	})
}

// final says whether trying again is of no use.
func final(err error) bool {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.TooMany:
		return false
	}
	return true
}

// workEvery is how often Run looks for what is left to do.
const workEvery = time.Second

// Run carries out what was approved by processes that died before they did so, and marks what has expired. It returns nil when ctx ends, may be
// killed at any instruction, and may run in every replica.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(workEvery)
	defer tick.Stop()
	failing := false
	for {
		err := s.Repair(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if (err != nil) != failing {
			failing = err != nil
			s.log.WarnContext(ctx, "carrying out approved requests", "failing", failing, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Repair does everything that is left to do now. Run calls it again and again. One request that cannot be carried out does not hold
// up the others.
func (s *Service) Repair(ctx context.Context) error {
	var all []error
	err := s.docs.Each(ctx, store.Query{Index: indexWork, Eq: store.K(Approved)}, func(d store.Doc[Request]) error {
		if d.V.State == Approved {
			if _, err := s.carryOut(ctx, d.V); err != nil {
				all = append(all, fmt.Errorf("request %s: %w", d.ID, err))
			}
		}
		return ctx.Err()
	})
	all = append(all, err)
	// The end of the range is exclusive, and a request expires at this very millisecond.
	now := s.time().Add(time.Millisecond)
	err = s.docs.Each(ctx, store.Query{Index: indexWork, Eq: store.K(Pending), To: store.K(now)}, func(d store.Doc[Request]) error {
		_, err := s.move(ctx, d.ID, func(r *Request) error {
			if s.present(*r).State != Expired || r.State != Pending {
				return errDecided
			}
			r.State = Expired
			return nil
		})
		return err
	})
	return errors.Join(append(all, err)...)
}
