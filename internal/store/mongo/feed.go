package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/haisu-trace/haisu/internal/store"
)

// The feed of a collection is an index on u, the cluster time that the server stamps on every write. A stamp is taken when a write
// starts and seen by majority readers later, so 'stamp greater than the last' would skip what started early and committed
// late. Therefore a poll asks again for everything since overlap before the newest stamp that it has seen, and the token remembers what
// was delivered of that. Stamps are never a client's clock: a replica whose clock is wrong cannot write into the past.
//
// Guarantee: a write that majority readers can see within overlap of its stamp is delivered by the next poll, and one that they
// can see within recheckEvery by the next but one recheck, which goes over the older stamps once more. Lateness counts only while
// later stamps are being delivered: a replica set whose majority stands still delivers nothing, and then everything in order of its log.
// Beyond recheckEvery therefore comes only a write on one shard that stood still while others went on (flow control keeps that to
// seconds on a healthy shard), or one that its server stalled past its client's deadline. A follower that must survive that too starts
// again from "", which delivers every document.
//
// Changes of one document come in order; one that is written several times between two polls shows only its newest state. The same
// state may come twice when there were more changes than a token remembers.
const (
	overlap = 30 * time.Second
	// recheckEvery is the time between two rechecks; each goes over what was new between the two before it.
	recheckEvery = 10 * time.Minute
	// maxSeen is how many deliveries a token remembers, about 12 bytes each. When more than that were made within overlap, the overlap shrinks
	// to them, and only the recheck covers the rest.
	maxSeen = 2048
)

// feedKeys is the feed's index, and all that polls ask for, so that they read no documents.
var feedKeys = bson.D{{Key: "u", Value: 1}, {Key: "_id", Value: 1}, {Key: "r", Value: 1}}

// feedOrder is the order of the feed.
var feedOrder = bson.D{{Key: "u", Value: 1}, {Key: "_id", Value: 1}}

// change is an entry of the feed's index.
type change struct {
	stamp uint64
	id    string
	rev   int64
}

// changeSource reads the feed's index in order of (stamp, id).
type changeSource interface {
	// since gives the first n changes with this stamp or later.
	since(ctx context.Context, stamp uint64, n int) ([]change, error)
	// between gives the first n changes after a position, with stamps up to and including end.
	between(ctx context.Context, after position, end uint64, n int) ([]change, error)
}

// Changes gives changes since token; see store.Feeder and the guarantee above. A document that has expired is left out: its deletion
// comes when it is swept. ErrUnavailable; ErrBadCursor also for a token from before deletions that are forgotten, whose holder must
// begin anew with "". So too for a token from before a restore.
func (e *Engine) Changes(ctx context.Context, coll, tok string, limit int) ([]store.Change, string, error) {
	c, done, err := e.enter(coll)
	if err != nil {
		return nil, tok, err
	}
	defer done()
	if !c.feed {
		return nil, tok, fmt.Errorf("mongo: %s keeps no feed", coll)
	}
	if err := checkLimit(limit); err != nil {
		return nil, tok, err
	}
	t, err := e.resume(ctx, c, tok)
	if err != nil {
		return nil, tok, err
	}
	out, err := e.page(ctx, c, t, limit)
	if err != nil {
		return nil, tok, err
	}
	return out, t.encode(), nil
}

// resume gives the token that a text stands for; a new one notes what is forgotten already. A token of another epoch is from before the
// database was restored, or from another database: its stamps mean nothing here.
func (e *Engine) resume(ctx context.Context, c *collection, tok string) (*token, error) {
	t, err := decodeToken(tok)
	if err != nil {
		return nil, err
	}
	if tok != "" {
		if t.epoch != c.epoch {
			return nil, fmt.Errorf("mongo: a token from before a restore: %w", store.ErrBadCursor)
		}
		return t, nil
	}
	t.epoch = c.epoch
	t.base, err = e.forgotten(ctx, c.name)
	return t, err
}

