package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/backup"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
)

// savedStore is what the trail keeps of a backup.
type savedStore struct {
	File    string    `json:"file"`
	Made    time.Time `json:"made"`
	Records int64     `json:"records"`
}

// openTrail opens nothing of the program but its audit trail.
func openTrail(ctx context.Context, eng store.Engine, box *secret.Box) (*audit.Service, error) {
	return audit.Open(ctx, audit.Deps{Engine: eng, Keys: box, Now: time.Now})
}

// told does what a backup or a restore is for, and has the trail tell of it. Unlike everything else it is done even where the trail cannot
// be kept: a store that takes no writes any more is when a backup is needed most. The error says so afterwards.
func told(ctx context.Context, trail *audit.Service, action string, do func() (savedStore, error)) error {
	act, silent := trail.Begin(ctx, audit.Entry{Actor: byCommand, Action: action, Subject: "store"})
	saved, err := do()
	switch {
	case silent != nil:
	case err != nil:
		silent = act.Failed(ctx, cmp.Or(fault.CodeOf(err), "internal"))
	default:
		silent = act.Done(ctx, audit.Change{After: saved})
	}
	if silent != nil {
		err = errors.Join(err, fmt.Errorf("the audit trail does not tell of it: %w", silent))
	}
	return err
}

// backupStore writes a backup. It may run beside servers: it declares no collection but the audit trail.
func backupStore(ctx context.Context, args []string, getenv func(string) string, io streams) (err error) {
	var dir, keysDir, blobsDir string
	cfg, rest, err := parse("backup", args, getenv, io, func(fs *flag.FlagSet) {
		fs.StringVar(&dir, "out", "", "directory for the file of data")
		fs.StringVar(&keysDir, "data-keys", "", "directory for the file of data keys, where the one before is replaced; by default the same")
		fs.StringVar(&blobsDir, "blobs", "", "directory for uploaded files, where those of the backups before stay; by default blobs in that of -out; '"+backup.None+"' leaves them out")
	})
	if err != nil {
		return err
	}
	if err := want(rest, 0, "no argument"); err != nil {
		return err
	}
	if dir == "" {
		return errors.New("-out: the directory to write to")
	}
	keysDir, blobsDir = cmp.Or(keysDir, dir), cmp.Or(blobsDir, filepath.Join(dir, "blobs"))
	box, err := secret.OpenFile(cfg.KeysFile, false)
	if err != nil {
		return fmt.Errorf("KEYS_FILE: %w", err)
	}
	if cfg.MongoURI == "" {
		if _, err := os.Stat(filepath.Join(cfg.DataDir, sqliteFile)); err != nil {
			return fmt.Errorf("DATA_DIR: there is no store: %w", err)
		}
	}
	for _, d := range []string{dir, keysDir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	eng, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	trail, err := openTrail(ctx, eng, box)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trail.Close()) }()
	return told(ctx, trail, "backup", func() (savedStore, error) {
		p := newProgress(io.err)
		data, keys, err := backup.Write(ctx, eng, box, backup.Options{Dir: dir, KeysDir: keysDir, Engine: cfg.engineName(), Now: time.Now, Tell: p.tell})
		p.end()
		if err != nil {
			return savedStore{}, err
		}
		records, bytes := data.Manifest.Totals()
		wrapped, _ := keys.Manifest.Totals()
		saved := savedStore{File: filepath.Base(data.Path), Made: data.Manifest.Made, Records: records}
		_, err = fmt.Fprintf(io.out, "%s: %d records of %d collections, %s as %s\n%s: %d data keys; replaces older copies, which should go everywhere\n",
			data.Path, records, len(data.Manifest.Collections), size(bytes), size(data.Size), keys.Path, wrapped)
		if err != nil || blobsDir == backup.None {
			return saved, err
		}
		return saved, backupBlobs(ctx, cfg, blobsDir, io.out) // after the store, so that what it refers to is there
	})
}

