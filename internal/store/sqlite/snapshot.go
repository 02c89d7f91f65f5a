package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/haisu-trace/haisu/internal/store"
)

var _ store.Archive = (*Engine)(nil)

// Collections gives every collection of the file.
func (e *Engine) Collections(ctx context.Context) (out []store.CollectionInfo, err error) {
	err = e.read(ctx, func(c *conn) error {
		out, err = collections(c)
		return err
	})
	return out, err
}

// collections asks with several statements, so their answers belong together within a transaction only.
func collections(c *conn) ([]store.CollectionInfo, error) {
	var out []store.CollectionInfo
	err := c.each(`SELECT name, feed, coalesce(id, '') FROM haisu_collections LEFT JOIN haisu_restoring ON coll = name ORDER BY name`, nil,
		func(row []driver.Value) error {
			out = append(out, store.CollectionInfo{
				Spec:    store.Spec{Name: row[0].(string), Indexes: map[string]string{}, Feed: row[1] != int64(0)},
				Restore: row[2].(string),
			})
			return nil
		})
	if err != nil {
		return nil, err
	}
	for i := range out {
		err := c.each("SELECT name, version FROM haisu_indexes WHERE coll = ?", named(out[i].Name), func(row []driver.Value) error {
			out[i].Indexes[row[0].(string)] = row[1].(string)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if out[i].Empty, err = empty(c, out[i].Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func empty(c *conn, coll string) (bool, error) {
	row, err := c.one("SELECT 1 FROM d_" + coll + " LIMIT 1")
	return row == nil, err
}

// Snapshot reads in one transaction on a connection of its own. Writers go on and append to the write-ahead log, which cannot be
// shortened before the snapshot ends: it grows by as much as is written meanwhile.
func (e *Engine) Snapshot(ctx context.Context, f func(store.SnapshotReader) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.RLock()
	if e.closed {
		e.mu.RUnlock()
		return errClosed
	}
	e.snapshots.Add(1) // under the lock, so before Close waits
	e.mu.RUnlock()
	defer e.snapshots.Done()
	c, err := e.dialReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, err := c.do("BEGIN"); err != nil {
		return err
	}
	// The first read fixes the point in time.
	if _, err := c.one("SELECT v FROM haisu_meta WHERE k = 'format'"); err != nil {
		return err
	}
	if err := f(&snapshot{c: c, now: e.now().UnixMilli()}); err != nil {
		return err // closing ends the transaction, which has written nothing
	}
	_, err = c.do("COMMIT")
	return err
}

type snapshot struct {
	c   *conn
	now int64
}

func (s *snapshot) Collections(ctx context.Context) ([]store.CollectionInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return collections(s.c)
}

func (s *snapshot) All(ctx context.Context, coll, after string, limit int) ([]store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkName(coll); err != nil {
		return nil, err
	}
	return allPage(s.c, newCollection(coll, false, nil), after, s.now, limit)
}

// allPage gives the documents after an ID, at most limit, and about pageBytes of bodies.
func allPage(db *conn, c *collection, after string, now int64, limit int) (out []store.Record, err error) {
	if limit < 1 || limit > store.MaxBatch {
		return nil, fmt.Errorf("sqlite: a page of %d documents; 1 to %d are allowed", limit, store.MaxBatch)
	}
	size := 0
	err = db.each(c.all, named(after, now, int64(limit)), func(r []driver.Value) error {
		out = append(out, record(r))
		if size += len(out[len(out)-1].Body); size > pageBytes {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}
