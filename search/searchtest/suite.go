// Package searchtest is the suite that every search engine must pass, and the measures of how well one finds.
package searchtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/search"
)

// Open gives an engine that has no index yet. The suite closes it.
type Open func(t *testing.T) search.Engine

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	for name, test := range map[string]func(*bundle){
		"put, search and delete":            testPutSearchDelete,
		"older versions lose":               testVersions,
		"older versions lose among writers": testConcurrentVersions,
		"kinds and facets":                  testFacets,
		"facets are not a language":         testHostileFacets,
		"time range":                        testTimeRange,
		"paging by newest is stable":        testNewestPaging,
		"paging by relevance":               testRelevancePaging,
		"the window of relevance ends":      testWindow,
		"newest wants every word":           testNewestWithText,
		"codes":                             testCodes,
		"English":                           testEnglish,
		"text is not a language":            testHostileText,
		"bounds":                            testBounds,
		"bad documents":                     testBadDocuments,
		"rebuild swaps":                     testRebuildSwaps,
		"rebuild keeps writes under way":    testRebuildKeepsWrites,
		"rebuild that fails":                testRebuildFails,
		"many documents":                    testManyDocuments,
		"context that is over":              testContext,
		"Chinese":                           testChinese,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(setup(t, open))
		})
	}
	t.Run("without an index", func(t *testing.T) {
		t.Parallel()
		testNeedsRebuild(&bundle{t: t, e: closing(t, open), ctx: t.Context()})
	})
}

type bundle struct {
	t   *testing.T
	e   search.Engine
	ctx context.Context
}

func closing(t *testing.T, open Open) search.Engine {
	t.Helper()
	e := open(t)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// setup gives an engine with an empty index.
func setup(t *testing.T, open Open) *bundle {
	t.Helper()
	b := &bundle{t: t, e: closing(t, open), ctx: t.Context()}
	b.rebuild(t)
	return b
}

func (b *bundle) rebuild(t *testing.T, docs ...search.Document) {
	t.Helper()
	if err := b.e.Rebuild(b.ctx, Docs(docs)); err != nil {
		t.Fatalf("rebuild: %v", err)
	}
}

func (b *bundle) put(t *testing.T, docs ...search.Document) {
	t.Helper()
	if err := b.e.Put(b.ctx, docs); err != nil {
		t.Fatalf("put: %v", err)
	}
}

func (b *bundle) search(t *testing.T, q search.Query) search.Result {
	t.Helper()
	r, err := b.e.Search(b.ctx, q)
	if err != nil {
		t.Fatalf("search %+v: %v", q, err)
	}
	return r
}

// finds fails unless the query finds exactly these documents, in any order.
func (b *bundle) finds(t *testing.T, q search.Query, want ...string) {
	t.Helper()
	r := b.search(t, q)
	got := ids(r.Hits)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("search %+v: found %q, want %q", q, got, want)
	}
	if r.Total != len(want) {
		t.Errorf("search %+v: total %d, want %d", q, r.Total, len(want))
	}
}

func ids(hits []search.Hit) []string {
	out := make([]string, len(hits))
	for i, h := range hits {
		out[i] = h.ID
	}
	return out
}

