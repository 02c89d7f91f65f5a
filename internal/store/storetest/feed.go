package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

var feedTests = []testCase{
	{"FeedNewestState", testFeed},
	{"FeedFromToken", testFeedToken},
	{"FeedAfterReopen", testFeedReopen},
	{"FeedOfSecondHandle", testFeedSecond},
	{"FeedBodies", testFeedBodies},
	{"FeedOnlyWhereDeclared", testNoFeed},
	{"FeedDeclaredLater", testFeedLater},
	{"Wake", testWake},
}

func testFeed(t *testing.T, f Factory) {
	b := setup(t, f)
	newest, token := b.follow(b.eng, "", 10)
	equal(b, len(newest), 0, "the number of changes at the beginning")
	b.insert(rec("d1", `1`), rec("d2", `1`), rec("d3", `1`), rec("d4", `1`))
	b.ok(b.eng.Replace(b.ctx, b.coll, rec("d1", `2`)))
	b.ok(b.eng.Delete(b.ctx, b.coll, "d2", 0))
	b.ok(b.eng.Delete(b.ctx, b.coll, "d3", 0))
	b.insert(rec("d3", `2`))
	b.ok(b.eng.Delete(b.ctx, b.coll, "d4", 0))
	b.insert(rec("d4", `2`))
	b.ok(b.eng.Delete(b.ctx, b.coll, "d4", 0))
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 1}))
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 1}))
	for _, limit := range []int{1, 2, 1000} {
		newest, _ := b.follow(b.eng, token, limit)
		if newest["c"] < 1 {
			b.Fatalf("the counter's revision is %d", newest["c"])
		}
		delete(newest, "c")
		same(b, describe(newest), []string{"d1:2", "d2:0", "d3:1", "d4:0"}, fmt.Sprintf("the feed in pages of %d", limit))
	}
}

func testFeedToken(t *testing.T, f Factory) {
	b := setup(t, f)
	token := ""
	for i := range 5 {
		id := fmt.Sprint("d", i)
		b.insert(rec(id, `1`))
		newest, next := b.follow(b.eng, token, 1)
		if newest[id] != 1 {
			b.Fatalf("the feed after token %q is %v: no %s", token, describe(newest), id)
		}
		token = next
	}
	chs, next, err := b.eng.Changes(b.ctx, b.coll, token, 10)
	b.ok(err)
	equal(b, len(chs), 0, "the number of changes at the end")
	b.ok(b.eng.Delete(b.ctx, b.coll, "d0", 0))
	newest, _ := b.follow(b.eng, next, 10)
	rev, told := newest["d0"]
	equal(b, told && rev == 0, true, "'the feed tells of the deletion'")
}

func testFeedReopen(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d1", `1`), rec("d2", `1`))
	_, token := b.follow(b.eng, "", 1)
	b.ok(b.eng.Delete(b.ctx, b.coll, "d2", 0)) // the newest place in the feed is now a deletion's
	if f.Again == nil {
		b.Skip("no second handle on this engine")
	}
	b.ok(b.eng.Close())
	b.eng = b.again()
	b.insert(rec("d3", `1`))
	newest, _ := b.follow(b.eng, token, 1)
	rev, told := newest["d2"]
	equal(b, told && rev == 0, true, "'the feed tells of the deletion before'")
	equal(b, newest["d3"], 1, "the revision of the document inserted after")
}

func testFeedSecond(t *testing.T, f Factory) {
	b := setup(t, f)
	e := b.again()
	b.insert(rec("d1", `1`))
	_, token := b.follow(e, "", 10)
	b.insert(rec("d2", `1`))
	b.ok(e.Replace(b.ctx, b.coll, rec("d1", `2`)))
	for i, h := range []store.Engine{b.eng, e} {
		newest, _ := b.follow(h, token, 10)
		equal(b, newest["d1"], 2, fmt.Sprintf("revision of d1 at handle %d", i))
		equal(b, newest["d2"], 1, fmt.Sprintf("revision of d2 at handle %d", i))
	}
}

func testFeedBodies(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d", ` {"v": 1} `, in("a", "x", 1)), rec("e", `1`))
	b.ok(b.eng.Delete(b.ctx, b.coll, "e", 0))
	chs, _, err := b.eng.Changes(b.ctx, b.coll, "", 10)
	b.ok(err)
	bodies := map[string]string{}
	for _, ch := range chs {
		bodies[ch.Record.ID] = string(ch.Record.Body)
	}
	equal(b, bodies["d"], ` {"v": 1} `, "the body of a document in the feed")
	equal(b, bodies["e"], "", "the body of a deleted document in the feed")
}

func testNoFeed(t *testing.T, f Factory) {
	b := setup(t, f)
	spec := store.Spec{Name: b.coll + "_without"}
	_, err := b.eng.Declare(b.ctx, spec)
	b.ok(err)
	_, _, err = b.eng.Changes(b.ctx, spec.Name, "", 1)
	b.fails(err, "Changes of a collection without a feed")
}

func testFeedLater(t *testing.T, f Factory) {
	b := setup(t, f)
	spec := store.Spec{Name: b.coll + "_later"}
	_, err := b.eng.Declare(b.ctx, spec)
	b.ok(err)
	_, err = b.eng.Insert(b.ctx, spec.Name, []store.Record{rec("d1", `1`), rec("d2", `1`), rec("d3", `1`)})
	b.ok(err)
	b.ok(b.eng.Delete(b.ctx, spec.Name, "d2", 0))
	spec.Feed = true
	_, err = b.eng.Declare(b.ctx, spec)
	b.ok(err)
	b.coll = spec.Name
	newest, token := b.follow(b.eng, "", 1)
	equal(b, newest["d1"], 1, "the revision of d1")
	equal(b, newest["d3"], 1, "the revision of d3")
	b.insert(rec("d4", `1`))
	newest, _ = b.follow(b.eng, token, 1)
	equal(b, newest["d4"], 1, "the revision of d4")
}

func testWake(t *testing.T, f Factory) {
	b := setup(t, f)
	first, second := b.eng.Wake(b.coll), b.eng.Wake(b.coll)
	woken := func(what string) {
		b.Helper()
		for _, ch := range []<-chan struct{}{first, second} {
			select {
			case <-ch:
			case <-time.After(time.Minute):
				b.Fatalf("no wake-up after %s", what)
			}
		}
	}
	b.insert(rec("d", `1`))
	woken("an insert")
	b.ok(b.eng.Replace(b.ctx, b.coll, rec("d", `2`)))
	woken("a replace")
	b.ok(b.eng.Delete(b.ctx, b.coll, "d", 0))
	woken("a deletion")
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 1}))
	woken("an addition")
}
