package access

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/haisu-trace/haisu/internal/warning"
)

func TestBadOperatorsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("chen.yu")
	_, err := b.AddOperator(t.Context(), NewOperator{Login: "chen.yu", Authority: "hn-amr", Roles: []Role{Viewer}, Password: password})
	wants(t, err, "login_taken")
	_, err = b.AddOperator(t.Context(), NewOperator{Login: "Chen Yu", Name: "a\nb", Roles: []Role{"boss"}, Level: warning.Red, Password: "short"})
	for _, pointer := range []string{"/login", "/name", "/password", "/roles", "/authority", "/level"} {
		if err == nil || !strings.Contains(err.Error(), pointer) {
			t.Errorf("%s is not in %v", pointer, err)
		}
	}
	_, err = b.AddOperator(t.Context(), NewOperator{Login: "lin.mei", Authority: "nobody", Roles: []Role{Viewer}, Password: password})
	if err == nil || !strings.Contains(err.Error(), "authority_unknown") {
		t.Errorf("%v", err)
	}
	_, err = b.AddOperator(t.Context(), NewOperator{Login: "lin.mei", Authority: "hn-amr", Roles: []Role{Publisher}, Password: password})
	if err == nil || !strings.Contains(err.Error(), "/level") {
		t.Errorf("a publisher without a level: %v", err)
	}
}

// Whose authority was merged acts for its successor.
func TestAnOperatorActsForTheSuccessor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, err := b.AddOperator(t.Context(), NewOperator{Login: "old.hand", Authority: "hn-fda", Roles: []Role{Officer}, Password: password})
	must(t, err)
	s := b.login(person{"old.hand", e.TOTPSecret, nil}, office)
	if s.Operator.Authority != "hn-amr" {
		t.Errorf("acts for %s", s.Operator.Authority)
	}
}

// Whoever lets others in is none of those who publish, and gives no rights to himself, by no door.
func TestAnAdministratorPublishesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.add("root", Administrator, Auditor)
	b.add("boss", Administrator)
	b.add("chen.yu")
	level := warning.Red
	for _, r := range []Role{Officer, Publisher} {
		n := NewOperator{Login: "both", Authority: "hn-amr", Roles: []Role{Administrator, r}, Password: password}
		if r == Publisher {
			n.Level = level
		}
		_, err := b.AddOperator(ctx, n)
		wants(t, err, "invalid")
		_, err = b.InviteOperator(ctx, n)
		wants(t, err, "invalid")
		_, _, err = b.ChangeOperator(ctx, "root", 0, OperatorChange{By: "boss", Roles: &n.Roles, Level: &n.Level})
		wants(t, err, "invalid")
	}
	name, disabled := "Root", true
	for _, c := range []OperatorChange{
		{Roles: &[]Role{Publisher}, Level: &level}, {Roles: &[]Role{Administrator}}, {Authority: new("hn-fda")}, {Disabled: &disabled},
	} {
		c.By = "root"
		_, _, err := b.ChangeOperator(ctx, "root", 0, c)
		wants(t, err, "own_account")
	}
	s, err := b.operators.Get(ctx, "root")
	must(t, err)
	_, after, err := b.ChangeOperator(ctx, "root", 0, OperatorChange{By: "root", Name: &name, Roles: &s.V.Roles})
	must(t, err)
	if d, err := b.operators.Get(ctx, "root"); err != nil || after.Name != name || d.V.Epoch != s.V.Epoch {
		t.Errorf("a new name ends no session: %+v, %v", d, err)
	}
	_, _, err = b.ChangeOperator(ctx, "root", 0, OperatorChange{By: "boss", Roles: &[]Role{Publisher}, Level: &level})
	must(t, err)
	// Behind this package's back, as in a store of an earlier version.
	_, err = b.operators.Update(ctx, "chen.yu", func(o *operator) error { o.Roles = append(o.Roles, Administrator, Viewer); return nil })
	must(t, err)
	p, err := b.Principal(ctx, "chen.yu")
	must(t, err)
	if !slices.Equal(p.Roles, []Role{Administrator, Viewer}) || p.Level != "" {
		t.Errorf("%+v", p)
	}
}

func TestChangesOfOperators(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.add("chen.yu")
	o, err := b.Operator(ctx, "chen.yu")
	must(t, err)
	name, blue := "陈宇", warning.Blue
	before, after, err := b.ChangeOperator(ctx, "chen.yu", o.Revision, OperatorChange{Name: &name, Level: &blue})
	must(t, err)
	if before.Name != "Chen Yu" || after.Name != name || after.Level != blue || after.Revision != o.Revision+1 {
		t.Errorf("%+v, %+v", before, after)
	}
	_, _, err = b.ChangeOperator(ctx, "chen.yu", o.Revision, OperatorChange{Name: &name})
	wants(t, err, "operator_changed")
	_, _, err = b.ChangeOperator(ctx, "nobody", 0, OperatorChange{Name: &name})
	wants(t, err, "operator_unknown")
	_, _, err = b.ChangeOperator(ctx, "chen.yu", 0, OperatorChange{Roles: &[]Role{Officer}})
	wants(t, err, "invalid") // a level without publishing
	b.add("lin.mei")
	list, next, err := b.Operators(ctx, "", 1)
	must(t, err)
	more, end, err := b.Operators(ctx, next, 1)
	must(t, err)
	if list[0].Login != "chen.yu" || more[0].Login != "lin.mei" || end != "" {
		t.Errorf("%+v %+v %q", list, more, end)
	}
}

