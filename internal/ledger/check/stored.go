package check

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store"
)

// Store is what of the log's service is read.
type Store interface {
	Head(ctx context.Context) (ledger.Head, error)
	Leaves(ctx context.Context, from int64, limit int) ([]ledger.Leaf, error)
	Tile(ctx context.Context, level uint, n int64, width int) ([]byte, error)
}

// Stored reads a log from the store, with everything that is stored of a document.
func Stored(s Store) Log { return stored{s} }

type stored struct{ Store }

// Checkpoint implements Log.
func (s stored) Checkpoint(ctx context.Context) ([]byte, error) {
	h, err := s.Head(ctx)
	return []byte(h.Checkpoint), err
}

// Leaves implements Log. It makes the documents itself.
func (s stored) Leaves(ctx context.Context, n int64, width int) ([]Leaf, error) {
	var out []Leaf
	for len(out) < width {
		part, err := s.page(ctx, n*bundle+int64(len(out)), width-len(out))
		if out = append(out, part...); err != nil || len(part) == 0 {
			return out, err
		}
	}
	return out, nil
}

// page gives leaves from a position on, not all that are asked for where their documents are long.
func (s stored) page(ctx context.Context, from int64, limit int) ([]Leaf, error) {
	ls, err := s.Store.Leaves(ctx, from, limit)
	if gap, ok := errors.AsType[*ledger.GapError](err); ok {
		return nil, &BrokenError{Index: gap.From, Reason: fmt.Sprintf("the leaf is missing; the next is %d", gap.To)}
	}
	out := make([]Leaf, len(ls))
	for i := range ls {
		l := &ls[i]
		out[i] = Leaf{Index: l.Index, Kind: l.Kind, Key: l.Key, Entry: l.Entry, Nonce: l.Nonce}
		if !l.Found {
			continue
		}
		doc := `{"v":1,"kind":"` + l.Kind + `"`
		if l.Public != nil {
			doc += `,"public":` + string(l.Public)
		}
		if l.Sealed != nil {
			doc += `,"sealed":"` + hex.EncodeToString(salted(l.Salt, l.Sealed)) + `"`
		}
		out[i].Document = []byte(doc + "}")
	}
	return out, err
}

// Tile implements Log.
func (s stored) Tile(ctx context.Context, level int, n int64, width int) ([]byte, error) {
	row, err := s.Store.Tile(ctx, uint(level), n, width)
	return row, missing(err, level, n)
}

// missing turns 'there is none' into what it means for a tile that must be there.
func missing(err error, level int, n int64) error {
	_, gap := errors.AsType[*ledger.GapError](err)
	if gap || errors.Is(err, ledger.ErrTile) || errors.Is(err, store.ErrNotFound) {
		return &BrokenError{Index: -1, Reason: fmt.Sprintf("tile %d of level %d is missing", n, level)}
	}
	return err
}
