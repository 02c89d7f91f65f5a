package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/haisu-trace/haisu/internal/store"
)

// followUp does what follows from a batch that is at the edge of the tree, and moves the edge behind it. Whoever did so before and
// died left some of it or all; what is there stays as it is.
func (s *Service) followUp(ctx context.Context, b *batch) error {
	if b.First != s.edge.size {
		return &GapError{s.edge.size, b.First}
	}
	if err := s.point(ctx, b); err != nil {
		return err
	}
	for i := range b.Leaves {
		full, err := s.edge.append(b.Leaves[i].Entry)
		if err != nil {
			return err
		}
		if full != nil {
			if err := s.keepBundle(ctx, s.edge.size/bundleSize-1, full); err != nil {
				return err
			}
		}
	}
	root, err := rootOf(s.edge.tree)
	if err != nil {
		return fmt.Errorf("root of the tree: %w", err)
	}
	if !bytes.Equal(root, b.Root) {
		return fmt.Errorf("ledger: the batch at %d does not lead to the root that it says; run 'api verify'", b.First)
	}
	return nil
}

// point leads from the documents of a batch to their leaves.
func (s *Service) point(ctx context.Context, b *batch) error {
	items := make([]store.Item[pointer], len(b.Leaves))
	for i := range b.Leaves {
		l := &b.Leaves[i]
		items[i] = store.Item[pointer]{ID: pointerID(l.Kind, l.Key), V: pointer{Index: b.First + int64(i)}}
	}
	errs, err := s.leaves.InsertMany(ctx, items)
	if err != nil {
		return fmt.Errorf("point to the leaves from %d: %w", b.First, err)
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, store.ErrExists) {
			return fmt.Errorf("point to the leaves from %d: %w", b.First, err)
		}
	}
	return nil
}

// keepBundle keeps the leaf hashes of a full bundle as a tile, and its root in the tile above.
func (s *Service) keepBundle(ctx context.Context, n int64, hashes [][]byte) error {
	row := bytes.Join(hashes, nil)
	err := s.tiles.Insert(ctx, tileID(0, n), tile{row})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("keep tile %s: %w", tileID(0, n), err)
	}
	return s.raise(ctx, 1, n, fold(row))
}

// raise puts the root of tile 'child' of the level below into its place, and goes on above when that fills a tile.
func (s *Service) raise(ctx context.Context, level uint, child int64, root []byte) error {
	n, at := child/bundleSize, int(child%bundleSize)
	d, err := s.tiles.Upsert(ctx, tileID(level, n), func(t *tile) error {
		switch {
		case t.width() == at:
			t.Hashes = append(t.Hashes, root...)
		case t.width() < at:
			return fmt.Errorf("ledger: tile %s has %d hashes and cannot take number %d; run 'api verify'", tileID(level, n), t.width(), at)
		case !bytes.Equal(t.Hashes[at*hashSize:(at+1)*hashSize], root):
			return fmt.Errorf("ledger: hash %d of tile %s is another one than that of the leaves; run 'api verify'", at, tileID(level, n))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("raise the tree: %w", err)
	}
	if at < bundleSize-1 {
		return nil
	}
	return s.raise(ctx, level+1, n, fold(d.V.Hashes))
}
