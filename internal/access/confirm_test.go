package access

import (
	"slices"
	"testing"

	"github.com/haisu-trace/haisu/internal/warning"
)

var lin = NewOperator{Login: "lin.mei", Name: "Lin Mei", Authority: "hn-amr", Roles: []Role{Officer, Publisher}, Level: warning.Yellow, By: "root"}

// publisher is lin, invited by root, enrolled and confirmed by a second administrator.
func (b *bundle) publisher() {
	b.t.Helper()
	l, err := b.InviteOperator(b.t.Context(), lin)
	must(b.t, err)
	b.enrol(l)
	_, _, err = b.ConfirmOperator(b.t.Context(), lin.Login, 0, "second")
	must(b.t, err)
}

// rolesNow are what an operator may do now, light ones included.
func (b *bundle) rolesNow(t *testing.T, login string) []Role {
	t.Helper()
	p, err := b.Principal(t.Context(), login)
	must(t, err)
	return p.Roles
}

func (b *bundle) wantRoles(t *testing.T, login string, want ...Role) {
	t.Helper()
	if got := b.rolesNow(t, login); !slices.Equal(got, want) {
		t.Fatalf("%s has the roles %v, want %v", login, got, want)
	}
}

func TestWhatOneAdministratorDoesAnotherConfirms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	l, err := b.InviteOperator(ctx, lin)
	must(t, err)
	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, "second")
	wants(t, err, "operator_not_enrolled")
	b.enrol(l)
	b.wantRoles(t, lin.Login, Officer)

	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, "root")
	wants(t, err, "four_eyes")
	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, lin.Login)
	wants(t, err, "own_account")
	o, err := b.Operator(ctx, lin.Login)
	must(t, err)
	_, _, err = b.ConfirmOperator(ctx, lin.Login, o.Revision-1, "second")
	wants(t, err, "operator_changed")
	before, after, err := b.ConfirmOperator(ctx, lin.Login, o.Revision, "second")
	must(t, err)
	if !slices.Equal(before.Proposed, []string{"root"}) || after.Proposed != nil {
		t.Errorf("proposed by %v, then by %v", before.Proposed, after.Proposed)
	}
	b.wantRoles(t, lin.Login, Officer, Publisher)
	again, after, err := b.ConfirmOperator(ctx, lin.Login, 0, "root")
	must(t, err)
	if again.Revision != after.Revision {
		t.Error("who waits for nobody was changed")
	}
	_, _, err = b.ConfirmOperator(ctx, "nobody", 0, "second")
	wants(t, err, "operator_unknown")
}

// Whom one administrator has shut out another one alone does not make a publisher again.
func TestLettingInAgainWaitsForAnotherAdministrator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publisher()
	out, in := true, false
	_, _, err := b.ChangeOperator(t.Context(), lin.Login, 0, OperatorChange{By: "second", Disabled: &out})
	must(t, err)
	_, after, err := b.ChangeOperator(t.Context(), lin.Login, 0, OperatorChange{By: "root", Disabled: &in})
	must(t, err)
	if !slices.Equal(after.Proposed, []string{"root"}) {
		t.Errorf("proposed by %v", after.Proposed)
	}
	b.wantRoles(t, lin.Login, Officer)
	_, _, err = b.ConfirmOperator(t.Context(), lin.Login, 0, "root")
	wants(t, err, "four_eyes")
	_, _, err = b.ConfirmOperator(t.Context(), lin.Login, 0, "second")
	must(t, err)
	b.wantRoles(t, lin.Login, Officer, Publisher)
}

