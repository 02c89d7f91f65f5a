package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

var crudTests = []testCase{
	{"BodiesByteForByte", testBodies},
	{"IDsOfEveryKind", testIDs},
	{"InsertPerItem", testInsertPerItem},
	{"InsertTwiceInOneCall", testInsertTwice},
	{"Replace", testReplace},
	{"Delete", testDelete},
	{"GetMany", testGetMany},
	{"AllInIDOrder", testAll},
	{"Add", testAdd},
	{"AddRefusals", testAddRefusals},
	{"Limits", testLimits},
	{"TooLarge", testTooLarge},
	{"Undeclared", testUndeclared},
	{"CollectionNames", testCollectionNames},
	{"CancelledContext", testCancelledContext},
	{"SecondHandleSeesWrites", testSecondHandle},
	{"ReopenKeepsEverything", testReopen},
	{"Closed", testClosed},
	{"Ping", testPing},
}

func testBodies(t *testing.T, f Factory) {
	b := setup(t, f)
	bodies := []string{
		`{}`, `[]`, `null`, `"x"`, ` { "b" : 1 , "a" : [ ] } `, `{"a":1,"a":2}`, `{"n":1.0e5,"m":10000000000000000000000000000001}`,
		`{"s":"\u00e9 é \u2028 ` + "\u2028" + ` \ud83d\ude00 😀 海南"}`, `{"$set":{"a.b":1},"_id":7}`, "{\"t\":\"\\u0000\"}\r\n",
		`{"long":"` + strings.Repeat("海", 5000) + `"}`,
	}
	for i, body := range bodies {
		b.insert(rec(fmt.Sprint("d", i), body))
	}
	for i, body := range bodies {
		r := b.one(fmt.Sprint("d", i))
		equal(b, string(r.Body), body, "the body")
		equal(b, r.Rev, 1, "the revision")
		equal(b, r.Expires.IsZero(), true, "'expires never'")
	}
}

func testIDs(t *testing.T, f Factory) {
	b := setup(t, f)
	ids := []string{
		"a", "A", " a", "a ", "0", "null", "09506000134352/LOT 1/firm", "海南/免税", "$a.b", "a\x00b", "a\x00", "😀", "\u00e9", "e\u0301", "%", "'\"\\",
		strings.Repeat("x", 512), strings.Repeat("海", 170),
	}
	for _, id := range ids {
		b.insert(rec(id, fmt.Sprintf("%q", id), in("a", "x", 1)))
	}
	for _, id := range ids {
		equal(b, string(b.one(id).Body), fmt.Sprintf("%q", id), "the body")
	}
	equal(b, len(b.get(ids...)), len(ids), "the number of documents")
	equal(b, len(b.found("a", "x")), len(ids), "the number of hits")
	for _, id := range ids {
		b.ok(b.eng.Delete(b.ctx, b.coll, id, 1))
	}
	equal(b, len(b.found("a", "x")), 0, "the number of hits after deletion")
}

func testInsertPerItem(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("old", `1`))
	errs, err := b.eng.Insert(b.ctx, b.coll, []store.Record{
		rec("new", `2`, in("a", "x", 1)), rec("old", `3`, in("a", "x", 2)), rec("big", strings.Repeat(" ", store.MaxBody+1)), rec("last", `4`),
	})
	b.ok(err)
	equal(b, len(errs), 4, "the number of results")
	b.ok(errs[0])
	b.is(errs[1], store.ErrExists)
	b.is(errs[2], store.ErrTooLarge)
	b.ok(errs[3])
	equal(b, string(b.one("old").Body), `1`, "the body of the document that was there")
	equal(b, len(b.get("new", "old", "big", "last")), 3, "the number of documents")
	same(b, b.found("a", "x"), []string{"new"}, "the hits: none for a record that was refused")
	errs, err = b.eng.Insert(b.ctx, b.coll, nil)
	b.ok(err)
	equal(b, len(errs), 0, "the number of results of an empty call")
}

func testInsertTwice(t *testing.T, f Factory) {
	b := setup(t, f)
	errs, err := b.eng.Insert(b.ctx, b.coll, []store.Record{rec("d", `1`), rec("d", `2`)})
	b.ok(err)
	b.ok(errs[0])
	b.is(errs[1], store.ErrExists)
	equal(b, string(b.one("d").Body), `1`, "the body")
}

