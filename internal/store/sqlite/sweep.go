package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/haisu-trace/haisu/internal/store"
)

// Sweep deletes expired documents.
func (e *Engine) Sweep(ctx context.Context, coll string, limit int) (int, error) {
	c, err := e.collection(coll)
	if err != nil {
		return 0, err
	}
	if limit < 1 {
		return 0, fmt.Errorf("sqlite: sweep of %d documents", limit)
	}
	total := 0
	for total < limit {
		batch := min(limit-total, store.MaxBatch)
		swept := 0
		err := e.writer.do(ctx, batch, func(t *tx) (err error) {
			swept, err = c.sweepRows(t, batch)
			return err
		})
		if err != nil {
			return total, err
		}
		total += swept
		if swept < batch {
			break
		}
	}
	return total, nil
}

func (c *collection) sweepRows(t *tx, limit int) (int, error) {
	type victim struct {
		n    int64
		id   string
		ents []byte
	}
	var victims []victim
	err := t.c.each(c.sweep, named(t.now, int64(limit)), func(r []driver.Value) error {
		ents, _ := r[2].([]byte) // NULL: none
		victims = append(victims, victim{r[0].(int64), r[1].(string), ents})
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, v := range victims {
		if err := c.deleteRow(t, v.n, v.id, v.ents); err != nil {
			return 0, err
		}
	}
	return len(victims), nil
}
