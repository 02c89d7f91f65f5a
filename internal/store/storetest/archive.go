package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

var archiveTests = []testCase{
	{"Collections", testCollections},
	{"SnapshotStandsStill", testSnapshotStill},
	{"SnapshotOfEverything", testSnapshotEverything},
	{"SnapshotEnds", testSnapshotEnds},
	{"RestoreAsItWas", testRestoreAsItWas},
	{"RestoreCounters", testRestoreCounters},
	{"RestoreIntoEmptyOnly", testRestoreEmptyOnly},
	{"RestoreRepeated", testRestoreRepeated},
	{"RestoreShutsOut", testRestoreShutsOut},
	{"RestoreOfAnother", testRestoreOfAnother},
	{"RestoreRebuildsIndexes", testRestoreIndexes},
	{"RestoreStartsFeedsAnew", testRestoreFeed},
	{"RestoreKeepsFences", testRestoreFences},
	{"RestoreRefusals", testRestoreRefusals},
}

// archive is the engine as backup and restore see it.
func (b *bundle) archive(e store.Engine) store.Archive {
	b.Helper()
	a, ok := e.(store.Archive)
	if !ok {
		b.Skipf("%T is a view of another engine, and no archive", e)
	}
	return a
}

// info gives what the engine says of a collection.
func (b *bundle) info(coll string) store.CollectionInfo {
	b.Helper()
	all, err := b.archive(b.eng).Collections(b.ctx)
	b.ok(err)
	if !slices.IsSortedFunc(all, func(x, y store.CollectionInfo) int { return strings.Compare(x.Name, y.Name) }) {
		b.Fatalf("the collections are not in order: %v", all)
	}
	i := slices.IndexFunc(all, func(c store.CollectionInfo) bool { return c.Name == coll })
	if i < 0 {
		b.Fatalf("collection %s is not known", coll)
	}
	return all[i]
}

// begin prepares a collection of the test's own, with the indexes and feed of b.spec, for a restore of the test's own.
func (b *bundle) begin(suffix string) (id string, spec store.Spec) {
	b.Helper()
	spec = b.spec
	spec.Name += suffix
	id = "restore of " + spec.Name
	b.ok(b.archive(b.eng).BeginRestore(b.ctx, id, []store.Spec{spec}))
	return id, spec
}

// restore fills and ends a restore, and declares the collection, which is the bundle's from now on.
func (b *bundle) restore(suffix string, recs ...store.Record) {
	b.Helper()
	id, spec := b.begin(suffix)
	a := b.archive(b.eng)
	for page := range slices.Chunk(recs, store.MaxBatch) {
		b.ok(a.Restore(b.ctx, id, spec.Name, page))
	}
	b.ok(a.EndRestore(b.ctx, id))
	b.spec, b.coll = spec, spec.Name
	b.declare(b.eng)
}

// snapshotIDs gives the IDs of a collection in a snapshot, read in pages of limit.
func snapshotIDs(b *bundle, r store.SnapshotReader, coll string, limit int) (ids []string) {
	b.Helper()
	after := ""
	for {
		recs, err := r.All(b.ctx, coll, after, limit)
		b.ok(err)
		if len(recs) == 0 {
			return ids
		}
		for _, rec := range recs {
			ids = append(ids, rec.ID)
		}
		after = ids[len(ids)-1]
	}
}

func testCollections(t *testing.T, f Factory) {
	b := setup(t, f)
	plain := store.Spec{Name: b.coll + "_plain"}
	_, err := b.eng.Declare(b.ctx, plain)
	b.ok(err)
	got := b.info(b.coll)
	equal(b, fmt.Sprint(got.Indexes), "map[a:1 b:1]", "the indexes")
	equal(b, got.Feed, true, "'keeps a feed'")
	equal(b, got.Empty, true, "'is empty'")
	equal(b, got.Restore, "", "the restore under way")
	got = b.info(plain.Name)
	equal(b, len(got.Indexes), 0, "the number of indexes of a plain collection")
	equal(b, got.Feed, false, "'keeps a feed' of a plain collection")
	b.insert(b.until(time.Minute, rec("d", `1`)))
	b.clock.Advance(time.Hour)
	equal(b, b.info(b.coll).Empty, false, "'is empty' with an expired document")
	equal(b, b.info(plain.Name).Empty, true, "'is empty' of the other collection")
}

