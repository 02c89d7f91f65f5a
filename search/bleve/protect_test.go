//go:build unix

package bleve

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/haisu-trace/haisu/search"
)

func TestProtectMakesErrorsOfPanicsAndFaults(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	path := filepath.Join(t.TempDir(), "mapped")
	if err := os.WriteFile(path, make([]byte, page), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := syscall.Mmap(int(f.Fd()), 0, page, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Munmap(mapped), f.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	var seen byte
	if err := protect(func() error { seen = mapped[0]; return nil }); !errors.Is(err, errDamaged) {
		t.Errorf("reading past the end of a mapped file: %v, %d", err, seen)
	}
	var none []int
	if err := protect(func() error { seen = byte(none[int(seen)]); return nil }); !errors.Is(err, errDamaged) {
		t.Errorf("a panic: %v", err)
	}
	if err := protect(func() error { return os.ErrClosed }); !errors.Is(err, os.ErrClosed) || errors.Is(err, errDamaged) {
		t.Errorf("an error: %v", err)
	}
}

func TestDamagedGenerationIsTakenOutOfUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "search")
	ix, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	empty := func(func(search.Document, error) bool) {}
	if err := ix.Rebuild(t.Context(), empty); err != nil {
		t.Fatal(err)
	}
	g := ix.live.Load()
	g.dead.Store(true)
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	// A background task of Bleve died, and the next write finds out.
	d := search.Document{ID: "a", Kind: "warning"}
	if err := ix.Put(t.Context(), []search.Document{d}); !errors.Is(err, search.ErrUnavailable) {
		t.Errorf("put: %v", err)
	}
	if err := ix.Ready(t.Context()); !errors.Is(err, search.ErrNeedsRebuild) {
		t.Errorf("ready: %v", err)
	}
	if name, err := ix.record.current(); !errors.Is(err, errNone) {
		t.Errorf("the next process would use %q, %v", name, err)
	}
	if err := ix.Rebuild(t.Context(), empty); err != nil {
		t.Fatal(err)
	}
	if err := ix.Put(t.Context(), []search.Document{d}); err != nil {
		t.Errorf("put after the rebuild: %v", err)
	}
	if err := ix.Close(); err != nil {
		t.Error(err)
	}
}
