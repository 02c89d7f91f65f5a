package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

func part(t *testing.T, eng store.Engine, name string) store.Engine {
	t.Helper()
	p, err := store.Part(eng, name)
	must(t, err)
	return p
}

// TestSuiteOnAPart has the view that store.Part gives pass the suite, beside a part whose name begins alike.
func TestSuiteOnAPart(t *testing.T) {
	t.Parallel()
	view := func(t *testing.T, path string, now clock.Now) store.Engine {
		t.Helper()
		eng := open(t, path, WithClock(now))
		return behind{part(t, eng, "firm-1"), eng}
	}
	storetest.RunSequential(t, storetest.Factory{
		Open: func(t *testing.T, now clock.Now) store.Engine {
			t.Helper()
			return view(t, filepath.Join(t.TempDir(), "t.db"), now)
		},
		Again: func(t *testing.T, first store.Engine, now clock.Now) store.Engine {
			t.Helper()
			return view(t, first.(behind).eng.path, now)
		},
	})
}

type partDoc struct {
	V   string
	Exp time.Time
}

func partDef(version string) store.Def[partDoc] {
	return store.Def[partDoc]{
		Name: "things", Feed: true, Expires: func(d *partDoc) time.Time { return d.Exp },
		Indexes: []store.Index[partDoc]{{
			Name: "v", Version: version, Keys: func(id string, d *partDoc) ([]store.Key, store.Key) {
				return []store.Key{store.K(d.V), store.K(version, id)}, store.K(id)
			},
		}},
	}
}

// Parts whose names begin alike, and a part named as another's value, keep apart whatever is asked of them.
func TestPartsKeepApart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	eng := open(t, filepath.Join(t.TempDir(), "t.db"))
	names := []string{"a", "a-b", "ab", "x"}
	colls := map[string]*store.Collection[partDoc]{}
	for _, name := range names {
		c, err := store.Open(ctx, part(t, eng, name), partDef("1"))
		must(t, err)
		colls[name] = c
		for _, id := range []string{"1", "2", "a", "/"} {
			must(t, c.Insert(ctx, id, partDoc{V: "x"}))
		}
	}
	must(t, colls["a"].Delete(ctx, "2"))
	_, err := colls["a"].Update(ctx, "1", func(d *partDoc) error { d.V = "y"; return nil })
	must(t, err)
	for _, name := range names {
		want := []string{"/", "1", "2", "a"}
		found, changed := want, 4
		if name == "a" {
			want, found = []string{"/", "1", "a"}, []string{"/", "a"}
			changed = 4 // with the deletion
		}
		c := colls[name]
		var all, hits []string
		must(t, c.All(ctx, func(d store.Doc[partDoc]) error { all = append(all, d.ID); return nil }))
		for q := (store.Query{Index: "v", Eq: store.K("x"), Limit: 1}); ; { // page by page, so that positions are the part's
			p, err := c.Find(ctx, q)
			must(t, err)
			for _, d := range p.Items {
				hits = append(hits, d.ID)
			}
			if q.Cursor = p.Next; p.Next == "" {
				break
			}
		}
		n, err := c.Count(ctx, store.Query{Index: "v", Eq: store.K("x")}, 100)
		must(t, err)
		ids := followIDs(t, c)
		if !slices.Equal(all, want) || !slices.Equal(hits, found) || n != len(found) || len(ids) != changed {
			t.Errorf("%s: all %q, hits %q, %d counted, changes %q", name, all, hits, n, ids)
		}
		if none, err := c.Count(ctx, store.Query{Index: "v"}, 100); err != nil || none != 0 {
			t.Errorf("%s: %d under no key, %v", name, none, err)
		}
	}
}

// followIDs reads a feed to its end, where the token stays what it is.
func followIDs(t *testing.T, c *store.Collection[partDoc]) (ids []string) {
	t.Helper()
	token := ""
	for {
		changes, next, err := c.Changes(t.Context(), token, 2)
		must(t, err)
		for _, ch := range changes {
			ids = append(ids, ch.ID)
		}
		if len(changes) == 0 && next == token {
			slices.Sort(ids)
			return slices.Compact(ids)
		}
		token = next
	}
}

