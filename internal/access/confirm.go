package access

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// weighty are the roles that one administrator alone cannot give: whoever could would be two who publish by inventing a second one, or two
// administrators likewise. What an administrator does to them waits for another administrator, and they do nothing until then.
var weighty = []Role{Publisher, Administrator}

func isWeighty(r Role) bool { return slices.Contains(weighty, r) }

// powers are the roles that count now: those of an operator who waits to be confirmed are the light ones.
func (o *operator) powers() []Role {
	roles := held(o.Roles)
	if len(o.Proposed) == 0 {
		return roles
	}
	return slices.DeleteFunc(slices.Clone(roles), isWeighty)
}

// propose notes that by is one of those on whose word alone the weighty roles rest. "" is whoever has the machine, who needs nobody.
func (o *operator) propose(by string) {
	switch {
	case !slices.ContainsFunc(held(o.Roles), isWeighty):
		o.Proposed = nil
	case by != "" && !slices.Contains(o.Proposed, by):
		o.Proposed = append(slices.Clone(o.Proposed), by)
	}
}

// gains says whether an operator may do something weighty that was not open before, or may do it for another body. To one who is shut out nothing is
// open: who was shut out by an administrator is not let in again by another one's word alone.
func (o *operator) gains(before *Operator) bool {
	roles := held(o.Roles)
	for _, r := range weighty {
		if slices.Contains(roles, r) && (before.Disabled && !o.Disabled || !slices.Contains(held(before.Roles), r)) {
			return true
		}
	}
	return slices.ContainsFunc(roles, isWeighty) && (o.Authority != before.Authority || o.Level.Rank() > before.Level.Rank())
}

var errUnusedLink = fault.New(fault.Conflict, "operator_not_enrolled",
	"the operator has not enrolled with the newest link yet; who cannot be asked whether it was they who did cannot be confirmed")

// ConfirmOperator has another administrator stand for what one did to a publisher or administrator: invite, let in anew, or give more rights. It
// is for the revision that by has seen (0: whatever stands), and changes nothing for an operator who waits for nobody. by is "" for whoever
// has the machine.
//
// NotFound; Conflict: operator_changed, operator_not_enrolled; Forbidden: own_account, and four_eyes for an administrator whose doing it is.
func (s *Service) ConfirmOperator(ctx context.Context, login string, revision int64, by string) (before, after Operator, err error) {
	d, err := s.operators.Get(ctx, login)
	if err != nil {
		return before, after, unknownOperator(err)
	}
	before = shown(d)
	switch {
	case revision != 0 && d.Rev != revision:
		return before, after, errOperatorChanged
	case len(d.V.Proposed) == 0:
		return before, before, nil
	case by == login:
		return before, after, errOwnAccount
	case slices.Contains(d.V.Proposed, by):
		return before, after, fault.New(fault.Forbidden, "four_eyes", "another administrator than %s has to confirm this operator", strings.Join(d.V.Proposed, ", "))
	case d.V.Password == "" || d.V.Link != "":
		return before, after, errUnusedLink
	}
	d.V.Proposed = nil
	err = s.operators.Replace(ctx, d)
	s.known.InvalidateAll()
	if errors.Is(err, store.ErrConflict) {
		return before, after, errOperatorChanged.Because(err)
	}
	if err == nil && d.V.administers() {
		err = s.settle(context.WithoutCancel(ctx), login, "")
	}
	if err != nil {
		return before, after, unknownOperator(err)
	}
	d.Rev++
	return before, shown(d), nil
}
