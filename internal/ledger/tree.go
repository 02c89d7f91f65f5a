package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/haisu-trace/haisu/internal/store"
)

// tileBits is the height of a tile: it has the nodes of every eighth level.
const tileBits = 8

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

func emptyRoot() []byte { return rfc6962.DefaultHasher.EmptyRoot() }

func rootOf(r *compact.Range) ([]byte, error) {
	if r.End() == 0 {
		return emptyRoot(), nil
	}
	return r.GetRootHash(nil)
}

// edge is the right edge of the tree of a size: all that is needed to append to it.
type edge struct {
	size   int64
	tree   *compact.Range
	bundle [][]byte // leaf hashes of the bundle that is not full
}

// append appends a leaf. When it fills the bundle, the bundle's hashes are given and a new one begins.
func (e *edge) append(entry []byte) (full [][]byte, err error) {
	h := leafHash(entry)
	if err := e.tree.Append(h, nil); err != nil {
		return nil, fmt.Errorf("append to the tree: %w", err)
	}
	e.size++
	e.bundle = append(e.bundle, h)
	if len(e.bundle) == bundleSize {
		full, e.bundle = e.bundle, nil
	}
	return full, nil
}

// clone is for trying what a batch would give.
func (e *edge) clone() (*edge, error) {
	tree, err := ranges.NewRange(0, uint64(e.size), append([][]byte(nil), e.tree.Hashes()...))
	if err != nil {
		return nil, fmt.Errorf("copy the edge of the tree: %w", err)
	}
	return &edge{size: e.size, tree: tree, bundle: append([][]byte(nil), e.bundle...)}, nil
}

// edgeAt reads the right edge of the tree of a size from what is stored: O(log n), and at most a bundle of leaves.
func (s *Service) edgeAt(ctx context.Context, size int64) (*edge, error) {
	ids := compact.RangeNodes(0, uint64(size), nil)
	r := s.reader(size)
	hashes, err := r.nodes(ctx, ids)
	if err != nil {
		return nil, err
	}
	e := &edge{size: size}
	if e.tree, err = ranges.NewRange(0, uint64(size), hashes); err != nil {
		return nil, fmt.Errorf("read the edge of the tree: %w", err)
	}
	if w := int(size % bundleSize); w > 0 {
		row, err := r.row(ctx, 0, size/bundleSize, w)
		if err != nil {
			return nil, err
		}
		for i := range w {
			e.bundle = append(e.bundle, row[i*hashSize:(i+1)*hashSize])
		}
	}
	return e, nil
}

// treeReader reads nodes of the tree of a size, each tile once.
type treeReader struct {
	s    *Service
	size int64
	rows map[string][]byte
}

func (s *Service) reader(size int64) *treeReader {
	return &treeReader{s: s, size: size, rows: map[string][]byte{}}
}

// nodes gives the hashes of complete subtrees.
func (r *treeReader) nodes(ctx context.Context, ids []compact.NodeID) ([][]byte, error) {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		level, height := id.Level/tileBits, id.Level%tileBits
		n := int64(id.Index >> (tileBits - height))
		from := int(id.Index<<height) & (1<<tileBits - 1)
		row, err := r.row(ctx, level, n, r.width(level, n)) // as wide as the tree has it, so that it is read once
		if err != nil {
			return nil, err
		}
		if (from+1<<height)*hashSize > len(row) {
			return nil, fmt.Errorf("node %d of level %d is not in a tree of %d leaves", id.Index, id.Level, r.size)
		}
		out[i] = fold(row[from*hashSize : (from+1<<height)*hashSize])
	}
	return out, nil
}

// fold gives the root of a row of 2^n hashes.
func fold(row []byte) []byte {
	if len(row) == hashSize {
		return row
	}
	half := len(row) / 2
	return rfc6962.DefaultHasher.HashChildren(fold(row[:half]), fold(row[half:]))
}

// width is how many hashes tile n of a level has in the tree, 0 if it is not there.
func (r *treeReader) width(level uint, n int64) int {
	return int(min(max(r.size>>(tileBits*level)-n*bundleSize, 0), bundleSize))
}

// row gives the first hashes of a tile.
func (r *treeReader) row(ctx context.Context, level uint, n int64, width int) ([]byte, error) {
	id := tileID(level, n)
	row, ok := r.rows[id]
	if !ok {
		var err error
		if row, err = r.read(ctx, level, n); err != nil {
			return nil, err
		}
		r.rows[id] = row
	}
	if len(row) < width*hashSize {
		return nil, fmt.Errorf("%w: tile %s has %d hashes of %d", ErrTile, id, len(row)/hashSize, width)
	}
	return row[:width*hashSize], nil
}

func (r *treeReader) read(ctx context.Context, level uint, n int64) ([]byte, error) {
	d, err := r.s.tiles.Get(ctx, tileID(level, n))
	if err == nil {
		return d.V.Hashes, nil
	}
	if !errors.Is(err, store.ErrNotFound) || level > 0 {
		return nil, fmt.Errorf("tile %s: %w", tileID(level, n), err)
	}
	// The bundle at the end is not full, and is in its batches alone.
	var row []byte
	err = r.s.eachBatch(ctx, n*bundleSize, min((n+1)*bundleSize, r.size), func(b *batch) error {
		for i := range b.Leaves {
			row = append(row, leafHash(b.Leaves[i].Entry)...)
		}
		return nil
	})
	return row, err
}

// ErrTile says that a stored tile is not as wide as the tree.
var ErrTile = errors.New("ledger: a tile is not whole")

// GapError says that the stored batches do not follow one another: leaves were taken away, or put in between.
type GapError struct{ From, To int64 }

// Error names the positions.
func (e *GapError) Error() string {
	return fmt.Sprintf("ledger: where leaf %d is to be, there is %d", e.From, e.To)
}

// eachBatch gives the batches from the one that begins at position from on, those that begin before end. from must be where a batch
// begins, as every bundle does.
func (s *Service) eachBatch(ctx context.Context, from, end int64, f func(b *batch) error) error {
	next := from
	return s.batches.Each(ctx, store.Query{Index: byFirst, Eq: store.K(), From: store.K(from), To: store.K(end)}, func(d store.Doc[batch]) error {
		if d.V.First != next || d.ID != batchID(next) {
			return &GapError{next, d.V.First}
		}
		next = d.V.end()
		return f(&d.V)
	})
}

// root is the root of the reader's tree.
func (r *treeReader) root(ctx context.Context) ([]byte, error) {
	hashes, err := r.nodes(ctx, compact.RangeNodes(0, uint64(r.size), nil))
	if err != nil {
		return nil, err
	}
	tree, err := ranges.NewRange(0, uint64(r.size), hashes)
	if err != nil {
		return nil, fmt.Errorf("read the root of the tree: %w", err)
	}
	return rootOf(tree)
}
