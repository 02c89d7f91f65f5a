package access

import (
	"testing"
	"time"
)

// Only the operator links, from a session that goes on, with password and code.
func TestOperatorsLinkTheirIdentityThemselves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	chen := b.add("chen.yu")
	s := b.login(chen, office)
	b.cheap("chen.yu")
	fresh := func() string { b.clock.Advance(30 * time.Second); return b.code(chen.secret, 0) }
	wants(t, b.AwaitIdentity(ctx, "chen.yu", "the wrong password", fresh(), s.Token, "state"), "login_failed")
	wants(t, b.AwaitIdentity(ctx, "chen.yu", password, "000000", s.Token, "state"), "login_failed")
	wants(t, b.AwaitIdentity(ctx, "chen.yu", password, "", s.Token, "state"), "login_failed")
	if login, err := b.IdentityAwaited(ctx, "state"); login != "" || err != nil {
		t.Errorf("%q, %v are awaited without proof", login, err)
	}
	must(t, b.AwaitIdentity(ctx, "chen.yu", password, fresh(), s.Token, "state"))
	if login, err := b.replica().IdentityAwaited(ctx, "state"); login != "chen.yu" || err != nil {
		t.Errorf("%q, %v", login, err)
	}
	if login, err := b.IdentityAwaited(ctx, "another browser's"); login != "" || err != nil {
		t.Errorf("%q, %v", login, err)
	}
	must(t, b.Logout(ctx, s.Token))
	_, err := b.IdentityAwaited(ctx, "state")
	wants(t, err, "session_unknown")
	s = b.login(chen, office)
	must(t, b.AwaitIdentity(ctx, "chen.yu", password, fresh(), s.Token, "later"))
	_, err = b.EndSessions(ctx, "chen.yu", "")
	must(t, err)
	_, err = b.IdentityAwaited(ctx, "later")
	wants(t, err, "session_unknown")
	s = b.login(chen, office)
	must(t, b.AwaitIdentity(ctx, "chen.yu", password, fresh(), s.Token, "too late"))
	b.clock.Advance(identityTerm)
	if login, err := b.IdentityAwaited(ctx, "too late"); login != "" || err != nil {
		t.Errorf("%q, %v are awaited for ever", login, err)
	}
	for n := range maxOwn + 1 {
		want := "login_failed"
		if n == maxOwn {
			want = "too_many_attempts"
		}
		wants(t, b.AwaitIdentity(ctx, "chen.yu", "the wrong password", "", s.Token, "state"), want)
	}
}

// Identities end when the operator says so, and with what they were linked by.
func TestIdentitiesEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.add("chen.yu")
	id := Identity{Issuer: "https://id.example", Subject: "42", SecondFactor: true}
	must(t, b.LinkIdentity(ctx, "chen.yu", id))
	for n := range maxIdentities {
		want := ""
		if n == maxIdentities-1 {
			want = "identities_too_many"
		}
		wants(t, b.LinkIdentity(ctx, "chen.yu", Identity{Issuer: "https://id.example", Subject: string(rune('a' + n))}), want)
	}
	if n, err := b.EndIdentities(ctx, "chen.yu"); n != maxIdentities || err != nil {
		t.Errorf("%d ended, %v", n, err)
	}
	_, err := b.LoginIdentity(ctx, id, office)
	wants(t, err, "identity_unknown")
	must(t, b.LinkIdentity(ctx, "chen.yu", id))
	_, err = b.LoginIdentity(ctx, id, office)
	must(t, err)
	l, err := b.Readmit(ctx, "chen.yu", "root")
	must(t, err)
	b.enrol(l)
	_, err = b.LoginIdentity(ctx, id, office)
	wants(t, err, "identity_unknown")
}

// A lost phone may be in other hands: what it opened ends at once. Nobody readmits themselves.
func TestReadmissionEndsSessions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	chen := b.add("chen.yu")
	s := b.login(chen, office)
	_, err := b.Readmit(ctx, "chen.yu", "chen.yu")
	wants(t, err, "own_account")
	_, err = b.Authenticate(ctx, s.Token)
	must(t, err)
	l, err := b.Readmit(ctx, "chen.yu", "root")
	must(t, err)
	_, err = b.Authenticate(ctx, s.Token)
	wants(t, err, "unauthenticated")
	b.login(chen, office) // until the link is used
	again := b.enrol(l)
	b.clock.Advance(30 * time.Second)
	_, err = b.Login(ctx, LoginRequest{"chen.yu", password, b.code(chen.secret, 0), office})
	wants(t, err, "login_failed")
	b.login(again, office)
}
