// Package bleve is the search engine inside the binary: a Bleve index in a folder of the data directory.
//
// One process at a time has the folder, held by a lock that dies with it. Another process on the same data directory gets an index of
// its own in a private temporary folder, which it must build from the store at every start; so does a process whose folder
// cannot be written. A folder that is missing, damaged or of an older program never fails a start: the engine then answers
// search.ErrNeedsRebuild until Rebuild has run.
package bleve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"

	"github.com/haisu-trace/haisu/search"
)

// schema changes whenever documents are indexed in another way; an index of another schema is not used.
const schema = 1

// Index is a search.Engine. It is safe for concurrent use.
type Index struct {
	dir     string
	private error // why dir is a private one; nil: it is not
	record  *record

	live    atomic.Pointer[generation] // nil: needs a rebuild
	damage  atomic.Pointer[error]      // why
	rebuild chan struct{}              // holds one token while a rebuild runs
	write   chan struct{}              // holds one token while live, next or overlay is changed or written

	// Guarded by write.
	overlay search.Overlay
	next    *generation
	closed  bool
}

var _ search.Engine = (*Index)(nil)

// Open opens the index in folder dir, which it creates. Empty: a private temporary folder that Close removes. It fails only if neither dir
// nor a temporary folder can be written.
func Open(dir string) (*Index, error) {
	ix := &Index{dir: dir, rebuild: make(chan struct{}, 1), write: make(chan struct{}, 1)}
	ix.private = errors.New("no folder was given")
	if dir != "" {
		ix.record, ix.private = openRecord(dir)
	}
	if ix.private != nil {
		tmp, err := os.MkdirTemp("", "haisu-search-")
		if err != nil {
			return nil, fmt.Errorf("search index: %w", errors.Join(ix.private, err))
		}
		ix.dir = tmp
		if ix.record, err = openRecord(tmp); err != nil {
			return nil, fmt.Errorf("search index: %w", errors.Join(ix.private, err, os.RemoveAll(tmp)))
		}
	}
	ix.resume()
	return ix, nil
}

// Private says why the index is in a temporary folder that is lost with the process; nil: it is in the folder given to Open.
func (ix *Index) Private() error { return ix.private }

// resume opens the generation that the last process completed, if there is a sound one, and removes all others.
func (ix *Index) resume() {
	name, err := ix.record.current()
	if err == nil {
		var g *generation
		if g, err = openGeneration(filepath.Join(ix.dir, name)); err == nil {
			ix.live.Store(g)
		} else {
			name = ""
		}
	}
	if err != nil {
		ix.damage.Store(&err)
	}
	// What cannot be removed only wastes room, and the next start tries again.
	_ = ix.record.removeOthers(name)
}

// Ready is nil or search.ErrNeedsRebuild with the reason.
func (ix *Index) Ready(context.Context) error {
	if ix.live.Load() != nil {
		return nil
	}
	return ix.notReady()
}

func (ix *Index) notReady() error {
	if d := ix.damage.Load(); d != nil {
		return search.Unavailable(errors.Join(search.ErrNeedsRebuild, *d))
	}
	return search.Unavailable(search.ErrNeedsRebuild)
}

// fail takes a damaged generation out of use, for this process and the next. The caller must not hold g.use.
func (ix *Index) fail(g *generation, cause error) {
	if !ix.live.CompareAndSwap(g, nil) {
		return
	}
	cause = errors.Join(cause, ix.record.set(""), g.close())
	ix.damage.Store(&cause)
}

// Close waits for searches and writes under way and closes the index. It is not safe to use afterwards.
func (ix *Index) Close() error {
	ix.write <- struct{}{}
	defer func() { <-ix.write }()
	if ix.closed {
		return nil
	}
	ix.closed = true
	errs := []error{ix.drop()}
	if g := ix.live.Swap(nil); g != nil {
		errs = append(errs, g.close())
	}
	errs = append(errs, ix.record.close())
	if ix.private != nil {
		errs = append(errs, os.RemoveAll(ix.dir))
	}
	return errors.Join(errs...)
}

// protect runs f and makes an error of a panic, and of a read past the end of a mapped file that somebody cut short: Bleve
// trusts what it finds on the disk.
func protect(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	return f()
}

var errDamaged = errors.New("the index is damaged")