func testReplace(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d", `1`, in("a", "x", 1), in("a", "y", 1), in("b", "z", "q")))
	r := rec("d", `2`, in("a", "y", 1), in("a", "w", 1), in("b", "z", "r"))
	b.ok(b.eng.Replace(b.ctx, b.coll, r))
	got := b.one("d")
	equal(b, string(got.Body), `2`, "the body")
	equal(b, got.Rev, 2, "the revision")
	same(b, b.found("a", "x"), nil, "hits under the entry that is gone")
	same(b, b.found("a", "y"), []string{"d"}, "hits under the entry that stayed")
	same(b, b.found("a", "w"), []string{"d"}, "hits under the new entry")
	hits := b.scan(store.Scan{Index: "b", Eq: store.K("z")}, true)
	equal(b, len(hits), 1, "the number of hits under the entry with a new order")
	equal(b, string(hits[0].Order), string(store.K("r")), "its order")

	b.is(b.eng.Replace(b.ctx, b.coll, r), store.ErrConflict)
	equal(b, string(b.one("d").Body), `2`, "the body after a refused write")
	r.Rev = 3
	b.is(b.eng.Replace(b.ctx, b.coll, r), store.ErrConflict)
	b.is(b.eng.Replace(b.ctx, b.coll, rec("none", `1`)), store.ErrNotFound)
	r.Rev, r.Entries = 2, nil
	b.ok(b.eng.Replace(b.ctx, b.coll, r))
	same(b, b.found("a", "y"), nil, "hits of a document without entries")
}

func testDelete(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d", `1`, in("a", "x", 1)), rec("e", `1`, in("a", "x", 2)))
	b.is(b.eng.Delete(b.ctx, b.coll, "d", 2), store.ErrConflict)
	b.ok(b.eng.Delete(b.ctx, b.coll, "d", 1))
	b.is(b.eng.Delete(b.ctx, b.coll, "d", 1), store.ErrNotFound)
	b.is(b.eng.Delete(b.ctx, b.coll, "d", 0), store.ErrNotFound)
	equal(b, len(b.get("d", "e")), 1, "the number of documents")
	same(b, b.found("a", "x"), []string{"e"}, "hits")
	b.ok(b.eng.Delete(b.ctx, b.coll, "e", 0))
	b.insert(rec("d", `5`, in("a", "y", 1)))
	equal(b, b.one("d").Rev, 1, "the revision of a document that came back")
	same(b, b.found("a", "x"), nil, "hits under the old entry")
	same(b, b.found("a", "y"), []string{"d"}, "hits under the new entry")
	b.is(b.eng.Replace(b.ctx, b.coll, rec("e", `1`)), store.ErrNotFound)
}

func testGetMany(t *testing.T, f Factory) {
	b := setup(t, f)
	var recs []store.Record
	var ids []string
	for i := range store.MaxBatch {
		ids = append(ids, fmt.Sprintf("d%04d", i))
		if i%3 != 0 {
			recs = append(recs, rec(ids[i], fmt.Sprint(i)))
		}
	}
	b.insert(recs...)
	for _, n := range []int{0, 1, 2, 7, 8, 9, 63, 64, 65, 511, 512, 513, store.MaxBatch} {
		got := b.get(ids[:n]...)
		for i, id := range ids[:n] {
			r, ok := got[id]
			equal(b, ok, i%3 != 0, "presence of "+id)
			if ok {
				equal(b, string(r.Body), fmt.Sprint(i), "the body of "+id)
			}
		}
		equal(b, len(got), n-(n+2)/3, "the number of documents")
	}
}

func testAll(t *testing.T, f Factory) {
	b := setup(t, f)
	want := []string{"", "!", "A", "B", "a", "a\x00", "a\x00b", "a!", "ab", "b", "é", "海", "￿", "😀"}[1:]
	for i := range want {
		b.insert(rec(want[(i*5)%len(want)], `1`))
	}
	for _, limit := range []int{1, 2, 3, 100} {
		same(b, b.all(limit), want, fmt.Sprintf("the walk in pages of %d", limit))
	}
}

func counters(b *bundle, id string) map[string]int64 {
	b.Helper()
	out := map[string]int64{}
	b.ok(json.Unmarshal(b.one(id).Body, &out))
	return out
}

func testAdd(t *testing.T, f Factory) {
	b := setup(t, f)
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 2, "y": -3}))
	equal(b, fmt.Sprint(counters(b, "c")), "map[x:2 y:-3]", "the counters")
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 5, "海.$z": 1 << 60}))
	equal(b, fmt.Sprint(counters(b, "c")), fmt.Sprintf("map[x:7 y:-3 海.$z:%d]", 1<<60), "the counters")
	b.ok(b.eng.Add(b.ctx, b.coll, "other", map[string]int64{"x": 1}))
	equal(b, fmt.Sprint(counters(b, "other")), "map[x:1]", "the counters of another document")
	equal(b, b.one("c").Rev, 2, "the revision after two additions")
	b.is(b.insertOne(rec("c", `{}`)), store.ErrExists)
	b.ok(b.eng.Delete(b.ctx, b.coll, "c", 0))
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 1}))
	equal(b, fmt.Sprint(counters(b, "c")), "map[x:1]", "the counters after deletion")
}

