package mongo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/haisu-trace/haisu/internal/store"
)

// restorePrefix begins the ID of a restore's document in the meta collection. It is in no collection name.
const restorePrefix = "/restore/"

// restoration is the document of a restore. That it is done is one field of one document, so that all its collections are free at once.
type restoration struct {
	Epoch int64 `bson:"h"` // of the feeds
	Done  bool  `bson:"done"`
}

// unfinished gives the restore that fills a collection; "" if none.
func (e *Engine) unfinished(ctx context.Context, have declared) (string, error) {
	if have.Restore == "" {
		return "", nil
	}
	r, err := e.restoration(ctx, have.Restore)
	if err != nil || r.Done {
		return "", err
	}
	return have.Restore, nil
}

// restoration gives the document of a restore. ErrNotFound, ErrUnavailable.
func (e *Engine) restoration(ctx context.Context, id string) (r restoration, err error) {
	err = e.meta.FindOne(ctx, byID(restorePrefix+id)).Decode(&r)
	if errors.Is(err, driver.ErrNoDocuments) {
		return r, fmt.Errorf("mongo: restore %q: %w", id, store.ErrNotFound)
	}
	return r, mapSnapshotError("restore", id, err)
}

// BeginRestore prepares collections. ErrExists, ErrRestoring, ErrUnavailable.
func (e *Engine) BeginRestore(ctx context.Context, id string, specs []store.Spec) error {
	done, err := e.begin()
	if err != nil {
		return err
	}
	defer done()
	if id == "" {
		return errors.New("mongo: a restore without a name")
	}
	for _, spec := range specs {
		if err := checkSpec(spec); err != nil {
			return err
		}
		if err := e.fillable(ctx, id, spec.Name); err != nil {
			return err
		}
	}
	r, err := e.beginRestore(ctx, id)
	if err != nil {
		return err
	}
	for _, spec := range specs {
		if err := e.prepare(ctx, id, spec, r.Epoch); err != nil {
			return err
		}
	}
	return nil
}

// fillable refuses a collection that holds a document, unless it is the restore's already.
func (e *Engine) fillable(ctx context.Context, id, coll string) error {
	have, err := e.declaredAs(ctx, "restore", coll)
	if err != nil {
		return err
	}
	by, err := e.unfinished(ctx, have)
	switch {
	case err != nil || by == id:
		return err
	case by != "":
		return restoringError(coll, by)
	}
	bare, err := e.bare(ctx, coll)
	if err == nil && !bare {
		return fmt.Errorf("mongo: restore into %s, which is not empty: %w", coll, store.ErrExists)
	}
	return err
}

func restoringError(coll, id string) error {
	return fmt.Errorf("mongo: %s: restore %s: %w", coll, id, store.ErrRestoring)
}

func (e *Engine) beginRestore(ctx context.Context, id string) (restoration, error) {
	fresh := bson.D{{Key: "$setOnInsert", Value: bson.D{{Key: "h", Value: 1 + rand.Int64N(1<<62)}, {Key: "done", Value: false}}}}
	if err := e.upsertMeta(ctx, restorePrefix+id, fresh); err != nil {
		return restoration{}, err
	}
	r, err := e.restoration(ctx, id)
	if err == nil && r.Done {
		err = fmt.Errorf("mongo: restore %s has ended: %w", id, store.ErrExists)
	}
	return r, err
}

