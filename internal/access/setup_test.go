package access

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/warning"
)

// bundle is a service on a store of its own, and what is needed to open another one, as a second replica.
type bundle struct {
	*Service
	t     testing.TB
	clock *clocktest.Clock
	eng   store.Engine
	opts  Options
}

const password = "correct horse battery"

func setup(t testing.TB) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{t: t, clock: clocktest.New(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC))}
	eng, err := sqlite.Open(t.Context(), filepath.Join(dir, "t.db"), sqlite.WithClock(b.clock.Now))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	vault, err := privacy.Open(t.Context(), eng, box, b.clock.Now)
	must(t, err)
	b.eng, b.opts = eng, Options{Hasher: box, Vault: vault, Now: b.clock.Now, Authorities: bodies{}}
	b.Service = b.replica()
	return b
}

// replica opens the same store once more.
func (b *bundle) replica() *Service {
	b.t.Helper()
	s, err := Open(b.t.Context(), b.eng, b.opts)
	must(b.t, err)
	return s
}

// bodies knows two authorities; the old one was merged into the new one.
type bodies struct{}

func (bodies) Competence(_ context.Context, id string) (string, []string, error) {
	switch id {
	case "hn-amr", "hn-fda":
		return "hn-amr", []string{"food"}, nil
	}
	return "", nil, fault.New(fault.NotFound, "authority_unknown", "no such authority")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants checks the code of an error; "" is none.
func wants(t testing.TB, err error, code string) {
	t.Helper()
	if code == "" && err != nil || code != "" && (err == nil || fault.CodeOf(err) != code) {
		t.Helper()
		t.Errorf("got %v, want %q", err, code)
	}
}

// person is an operator with what only they have.
type person struct {
	login, secret string
	recovery      []string
}

func (b *bundle) add(login string, roles ...Role) person {
	b.t.Helper()
	n := NewOperator{Login: login, Name: "Chen Yu", Authority: "hn-amr", Roles: roles, Password: password}
	if len(roles) == 0 {
		n.Roles, n.Level = []Role{Officer, Publisher}, warning.Red
	}
	e, err := b.AddOperator(b.t.Context(), n)
	must(b.t, err)
	return person{login, e.TOTPSecret, e.RecoveryCodes}
}

// code is the one-time code some time ahead.
func (b *bundle) code(secret string, ahead time.Duration) string {
	b.t.Helper()
	c, err := totp.GenerateCode(secret, b.clock.Now().Add(ahead))
	must(b.t, err)
	return c
}

var office = Client{Network: "203.0.113.0/24", Agent: "Firefox"}

// login logs in half a minute later, so that the code is a new one.
func (b *bundle) login(p person, c Client) Session {
	b.t.Helper()
	b.clock.Advance(30 * time.Second)
	s, err := b.Login(b.t.Context(), LoginRequest{p.login, password, b.code(p.secret, 0), c})
	must(b.t, err)
	return s
}
