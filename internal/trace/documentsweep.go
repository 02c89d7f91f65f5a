package trace

import (
	"context"
	"errors"
	"sync"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/store"
)

// DocumentSweep deletes documents of large captures that nobody needs: their process died before their capture was stored, or behind its end.
type DocumentSweep struct {
	s        *Service
	captures []*store.Collection[captureDoc]

	mu    sync.Mutex
	swept string // up to which document
}

// NewDocumentSweep sweeps for production and all test tenants, whose documents are in one place.
func NewDocumentSweep(production *Service, tenants *Sandboxes) *DocumentSweep {
	return &DocumentSweep{s: production, captures: []*store.Collection[captureDoc]{production.captures, tenants.captures}}
}

// Sweep looks at a page of documents in each call, whatever limit is, and gives how many it deleted.
func (d *DocumentSweep) Sweep(ctx context.Context, _ int) (int, error) {
	if d.s.deps.Blobs == nil {
		return 0, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, next, err := blob.Sweep(ctx, d.s.deps.Blobs, blobPurpose, d.swept, d.s.now(), d.needs)
	d.swept = next
	return n, err
}

// needs says whether a capture that runs has the document of this very attempt.
func (d *DocumentSweep) needs(ctx context.Context, ref blob.Ref) (bool, error) {
	for _, captures := range d.captures {
		c, err := captures.Get(ctx, captureOf(ref))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil || c.V.State == captureRunning && c.V.Source != nil && *c.V.Source == ref {
			return true, err
		}
	}
	return false, nil
}