func testSnapshotStill(t *testing.T, f Factory) {
	b := setup(t, f)
	other := store.Spec{Name: b.coll + "_other"}
	_, err := b.eng.Declare(b.ctx, other)
	b.ok(err)
	b.insert(rec("d1", `1`), rec("d2", `1`), rec("d3", `1`))
	_, err = b.eng.Insert(b.ctx, other.Name, []store.Record{rec("o1", `1`)})
	b.ok(err)
	b.ok(b.archive(b.eng).Snapshot(b.ctx, func(r store.SnapshotReader) error {
		b.ok(b.eng.Replace(b.ctx, b.coll, rec("d1", `2`)))
		b.ok(b.eng.Delete(b.ctx, b.coll, "d2", 0))
		b.insert(rec("d4", `1`))
		_, err := b.eng.Insert(b.ctx, other.Name, []store.Record{rec("o2", `1`)})
		b.ok(err)
		recs, err := r.All(b.ctx, b.coll, "", 10)
		b.ok(err)
		equal(b, len(recs), 3, "the number of documents")
		equal(b, string(recs[0].Body), `1`, "the body of the document replaced since")
		equal(b, recs[0].Rev, 1, "its revision")
		same(b, snapshotIDs(b, r, b.coll, 2), []string{"d1", "d2", "d3"}, "the documents")
		same(b, snapshotIDs(b, r, other.Name, 2), []string{"o1"}, "the documents of the collection that is read last")
		return nil
	}))
	same(b, b.all(10), []string{"d1", "d3", "d4"}, "the documents outside of the snapshot")
}

func testSnapshotEverything(t *testing.T, f Factory) {
	b := setup(t, f)
	body := ` {"v": 1.0} `
	b.insert(b.until(time.Minute, rec("gone", `1`)), b.until(time.Hour, rec("later", body, in("a", "x", 1))))
	b.ok(b.eng.Add(b.ctx, b.coll, "counter", map[string]int64{"x": 2}))
	b.clock.Advance(time.Minute)
	b.ok(b.archive(b.eng).Snapshot(b.ctx, func(r store.SnapshotReader) error {
		all, err := r.Collections(b.ctx)
		b.ok(err)
		equal(b, slices.ContainsFunc(all, func(c store.CollectionInfo) bool { return c.Name == b.coll && c.Feed && !c.Empty }), true, "'the collection is listed'")
		recs, err := r.All(b.ctx, b.coll, "", 10)
		b.ok(err)
		equal(b, len(recs), 2, "the number of documents: none that has expired")
		equal(b, string(recs[0].Body), `{"x":2}`, "the body of the counters")
		equal(b, string(recs[1].Body), body, "the body")
		equal(b, recs[1].Expires.UnixMilli(), b.clock.Now().Add(time.Hour-time.Minute).UnixMilli(), "the expiry")
		equal(b, len(recs[1].Entries), 0, "the number of entries")
		for _, limit := range []int{0, -1, store.MaxBatch + 1} {
			_, err = r.All(b.ctx, b.coll, "", limit)
			b.fails(err, fmt.Sprintf("a page of %d", limit))
		}
		_, err = r.All(b.ctx, "No;Name", "", 1)
		b.fails(err, "a bad collection name")
		return nil
	}))
}

func testSnapshotEnds(t *testing.T, f Factory) {
	b := setup(t, f)
	own := errors.New("own")
	b.is(b.archive(b.eng).Snapshot(b.ctx, func(store.SnapshotReader) error { return own }), own)
	b.insert(rec("d", `1`))
	b.ok(b.archive(b.eng).Snapshot(b.ctx, func(r store.SnapshotReader) error {
		same(b, snapshotIDs(b, r, b.coll, 1), []string{"d"}, "the documents of a snapshot begun later")
		return nil
	}))
	b.ok(b.eng.Close())
	b.is(b.archive(b.eng).Snapshot(b.ctx, func(store.SnapshotReader) error { return nil }), store.ErrUnavailable)
}

