package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/access/audit"
)

// trailOf is a data directory with an audit trail, and 'api verify' on it.
type trailOf struct {
	t   *testing.T
	dir string
}

func (d trailOf) getenv(k string) string {
	return map[string]string{"DATA_DIR": d.dir, "DEMO": "off", "LOG_LEVEL": "error"}[k]
}

// with opens the trail as the server would.
func (d trailOf) with(do func(ctx context.Context, a *app, s *audit.Service) error) {
	d.t.Helper()
	cfg, _, err := parse("test", nil, d.getenv, streams{nil, os.Stdout, os.Stderr}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	err = within(d.t.Context(), cfg, os.Stderr, func(a *app) error {
		s, err := audit.Open(d.t.Context(), audit.Deps{Engine: a.engine, Keys: a.box, Now: time.Now, Log: a.log})
		if err != nil {
			return err
		}
		return errors.Join(do(d.t.Context(), a, s), s.Close())
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d trailOf) write(n int) {
	d.t.Helper()
	d.with(func(ctx context.Context, _ *app, s *audit.Service) error {
		for i := range n {
			if err := s.Record(ctx, audit.Entry{Actor: "operator:chen.yu", Action: "case.read", Subject: fmt.Sprintf("case/%d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d trailOf) verify(args ...string) (string, error) {
	d.t.Helper()
	var out, errw bytes.Buffer
	err := run(d.t.Context(), append([]string{"verify"}, args...), d.getenv, strings.NewReader(""), &out, &errw)
	return out.String(), err
}

// mustSay runs verify and wants it to succeed and say something.
func (d trailOf) mustSay(want string, args ...string) {
	d.t.Helper()
	out, err := d.verify(args...)
	if err != nil || !strings.Contains(out, want) {
		d.t.Fatalf("verify %v: got %q, %v; want %q", args, out, err, want)
	}
}

func (d trailOf) mustFail(want string, args ...string) {
	d.t.Helper()
	out, err := d.verify(args...)
	if err == nil || !strings.Contains(err.Error(), want) {
		d.t.Fatalf("verify %v: got %q, %v; want the error %q", args, out, err, want)
	}
}

func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	d := trailOf{t, t.TempDir()}
	keep := filepath.Join(t.TempDir(), "checkpoint.json")
	d.mustSay("in order and empty", "-write-checkpoint", keep)
	d.write(3)
	d.mustSay("entries 1 to 3", "-checkpoint", keep, "-write-checkpoint", keep)
	export := filepath.Join(t.TempDir(), "audit.jsonl")
	d.with(func(ctx context.Context, _ *app, s *audit.Service) error {
		var text bytes.Buffer
		if err := s.Export(ctx, &text, time.Time{}, time.Time{}); err != nil {
			return err
		}
		return os.WriteFile(export, text.Bytes(), 0o600)
	})
	d.write(2)
	d.mustSay("entries 1 to 5; the last has the hash", "-checkpoint", keep)
	elsewhere := trailOf{t, filepath.Join(t.TempDir(), "is not made")}
	elsewhere.mustSay("it has entry 3 of the checkpoint", "-export", export, "-checkpoint", keep)
	if _, err := os.Stat(elsewhere.dir); !os.IsNotExist(err) {
		t.Errorf("to check an export opened a store: %v", err)
	}

	d.mustFail("-write-checkpoint is for the store", "-export", export, "-write-checkpoint", keep)
	d.mustFail("want no argument", "now")
	d.mustFail("no such file", "-checkpoint", keep+".not")
	d.mustFail("checkpoint", "-checkpoint", export)

	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(export, bytes.Replace(text, []byte("case/1"), []byte("case/7"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	d.mustFail("changed: entry 2, line 3", "-export", export)

	before, err := os.ReadFile(keep)
	if err != nil {
		t.Fatal(err)
	}
	d.with(func(ctx context.Context, a *app, _ *audit.Service) error {
		return a.engine.Delete(ctx, "audit_batches", fmt.Sprintf("%012d", 2), 0)
	})
	d.mustFail("removed: entry 2, batch 2", "-checkpoint", keep, "-write-checkpoint", keep)
	if after, err := os.ReadFile(keep); err != nil || !bytes.Equal(after, before) {
		t.Errorf("a broken trail has left a checkpoint: %s, %v", after, err)
	}
}

// Commands have one word or two; what is neither is answered with the usage.
func TestCommandsAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		rest int // -1: not found
	}{
		{[]string{"verify"}, 0},
		{[]string{"verify", "-h"}, 1},
		{[]string{"operator", "add", "chen.yu"}, 1},
		{[]string{"operator"}, -1},
		{[]string{"operator", "-x"}, -1},
		{[]string{"add"}, -1},
	} {
		do, rest, ok := findCommand(c.args[0], c.args[1:])
		if ok != (c.rest >= 0) || ok && (do == nil || len(rest) != c.rest) {
			t.Errorf("%v: got %v, %v", c.args, rest, ok)
		}
	}
	var errw bytes.Buffer
	err := run(t.Context(), []string{"operator"}, func(string) string { return "" }, strings.NewReader(""), &bytes.Buffer{}, &errw)
	if !errors.Is(err, errUsage) || !strings.Contains(errw.String(), "verify ") {
		t.Errorf("got %v, %q", err, errw.String())
	}
}
