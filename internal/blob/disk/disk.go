// Package disk keeps blobs in a directory: DIR/{purpose}/{first two digits of the hash}/{hash}.{record}, files of mode 0600 in directories of
// mode 0700. The directory may be shared by several processes, and by several machines where its file system is.
//
// A blob is written to a temporary file in DIR/.tmp, which is synced and then renamed into place, and the directory is synced too. So a
// killed Put leaves a temporary file at most, which Sweep deletes.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/clock"
)

// staleAfter is how long nobody has written to a temporary file whose writer is dead. One that lives writes all the time, or its
// request ends.
const staleAfter = 6 * time.Hour

// tempDir is where files are until they are whole. No purpose begins with a dot.
const tempDir = ".tmp"

// Store is a blob.Store in a directory.
type Store struct {
	dir   string
	files files
	now   clock.Now

	mu   sync.Mutex
	made map[string]bool // directories that are durable
}

// Open makes the directory if there is none. Whatever Sweep would delete goes.
func Open(ctx context.Context, dir string, now clock.Now) (*Store, error) {
	return open(ctx, dir, now, machine{})
}

func open(ctx context.Context, dir string, now clock.Now, f files) (*Store, error) {
	s := &Store{dir: filepath.Clean(dir), files: f, now: now, made: map[string]bool{}}
	if err := s.makeDir(filepath.Join(s.dir, tempDir)); err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	_, err := s.Sweep(ctx, -1)
	return s, err
}

// makeDir makes a directory and those above it, durably. One that exists may have been made a moment ago by a process that has not synced it
// yet, so it is synced here as well, once.
func (s *Store) makeDir(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made[dir] {
		return nil
	}
	if err := s.files.mkdirAll(dir); err != nil {
		return err
	}
	for d := dir; len(d) >= len(s.dir); d = filepath.Dir(d) {
		if err := s.files.syncDir(filepath.Dir(d)); err != nil {
			return err
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	s.made[dir] = true
	return nil
}

func (s *Store) path(ref blob.Ref) string { return filepath.Join(s.dir, filepath.FromSlash(ref.Key())) }

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, space blob.Space, r io.Reader, limit int64) (blob.Ref, error) {
	m, err := blob.NewMeter(ctx, space, r, limit)
	if err != nil {
		return blob.Ref{}, err
	}
	f, err := s.files.create(filepath.Join(s.dir, tempDir))
	if err != nil {
		return blob.Ref{}, blob.Unavailable(err)
	}
	ref, err := s.write(f, m, space)
	if err != nil {
		_ = s.files.remove(f.Name()) // else Sweep does it; the error that led here counts
		return blob.Ref{}, blob.Failed(err)
	}
	return ref, nil
}

func (s *Store) write(f file, m *blob.Meter, space blob.Space) (blob.Ref, error) {
	_, err := io.Copy(f, m)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return blob.Ref{}, err
	}
	ref := m.Ref(space)
	path := s.path(ref)
	if err := s.makeDir(filepath.Dir(path)); err != nil {
		return blob.Ref{}, err
	}
	if err := s.files.rename(f.Name(), path); err != nil {
		return blob.Ref{}, err
	}
	return ref, s.files.syncDir(filepath.Dir(path))
}

// Open implements blob.Store.
func (s *Store) Open(_ context.Context, ref blob.Ref) (io.ReadCloser, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", ref.Key(), blob.ErrNotFound)
	}
	if err != nil {
		return nil, blob.Unavailable(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(blob.Unavailable(err), f.Close())
	case info.Size() != ref.Size:
		return nil, errors.Join(fmt.Errorf("%s has %d bytes, not %d: %w", ref.Key(), info.Size(), ref.Size, blob.ErrNotFound), f.Close())
	}
	return blob.Verified(f, ref), nil
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, ref blob.Ref) error {
	if err := ref.Check(); err != nil {
		return err
	}
	path := s.path(ref)
	err := s.files.remove(path)
	if err == nil {
		err = s.files.syncDir(filepath.Dir(path))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return blob.Unavailable(err)
	}
	return nil
}

// List implements blob.Store. It reads one of a purpose's 256 directories after the other.
func (s *Store) List(ctx context.Context, purpose, after string, limit int) ([]blob.Info, error) {
	if err := blob.CheckPurpose(purpose); err != nil {
		return nil, err
	}
	limit = min(max(limit, 1), blob.MaxList)
	shards, err := names(filepath.Join(s.dir, purpose))
	if err != nil {
		return nil, blob.Unavailable(err)
	}
	out := make([]blob.Info, 0, limit)
	for _, shard := range shards {
		prefix := purpose + "/" + shard + "/"
		if prefix < after && !strings.HasPrefix(after, prefix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := names(filepath.Join(s.dir, purpose, shard))
		if err != nil {
			return nil, blob.Unavailable(err)
		}
		for _, name := range found {
			if prefix+name <= after {
				continue
			}
			info, ok, err := s.info(prefix + name)
			if err != nil {
				return nil, blob.Unavailable(err)
			}
			if ok {
				out = append(out, info)
			}
			if len(out) == limit {
				return out, nil
			}
		}
	}
	return out, nil
}

// info is false for a file that is no blob, or is gone by now.
func (s *Store) info(key string) (blob.Info, bool, error) {
	ref, err := blob.ParseKey(key)
	if err != nil {
		return blob.Info{}, false, nil //nolint:nilerr // a stranger's file
	}
	st, err := os.Lstat(s.path(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return blob.Info{}, false, nil
	}
	if err != nil {
		return blob.Info{}, false, err
	}
	ref.Size = st.Size()
	return blob.Info{Ref: ref, Put: st.ModTime()}, st.Mode().IsRegular(), nil
}

// names gives the sorted names in a directory; none where there is none, or a stranger's file.
func names(dir string) ([]string, error) {
	if st, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
		return nil, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	out, err := d.Readdirnames(-1)
	slices.Sort(out)
	return out, errors.Join(err, d.Close())
}

// Purposes gives the purposes of which there are, or were, blobs.
func (s *Store) Purposes() ([]string, error) {
	all, err := names(s.dir)
	return slices.DeleteFunc(all, func(n string) bool { return blob.CheckPurpose(n) != nil }), err
}

// Sweep deletes up to limit temporary files of dead processes (any number if it is negative), and says how many.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	dir := filepath.Join(s.dir, tempDir)
	all, err := names(dir)
	if err != nil {
		return 0, fmt.Errorf("blobs: %w", err)
	}
	n := 0
	for _, name := range all {
		if n == limit || ctx.Err() != nil {
			return n, ctx.Err()
		}
		st, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			if s.now().Sub(st.ModTime()) < staleAfter {
				continue
			}
			err = s.files.remove(filepath.Join(dir, name))
			n++
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, fmt.Errorf("blobs: %w", err)
		}
	}
	return n, nil
}
