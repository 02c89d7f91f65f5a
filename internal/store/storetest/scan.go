package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

var scanTests = []testCase{
	{"KeyOrder", testKeyOrder},
	{"RangesAgainstModel", testRanges},
	{"CursorAcrossEqualKeys", testCursor},
	{"CursorOutsideRange", testCursorOutside},
	{"SeveralEntries", testSeveralEntries},
	{"EmptyKeys", testEmptyKeys},
	{"KeysOnly", testKeysOnly},
	{"CountWithCap", testCount},
	{"PrefixRange", testPrefix},
	{"TypedPages", testTyped},
	{"SeveralTuples", testSeveralTuples},
	{"BadCursors", testBadCursors},
}

func testKeyOrder(t *testing.T, f Factory) {
	b := setup(t, f)
	// In order, as the tuples are.
	tuples := []store.Key{
		store.K(), store.K(math.MinInt64), store.K(-256), store.K(-1), store.K(-1, "x"), store.K(0), store.K(1), store.K(1, -5), store.K(1, ""),
		store.K(1, "", 0), store.K(1, "a"), store.K(255), store.K(256), store.K(int64(1) << 40), store.K(math.MaxInt64),
		store.K(""), store.K("", 1), store.K("\x00"), store.K("\x00\x00"), store.K("\x00\x01"), store.K("\x00a"), store.K("\x01"), store.K("A"), store.K("a"),
		store.K("a", 1), store.K("a", "b"), store.K("a\x00"), store.K("a\x00b"), store.K("a\x01"), store.K("ab"), store.K("é"), store.K("海"), store.K("海南"),
		store.K("😀"),
	}
	want := make([]string, len(tuples))
	var recs []store.Record
	for i, k := range tuples {
		want[i] = fmt.Sprintf("%c%02d", 'z'-i%26, i) // IDs in another order than the keys
		recs = append(recs, store.Record{ID: want[i], Body: []byte(`1`), Entries: []store.Entry{{Index: "a", Eq: store.K("x"), Order: k}}})
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(recs), func(i, j int) { recs[i], recs[j] = recs[j], recs[i] })
	b.insert(recs...)
	same(b, b.found("a", "x"), want, "ascending")
	slices.Reverse(want)
	same(b, hitIDs(b.scan(store.Scan{Index: "a", Eq: store.K("x"), Desc: true}, false)), want, "descending")
}

// testRanges compares scans, page by page, and counts with a list that is sorted and cut in Go.
func testRanges(t *testing.T, f Factory) {
	b := setup(t, f)
	r := rand.New(rand.NewPCG(3, 4))
	var positions []store.Position
	var recs []store.Record
	for i := range 120 {
		p := store.Position{Order: store.K(r.IntN(12), fmt.Sprint(r.IntN(3))), ID: fmt.Sprintf("%c%d", 'a'+rune(r.IntN(26)), i)}
		positions = append(positions, p)
		recs = append(recs, store.Record{ID: p.ID, Body: []byte(`1`), Entries: []store.Entry{
			{Index: "a", Eq: store.K("x"), Order: p.Order}, {Index: "a", Eq: store.K("w"), Order: p.Order}, {Index: "b", Eq: store.K("x"), Order: store.K(i)},
		}})
	}
	b.insert(recs...)
	slices.SortFunc(positions, comparePositions)
	for range 150 {
		s := store.Scan{Index: "a", Eq: store.K("x"), Desc: r.IntN(2) == 0, Limit: 1 + r.IntN(40)}
		if r.IntN(3) > 0 {
			s.From = store.K(r.IntN(13))
		}
		if r.IntN(3) > 0 {
			s.To = store.K(r.IntN(13), "1")
		}
		var want []string
		for _, p := range positions {
			if (s.From == nil || bytes.Compare(p.Order, s.From) >= 0) && (s.To == nil || bytes.Compare(p.Order, s.To) < 0) {
				want = append(want, p.ID)
			}
		}
		n, err := b.eng.Count(b.ctx, b.coll, s, 1000)
		b.ok(err)
		equal(b, n, len(want), fmt.Sprintf("the count of %+v", s))
		if s.Desc {
			slices.Reverse(want)
		}
		same(b, b.pages(s, r.IntN(2) == 0), want, fmt.Sprintf("the pages of %+v", s))
	}
}