func testRestoreAsItWas(t *testing.T, f Factory) {
	b := setup(t, f)
	r := b.until(time.Hour, rec("later", ` {"v": 1.0} `))
	r.Rev = 7
	want := []store.Record{r, rec("plain", `null`), rec("text", `"x"`), rec("海\x00", `{"a":"1"}`)}
	want[3].Rev = 1 << 40
	b.restore("_to", want...)
	for _, w := range want {
		got := b.one(w.ID)
		equal(b, string(got.Body), string(w.Body), "the body of "+w.ID)
		equal(b, got.Rev, w.Rev, "the revision of "+w.ID)
		equal(b, got.Expires.Equal(w.Expires), true, "'the expiry is kept' of "+w.ID)
	}
	same(b, b.all(10), []string{"later", "plain", "text", "海\x00"}, "the documents")
	b.is(b.eng.Replace(b.ctx, b.coll, rec("later", `2`)), store.ErrConflict)
	r.Body = []byte(`2`)
	b.ok(b.eng.Replace(b.ctx, b.coll, r))
	equal(b, b.one("later").Rev, 8, "the revision after a replace")
	b.is(b.insertOne(rec("plain", `1`)), store.ErrExists)
	b.clock.Advance(time.Hour)
	equal(b, len(b.get("plain", "text")), 2, "the number of documents that never expire")
}

func testRestoreCounters(t *testing.T, f Factory) {
	b := setup(t, f)
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 2, "海.$z<": -1 << 60}))
	b.ok(b.eng.Add(b.ctx, b.coll, "none", nil))
	c, none := b.one("c"), b.one("none")
	document := rec("document", `{"n": 5}`) // not as Add would write it
	b.restore("_to", c, document, none)
	equal(b, string(b.one("c").Body), string(c.Body), "the body of the counters")
	equal(b, string(b.one("none").Body), string(none.Body), "the body of no counters")
	equal(b, string(b.one("document").Body), string(document.Body), "the body of the document")
	b.ok(b.eng.Add(b.ctx, b.coll, "c", map[string]int64{"x": 3}))
	b.ok(b.eng.Add(b.ctx, b.coll, "none", map[string]int64{"x": 3}))
	equal(b, counters(b, "c")["x"], 5, "the counter")
	equal(b, counters(b, "c")["海.$z<"], -1<<60, "the other counter")
	equal(b, counters(b, "none")["x"], 3, "the new counter")
	equal(b, b.one("c").Rev, c.Rev+1, "the revision of the counters")
	// A document that only looks like counters is a document still.
	looks := rec("looks", `{"n":5}`)
	b.restore("_anew", looks)
	b.ok(b.eng.Replace(b.ctx, b.coll, rec("looks", `{"n":6}`, in("a", "x", 1))))
	equal(b, string(b.one("looks").Body), `{"n":6}`, "the body after a replace")
	same(b, b.found("a", "x"), []string{"looks"}, "the hits")
}

func testRestoreEmptyOnly(t *testing.T, f Factory) {
	b := setup(t, f)
	a := b.archive(b.eng)
	b.insert(b.until(time.Minute, rec("d", `1`)))
	b.clock.Advance(time.Hour) // absent for readers, but there
	free := store.Spec{Name: b.coll + "_free"}
	b.is(a.BeginRestore(b.ctx, b.coll, []store.Spec{free, b.spec}), store.ErrExists)
	b.is(a.Restore(b.ctx, b.coll, b.coll, []store.Record{rec("e", `1`)}), store.ErrNotFound)
	b.insert(rec("f", `1`))
	b.declare(b.eng) // is not shut out
}

