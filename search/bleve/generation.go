package bleve

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	blevesearch "github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/keyword"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/whitespace"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/haisu-trace/haisu/search"
)

// The fields of a document.
const (
	fieldTitle   = "title"   // tokens and pairs
	fieldAll     = "all"     // tokens and pairs of title, text and keywords
	fieldCode    = "code"    // exact
	fieldKind    = "kind"    // exact
	fieldFacet   = "facet"   // exact
	fieldTime    = "time"    // milliseconds
	fieldRank    = "rank"    // order of one millisecond
	fieldVersion = "version" // kept, not searched
)

// generation is one Bleve index in its folder.
type generation struct {
	path string
	idx  blevesearch.Index
	seq  uint64      // writes so far; guarded by Index.write
	dead atomic.Bool // a background task of the index gave up

	use    sync.RWMutex // held for reading by every search, for writing by close
	closed bool
}

// generations finds the generation of a path for Bleve's callback, which gives nothing else.
var generations sync.Map // path of the store → *generation

const callback = "haisu"

// Bleve looks callbacks up by name when it opens an index, since its settings are kept as text.
var _ = func() bool {
	scorch.RegistryAsyncErrorCallbacks[callback] = func(err error, store string) {
		v, _ := generations.Load(store)
		if g, ok := v.(*generation); ok && errors.Is(err, scorch.ErrAsyncPanic) {
			g.dead.Store(true)
		}
	}
	return true
}()

// settings are Bleve's. A folder that another process has open must fail and not wait.
func settings() map[string]any {
	return map[string]any{"asyncErrorCallbackName": callback, "bolt_timeout": "1ms"}
}

func newMapping() (mapping.IndexMapping, error) {
	m := blevesearch.NewIndexMapping()
	m.ScoringModel = index.BM25Scoring
	m.StoreDynamic, m.IndexDynamic, m.DocValuesDynamic = false, false, false
	err := m.AddCustomAnalyzer("tokens", map[string]any{"type": custom.Name, "tokenizer": whitespace.Name})
	if err != nil {
		return nil, err
	}
	d := blevesearch.NewDocumentStaticMapping()
	for field, analyzer := range map[string]string{
		fieldTitle: "tokens", fieldAll: "tokens", fieldCode: keyword.Name, fieldKind: keyword.Name, fieldFacet: keyword.Name,
	} {
		d.AddFieldMappingsAt(field, &mapping.FieldMapping{
			Type: "text", Analyzer: analyzer, Index: true, Store: field == fieldKind, SkipFreqNorm: analyzer == keyword.Name,
		})
	}
	for _, field := range []string{fieldTime, fieldRank} {
		d.AddFieldMappingsAt(field, &mapping.FieldMapping{Type: "number", Index: true, Store: true, DocValues: true})
	}
	d.AddFieldMappingsAt(fieldVersion, &mapping.FieldMapping{Type: "number", Store: true})
	m.DefaultMapping = d
	return m, nil
}

func createGeneration(path string) (*generation, error) {
	m, err := newMapping()
	if err != nil {
		return nil, fmt.Errorf("mapping: %w", err)
	}
	return start(path, func() (blevesearch.Index, error) {
		return blevesearch.NewUsing(path, m, scorch.Name, scorch.Name, settings())
	})
}

// openGeneration opens a generation and reads from it, since much damage shows only then; the rest shows in a search, which then takes the
// generation out of use.
func openGeneration(path string) (*generation, error) {
	if err := checkSegments(filepath.Join(path, "store")); err != nil {
		return nil, err
	}
	g, err := start(path, func() (blevesearch.Index, error) {
		return blevesearch.OpenUsing(path, settings())
	})
	if err != nil {
		return nil, err
	}
	err = g.probe()
	if err == nil {
		err = g.countWrites()
	}
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func start(path string, open func() (blevesearch.Index, error)) (*generation, error) {
	g := &generation{path: path}
	store := filepath.Join(path, "store")
	generations.Store(store, g)
	err := protect(func() error {
		var err error
		g.idx, err = open()
		return err
	})
	if err != nil {
		generations.Delete(store)
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return g, nil
}

func (g *generation) close() error {
	g.use.Lock()
	defer g.use.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	generations.Delete(filepath.Join(g.path, "store"))
	return protect(g.idx.Close)
}

// apply writes documents whose version is not below the stored one.
func (g *generation) apply(docs []search.Prepared) error {
	return protect(func() error {
		versions, err := g.versions(docs)
		if err != nil {
			return err
		}
		b := g.idx.NewBatch()
		for _, d := range docs {
			if v, ok := versions[d.ID]; ok && d.Version < v {
				continue
			}
			if err := b.Index(d.ID, fields(d)); err != nil {
				return err
			}
		}
		return g.commit(b)
	})
}

func (g *generation) remove(ids []string) error {
	return protect(func() error {
		b := g.idx.NewBatch()
		for _, id := range ids {
			b.Delete(id)
		}
		return g.commit(b)
	})
}

// versions reads the stored versions of those documents that exist.
func (g *generation) versions(docs []search.Prepared) (out map[string]int64, err error) {
	adv, err := g.idx.Advanced()
	if err != nil {
		return nil, err
	}
	r, err := adv.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	out = make(map[string]int64, len(docs))
	for _, d := range docs {
		doc, err := r.Document(d.ID)
		if err != nil {
			return nil, err
		}
		if doc == nil {
			continue
		}
		doc.VisitFields(func(f index.Field) {
			if n, ok := f.(index.NumericField); ok && f.Name() == fieldVersion {
				if v, err := n.Number(); err == nil {
					out[d.ID] = int64(v)
				}
			}
		})
	}
	return out, nil
}

func fields(d search.Prepared) map[string]any {
	title := strings.Join(append(d.Title, d.TitlePairs...), " ")
	return map[string]any{
		fieldTitle:   title,
		fieldAll:     title + " " + strings.Join(append(d.Body, d.BodyPairs...), " "),
		fieldCode:    d.Codes,
		fieldKind:    d.Kind,
		fieldFacet:   d.Facets,
		fieldTime:    float64(d.Time),
		fieldRank:    float64(d.Rank),
		fieldVersion: float64(d.Version),
	}
}