// page gives the next page and moves the token past it.
func (e *Engine) page(ctx context.Context, c *collection, t *token, limit int) ([]store.Change, error) {
	now := e.now()
	for {
		next := t.clone()
		found, err := next.follow(ctx, c, limit, now)
		if err != nil {
			return nil, err
		}
		out, read, err := c.deliver(ctx, next, found, now)
		if err != nil {
			return nil, err
		}
		if read < len(found) {
			limit = read // the rest does not fit the page, so the token must not have it
			continue
		}
		// Only now: what is forgotten is noted before it is removed, so whoever missed it finds the note.
		if err := e.checkForgotten(ctx, c.name, t, now); err != nil {
			return nil, err
		}
		next.trim()
		*t = *next
		return out, nil
	}
}

// checkForgotten gives ErrBadCursor when tombstones that the follower had not come to were removed since it began. That takes
// feedRetention, so a token of the last half of it needs no look.
func (e *Engine) checkForgotten(ctx context.Context, coll string, t *token, now time.Time) error {
	if t.last == 0 || now.Sub(time.Unix(int64(t.last>>32), 0)) < feedRetention/2 {
		return nil
	}
	stamp, err := e.forgotten(ctx, coll)
	if err != nil {
		return err
	}
	if stamp > t.base && stamp > t.last {
		return fmt.Errorf("mongo: a token from before forgotten deletions: %w", store.ErrBadCursor)
	}
	return nil
}

// forgotten gives the newest stamp of a tombstone that was removed.
func (e *Engine) forgotten(ctx context.Context, coll string) (uint64, error) {
	have, err := e.declaredAs(ctx, "changes", coll)
	return stampOf(have.Forgotten), err
}

// follow finds up to limit changes that were not delivered yet and moves the token past them.
func (t *token) follow(ctx context.Context, src changeSource, limit int, now time.Time) ([]change, error) {
	asked := limit + t.seenSince(t.from)
	found, err := src.since(ctx, t.from, asked)
	if err != nil {
		return nil, err
	}
	var out []change
	for _, ch := range found {
		if t.has(ch) {
			continue
		}
		if len(out) == limit {
			return out, nil
		}
		t.add(ch)
		t.last = max(t.last, ch.stamp)
		out = append(out, ch)
	}
	if len(found) == asked {
		return out, nil // there may be more: no time for a recheck
	}
	t.schedule(now)
	return t.recheck(ctx, src, out, limit)
}

// schedule begins a recheck when it is time, unless one is under way. now is the follower's clock, which decides only when, not
// what; should it be set back, the next recheck comes at once.
func (t *token) schedule(now time.Time) {
	ms := now.UnixMilli()
	if t.checked == 0 {
		t.checked, t.newer = ms, t.last
		t.older = before(t.last, recheckEvery)
		return
	}
	if since := time.Duration(ms-t.checked) * time.Millisecond; t.end != 0 || (since >= 0 && since < recheckEvery) {
		return
	}
	if t.older < t.newer {
		t.at, t.end = position{stamp: t.older + 1}, t.newer
	}
	t.checked, t.older, t.newer = ms, t.newer, t.last
}

// recheck fills out up to limit from the recheck under way.
func (t *token) recheck(ctx context.Context, src changeSource, out []change, limit int) ([]change, error) {
	if t.end == 0 || len(out) == limit {
		return out, nil
	}
	found, err := src.between(ctx, t.at, t.end, store.MaxBatch)
	if err != nil {
		return nil, err
	}
	for _, ch := range found {
		if len(out) == limit {
			return out, nil
		}
		t.at = position{stamp: ch.stamp, id: ch.id}
		if !t.has(ch) {
			t.add(ch)
			out = append(out, ch)
		}
	}
	if len(found) < store.MaxBatch {
		t.at, t.end = position{}, 0
	}
	return out, nil
}

// firstChunk is how many documents deliver reads before it knows how large they are.
const firstChunk = 128

