package bleve_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/search"
	"github.com/haisu-trace/haisu/search/bleve"
	"github.com/haisu-trace/haisu/search/searchtest"
)

// many makes n documents out of the hand-made corpus, each with a code of its own.
func many(n int) []search.Document {
	corpus := searchtest.Corpus()
	out := make([]search.Document, n)
	for i := range out {
		d := corpus[i%len(corpus)]
		d.ID = fmt.Sprintf("%s/%d", d.ID, i)
		d.Keywords = []string{fmt.Sprintf("69%011d", i), fmt.Sprintf("L%d", i)}
		d.Facets = map[string][]string{"level": {[]string{"red", "orange", "yellow", "blue"}[i%4]}}
		d.Time = time.Unix(int64(i)*3600, 0)
		d.Version = 1
		out[i] = d
	}
	return out
}

const benchDocs = 10000

func BenchmarkRebuild10000(b *testing.B) {
	docs := many(benchDocs)
	ix := openBench(b)
	for b.Loop() {
		if err := ix.Rebuild(b.Context(), searchtest.Docs(docs)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchDocs*b.N)/b.Elapsed().Seconds(), "docs/s")
}

func BenchmarkPutOne(b *testing.B) {
	ix := openBench(b)
	if err := ix.Rebuild(b.Context(), searchtest.Docs(many(benchDocs))); err != nil {
		b.Fatal(err)
	}
	docs := many(100)
	i := 0
	for b.Loop() {
		if err := ix.Put(b.Context(), docs[i%100:i%100+1]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkSearch10000(b *testing.B) {
	ix := openBench(b)
	if err := ix.Rebuild(b.Context(), searchtest.Docs(many(benchDocs))); err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]search.Query{
		"chinese":  {Text: "嬰幼兒配方奶粉召回"},
		"english":  {Text: "infant formula"},
		"typo":     {Text: "parfume"},
		"code":     {Text: "6900000004711"},
		"newest":   {Facets: map[string][]string{"level": {"red"}}},
		"filtered": {Text: "香水", Facets: map[string][]string{"level": {"red"}}, From: time.Unix(3600*5000, 0)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := ix.Search(b.Context(), q)
				if err != nil || len(r.Hits) == 0 {
					b.Fatal(r, err)
				}
			}
		})
	}
}

// BenchmarkOpen10000 is what the engine adds to a start.
func BenchmarkOpen10000(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "search")
	ix, err := bleve.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	if err := ix.Rebuild(b.Context(), searchtest.Docs(many(benchDocs))); err != nil {
		b.Fatal(err)
	}
	if err := ix.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ix, err := bleve.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		if err := ix.Ready(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := ix.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func openBench(b *testing.B) *bleve.Index {
	b.Helper()
	ix, err := bleve.Open(filepath.Join(b.TempDir(), "search"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := ix.Close(); err != nil {
			b.Error(err)
		}
	})
	return ix
}
