package mongo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/haisu-trace/haisu/internal/store"
)

// Insert inserts each record with Rev 1; see store.Writer. An expired document or a tombstone with the ID is overwritten.
// After ErrUnavailable as second error any of the records may be stored.
func (e *Engine) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	c, done, err := e.enter(coll)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := checkBatch(len(recs)); err != nil {
		return nil, err
	}
	b, err := c.batch(recs)
	if err != nil {
		return nil, err
	}
	if len(b.docs) == 0 {
		return b.errs, nil
	}
	taken, err := c.insertNew(ctx, b)
	if err != nil {
		return nil, err
	}
	if len(taken) > 0 {
		if err := e.insertOver(ctx, c, b, taken); err != nil {
			return nil, err
		}
	}
	e.wake(c)
	return b.errs, nil
}

// batch is what one Insert sends: docs[i] is the document of recs[at[i]].
type batch struct {
	recs []store.Record
	errs []error
	docs []bson.D
	at   []int
}

// batch prepares records. A body that is too large and the second record with an ID are settled here.
func (c *collection) batch(recs []store.Record) (*batch, error) {
	b := &batch{recs: recs, errs: make([]error, len(recs))}
	ids := make(map[string]bool, len(recs))
	for i, r := range recs {
		if err := store.CheckID(r.ID); err != nil {
			return nil, err
		}
		if len(r.Body) > store.MaxBody {
			b.errs[i] = c.tooLarge(r)
			continue
		}
		if ids[r.ID] {
			b.errs[i] = c.taken(r.ID)
			continue
		}
		d, err := c.newDocument(r)
		if errors.Is(err, store.ErrTooLarge) {
			b.errs[i] = err
			continue
		}
		if err != nil {
			return nil, err
		}
		ids[r.ID] = true
		b.docs, b.at = append(b.docs, d), append(b.at, i)
	}
	return b, nil
}

func (c *collection) tooLarge(r store.Record) error {
	return fmt.Errorf("mongo: %s %s: %d bytes: %w", c.name, r.ID, len(r.Body), store.ErrTooLarge)
}

func (c *collection) taken(id string) error {
	return fmt.Errorf("mongo: %s %s: %w", c.name, id, store.ErrExists)
}

// insertNew inserts the batch and gives the places in recs whose ID is taken by a document, live or not.
func (c *collection) insertNew(ctx context.Context, b *batch) (taken []int, err error) {
	_, err = c.InsertMany(ctx, b.docs, options.InsertMany().SetOrdered(false))
	if err == nil {
		return nil, nil
	}
	bulk, ok := errors.AsType[driver.BulkWriteException](err)
	if !ok || bulk.WriteConcernError != nil {
		return nil, mapError("insert", c.name, err)
	}
	for _, we := range bulk.WriteErrors {
		i := b.at[we.Index]
		switch {
		case driver.IsDuplicateKeyError(we.WriteError):
			taken = append(taken, i)
		case isTooLarge(we.WriteError):
			b.errs[i] = c.tooLarge(b.recs[i])
		default:
			return nil, mapError("insert", c.name, err)
		}
	}
	return taken, nil
}

// insertOver settles the records whose IDs are taken. One read finds those that are taken for good; for the rest an upsert
// decides, because their documents may be swept or replaced meanwhile: it overwrites what is dead, inserts where nothing is left, and
// fails with a duplicate key where somebody else was faster.
func (e *Engine) insertOver(ctx context.Context, c *collection, b *batch, taken []int) error {
	ids := make([]string, len(taken))
	for i, at := range taken {
		ids[i] = b.recs[at].ID
	}
	now := e.now()
	keep := options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}})
	found, err := c.find(ctx, "insert", live(bson.D{in(ids)}, now), keep, len(ids))
	if err != nil {
		return err
	}
	alive := make(map[string]bool, len(found))
	for i := range found {
		alive[found[i].ID] = true
	}
	for _, at := range taken {
		r := b.recs[at]
		if alive[r.ID] {
			b.errs[at] = c.taken(r.ID)
			continue
		}
		update, err := c.overwrite(r)
		if err != nil {
			return err
		}
		_, err = c.UpdateOne(ctx, dead(byID(r.ID), now), update, options.UpdateOne().SetUpsert(true))
		switch {
		case driver.IsDuplicateKeyError(err):
			b.errs[at] = c.taken(r.ID)
		case err != nil:
			return mapError("insert", c.name, err)
		}
	}
	return nil
}

