package searchtest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/search"
)

// series puts n documents, several to a second, and gives their IDs newest first.
func (b *bundle) series(t *testing.T, n int) []string {
	t.Helper()
	docs := make([]search.Document, n)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("d%03d", i), "香水 "+strings.Repeat("淡 ", i%3))
		docs[i].Time = epoch.Add(time.Duration(i/4) * time.Second)
	}
	b.put(t, docs...)
	got := ids(b.search(t, search.Query{Limit: n}).Hits)
	if len(got) != n {
		t.Fatalf("%d of %d documents in one page", len(got), n)
	}
	return got
}

func testNewestPaging(b *bundle) {
	t := b.t
	order := b.series(t, 57)
	if !slices.IsSortedFunc(order, func(x, y string) int { return groupOf(y) - groupOf(x) }) {
		t.Errorf("not newest first: %q", order)
	}
	for _, text := range []string{"", "香水"} {
		var got []string
		q := search.Query{Text: text, Sort: search.Newest, Limit: 10}
		for page := 0; ; page++ {
			r := b.search(t, q)
			if r.Total != 57 {
				t.Errorf("page %d: total %d", page, r.Total)
			}
			got = append(got, ids(r.Hits)...)
			if r.Next == "" {
				break
			}
			q.Cursor = r.Next
			newer := doc(fmt.Sprintf("new%d%s", page, text), "香水")
			newer.Time = epoch.Add(time.Hour)
			b.put(t, newer)
		}
		if !slices.Equal(got, order) {
			t.Errorf("text %q: pages gave %q, want %q", text, got, order)
		}
		for page := range 5 {
			if err := b.e.Delete(b.ctx, []string{fmt.Sprintf("new%d%s", page, text)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := b.search(t, search.Query{Limit: 10})
	if err := b.e.Delete(b.ctx, order[5:12]); err != nil {
		t.Fatal(err)
	}
	second := b.search(t, search.Query{Limit: 10, Cursor: first.Next})
	if got := ids(second.Hits); !slices.Equal(got, order[12:22]) {
		t.Errorf("after deletions the second page is %q, want %q", got, order[12:22])
	}
}

func groupOf(id string) int {
	n, err := strconv.Atoi(id[1:])
	if err != nil {
		return -1
	}
	return n / 4
}

func testRelevancePaging(b *bundle) {
	t := b.t
	order := b.series(t, 57)
	var got []string
	q := search.Query{Text: "香水 淡", Limit: 7}
	last := 0.0
	for page := 0; ; page++ {
		r := b.search(t, q)
		for _, h := range r.Hits {
			if len(got) > 0 && h.Score > last {
				t.Errorf("page %d: score %v after %v", page, h.Score, last)
			}
			last = h.Score
			got = append(got, h.ID)
		}
		if r.Next == "" {
			break
		}
		q.Cursor = r.Next
	}
	seen := slices.Sorted(slices.Values(got))
	if len(slices.Compact(seen)) != len(got) {
		t.Errorf("a document came twice: %q", got)
	}
	for _, id := range order {
		n, _ := strconv.Atoi(id[1:])
		if n%3 != 0 && !slices.Contains(got, id) {
			t.Errorf("%s was left out", id)
		}
	}
	first := b.search(t, search.Query{Text: "香水", Limit: 100})
	again := b.search(t, search.Query{Text: "香水", Limit: 100})
	if !slices.Equal(ids(first.Hits), ids(again.Hits)) {
		t.Error("the same query twice gives two orders")
	}
}

func testWindow(b *bundle) {
	t := b.t
	docs := make([]search.Document, search.MaxWindow+30)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("d%04d", i), "香水")
	}
	b.put(t, docs...)
	for _, sort := range []search.Order{search.Relevance, search.Newest} {
		want := len(docs)
		if sort == search.Relevance {
			want = search.MaxWindow
		}
		n, q := 0, search.Query{Text: "香水", Sort: sort, Limit: 97}
		for {
			r := b.search(t, q)
			if n += len(r.Hits); r.Next == "" {
				break
			}
			q.Cursor = r.Next
		}
		if n != want {
			t.Errorf("order %q: %d hits on all pages, want %d", sort, n, want)
		}
	}
}

func testNewestWithText(b *bundle) {
	t := b.t
	both, one := doc("both", "yellow blinds and window cords"), doc("one", "extension cords")
	one.Time = epoch.Add(time.Hour)
	b.put(t, both, one)
	if got := ids(b.search(t, search.Query{Text: "blinds cords"}).Hits); !slices.Equal(got, []string{"both", "one"}) {
		t.Errorf("by relevance: %q", got)
	}
	b.finds(t, search.Query{Text: "blinds cords", Sort: search.Newest}, "both")
}

func testCodes(b *bundle) {
	t := b.t
	coded := func(id string, codes ...string) search.Document {
		d := doc(id, "商品")
		d.Keywords = codes
		return d
	}
	b.put(t, coded("gtin13", "6901234567892"), coded("gtin8", "96385074"), coded("upc", "012345678905"), coded("lot", "L2024-A13"),
		coded("lot2", "L2024-A14"), coded("no", "琼市监召〔2025〕7号"), coded("brand", "Estée Lauder"), coded("near", "6901234567885"))
	for text, want := range map[string]string{
		"6901234567892": "gtin13", "06901234567892": "gtin13", "６９０１２３４５６７８９２": "gtin13", "690 1234 567892": "gtin13",
		"条码 6901234567892": "gtin13", "00000096385074": "gtin8", "12345678905": "upc", "00012345678905": "upc", "l2024-a13": "lot",
		"L2024A13": "lot", "l2024 a13": "lot", "琼市监召〔2025〕7号": "no", "瓊市監召[2025]7號": "no", "ESTEE LAUDER": "brand",
	} {
		r := b.search(t, search.Query{Text: text})
		if len(r.Hits) == 0 || r.Hits[0].ID != want {
			t.Errorf("%q: first of %q is not %s", text, ids(r.Hits), want)
		}
	}
	b.finds(t, search.Query{Text: "6901234567892"}, "gtin13")
	b.finds(t, search.Query{Text: "6901234567800"})
}

func testEnglish(b *bundle) {
	t := b.t
	texts := map[string]string{
		"a": "Perfumes of Grasse", "b": "Crème brûlée torch recall", "c": "Children's scarves", "d": "Babies' teething rings", "e": "Glass ornament",
		"f": "L'Oréal shampoo",
	}
	for id, s := range texts {
		d := doc(id, "")
		d.Title = map[string]string{en: s}
		b.put(t, d)
	}
	for text, want := range map[string]string{
		"perfume": "a", "PERFUME": "a", "perfu": "a", "parfume": "a", "creme brulee": "b", "ｃｒèｍｅ": "b", "childrens scarves": "c", "baby": "d",
		"glass": "e", "glasses ornaments": "e", "loreal": "f", "L’OREAL": "f", "the recalls": "b",
	} {
		b.finds(t, search.Query{Text: text}, want)
	}
	b.finds(t, search.Query{Text: "watch"})
}

func testHostileText(b *bundle) {
	t := b.t
	b.put(t, doc("a", "香水"), doc("b", "口红"), doc("c", "perfume"))
	nothing := []string{
		"*", "?", "+", "-", "!!!", `"`, `\`, "/.*/", "()", "[* TO *]", "{}", "~", "^", ":", "=", "。", "😀", "\x00", "\u200b", "title:*", "_id:a",
		"id:a", "NOT zzz", "kind = notice", `" OR "`, `kind = "x" OR EXISTS`, "//", strings.Repeat("*", search.MaxQuery), "\xff\xfe", "\u202e", "%00", "${jndi}",
	}
	for _, text := range nothing {
		r, err := b.e.Search(b.ctx, search.Query{Text: text})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if len(r.Hits) > 0 {
			t.Errorf("%q found %q", text, ids(r.Hits))
		}
	}
	for _, text := range []string{"+香水", `"香水`, "(香水", "香水*", "香水~2", "香水^9", "-香水", `香\水`, "香水\x00", "title:香水", "香水\xff"} {
		if got := ids(b.search(t, search.Query{Text: text}).Hits); !slices.Equal(got, []string{"a"}) {
			t.Errorf("%q found %q, want a", text, got)
		}
	}
	for _, text := range []string{strings.Repeat("香", search.MaxQuery), strings.Repeat("a b ", search.MaxQuery/4), strings.Repeat("水1x ", search.MaxQuery/4)} {
		if _, err := b.e.Search(b.ctx, search.Query{Text: text}); err != nil {
			t.Errorf("%.12q…: %v", text, err)
		}
	}
	b.finds(t, search.Query{Text: " \t\n　"}, "a", "b", "c")
}

func testBounds(b *bundle) {
	t := b.t
	cursor := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		q    search.Query
		kind fault.Kind
		code string
	}{
		{search.Query{Limit: search.MaxLimit + 1}, fault.Invalid, "invalid_search_limit"},
		{search.Query{Limit: -1}, fault.Invalid, "invalid_search_limit"},
		{search.Query{Text: strings.Repeat("水", search.MaxQuery+1)}, fault.Invalid, "search_text_too_long"},
		{search.Query{Sort: "oldest"}, fault.Invalid, "invalid_search_filter"},
		{search.Query{Cursor: "?"}, fault.Malformed, "bad_cursor"},
		{search.Query{Cursor: cursor("n:1:2")}, fault.Malformed, "bad_cursor"},
		{search.Query{Cursor: cursor("n:1:2:-3")}, fault.Malformed, "bad_cursor"},
		{search.Query{Cursor: cursor("r:10:20")}, fault.Malformed, "bad_cursor"},
		{search.Query{Text: "水", Cursor: cursor("n:1:2:3")}, fault.Malformed, "bad_cursor"},
		{search.Query{Text: "水", Cursor: cursor("r:1000:2000")}, fault.Malformed, "bad_cursor"},
		{search.Query{Text: "水", Cursor: cursor("r:x:2000")}, fault.Malformed, "bad_cursor"},
		{search.Query{Cursor: strings.Repeat("A", 1000)}, fault.Malformed, "bad_cursor"},
	} {
		_, err := b.e.Search(b.ctx, c.q)
		wantKind(t, err, c.kind, c.code)
	}
	b.finds(t, search.Query{Cursor: cursor("n:-9007199254740993:9223372036854775807:0")})
}

func testBadDocuments(b *bundle) {
	t := b.t
	long := make([]string, search.MaxKeywords+1)
	for name, change := range map[string]func(*search.Document){
		"no ID":         func(d *search.Document) { d.ID = "" },
		"long ID":       func(d *search.Document) { d.ID = strings.Repeat("x", 513) },
		"bytes as ID":   func(d *search.Document) { d.ID = "\xff" },
		"no kind":       func(d *search.Document) { d.Kind = "" },
		"odd kind":      func(d *search.Document) { d.Kind = "a b" },
		"version":       func(d *search.Document) { d.Version = -1 },
		"keywords":      func(d *search.Document) { d.Keywords = long },
		"odd facet":     func(d *search.Document) { d.Facets = map[string][]string{"a=b": {"x"}} },
		"facet's width": func(d *search.Document) { d.Facets = map[string][]string{"a": make([]string, 65)} },
	} {
		d := doc("good", "香水")
		change(&d)
		if err := b.e.Put(b.ctx, []search.Document{d}); fault.CodeOf(err) != "invalid_search_document" {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.finds(t, search.Query{})
	big := doc("big", strings.Repeat("香水 perfume ", search.MaxText))
	big.Text = map[string]string{en: "needle"}
	b.put(t, big)
	b.finds(t, search.Query{Text: "needle"}, "big")
}

var errSource = errors.New("the store is gone")

func testRebuildSwaps(b *bundle) {
	t := b.t
	b.put(t, doc("old", "旧品 香水"), doc("both", "旧品 口红"))
	source := func(yield func(search.Document, error) bool) {
		if !yield(doc("both", "新品 口红"), nil) {
			return
		}
		b.finds(t, search.Query{Text: "旧品"}, "old", "both")
		b.finds(t, search.Query{Text: "新品"})
		yield(doc("new", "新品 香水"), nil)
	}
	if err := b.e.Rebuild(b.ctx, source); err != nil {
		t.Fatal(err)
	}
	b.finds(t, search.Query{}, "both", "new")
	b.finds(t, search.Query{Text: "新品"}, "both", "new")
	b.finds(t, search.Query{Text: "旧品"})
	b.put(t, doc("later", "新品 手表"))
	b.finds(t, search.Query{Text: "新品"}, "both", "new", "later")
	b.rebuild(t)
	b.finds(t, search.Query{})
}

func testRebuildKeepsWrites(b *bundle) {
	t := b.t
	source := func(yield func(search.Document, error) bool) {
		b.put(t, versioned("中途更新", 9), doc("deleted", "删除"), doc("back", "删除"))
		if err := b.e.Delete(b.ctx, []string{"deleted", "back", "gone"}); err != nil {
			t.Errorf("delete: %v", err)
		}
		b.put(t, doc("back", "又来"))
		for _, d := range []search.Document{versioned("早先读到", 8), doc("deleted", "删除"), doc("gone", "删除"), doc("kept", "保留")} {
			if !yield(d, nil) {
				return
			}
		}
	}
	if err := b.e.Rebuild(b.ctx, source); err != nil {
		t.Fatal(err)
	}
	b.finds(t, search.Query{}, "w", "back", "kept")
	b.finds(t, search.Query{Text: "中途更新"}, "w")
	b.put(t, doc("deleted", "重新登记"))
	b.finds(t, search.Query{Text: "登记"}, "deleted")
}

func testRebuildFails(b *bundle) {
	t := b.t
	b.put(t, doc("old", "香水"))
	source := func(yield func(search.Document, error) bool) {
		if yield(doc("new", "口红"), nil) {
			yield(search.Document{}, errSource)
		}
	}
	if err := b.e.Rebuild(b.ctx, source); !errors.Is(err, errSource) {
		t.Errorf("rebuild from a source that fails: %v", err)
	}
	b.finds(t, search.Query{}, "old")
	if err := b.e.Rebuild(b.ctx, Docs([]search.Document{{ID: "bad"}})); fault.CodeOf(err) != "invalid_search_document" {
		t.Errorf("rebuild with a bad document: %v", err)
	}
	b.finds(t, search.Query{}, "old")
	b.put(t, doc("more", "手表"))
	b.finds(t, search.Query{}, "old", "more")
	b.rebuild(t, doc("new", "口红"))
	b.finds(t, search.Query{}, "new")
}
