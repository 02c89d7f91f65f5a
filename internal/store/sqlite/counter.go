package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"

	"github.com/haisu-trace/haisu/internal/store"
)

// Add adds to the counters of a document. The sum of a counter must fit an int64.
func (e *Engine) Add(ctx context.Context, coll, id string, deltas map[string]int64) error {
	c, err := e.collection(coll)
	if err != nil {
		return err
	}
	if err := store.CheckID(id); err != nil {
		return err
	}
	deltas = maps.Clone(deltas)
	return e.single(ctx, func(t *tx) (outcome, err error) { return c.add(t, id, deltas) })
}

func (c *collection) add(t *tx, id string, deltas map[string]int64) (outcome, err error) {
	old, err := t.find(c.findBody, id)
	if err != nil {
		return nil, err
	}
	sums := map[string]int64{}
	rev := int64(1)
	if old != nil && !old.expired {
		if err := json.Unmarshal(old.body, &sums); err != nil {
			return fmt.Errorf("sqlite: %s %s is not a counter document: %w", c.name, id, err), nil
		}
		if sums == nil || len(old.ents) > 0 { // null, or found by an index
			return fmt.Errorf("sqlite: %s %s is not a counter document", c.name, id), nil
		}
		rev = old.rev + 1
	}
	for name, d := range deltas {
		if s := sums[name]; (d > 0 && s > math.MaxInt64-d) || (d < 0 && s < math.MinInt64-d) {
			return fmt.Errorf("sqlite: %s %s: counter %q overflows", c.name, id, name), nil
		}
		sums[name] += d
	}
	body, err := json.Marshal(sums)
	if err != nil {
		return err, nil
	}
	r := row{id: id, body: body}
	if len(body) > store.MaxBody {
		return fmt.Errorf("%s %s: %d bytes: %w", c.name, id, len(body), store.ErrTooLarge), nil
	}
	if old == nil {
		return c.insertRow(t, &r)
	}
	seq, err := c.place(t)
	if err != nil {
		return nil, err
	}
	return nil, c.overwrite(t, old, &r, rev, seq)
}
