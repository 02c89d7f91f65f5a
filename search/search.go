// Package search is the port through which people find warnings, notices and products by words: in simplified or
// traditional Chinese and in English, by code, and by facet and date.
//
// The index is a projection of the store that can be rebuilt from it at any time. Nothing depends on it but the search
// box: when it is down, searches fail with ErrUnavailable and everything else goes on. The engines are search/bleve (in the
// binary) and search/meili (Meilisearch); search/searchtest is the suite that both pass. What must not differ between them, how a text
// becomes tokens, how a query is read and what a filter means, is in this package; see Prepare and NewPlan.
package search

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
)

// ErrUnavailable says that the engine cannot answer now: it is down, too slow, full, or refuses our key. What the caller wanted is
// delayed, not lost, as long as it asks again.
var ErrUnavailable = errors.New("search: unavailable")

// ErrNeedsRebuild is the ErrUnavailable of an engine that has no complete index: a new one, one of an older program, or one
// found damaged. Searches and writes fail with it until Rebuild has succeeded.
var ErrNeedsRebuild = errors.Join(errors.New("search: the index needs a rebuild"), ErrUnavailable)

// retryAfter is what a client is told to wait. A rebuild of ten thousand documents takes a few seconds.
const retryAfter = 5 * time.Second

// Unavailable is the error for callers when the engine cannot answer: a *fault.Error of kind Unavailable and code
// search_unavailable, in whose chain errors.Is finds ErrUnavailable and the cause.
func Unavailable(cause error) error {
	if !errors.Is(cause, ErrUnavailable) {
		cause = errors.Join(ErrUnavailable, cause)
	}
	return &fault.Error{
		Kind: fault.Unavailable, Code: "search_unavailable", Detail: "search is unavailable for a moment; try again",
		Retry: retryAfter, Err: cause,
	}
}

// Document is one thing that can be found.
type Document struct {
	ID   string // unique over all kinds, 1 to 512 bytes
	Kind string // "warning", "notice", "product": [a-z][a-z0-9_]*, at most 32 bytes

	// Title and Text by language tag. Every language is searched whatever the reader's; the tags only keep the texts apart.
	Title, Text map[string]string

	// Keywords are codes and names that are found as they are typed, with or without separators: GTINs, lots, document numbers,
	// brands. At most MaxKeywords.
	Keywords []string

	// Facets by name ([a-z][a-z0-9_]*), compared after Fold. At most 16 names of 64 values.
	Facets map[string][]string

	Time    time.Time // what "newest" and the time range mean; to the millisecond
	Version int64     // 0 or more, higher is newer
}

// Order is the order of results.
type Order string

// The orders.
const (
	Relevance Order = ""       // best first, then newest first. Without a text it is Newest.
	Newest    Order = "newest" // newest first; with a text, only documents that hold all of it, since no ranking puts poor ones last
)

// Query asks for documents. The zero Query lists everything, newest first.
type Query struct {
	// Text is what a person typed, at most MaxQuery characters. It is never a query language: no character in it has a meaning
	// beyond the words it separates.
	Text     string
	Kinds    []string            // any of them; none: all
	Facets   map[string][]string // for every name, any of its values; a name without values does not restrict
	From, To time.Time           // Time in [From, To); zero: open
	Sort     Order
	Limit    int    // 1..MaxLimit; 0: DefaultLimit
	Cursor   string // Result.Next of the page before, for the same query
}

// Bounds of queries and documents.
const (
	MaxQuery     = 256   // characters
	MaxLimit     = 100   // hits a page
	DefaultLimit = 20    // hits a page
	MaxWindow    = 1000  // hits that can be paged through by relevance; by Newest there is no end
	MaxUnits     = 32    // words and characters of a query that count; the rest is not looked at
	MaxKeywords  = 10000 // of a document
	MaxText      = 20000 // characters of a document's title, and of its text, that are searched, all languages together
	MaxBatch     = 500   // documents that engines write in one piece
)

// Hit is one document found. The caller reads the document itself from the store.
type Hit struct {
	ID, Kind string
	Score    float64 // comparable within one Result only; 0 by Newest
}

// Result is a page of hits.
type Result struct {
	Hits []Hit
	// Total is how many documents matched when the first page was read; an estimate above MaxWindow on Meilisearch.
	Total int
	Next  string // cursor of the next page; empty: this was the last one
}

// Searcher answers queries.
type Searcher interface {
	// Search gives a page. By Newest, pages neither repeat nor leave out a document that was there from first to last page,
	// whatever is written meanwhile. A *fault.Error of kind Invalid or Malformed: the query breaks a rule. ErrUnavailable.
	Search(ctx context.Context, q Query) (Result, error)
}

// Writer changes the index. A search that starts after a write returned sees it.
type Writer interface {
	// Put stores documents, each in place of the one with its ID unless that one's Version is higher. It is not atomic over
	// several, and may be repeated. ErrUnavailable.
	Put(ctx context.Context, docs []Document) error
	// Delete removes documents; absent ones do not matter. A deleted ID has no version any more. ErrUnavailable.
	Delete(ctx context.Context, ids []string) error
}

// Rebuilder replaces the whole index.
type Rebuilder interface {
	// Ready is nil when the index is complete, else ErrNeedsRebuild or ErrUnavailable.
	Ready(ctx context.Context) error
	// Rebuild reads every document from docs into a fresh index and puts it in the place of the old one at once; until then
	// searches see the old one. Writes of this process during a rebuild are in both. Writes of other processes to a shared
	// index may be missing from the new one: follow the store's feed from a token taken before the rebuild, versions
	// make the repetition harmless. An error that docs yields ends it and leaves the old index.
	Rebuild(ctx context.Context, docs iter.Seq2[Document, error]) error
}

// Engine is a search engine.
type Engine interface {
	Searcher
	Writer
	Rebuilder
	// Close waits for searches and writes under way.
	Close() error
}
