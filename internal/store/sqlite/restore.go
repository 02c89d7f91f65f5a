package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"github.com/haisu-trace/haisu/internal/store"
)

// feedEpoch is how many places of the feed there are to a millisecond of time. A restore starts the feeds at its time in places, which is beyond every
// place that any file has given out: none writes a billion documents a second. So the tokens of the database that the backup is of
// are from before the restored feed, and are refused.
const feedEpoch = 1 << 20

// BeginRestore prepares collections.
func (e *Engine) BeginRestore(ctx context.Context, id string, specs []store.Spec) error {
	if id == "" {
		return errors.New("sqlite: a restore without a name")
	}
	for _, spec := range specs {
		if err := checkName(spec.Name); err != nil {
			return err
		}
	}
	specs = slices.Clone(specs)
	return e.single(ctx, func(t *tx) (outcome, err error) {
		for _, spec := range specs {
			if outcome, err := fillable(t, id, spec.Name); outcome != nil || err != nil {
				return outcome, err
			}
		}
		first, outcome, err := beginRestore(t, id)
		if outcome != nil || err != nil {
			return outcome, err
		}
		for _, spec := range specs {
			if err := prepare(t, id, spec, first); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// fillable refuses a collection that holds a document, unless it is the restore's already.
func fillable(t *tx, id, coll string) (outcome, err error) {
	d, err := readDeclared(t.c, coll)
	if err != nil || !d.exists || d.restore == id {
		return nil, err
	}
	if d.restore != "" {
		return d.restoring(coll), nil
	}
	free, err := empty(t.c, coll)
	if err == nil && !free {
		return fmt.Errorf("sqlite: restore into %s, which is not empty: %w", coll, store.ErrExists), nil
	}
	return nil, err
}

// beginRestore gives the place before the first of the restored feeds.
func beginRestore(t *tx, id string) (first int64, outcome, err error) {
	last, err := t.lastSeq()
	if err != nil {
		return 0, nil, err
	}
	first = max(last+1, t.now*feedEpoch)
	if _, err := t.c.do("INSERT INTO haisu_restores VALUES (?, ?, 0) ON CONFLICT DO NOTHING", id, first); err != nil {
		return 0, nil, err
	}
	row, err := t.c.one("SELECT first, done FROM haisu_restores WHERE id = ?", id)
	if err != nil {
		return 0, nil, err
	}
	if row[1] != int64(0) {
		return 0, fmt.Errorf("sqlite: restore %s has ended: %w", id, store.ErrExists), nil
	}
	first = row[0].(int64)
	return first, nil, t.raiseSeq(first)
}

func prepare(t *tx, id string, spec store.Spec, first int64) error {
	if err := declare(t, spec); err != nil {
		return err
	}
	for _, text := range []string{
		"INSERT INTO haisu_restoring (coll, id) VALUES (?, ?) ON CONFLICT DO NOTHING",
		"UPDATE haisu_indexes SET complete = 0 WHERE coll = ? AND ? <> ''",
	} {
		if _, err := t.c.do(text, spec.Name, id); err != nil {
			return err
		}
	}
	_, err := t.c.do("UPDATE haisu_collections SET purged = max(purged, ?) WHERE name = ?", first, spec.Name)
	return err
}

// Restore stores records.
func (e *Engine) Restore(ctx context.Context, id, coll string, recs []store.Record) error {
	if err := checkName(coll); err != nil {
		return err
	}
	if err := checkBatch(len(recs)); err != nil {
		return err
	}
	for _, r := range recs {
		if err := store.CheckID(r.ID); err != nil {
			return err
		}
		if r.Rev < 1 {
			return fmt.Errorf("sqlite: %s %s: revision %d", coll, r.ID, r.Rev)
		}
		if len(r.Body) > store.MaxBody {
			return tooLarge(coll, r)
		}
	}
	recs = slices.Clone(recs)
	return e.single(ctx, func(t *tx) (outcome, err error) {
		d, err := readDeclared(t.c, coll)
		if err != nil {
			return nil, err
		}
		if d.restore != id || id == "" {
			return fmt.Errorf("sqlite: restore %q of %s: %w", id, coll, store.ErrNotFound), nil
		}
		c := newCollection(coll, d.feed, nil)
		for _, r := range recs {
			if outcome, err := c.restoreRow(t, r); outcome != nil || err != nil {
				// Those before it stay: each is what the backup has.
				return outcome, err
			}
		}
		return nil, nil
	})
}

func (c *collection) restoreRow(t *tx, r store.Record) (outcome, err error) {
	seq, err := c.place(t)
	if err != nil {
		return nil, err
	}
	exp, body := expiry(r.Expires), nonNil(r.Body)
	res, err := t.c.exec(c.restore, named(r.ID, r.Rev, exp, seq, body))
	if err != nil {
		return nil, err
	}
	if changed, err := res.RowsAffected(); err != nil || changed == 1 {
		return nil, err
	}
	old, err := t.c.one(c.getOne, r.ID)
	if err != nil || old == nil {
		return nil, err
	}
	was, _ := old[3].([]byte) // an empty blob comes as nil
	if old[1] != driver.Value(r.Rev) || old[2] != exp || !bytes.Equal(was, body) {
		return fmt.Errorf("sqlite: restore %s %s: %w", c.name, r.ID, store.ErrExists), nil
	}
	return nil, nil
}

// EndRestore gives the collections free.
func (e *Engine) EndRestore(ctx context.Context, id string) error {
	return e.single(ctx, func(t *tx) (outcome, err error) {
		row, err := t.c.one("SELECT done FROM haisu_restores WHERE id = ?", id)
		if err != nil {
			return nil, err
		}
		if row == nil {
			return fmt.Errorf("sqlite: restore %q: %w", id, store.ErrNotFound), nil
		}
		for _, text := range []string{"UPDATE haisu_restores SET done = 1 WHERE id = ?", "DELETE FROM haisu_restoring WHERE id = ?"} {
			if _, err := t.c.do(text, id); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}
