package store

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Following is work that follows a feed, in one process at a time.
type Following struct {
	Lease string
	Wake  <-chan struct{} // there may be something to do
	Log   *slog.Logger    // may be nil
	// Step does the next part, and says whether there is more to do at once. What it writes carries the fence.
	Step func(ctx context.Context, fence int64) (more bool, err error)
}

// followPause is how often Step is called when nothing wakes it: what other processes write does not.
const followPause = time.Second

// Follow calls Step again and again while this process has the lease, until ctx ends. An error of Step is logged, and Step called again after a pause.
func (l *Leases) Follow(ctx context.Context, f Following) error {
	t := time.NewTicker(followPause)
	defer t.Stop()
	var held *Held
	defer func() {
		if held != nil {
			rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := held.Release(rctx); err != nil && f.Log != nil {
				f.Log.WarnContext(rctx, "lease not released", "lease", f.Lease, "error", err)
			}
		}
	}()
	for ctx.Err() == nil {
		var more bool
		var err error
		if held, err = l.hold(ctx, f.Lease, held); held != nil && err == nil {
			more, err = f.Step(ctx, held.Fence)
		}
		if err != nil && ctx.Err() == nil && f.Log != nil {
			f.Log.ErrorContext(ctx, "following", "lease", f.Lease, "error", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-f.Wake:
		case <-t.C:
		}
	}
	return nil
}

// hold renews the lease, or tries to take it; nil while another has it.
func (l *Leases) hold(ctx context.Context, name string, held *Held) (*Held, error) {
	if held == nil {
		h, ok, err := l.Try(ctx, name)
		if !ok {
			h = nil
		}
		return h, err
	}
	err := held.Renew(ctx)
	switch {
	case errors.Is(err, ErrLeaseLost):
		return nil, nil //nolint:nilnil // no lease and no error: another has it
	case err != nil && !held.Valid():
		return nil, err
	case err != nil:
		return held, err
	}
	return held, nil
}
