package access

import (
	"context"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/warning"
)

// An operator's link is worth nothing once anything has come between: another link, an enrolment, a change, an end of all sessions. Both an
// untouched link and one that was begun before are held to that.
func TestAStaleLinkTakesNoAccountOver(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	yes, no := true, false
	change := func(c OperatorChange) func(*testing.T, *bundle) {
		return func(t *testing.T, b *bundle) {
			t.Helper()
			_, _, err := b.ChangeOperator(ctx, "chen.yu", 0, c)
			must(t, err)
		}
	}
	for name, between := range map[string]func(*testing.T, *bundle){
		"a newer link": func(t *testing.T, b *bundle) {
			t.Helper()
			_, err := b.Readmit(ctx, "chen.yu", "root")
			must(t, err)
		},
		"an enrolment by a newer link": func(t *testing.T, b *bundle) {
			t.Helper()
			l, err := b.Readmit(ctx, "chen.yu", "root")
			must(t, err)
			b.enrol(l)
		},
		"other roles":  change(OperatorChange{Roles: &[]Role{Viewer}, Level: new(warning.Level)}),
		"disabled":     change(OperatorChange{Disabled: &yes}),
		"another body": change(OperatorChange{Authority: new("hn-fda")}),
		"logged out":   func(t *testing.T, b *bundle) { t.Helper(); _, err := b.EndSessions(ctx, "chen.yu", ""); must(t, err) },
		"own password": func(t *testing.T, b *bundle) {
			t.Helper()
			must(t, b.SetPassword(ctx, "chen.yu", password, password+"!", "hs_x"))
		},
		"out and in again": func(t *testing.T, b *bundle) {
			t.Helper()
			change(OperatorChange{Disabled: &yes})(t, b)
			change(OperatorChange{Disabled: &no})(t, b)
		},
	} {
		for _, begun := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.add("chen.yu")
				l, err := b.Readmit(ctx, "chen.yu", "root")
				must(t, err)
				var e Enrolment
				if begun {
					e, err = b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: "the thief's own words"})
					must(t, err)
				}
				between(t, b)
				before, err := b.operators.Get(ctx, "chen.yu")
				must(t, err)
				if begun {
					_, err = b.ConfirmEnrolment(ctx, l.Token, b.code(e.TOTPSecret, 0))
				} else {
					_, err = b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: "the thief's own words"})
				}
				wants(t, err, "link_unknown")
				if after, err := b.operators.Get(ctx, "chen.yu"); err != nil || after.Rev != before.Rev {
					t.Errorf("the operator was changed: %+v, %v", after, err)
				}
			})
		}
	}
}

// enrol uses an operator's link up.
func (b *bundle) enrol(l Link) person {
	b.t.Helper()
	e, err := b.StartEnrolment(b.t.Context(), StartRequest{Token: l.Token, Password: password})
	must(b.t, err)
	done, err := b.ConfirmEnrolment(b.t.Context(), l.Token, b.code(e.TOTPSecret, 0))
	must(b.t, err)
	return person{e.Login, e.TOTPSecret, done.RecoveryCodes}
}

// A disabled operator gets no link, and none that differs from what was asked for before.
func TestLinksAreForOperatorsAsTheyStand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	n := NewOperator{Login: "lin.mei", Authority: "hn-amr", Roles: []Role{Publisher}, Level: warning.Blue}
	_, err := b.InviteOperator(ctx, n)
	must(t, err)
	_, err = b.InviteOperator(ctx, n)
	must(t, err)
	more := n
	more.Level = warning.Red
	_, err = b.InviteOperator(ctx, more)
	wants(t, err, "login_taken")
	yes := true
	_, _, err = b.ChangeOperator(ctx, "lin.mei", 0, OperatorChange{Disabled: &yes})
	must(t, err)
	_, err = b.InviteOperator(ctx, n)
	wants(t, err, "operator_disabled")
	_, err = b.Readmit(ctx, "lin.mei", "root")
	wants(t, err, "operator_disabled")
	_, err = b.Readmit(ctx, "nobody", "root")
	wants(t, err, "operator_unknown")
}

// register is a register of firms that change.
type register struct {
	mu    sync.Mutex
	marks map[string]string
}

func (r *register) Mark(_ context.Context, id string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, ok := r.marks[id]; ok {
		return m, nil
	}
	return "", fault.New(fault.NotFound, "firm_unknown", "no such firm")
}

func (r *register) set(id, mark string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks[id] = mark
}

// A firm's link is worth nothing after a newer one, and after the firm was changed.
func TestAStaleInvitationGivesNoKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	firms := &register{marks: map[string]string{"haikou-df": "1", "other": "1"}}
	b.opts.Firms = firms
	s := b.replica()
	old, err := s.InviteFirm(ctx, "haikou-df", "operator:lin")
	must(t, err)
	_, err = s.InviteFirm(ctx, "other", "operator:lin")
	must(t, err)
	l, err := s.InviteFirm(ctx, "haikou-df", "operator:lin")
	must(t, err)
	_, err = s.AcceptInvitation(ctx, old.Token, "thief")
	wants(t, err, "link_unknown")
	firms.set("haikou-df", "2")
	_, err = s.AcceptInvitation(ctx, l.Token, "thief")
	wants(t, err, "link_unknown")
	l, err = s.InviteFirm(ctx, "haikou-df", "operator:lin")
	must(t, err)
	_, err = s.AcceptInvitation(ctx, l.Token, "ERP")
	must(t, err)
	if list, err := s.Keys(ctx, "haikou-df"); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = s.InviteFirm(ctx, "nobody", "operator:lin")
	wants(t, err, "firm_unknown")
}
