package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

func checkBatch(n int) error {
	if n > store.MaxBatch {
		return fmt.Errorf("sqlite: %d items in one call; at most %d are allowed", n, store.MaxBatch)
	}
	return nil
}

// row is a record made ready by the caller's goroutine, to keep the writer's work small.
type row struct {
	id      string
	rev     int64
	exp     driver.Value // int64 milliseconds, nil: never
	entries []entry
	ents    []byte
	body    []byte
}

func (c *collection) row(r store.Record) (row, error) {
	entries, err := c.numbered(r.Entries)
	if err != nil {
		return row{}, err
	}
	return row{id: r.ID, rev: r.Rev, exp: expiry(r.Expires), entries: entries, ents: encodeEntries(entries), body: nonNil(r.Body)}, nil
}

func expiry(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// stored is what the database has of a document, without its body.
type stored struct {
	n, rev  int64
	expired bool
	ents    []byte
	body    []byte // of findBody only
}

func (t *tx) find(text, id string) (*stored, error) {
	r, err := t.c.one(text, id)
	if err != nil || r == nil {
		return nil, err
	}
	s := &stored{n: r[0].(int64), rev: r[1].(int64)}
	if exp, ok := r[2].(int64); ok {
		s.expired = exp <= t.now
	}
	s.ents, _ = r[3].([]byte) // NULL: none
	if len(r) > 4 {
		s.body, _ = r[4].([]byte) // an empty blob comes as nil
	}
	return s, nil
}

// Insert inserts each record. Expired documents are overwritten.
func (e *Engine) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	c, err := e.collection(coll)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(len(recs)); err != nil {
		return nil, err
	}
	results := make([]error, len(recs))
	rows := make([]row, len(recs))
	for i, r := range recs {
		if err := store.CheckID(r.ID); err != nil {
			return nil, err
		}
		if len(r.Body) > store.MaxBody {
			results[i] = tooLarge(coll, r)
			continue
		}
		if rows[i], err = c.row(r); err != nil {
			return nil, err
		}
	}
	done := make([]error, len(recs)) // the writer's own until do returns without an error
	err = e.writer.do(ctx, len(recs), func(t *tx) error {
		for i := range rows {
			if rows[i].id == "" {
				continue
			}
			var err error
			if done[i], err = c.insertRow(t, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range results {
		if results[i] == nil {
			results[i] = done[i]
		}
	}
	return results, nil
}

func tooLarge(coll string, r store.Record) error {
	return fmt.Errorf("%s %s: %d bytes: %w", coll, r.ID, len(r.Body), store.ErrTooLarge)
}

func (c *collection) insertRow(t *tx, r *row) (outcome, err error) {
	seq, err := c.place(t)
	if err != nil {
		return nil, err
	}
	res, err := t.c.exec(c.insert, named(r.id, r.exp, seq, r.ents, r.body))
	if err != nil {
		return nil, err
	}
	if changed, err := res.RowsAffected(); err != nil {
		return nil, err
	} else if changed == 1 {
		n, err := res.LastInsertId()
		if err != nil {
			return nil, err
		}
		return nil, c.addEntries(t, r.entries, r.id, n)
	}
	old, err := t.find(c.find, r.id)
	if err != nil {
		return nil, err
	}
	if old == nil || !old.expired {
		return fmt.Errorf("%s %s: %w", c.name, r.id, store.ErrExists), nil
	}
	return nil, c.overwrite(t, old, r, 1, seq)
}

// place gives the next place in the collection's feed, nil if it keeps none. A place that is not used leaves a harmless gap.
func (c *collection) place(t *tx) (driver.Value, error) {
	if !c.feed {
		return nil, nil //nolint:nilnil // the caller knows nil as 'absent'
	}
	return t.nextSeq(c.name)
}

func (c *collection) addEntries(t *tx, entries []entry, id string, n int64) error {
	for _, en := range entries {
		if _, err := t.c.exec(c.addEntry, named(en.ix, en.eq, en.ord, id, n)); err != nil {
			return err
		}
	}
	return nil
}

// overwrite stores r over old. Index entries that both have are left alone.
func (c *collection) overwrite(t *tx, old *stored, r *row, rev int64, seq driver.Value) error {
	if _, err := t.c.exec(c.update, named(rev, r.exp, seq, r.ents, r.body, old.n)); err != nil {
		return err
	}
	return c.changeEntries(t, old, r.entries, r.id)
}

func (c *collection) changeEntries(t *tx, old *stored, entries []entry, id string) error {
	before, err := decodeEntries(old.ents)
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.name, id, err)
	}
	gone, added := diff(before, entries)
	if err := c.dropEntries(t, gone, id); err != nil {
		return err
	}
	return c.addEntries(t, added, id, old.n)
}

func (c *collection) dropEntries(t *tx, entries []entry, id string) error {
	for _, en := range entries {
		if _, err := t.c.exec(c.dropEntry, named(en.ix, en.eq, en.ord, id)); err != nil {
			return err
		}
	}
	return nil
}

// present gives the document that a conditional write is about, or the outcome that stops it. rev 0 is any.
func (c *collection) present(t *tx, id string, rev int64) (old *stored, outcome, err error) {
	old, err = t.find(c.find, id)
	switch {
	case err != nil:
		return nil, nil, err
	case old == nil || old.expired:
		return nil, fmt.Errorf("%s %s: %w", c.name, id, store.ErrNotFound), nil
	case rev != 0 && old.rev != rev:
		return nil, fmt.Errorf("%s %s: revision %d is not %d: %w", c.name, id, old.rev, rev, store.ErrConflict), nil
	}
	return old, nil, nil
}

// single runs a write with one outcome.
func (e *Engine) single(ctx context.Context, run func(*tx) (outcome, err error)) error {
	var outcome error // the writer's own until do returns without an error
	err := e.writer.do(ctx, 1, func(t *tx) (err error) {
		outcome, err = run(t)
		return err
	})
	if err != nil {
		return err
	}
	return outcome
}

// Replace replaces a document of the same revision.
func (e *Engine) Replace(ctx context.Context, coll string, rec store.Record) error {
	c, r, err := e.ready(coll, rec)
	if err != nil {
		return err
	}
	return e.single(ctx, func(t *tx) (outcome, err error) {
		old, outcome, err := c.present(t, r.id, r.rev)
		if old == nil {
			return outcome, err
		}
		seq, err := c.place(t)
		if err != nil {
			return nil, err
		}
		return nil, c.overwrite(t, old, &r, r.rev+1, seq)
	})
}

// Reindex replaces a document's entries.
func (e *Engine) Reindex(ctx context.Context, coll string, rec store.Record) error {
	c, r, err := e.ready(coll, rec)
	if err != nil {
		return err
	}
	return e.single(ctx, func(t *tx) (outcome, err error) {
		old, outcome, err := c.present(t, r.id, r.rev)
		if old == nil {
			return outcome, err
		}
		if _, err := t.c.exec(c.setEnts, named(r.ents, old.n)); err != nil {
			return nil, err
		}
		return nil, c.changeEntries(t, old, r.entries, r.id)
	})
}

// ready checks a record with a revision and prepares it.
func (e *Engine) ready(coll string, rec store.Record) (*collection, row, error) {
	c, err := e.collection(coll)
	if err != nil {
		return nil, row{}, err
	}
	if err := store.CheckID(rec.ID); err != nil {
		return nil, row{}, err
	}
	if rec.Rev < 1 {
		return nil, row{}, fmt.Errorf("sqlite: %s %s: revision %d", coll, rec.ID, rec.Rev)
	}
	if len(rec.Body) > store.MaxBody {
		return nil, row{}, tooLarge(coll, rec)
	}
	r, err := c.row(rec)
	return c, r, err
}

// Delete deletes a document.
func (e *Engine) Delete(ctx context.Context, coll, id string, rev int64) error {
	c, err := e.collection(coll)
	if err != nil {
		return err
	}
	if err := store.CheckID(id); err != nil {
		return err
	}
	return e.single(ctx, func(t *tx) (outcome, err error) {
		old, outcome, err := c.present(t, id, rev)
		if old == nil {
			return outcome, err
		}
		return nil, c.deleteRow(t, old.n, id, old.ents)
	})
}

func (c *collection) deleteRow(t *tx, n int64, id string, ents []byte) error {
	entries, err := decodeEntries(ents)
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.name, id, err)
	}
	if err := c.dropEntries(t, entries, id); err != nil {
		return err
	}
	if _, err := t.c.exec(c.remove, named(n)); err != nil {
		return err
	}
	return c.buryRow(t, id)
}
