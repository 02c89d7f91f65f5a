package privacy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
)

// errSettled stops an update that has nothing to change.
var errSettled = errors.New("privacy: nothing to change")

// Erase destroys a record's data key; it is durable when Erase returns. What was sealed with it cannot be opened any more, wherever it lies: here
// at once, in other replicas within cacheFor. Nothing can be sealed for the record again. It may be repeated, and a record that has no data key
// gets a tombstone all the same.
func (v *Vault) Erase(ctx context.Context, record string) error {
	now := v.time()
	_, err := v.keys.Upsert(ctx, record, func(k *dataKey) error {
		if !k.Erased.IsZero() {
			return errSettled
		}
		*k = dataKey{Erased: now}
		return nil
	})
	v.cache.drop(record)
	if err != nil && !errors.Is(err, errSettled) {
		return fmt.Errorf("erase %s: %w", record, err)
	}
	return nil
}

// Retain sets when a record's data key is gone; see Rule.Until. The zero time is 'not decided'. A record without a data key, or one that was
// erased, stays as it is.
func (v *Vault) Retain(ctx context.Context, record string, until time.Time) error {
	if !until.IsZero() {
		until = until.UTC().Truncate(time.Millisecond)
	}
	_, err := v.keys.Update(ctx, record, func(k *dataKey) error {
		if !k.Erased.IsZero() || k.Until.Equal(until) {
			return errSettled
		}
		k.Until = until
		return nil
	})
	v.cache.drop(record)
	if err != nil && !errors.Is(err, errSettled) && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("retain %s: %w", record, err)
	}
	return nil
}

// Sweep deletes up to limit data keys whose time is over, and says how many. Readers do not see them from that time on.
func (v *Vault) Sweep(ctx context.Context, limit int) (int, error) { return v.keys.Sweep(ctx, limit) }

// rewrapWorkers write at once, so that their writes share commits.
const rewrapWorkers = 32

// Rewrap wraps every data key with the primary of the keys file as it is now, and says how many it had to change. progress is told how many were
// looked at, now and then, and may be nil. It may be killed at any instruction and be repeated; what is sealed is not touched.
func (v *Vault) Rewrap(ctx context.Context, progress func(seen int)) (int, error) {
	if _, err := v.box.Reload(); err != nil {
		return 0, err
	}
	primary := v.box.Primary()
	var changed atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rewrapWorkers)
	seen := 0
	err := v.keys.All(gctx, func(d store.Doc[dataKey]) error {
		if seen++; progress != nil && seen%store.MaxBatch == 0 {
			progress(seen)
		}
		if id, ok := secret.KeyOf(d.V.Wrapped); !ok || id == primary {
			return nil
		}
		g.Go(func() error {
			did, err := v.rewrap(gctx, d.ID)
			if did {
				changed.Add(1)
			}
			return err
		})
		return nil
	})
	if werr := g.Wait(); werr != nil {
		err = werr // the walk ends because of it
	}
	if progress != nil {
		progress(seen)
	}
	return int(changed.Load()), err
}

// rewrap wraps one data key anew. One that was erased, is over or was rewrapped meanwhile stays as it is.
func (v *Vault) rewrap(ctx context.Context, record string) (bool, error) {
	_, err := v.keys.Update(ctx, record, func(k *dataKey) error {
		if id, ok := secret.KeyOf(k.Wrapped); !ok || id == v.box.Primary() {
			return errSettled
		}
		plain, err := v.box.Open(wrapPurpose(record), k.Wrapped)
		if err != nil {
			return fmt.Errorf("rewrap %s: %w", record, err)
		}
		k.Wrapped, err = v.box.Seal(wrapPurpose(record), plain)
		return err
	})
	if errors.Is(err, errSettled) || errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
