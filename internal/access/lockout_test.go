package access

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/haisu-trace/haisu/internal/fault"
)

func weakHash(password string) string {
	salt := []byte("0123456789abcdef")
	sum := argon2.IDKey([]byte(password), salt, 1, 64, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// cheap makes the operator's hash fast: these tests guess a lot.
func (b *bundle) cheap(login string) {
	b.t.Helper()
	_, err := b.operators.Update(b.t.Context(), login, func(o *operator) error { o.Password = weakHash(password); return nil })
	must(b.t, err)
}

func (b *bundle) guess(c Client, password, code string) error {
	_, err := b.Login(b.t.Context(), LoginRequest{"chen.yu", password, code, c})
	return err
}

// The attacker guesses from everywhere, for as long as they like. The victim logs in from home, on a new computer, all the same.
func TestAStrangerLocksNobodyOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chen := b.add("chen.yu")
	refused := 0
	for n := range 20 {
		b.cheap("chen.yu")
		for range 2 * maxPasswords {
			err := b.guess(Client{Network: fmt.Sprintf("net-%d", n)}, "wrong password", "123456")
			switch fault.CodeOf(err) {
			case "login_failed":
			case "too_many_attempts":
				refused++
			default:
				t.Fatalf("%v", err)
			}
		}
	}
	if refused != 20*maxPasswords {
		t.Errorf("%d guesses were refused", refused)
	}
	b.login(chen, Client{Network: "home"})
}

// The attacker sits in the victim's own network. The computer that the victim logged in from before is not locked out, and the window ends.
func TestANeighbourDoesNotLockATrustedDeviceOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chen := b.add("chen.yu")
	first := b.login(chen, office)
	b.cheap("chen.yu")
	for range maxPasswords {
		wants(t, b.guess(office, "wrong password", ""), "login_failed")
	}
	wants(t, b.guess(office, password, b.code(chen.secret, 0)), "too_many_attempts")
	mine := office
	for _, forged := range []string{"ht_", "ht_x", first.Device + "x", "ht_" + strings.Repeat("a-", 40), strings.Replace(first.Device, "-", "-z", 1)} {
		mine.Device = forged
		wants(t, b.guess(mine, password, b.code(chen.secret, 0)), "too_many_attempts")
	}
	mine.Device = first.Device
	b.login(chen, mine)
	b.clock.Advance(attemptWindow)
	b.login(chen, office)
}

// The attacker has the password. Guessing codes is bounded over all networks; the victim's own device has counters of its own.
func TestCodesAreBoundedForWhoeverHasThePassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chen := b.add("chen.yu")
	mine := office
	mine.Device = b.login(chen, office).Device
	b.cheap("chen.yu")
	right := 0
	for n := range 3 * maxCodes {
		err := b.guess(Client{Network: fmt.Sprintf("net-%d", n)}, password, "000000")
		if fault.CodeOf(err) == "login_failed" {
			right++
		}
	}
	if right != maxCodes {
		t.Errorf("%d codes could be tried", right)
	}
	b.login(chen, mine)
}

// Ending everything voids trusted devices too: one may be the thief's.
func TestEndingEverythingVoidsTrustedDevices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chen := b.add("chen.yu")
	device := b.login(chen, office).Device
	d, err := b.operators.Get(t.Context(), "chen.yu")
	must(t, err)
	if !b.trusts("chen.yu", d.V.Epoch, device) || b.trusts("lin.mei", d.V.Epoch, device) {
		t.Fatal("a device is trusted for the one who logged in, and only for them")
	}
	if _, err := b.EndSessions(t.Context(), "chen.yu", ""); err != nil || b.trusts("chen.yu", d.V.Epoch+1, device) {
		t.Errorf("still trusted, or %v", err)
	}
	b.clock.Advance(trustedFor + 25*3600e9)
	if b.trusts("chen.yu", d.V.Epoch, device) {
		t.Error("trusted for ever")
	}
}

// The thief has a session, and neither the password nor the second factor. Guessing at either is bounded, and the victim, who logs in anew, is
// held up by none of it.
func TestAStolenSessionGuessesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	chen := b.add("chen.yu")
	stolen := b.login(chen, office)
	b.cheap("chen.yu")
	for what, guess := range map[string]func() error{
		"password": func() error {
			return b.SetPassword(ctx, "chen.yu", "the wrong password", password+"!", stolen.Token)
		},
		"code": func() error {
			_, err := b.NewRecoveryCodes(ctx, "chen.yu", "000000", stolen.Token)
			return err
		},
	} {
		for n := range 3 * maxOwn {
			want := "login_failed"
			if n >= maxOwn {
				want = "too_many_attempts"
			}
			if err := guess(); fault.CodeOf(err) != want {
				t.Errorf("%s, guess %d: %v", what, n, err)
			}
		}
	}
	b.clock.Advance(30 * time.Second)
	right := b.code(chen.secret, 0)
	wants(t, b.SetPassword(ctx, "chen.yu", password, password+"!", stolen.Token), "too_many_attempts")
	_, err := b.NewRecoveryCodes(ctx, "chen.yu", right, stolen.Token)
	wants(t, err, "too_many_attempts")
	mine := b.login(chen, Client{Network: "home"})
	b.clock.Advance(30 * time.Second)
	_, err = b.NewRecoveryCodes(ctx, "chen.yu", b.code(chen.secret, 0), mine.Token)
	must(t, err)
	must(t, b.SetPassword(ctx, "chen.yu", password, password+"!", mine.Token))
	_, err = b.Authenticate(ctx, stolen.Token)
	wants(t, err, "unauthenticated")
}

// Tries that were right do not count.
func TestOwnChangesAreNotBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("chen.yu")
	for range maxOwn + 1 {
		b.cheap("chen.yu")
		must(t, b.SetPassword(t.Context(), "chen.yu", password, password, "hs_x"))
	}
}

// Who signs in through an identity provider only has no password to change.
func TestNoPasswordToChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	_, err := b.InviteOperator(ctx, NewOperator{Login: "lin.mei", Authority: "hn-amr", Roles: []Role{Viewer}})
	must(t, err)
	wants(t, b.SetPassword(ctx, "lin.mei", "", password, "hs_x"), "password_missing")
}
