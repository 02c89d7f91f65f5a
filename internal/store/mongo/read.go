package mongo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/haisu-trace/haisu/internal/store"
)

// Get gives the documents that exist, in any order, in one round trip unless they fill more than one 16 MB reply. ErrUnavailable.
func (e *Engine) Get(ctx context.Context, coll string, ids []string) ([]store.Record, error) {
	c, done, err := e.enter(coll)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := checkBatch(len(ids)); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := store.CheckID(id); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	docs, err := c.find(ctx, "get", live(bson.D{in(ids)}, e.now()), options.Find().SetProjection(content), len(ids))
	if err != nil {
		return nil, err
	}
	return records(docs)
}

// pageBytes ends a page of All or Changes early, so that 1,000 large bodies do not fill the memory.
const pageBytes = 16 << 20

// All walks every document in ID order. after is exclusive. A page ends early after 16 MiB of bodies; only an empty one is the end.
// ErrUnavailable.
func (e *Engine) All(ctx context.Context, coll, after string, limit int) ([]store.Record, error) {
	c, done, err := e.enter(coll)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	docs, err := c.allPage(ctx, after, e.now(), limit)
	if err != nil {
		return nil, err
	}
	return records(docs)
}

// allPage gives the documents after an ID, at most limit, and about pageBytes of bodies.
func (c *collection) allPage(ctx context.Context, after string, now time.Time, limit int) ([]document, error) {
	f := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}}
	o := options.Find().SetProjection(content).SetSort(idKeys).SetHint(idKeys)
	return c.findUpTo(ctx, "all", live(f, now), o, limit, pageBytes)
}

// idKeys is the index that every collection has.
var idKeys = bson.D{{Key: "_id", Value: 1}}

func records(docs []document) ([]store.Record, error) {
	out := make([]store.Record, len(docs))
	for i := range docs {
		var err error
		if out[i], err = docs[i].record(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// find asks for at most limit documents, in one reply if they fit.
func (c *collection) find(ctx context.Context, op string, filter bson.D, o *options.FindOptionsBuilder, limit int) ([]document, error) {
	return c.findUpTo(ctx, op, filter, o, limit, math.MaxInt)
}

// findUpTo is find that stops after the document with which the bodies exceed a number of bytes.
func (c *collection) findUpTo(
	ctx context.Context, op string, filter bson.D, o *options.FindOptionsBuilder, limit, bytes int,
) (docs []document, err error) {
	// One more than the limit: a reply that is full leaves its cursor open, and finding it empty takes another round trip.
	cur, err := c.Find(ctx, filter, o.SetLimit(int64(limit)).SetBatchSize(int32(limit)+1))
	if err != nil {
		return nil, mapError(op, c.name, err)
	}
	defer func() {
		if cerr := cur.Close(ctx); err == nil {
			err = mapError(op, c.name, cerr)
		}
	}()
	for size := 0; size <= bytes && cur.Next(ctx); {
		var d document
		if err := cur.Decode(&d); err != nil {
			return nil, fmt.Errorf("mongo: %s %s: %w", op, c.name, err)
		}
		docs = append(docs, d)
		size += len(d.Body)
	}
	return docs, mapError(op, c.name, cur.Err())
}

// Scan walks an index. keysOnly is answered from the index alone. ErrBadCursor, ErrUnavailable.
func (e *Engine) Scan(ctx context.Context, coll string, s store.Scan, keysOnly bool) ([]store.Hit, error) {
	c, done, err := e.enter(coll)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := checkLimit(s.Limit); err != nil {
		return nil, err
	}
	if err := c.checkIndex(s.Index); err != nil {
		return nil, err
	}
	filter, err := scanFilter(s)
	if err != nil {
		return nil, err
	}
	if !keysOnly {
		filter = live(filter, e.now())
	}
	o := options.Find().SetSort(scanSort(s)).SetHint(indexPrefix + s.Index).SetProjection(scanProjection(s, keysOnly))
	docs, err := c.find(ctx, "scan", filter, o, s.Limit)
	if err != nil {
		return nil, err
	}
	return hits(docs, s.Index, keysOnly)
}

// scanProjection asks for the place and, unless only keys are wanted, the record. Without _id, which is not in the index, the
// former is answered without reading a document.
func scanProjection(s store.Scan, keysOnly bool) bson.D {
	at := bson.E{Key: "o." + s.Index, Value: 1}
	if keysOnly {
		return bson.D{{Key: "_id", Value: 0}, at}
	}
	return append(slices.Clone(content), at)
}

func hits(docs []document, index string, keysOnly bool) ([]store.Hit, error) {
	out := make([]store.Hit, len(docs))
	for i := range docs {
		p, err := parsePlace(docs[i].Places[index])
		if err != nil {
			return nil, err
		}
		out[i].Position = p
		if keysOnly {
			continue
		}
		r, err := docs[i].record()
		if err != nil {
			return nil, err
		}
		out[i].Record = &r
	}
	return out, nil
}

// Count counts the entries of the scan, stopping at limit. It reads documents only while the collection has expired ones that are
// not swept yet; a probe of the expiry index, which holds hardly any, tells. ErrUnavailable.
func (e *Engine) Count(ctx context.Context, coll string, s store.Scan, limit int) (int, error) {
	c, done, err := e.enter(coll)
	if err != nil {
		return 0, err
	}
	defer done()
	if limit < 1 {
		return 0, fmt.Errorf("mongo: count up to %d", limit)
	}
	if err := c.checkIndex(s.Index); err != nil {
		return 0, err
	}
	s.After, s.Desc = nil, false
	filter, err := scanFilter(s)
	if err != nil {
		return 0, err
	}
	now := e.now()
	unswept, err := c.exists(ctx, "count", due(nil, now), options.FindOne().SetHint(expiryIndex))
	if err != nil {
		return 0, err
	}
	if unswept {
		filter = live(filter, now)
	}
	n, err := c.CountDocuments(ctx, filter, options.Count().SetLimit(int64(limit)).SetHint(indexPrefix+s.Index))
	if err != nil {
		return 0, mapError("count", coll, err)
	}
	return int(n), nil
}

// exists says whether any document matches.
func (c *collection) exists(ctx context.Context, op string, filter bson.D, o *options.FindOneOptionsBuilder) (bool, error) {
	err := c.FindOne(ctx, filter, o.SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
	if errors.Is(err, driver.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, mapError(op, c.name, err)
}