// restoreStore restores a backup into an empty store, or only verifies it.
func restoreStore(ctx context.Context, args []string, getenv func(string) string, io streams) (err error) {
	var files backup.Files
	var keysFile string
	var check bool
	cfg, rest, err := parse("restore", args, getenv, io, func(fs *flag.FlagSet) {
		fs.StringVar(&files.Data, "from", "", "the file of data")
		fs.StringVar(&files.DataKeys, "data-keys", "", "the file of data keys; by default the one beside the data; '"+backup.None+"' leaves all personal data unreadable")
		fs.StringVar(&keysFile, "keys", "", "keys file of the backup, which becomes KEYS_FILE if there is none; by default KEYS_FILE")
		fs.BoolVar(&check, "check", false, "verify the backup, and touch no store")
	})
	if err != nil {
		return err
	}
	if err := want(rest, 0, "no argument"); err != nil {
		return err
	}
	if files.Data == "" {
		return errors.New("-from: the file of data to restore")
	}
	keysFile = cmp.Or(keysFile, cfg.KeysFile)
	box, err := secret.OpenFile(keysFile, false)
	if err != nil {
		return fmt.Errorf("-keys: %w", err)
	}
	p := newProgress(io.err)
	b, err := backup.Verify(ctx, box, files, p.tell)
	p.end()
	if err != nil {
		return err
	}
	if err := describe(io.out, b); err != nil || check {
		return err
	}
	lacking, err := lacksKeys(b, cfg.KeysFile)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	eng, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	if err := b.Vacant(ctx, eng); err != nil {
		return err
	}
	if lacking {
		if err := copyKeys(keysFile, cfg.KeysFile); err != nil {
			return fmt.Errorf("KEYS_FILE: %w", err)
		}
	}
	err = b.Restore(ctx, eng, p.tell)
	p.end()
	if err != nil {
		return err
	}
	if err := tellRestored(ctx, eng, box, b, files.Data); err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.out, "restored; the first server that starts rebuilds the indexes")
	return err
}

// tellRestored has the trail that was restored tell of it: what comes after it happened in another store than what comes before.
func tellRestored(ctx context.Context, eng store.Engine, box *secret.Box, b *backup.Backup, path string) (err error) {
	trail, err := openTrail(ctx, eng, box)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trail.Close()) }()
	return told(ctx, trail, "restore", func() (savedStore, error) {
		records, _ := b.Data.Totals()
		return savedStore{File: filepath.Base(path), Made: b.Data.Made, Records: records}, nil
	})
}

// describe says what a verified backup is.
func describe(w io.Writer, b *backup.Backup) error {
	records, bytes := b.Data.Totals()
	_, err := fmt.Fprintf(w, "backup of %s from %s: whole; %d records of %d collections, %s\n",
		b.Data.Made.Format(time.RFC3339), b.Data.Engine, records, len(b.Data.Collections), size(bytes))
	if err != nil {
		return err
	}
	switch {
	case b.DataKeys == nil:
		_, err = fmt.Fprintln(w, "data keys left out: personal data stays unreadable")
	case b.Older:
		_, err = fmt.Fprintf(w, "data keys of %s, which is before the data: what came since stays unreadable, and what was erased since comes back\n", b.DataKeys.Made.Format(time.RFC3339))
	default:
		keys, _ := b.DataKeys.Totals()
		_, err = fmt.Fprintf(w, "data keys of %s: %d; what was erased before that stays unreadable\n", b.DataKeys.Made.Format(time.RFC3339), keys)
	}
	return err
}

// lacksKeys says whether the server has no keys file yet. One that is there must open the backup, or the server could not read what is
// restored.
func lacksKeys(b *backup.Backup, path string) (bool, error) {
	box, err := secret.OpenFile(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err == nil {
		err = b.Opens(box)
	}
	if err != nil {
		return false, fmt.Errorf("KEYS_FILE %s: %w", path, err)
	}
	return false, nil
}

// copyKeys copies a file durably, or not at all; one that is there already by then stays.
func copyKeys(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(to), ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), to); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (c *config) engineName() string {
	if c.MongoURI != "" {
		return "mongodb"
	}
	return "sqlite"
}

// progress writes one line, again and again.
type progress struct {
	w     io.Writer
	last  time.Time
	begun bool
}

// progressEvery bounds how often the line is written.
const progressEvery = 200 * time.Millisecond

func newProgress(w io.Writer) *progress { return &progress{w: w} }

func (p *progress) tell(at backup.Progress) {
	if now := time.Now(); now.Sub(p.last) >= progressEvery {
		p.last, p.begun = now, true
		_, _ = fmt.Fprintf(p.w, "\r%s %-24s %10d records %10s", at.Phase, at.Collection, at.Records, size(at.Bytes)) // a lost line is no failure
	}
}

// end ends the line.
func (p *progress) end() {
	if p.begun {
		_, _ = fmt.Fprintln(p.w)
	}
	p.begun = false
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, names := float64(n)/unit, "kMGTP"
	for v >= unit && len(names) > 1 {
		v, names = v/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %cB", v, names[0])
}