// Docs gives documents one after the other.
func Docs(docs []search.Document) iter.Seq2[search.Document, error] {
	return func(yield func(search.Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

var epoch = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)

func doc(id, title string) search.Document {
	return search.Document{ID: id, Kind: "warning", Title: map[string]string{hans: title}, Time: epoch, Version: 1}
}

func wantKind(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code {
		t.Errorf("error %v: kind %d code %s, want %d %s", err, fault.KindOf(err), fault.CodeOf(err), kind, code)
	}
}

func testNeedsRebuild(b *bundle) {
	t, e, ctx := b.t, b.e, b.ctx
	_, searchErr := e.Search(ctx, search.Query{Text: "香水"})
	for name, err := range map[string]error{
		"ready": e.Ready(ctx), "search": searchErr, "put": e.Put(ctx, []search.Document{doc("a", "香水")}),
		"delete": e.Delete(ctx, []string{"a"}),
	} {
		if !errors.Is(err, search.ErrNeedsRebuild) || !errors.Is(err, search.ErrUnavailable) {
			t.Errorf("%s without an index: %v, want ErrNeedsRebuild", name, err)
		}
		wantKind(t, err, fault.Unavailable, "search_unavailable")
	}
	if err := e.Rebuild(ctx, Docs([]search.Document{doc("a", "香水")})); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(ctx); err != nil {
		t.Errorf("ready after a rebuild: %v", err)
	}
	r, err := e.Search(ctx, search.Query{Text: "香水"})
	if err != nil || len(r.Hits) != 1 || r.Hits[0].ID != "a" || r.Hits[0].Kind != "warning" {
		t.Errorf("search after a rebuild: %+v, %v", r, err)
	}
}

func testPutSearchDelete(b *bundle) {
	t := b.t
	b.put(t, doc("w/2025·1", "婴儿奶粉"), doc("w2", "香水"), doc("w3", "香水瓶"))
	b.finds(t, search.Query{Text: "奶粉"}, "w/2025·1")
	b.finds(t, search.Query{Text: "香水"}, "w2", "w3")
	b.finds(t, search.Query{}, "w/2025·1", "w2", "w3")
	b.put(t, search.Document{ID: "w2", Kind: "warning", Title: map[string]string{hans: "口红"}, Time: epoch, Version: 2})
	b.finds(t, search.Query{Text: "香水"}, "w3")
	b.finds(t, search.Query{Text: "口红"}, "w2")
	if err := b.e.Delete(b.ctx, []string{"w2", "w/2025·1", "absent"}); err != nil {
		t.Fatal(err)
	}
	b.finds(t, search.Query{}, "w3")
	if err := b.e.Put(b.ctx, nil); err != nil {
		t.Errorf("put of nothing: %v", err)
	}
	if err := b.e.Delete(b.ctx, nil); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	b.put(t, doc("w2", "手表"))
	b.finds(t, search.Query{Text: "手表"}, "w2")
}

func versioned(title string, v int64) search.Document {
	d := doc("w", title)
	d.Version = v
	return d
}

func testVersions(b *bundle) {
	t := b.t
	b.put(t, versioned("红色", 5))
	b.put(t, versioned("蓝色", 4))
	b.finds(t, search.Query{Text: "蓝色"})
	b.finds(t, search.Query{Text: "红色"}, "w")
	b.put(t, versioned("黄色", 5))
	b.finds(t, search.Query{Text: "黄色"}, "w")
	b.put(t, versioned("橙色", 8), versioned("绿色", 7), doc("x", "香水"))
	b.finds(t, search.Query{Text: "橙色"}, "w")
	b.finds(t, search.Query{}, "w", "x")
}

func testConcurrentVersions(b *bundle) {
	t := b.t
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for v := int64(i); v < 24; v += 8 {
				if err := b.e.Put(b.ctx, []search.Document{versioned("版本"+strings.Repeat("新", int(v)+1), v)}); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	b.finds(t, search.Query{Text: "版本"}, "w")
	b.put(t, versioned("过时", 22))
	b.finds(t, search.Query{Text: "过时"})
	b.put(t, versioned("当前", 23))
	b.finds(t, search.Query{Text: "当前"}, "w")
}

func faceted(id, kind string, facets map[string][]string) search.Document {
	d := doc(id, "香水 "+id)
	d.Kind, d.Facets = kind, facets
	return d
}

func testFacets(b *bundle) {
	t := b.t
	b.put(t,
		faceted("a", "warning", map[string][]string{"level": {"red"}, "category": {"婴幼儿食品", "乳制品"}}),
		faceted("b", "warning", map[string][]string{"level": {"orange"}, "category": {"乳制品"}}),
		faceted("c", "notice", map[string][]string{"category": {"化妆品"}, "source": {"Safety Gate"}}),
		faceted("d", "product", nil))
	type facets = map[string][]string
	b.finds(t, search.Query{Kinds: []string{"warning"}}, "a", "b")
	b.finds(t, search.Query{Kinds: []string{"notice", "product"}, Text: "香水"}, "c", "d")
	b.finds(t, search.Query{Facets: facets{"level": {"red", "orange"}}}, "a", "b")
	b.finds(t, search.Query{Facets: facets{"level": {"red"}, "category": {"乳制品"}}}, "a")
	b.finds(t, search.Query{Facets: facets{"level": {"orange"}, "category": {"化妆品"}}})
	b.finds(t, search.Query{Facets: facets{"level": {}}}, "a", "b", "c", "d")
	b.finds(t, search.Query{Facets: facets{"category": {"乳製品"}}}, "a", "b")
	b.finds(t, search.Query{Facets: facets{"source": {"safety gate"}}}, "c")
	b.finds(t, search.Query{Facets: facets{"source": {"Safety"}}})
	b.finds(t, search.Query{Facets: facets{"nowhere": {"red"}}})
}

func testHostileFacets(b *bundle) {
	t := b.t
	values := []string{
		`"`, `'`, `\`, `\"`, `a" OR kind = "warning`, `a' OR 1=1 --`, `level=red`, `*`, `) OR (`, `红"色`, "a\nb", "tab\there", "", "NULL",
		"EXISTS", strings.Repeat("长", 300),
	}
	for i, v := range values {
		b.put(t, faceted("d"+strconv.Itoa(i), "warning", map[string][]string{"hazard": {v}}))
	}
	for i, v := range values {
		b.finds(t, search.Query{Facets: map[string][]string{"hazard": {v}}}, "d"+strconv.Itoa(i))
	}
	_, err := b.e.Search(b.ctx, search.Query{Facets: map[string][]string{`hazard" OR "`: {"x"}}})
	wantKind(t, err, fault.Invalid, "invalid_search_filter")
	_, err = b.e.Search(b.ctx, search.Query{Kinds: []string{`warning" OR kind != "`}})
	wantKind(t, err, fault.Invalid, "invalid_search_filter")
}

func testTimeRange(b *bundle) {
	t := b.t
	for i := range 5 {
		d := doc("d"+strconv.Itoa(i), "香水")
		d.Time = epoch.Add(time.Duration(i) * time.Millisecond)
		b.put(t, d)
	}
	undated := doc("undated", "香水")
	undated.Time = time.Time{}
	b.put(t, undated)
	at := func(i int) time.Time { return epoch.Add(time.Duration(i) * time.Millisecond) }
	b.finds(t, search.Query{From: at(1), To: at(3)}, "d1", "d2")
	b.finds(t, search.Query{Text: "香水", From: at(4)}, "d4")
	b.finds(t, search.Query{To: at(1)}, "undated", "d0")
	b.finds(t, search.Query{From: at(3), To: at(3)})
	b.finds(t, search.Query{From: at(1).In(time.FixedZone("CST", 8*3600)), To: at(2)}, "d1")
	if got := ids(b.search(t, search.Query{}).Hits); !slices.Equal(got, []string{"d4", "d3", "d2", "d1", "d0", "undated"}) {
		t.Errorf("newest first: %q", got)
	}
}

func testManyDocuments(b *bundle) {
	t := b.t
	docs := make([]search.Document, 1203)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("d%04d", i), fmt.Sprintf("第%d号 batch%d", i, i))
		docs[i].Time = epoch.Add(time.Duration(i) * time.Second)
	}
	b.put(t, docs...)
	b.finds(t, search.Query{Text: "batch1199"}, "d1199")
	if r := b.search(t, search.Query{Limit: 1}); r.Hits[0].ID != "d1202" {
		t.Errorf("the newest is %q", r.Hits[0].ID)
	}
	all := make([]string, len(docs))
	for i := range docs {
		all[i] = docs[i].ID
	}
	if err := b.e.Delete(b.ctx, all[:1201]); err != nil {
		t.Fatal(err)
	}
	b.finds(t, search.Query{}, all[1201:]...)
}

func testContext(b *bundle) {
	t := b.t
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, searchErr := b.e.Search(ctx, search.Query{Text: "香水"})
	for name, err := range map[string]error{
		"search": searchErr, "put": b.e.Put(ctx, []search.Document{doc("a", "香水")}),
		"rebuild": b.e.Rebuild(ctx, Docs([]search.Document{doc("b", "口红")})),
	} {
		if !errors.Is(err, search.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want ErrUnavailable and context.Canceled", name, err)
		}
	}
	if err := b.e.Ready(b.ctx); err != nil {
		t.Errorf("ready after a rebuild that was given up: %v", err)
	}
	b.put(t, doc("c", "手表"))
	b.finds(t, search.Query{Text: "手表"}, "c")
}