func testAddRefusals(t *testing.T, f Factory) {
	b := setup(t, f)
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": math.MaxInt64}))
	b.fails(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 1}), "a sum beyond int64")
	equal(b, counters(b, "c")["x"], math.MaxInt64, "the counter after a refusal")
	b.fails(b.eng.Add(b.ctx, b.coll, "", map[string]int64{"x": 1}), "an empty ID")
}

func testLimits(t *testing.T, f Factory) {
	b := setup(t, f)
	bad := map[string]string{"an empty ID": "", "an ID of 513 bytes": strings.Repeat("x", 513), "an ID that is not UTF-8": "a\xff"}
	for what, id := range bad {
		_, err := b.eng.Insert(b.ctx, b.coll, []store.Record{rec("fine", `1`), rec(id, `1`)})
		b.fails(err, "Insert of "+what)
		_, err = b.eng.Get(b.ctx, b.coll, []string{id})
		b.fails(err, "Get of "+what)
		b.fails(b.eng.Replace(b.ctx, b.coll, rec(id, `1`)), "Replace of "+what)
		b.fails(b.eng.Delete(b.ctx, b.coll, id, 0), "Delete of "+what)
	}
	many := make([]store.Record, store.MaxBatch+1)
	ids := make([]string, store.MaxBatch+1)
	for i := range many {
		ids[i] = fmt.Sprint("d", i)
		many[i] = rec(ids[i], `1`)
	}
	_, err := b.eng.Insert(b.ctx, b.coll, many)
	b.fails(err, "Insert of too many records")
	_, err = b.eng.Get(b.ctx, b.coll, ids)
	b.fails(err, "Get of too many IDs")
	for _, limit := range []int{-1, 0, store.MaxBatch + 1} {
		what := fmt.Sprintf(" with limit %d", limit)
		_, err = b.eng.Scan(b.ctx, b.coll, store.Scan{Index: "a", Eq: store.K("x"), Limit: limit}, false)
		b.fails(err, "Scan"+what)
		_, err = b.eng.All(b.ctx, b.coll, "", limit)
		b.fails(err, "All"+what)
		_, _, err = b.eng.Changes(b.ctx, b.coll, "", limit)
		b.fails(err, "Changes"+what)
	}
}

func testTooLarge(t *testing.T, f Factory) {
	b := setup(t, f)
	largest := `"` + strings.Repeat("x", store.MaxBody-2) + `"`
	b.insert(rec("d", largest))
	equal(b, string(b.one("d").Body) == largest, true, "'the largest body came back'")
	b.is(b.insertOne(rec("e", largest+" ")), store.ErrTooLarge)
	b.is(b.eng.Replace(b.ctx, b.coll, rec("d", largest+" ")), store.ErrTooLarge)
	equal(b, b.one("d").Rev, 1, "the revision after a refused write")
}

func testUndeclared(t *testing.T, f Factory) {
	b := setup(t, f)
	const none = "st_never_declared"
	_, err := b.eng.Insert(b.ctx, none, []store.Record{rec("d", `1`)})
	b.fails(err, "Insert into an undeclared collection")
	_, err = b.eng.Get(b.ctx, none, []string{"d"})
	b.fails(err, "Get from an undeclared collection")
	_, err = b.eng.Scan(b.ctx, none, store.Scan{Index: "a", Eq: store.K("x"), Limit: 1}, false)
	b.fails(err, "Scan of an undeclared collection")
	b.fails(b.eng.Replace(b.ctx, none, rec("d", `1`)), "Replace in an undeclared collection")
	b.fails(b.eng.Delete(b.ctx, none, "d", 0), "Delete in an undeclared collection")
	b.fails(b.eng.Add(b.ctx, none, "d", map[string]int64{"x": 1}), "Add in an undeclared collection")
	_, err = b.eng.Scan(b.ctx, b.coll, store.Scan{Index: "c", Eq: store.K("x"), Limit: 1}, false)
	b.fails(err, "Scan of an undeclared index")
	_, err = b.eng.Count(b.ctx, b.coll, store.Scan{Index: "c", Eq: store.K("x")}, 1)
	b.fails(err, "Count of an undeclared index")
	_, err = b.eng.Insert(b.ctx, b.coll, []store.Record{rec("d", `1`, in("c", "x", 1))})
	b.fails(err, "an entry of an undeclared index")
	equal(b, len(b.get("d")), 0, "the number of documents after the refusal")
}

