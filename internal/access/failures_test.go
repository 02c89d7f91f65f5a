package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// Auditors learn who was guessed at, how often and from how many networks, in one telling, however many the guesses were; never what was typed.
func TestFailedLoginsAreTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	var told []Failures
	down := errors.New("the trail is down")
	b.opts.Told = func(_ context.Context, f Failures) error {
		if down != nil {
			return down
		}
		told = append(told, f)
		return nil
	}
	b.Service = b.replica()
	chen := b.add("chen.yu")
	b.cheap("chen.yu")
	from := b.clock.Now()
	for n := range 2 * maxPasswords {
		_ = b.guess(Client{Network: fmt.Sprintf("net-%d", n%2)}, "wrong password", "")
		_, err := b.Login(ctx, LoginRequest{"my password by mistake", "x", "", Client{Network: "net-9"}})
		if err == nil {
			t.Fatal("nobody logged in")
		}
	}
	must(t, b.tell(ctx, tellEvery)) // too early
	b.clock.Advance(tellEvery)
	if err := b.tell(ctx, tellEvery); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	down = nil
	must(t, b.tell(ctx, tellEvery))
	must(t, b.tell(ctx, 0)) // nothing since
	b.login(chen, Client{Network: "home"})
	must(t, b.tell(ctx, 0))
	want := []FailedLogins{{"", 2 * maxPasswords, 1}, {"chen.yu", 2 * maxPasswords, 2}}
	if len(told) != 1 || !told[0].From.Equal(from) || !told[0].To.Equal(from.Add(tellEvery)) || !slices.Equal(told[0].Logins, want) {
		t.Errorf("told %+v", told)
	}
}

// A telling has a bound, whoever fails.
func TestTellingsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f failures
	for n := range 2 * maxFailing {
		for m := range 2 {
			f.count(fmt.Sprintf("login-%d", n), fmt.Sprintf("net-%d", n+m), b.clock.Now(), 1)
		}
	}
	_, by := f.take(b.clock.Now(), 0)
	if rest := by[""]; len(by) != maxFailing+1 || rest.tries != 2*maxFailing || len(rest.networks) != maxNetworks {
		t.Errorf("%d lines, and %+v", len(by), rest)
	}
}
