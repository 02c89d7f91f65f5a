package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
)

// Index declares one way to find documents of T. Keys gives the equality tuples under which a document is found (none: it is
// not in this index) and the one tuple that orders it. It must be pure. Version changes whenever Keys changes its mind.
type Index[T any] struct {
	Name    string
	Version string
	Keys    func(id string, v *T) (eq []Key, order Key)
}

// Def declares a collection of T.
type Def[T any] struct {
	Name    string
	Indexes []Index[T]
	Feed    bool
	Expires func(v *T) time.Time // nil: never
}

// Doc is a document with its identity.
type Doc[T any] struct {
	ID  string
	Rev int64
	V   T
}

// Collection is a typed view of one collection. It is safe for concurrent use.
type Collection[T any] struct {
	eng Engine
	def Def[T]
}

// Open declares the collection and rebuilds indexes whose declaration changed; it returns when they are complete.
func Open[T any](ctx context.Context, eng Engine, def Def[T]) (*Collection[T], error) {
	c := &Collection[T]{eng: eng, def: def}
	spec := Spec{Name: def.Name, Indexes: map[string]string{}, Feed: def.Feed}
	for _, ix := range def.Indexes {
		spec.Indexes[ix.Name] = ix.Version
	}
	stale, err := eng.Declare(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("declare %s: %w", def.Name, err)
	}
	if len(stale) == 0 {
		return c, nil
	}
	if err := c.rebuild(ctx); err != nil {
		return nil, fmt.Errorf("rebuild indexes of %s: %w", def.Name, err)
	}
	return c, eng.Rebuilt(ctx, spec, stale)
}

