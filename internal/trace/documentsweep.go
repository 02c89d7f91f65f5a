package trace

import (
	"context"
	"errors"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/store"
)

// NewDocumentSweep sweeps documents of large captures that nobody needs: their process died before their capture was stored, or behind its end. It is for
// production and all test tenants, whose documents are in one place.
func NewDocumentSweep(production *Service, tenants *Sandboxes) *blob.Sweeper {
	return production.sweeper(blobPurpose, knownIn(captureOf, func(c *captureDoc, ref blob.Ref) bool {
		return c.State == captureRunning && c.Source != nil && *c.Source == ref
	}, production.captures, tenants.captures))
}

// NewPaperSweep sweeps files of documents that no record knows: whoever put them died before the record was stored, or after it was withdrawn. A file
// has a name of its own for each attempt to hand it in, so none that is old enough is ever needed again. It is for production and all test tenants.
func NewPaperSweep(production *Service, tenants *Sandboxes) *blob.Sweeper {
	return production.sweeper(paperPurpose, knownIn(paperOf, func(p *Paper, ref blob.Ref) bool { return p.File == ref }, production.papers, tenants.papers))
}

func (s *Service) sweeper(purpose string, known func(context.Context, blob.Ref) (bool, error)) *blob.Sweeper {
	return &blob.Sweeper{Store: s.deps.Blobs, Purpose: purpose, Now: s.now, Known: known}
}

// knownIn says whether one of the collections has a document, under the ID that a blob leads to, that needs the blob.
func knownIn[T any](id func(blob.Ref) string, needs func(*T, blob.Ref) bool, colls ...*store.Collection[T]) func(context.Context, blob.Ref) (bool, error) {
	return func(ctx context.Context, ref blob.Ref) (bool, error) {
		for _, c := range colls {
			d, err := c.Get(ctx, id(ref))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil || needs(&d.V, ref) {
				return true, err
			}
		}
		return false, nil
	}
}