// An index that changed is rebuilt for all parts by whichever is opened first, with the IDs that they know.
func TestRebuildOfAllParts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	eng := open(t, filepath.Join(t.TempDir(), "t.db"))
	for _, name := range []string{"a", "b"} {
		c, err := store.Open(ctx, part(t, eng, name), partDef("1"))
		must(t, err)
		must(t, c.Insert(ctx, "1", partDoc{V: "of " + name}))
	}
	for _, name := range []string{"c", "b", "a"} {
		c, err := store.Open(ctx, part(t, eng, name), partDef("2"))
		must(t, err)
		want := 1
		if name == "c" {
			want = 0
		}
		for _, eq := range []store.Key{store.K("2", "1"), store.K("of " + name)} {
			p, err := c.Find(ctx, store.Query{Index: "v", Eq: eq})
			must(t, err)
			if len(p.Items) != want || want == 1 && (p.Items[0].ID != "1" || p.Items[0].V.V != "of "+name) {
				t.Errorf("%s: %+v", name, p.Items)
			}
		}
		if n, err := c.Count(ctx, store.Query{Index: "v", Eq: store.K("1", "1")}, 10); err != nil || n != 0 {
			t.Errorf("%s: %d old entries, %v", name, n, err)
		}
	}
}

// Whoever sweeps a collection sweeps all its parts and need not know them.
func TestSweepOfAllParts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	clock := storetest.NewClock()
	eng := open(t, filepath.Join(t.TempDir(), "t.db"), WithClock(clock.Now))
	for _, name := range []string{"a", "b"} {
		c, err := store.Open(ctx, part(t, eng, name), partDef("1"))
		must(t, err)
		must(t, c.Insert(ctx, "1", partDoc{Exp: clock.Now().Add(time.Minute)}))
		must(t, c.Insert(ctx, "2", partDoc{}))
	}
	clock.Advance(time.Hour)
	if n, err := eng.Sweep(ctx, "things", 10); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	recs, err := eng.All(ctx, "things", "", 10)
	must(t, err)
	if len(recs) != 2 {
		t.Errorf("%d documents are left", len(recs))
	}
}

// pages counts the pages of a feed that are read.
type pages struct {
	store.Engine
	n int
}

func (p *pages) Changes(ctx context.Context, coll, token string, limit int) ([]store.Change, string, error) {
	p.n++
	return p.Engine.Changes(ctx, coll, token, limit)
}

// A part's follower gets past any number of other parts' changes, a bounded number at a time.
func TestFeedPastOtherParts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	eng := &pages{Engine: open(t, filepath.Join(t.TempDir(), "t.db"))}
	loud, err := store.Open(ctx, part(t, eng, "loud"), partDef("1"))
	must(t, err)
	quiet, err := store.Open(ctx, part(t, eng, "quiet"), partDef("1"))
	must(t, err)
	var items []store.Item[partDoc]
	for i := range 50 {
		items = append(items, store.Item[partDoc]{ID: fmt.Sprint(i)})
	}
	_, err = loud.InsertMany(ctx, items)
	must(t, err)
	must(t, quiet.Insert(ctx, "mine", partDoc{V: "x"}))
	changes, next, err := quiet.Changes(ctx, "", 1)
	must(t, err)
	if len(changes) != 0 || next == "" || eng.n != 16 {
		t.Fatalf("%d changes, token %q, %d pages", len(changes), next, eng.n)
	}
	var got []string
	for range 50 {
		changes, next, err = quiet.Changes(ctx, next, 1)
		must(t, err)
		for _, ch := range changes {
			got = append(got, ch.ID)
		}
	}
	if !slices.Equal(got, []string{"mine"}) {
		t.Errorf("the feed gave %q", got)
	}
}

func TestPartNames(t *testing.T) {
	t.Parallel()
	eng := open(t, filepath.Join(t.TempDir(), "t.db"))
	for _, name := range []string{"", "A", "a/b", "a\x01", "海", "a b", "a_b", strings.Repeat("x", 41)} {
		if _, err := store.Part(eng, name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	if _, err := store.Part(part(t, eng, "a"), "b"); err == nil {
		t.Error("a part of a part was opened")
	}
	longest := part(t, eng, strings.Repeat("x", 40))
	c, err := store.Open(t.Context(), longest, partDef("1"))
	must(t, err)
	must(t, c.Insert(t.Context(), strings.Repeat("y", store.MaxID), partDoc{}))
	// Neither an empty ID nor a longer one passes for a part's.
	for _, id := range []string{"", strings.Repeat("y", store.MaxID+1), "\xff"} {
		if err := c.Insert(t.Context(), id, partDoc{}); err == nil {
			t.Errorf("ID of %d bytes was accepted", len(id))
		}
	}
	must(t, longest.Close())
	must(t, eng.Ping(t.Context()))
}
