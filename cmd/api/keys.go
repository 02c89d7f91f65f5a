package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/secret"
)

// The commands that rotate the keys of KEYS_FILE. A running server notices a changed file within a second. With copies of the file on several
// machines: prepare, copy, rotate, copy, rewrap, and after an hour retire, copy.

// keysCommand opens the program for a command on the keys file.
func keysCommand(name string, do func(ctx context.Context, a *app, io streams) error) command {
	return func(ctx context.Context, args []string, getenv func(string) string, io streams) error {
		cfg, rest, err := parse("keys "+name, args, getenv, io, nil)
		if err != nil {
			return err
		}
		if err := want(rest, 0, "no argument"); err != nil {
			return err
		}
		return within(ctx, cfg, io.err, func(a *app) error {
			return a.traced(ctx, "keys "+name, "keys", func() (any, error) { return nil, do(ctx, a, io) })
		})
	}
}

func prepareKey(_ context.Context, a *app, io streams) error {
	if err := secret.PrepareFile(a.cfg.KeysFile); err != nil {
		return err
	}
	_, err := fmt.Fprintln(io.out, "a key that opens and does not seal yet was added; copy the file to every machine, then run 'api keys rotate'")
	return err
}

func rotateKeys(_ context.Context, a *app, io streams) error {
	if err := secret.RotateFile(a.cfg.KeysFile, time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(io.out, "there is a new primary key; now run 'api keys rewrap'")
	return err
}

func rewrapKeys(ctx context.Context, a *app, io streams) error {
	changed, err := a.vault.Rewrap(ctx, func(seen int) { _, _ = fmt.Fprintf(io.err, "\r%d data keys", seen) })
	_, _ = fmt.Fprintln(io.err)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "%d data keys are wrapped with the primary key now; after %v 'api keys retire' drops the old ones\n", changed, secret.SettleTime)
	return err
}

func retireKeys(ctx context.Context, a *app, io streams) error {
	dropped, left, err := secret.RetireFile(a.cfg.KeysFile, time.Now(), func() (map[uint32]int, error) { return a.vault.KeysInUse(ctx) })
	if errors.Is(err, secret.ErrUnsettled) {
		return fmt.Errorf("%w; try again %v after the rotation", err, secret.SettleTime)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "%d old keys dropped, %d are in use still\n", dropped, left)
	return err
}