// However many would go at once, on two replicas, one administrator stays.
func TestAnAdministratorStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.replica()
	logins := []string{"a1", "a2", "a3", "a4"}
	for _, l := range logins {
		b.add(l, Administrator)
	}
	yes := true
	var gone, kept atomic.Int64
	var wg sync.WaitGroup
	for i, l := range logins {
		for _, s := range []*Service{b.Service, other} {
			wg.Go(func() {
				c := OperatorChange{Disabled: &yes}
				if i%2 == 0 {
					c = OperatorChange{Roles: &[]Role{Auditor}}
				}
				_, _, err := s.ChangeOperator(t.Context(), l, 0, c)
				if err != nil {
					kept.Add(1)
					return
				}
				gone.Add(1)
			})
		}
	}
	wg.Wait()
	page, _, err := b.Operators(t.Context(), "", 10)
	must(t, err)
	left := slices.DeleteFunc(page, func(o Operator) bool { return o.Disabled || !slices.Contains(o.Roles, Administrator) })
	if len(left) == 0 || gone.Load() == 0 || kept.Load() == 0 {
		t.Fatalf("%d administrators are left; %d changes made, %d refused", len(left), gone.Load(), kept.Load())
	}
	for len(left) > 1 { // those whom a conflict kept
		_, _, err := b.ChangeOperator(t.Context(), left[1].Login, 0, OperatorChange{Disabled: &yes})
		must(t, err)
		left = slices.Delete(left, 1, 2)
	}
	_, _, err = b.ChangeOperator(t.Context(), left[0].Login, 0, OperatorChange{Disabled: &yes})
	wants(t, err, "last_administrator")
	// A process that died before it wrote an administrator down is made good by the next one.
	must(t, b.state.Delete(t.Context(), administratorsID))
	_, _, err = b.replica().ChangeOperator(t.Context(), left[0].Login, 0, OperatorChange{Disabled: &yes})
	wants(t, err, "last_administrator")
}

func TestEnrolmentByLink(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	l, err := b.InviteOperator(ctx, NewOperator{Login: "lin.mei", Name: "Lin Mei", Authority: "hn-amr", Roles: []Role{Publisher}, Level: warning.Red})
	must(t, err)
	_, err = b.ConfirmEnrolment(ctx, l.Token, "123456")
	wants(t, err, "enrolment_not_started")
	_, err = b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: "short"})
	wants(t, err, "invalid")
	for _, bad := range []string{"", "hi_", "hi_nothing", l.Token + "x", "hs_" + l.Token[3:]} {
		_, err = b.StartEnrolment(ctx, StartRequest{Token: bad, Password: password})
		wants(t, err, "link_unknown")
	}
	e, err := b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: password}) // a publisher gets a second factor unasked
	must(t, err)
	_, err = b.Login(ctx, LoginRequest{"lin.mei", password, b.code(e.TOTPSecret, 0), office})
	wants(t, err, "login_failed") // nothing is good before the confirmation
	_, err = b.ConfirmEnrolment(ctx, l.Token, "000000")
	wants(t, err, "code_wrong")
	code := b.code(e.TOTPSecret, 0)
	done, err := b.ConfirmEnrolment(ctx, l.Token, code)
	must(t, err)
	if len(done.RecoveryCodes) != recoveryCodes || done.Login != "lin.mei" {
		t.Errorf("%+v", done)
	}
	_, err = b.Login(ctx, LoginRequest{"lin.mei", password, code, office})
	wants(t, err, "login_failed") // the code is used up
	_, err = b.ConfirmEnrolment(ctx, l.Token, code)
	wants(t, err, "link_unknown")
	lin := person{"lin.mei", e.TOTPSecret, done.RecoveryCodes}
	s := b.login(lin, office)

	// A phone is lost: a new link, and what the old one opened ends.
	l, err = b.Readmit(ctx, "lin.mei", "root")
	must(t, err)
	e, err = b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: password + "2"})
	must(t, err)
	_, err = b.ConfirmEnrolment(ctx, l.Token, b.code(e.TOTPSecret, 0))
	must(t, err)
	_, err = b.Authenticate(ctx, s.Token)
	wants(t, err, "unauthenticated")
	_, err = b.Login(ctx, LoginRequest{"lin.mei", password, b.code(lin.secret, 0), office})
	wants(t, err, "login_failed")
	b.clock.Advance(operatorLinkTerm)
	_, err = b.InviteOperator(ctx, NewOperator{Login: "lin.mei", Authority: "hn-amr", Roles: []Role{Viewer}})
	wants(t, err, "login_taken")
}

