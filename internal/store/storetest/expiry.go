package storetest

import (
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

var expiryTests = []testCase{
	{"ExpiredIsAbsent", testExpired},
	{"ExpiryIsReplaced", testExpiryReplaced},
	{"InsertOverExpired", testInsertOverExpired},
	{"Sweep", testSweep},
	{"SweepInFeed", testSweepFeed},
}

// until is a record that expires after d.
func (b *bundle) until(d time.Duration, r store.Record) store.Record {
	r.Expires = b.clock.Now().Add(d)
	return r
}

func testExpired(t *testing.T, f Factory) {
	b := setup(t, f)
	r := b.until(time.Minute, rec("d", `1`, in("a", "x", 1)))
	b.insert(r, rec("stays", `1`, in("a", "x", 2)), b.until(time.Hour, rec("later", `1`, in("a", "x", 3))))

	b.clock.Advance(time.Minute - time.Millisecond)
	equal(b, b.one("d").Expires.UnixMilli(), r.Expires.UnixMilli(), "the expiry")
	equal(b, b.count("a", "x", 10), 3, "the count before the instant")

	b.clock.Advance(time.Millisecond)
	equal(b, len(b.get("d", "stays", "later")), 2, "the number of documents that Get gives")
	same(b, b.found("a", "x"), []string{"stays", "later"}, "the hits")
	same(b, hitIDs(b.scan(store.Scan{Index: "a", Eq: store.K("x"), Limit: 2}, false)), []string{"stays", "later"}, "a page: it is full")
	same(b, b.all(10), []string{"later", "stays"}, "the walk")
	equal(b, b.count("a", "x", 10), 2, "the count")
	equal(b, b.count("a", "x", 1), 1, "the count up to 1")
	b.is(b.eng.Replace(b.ctx, b.coll, rec("d", `2`)), store.ErrNotFound)
	b.is(b.eng.Delete(b.ctx, b.coll, "d", 1), store.ErrNotFound)
	b.is(b.eng.Delete(b.ctx, b.coll, "d", 0), store.ErrNotFound)
	newest, _ := b.follow(b.eng, "", 10)
	if newest["d"] != 0 {
		b.Fatal("the feed gives an expired document")
	}
}

func testExpiryReplaced(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(b.until(time.Minute, rec("d", `1`, in("a", "x", 1))), b.until(time.Minute, rec("e", `1`)), rec("f", `1`))
	b.ok(b.eng.Replace(b.ctx, b.coll, b.until(time.Hour, rec("d", `2`, in("a", "x", 1)))))
	b.ok(b.eng.Replace(b.ctx, b.coll, rec("e", `2`)))
	b.ok(b.eng.Replace(b.ctx, b.coll, b.until(time.Minute, rec("f", `2`))))
	b.clock.Advance(time.Minute)
	equal(b, string(b.one("d").Body), `2`, "the body of the document that lives longer")
	equal(b, b.one("e").Expires.IsZero(), true, "'expires never'")
	equal(b, len(b.get("f")), 0, "the number of documents that now expire")
	b.clock.Advance(time.Hour)
	equal(b, len(b.get("d", "e", "f")), 1, "the number of documents an hour later")
}

func testInsertOverExpired(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(b.until(time.Minute, rec("d", `1`, in("a", "x", 1), in("a", "y", 1))))
	b.ok(b.eng.Replace(b.ctx, b.coll, b.until(time.Minute, rec("d", `2`, in("a", "x", 1), in("a", "y", 1)))))
	b.is(b.insertOne(rec("d", `3`)), store.ErrExists)
	b.clock.Advance(time.Minute)
	b.insert(rec("d", `4`, in("a", "y", 7), in("a", "z", 7)))
	equal(b, string(b.one("d").Body), `4`, "the body")
	equal(b, b.one("d").Rev, 1, "the revision")
	equal(b, b.one("d").Expires.IsZero(), true, "'expires never'")
	same(b, hitIDs(b.scan(store.Scan{Index: "a", Eq: store.K("x")}, true)), nil, "keys under the old entry")
	same(b, b.found("a", "y"), []string{"d"}, "hits under the entry that moved")
	same(b, b.found("a", "z"), []string{"d"}, "hits under the new entry")
	b.is(b.insertOne(rec("d", `5`)), store.ErrExists)
}

func testSweep(t *testing.T, f Factory) {
	b := setup(t, f)
	for _, id := range []string{"d1", "d2", "d3", "d4", "d5"} {
		b.insert(b.until(time.Minute, rec(id, `1`, in("a", "x", id))))
	}
	b.insert(rec("stays", `1`, in("a", "x", "z")))
	sweep := func(limit, want int, what string) {
		b.Helper()
		n, err := b.eng.Sweep(b.ctx, b.coll, limit)
		b.ok(err)
		equal(b, n, want, what)
	}
	sweep(10, 0, "the number swept before expiry")
	b.clock.Advance(time.Minute)
	sweep(2, 2, "the number swept up to 2")
	equal(b, len(b.scan(store.Scan{Index: "a", Eq: store.K("x")}, true)), 4, "the number of keys left")
	sweep(5000, 3, "the number swept then")
	sweep(10, 0, "the number swept at last")
	same(b, hitIDs(b.scan(store.Scan{Index: "a", Eq: store.K("x")}, true)), []string{"stays"}, "the keys left at last")
	equal(b, len(b.get("stays")), 1, "the number of documents that stay")
}

func testSweepFeed(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(b.until(time.Minute, rec("d", `1`)), rec("e", `1`))
	newest, token := b.follow(b.eng, "", 10)
	same(b, describe(newest), []string{"d:1", "e:1"}, "the feed")
	b.clock.Advance(time.Minute)
	_, err := b.eng.Sweep(b.ctx, b.coll, 10)
	b.ok(err)
	newest, _ = b.follow(b.eng, token, 10)
	rev, told := newest["d"]
	equal(b, told && rev == 0, true, "'the feed tells of the sweep'")
}