// overwrite makes a record of whatever was there.
func (c *collection) overwrite(r store.Record) (bson.D, error) {
	set, unset, err := c.fields(r)
	if err != nil {
		return nil, err
	}
	set = append(set, bson.E{Key: "r", Value: int64(1)})
	return bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: unset}, stamp}, nil
}

// Replace replaces body, entries and expiry; see store.Writer. ErrNotFound, ErrConflict, ErrTooLarge, ErrUnavailable: after the
// last the caller must read to know whether it happened.
func (e *Engine) Replace(ctx context.Context, coll string, rec store.Record) error {
	c, done, err := e.enter(coll)
	if err != nil {
		return err
	}
	defer done()
	if err := checkRev(rec); err != nil {
		return err
	}
	if len(rec.Body) > store.MaxBody {
		return c.tooLarge(rec)
	}
	set, unset, err := c.fields(rec)
	if err != nil {
		return err
	}
	update := bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: unset}, nextRev, stamp}
	if err := e.updateRev(ctx, c, "replace", rec.ID, rec.Rev, update); err != nil {
		return err
	}
	e.wake(c)
	return nil
}

// checkRev refuses what no stored document can have; revision 0 must not reach atRev from here.
func checkRev(r store.Record) error {
	if r.Rev < 1 {
		return fmt.Errorf("mongo: %s: revision %d", r.ID, r.Rev)
	}
	return store.CheckID(r.ID)
}

var nextRev = bson.E{Key: "$inc", Value: bson.D{{Key: "r", Value: int64(1)}}}

// Reindex replaces the entries of a document if its revision is still rec.Rev. It leaves revision and update time alone.
// ErrNotFound, ErrConflict, ErrUnavailable.
func (e *Engine) Reindex(ctx context.Context, coll string, rec store.Record) error {
	c, done, err := e.enter(coll)
	if err != nil {
		return err
	}
	defer done()
	if err := checkRev(rec); err != nil {
		return err
	}
	eq, places, err := c.indexed(rec)
	if err != nil {
		return err
	}
	update := bson.D{{Key: "$set", Value: bson.D{{Key: "e", Value: eq}, {Key: "o", Value: places}}}}
	if eq == nil {
		update = bson.D{{Key: "$unset", Value: bson.D{{Key: "e", Value: ""}, {Key: "o", Value: ""}}}}
	}
	return e.updateRev(ctx, c, "reindex", rec.ID, rec.Rev, update)
}

// updateRev updates a live document of one revision; rev 0 is any.
func (e *Engine) updateRev(ctx context.Context, c *collection, op, id string, rev int64, update bson.D) error {
	now := e.now()
	res, err := c.UpdateOne(ctx, live(atRev(id, rev), now), update)
	if err != nil {
		return mapError(op, c.name, err)
	}
	if res.MatchedCount == 0 {
		return e.unmatched(ctx, c, op, id)
	}
	return nil
}

func atRev(id string, rev int64) bson.D {
	f := byID(id)
	if rev != 0 {
		f = append(f, bson.E{Key: "r", Value: rev})
	}
	return f
}

// unmatched says why a conditional write matched nothing.
func (e *Engine) unmatched(ctx context.Context, c *collection, op, id string) error {
	there, err := c.exists(ctx, op, live(byID(id), e.now()), options.FindOne())
	if err != nil {
		return err
	}
	cause := store.ErrNotFound
	if there {
		cause = store.ErrConflict
	}
	return fmt.Errorf("mongo: %s %s %s: %w", op, c.name, id, cause)
}

