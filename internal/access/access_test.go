package access

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/warning"
)

func TestASessionOpensAndEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	chen := b.add("chen.yu")
	s := b.login(chen, office)
	p, err := b.Authenticate(ctx, s.Token)
	must(t, err)
	if p.ID != "chen.yu" || p.Kind != KindOperator || !p.Has(Officer) || p.Level != warning.Red || p.Classes[0] != "food" || !strings.HasPrefix(s.Token, "hs_") {
		t.Fatalf("%+v", p)
	}
	if s.CSRF != b.CSRF(s.Token) || s.CSRF == b.CSRF(s.Token+"x") || !s.Expires.Equal(s.Started.Add(SessionTerm)) {
		t.Errorf("%+v", s)
	}
	must(t, b.Logout(ctx, s.Token))
	must(t, b.Logout(ctx, s.Token))
	_, err = b.Authenticate(ctx, s.Token)
	wants(t, err, "unauthenticated")
}

// A session ends at its absolute end however much it is used, and at its idle end if it is not.
func TestTheLimitsOfASession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every time.Duration // between uses
		lives time.Duration // the last use that is let in, at least
	}{
		"used all the time":   {29 * time.Minute, SessionTerm - 30*time.Minute},
		"used now and then":   {10 * time.Minute, SessionTerm - 11*time.Minute},
		"left alone too long": {31 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			s := b.login(b.add("chen.yu"), office)
			last := time.Duration(0)
			for at := c.every; at < 2*SessionTerm; at += c.every {
				b.clock.Advance(c.every)
				if _, err := b.Authenticate(t.Context(), s.Token); err != nil {
					wants(t, err, "unauthenticated")
					break
				}
				last = at
				b.drain()
			}
			if last < c.lives || last >= SessionTerm {
				t.Errorf("the last use that was let in came after %v", last)
			}
			if n, err := b.Sweep(t.Context(), 10); err != nil || n == 0 && last > 0 {
				t.Errorf("swept %d, %v", n, err)
			}
		})
	}
}

// drain notes the uses that wait, as Run does.
func (b *bundle) drain() {
	b.t.Helper()
	for {
		select {
		case u := <-b.touched:
			must(b.t, b.note(b.t.Context(), u))
		default:
			return
		}
	}
}

// Whatever ends a session here has ended it on another replica a second later.
func TestRevocationReachesOtherReplicas(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	yes := true
	for name, end := range map[string]func(b *bundle, s Session) error{
		"log-out":     func(b *bundle, s Session) error { return b.Logout(ctx, s.Token) },
		"one session": func(b *bundle, s Session) error { return b.EndSession(ctx, "chen.yu", s.ID) },
		"all":         func(b *bundle, _ Session) error { _, err := b.EndSessions(ctx, "chen.yu", ""); return err },
		"disabled": func(b *bundle, _ Session) error {
			_, _, err := b.ChangeOperator(ctx, "chen.yu", 0, OperatorChange{Disabled: &yes})
			return err
		},
		"fewer roles": func(b *bundle, _ Session) error {
			_, _, err := b.ChangeOperator(ctx, "chen.yu", 0, OperatorChange{Roles: &[]Role{Viewer}, Level: new(warning.Level)})
			return err
		},
		"password": func(b *bundle, _ Session) error {
			return b.SetPassword(ctx, "chen.yu", password, password+"!", "hs_another")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			other := b.replica()
			s := b.login(b.add("chen.yu"), office)
			for _, r := range []*Service{b.Service, other} {
				_, err := r.Authenticate(ctx, s.Token)
				must(t, err)
			}
			must(t, end(b, s))
			_, err := b.Authenticate(ctx, s.Token)
			wants(t, err, "unauthenticated") // here at once
			b.clock.Advance(believeFor)
			_, err = other.Authenticate(ctx, s.Token)
			wants(t, err, "unauthenticated")
		})
	}
}

func TestAnOperatorSeesAndEndsSessions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	chen := b.add("chen.yu")
	one, two := b.login(chen, office), b.login(chen, Client{Network: "198.51.100.0/24", Agent: strings.Repeat("长", 300)})
	list, err := b.Sessions(ctx, "chen.yu", two.Token)
	must(t, err)
	if len(list) != 2 || !list[0].Current || list[0].ID != two.ID || list[1].Agent != "Firefox" || len(list[0].Agent) > 200 {
		t.Fatalf("%+v", list)
	}
	b.login(b.add("lin.mei"), office)
	wants(t, b.EndSession(ctx, "lin.mei", one.ID), "session_unknown") // somebody else's
	if n, err := b.EndSessions(ctx, "chen.yu", two.Token); err != nil || n != 1 {
		t.Errorf("ended %d, %v", n, err)
	}
	_, err = b.Authenticate(ctx, two.Token)
	must(t, err)
}

func TestEveryWrongLoginLooksAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chen, gone := b.add("chen.yu"), b.add("gone")
	_, err := b.InviteOperator(t.Context(), NewOperator{Login: "new.one", Authority: "hn-amr", Roles: []Role{Viewer}})
	must(t, err)
	yes := true
	_, _, err = b.ChangeOperator(t.Context(), "gone", 0, OperatorChange{Disabled: &yes})
	must(t, err)
	for name, c := range map[string][3]string{
		"unknown login":  {"nobody", password, b.code(chen.secret, 0)},
		"wrong password": {"chen.yu", password + "!", b.code(chen.secret, 0)},
		"wrong code":     {"chen.yu", password, "000000"},
		"no code":        {"chen.yu", password, ""},
		"old code":       {"chen.yu", password, b.code(chen.secret, -2*time.Minute)},
		"code with more": {"chen.yu", password, b.code(chen.secret, 0) + "0"},
		"no recovery":    {"chen.yu", password, gone.recovery[0]},
		"disabled":       {"gone", password, b.code(gone.secret, 0)},
		"not enrolled":   {"new.one", "", ""},
	} {
		_, err := b.Login(t.Context(), LoginRequest{c[0], c[1], c[2], Client{Network: name}})
		if err == nil || err.Error() != errLogin.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACodeWorksOnceAlsoForTwoAtOnce(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]func(b *bundle, p person) string{
		"one-time code": func(b *bundle, p person) string { return b.code(p.secret, 0) },
		"recovery code": func(_ *bundle, p person) string { return strings.ToUpper(p.recovery[3]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			chen := b.add("chen.yu")
			code := pick(b, chen)
			var opened atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					// A network each: not the bound on guesses is to decide.
					if _, err := b.Login(t.Context(), LoginRequest{"chen.yu", password, code, Client{Network: freshNetwork()}}); err == nil {
						opened.Add(1)
					}
				})
			}
			wg.Wait()
			if opened.Load() != 1 {
				t.Fatalf("%d sessions with one code", opened.Load())
			}
		})
	}
}

var networks atomic.Int64

// freshNetwork is a network that nothing came from before.
func freshNetwork() string { return "net-" + time.Duration(networks.Add(1)).String() }

func TestCodesGoForwardOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chen := b.add("chen.yu")
	try := func(code string) error {
		_, err := b.Login(t.Context(), LoginRequest{"chen.yu", password, code, office})
		return err
	}
	must(t, try(b.code(chen.secret, 0)))
	wants(t, try(b.code(chen.secret, -30*time.Second)), "login_failed")
	must(t, try(b.code(chen.secret, 30*time.Second))) // half a minute early
	must(t, try(chen.recovery[0]))
	wants(t, try(chen.recovery[0]), "login_failed")
	_, err := b.NewRecoveryCodes(t.Context(), "chen.yu", "000000", "hs_x")
	wants(t, err, "login_failed")
	b.clock.Advance(2 * time.Minute)
	fresh, err := b.NewRecoveryCodes(t.Context(), "chen.yu", b.code(chen.secret, 0), "hs_x")
	must(t, err)
	wants(t, try(chen.recovery[1]), "login_failed")
	must(t, try(fresh[0]))
	if o, err := b.Operator(t.Context(), "chen.yu"); err != nil || o.RecoveryCodes != recoveryCodes-1 {
		t.Errorf("%+v, %v", o, err)
	}
}

// Passwords of an older cost are hashed anew when they are next used.
func TestOldHashesAreRenewed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chen := b.add("chen.yu")
	weak := weakHash(password)
	_, err := b.operators.Update(t.Context(), "chen.yu", func(o *operator) error { o.Password = weak; return nil })
	must(t, err)
	b.login(chen, office)
	d, err := b.operators.Get(t.Context(), "chen.yu")
	must(t, err)
	if d.V.Password == weak || outdated(d.V.Password) {
		t.Errorf("the hash is still %s", d.V.Password)
	}
	b.login(chen, office)
}