// Only those who just read may be without a second factor, and they cannot be given more without one.
func TestAReaderMayDoWithoutASecondFactor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	l, err := b.InviteOperator(ctx, NewOperator{Login: "reader", Authority: "hn-amr", Roles: []Role{Viewer}})
	must(t, err)
	_, err = b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: password})
	must(t, err)
	e, err := b.ConfirmEnrolment(ctx, l.Token, "")
	must(t, err)
	if e.RecoveryCodes != nil {
		t.Error("recovery codes for no second factor")
	}
	_, err = b.Login(ctx, LoginRequest{"reader", password, "", office})
	must(t, err)
	_, _, err = b.ChangeOperator(ctx, "reader", 0, OperatorChange{Roles: &[]Role{Officer}})
	wants(t, err, "second_factor_missing")
	// The next link is begun for a reader. By the time it is confirmed the roles are others, behind this package's back.
	l, err = b.Readmit(ctx, "reader", "root")
	must(t, err)
	_, err = b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: password})
	must(t, err)
	_, err = b.operators.Update(ctx, "reader", func(o *operator) error { o.Roles = []Role{Officer}; return nil })
	must(t, err)
	_, err = b.ConfirmEnrolment(ctx, l.Token, "")
	wants(t, err, "enrolment_not_started")
	_, err = b.Login(ctx, LoginRequest{"reader", password, "", office})
	wants(t, err, "login_failed")
}

func TestTheFirstAdministrator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	stale, ok, err := b.FirstLink(ctx)
	must(t, err)
	l, ok2, err := b.replica().FirstLink(ctx)
	must(t, err)
	if !ok || !ok2 {
		t.Fatal("no link though there is nobody")
	}
	r := StartRequest{Token: stale.Token, Password: password, Login: "root", Name: "Root", Authority: "hn-amr"}
	_, err = b.StartEnrolment(ctx, r)
	wants(t, err, "link_unknown") // another process has made a newer one
	r.Token = l.Token
	r.Authority = "nobody"
	_, err = b.StartEnrolment(ctx, r)
	wants(t, err, "invalid")
	r.Authority = "hn-amr"
	e, err := b.StartEnrolment(ctx, r)
	must(t, err)
	_, err = b.ConfirmEnrolment(ctx, l.Token, b.code(e.TOTPSecret, 0))
	must(t, err)
	s := b.login(person{"root", e.TOTPSecret, nil}, office)
	if !s.Operator.Has(Administrator) || s.Operator.Has(Publisher) {
		t.Errorf("%+v", s.Operator)
	}
	if _, ok, err := b.FirstLink(ctx); ok || err != nil {
		t.Errorf("another first link, %v", err)
	}
	yes := true
	_, _, err = b.ChangeOperator(ctx, "root", 0, OperatorChange{Disabled: &yes})
	wants(t, err, "last_administrator")
}

// A first link that lies about is worth nothing once somebody was added by the command.
func TestTheFirstLinkEndsWithTheFirstOperator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	l, _, err := b.FirstLink(ctx)
	must(t, err)
	e, err := b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: password, Login: "root", Authority: "hn-amr"})
	must(t, err)
	b.add("chen.yu")
	_, err = b.ConfirmEnrolment(ctx, l.Token, b.code(e.TOTPSecret, 0))
	wants(t, err, "link_unknown")
}

func TestSignInThroughAnIdentityProvider(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.add("chen.yu")
	b.add("lin.mei", Viewer)
	id := Identity{Issuer: "https://id.example", Subject: "42"}
	_, err := b.LoginIdentity(ctx, id, office)
	wants(t, err, "identity_unknown")
	must(t, b.LinkIdentity(ctx, "chen.yu", id))
	must(t, b.LinkIdentity(ctx, "chen.yu", id))
	wants(t, b.LinkIdentity(ctx, "lin.mei", id), "identity_taken")
	wants(t, b.LinkIdentity(ctx, "nobody", Identity{Issuer: id.Issuer, Subject: "43"}), "operator_unknown")
	_, err = b.LoginIdentity(ctx, id, office)
	wants(t, err, "second_factor_missing")
	id.SecondFactor = true
	s, err := b.LoginIdentity(ctx, id, office)
	must(t, err)
	if p, err := b.Authenticate(ctx, s.Token); err != nil || p.ID != "chen.yu" {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = b.LoginIdentity(ctx, Identity{Issuer: "https://other.example", Subject: "42", SecondFactor: true}, office)
	wants(t, err, "identity_unknown") // a subject means something at its issuer only
}