func testRestoreRepeated(t *testing.T, f Factory) {
	b := setup(t, f)
	a := b.archive(b.eng)
	id, spec := b.begin("_to")
	recs := []store.Record{b.until(time.Hour, rec("d1", `{"n":1}`)), rec("d2", `{"n": 1}`), rec("d3", ``)}
	recs[1].Rev = 4
	b.ok(a.Restore(b.ctx, id, spec.Name, recs[:2]))
	b.ok(a.BeginRestore(b.ctx, id, []store.Spec{spec}))
	b.ok(a.Restore(b.ctx, id, spec.Name, recs))
	b.ok(a.Restore(b.ctx, id, spec.Name, recs))
	for what, change := range map[string]func(r *store.Record){
		"body":      func(r *store.Record) { r.Body = []byte(`{"n":2}`) },
		"revision":  func(r *store.Record) { r.Rev++ },
		"expiry":    func(r *store.Record) { r.Expires = r.Expires.Add(time.Second) },
		"no expiry": func(r *store.Record) { r.Expires = time.Time{} },
	} {
		other := recs[0]
		change(&other)
		if err := a.Restore(b.ctx, id, spec.Name, []store.Record{other}); !errors.Is(err, store.ErrExists) {
			t.Errorf("a record with another %s gives %v", what, err)
		}
	}
	b.ok(a.EndRestore(b.ctx, id))
	b.ok(a.EndRestore(b.ctx, id))
	b.is(a.BeginRestore(b.ctx, id, []store.Spec{spec}), store.ErrExists)
	b.is(a.Restore(b.ctx, id, spec.Name, recs), store.ErrNotFound)
	b.is(a.EndRestore(b.ctx, "never begun, "+b.coll), store.ErrNotFound)
	b.spec, b.coll = spec, spec.Name
	b.declare(b.eng)
	same(b, b.all(10), []string{"d1", "d2", "d3"}, "the documents")
	equal(b, b.one("d2").Rev, 4, "the revision")
}

func testRestoreShutsOut(t *testing.T, f Factory) {
	b := setup(t, f)
	a := b.archive(b.eng)
	id, spec := b.begin("_to")
	equal(b, b.info(spec.Name).Restore, id, "the restore under way")
	_, err := b.eng.Declare(b.ctx, spec)
	b.is(err, store.ErrRestoring)
	changed := spec
	changed.Indexes = map[string]string{"c": "1"}
	_, err = b.eng.Declare(b.ctx, changed)
	b.is(err, store.ErrRestoring)
	_, err = b.eng.Get(b.ctx, spec.Name, []string{"d"})
	b.fails(err, "a read of a collection that is being restored")
	b.ok(a.Restore(b.ctx, id, spec.Name, []store.Record{rec("d", `1`)}))
	b.ok(a.EndRestore(b.ctx, id))
	equal(b, b.info(spec.Name).Restore, "", "the restore under way at the end")
	same(b, sorted(b.stale(spec)), []string{"a", "b"}, "the stale indexes")
}

func testRestoreOfAnother(t *testing.T, f Factory) {
	b := setup(t, f)
	a := b.archive(b.eng)
	id, spec := b.begin("_to")
	b.is(a.BeginRestore(b.ctx, "another, "+b.coll, []store.Spec{spec}), store.ErrRestoring)
	b.is(a.Restore(b.ctx, "another, "+b.coll, spec.Name, []store.Record{rec("d", `1`)}), store.ErrNotFound)
	b.is(a.Restore(b.ctx, "", b.coll, []store.Record{rec("d", `1`)}), store.ErrNotFound)
	b.ok(a.Restore(b.ctx, id, spec.Name, []store.Record{rec("d", `1`)}))
}

// testRestoreIndexes has the indexes complete before, to see that they are not complete any more.
func testRestoreIndexes(t *testing.T, f Factory) {
	b := setup(t, f)
	def := store.Def[item]{Name: b.coll + "_items", Feed: true, Indexes: []store.Index[item]{{
		Name: "i", Version: "1", Keys: func(_ string, v *item) ([]store.Key, store.Key) { return []store.Key{store.K(v.Group)}, store.K(v.N) },
	}}}
	_, err := store.Open(b.ctx, b.eng, def)
	b.ok(err)
	a := b.archive(b.eng)
	spec := store.Spec{Name: def.Name, Indexes: map[string]string{"i": "1", "former": "1"}, Feed: true}
	b.ok(a.BeginRestore(b.ctx, def.Name, []store.Spec{spec}))
	var recs []store.Record
	for i := range 20 {
		recs = append(recs, rec(fmt.Sprintf("d%02d", i), fmt.Sprintf(`{"group":"g%d","n":%d}`, i%2, i)))
	}
	b.ok(a.Restore(b.ctx, def.Name, def.Name, recs))
	b.ok(a.EndRestore(b.ctx, def.Name))
	c, err := store.Open(b.ctx, b.eng, def)
	b.ok(err)
	p, err := c.Find(b.ctx, store.Query{Index: "i", Eq: store.K("g1"), Desc: true, Limit: 2})
	b.ok(err)
	equal(b, len(p.Items), 2, "the number of hits")
	equal(b, p.Items[0].ID, "d19", "the first hit")
	_, err = c.Update(b.ctx, "d19", func(v *item) error { v.Group = "g0"; return nil })
	b.ok(err)
	n, err := c.Count(b.ctx, store.Query{Index: "i", Eq: store.K("g1")}, 100)
	b.ok(err)
	equal(b, n, 9, "the count after an update")
}