func TestWhatWaitsForAnotherAdministrator(t *testing.T) {
	t.Parallel()
	roles := func(r ...Role) *[]Role { return &r }
	body, yellow, red, blue, name := "hn-fda", warning.Yellow, warning.Red, warning.Blue, "Lin"
	none := warning.Level("")
	for _, c := range []struct {
		name   string
		change OperatorChange
		want   []Role
	}{
		{"a name", OperatorChange{Name: &name}, []Role{Officer, Publisher}},
		{"a lower level", OperatorChange{Level: &blue}, []Role{Officer, Publisher}},
		{"the same level", OperatorChange{Level: &yellow}, []Role{Officer, Publisher}},
		{"a higher level", OperatorChange{Level: &red}, []Role{Officer}},
		{"another body", OperatorChange{Authority: &body}, []Role{Officer}},
		{"no publisher any more", OperatorChange{Roles: roles(Officer), Level: &none}, []Role{Officer}},
		{"an administrator", OperatorChange{Roles: roles(Viewer, Administrator), Level: &none}, []Role{Viewer}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.publisher()
			c.change.By = "second"
			_, after, err := b.ChangeOperator(t.Context(), lin.Login, 0, c.change)
			must(t, err)
			b.wantRoles(t, lin.Login, c.want...)
			if len(after.Proposed) > 0 {
				_, _, err = b.ConfirmOperator(t.Context(), lin.Login, 0, "root")
				must(t, err)
				b.wantRoles(t, lin.Login, after.Roles...)
			}
		})
	}
}

// A change by another administrator is no confirmation of what the first one did, and each of both needs a third.
func TestAChangeConfirmsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	l, err := b.InviteOperator(ctx, lin)
	must(t, err)
	b.enrol(l)
	blue, red := warning.Blue, warning.Red
	_, _, err = b.ChangeOperator(ctx, lin.Login, 0, OperatorChange{By: "second", Level: &blue})
	must(t, err)
	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, "root")
	wants(t, err, "four_eyes")
	_, _, err = b.ChangeOperator(ctx, lin.Login, 0, OperatorChange{By: "second", Level: &red})
	must(t, err)
	for _, by := range []string{"root", "second"} {
		_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, by)
		wants(t, err, "four_eyes")
	}
	b.wantRoles(t, lin.Login, Officer)
	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, "third")
	must(t, err)
	b.wantRoles(t, lin.Login, Officer, Publisher)
}

// Whoever lets a publisher in anew has the link, and could enrol in that name.
func TestReadmissionWaitsForAnotherAdministrator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.publisher()
	l, err := b.Readmit(ctx, lin.Login, "root")
	must(t, err)
	b.wantRoles(t, lin.Login, Officer)
	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, "second")
	wants(t, err, "operator_not_enrolled")
	b.enrol(l)
	b.wantRoles(t, lin.Login, Officer)
	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, "root")
	wants(t, err, "four_eyes")
	_, _, err = b.ConfirmOperator(ctx, lin.Login, 0, "")
	must(t, err)
	b.wantRoles(t, lin.Login, Officer, Publisher)
}

// An invented administrator confirms nobody, counts for nothing, and the last real one cannot be let in anew.
func TestAnInventedAdministratorIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	_, err := b.AddOperator(ctx, NewOperator{Login: "root", Authority: "hn-amr", Roles: []Role{Administrator}, Password: password})
	must(t, err)
	l, err := b.InviteOperator(ctx, NewOperator{Login: "puppet", Authority: "hn-amr", Roles: []Role{Administrator}, By: "root"})
	must(t, err)
	b.enrol(l)
	b.wantRoles(t, "puppet")
	_, err = b.Readmit(ctx, "root", "puppet")
	wants(t, err, "last_administrator")
	disabled := true
	_, _, err = b.ChangeOperator(ctx, "root", 0, OperatorChange{Disabled: &disabled})
	wants(t, err, "last_administrator")
	_, _, err = b.ConfirmOperator(ctx, "puppet", 0, "")
	must(t, err)
	b.wantRoles(t, "puppet", Administrator)
	_, err = b.Readmit(ctx, "root", "puppet")
	must(t, err)
	_, err = b.Readmit(ctx, "puppet", "root")
	wants(t, err, "last_administrator")
}
