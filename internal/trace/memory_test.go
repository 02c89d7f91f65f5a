package trace

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/haisu-trace/haisu/internal/store"
)

// memory is a store in a map, for fuzzing: thousands of fresh ones a second. It keeps no feed and nothing expires in it. What
// it leaves out of the port is the nil engine's, and would fail the test that called it.
type memory struct {
	store.Engine

	mu    sync.Mutex
	colls map[string]map[string]store.Record
}

func newMemory() *memory { return &memory{colls: map[string]map[string]store.Record{}} }

func (m *memory) Declare(_ context.Context, spec store.Spec) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.colls[spec.Name] == nil {
		m.colls[spec.Name] = map[string]store.Record{}
	}
	return nil, nil
}

func (m *memory) Get(_ context.Context, coll string, ids []string) ([]store.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Record
	for _, id := range ids {
		if r, ok := m.colls[coll][id]; ok {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) Insert(_ context.Context, coll string, recs []store.Record) ([]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	errs := make([]error, len(recs))
	for i, r := range recs {
		if _, there := m.colls[coll][r.ID]; there {
			errs[i] = store.ErrExists
		} else if len(r.Body) > store.MaxBody {
			errs[i] = store.ErrTooLarge
		} else {
			r.Rev = 1
			m.colls[coll][r.ID] = r
		}
	}
	return errs, nil
}

func (m *memory) Replace(_ context.Context, coll string, rec store.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, there := m.colls[coll][rec.ID]
	switch {
	case !there:
		return store.ErrNotFound
	case old.Rev != rec.Rev:
		return store.ErrConflict
	case len(rec.Body) > store.MaxBody:
		return store.ErrTooLarge
	}
	rec.Rev++
	m.colls[coll][rec.ID] = rec
	return nil
}

func (m *memory) Delete(_ context.Context, coll, id string, rev int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, there := m.colls[coll][id]
	switch {
	case !there:
		return store.ErrNotFound
	case rev != 0 && old.Rev != rev:
		return store.ErrConflict
	}
	delete(m.colls[coll], id)
	return nil
}

func (m *memory) Add(_ context.Context, coll, id string, deltas map[string]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := map[string]int64{}
	old := m.colls[coll][id]
	if old.Body != nil {
		if err := json.Unmarshal(old.Body, &sums); err != nil {
			return err
		}
	}
	for name, d := range deltas {
		sums[name] += d
	}
	body, err := json.Marshal(sums)
	m.colls[coll][id] = store.Record{ID: id, Rev: old.Rev + 1, Body: body}
	return err
}

func (m *memory) Scan(_ context.Context, coll string, s store.Scan, keysOnly bool) ([]store.Hit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var hits []store.Hit
	for _, r := range m.colls[coll] {
		for _, e := range r.Entries {
			if e.Index != s.Index || !bytes.Equal(e.Eq, s.Eq) || s.From != nil && bytes.Compare(e.Order, s.From) < 0 || s.To != nil && bytes.Compare(e.Order, s.To) >= 0 {
				continue
			}
			h := store.Hit{Position: store.Position{Order: e.Order, ID: r.ID}}
			if !keysOnly {
				h.Record = &r
			}
			hits = append(hits, h)
		}
	}
	order := func(a, b store.Position) int {
		c := cmp.Or(bytes.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
		if s.Desc {
			return -c
		}
		return c
	}
	slices.SortFunc(hits, func(a, b store.Hit) int { return order(a.Position, b.Position) })
	if s.After != nil {
		hits = slices.DeleteFunc(hits, func(h store.Hit) bool { return order(h.Position, *s.After) <= 0 })
	}
	return hits[:min(len(hits), max(s.Limit, 0))], nil
}

func (m *memory) Count(ctx context.Context, coll string, s store.Scan, limit int) (int, error) {
	s.Limit, s.After = limit, nil
	hits, err := m.Scan(ctx, coll, s, true)
	return len(hits), err
}
