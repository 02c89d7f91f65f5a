package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store"
)

// None in place of the file of data keys restores without it: what they protect stays unreadable for ever.
const None = "none"

// Files are the two files of a backup. DataKeys "" is the one beside the data, and None none.
type Files struct{ Data, DataKeys string }

// Backup is a backup that was verified: its files were whole and belonged together when Verify read them.
type Backup struct {
	Data     Manifest
	DataKeys *Manifest // nil: left out
	Older    bool      // the data keys are older than the data, so some data have none

	box   Box
	files []string // with data keys first
}

// Verify reads a backup to its end and writes nothing. ErrDamaged, ErrWrongKeys, ErrMismatch.
func Verify(ctx context.Context, box Box, f Files, tell Tell) (*Backup, error) {
	b := &Backup{box: box}
	var err error
	if b.Data, err = readFile(ctx, box, f.Data, KindData, &watch{tell: tell, phase: "verify"}); err != nil {
		return nil, err
	}
	if f.DataKeys == None {
		b.files = []string{f.Data}
		return b, nil
	}
	path := f.DataKeys
	if path == "" {
		path = filepath.Join(filepath.Dir(f.Data), DataKeysName(b.Data.Installation))
	}
	m, err := readFile(ctx, box, path, KindDataKeys, &watch{tell: tell, phase: "verify"})
	if err != nil {
		return nil, err
	}
	b.DataKeys, b.files = &m, []string{path, f.Data}
	b.Older = m.Made.Before(b.Data.Made)
	switch {
	case m.Installation != b.Data.Installation:
		return nil, fmt.Errorf("%w: they are another installation's", ErrMismatch)
	case b.Older && f.DataKeys == "":
		return nil, fmt.Errorf("%w: %s is older than %s; name it to restore with it all the same", ErrMismatch, path, f.Data)
	}
	return b, nil
}

// Opens says whether a keys file opens the backup and is of its installation. ErrWrongKeys.
func (b *Backup) Opens(box Box) error {
	if installation(box) != b.Data.Installation {
		return fmt.Errorf("%w: it is another installation's", ErrWrongKeys)
	}
	for _, path := range b.files {
		if err := opens(path, box); err != nil {
			return err
		}
	}
	return nil
}

func opens(path string, box Box) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	p, err := newPlain(f, box)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.Close()
	return nil
}

// ID names the restore of these two files. A restore that was killed is known by it.
func (b *Backup) ID() string {
	if b.DataKeys == nil {
		return b.Data.ID + "+" + None
	}
	return b.Data.ID + "+" + b.DataKeys.ID
}

// Vacant says whether the backup may be restored into a store: it is empty, or this very restore is unfinished there. ErrNotEmpty.
func (b *Backup) Vacant(ctx context.Context, dst Target) error {
	colls, err := dst.Collections(ctx)
	if err != nil {
		return err
	}
	for _, c := range colls {
		switch {
		case c.Restore == b.ID() || c.Restore == "" && c.Empty:
		case c.Restore != "":
			return fmt.Errorf("%w: the restore of another backup, %s, is unfinished there; finish that one, or take an empty store", ErrNotEmpty, c.Restore)
		default:
			return fmt.Errorf("%w: it has documents in %s; take an empty store", ErrNotEmpty, c.Name)
		}
	}
	return nil
}

// Restore fills an empty store. Until it has returned nil, no server may use the store, and none can (store.ErrRestoring); after an error or
// a kill it may be repeated with the same files, and goes on. Leases are restored as free, with their fences; the transparency
// log goes on under a new origin, since checkpoints that the backup does not know may have been published; indexes are rebuilt by the first server that starts, and feeds start anew, so that their followers begin at the beginning. ErrNotEmpty, ErrDamaged.
func (b *Backup) Restore(ctx context.Context, dst Target, tell Tell) error {
	if err := b.Vacant(ctx, dst); err != nil {
		return err
	}
	manifests := []*Manifest{&b.Data}
	if b.DataKeys != nil {
		manifests = []*Manifest{b.DataKeys, &b.Data}
	}
	var specs []store.Spec
	for _, m := range manifests {
		for i := range m.Collections {
			specs = append(specs, m.Collections[i].spec())
		}
	}
	if err := dst.BeginRestore(ctx, b.ID(), specs); err != nil {
		if errors.Is(err, store.ErrExists) {
			return fmt.Errorf("%w: %w", ErrNotEmpty, err)
		}
		return err
	}
	for i, path := range b.files {
		f := &filler{watch: watch{tell: tell, phase: "restore"}, ctx: ctx, dst: dst, id: b.ID()}
		m, err := readFile(ctx, b.box, path, manifests[i].Kind, f)
		if err == nil {
			err = f.flush()
		}
		if err == nil && !m.equal(manifests[i]) {
			err = damaged(nil, "%s is not the file that was verified", path)
		}
		if err != nil {
			return err
		}
	}
	return dst.EndRestore(ctx, b.ID())
}

// readFile reads a file of a kind to its end. Errors name it.
func readFile(ctx context.Context, box Box, path, kind string, v visitor) (Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	m, err := readAll(&interruptible{ctx, f}, box, kind, v)
	if err != nil && ctx.Err() != nil {
		return m, ctx.Err() // which the decoders do not pass on
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func readAll(r io.Reader, box Box, kind string, v visitor) (Manifest, error) {
	p, err := newPlain(r, box)
	if err != nil {
		return Manifest{}, err
	}
	defer p.Close()
	if p.header.Kind != kind {
		return Manifest{}, fmt.Errorf("%w: it is a file of kind %s, not %s", ErrMismatch, p.header.Kind, kind)
	}
	return decode(p, p.header.Manifest, v)
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context // an io.Reader is given none
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// watch tells of progress, and is all that a verification does with what it reads.
type watch struct {
	tell  Tell
	phase string
	p     Progress
}

func (w *watch) begin(s store.Spec) error {
	w.p.Phase, w.p.Collection = w.phase, s.Name
	return nil
}

// tellEvery is in records.
const tellEvery = 1000

func (w *watch) record(r store.Record) error {
	w.p.Records++
	w.p.Bytes += int64(len(r.ID) + len(r.Body))
	if w.p.Records%tellEvery == 0 {
		w.tell.tell(w.p)
	}
	return nil
}

// filler stores what it is shown.
type filler struct {
	watch

	ctx  context.Context // a visitor is given none
	dst  Target
	id   string
	coll string
	recs []store.Record
	size int
}

// fillBytes is how much of bodies is stored at once, at most MaxBody more.
const fillBytes = 4 << 20

func (f *filler) begin(s store.Spec) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.coll = s.Name
	return f.watch.begin(s)
}

func (f *filler) record(r store.Record) (err error) {
	switch f.coll {
	case store.LeaseCollection:
		r, err = store.FreeLease(r)
	case ledger.StateCollection:
		r, err = ledger.Restored(r)
	}
	if err != nil {
		return err
	}
	f.recs = append(f.recs, r)
	f.size += len(r.Body)
	if len(f.recs) == store.MaxBatch || f.size > fillBytes {
		if err := f.flush(); err != nil {
			return err
		}
	}
	return f.watch.record(r)
}

func (f *filler) flush() error {
	if len(f.recs) == 0 {
		return nil
	}
	if err := f.dst.Restore(f.ctx, f.id, f.coll, f.recs); err != nil {
		return err
	}
	f.recs, f.size = f.recs[:0], 0
	return nil
}
