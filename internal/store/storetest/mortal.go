package storetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/haisu-trace/haisu/internal/store"
)

// Mortal is an engine as a process sees it that dies at a write of the test's choice: just before the write, or just after, when it is
// durable and nobody was told. From then on nothing works any more. What the process left is in the engine beneath.
type Mortal struct {
	store.Engine

	mu     sync.Mutex
	writes int // that were tried
	dieAt  int // the number of the last write; 0: none
	after  bool
	dead   bool
}

// NewMortal gives an engine that lives on until DieAt says otherwise.
func NewMortal(eng store.Engine) *Mortal { return &Mortal{Engine: eng} }

// DieAt has the process die at the n-th write from now on, counted from 1: before it, or after it.
func (m *Mortal) DieAt(n int, after bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes, m.dieAt, m.after = 0, n, after
}

// Dead says whether the process has died.
func (m *Mortal) Dead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

func errDead() error { return fmt.Errorf("the process is dead: %w", store.ErrUnavailable) }

func (m *Mortal) alive() error {
	if m.Dead() {
		return errDead()
	}
	return nil
}

// write does a write unless the process dies before it, and reports it unless the process dies after it.
func (m *Mortal) write(do func() error) error {
	m.mu.Lock()
	m.writes++
	last := m.writes == m.dieAt
	if last && !m.after {
		m.dead = true
	}
	dead := m.dead
	m.mu.Unlock()
	if dead {
		return errDead()
	}
	err := do()
	if last {
		m.mu.Lock()
		m.dead = true
		m.mu.Unlock()
		return errDead()
	}
	return err
}

// Insert is a write.
func (m *Mortal) Insert(ctx context.Context, coll string, recs []store.Record) (errs []error, err error) {
	err = m.write(func() (err error) { errs, err = m.Engine.Insert(ctx, coll, recs); return err })
	return errs, err
}

// Replace is a write.
func (m *Mortal) Replace(ctx context.Context, coll string, rec store.Record) error {
	return m.write(func() error { return m.Engine.Replace(ctx, coll, rec) })
}

// Delete is a write.
func (m *Mortal) Delete(ctx context.Context, coll, id string, rev int64) error {
	return m.write(func() error { return m.Engine.Delete(ctx, coll, id, rev) })
}

// Add is a write.
func (m *Mortal) Add(ctx context.Context, coll, id string, deltas map[string]int64) error {
	return m.write(func() error { return m.Engine.Add(ctx, coll, id, deltas) })
}

// Get reads while the process lives.
func (m *Mortal) Get(ctx context.Context, coll string, ids []string) ([]store.Record, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return m.Engine.Get(ctx, coll, ids)
}

// Scan reads while the process lives.
func (m *Mortal) Scan(ctx context.Context, coll string, s store.Scan, keysOnly bool) ([]store.Hit, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return m.Engine.Scan(ctx, coll, s, keysOnly)
}

// Changes reads while the process lives.
func (m *Mortal) Changes(ctx context.Context, coll, token string, limit int) ([]store.Change, string, error) {
	if err := m.alive(); err != nil {
		return nil, token, err
	}
	return m.Engine.Changes(ctx, coll, token, limit)
}
