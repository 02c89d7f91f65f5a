package searchsync

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
	"github.com/haisu-trace/haisu/search"
)

// The kinds of documents that this package makes; their IDs are the warning's number and the notice's ID.
const (
	KindWarning = "warning"
	KindNotice  = "notice"
)

// Batch is a piece of a feed as search documents.
type Batch struct {
	Docs    []search.Document
	Deleted []string // IDs of documents
	Next    string   // the token after it
	End     bool     // nothing more for now
}

// Source is one collection that is searched.
type Source interface {
	// Name is stable: positions are saved under it.
	Name() string
	// Follow gives what changed since token ("" is the beginning), at least once. limit is 1..store.MaxBatch.
	Follow(ctx context.Context, token string, limit int) (Batch, error)
	// All yields everything there is, and at most one error, as the last.
	All(ctx context.Context) iter.Seq2[search.Document, error]
	// Wake is told when Follow may have more; what other processes write is found by asking.
	Wake() <-chan struct{}
}

// errStop ends a walk whose reader has had enough.
var errStop = errors.New("searchsync: stop")

// walk turns a walk that calls back into an iterator.
func walk[T any](all func(func(T) error) error, doc func(T) search.Document) iter.Seq2[search.Document, error] {
	return func(yield func(search.Document, error) bool) {
		err := all(func(v T) error {
			if !yield(doc(v), nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(search.Document{}, err)
		}
	}
}

// warnings follows the messages of published warnings.
type warnings struct {
	s *warning.Service
	// put has the revision that was read last of each warning, so that the many changes of a fan-out under way cost nothing.
	// Only Follow uses it, and only one at a time.
	put map[string]int
}

// Warnings is the source of published warnings; drafts are in another collection and never come near it.
func Warnings(s *warning.Service) Source { return &warnings{s: s, put: map[string]int{}} }

func (w *warnings) Name() string { return "warnings" }

func (w *warnings) Wake() <-chan struct{} { return w.s.Wake() }

func (w *warnings) All(ctx context.Context) iter.Seq2[search.Document, error] {
	return walk(func(f func(warning.State) error) error { return w.s.All(ctx, f) }, WarningDocument)
}

// maxRemembered bounds warnings.put.
const maxRemembered = 10000

func (w *warnings) Follow(ctx context.Context, token string, limit int) (Batch, error) {
	changes, next, err := w.s.Changes(ctx, token, limit)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Next: next, End: len(changes) == 0}
	newest := map[string]int{}
	for _, c := range changes {
		if m := &c.V; !c.Deleted {
			newest[m.No] = max(newest[m.No], m.Rev)
		}
	}
	if token == "" || len(w.put) > maxRemembered { // from the beginning: for an index that may hold nothing
		clear(w.put)
	}
	for _, no := range slices.Sorted(maps.Keys(newest)) {
		if w.put[no] >= newest[no] {
			continue
		}
		st, err := w.s.Get(ctx, no)
		if _, damaged := errors.AsType[*warning.FoldError](err); damaged {
			continue // the projection of internal/warning logs it; it must not hold up all that come after it
		}
		if err != nil {
			return Batch{}, err
		}
		b.Docs = append(b.Docs, WarningDocument(st))
	}
	return b, nil
}

// stored is told by the Syncer that the documents of a batch are in the index.
func (w *warnings) stored(docs []search.Document) {
	for i := range docs {
		w.put[docs[i].ID] = int(docs[i].Version)
	}
}

// WarningDocument is how a published warning is found: by its texts, names of hazard and category, number, GTINs and lots. Facets
// are status, level, hazard, category, regime and recall.
func WarningDocument(st warning.State) search.Document {
	c := &st.Current
	d := search.Document{
		ID: st.No, Kind: KindWarning, Title: c.Title, Time: c.Published, Version: int64(c.Rev),
		Text: join(c.Advice, c.Summary, c.Reason, c.Issuer, warning.HazardName(c.Hazard), warning.CategoryName(c.Category)),
		Facets: map[string][]string{
			"status": {string(st.Status)}, "level": {string(c.Level)}, "hazard": {c.Hazard}, "category": {c.Category}, "regime": {c.Regime},
		},
		Keywords: append([]string{st.No}, c.Scope.GTINs()...),
	}
	if c.Recall {
		d.Facets["recall"] = []string{"true"}
	}
	if c.DocumentNo != "" {
		d.Keywords = append(d.Keywords, c.DocumentNo)
	}
	for _, cl := range c.Scope.Clauses {
		d.Keywords = append(d.Keywords, cl.Lots...)
	}
	return d
}

// join puts texts under each other, language by language.
func join(texts ...lang.Text) map[string]string {
	out := map[string]string{}
	for _, t := range texts {
		for tag, s := range t {
			if out[tag] != "" {
				out[tag] += "\n"
			}
			out[tag] += s
		}
	}
	return out
}

// notices follows foreign notices.
type notices struct{ s *notice.Service }

// Notices is the source of foreign notices.
func Notices(s *notice.Service) Source { return notices{s} }

func (n notices) Name() string { return "notices" }

func (n notices) Wake() <-chan struct{} { return n.s.Wake() }

func (n notices) All(ctx context.Context) iter.Seq2[search.Document, error] {
	return walk(func(f func(notice.Notice) error) error { return n.s.All(ctx, f) }, NoticeDocument)
}

func (n notices) Follow(ctx context.Context, token string, limit int) (Batch, error) {
	changes, next, err := n.s.Changes(ctx, token, limit)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Next: next, End: len(changes) == 0}
	deleted := map[string]bool{}
	for _, c := range changes {
		deleted[c.ID] = c.Deleted // the last word on each counts
	}
	for _, c := range changes {
		if !deleted[c.ID] && !c.Deleted {
			b.Docs = append(b.Docs, NoticeDocument(c.V))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(deleted)) {
		if deleted[id] {
			b.Deleted = append(b.Deleted, id)
		}
	}
	return b, nil
}

// NoticeDocument is how a foreign notice is found: by its texts, its number, brand, barcodes and batches. The facet is source.
func NoticeDocument(n notice.Notice) search.Document {
	tag := cmp.Or(n.Lang, lang.En)
	d := search.Document{
		ID: n.ID, Kind: KindNotice, Time: n.Imported, Version: n.Rev,
		Title: map[string]string{tag: n.Title}, Text: map[string]string{tag: strings.Join([]string{n.Product, n.Brand, n.Category, n.Risk, n.Country}, "\n")},
		Facets:   map[string][]string{"source": {n.Source}},
		Keywords: slices.Concat([]string{n.Number}, n.GTINs, n.BadBarcodes, n.Batches),
	}
	if n.Brand != "" {
		d.Keywords = append(d.Keywords, n.Brand)
	}
	return d
}
