package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// record makes a record of the columns id, rev, exp, body.
func record(r []driver.Value) store.Record {
	rec := store.Record{ID: r[0].(string), Rev: r[1].(int64)}
	if exp, ok := r[2].(int64); ok {
		rec.Expires = time.UnixMilli(exp).UTC()
	}
	rec.Body, _ = r[3].([]byte) // an empty blob comes as nil
	return rec
}

// getSizes are the sizes of the lists in Get's statements: few statements to keep prepared, and little waste. The
// places that are left over are NULL, which equals nothing.
var getSizes = []int{1, 8, 64, 512}

// Get gives the documents that exist.
func (e *Engine) Get(ctx context.Context, coll string, ids []string) ([]store.Record, error) {
	c, err := e.collection(coll)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(len(ids)); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := store.CheckID(id); err != nil {
			return nil, err
		}
	}
	out := make([]store.Record, 0, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	now := e.now().UnixMilli()
	err = e.read(ctx, func(db *conn) error {
		for len(ids) > 0 {
			size := 0
			for _, size = range getSizes {
				if size >= len(ids) {
					break
				}
			}
			n := min(size, len(ids))
			args := make([]driver.NamedValue, size)
			for i := range args {
				args[i].Ordinal = i + 1
				if i < n {
					args[i].Value = ids[i]
				}
			}
			err := db.each(c.get(size), args, func(r []driver.Value) error {
				if exp, ok := r[2].(int64); !ok || exp > now {
					out = append(out, record(r))
				}
				return nil
			})
			if err != nil {
				return err
			}
			ids = ids[n:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *collection) get(size int) string {
	if size == 1 {
		return c.getOne
	}
	return "SELECT id, rev, exp, body FROM d_" + c.name + " WHERE id IN (?" + strings.Repeat(", ?", size-1) + ")"
}

// window is the part of the entries table that a scan covers: conditions that follow WHERE, and their values.
type window struct {
	where string
	args  []driver.Value
}

// window narrows both ends of the scan to one comparison each, so that SQLite can seek to both.
func (c *collection) window(s store.Scan) (window, error) {
	ix, err := c.index(s.Index)
	if err != nil {
		return window{}, err
	}
	w := window{where: "e.ix = ? AND e.eq = ?", args: []driver.Value{ix, nonNil(s.Eq)}}
	from, to := s.After, s.After
	if s.Desc || from == nil || (s.From != nil && bytes.Compare(from.Order, s.From) < 0) {
		from = nil
	}
	if !s.Desc || to == nil || (s.To != nil && bytes.Compare(to.Order, s.To) >= 0) {
		to = nil
	}
	switch {
	case from != nil:
		w.where += " AND (e.ord, e.id) > (?, ?)"
		w.args = append(w.args, nonNil(from.Order), from.ID)
	case s.From != nil:
		w.where += " AND e.ord >= ?"
		w.args = append(w.args, []byte(s.From))
	}
	switch {
	case to != nil:
		w.where += " AND (e.ord, e.id) < (?, ?)"
		w.args = append(w.args, nonNil(to.Order), to.ID)
	case s.To != nil:
		w.where += " AND e.ord < ?"
		w.args = append(w.args, []byte(s.To))
	}
	return w, nil
}

// Scan walks an index.
func (e *Engine) Scan(ctx context.Context, coll string, s store.Scan, keysOnly bool) ([]store.Hit, error) {
	c, err := e.collection(coll)
	if err != nil {
		return nil, err
	}
	if s.Limit < 1 || s.Limit > store.MaxBatch {
		return nil, fmt.Errorf("sqlite: a page of %d hits; 1 to %d are allowed", s.Limit, store.MaxBatch)
	}
	text, args, err := c.scan(s, keysOnly, e.now().UnixMilli())
	if err != nil {
		return nil, err
	}
	var hits []store.Hit
	err = e.read(ctx, func(db *conn) error {
		hits = make([]store.Hit, 0, min(s.Limit, 64))
		return db.each(text, named(args...), func(r []driver.Value) error {
			ord, _ := r[0].([]byte) // an empty blob comes as nil
			h := store.Hit{Position: store.Position{Order: ord, ID: r[1].(string)}}
			if !keysOnly {
				rec := record(r[1:])
				h.Record = &rec
			}
			hits = append(hits, h)
			return nil
		})
	})
	return hits, err
}

// scan gives the statement of a scan and its values.
func (c *collection) scan(s store.Scan, keysOnly bool, now int64) (text string, args []driver.Value, err error) {
	w, err := c.window(s)
	if err != nil {
		return "", nil, err
	}
	order := " ORDER BY e.ord, e.id LIMIT ?"
	if s.Desc {
		order = " ORDER BY e.ord DESC, e.id DESC LIMIT ?"
	}
	if keysOnly {
		return "SELECT e.ord, e.id FROM e_" + c.name + " e WHERE " + w.where + order, append(w.args, int64(s.Limit)), nil
	}
	// CROSS JOIN keeps the order of the tables: entries first.
	text = "SELECT e.ord, e.id, d.rev, d.exp, d.body FROM e_" + c.name + " e CROSS JOIN d_" + c.name +
		" d ON d.n = e.n WHERE " + w.where + " AND (d.exp IS NULL OR d.exp > ?)" + order
	return text, append(w.args, now, int64(s.Limit)), nil
}

// Count counts entries. It looks at documents only while the collection has expired ones that are not swept yet.
func (e *Engine) Count(ctx context.Context, coll string, s store.Scan, limit int) (int, error) {
	c, err := e.collection(coll)
	if err != nil {
		return 0, err
	}
	if limit < 1 {
		return 0, fmt.Errorf("sqlite: a count up to %d", limit)
	}
	s.After = nil
	w, err := c.window(s)
	if err != nil {
		return 0, err
	}
	now := e.now().UnixMilli()
	count := 0
	err = e.read(ctx, func(db *conn) error {
		expired, err := db.one(c.expired, now)
		if err != nil {
			return err
		}
		inner := "SELECT 1 FROM e_" + coll + " e WHERE " + w.where
		args := w.args
		if expired != nil {
			inner = "SELECT 1 FROM e_" + coll + " e CROSS JOIN d_" + coll + " d ON d.n = e.n WHERE " + w.where +
				" AND (d.exp IS NULL OR d.exp > ?)"
			args = append(args, now)
		}
		row, err := db.one("SELECT count(*) FROM ("+inner+" LIMIT ?)", append(args, int64(limit))...)
		if err != nil {
			return err
		}
		count = int(row[0].(int64))
		return nil
	})
	return count, err
}

// errEnough ends a walk early.
var errEnough = errors.New("sqlite: enough")

// All walks documents in ID order. A page ends early after 16 MiB of bodies; only an empty one is the end.
func (e *Engine) All(ctx context.Context, coll, after string, limit int) ([]store.Record, error) {
	c, err := e.collection(coll)
	if err != nil {
		return nil, err
	}
	var out []store.Record
	err = e.read(ctx, func(db *conn) error {
		out, err = allPage(db, c, after, e.now().UnixMilli(), limit)
		return err
	})
	return out, err
}