func comparePositions(a, b store.Position) int {
	return cmp.Or(bytes.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
}

// pages gives the IDs of all pages of a scan.
func (b *bundle) pages(s store.Scan, keysOnly bool) []string {
	b.Helper()
	var ids []string
	for {
		hits := b.scan(s, keysOnly)
		ids = append(ids, hitIDs(hits)...)
		if len(hits) > s.Limit {
			b.Fatalf("a page of %d hits, the limit is %d", len(hits), s.Limit)
		}
		if len(hits) < s.Limit {
			return ids
		}
		s.After = &hits[len(hits)-1].Position
	}
}

func testCursor(t *testing.T, f Factory) {
	b := setup(t, f)
	for i := range 7 {
		b.insert(rec(fmt.Sprint("d", i), `1`, in("a", "x", "same")))
	}
	s := store.Scan{Index: "a", Eq: store.K("x"), Limit: 3}
	first := b.scan(s, false)
	same(b, hitIDs(first), []string{"d0", "d1", "d2"}, "the first page")
	// The page goes on at its place, whatever became of the document there.
	b.ok(b.eng.Delete(b.ctx, b.coll, "d2", 0))
	b.insert(rec("d1a", `1`, in("a", "x", "same")), rec("d2a", `1`, in("a", "x", "same")))
	s.After = &first[2].Position
	same(b, hitIDs(b.scan(s, false)), []string{"d2a", "d3", "d4"}, "the second page")
	s.Desc = true
	same(b, hitIDs(b.scan(s, false)), []string{"d1a", "d1", "d0"}, "the page before, descending")
}

func testCursorOutside(t *testing.T, f Factory) {
	b := setup(t, f)
	for i := range 6 {
		b.insert(rec(fmt.Sprint("d", i), `1`, in("a", "x", i)))
	}
	s := store.Scan{Index: "a", Eq: store.K("x"), From: store.K(2), To: store.K(4), After: &store.Position{Order: store.K(0), ID: "d0"}}
	same(b, hitIDs(b.scan(s, false)), []string{"d2", "d3"}, "hits after a position before the range")
	s.After = &store.Position{Order: store.K(5), ID: "d5"}
	same(b, hitIDs(b.scan(s, false)), nil, "hits after a position behind the range")
	s.Desc = true
	same(b, hitIDs(b.scan(s, false)), []string{"d3", "d2"}, "hits, descending, after a position above the range")
	s.After = &store.Position{Order: store.K(0), ID: "d0"}
	same(b, hitIDs(b.scan(s, false)), nil, "hits, descending, after a position below the range")
}

func testSeveralEntries(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(
		rec("d", `1`, in("a", "x", 2), in("a", "y", 2), in("a", "z", 2), in("b", "x", "o")),
		rec("e", `1`, in("a", "x", 1), in("a", "y", 1)),
		rec("twice", `1`, in("a", "z", 3), in("a", "z", 3)),
		rec("none", `1`),
	)
	same(b, b.found("a", "x"), []string{"e", "d"}, "hits under x")
	same(b, b.found("a", "y"), []string{"e", "d"}, "hits under y")
	same(b, b.found("a", "z"), []string{"d", "twice"}, "hits under z")
	same(b, b.found("b", "x"), []string{"d"}, "hits in the other index")
	same(b, b.found("a", "none"), nil, "hits under what nobody has")
	same(b, b.found("a", "xy"), nil, "hits under a longer key")
	b.ok(b.eng.Delete(b.ctx, b.coll, "twice", 1))
	same(b, b.found("a", "z"), []string{"d"}, "hits under z after deletion")
}

func testEmptyKeys(t *testing.T, f Factory) {
	b := setup(t, f)
	for _, id := range []string{"b", "a", "c"} {
		b.insert(store.Record{ID: id, Body: []byte(`1`), Entries: []store.Entry{{Index: "a"}, {Index: "b", Eq: store.K("x")}}})
	}
	want := []string{"a", "b", "c"}
	same(b, b.pages(store.Scan{Index: "a", Limit: 2}, false), want, "hits under the empty tuple")
	same(b, b.pages(store.Scan{Index: "a", Eq: store.Key{}, Limit: 1}, true), want, "hits under the empty tuple that is not nil")
	same(b, b.pages(store.Scan{Index: "b", Eq: store.K("x"), Limit: 2}, false), want, "hits with an empty order")
	b.ok(b.eng.Replace(b.ctx, b.coll, rec("b", `2`)))
	same(b, b.pages(store.Scan{Index: "a", Limit: 2}, false), []string{"a", "c"}, "hits after one lost its entries")
}

func testKeysOnly(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("d", `{"v":1}`, in("a", "x", 5, "q")), rec("e", `{"v":2}`, in("a", "x", 4)))
	s := store.Scan{Index: "a", Eq: store.K("x")}
	keys := b.scan(s, true)
	same(b, hitIDs(keys), []string{"e", "d"}, "the keys")
	equal(b, string(keys[1].Order), string(store.K(5, "q")), "the order of a key")
	hits := b.scan(s, false)
	equal(b, string(hits[1].Order), string(store.K(5, "q")), "the order of a hit")
	equal(b, string(hits[1].Record.Body), `{"v":1}`, "the body of a hit")
	equal(b, hits[1].Record.Rev, 1, "the revision of a hit")
	equal(b, len(hits[1].Record.Entries), 0, "the number of a hit's entries")
}

