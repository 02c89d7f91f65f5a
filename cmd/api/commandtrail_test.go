package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/audit"
)

// What was done on the machine stands in the trail like what was done through the API, also what failed, and without what was shown once.
func TestCommandsAreTraced(t *testing.T) {
	t.Parallel()
	d := trailOf{t, t.TempDir()}
	const password = "correct horse battery"
	command := func(stdin string, args ...string) (string, error) {
		var out, errw bytes.Buffer
		err := run(t.Context(), args, d.getenv, strings.NewReader(stdin), &out, &errw)
		return out.String(), err
	}
	var secrets []string
	for _, args := range [][]string{
		{"operator", "add", "chen.yu", "-authority", "hn-amr", "-operator-name", "陈宇"},
		{"key", "add", "fab", "-name", "海口"},
		{"keys", "prepare"}, {"keys", "rotate"}, {"keys", "rewrap"},
	} {
		out, err := command(password+"\n", args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		secrets = append(secrets, slices.DeleteFunc(strings.Fields(out), func(w string) bool { return len(w) < 19 })...)
	}
	if _, err := command(password+"\n", "operator", "add", "chen.yu", "-authority", "hn-amr"); err == nil {
		t.Fatal("the login is taken")
	}
	d.with(func(ctx context.Context, _ *app, s *audit.Service) error {
		list, _, err := s.List(ctx, audit.Filter{Actor: byCommand}, "", 50)
		if err != nil {
			return err
		}
		var got []string
		for _, e := range slices.Backward(list) {
			got = append(got, e.Action+" "+e.Subject+" "+e.Phase)
			for _, secret := range append(secrets, password, "陈宇") {
				if strings.Contains(string(e.Before)+string(e.After), secret) {
					t.Errorf("%s: the trail holds %q", e.Action, secret)
				}
			}
		}
		want := []string{
			"operator add operator/chen.yu attempt", "operator add operator/chen.yu done",
			"key add firm/fab attempt", "key add firm/fab done",
			"keys prepare keys attempt", "keys prepare keys done",
			"keys rotate keys attempt", "keys rotate keys done",
			"keys rewrap keys attempt", "keys rewrap keys done",
			"operator add operator/chen.yu attempt", "operator add operator/chen.yu failed",
		}
		if !slices.Equal(got, want) || list[0].Outcome != "login_taken" {
			t.Errorf("the trail has %q, and ends with %+v", got, list[0])
		}
		return nil
	})
	d.mustSay("in order")
}

// Log-ins that fail are told to the trail when the server ends, at the latest.
func TestFailedLoginsAreInTheTrail(t *testing.T) {
	t.Parallel()
	d := trailOf{t, t.TempDir()}
	d.with(func(ctx context.Context, a *app, s *audit.Service) error {
		_, err := a.access.Login(ctx, access.LoginRequest{Login: "a password by mistake", Password: "x", Client: access.Client{Network: "203.0.113.0/24"}})
		if err == nil {
			t.Error("nobody logged in")
		}
		ended, end := context.WithCancel(ctx)
		end()
		if err := a.access.Run(ended); err != nil {
			return err
		}
		list, _, err := s.List(ctx, audit.Filter{Action: "createSession"}, "", 10)
		if err != nil || len(list) != 1 {
			return fmt.Errorf("the trail has %+v: %w", list, err)
		}
		after := string(list[0].After)
		if e := list[0]; e.Phase != audit.Failed || e.Actor != "anyone" || !strings.Contains(after, `"logins":[{"networks":1,"tries":1}]`) || strings.Contains(after, "mistake") {
			t.Errorf("%+v %s", e, after)
		}
		return nil
	})
}