// Delete deletes if the stored revision is rev, or any if rev is 0. Where there is a feed, a tombstone stays for feedRetention.
// ErrNotFound, ErrConflict, ErrUnavailable.
func (e *Engine) Delete(ctx context.Context, coll, id string, rev int64) error {
	c, done, err := e.enter(coll)
	if err != nil {
		return err
	}
	defer done()
	if err := store.CheckID(id); err != nil {
		return err
	}
	if c.feed {
		if err := e.updateRev(ctx, c, "delete", id, rev, e.bury()); err != nil {
			return err
		}
		e.wake(c)
		return nil
	}
	res, err := c.DeleteOne(ctx, live(atRev(id, rev), e.now()))
	if err != nil {
		return mapError("delete", coll, err)
	}
	if res.DeletedCount == 0 {
		return e.unmatched(ctx, c, "delete", id)
	}
	return nil
}

// bury makes a tombstone: nothing but the fact and time of the deletion, with an expiry that every read leaves out.
func (e *Engine) bury() bson.D {
	return bson.D{
		{Key: "$set", Value: bson.D{{Key: "x", Value: buried}, {Key: "d", Value: bson.NewDateTimeFromTime(e.now())}}},
		{Key: "$unset", Value: bson.D{
			{Key: "b", Value: ""}, {Key: "n", Value: ""}, {Key: "e", Value: ""}, {Key: "o", Value: ""},
		}},
		nextRev, stamp,
	}
}

// maxAdds bounds the rounds of Add. A round is lost only when the document is created or removed in the middle of it.
const maxAdds = 10

// Add adds deltas to the named counters of a counter document; see store.Writer. After ErrUnavailable the deltas may or may not
// be counted. A document that was not made by Add is refused with an error that is none of the port's.
func (e *Engine) Add(ctx context.Context, coll, id string, deltas map[string]int64) error {
	c, done, err := e.enter(coll)
	if err != nil {
		return err
	}
	defer done()
	if err := store.CheckID(id); err != nil {
		return err
	}
	for range maxAdds {
		added, err := e.add(ctx, c, id, deltas)
		if err != nil {
			return mapError("add", coll, err)
		}
		if added {
			e.wake(c)
			return nil
		}
	}
	return fmt.Errorf("mongo: add %s %s: not a counter document", coll, id)
}

// add tries once: to add to the live counter or create it, or else to start it anew where a dead document has the ID. False
// means that neither matched, and nothing was added.
func (e *Engine) add(ctx context.Context, c *collection, id string, deltas map[string]int64) (bool, error) {
	now := e.now()
	update := bson.D{{Key: "$inc", Value: append(bson.D{{Key: "r", Value: int64(1)}}, increments("n.", deltas)...)}, stamp}
	if len(deltas) == 0 {
		update = append(update, bson.E{Key: "$setOnInsert", Value: bson.D{{Key: "n", Value: bson.D{}}}})
	}
	filter := append(live(byID(id), now), bson.E{Key: "b", Value: bson.D{{Key: "$exists", Value: false}}})
	_, err := c.UpdateOne(ctx, filter, update, options.UpdateOne().SetUpsert(true))
	if err == nil || !driver.IsDuplicateKeyError(err) {
		return err == nil, err
	}
	anew := bson.D{
		{Key: "$set", Value: bson.D{{Key: "r", Value: int64(1)}, {Key: "n", Value: increments("", deltas)}}},
		{Key: "$unset", Value: bson.D{
			{Key: "b", Value: ""}, {Key: "e", Value: ""}, {Key: "o", Value: ""}, {Key: "x", Value: ""}, {Key: "d", Value: ""},
		}},
		stamp,
	}
	res, err := c.UpdateOne(ctx, dead(byID(id), now), anew)
	if err != nil {
		return false, err
	}
	return res.MatchedCount == 1, nil
}

func increments(prefix string, deltas map[string]int64) bson.D {
	d := bson.D{}
	for _, name := range slices.Sorted(maps.Keys(deltas)) {
		d = append(d, bson.E{Key: prefix + counterField(name), Value: deltas[name]})
	}
	return d
}
