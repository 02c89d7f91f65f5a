package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/haisu-trace/haisu/internal/store"
)

// feedRetention is how long a tombstone stays, and so how long a follower of the feed may be away without missing a deletion.
const feedRetention = 30 * 24 * time.Hour

// Sweep removes up to limit expired documents, in batches of MaxBatch, and says how many. Where there is a feed they become
// tombstones, which the feed reports as deletions, and up to limit tombstones older than feedRetention are removed without being counted.
// ErrUnavailable.
func (e *Engine) Sweep(ctx context.Context, coll string, limit int) (int, error) {
	c, done, err := e.enter(coll)
	if err != nil {
		return 0, err
	}
	defer done()
	if limit < 1 {
		return 0, fmt.Errorf("mongo: sweep up to %d", limit)
	}
	now := e.now()
	take := c.remove
	if c.feed {
		if _, err := c.drain(ctx, limit, tombstoneIndex, func(f bson.D) bson.D { return deletedBy(f, now.Add(-feedRetention)) }, e.forget(c)); err != nil {
			return 0, err
		}
		take = e.buryAll(c)
	}
	n, err := c.drain(ctx, limit, expiryIndex, func(f bson.D) bson.D { return due(f, now) }, take)
	if n > 0 {
		e.wake(c)
	}
	return n, err
}

// deletedBy matches tombstones of an instant or earlier.
func deletedBy(f bson.D, t time.Time) bson.D {
	return append(f, bson.E{Key: "d", Value: bson.D{{Key: "$lte", Value: bson.NewDateTimeFromTime(t)}}})
}

// drain finds documents by an index and takes them away, batch by batch. The condition is checked again as they are taken: a
// document may have been overwritten since it was found.
func (c *collection) drain(
	ctx context.Context, limit int, index string,
	match func(bson.D) bson.D, take taker,
) (int, error) {
	gone := 0
	for gone < limit {
		size := min(limit-gone, store.MaxBatch)
		o := options.Find().SetProjection(bson.D{{Key: "u", Value: 1}}).SetHint(index)
		docs, err := c.find(ctx, "sweep", match(nil), o, size)
		if err != nil || len(docs) == 0 {
			return gone, err
		}
		ids := make([]string, len(docs))
		newest := uint64(0)
		for i := range docs {
			ids[i] = docs[i].ID
			newest = max(newest, stampOf(docs[i].Updated))
		}
		n, err := take(ctx, match(bson.D{in(ids)}), newest)
		if err != nil {
			return gone, mapError("sweep", c.name, err)
		}
		gone += int(n)
		if len(docs) < size || n == 0 {
			return gone, nil
		}
	}
	return gone, nil
}

// taker takes away the documents that match, whose newest stamp is given, and says how many.
type taker func(ctx context.Context, filter bson.D, newest uint64) (int64, error)

func (c *collection) remove(ctx context.Context, filter bson.D, _ uint64) (int64, error) {
	res, err := c.DeleteMany(ctx, filter)
	if err != nil {
		return 0, err
	}
	return res.DeletedCount, nil
}

// forget removes tombstones after noting which; see checkForgotten.
func (e *Engine) forget(c *collection) taker {
	return func(ctx context.Context, filter bson.D, newest uint64) (int64, error) {
		note := bson.D{{Key: "$max", Value: bson.D{{Key: "p", Value: timestamp(newest)}}}}
		if err := e.upsertMeta(ctx, c.name, note); err != nil {
			return 0, err
		}
		return c.remove(ctx, filter, newest)
	}
}

func (e *Engine) buryAll(c *collection) taker {
	return func(ctx context.Context, filter bson.D, _ uint64) (int64, error) {
		res, err := c.UpdateMany(ctx, filter, e.bury())
		if err != nil {
			return 0, err
		}
		return res.ModifiedCount, nil
	}
}
