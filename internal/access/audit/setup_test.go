package audit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// bundle is a trail on a store of its own.
type bundle struct {
	*Service
	t     *testing.T
	path  string // of the database
	eng   store.Engine
	box   *secret.Box
	vault *vault
	clock *clocktest.Clock
}

var start = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupOn(t, nil)
}

// setupOn lets wrap stand between the trail and its store.
func setupOn(t *testing.T, wrap func(store.Engine) store.Engine) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{t: t, path: filepath.Join(dir, "t.db"), vault: newVault(), clock: clocktest.New(start)}
	eng, err := sqlite.Open(t.Context(), b.path)
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	b.eng = eng
	if wrap != nil {
		b.eng = wrap(eng)
	}
	b.box, err = secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	b.Service = b.open(b.eng)
	return b
}

// open opens another service, as another replica would.
func (b *bundle) open(eng store.Engine) *Service {
	b.t.Helper()
	s, err := Open(b.t.Context(), Deps{Engine: eng, Keys: b.box, Vault: b.vault, Now: b.clock.Now, Log: slog.New(slog.DiscardHandler)})
	must(b.t, err)
	b.t.Cleanup(func() { must(b.t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// fact is a plain entry.
func fact(i int) Entry {
	return Entry{Actor: "operator:chen.yu", Authority: "hn-amr", Action: "case.read", Subject: fmt.Sprintf("case/%d", i), RequestID: "r1"}
}

// batch writes entries as one batch.
func (b *bundle) batch(entries ...Entry) {
	b.t.Helper()
	items := make([]*item, len(entries))
	for i, e := range entries {
		if e.Phase == "" {
			e.Phase = Read
		}
		w, err := b.prepare(b.t.Context(), e)
		must(b.t, err)
		size, err := sizeOf(w)
		must(b.t, err)
		items[i] = &item{w: w, size: size, done: make(chan struct{})}
		_, err = b.queue.put(items[i])
		must(b.t, err)
	}
	b.write()
	for _, it := range items {
		must(b.t, it.err)
	}
}

// fill writes n batches of size entries each, a second apart.
func (b *bundle) fill(n, size int) {
	b.t.Helper()
	for i := range n {
		entries := make([]Entry, size)
		for j := range entries {
			entries[j] = fact(i*size + j)
		}
		b.batch(entries...)
		b.clock.Advance(time.Second)
	}
}

func (b *bundle) verify(against *Checkpoint) Report {
	b.t.Helper()
	r, err := b.Verify(b.t.Context(), against, nil)
	must(b.t, err)
	return r
}

func (b *bundle) inOrder(entries int64) Report {
	b.t.Helper()
	r := b.verify(nil)
	if r.Break != nil || r.Entries != entries {
		b.t.Fatalf("got %+v, %v; want %d entries in order", r, r.Break, entries)
	}
	return r
}

func (b *bundle) list(f Filter, limit int) []Entry {
	b.t.Helper()
	var all []Entry
	for cursor := ""; ; {
		page, next, err := b.List(b.t.Context(), f, cursor, limit)
		must(b.t, err)
		if limit > 0 && len(page) > limit {
			b.t.Fatalf("a page of %d, want %d at most", len(page), limit)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		cursor = next
	}
}

// vault is a Vault that remembers.
type vault struct {
	mu     sync.Mutex
	terms  map[string]time.Time
	broken error
}

func newVault() *vault { return &vault{terms: map[string]time.Time{}} }

func (v *vault) Seal(_ context.Context, record, field string, plain []byte) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return "s1." + base64.RawStdEncoding.EncodeToString(append([]byte("a nonce and a tag of 28 bytes in all/"+record+"/"+field+"/"), plain...)), v.broken
}

func (v *vault) Retain(_ context.Context, record string, until time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.terms[record] = until
	return nil
}

func (v *vault) copy() map[string]time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.terms)
}

// hooks is a store of which tests break single calls.
type hooks struct {
	store.Engine
	mu     sync.Mutex
	insert func(ctx context.Context, recs []store.Record) ([]error, error)
	get    func(ctx context.Context, ids []string) ([]store.Record, error)
	all    func(recs []store.Record) []store.Record
}

func (h *hooks) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	h.mu.Lock()
	f := h.insert
	h.mu.Unlock()
	if f != nil {
		return f(ctx, recs)
	}
	return h.Engine.Insert(ctx, coll, recs)
}

func (h *hooks) Get(ctx context.Context, coll string, ids []string) ([]store.Record, error) {
	h.mu.Lock()
	f := h.get
	h.mu.Unlock()
	if f != nil {
		return f(ctx, ids)
	}
	return h.Engine.Get(ctx, coll, ids)
}

func (h *hooks) All(ctx context.Context, coll, after string, limit int) ([]store.Record, error) {
	h.mu.Lock()
	f := h.all
	h.mu.Unlock()
	recs, err := h.Engine.All(ctx, coll, after, limit)
	if f != nil {
		recs = f(recs)
	}
	return recs, err
}

func (h *hooks) onInsert(f func(ctx context.Context, recs []store.Record) ([]error, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.insert = f
}

func (h *hooks) onGet(f func(ctx context.Context, ids []string) ([]store.Record, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.get = f
}

var errDown = errors.Join(store.ErrUnavailable, errors.New("the store is down"))

// setupHooked is a trail on a store with hooks.
func setupHooked(t *testing.T) (*bundle, *hooks) {
	t.Helper()
	h := &hooks{}
	b := setupOn(t, func(e store.Engine) store.Engine { h.Engine = e; return h })
	return b, h
}
