package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"github.com/haisu-trace/haisu/internal/store"
)

// bundle is one test's engine and its collection, which has the indexes 'a' and 'b' and keeps a feed.
type bundle struct {
	*testing.T
	ctx   context.Context
	f     Factory
	eng   store.Engine
	clock *clocktest.Clock
	coll  string
	spec  store.Spec
}

func setup(t *testing.T, f Factory) *bundle {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	c := NewClock()
	b := &bundle{T: t, ctx: ctx, f: f, clock: c, eng: f.Open(t, c.Now), coll: collectionName(t)}
	b.spec = store.Spec{Name: b.coll, Indexes: map[string]string{"a": "1", "b": "1"}, Feed: true}
	b.declare(b.eng)
	return b
}

// collectionName is the last part of the test's name in the letters that are allowed.
func collectionName(t *testing.T) string {
	name := t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]
	return "st_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

func (b *bundle) declare(e store.Engine) {
	b.Helper()
	stale, err := e.Declare(b.ctx, b.spec)
	b.ok(err)
	if len(stale) > 0 {
		b.ok(e.Rebuilt(b.ctx, b.spec, stale))
	}
}

// again is a second handle on the same data that has declared the same collection.
func (b *bundle) again() store.Engine {
	b.Helper()
	if b.f.Again == nil {
		b.Skip("no second handle on this engine")
	}
	e := b.f.Again(b.T, b.eng, b.clock.Now)
	b.declare(e)
	return e
}

func (b *bundle) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("unexpected error: %v", err)
	}
}

func (b *bundle) is(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error is %v, want %v", err, want)
	}
}

func (b *bundle) fails(err error, what string) {
	b.Helper()
	if err == nil {
		b.Fatalf("%s was accepted", what)
	}
}

func equal[V comparable](b *bundle, got, want V, what string) {
	b.Helper()
	if got != want {
		b.Fatalf("%s is %v, want %v", what, got, want)
	}
}

func same[V comparable](b *bundle, got, want []V, what string) {
	b.Helper()
	if !slices.Equal(got, want) {
		b.Fatalf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// rec makes a record of revision 1.
func rec(id, body string, entries ...store.Entry) store.Record {
	return store.Record{ID: id, Rev: 1, Body: []byte(body), Entries: entries}
}

// in makes an entry of an index; the order tuple follows.
func in(index, eq string, order ...any) store.Entry {
	return store.Entry{Index: index, Eq: store.K(eq), Order: store.K(order...)}
}

// insert inserts records of which none may fail.
func (b *bundle) insert(recs ...store.Record) {
	b.Helper()
	for batch := range slices.Chunk(recs, store.MaxBatch) {
		errs, err := b.eng.Insert(b.ctx, b.coll, batch)
		b.ok(err)
		equal(b, len(errs), len(batch), "the number of results")
		b.ok(errors.Join(errs...))
	}
}

// insertOne gives the outcome of inserting one record.
func (b *bundle) insertOne(r store.Record) error {
	b.Helper()
	errs, err := b.eng.Insert(b.ctx, b.coll, []store.Record{r})
	b.ok(err)
	equal(b, len(errs), 1, "the number of results")
	return errs[0]
}

// get gives the documents that exist, by ID.
func (b *bundle) get(ids ...string) map[string]store.Record {
	b.Helper()
	return b.getFrom(b.eng, ids...)
}

func (b *bundle) getFrom(e store.Engine, ids ...string) map[string]store.Record {
	b.Helper()
	recs, err := e.Get(b.ctx, b.coll, ids)
	b.ok(err)
	out := map[string]store.Record{}
	for _, r := range recs {
		if _, twice := out[r.ID]; twice {
			b.Fatalf("Get gave %q twice", r.ID)
		}
		out[r.ID] = r
	}
	return out
}

// one gives a document that must exist.
func (b *bundle) one(id string) store.Record {
	b.Helper()
	r, ok := b.get(id)[id]
	if !ok {
		b.Fatalf("%q is not there", id)
	}
	return r
}

// scan gives the hits of a scan of index under eq.
func (b *bundle) scan(s store.Scan, keysOnly bool) []store.Hit {
	b.Helper()
	if s.Limit == 0 {
		s.Limit = store.MaxBatch
	}
	hits, err := b.eng.Scan(b.ctx, b.coll, s, keysOnly)
	b.ok(err)
	for _, h := range hits {
		if keysOnly != (h.Record == nil) {
			b.Fatalf("keysOnly is %v and the hit's record is %v", keysOnly, h.Record)
		}
		if h.Record != nil && h.Record.ID != h.ID {
			b.Fatalf("the hit is %q and its record %q", h.ID, h.Record.ID)
		}
	}
	return hits
}

// found gives the IDs of a scan.
func (b *bundle) found(index, eq string) []string {
	b.Helper()
	return hitIDs(b.scan(store.Scan{Index: index, Eq: store.K(eq)}, false))
}

func hitIDs(hits []store.Hit) []string {
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	return ids
}

// all gives the IDs of a walk over the collection in pages of limit.
func (b *bundle) all(limit int) []string {
	b.Helper()
	var ids []string
	after := ""
	for {
		recs, err := b.eng.All(b.ctx, b.coll, after, limit)
		b.ok(err)
		if len(recs) == 0 {
			return ids
		}
		if len(recs) > limit {
			b.Fatalf("a page of %d documents, the limit is %d", len(recs), limit)
		}
		for _, r := range recs {
			ids = append(ids, r.ID)
		}
		after = ids[len(ids)-1]
	}
}

func (b *bundle) count(index, eq string, limit int) int {
	b.Helper()
	n, err := b.eng.Count(b.ctx, b.coll, store.Scan{Index: index, Eq: store.K(eq)}, limit)
	b.ok(err)
	return n
}

// follow reads the feed from token to its end in pages of limit. It checks that no document goes back to an older revision and gives the newest
// state of each: its revision, 0 if deleted.
func (b *bundle) follow(e store.Engine, token string, limit int) (map[string]int64, string) {
	b.Helper()
	newest := map[string]int64{}
	for {
		chs, next, err := e.Changes(b.ctx, b.coll, token, limit)
		b.ok(err)
		if len(chs) > limit {
			b.Fatalf("a page of %d changes, the limit is %d", len(chs), limit)
		}
		for _, ch := range chs {
			rev := ch.Record.Rev
			if ch.Deleted {
				rev = 0
			}
			if old := newest[ch.Record.ID]; rev != 0 && rev < old {
				b.Fatalf("the feed gives revision %d of %q after %d", rev, ch.Record.ID, old)
			}
			newest[ch.Record.ID] = rev
		}
		if len(chs) == 0 {
			return newest, next
		}
		token = next
	}
}

func describe(newest map[string]int64) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(newest)) {
		out = append(out, fmt.Sprintf("%s:%d", id, newest[id]))
	}
	return out
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
