package storetest

import (
	"fmt"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

var indexTests = []testCase{
	{"StaleUntilRebuilt", testStale},
	{"DroppedIndexIsStaleWhenBack", testDropped},
	{"Reindex", testReindex},
	{"TypedRebuild", testTypedRebuild},
}

func (b *bundle) stale(spec store.Spec) []string {
	b.Helper()
	stale, err := b.eng.Declare(b.ctx, spec)
	b.ok(err)
	return stale
}

func testStale(t *testing.T, f Factory) {
	b := setup(t, f)
	spec := store.Spec{Name: b.coll + "_own", Indexes: map[string]string{"m": "1", "n": "1"}}
	same(b, sorted(b.stale(spec)), []string{"m", "n"}, "the stale indexes of a new collection")
	same(b, sorted(b.stale(spec)), []string{"m", "n"}, "the stale indexes as long as none is rebuilt")
	b.ok(b.eng.Rebuilt(b.ctx, spec, []string{"m"}))
	same(b, b.stale(spec), []string{"n"}, "the stale indexes when one is rebuilt")
	b.ok(b.eng.Rebuilt(b.ctx, spec, []string{"n"}))
	same(b, b.stale(spec), nil, "the stale indexes when all are rebuilt")
	spec.Indexes = map[string]string{"m": "2", "n": "1", "o": "1"}
	same(b, sorted(b.stale(spec)), []string{"m", "o"}, "the stale indexes: a changed and a new one")
	b.ok(b.eng.Rebuilt(b.ctx, spec, []string{"m", "o"}))
	same(b, b.stale(spec), nil, "the stale indexes at last")
}

// testDropped stands for a deployment that is rolled back: what was written meanwhile has no entries in the index.
func testDropped(t *testing.T, f Factory) {
	b := setup(t, f)
	both := b.spec
	one := store.Spec{Name: both.Name, Indexes: map[string]string{"a": "1"}, Feed: true}
	same(b, b.stale(one), nil, "the stale indexes without b")
	b.insert(rec("d", `1`, in("a", "x", 1)))
	same(b, b.stale(both), []string{"b"}, "the stale indexes when b is back")
}

func testReindex(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d", `1`, in("a", "x", 1), in("a", "y", 1)))
	_, token := b.follow(b.eng, "", 10)
	b.ok(b.eng.Reindex(b.ctx, b.coll, rec("d", `1`, in("a", "y", 1), in("b", "z", 2))))
	same(b, b.found("a", "x"), nil, "hits under the entry that is gone")
	same(b, b.found("a", "y"), []string{"d"}, "hits under the entry that stayed")
	same(b, b.found("b", "z"), []string{"d"}, "hits under the new entry")
	equal(b, b.one("d").Rev, 1, "the revision")
	equal(b, string(b.one("d").Body), `1`, "the body")
	newest, _ := b.follow(b.eng, token, 10)
	if rev, told := newest["d"]; told && rev != 1 {
		b.Fatalf("the feed gives revision %d", rev)
	}
	b.ok(b.eng.Replace(b.ctx, b.coll, rec("d", `2`, in("b", "w", 1))))
	same(b, b.found("b", "z"), nil, "hits under the entry that Reindex made, after Replace")
	b.is(b.eng.Reindex(b.ctx, b.coll, rec("d", `1`, in("a", "x", 1))), store.ErrConflict)
	b.is(b.eng.Reindex(b.ctx, b.coll, rec("e", `1`, in("a", "x", 1))), store.ErrNotFound)
	same(b, b.found("a", "x"), nil, "hits after refusals")
}

func testTypedRebuild(t *testing.T, f Factory) {
	b := setup(t, f)
	def := store.Def[item]{Name: b.coll + "_items", Indexes: []store.Index[item]{{
		Name: "i", Version: "1", Keys: func(_ string, v *item) ([]store.Key, store.Key) { return []store.Key{store.K(v.Group)}, nil },
	}}}
	c, err := store.Open(b.ctx, b.eng, def)
	b.ok(err)
	var docs []store.Item[item]
	for i := range 1500 {
		docs = append(docs, store.Item[item]{ID: fmt.Sprintf("d%04d", i), V: item{Group: "g", N: i % 2}})
	}
	_, err = c.InsertMany(b.ctx, docs)
	b.ok(err)
	def.Indexes = []store.Index[item]{{
		Name: "i", Version: "2", Keys: func(_ string, v *item) ([]store.Key, store.Key) { return []store.Key{store.K(v.N)}, store.K(v.Group) },
	}}
	c, err = store.Open(b.ctx, b.eng, def)
	b.ok(err)
	n, err := c.Count(b.ctx, store.Query{Index: "i", Eq: store.K("g")}, 5000)
	b.ok(err)
	equal(b, n, 0, "the count of old entries")
	n, err = c.Count(b.ctx, store.Query{Index: "i", Eq: store.K(1)}, 5000)
	b.ok(err)
	equal(b, n, 750, "the count of new entries")
}
