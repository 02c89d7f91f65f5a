package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

var errKilled = errors.New("killed")

// dying fails from the n-th call on, as if the process had died in it: the call itself happens or not.
type dying struct {
	left    atomic.Int64
	happens bool
}

// step says whether a call happens, and what its caller is told.
func (d *dying) step() (do bool, err error) {
	switch left := d.left.Add(-1); {
	case left > 0:
		return true, nil
	case left == 0:
		return d.happens, errKilled
	}
	return false, errKilled
}

// dyingDisk writes half of what is written last.
type dyingDisk struct {
	osDisk
	*dying
}

type dyingFile struct {
	file
	*dying
}

func (d dyingDisk) create(path string) (file, error) {
	do, err := d.step()
	if !do {
		return nil, err
	}
	f, ferr := d.osDisk.create(path)
	if err != nil {
		return nil, errors.Join(err, ferr, f.Close())
	}
	return dyingFile{f, d.dying}, ferr
}

func (d dyingDisk) rename(from, to string) error {
	return d.do(func() error { return d.osDisk.rename(from, to) })
}

func (d dyingDisk) syncDir(dir string) error {
	return d.do(func() error { return d.osDisk.syncDir(dir) })
}

func (d dyingDisk) remove(path string) error {
	return d.do(func() error { return d.osDisk.remove(path) })
}

func (d *dying) do(f func() error) error {
	do, err := d.step()
	if do {
		err = errors.Join(err, f())
	}
	return err
}

func (f dyingFile) Write(p []byte) (int, error) {
	do, err := f.step()
	if err != nil && do {
		p = p[:len(p)/2]
	}
	if !do {
		return 0, err
	}
	n, werr := f.file.Write(p)
	return n, errors.Join(err, werr)
}

func (f dyingFile) Sync() error { return f.do(f.file.Sync) }

// TestKilledBackup kills a backup in each of its steps. What is in place then is whole, and the next backup succeeds.
func TestKilledBackup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before, _ := b.write()
	steps := 0
	for _, happens := range []bool{false, true} {
		for n := 1; ; n++ {
			b.clock.Advance(time.Second)
			d := &dying{happens: happens}
			d.left.Store(int64(n))
			o := b.options()
			o.disk = dyingDisk{dying: d}
			_, _, err := Write(b.ctx, b.eng, b.box, o)
			for _, name := range b.files(".backup") {
				b.verify(filepath.Join(b.dir, name))
			}
			if err == nil {
				break
			}
			b.is(err, errKilled)
			steps++
		}
	}
	if steps < 20 {
		t.Errorf("a backup has %d steps", steps/2)
	}
	left := b.files(".part")
	if len(left) == 0 {
		t.Error("no killed backup left anything")
	}
	if v := b.verify(before.Path); v.DataKeys.ID == v.Data.ID {
		t.Error("the data keys are the first ones still")
	}

	// What is left goes away once nobody can be writing to it any more.
	written := b.clock.Now()
	for _, name := range left {
		b.ok(os.Chtimes(filepath.Join(b.dir, name), written, written))
	}
	b.write()
	if now := b.files(".part"); len(now) != len(left) {
		t.Errorf("%d temporary files, %d before: one may be another backup's", len(now), len(left))
	}
	b.clock.Advance(staleAfter)
	b.write()
	if now := b.files(".part"); len(now) != 0 {
		t.Errorf("left: %v", now)
	}
}

// dyingTarget is a store whose restorer dies.
type dyingTarget struct {
	Target
	*dying
}

func (d dyingTarget) BeginRestore(ctx context.Context, id string, specs []store.Spec) error {
	return d.do(func() error { return d.Target.BeginRestore(ctx, id, specs) })
}

func (d dyingTarget) Restore(ctx context.Context, id, coll string, recs []store.Record) error {
	do, err := d.step()
	if do && err != nil {
		recs = recs[:(len(recs)+1)/2] // an engine is not atomic over several
	}
	if do {
		err = errors.Join(err, d.Target.Restore(ctx, id, coll, recs))
	}
	return err
}

func (d dyingTarget) EndRestore(ctx context.Context, id string) error {
	return d.do(func() error { return d.Target.EndRestore(ctx, id) })
}

// TestKilledRestore kills a restore in each of its steps. Nobody can use the store then, unless it is empty or whole, and another process
// completes the restore.
func TestKilledRestore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	data, _ := b.write()
	v := b.verify(data.Path)
	for _, happens := range []bool{false, true} {
		for n := 1; ; n++ {
			path := filepath.Join(t.TempDir(), "t.db")
			first := b.at(path)
			d := &dying{happens: happens}
			d.left.Store(int64(n))
			err := v.Restore(b.ctx, dyingTarget{first, d}, nil)
			b.ok(first.Close())
			to := b.at(path)
			if err == nil {
				b.equal(to)
				break
			}
			b.is(err, errKilled)
			b.resumed(v, to, fmt.Sprintf("step %d, which happens: %v", n, happens))
		}
	}
}

// resumed completes a restore whose process died.
func (b *bundle) resumed(v *Backup, to interface {
	store.Engine
	store.Archive
}, what string) {
	b.Helper()
	colls, err := to.Collections(b.ctx)
	b.ok(err)
	begun, ended := len(colls) > 0, len(colls) > 0 && colls[0].Restore == ""
	if begun && !ended {
		if _, err := store.Open(b.ctx, to, thingDef); !errors.Is(err, store.ErrRestoring) {
			b.Errorf("%s: a server that starts gets %v", what, err)
		}
	}
	err = v.Restore(b.ctx, to, nil)
	if ended {
		b.is(err, ErrNotEmpty)
	} else {
		b.ok(err)
	}
	b.equal(to)
}

func TestTidyLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{".haisu-1.part", "haisu-1.part", ".haisu-1.parts", "x.backup", ".keys-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tidy(osDisk{}, dir, time.Now().Add(2*staleAfter)); err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(dir)
	if err != nil || len(all) != 4 {
		t.Errorf("%v are left, %v", all, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".haisu-1.part")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stale file: %v", err)
	}
	if err := tidy(osDisk{}, filepath.Join(dir, "none"), time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