func testCollectionNames(t *testing.T, f Factory) {
	b := setup(t, f)
	for _, name := range []string{"", "A", "a1", "a-b", "a.b", "a b", "ä", `a"; drop table x`, "$a"} {
		_, err := b.eng.Declare(b.ctx, store.Spec{Name: name})
		b.fails(err, fmt.Sprintf("collection name %q", name))
	}
}

func testCancelledContext(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d", `1`, in("a", "x", 1)))
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err := b.eng.Insert(ctx, b.coll, []store.Record{rec("e", `1`)})
	b.is(err, context.Canceled)
	b.is(b.eng.Replace(ctx, b.coll, rec("d", `2`)), context.Canceled)
	_, err = b.eng.Get(ctx, b.coll, []string{"d"})
	b.is(err, context.Canceled)
	_, err = b.eng.Scan(ctx, b.coll, store.Scan{Index: "a", Eq: store.K("x"), Limit: 1}, false)
	b.is(err, context.Canceled)
	_, _, err = b.eng.Changes(ctx, b.coll, "", 1)
	b.is(err, context.Canceled)
	equal(b, string(b.one("d").Body), `1`, "the body")
}

func testSecondHandle(t *testing.T, f Factory) {
	b := setup(t, f)
	e := b.again()
	b.insert(rec("d", `1`, in("a", "x", 1)))
	equal(b, len(b.getFrom(e, "d")), 1, "the number of documents at the second handle")
	b.ok(e.Replace(b.ctx, b.coll, rec("d", `2`, in("a", "y", 1))))
	equal(b, string(b.one("d").Body), `2`, "the body at the first handle")
	same(b, b.found("a", "y"), []string{"d"}, "the hits at the first handle")
	b.is(b.eng.Replace(b.ctx, b.coll, rec("d", `3`)), store.ErrConflict)
	b.ok(e.Add(b.ctx, b.coll, "c", map[string]int64{"x": 1}))
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 1}))
	equal(b, fmt.Sprint(counters(b, "c")), "map[x:2]", "the counters")

	// A collection that the second handle declares later is there for the first.
	late := store.Spec{Name: b.coll + "_late", Indexes: map[string]string{"n": "1"}}
	_, err := e.Declare(b.ctx, late)
	b.ok(err)
	_, err = e.Insert(b.ctx, late.Name, []store.Record{rec("d", `1`, in("n", "x", 1))})
	b.ok(err)
	_, err = b.eng.Declare(b.ctx, late)
	b.ok(err)
	hits, err := b.eng.Scan(b.ctx, late.Name, store.Scan{Index: "n", Eq: store.K("x"), Limit: 1}, false)
	b.ok(err)
	same(b, hitIDs(hits), []string{"d"}, "the hits in the late collection")
}

func testReopen(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d", `1`, in("a", "x", 1)), rec("e", `2`, in("a", "x", 2)))
	b.ok(b.eng.Delete(b.ctx, b.coll, "e", 0))
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 3}))
	if f.Again == nil {
		b.Skip("no second handle on this engine")
	}
	b.ok(b.eng.Close())
	b.eng = b.again()
	same(b, b.all(10), []string{"c", "d"}, "the documents")
	same(b, b.found("a", "x"), []string{"d"}, "the hits")
	equal(b, fmt.Sprint(counters(b, "c")), "map[x:3]", "the counters")
	stale, err := b.eng.Declare(b.ctx, b.spec)
	b.ok(err)
	equal(b, len(stale), 0, "the number of stale indexes")
}

func testClosed(t *testing.T, f Factory) {
	b := setup(t, f)
	b.ok(b.eng.Close())
	_, err := b.eng.Insert(b.ctx, b.coll, []store.Record{rec("d", `1`)})
	b.is(err, store.ErrUnavailable)
	_, err = b.eng.Get(b.ctx, b.coll, []string{"d"})
	b.is(err, store.ErrUnavailable)
	b.is(b.eng.Ping(b.ctx), store.ErrUnavailable)
}

func testPing(t *testing.T, f Factory) {
	b := setup(t, f)
	b.ok(b.eng.Ping(b.ctx))
	b.ok(b.eng.Ping(b.ctx))
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if err := b.eng.Ping(ctx); !errors.Is(err, context.Canceled) {
		b.Fatalf("Ping of a cancelled context gives %v", err)
	}
}