// prepare makes a collection with its indexes, which count as incomplete.
func (e *Engine) prepare(ctx context.Context, id string, spec store.Spec, epoch int64) error {
	if _, err := e.db.Collection(spec.Name).Indexes().CreateMany(ctx, indexModels(spec)); err != nil {
		return mapError("restore", spec.Name, err)
	}
	have, err := e.declaredAs(ctx, "restore", spec.Name)
	if err != nil {
		return err
	}
	set := bson.D{{Key: "f", Value: spec.Feed || have.Feed}, {Key: "s", Value: id}, {Key: "h", Value: epoch}}
	for _, name := range slices.Sorted(maps.Keys(spec.Indexes)) {
		v := bson.D{{Key: "v", Value: spec.Indexes[name]}, {Key: "ok", Value: false}}
		set = append(set, bson.E{Key: "i." + name, Value: v})
	}
	update := bson.D{{Key: "$set", Value: set}}
	if unset := dropped(have, spec); unset != nil {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	return e.upsertMeta(ctx, spec.Name, update)
}

// Restore stores records. ErrNotFound, ErrExists, ErrTooLarge, ErrUnavailable.
func (e *Engine) Restore(ctx context.Context, id, coll string, recs []store.Record) error {
	done, err := e.begin()
	if err != nil {
		return err
	}
	defer done()
	if err := checkBatch(len(recs)); err != nil {
		return err
	}
	if !collectionName.MatchString(coll) {
		return fmt.Errorf("mongo: collection name %q", coll)
	}
	have, err := e.declaredAs(ctx, "restore", coll)
	if err != nil {
		return err
	}
	if by, err := e.unfinished(ctx, have); err != nil {
		return err
	} else if by != id || id == "" {
		return fmt.Errorf("mongo: restore %q of %s: %w", id, coll, store.ErrNotFound)
	}
	c := &collection{Collection: e.db.Collection(coll), name: coll}
	docs := make([]bson.D, len(recs))
	for i, r := range recs {
		if docs[i], err = c.restored(r); err != nil {
			return err
		}
	}
	if len(docs) == 0 {
		return nil
	}
	taken, err := c.insertNew(ctx, &batch{recs: recs, errs: make([]error, len(recs)), docs: docs, at: places(len(docs))})
	if err != nil {
		return err
	}
	return c.sameAs(ctx, recs, taken)
}

// places gives 0 to n-1.
func places(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// restored is the document of a record as it was. A body that is byte for byte what Add would make of counters is stored as
// counters: it reads the same, and takes Add again.
func (c *collection) restored(r store.Record) (bson.D, error) {
	if err := checkRev(r); err != nil {
		return nil, err
	}
	if len(r.Body) > store.MaxBody {
		return nil, c.tooLarge(r)
	}
	d := bson.D{{Key: "_id", Value: r.ID}, {Key: "r", Value: r.Rev}}
	if sums := countersOf(r.Body); sums != nil {
		d = append(d, bson.E{Key: "n", Value: increments("", sums)})
	} else {
		d = append(d, bson.E{Key: "b", Value: bson.Binary{Data: r.Body}})
	}
	if !r.Expires.IsZero() {
		d = append(d, bson.E{Key: "x", Value: expiry(r.Expires)})
	}
	return append(d, bson.E{Key: "u", Value: bson.Timestamp{}}), nil
}

// countersOf gives the counters whose document has this body, nil if it is no counter document's.
func countersOf(body []byte) map[string]int64 {
	var sums map[string]int64
	if json.Unmarshal(body, &sums) != nil || sums == nil {
		return nil
	}
	if again, err := json.Marshal(sums); err != nil || !bytes.Equal(again, body) {
		return nil
	}
	return sums
}

// sameAs checks that the records whose IDs were taken are stored already.
func (c *collection) sameAs(ctx context.Context, recs []store.Record, taken []int) error {
	if len(taken) == 0 {
		return nil
	}
	ids := make([]string, len(taken))
	for i, at := range taken {
		ids[i] = recs[at].ID
	}
	docs, err := c.find(ctx, "restore", bson.D{in(ids)}, options.Find().SetProjection(content), len(ids))
	if err != nil {
		return err
	}
	stored := make(map[string]store.Record, len(docs))
	for i := range docs {
		if stored[docs[i].ID], err = docs[i].record(); err != nil {
			return err
		}
	}
	for _, at := range taken {
		r := recs[at]
		was, ok := stored[r.ID]
		same := ok && was.Rev == r.Rev && bytes.Equal(was.Body, r.Body) && was.Expires.IsZero() == r.Expires.IsZero() &&
			(r.Expires.IsZero() || expiry(was.Expires) == expiry(r.Expires))
		if !same {
			return fmt.Errorf("mongo: restore %s %s: %w", c.name, r.ID, store.ErrExists)
		}
	}
	return nil
}

// EndRestore gives the collections free. ErrNotFound, ErrUnavailable.
func (e *Engine) EndRestore(ctx context.Context, id string) error {
	done, err := e.begin()
	if err != nil {
		return err
	}
	defer done()
	res, err := e.meta.UpdateOne(ctx, byID(restorePrefix+id), bson.D{{Key: "$set", Value: bson.D{{Key: "done", Value: true}}}})
	if err != nil {
		return mapError("restore", id, err)
	}
	if res.MatchedCount == 0 {
		return fmt.Errorf("mongo: restore %q: %w", id, store.ErrNotFound)
	}
	return nil
}
