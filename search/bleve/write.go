package bleve

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/search"
)

// Put stores documents; each is durable and found when it returns.
func (ix *Index) Put(ctx context.Context, docs []search.Document) error {
	for batch := range slices.Chunk(docs, search.MaxBatch) {
		ps, err := search.PrepareBatch(batch)
		if err != nil {
			return err
		}
		if err := ix.writing(ctx, func() error { return ix.put(ps) }); err != nil {
			return err
		}
	}
	return nil
}

func (ix *Index) put(ps []search.Prepared) error {
	err := ix.each(func(g *generation) error { return g.apply(ps) })
	if err == nil {
		ix.overlay.Wrote(ps)
	}
	return err
}

// Delete removes documents.
func (ix *Index) Delete(ctx context.Context, ids []string) error {
	for batch := range slices.Chunk(ids, search.MaxBatch) {
		err := ix.writing(ctx, func() error {
			ix.overlay.Deleted(batch)
			return ix.each(func(g *generation) error { return g.remove(batch) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each writes to the live generation and to the one that a rebuild fills.
func (ix *Index) each(f func(*generation) error) error {
	g := ix.live.Load()
	if g == nil {
		return search.ErrNeedsRebuild
	}
	err := errDamaged
	if !g.dead.Load() {
		err = f(g)
	}
	if err != nil {
		if errors.Is(err, errDamaged) || g.dead.Load() {
			ix.fail(g, err)
		}
		return err
	}
	if ix.next == nil {
		return nil
	}
	return f(ix.next)
}

// writing runs f with the write token. When ctx ends first it returns and f ends by itself: Bleve's writes know no context, and
// one that hangs on a full disk must not take the caller with it.
func (ix *Index) writing(ctx context.Context, f func() error) error {
	if ix.live.Load() == nil {
		return ix.notReady()
	}
	return ix.exclusive(ctx, f)
}

func (ix *Index) exclusive(ctx context.Context, f func() error) error {
	select {
	case ix.write <- struct{}{}:
	case <-ctx.Done():
		return search.Unavailable(ctx.Err())
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-ix.write }()
		if ix.closed {
			done <- errClosed
			return
		}
		done <- f()
	}()
	select {
	case err := <-done:
		if err != nil {
			return search.Unavailable(err)
		}
		return nil
	case <-ctx.Done():
		return search.Unavailable(ctx.Err())
	}
}

var errClosed = errors.New("the index is closed")

// cleanUp bounds the end of a rebuild that failed, whose context may be over.
const cleanUp = 10 * time.Second

// Rebuild fills a new generation, makes it the live one durably, and removes the old.
func (ix *Index) Rebuild(ctx context.Context, docs iter.Seq2[search.Document, error]) error {
	select {
	case ix.rebuild <- struct{}{}:
	case <-ctx.Done():
		return search.Unavailable(ctx.Err())
	}
	defer func() { <-ix.rebuild }()
	err := ix.begin(ctx)
	if err == nil {
		err = ix.fill(ctx, docs)
	}
	if err == nil {
		err = ix.swap(ctx)
	}
	if err != nil {
		return errors.Join(err, ix.abandon(ctx))
	}
	return nil
}

// rebuildBatch is larger than other writes: each becomes a segment, and merging segments costs as much as writing them.
const rebuildBatch = 4 * search.MaxBatch

// begin makes the generation that the rebuild fills.
func (ix *Index) begin(ctx context.Context) error {
	return ix.exclusive(ctx, func() error {
		name, err := ix.record.fresh()
		if err != nil {
			return err
		}
		if ix.next, err = createGeneration(filepath.Join(ix.dir, name)); err != nil {
			return err
		}
		ix.overlay.Begin()
		return nil
	})
}

func (ix *Index) fill(ctx context.Context, docs iter.Seq2[search.Document, error]) error {
	flush := func(batch []search.Document) error {
		ps, err := search.PrepareBatch(batch)
		if err != nil {
			return err
		}
		return ix.exclusive(ctx, func() error { return ix.next.apply(ix.overlay.Keep(ps)) })
	}
	batch := make([]search.Document, 0, rebuildBatch)
	for d, err := range docs {
		if err != nil {
			return fmt.Errorf("read documents for the search index: %w", err)
		}
		if batch = append(batch, d); len(batch) < rebuildBatch {
			continue
		}
		if err := flush(batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return flush(batch)
}

// swap puts the new generation in the place of the old one, which it closes, when the searches in it have ended, and removes.
func (ix *Index) swap(ctx context.Context) error {
	return ix.exclusive(ctx, func() error {
		g := ix.next
		if g.dead.Load() {
			return errDamaged
		}
		if err := ix.record.set(filepath.Base(g.path)); err != nil {
			return err
		}
		ix.next = nil
		ix.overlay.End()
		old := ix.live.Swap(g)
		ix.damage.Store(nil)
		var err error
		if old != nil {
			err = old.close()
		}
		if err := errors.Join(err, ix.record.removeOthers(filepath.Base(g.path))); err != nil {
			return fmt.Errorf("the new index is in use, but the old one could not be removed: %w", err)
		}
		return nil
	})
}

// abandon gives up a generation that did not become the live one.
func (ix *Index) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	return ix.exclusive(ctx, ix.drop)
}

func (ix *Index) drop() error {
	g := ix.next
	if g == nil {
		return nil
	}
	ix.next = nil
	ix.overlay.End()
	return errors.Join(g.close(), os.RemoveAll(g.path))
}