func (c *Collection[T]) rebuild(ctx context.Context) error {
	after := ""
	eng, within := whole(c.eng)
	for {
		recs, err := eng.All(ctx, c.def.Name, after, MaxBatch)
		if err != nil || len(recs) == 0 {
			return err
		}
		after = recs[len(recs)-1].ID
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(rebuildWorkers)
		for _, r := range recs {
			view, r := within(r)
			g.Go(func() error { return c.reindex(gctx, view, r) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
}

// rebuildWorkers write at once, so that their writes share commits.
const rebuildWorkers = 64

// reindex brings one document's entries up to date. Whoever changed it meanwhile wrote the new entries.
func (c *Collection[T]) reindex(ctx context.Context, eng Engine, r Record) error {
	var v T
	if err := json.Unmarshal(r.Body, &v); err != nil {
		return fmt.Errorf("document %s: %w", r.ID, err)
	}
	r.Entries = c.entries(r.ID, &v)
	err := eng.Reindex(ctx, c.def.Name, r)
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (c *Collection[T]) entries(id string, v *T) []Entry {
	var out []Entry
	for _, ix := range c.def.Indexes {
		eq, order := ix.Keys(id, v)
		for _, k := range eq {
			out = append(out, Entry{Index: ix.Name, Eq: k, Order: order})
		}
	}
	return out
}

func (c *Collection[T]) record(id string, rev int64, v *T) (Record, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return Record{}, fmt.Errorf("encode %s %s: %w", c.def.Name, id, err)
	}
	if len(body) > MaxBody {
		return Record{}, fmt.Errorf("%s %s: %d bytes: %w", c.def.Name, id, len(body), ErrTooLarge)
	}
	r := Record{ID: id, Rev: rev, Body: body, Entries: c.entries(id, v)}
	if c.def.Expires != nil {
		r.Expires = c.def.Expires(v)
	}
	return r, nil
}

func (c *Collection[T]) doc(r Record) (Doc[T], error) {
	d := Doc[T]{ID: r.ID, Rev: r.Rev}
	if err := json.Unmarshal(r.Body, &d.V); err != nil {
		return d, fmt.Errorf("decode %s %s: %w", c.def.Name, r.ID, err)
	}
	return d, nil
}

// Insert inserts one document. ErrExists, ErrTooLarge.
func (c *Collection[T]) Insert(ctx context.Context, id string, v T) error {
	r, err := c.record(id, 1, &v)
	if err != nil {
		return err
	}
	errs, err := c.eng.Insert(ctx, c.def.Name, []Record{r})
	if err != nil {
		return err
	}
	return errs[0]
}

// Item is one document to insert.
type Item[T any] struct {
	ID string
	V  T
}

// InsertMany inserts any number of documents, in batches, and gives an error per item: nil, ErrExists or ErrTooLarge. It is not
// atomic; after the second error any of them may be stored.
func (c *Collection[T]) InsertMany(ctx context.Context, items []Item[T]) ([]error, error) {
	out := make([]error, len(items))
	recs := make([]Record, 0, min(len(items), MaxBatch))
	at := make([]int, 0, cap(recs))
	flush := func() error {
		if len(recs) == 0 {
			return nil
		}
		errs, err := c.eng.Insert(ctx, c.def.Name, recs)
		if err != nil {
			return err
		}
		for i, e := range errs {
			out[at[i]] = e
		}
		recs, at = recs[:0], at[:0]
		return nil
	}
	for i := range items {
		r, err := c.record(items[i].ID, 1, &items[i].V)
		if errors.Is(err, ErrTooLarge) {
			out[i] = err
			continue
		}
		if err != nil {
			return out, err
		}
		recs, at = append(recs, r), append(at, i)
		if len(recs) == MaxBatch {
			if err := flush(); err != nil {
				return out, err
			}
		}
	}
	return out, flush()
}

// Get gives one document. ErrNotFound.
func (c *Collection[T]) Get(ctx context.Context, id string) (Doc[T], error) {
	recs, err := c.eng.Get(ctx, c.def.Name, []string{id})
	if err != nil {
		return Doc[T]{}, err
	}
	if len(recs) == 0 {
		return Doc[T]{}, fmt.Errorf("%s %s: %w", c.def.Name, id, ErrNotFound)
	}
	return c.doc(recs[0])
}

// GetMany gives those documents that exist, by ID.
func (c *Collection[T]) GetMany(ctx context.Context, ids []string) (map[string]Doc[T], error) {
	out := make(map[string]Doc[T], len(ids))
	for len(ids) > 0 {
		n := min(len(ids), MaxBatch)
		recs, err := c.eng.Get(ctx, c.def.Name, ids[:n])
		if err != nil {
			return nil, err
		}
		for _, r := range recs {
			d, err := c.doc(r)
			if err != nil {
				return nil, err
			}
			out[d.ID] = d
		}
		ids = ids[n:]
	}
	return out, nil
}

// Values gives those documents that exist, by ID, without their revisions.
func (c *Collection[T]) Values(ctx context.Context, ids []string) (map[string]T, error) {
	docs, err := c.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[string]T, len(docs))
	for id, d := range docs {
		out[id] = d.V
	}
	return out, nil
}

// maxTries bounds the retries of Update. With 64 writers on one document each loses at most 63 rounds.
const maxTries = 100

// Update reads, changes and replaces a document, and tries again while somebody else is faster; so change may run several
// times and must have no effect but on v. An error of change stops it and is returned as it is. ErrNotFound, ErrConflict.
func (c *Collection[T]) Update(ctx context.Context, id string, change func(v *T) error) (Doc[T], error) {
	for try := range maxTries {
		d, err := c.Get(ctx, id)
		if err != nil {
			return d, err
		}
		if err := change(&d.V); err != nil {
			return d, err
		}
		err = c.Replace(ctx, d)
		if err == nil {
			d.Rev++
			return d, nil
		}
		if !errors.Is(err, ErrConflict) {
			return d, err
		}
		if try > 2 {
			if err := pause(ctx, time.Duration(rand.Int64N(int64(try)*int64(time.Millisecond)))); err != nil {
				return d, err
			}
		}
	}
	return Doc[T]{}, fmt.Errorf("%s %s: %d tries: %w", c.def.Name, id, maxTries, ErrConflict)
}

// Upsert is Update that starts from the zero value when the document is absent.
func (c *Collection[T]) Upsert(ctx context.Context, id string, change func(v *T) error) (Doc[T], error) {
	for range maxTries {
		d, err := c.Update(ctx, id, change)
		if !errors.Is(err, ErrNotFound) {
			return d, err
		}
		d = Doc[T]{ID: id, Rev: 1}
		if err := change(&d.V); err != nil {
			return d, err
		}
		if err := c.Insert(ctx, id, d.V); !errors.Is(err, ErrExists) {
			return d, err
		}
	}
	return Doc[T]{}, fmt.Errorf("%s %s: %d tries: %w", c.def.Name, id, maxTries, ErrConflict)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Replace replaces a document that was read before, if nobody changed it since. ErrConflict, ErrNotFound.
func (c *Collection[T]) Replace(ctx context.Context, d Doc[T]) error {
	r, err := c.record(d.ID, d.Rev, &d.V)
	if err != nil {
		return err
	}
	return c.eng.Replace(ctx, c.def.Name, r)
}

// Delete deletes a document whatever its revision. ErrNotFound.
func (c *Collection[T]) Delete(ctx context.Context, id string) error {
	return c.eng.Delete(ctx, c.def.Name, id, 0)
}

// DeleteRev deletes a document if its revision is still d's. ErrNotFound, ErrConflict.
func (c *Collection[T]) DeleteRev(ctx context.Context, d Doc[T]) error {
	return c.eng.Delete(ctx, c.def.Name, d.ID, d.Rev)
}

// Changed is one entry of the feed; V is the zero value when Deleted.
type Changed[T any] struct {
	Doc[T]
	Deleted bool
}

// Changes follows the collection's feed; see Feeder.
func (c *Collection[T]) Changes(ctx context.Context, token string, limit int) ([]Changed[T], string, error) {
	chs, next, err := c.eng.Changes(ctx, c.def.Name, token, limit)
	if err != nil {
		return nil, token, err
	}
	out := make([]Changed[T], len(chs))
	for i, ch := range chs {
		out[i].Deleted = ch.Deleted
		if ch.Deleted {
			out[i].ID = ch.Record.ID
			continue
		}
		if out[i].Doc, err = c.doc(ch.Record); err != nil {
			return nil, token, err
		}
	}
	return out, next, nil
}

// Wake is told soon after this process wrote to the collection.
func (c *Collection[T]) Wake() <-chan struct{} { return c.eng.Wake(c.def.Name) }

// Sweep deletes expired documents, up to limit.
func (c *Collection[T]) Sweep(ctx context.Context, limit int) (int, error) {
	return c.eng.Sweep(ctx, c.def.Name, limit)
}
