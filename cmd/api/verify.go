package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/haisu-trace/haisu/internal/access/audit"
)

// verifyFlags are what 'api verify' is asked for: files, or "".
type verifyFlags struct {
	checkpoint, write, export string
	log                       logFlags
}

// verify checks the audit trail and the transparency log of the store, an exported trail, or a server's log, and fails if they are not
// what was written.
func verify(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	var f verifyFlags
	cfg, rest, err := parse("verify", args, getenv, io, func(fs *flag.FlagSet) {
		fs.StringVar(&f.checkpoint, "checkpoint", "", "file with a checkpoint of the audit trail that was kept: the trail must still have its entry")
		fs.StringVar(&f.write, "write-checkpoint", "", "file to write a checkpoint of the audit trail to when it is in order; keep it away from the database")
		fs.StringVar(&f.export, "export", "", "check this exported audit trail instead of the store; needs neither store nor keys")
		fs.StringVar(&f.log.against, "against", "", "file with a checkpoint of the transparency log that was kept: the log must still begin with its leaves")
		fs.StringVar(&f.log.url, "url", "", "check the transparency log of this server over HTTP instead of the store; needs neither store nor keys")
		fs.StringVar(&f.log.key, "key", "", "with -url: the log's verifier key; by default the one that the server tells")
	})
	if err != nil {
		return err
	}
	if err := want(rest, 0, "no argument"); err != nil {
		return err
	}
	if f.log.url != "" {
		if f.checkpoint != "" || f.write != "" || f.export != "" {
			return errNotBoth
		}
		return verifyRemote(ctx, f.log, io)
	}
	if f.log.key != "" {
		return errors.New("-key goes with -url: the store has its own")
	}
	if f.export != "" && f.log.against != "" {
		return errors.New("-against is for the transparency log; for the audit trail it is -checkpoint")
	}
	if f.export != "" && f.write != "" {
		return errors.New("-write-checkpoint is for the store: a checkpoint of an export is its last line")
	}
	against, err := readCheckpoint(f.checkpoint)
	if err != nil {
		return err
	}
	if f.export != "" {
		return verifyExport(f.export, against, io.out)
	}
	return within(ctx, cfg, io.err, func(a *app) error {
		// Both are told of, whatever the first has come to.
		return errors.Join(verifyTrail(ctx, a, f, against, io), verifyLog(ctx, a, f.log, io))
	})
}

func verifyTrail(ctx context.Context, a *app, f verifyFlags, against *audit.Checkpoint, io streams) error {
	r, err := a.trail.Verify(ctx, against, progressTo(io.err, "entries"))
	if err != nil {
		return err
	}
	if err := tell(io.out, &r, against); err != nil {
		return err
	}
	if f.write == "" {
		return nil
	}
	return writeCheckpoint(f.write, r.Last)
}

// progressTo shows progress on one line, at most a few times a second.
func progressTo(w io.Writer, what string) func(done, total int64) {
	const every = 250 * time.Millisecond
	var shown time.Time
	return func(done, total int64) {
		if done < total && time.Since(shown) < every {
			return
		}
		shown = time.Now()
		_, _ = fmt.Fprintf(w, "\r%d of %d %s", done, total, what)
		if done >= total {
			_, _ = fmt.Fprintln(w)
		}
	}
}

func verifyExport(path string, against *audit.Checkpoint, out io.Writer) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	r, err := audit.CheckExport(in, against)
	if err != nil {
		return err
	}
	return tell(out, &r, against)
}

// tell prints the result. A break is an error, which ends the process with status 1.
func tell(out io.Writer, r *audit.Report, against *audit.Checkpoint) error {
	if r.Break != nil {
		if _, err := fmt.Fprintf(out, "%d entries are in order; then the trail is broken\n", r.Entries); err != nil {
			return err
		}
		return fmt.Errorf("the audit trail is not what was written: %s", r.Break)
	}
	text := "the audit trail is in order and empty"
	if r.Entries > 0 {
		text = fmt.Sprintf("the audit trail is in order: entries %d to %d; the last has the hash %s", r.First, r.Last.Seq, r.Last.Hash)
	}
	if against != nil {
		text += fmt.Sprintf("; it has entry %d of the checkpoint of %s", against.Seq, against.At.Format(time.RFC3339))
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

func readCheckpoint(path string) (*audit.Checkpoint, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no checkpoint was asked for
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	c, err := audit.ReadCheckpoint(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &c, nil
}

// writeCheckpoint replaces the file at once or not at all: it may be the one that was compared with.
func writeCheckpoint(path string, c audit.Checkpoint) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".checkpoint-*")
	if err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already, if all went well
	_, err = tmp.Write(append(text, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	return nil
}