// testRestoreFeed follows with tokens of another database, of which another collection takes the place.
func testRestoreFeed(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d1", `1`), rec("d2", `1`), rec("d3", `1`))
	b.ok(b.eng.Delete(b.ctx, b.coll, "d3", 0))
	_, end := b.follow(b.eng, "", 10)
	_, early, err := b.eng.Changes(b.ctx, b.coll, "", 1)
	b.ok(err)
	recs := []store.Record{b.one("d1"), b.one("d2")}
	b.restore("_to", recs...)
	for _, token := range []string{early, end} {
		_, _, err := b.eng.Changes(b.ctx, b.coll, token, 10)
		b.is(err, store.ErrBadCursor)
	}
	newest, token := b.follow(b.eng, "", 1)
	same(b, describe(newest), []string{"d1:1", "d2:1"}, "the restored feed")
	b.insert(rec("d4", `1`))
	b.ok(b.eng.Delete(b.ctx, b.coll, "d1", 0))
	newest, _ = b.follow(b.eng, token, 10)
	equal(b, newest["d4"], 1, "the revision of the document inserted since")
	rev, told := newest["d1"]
	equal(b, told && rev == 0, true, "'the feed tells of the deletion since'")
	// Once more, from the restored one.
	end = token
	b.restore("_again", recs...)
	_, _, err = b.eng.Changes(b.ctx, b.coll, end, 10)
	b.is(err, store.ErrBadCursor)
}

func testRestoreFences(t *testing.T, f Factory) {
	b := setup(t, f)
	held := rec("work", `{"owner":"dead/1","fence":41,"term":20000}`)
	held.Rev = 300
	free, err := store.FreeLease(held)
	b.ok(err)
	equal(b, string(free.Body), `{"owner":"","fence":41,"term":20000}`, "the lease")
	equal(b, free.Rev, held.Rev, "its revision")
	_, err = store.FreeLease(rec("work", `[]`))
	b.fails(err, "something that is no lease")
}

func testRestoreRefusals(t *testing.T, f Factory) {
	b := setup(t, f)
	a := b.archive(b.eng)
	b.fails(a.BeginRestore(b.ctx, "", []store.Spec{{Name: b.coll + "_x"}}), "a restore without a name")
	b.fails(a.BeginRestore(b.ctx, "x", []store.Spec{{Name: "No;Name"}}), "a bad collection name")
	id, spec := b.begin("_to")
	for what, r := range map[string]store.Record{
		"no ID":              rec("", `1`),
		"a long ID":          rec(strings.Repeat("x", 513), `1`),
		"an ID not of UTF-8": rec("\xff", `1`),
		"revision 0":         {ID: "d", Body: []byte(`1`)},
	} {
		b.fails(a.Restore(b.ctx, id, spec.Name, []store.Record{r}), what)
	}
	b.is(a.Restore(b.ctx, id, spec.Name, []store.Record{rec("d", strings.Repeat(" ", store.MaxBody+1))}), store.ErrTooLarge)
	b.fails(a.Restore(b.ctx, id, spec.Name, make([]store.Record, store.MaxBatch+1)), "too many records")
	b.ok(a.Restore(b.ctx, id, spec.Name, nil))
	b.fails(a.Restore(b.ctx, id, "No;Name", nil), "a bad collection name")
}
