package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

// Options say where to write.
type Options struct {
	Dir     string // for the file of data
	KeysDir string // for the file of data keys; may be the same
	Engine  string // what the source is, for people
	Now     clock.Now
	Tell    Tell

	disk disk // nil: the machine's
}

// Written is one file of a backup.
type Written struct {
	Path     string
	Size     int64 // bytes
	Manifest Manifest
}

// DataKeysName is the name of an installation's file of data keys.
func DataKeysName(installation string) string { return "haisu-" + installation + ".data-keys" }

func dataName(m *Manifest) string {
	return fmt.Sprintf("haisu-%s-%s-%s.backup", m.Installation, m.Made.Format("20060102T150405Z"), m.ID[:4])
}

// installation marks the files of one keys file, so that two installations may share a directory. It tells nothing of the keys.
func installation(box Box) string { return box.Hash("backup", "installation")[:8] }

// Write writes a backup. When it returns nil, both files are durable. When it fails or is killed, there is the older file of data keys or the new one,
// whole in either case, and the new file of data, whole, or none. store.ErrSnapshotLost, store.ErrRestoring, store.ErrUnavailable.
func Write(ctx context.Context, src Source, box Box, o Options) (data, keys Written, err error) {
	if o.disk == nil {
		o.disk = osDisk{}
	}
	for _, dir := range []string{o.Dir, o.KeysDir} {
		if err := tidy(o.disk, dir, o.Now()); err != nil {
			return data, keys, fmt.Errorf("backup: %w", err)
		}
	}
	w := &writer{o: o, box: box}
	defer w.discard()
	err = src.Snapshot(ctx, func(r store.SnapshotReader) error {
		m := Manifest{
			Format: Format, ID: clock.Token(10), Installation: installation(box), Made: o.Now().UTC().Truncate(time.Millisecond), Engine: o.Engine,
		}
		colls, err := r.Collections(ctx)
		if err != nil {
			return err
		}
		var apart, rest []store.CollectionInfo
		for _, c := range colls {
			switch {
			case c.Restore != "":
				return fmt.Errorf("backup: collection %s: %w", c.Name, store.ErrRestoring)
			case c.Name == DataKeys:
				apart = append(apart, c)
			default:
				rest = append(rest, c)
			}
		}
		m.Kind = KindDataKeys
		if keys, err = w.file(ctx, r, filepath.Join(o.KeysDir, DataKeysName(m.Installation)), m, apart); err != nil {
			return err
		}
		m.Kind = KindData
		data, err = w.file(ctx, r, filepath.Join(o.Dir, dataName(&m)), m, rest)
		return err
	})
	if err == nil {
		err = notBefore(keys)
	}
	if err != nil {
		return data, keys, err
	}
	return data, keys, w.place()
}

// notBefore refuses to replace data keys by older ones, which those of records erased since would come back with: two backups ran at once.
func notBefore(keys Written) error {
	f, err := os.Open(keys.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	h, _, err := readHeader(f)
	if err != nil {
		return nil // what no restore can use may be replaced
	}
	if h.Made.After(keys.Manifest.Made) {
		return fmt.Errorf("backup: %s was written at %s, after this backup began; if no other backup ran, a clock was wrong: remove that file",
			keys.Path, h.Made.Format(time.RFC3339))
	}
	return nil
}

// writer writes the files of a backup under temporary names, and puts them in place at the end.
type writer struct {
	o    Options
	box  Box
	done []pending
}

type pending struct{ temp, path string }

// discard removes what was not put in place. A killed process cannot; see tidy.
func (w *writer) discard() {
	for _, p := range w.done {
		_ = w.o.disk.remove(p.temp) // the error that led here counts
	}
}

// place puts the files in place, each durably before the next: the data keys first.
func (w *writer) place() error {
	for len(w.done) > 0 {
		p := w.done[0]
		if err := w.o.disk.rename(p.temp, p.path); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		w.done = w.done[1:]
		if err := w.o.disk.syncDir(filepath.Dir(p.path)); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return nil
}

// file writes a file under a temporary name, durably.
func (w *writer) file(ctx context.Context, r store.SnapshotReader, path string, m Manifest, colls []store.CollectionInfo) (out Written, err error) {
	f, err := w.o.disk.create(path)
	if err != nil {
		return out, fmt.Errorf("backup: %w", err)
	}
	w.done = append(w.done, pending{f.Name(), path})
	size := &counting{w: f}
	buffered := bufio.NewWriterSize(size, 256<<10)
	m, err = w.content(ctx, r, buffered, m, colls)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return out, fmt.Errorf("backup: %s: %w", filepath.Base(path), err)
	}
	return Written{Path: path, Size: size.n, Manifest: m}, nil
}

func (w *writer) content(ctx context.Context, r store.SnapshotReader, to io.Writer, m Manifest, colls []store.CollectionInfo) (Manifest, error) {
	c, err := newCipher(to, w.box, m)
	if err != nil {
		return m, err
	}
	e := newEncoder(c, m)
	for _, coll := range colls {
		if err := e.begin(coll.Spec); err != nil {
			return m, err
		}
		if err := w.records(ctx, r, e, coll.Name); err != nil {
			return m, err
		}
	}
	if m, err = e.finish(); err != nil {
		return m, err
	}
	return m, c.Close()
}

func (w *writer) records(ctx context.Context, r store.SnapshotReader, e *encoder, coll string) error {
	after := ""
	for {
		recs, err := r.All(ctx, coll, after, store.MaxBatch)
		if err != nil {
			return err
		}
		if len(recs) == 0 {
			return nil
		}
		for _, rec := range recs {
			if err := e.record(rec); err != nil {
				return err
			}
		}
		after = recs[len(recs)-1].ID
		records, bytes := e.manifest.Totals()
		w.o.Tell.tell(Progress{"write", coll, records, bytes})
	}
}

type counting struct {
	w io.Writer
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
