package access

import (
	"context"
	"errors"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// FirstLink gives a link for the first administrator, while there is no operator at all; false once there is one. It takes the place of
// the link before it, so of several processes that start at once the last one's is good. An operator whom a process that died left half made
// is finished instead.
func (s *Service) FirstLink(ctx context.Context) (Link, bool, error) {
	exists, err := s.anyOperator(ctx)
	if err == nil && !exists {
		exists, err = s.finishFirst(ctx)
	}
	if exists || err != nil {
		return Link{}, false, err
	}
	l, err := s.newest(ctx, link{Kind: linkFirst, Expires: s.time().Add(firstLinkTerm)})
	return l, err == nil, err
}

func (s *Service) anyOperator(ctx context.Context) (bool, error) {
	n, err := s.operators.Count(ctx, store.Query{Index: everyone, Eq: store.K("")}, 1)
	return n > 0, err
}

// firstClaim is the document that decides who is the first operator, of all who confirm a first link at one moment: whoever inserts it. It
// holds all that the operator is made of, so that whoever finds it goes on with it if that process dies.
const firstClaim = "first_operator"

func (s *Service) enrolFirst(ctx context.Context, l *link) error {
	exists, err := s.anyOperator(ctx)
	if err != nil {
		return err
	}
	if exists {
		return errLink
	}
	claim := link{
		Kind: linkFirst, Login: l.Login, First: l.First, Password: l.Password, TOTP: l.TOTP, Recovery: l.Recovery, Step: l.Step,
		Expires: s.time().Add(firstLinkTerm),
	}
	err = s.links.Insert(ctx, firstClaim, claim)
	late := errors.Is(err, store.ErrExists)
	if err != nil && !late {
		return err
	}
	if _, err := s.finishFirst(ctx); err != nil {
		return err
	}
	if late {
		return errLink
	}
	return nil
}

// finishFirst makes the operator who has the claim, and says whether there is one. Any number of processes may do so at once. Conflict
// (login_taken) when the command added another one with this login meanwhile.
func (s *Service) finishFirst(ctx context.Context) (bool, error) {
	d, err := s.links.Get(ctx, firstClaim)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o := operator{Name: d.V.First.Name, Authority: d.V.First.Authority, Roles: []Role{Administrator}, Created: s.time()}
	if err := d.V.enrol(&o); err != nil {
		return false, err
	}
	taken := s.insertOperator(ctx, d.V.Login, &o)
	if fault.CodeOf(taken) != "login_taken" {
		return true, taken
	}
	now, err := s.operators.Get(ctx, d.V.Login)
	if err == nil && now.V.Password != o.Password {
		err = taken
	}
	return true, err
}