// deliver reads the documents of changes, in order, until pageBytes are full, and says how many. One that was written again meanwhile
// comes in its newest state, which the token then remembers too.
func (c *collection) deliver(ctx context.Context, t *token, found []change, now time.Time) (out []store.Change, read int, err error) {
	size, chunk := 0, firstChunk
	for read < len(found) && size <= pageBytes {
		part := found[read:min(read+chunk, len(found))]
		docs, err := c.states(ctx, part)
		if err != nil {
			return nil, 0, err
		}
		for _, ch := range part {
			d := docs[ch.id]
			if d != nil {
				t.add(d.change())
				size += len(d.Body)
			}
			if out, err = appendChange(out, ch.id, d, now); err != nil {
				return nil, 0, err
			}
		}
		read += len(part)
		chunk = max(1, (pageBytes-size)/max(1, size/read))
	}
	return out, read, nil
}

// states reads the documents of changes, dead ones too.
func (c *collection) states(ctx context.Context, part []change) (map[string]*document, error) {
	ids := make([]string, len(part))
	for i, ch := range part {
		ids[i] = ch.id
	}
	projection := append(bson.D{{Key: "u", Value: 1}}, content...)
	docs, err := c.find(ctx, "changes", bson.D{in(ids)}, options.Find().SetProjection(projection), len(ids))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*document, len(docs))
	for i := range docs {
		byID[docs[i].ID] = &docs[i]
	}
	return byID, nil
}

func appendChange(out []store.Change, id string, d *document, now time.Time) ([]store.Change, error) {
	switch {
	case d == nil || d.buried():
		return append(out, store.Change{Record: store.Record{ID: id}, Deleted: true}), nil
	case d.expired(now):
		return out, nil
	}
	r, err := d.record()
	return append(out, store.Change{Record: r}), err
}

func (d *document) change() change {
	return change{stamp: stampOf(d.Updated), id: d.ID, rev: d.Rev}
}

func stampOf(t bson.Timestamp) uint64 { return uint64(t.T)<<32 | uint64(t.I) }

func timestamp(stamp uint64) bson.Timestamp {
	return bson.Timestamp{T: uint32(stamp >> 32), I: uint32(stamp)}
}

// before is the stamp that is d earlier, in whole seconds.
func before(stamp uint64, d time.Duration) uint64 {
	back := uint64(d/time.Second) << 32
	if stamp < back {
		return 0
	}
	return stamp - back
}

var _ changeSource = (*collection)(nil)

func (c *collection) since(ctx context.Context, stamp uint64, n int) ([]change, error) {
	return c.changes(ctx, sinceFilter(stamp), n)
}

func (c *collection) between(ctx context.Context, after position, end uint64, n int) ([]change, error) {
	return c.changes(ctx, betweenFilter(after, end), n)
}

func sinceFilter(stamp uint64) bson.D {
	return bson.D{{Key: "u", Value: bson.D{{Key: "$gte", Value: timestamp(stamp)}}}}
}

// betweenFilter is one interval of the index; within it only documents of the very stamp of the position are examined in vain.
func betweenFilter(after position, end uint64) bson.D {
	return bson.D{
		{Key: "u", Value: bson.D{{Key: "$gte", Value: timestamp(after.stamp)}, {Key: "$lte", Value: timestamp(end)}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "u", Value: bson.D{{Key: "$gt", Value: timestamp(after.stamp)}}}},
			bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after.id}}}},
		}},
	}
}

func (c *collection) changes(ctx context.Context, filter bson.D, n int) ([]change, error) {
	o := options.Find().SetHint(feedIndex).
		SetSort(feedOrder).
		SetProjection(feedKeys)
	docs, err := c.find(ctx, "changes", filter, o, n)
	if err != nil {
		return nil, err
	}
	out := make([]change, len(docs))
	for i := range docs {
		out[i] = docs[i].change()
	}
	return out, nil
}