func testCount(t *testing.T, f Factory) {
	b := setup(t, f)
	for i := range 10 {
		b.insert(rec(fmt.Sprint("d", i), `1`, in("a", "x", i)))
	}
	equal(b, b.count("a", "x", 1), 1, "the count up to 1")
	equal(b, b.count("a", "x", 9), 9, "the count up to 9")
	equal(b, b.count("a", "x", 10), 10, "the count up to 10")
	equal(b, b.count("a", "x", 5000), 10, "the count up to 5000")
	equal(b, b.count("a", "y", 5), 0, "the count of nothing")
	n, err := b.eng.Count(b.ctx, b.coll, store.Scan{
		Index: "a", Eq: store.K("x"), From: store.K(2), To: store.K(7), Limit: 1, After: &store.Position{Order: store.K(5), ID: "d5"},
	}, 100)
	b.ok(err)
	equal(b, n, 5, "the count of a range, whatever limit and position")
}

func testPrefix(t *testing.T, f Factory) {
	b := setup(t, f)
	for i, k := range []store.Key{store.K("a"), store.K("b"), store.K("b", 1), store.K("b", "x"), store.K("ba"), store.K("c")} {
		b.insert(store.Record{ID: fmt.Sprint("d", i), Body: []byte(`1`), Entries: []store.Entry{{Index: "a", Eq: store.K("x"), Order: k}}})
	}
	p := store.K("b")
	s := store.Scan{Index: "a", Eq: store.K("x"), From: p, To: p.After()}
	same(b, hitIDs(b.scan(s, false)), []string{"d1", "d2", "d3"}, "the tuples that begin with b")
}

// item is a typed document.
type item struct {
	Group string `json:"group"`
	N     int    `json:"n"`
}

// items opens the typed view of a collection of its own.
func (b *bundle) items() *store.Collection[item] {
	b.Helper()
	c, err := store.Open(b.ctx, b.eng, store.Def[item]{
		Name: b.coll + "_items",
		Indexes: []store.Index[item]{{Name: "by_group", Version: "1", Keys: func(_ string, v *item) ([]store.Key, store.Key) {
			return []store.Key{store.K(v.Group)}, store.K(v.N)
		}}},
	})
	b.ok(err)
	return c
}

func testTyped(t *testing.T, f Factory) {
	b := setup(t, f)
	c := b.items()
	var docs []store.Item[item]
	for i := range 1203 {
		docs = append(docs, store.Item[item]{ID: fmt.Sprintf("d%04d", i), V: item{Group: "g", N: i / 5}})
	}
	errs, err := c.InsertMany(b.ctx, docs)
	b.ok(err)
	for _, err := range errs {
		b.ok(err)
	}
	q := store.Query{Index: "by_group", Eq: store.K("g"), Limit: 100, Desc: true}
	got := 0
	for {
		p, err := c.Find(b.ctx, q)
		b.ok(err)
		for _, d := range p.Items {
			equal(b, d.ID, fmt.Sprintf("d%04d", 1202-got), "the next document")
			equal(b, d.V.N, (1202-got)/5, "its value")
			got++
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			break
		}
	}
	equal(b, got, 1203, "the number of documents in all pages")
	d, err := c.Update(b.ctx, "d0000", func(v *item) error { v.Group = "h"; return nil })
	b.ok(err)
	equal(b, d.Rev, 2, "the revision after an update")
	n := 0
	b.ok(c.Each(b.ctx, q, func(store.Doc[item]) error { n++; return nil }))
	equal(b, n, 1202, "the number of documents that Each gives")
}

// testSeveralTuples pages over what is under any of three tuples, in both orders: each document once, none left out.
func testSeveralTuples(t *testing.T, f Factory) {
	b := setup(t, f)
	c := b.items()
	var want []string
	for i := range 60 {
		id := fmt.Sprintf("d%02d", i)
		b.ok(c.Insert(b.ctx, id, item{Group: string(rune('a' + i%4)), N: i / 7}))
		if i%4 != 3 {
			want = append(want, id)
		}
	}
	for _, desc := range []bool{false, true} {
		for _, limit := range []int{1, 4, 100} {
			// "a" twice: a document under two of the tuples is given once.
			q := store.Query{Index: "by_group", Eq: store.K("a"), Or: []store.Key{store.K("b"), store.K("a"), store.K("c")}, Limit: limit, Desc: desc}
			var got []string
			for {
				p, err := c.Find(b.ctx, q)
				b.ok(err)
				for _, d := range p.Items {
					got = append(got, d.ID)
				}
				if q.Cursor = p.Next; q.Cursor == "" {
					break
				}
			}
			if desc {
				slices.Reverse(got)
			}
			same(b, got, want, "the documents of three groups")
		}
	}
}

func testBadCursors(t *testing.T, f Factory) {
	b := setup(t, f)
	c := b.items()
	for _, cursor := range []string{"!", "a", "AAAA", "IGEA", "IGEAAg", "zzzz"} {
		_, err := c.Find(b.ctx, store.Query{Index: "by_group", Eq: store.K("g"), Cursor: cursor})
		b.is(err, store.ErrBadCursor)
	}
	for _, token := range []string{"!", "-1", "x", "\x00", "1.5"} {
		_, _, err := b.eng.Changes(b.ctx, b.coll, token, 1)
		b.is(err, store.ErrBadCursor)
	}
}
