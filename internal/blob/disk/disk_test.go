package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/blob/blobtest"
	"github.com/haisu-trace/haisu/internal/fault"
)

var doc = blob.Space{Purpose: "documents", Record: "d1"}

func openAt(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blobtest.Engine {
		dir := filepath.Join(t.TempDir(), "blobs")
		return blobtest.Engine{
			Store: openAt(t, dir),
			Damage: func(key string, data []byte) {
				if err := os.WriteFile(filepath.Join(dir, key), data, 0o600); err != nil {
					t.Error(err)
				}
			},
			Clean: func() error {
				if all := walk(t, dir); len(all) != 0 {
					return fmt.Errorf("there are %v", all)
				}
				return nil
			},
		}
	})
}

// walk gives all files below a directory, and checks their modes.
func walk(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o700)
		if !d.IsDir() {
			want = 0o600
			rel, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(rel))
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLayout(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "blobs")
	s := openAt(t, dir)
	ref, err := s.Put(t.Context(), doc, strings.NewReader("x"), 10)
	if err != nil {
		t.Fatal(err)
	}
	if all := walk(t, dir); !slices.Equal(all, []string{ref.Key()}) {
		t.Errorf("there are %v, want %s", all, ref.Key())
	}
	if p, err := s.Purposes(); err != nil || !slices.Equal(p, []string{"documents"}) {
		t.Errorf("purposes are %v, %v", p, err)
	}
}

// dying is a file system of a process that dies before or after one of its calls. Bytes that were not synced are lost with it, as when the
// machine dies.
type dying struct {
	machine
	calls, dieAt int
	after        bool
	dead         bool
	unsynced     []string // directories
	log          []string
}

var errDead = errors.New("the process is dead")

func (d *dying) do(what string, f func() error) error {
	d.calls++
	last := d.calls == d.dieAt
	d.dead = d.dead || last && !d.after
	if d.dead {
		return errDead
	}
	d.log = append(d.log, what)
	err := f()
	if last {
		d.dead = true
		return errDead
	}
	return err
}

func (d *dying) mkdirAll(dir string) error {
	return d.do("mkdir", func() error { return d.machine.mkdirAll(dir) })
}

func (d *dying) rename(from, to string) error {
	return d.do("rename", func() error { d.unsynced = append(d.unsynced, filepath.Dir(to)); return d.machine.rename(from, to) })
}

func (d *dying) remove(path string) error {
	return d.do("remove", func() error { return d.machine.remove(path) })
}

func (d *dying) syncDir(dir string) error {
	return d.do("syncdir", func() error {
		d.unsynced = slices.DeleteFunc(d.unsynced, func(u string) bool { return u == dir })
		return d.machine.syncDir(dir)
	})
}

func (d *dying) create(dir string) (f file, err error) {
	err = d.do("create", func() (err error) { f, err = d.machine.create(dir); return err })
	if err != nil {
		return nil, err
	}
	return &dyingFile{f, d}, nil
}

type dyingFile struct {
	file
	d *dying
}

func (f *dyingFile) Write(p []byte) (n int, err error) {
	err = f.d.do("write", func() (err error) { n, err = f.file.Write(p[:len(p)/2]); return err }) // torn, if it dies
	if err == nil {
		var m int
		m, err = f.file.Write(p[len(p)/2:])
		n += m
	}
	return n, err
}

func (f *dyingFile) Sync() error { return f.d.do("sync", f.file.Sync) }

func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("whole"), 10_000)
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			dir := filepath.Join(t.TempDir(), "blobs")
			d := &dying{dieAt: n, after: after}
			s, err := open(t.Context(), dir, time.Now, d)
			acknowledged := false
			var ref blob.Ref
			if err == nil {
				ref, err = s.Put(t.Context(), doc, bytes.NewReader(data), 1<<20)
				acknowledged = err == nil
				if err != nil && fault.KindOf(err) != fault.Unavailable {
					t.Errorf("step %d: %v", n, err)
				}
			}
			again := openAt(t, dir)
			all, err := again.List(t.Context(), "documents", "", 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range all { // whole or none
				r, err := again.Open(t.Context(), b.Ref)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
					t.Errorf("step %d: %d bytes, %v", n, len(got), err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
			if acknowledged && (len(all) != 1 || all[0].Ref != ref || len(d.unsynced) > 0) {
				t.Errorf("step %d: acknowledged, and there is %v; %v not synced", n, all, d.unsynced)
			}
			later, err := Open(t.Context(), dir, func() time.Time { return time.Now().Add(staleAfter + time.Minute) })
			if err != nil {
				t.Fatal(err)
			}
			if left := walk(t, dir); len(left) != len(all) {
				t.Errorf("step %d: %v is left", n, left)
			}
			if _, err := later.Put(t.Context(), doc, bytes.NewReader(data), 1<<20); err != nil {
				t.Errorf("step %d: the next process: %v", n, err)
			}
			if !d.dead {
				want := "create write write sync mkdir syncdir"
				if got := strings.Join(d.log, " "); !strings.Contains(got, want) || !strings.HasSuffix(got, "rename syncdir") {
					t.Errorf("a Put does %s", got)
				}
				break
			}
		}
	}
}

func TestSweepLeavesWhatIsBeingWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blobs")
	s := openAt(t, dir)
	r, w := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := s.Put(t.Context(), doc, r, 100)
		done <- err
	}()
	if _, err := w.Write([]byte("some")); err != nil {
		t.Fatal(err)
	}
	if n, err := openAt(t, dir).Sweep(t.Context(), 10); err != nil || n != 0 {
		t.Errorf("%d were swept, %v", n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestStrangersFilesAreNoBlobs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blobs")
	s := openAt(t, dir)
	ref, err := s.Put(t.Context(), doc, strings.NewReader("x"), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"documents/" + ref.Hash[:2] + "/README", "documents/note", "lost+found"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "documents", ref.Hash[:2], strings.Repeat(ref.Hash[:2], 32)+".d1")); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(t.Context(), "documents", "", 10); err != nil || len(all) != 1 {
		t.Errorf("listed %v, %v", all, err)
	}
}
