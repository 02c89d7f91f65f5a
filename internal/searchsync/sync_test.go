package searchsync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
	"github.com/haisu-trace/haisu/search"
	"github.com/haisu-trace/haisu/search/bleve"
)

var officer = warning.Author{ID: "o-1", Name: "Lin", Authority: "hnamr", May: warning.Anything}

var why = lang.ZhEn("经复检合格", "A second test found nothing")

type bundle struct {
	eng      store.Engine
	warnings *warning.Service
	notices  *notice.Service
}

func setup(t *testing.T) *bundle {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bundle{eng: eng}
	if b.warnings, err = warning.Open(t.Context(), eng, warning.Options{}); err != nil {
		t.Fatal(err)
	}
	if b.notices, err = notice.Open(t.Context(), eng, time.Now); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) syncer(t *testing.T, ix Index) *Syncer {
	t.Helper()
	s, err := Open(t.Context(), b.eng, ix, "test", time.Now, slog.New(slog.DiscardHandler), Warnings(b.warnings), Notices(b.notices))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func content() warning.Content {
	return warning.Content{
		Level: warning.Yellow, Regime: "food", Hazard: "biological", Category: "infant_formula",
		Title:  lang.ZhEn("某批次婴儿配方乳粉检出阪崎肠杆菌", "Cronobacter found in a lot of infant formula"),
		Advice: lang.ZhEn("请立即停止食用。", "Stop feeding it now."),
		Scope:  warning.Scope{Clauses: []warning.Clause{{GTINs: []string{"08715658002512"}, Lots: []string{"L-77/B"}}}},
	}
}

func (b *bundle) draft(t *testing.T) string {
	t.Helper()
	d, err := b.warnings.Create(t.Context(), officer, content())
	if err != nil {
		t.Fatal(err)
	}
	return d.No
}

func (b *bundle) publish(t *testing.T) string {
	t.Helper()
	no := b.draft(t)
	if _, err := b.warnings.Publish(t.Context(), officer, no); err != nil {
		t.Fatal(err)
	}
	return no
}

func (b *bundle) importNotice(t *testing.T, title string) {
	t.Helper()
	row := fmt.Sprintf(`[{"alert_number":"A12/1/24","product_name":%q,"barcode":"5902022534004"}]`, title)
	if _, err := b.notices.ImportSafetyGate(t.Context(), strings.NewReader(row), nil); err != nil {
		t.Fatal(err)
	}
}

// fakeIndex keeps documents by version and fails on demand.
type fakeIndex struct {
	mu       sync.Mutex
	docs     map[string]search.Document
	puts     int
	err      error
	complete bool
	changed  chan struct{}
}

func newFakeIndex() *fakeIndex {
	return &fakeIndex{docs: map[string]search.Document{}, complete: true, changed: make(chan struct{}, 100)}
}

func (f *fakeIndex) Put(_ context.Context, docs []search.Document) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	for _, d := range docs {
		f.puts++
		if d.Version >= f.docs[d.ID].Version {
			f.docs[d.ID] = d
		}
	}
	f.changed <- struct{}{}
	return nil
}

func (f *fakeIndex) Delete(_ context.Context, ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.docs, id)
	}
	return f.err
}

func (f *fakeIndex) Ready(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.complete {
		return search.ErrNeedsRebuild
	}
	return f.err
}

func (f *fakeIndex) Rebuild(_ context.Context, docs iter.Seq2[search.Document, error]) error {
	fresh := map[string]search.Document{}
	for d, err := range docs {
		if err != nil {
			return err
		}
		fresh[d.ID] = d
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.docs, f.complete = fresh, true
	return nil
}

func (f *fakeIndex) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeIndex) get(id string) (search.Document, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.docs[id]
	return d, ok
}

func (f *fakeIndex) size() (docs, puts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.docs), f.puts
}

func step(t *testing.T, s *Syncer) {
	t.Helper()
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheIndexFollows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ix := newFakeIndex()
	s := b.syncer(t, ix)
	b.draft(t)
	step(t, s)
	if n, _ := ix.size(); n != 0 {
		t.Fatal("a draft is in the index")
	}
	no := b.publish(t)
	b.importNotice(t, "Night light")
	step(t, s)
	d, ok := ix.get(no)
	if n, _ := ix.size(); !ok || n != 2 || d.Version != 1 || d.Facets["status"][0] != "in_force" || d.Facets["level"][0] != "yellow" {
		t.Fatalf("%d documents, %+v", n, d)
	}
	if _, err := b.warnings.Lift(t.Context(), officer, no, warning.Change{Reason: why}); err != nil {
		t.Fatal(err)
	}
	b.importNotice(t, "Night lamp")
	step(t, s)
	if d, _ := ix.get(no); d.Version != 2 || d.Facets["status"][0] != "lifted" {
		t.Fatalf("%+v", d)
	}
	if d, _ := ix.get("safety-gate/A12/1/24"); d.Title["en"] != "Night lamp" || d.Version != 2 {
		t.Fatalf("%+v", d)
	}
	_, before := ix.size()
	for i := range 5 { // a fan-out that moves is no reason to write
		if _, err := b.warnings.SetFanout(t.Context(), no+"/2", func(f *warning.Fanout) error { f.Chunks = i + 1; return nil }); err != nil {
			t.Fatal(err)
		}
		step(t, s)
	}
	if _, after := ix.size(); after != before {
		t.Fatalf("%d writes for nothing", after-before)
	}
}

func TestAnIndexThatIsDownMissesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ix := newFakeIndex()
	s := b.syncer(t, ix)
	first := b.publish(t)
	step(t, s)
	ix.set(search.ErrUnavailable)
	second := b.publish(t)
	if err := s.Step(t.Context()); !errors.Is(err, search.ErrUnavailable) {
		t.Fatal(err)
	}
	ix.set(nil)
	// Another process takes over: the position is in the store.
	step(t, b.syncer(t, ix))
	for _, no := range []string{first, second} {
		if _, ok := ix.get(no); !ok {
			t.Fatalf("%s is missing", no)
		}
	}
	if _, puts := ix.size(); puts != 2 {
		t.Fatalf("%d writes, so the position was not kept", puts)
	}
}

func TestAnIncompleteIndexIsRebuilt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ix := newFakeIndex()
	s := b.syncer(t, ix)
	no := b.publish(t)
	b.importNotice(t, "Night light")
	step(t, s)
	ix.complete, ix.docs = false, map[string]search.Document{}
	step(t, s)
	if _, ok := ix.get(no); !ok {
		t.Fatal("not rebuilt")
	}
	if n, _ := ix.size(); n != 2 {
		t.Fatalf("%d documents", n)
	}
	second := b.publish(t)
	step(t, s)
	if _, ok := ix.get(second); !ok {
		t.Fatal("not followed after the rebuild")
	}
}

// badSource gives one document that no index takes between two good ones.
type badSource struct{ Source }

func (badSource) Name() string { return "bad" }

func (badSource) Wake() <-chan struct{} { return nil }

func (badSource) Follow(_ context.Context, token string, _ int) (Batch, error) {
	if token != "" {
		return Batch{Next: token, End: true}, nil
	}
	return Batch{Next: "1", Docs: []search.Document{{ID: "a", Kind: "warning"}, {ID: "", Kind: "warning"}, {ID: "b", Kind: "warning"}}}, nil
}

func TestABadDocumentHoldsUpNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ix := newFakeIndex()
	s, err := Open(t.Context(), b.eng, ix, "test", time.Now, slog.New(slog.DiscardHandler), badSource{})
	if err != nil {
		t.Fatal(err)
	}
	step(t, s)
	if n, _ := ix.size(); n != 2 {
		t.Fatalf("%d documents", n)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ix := newFakeIndex()
	s := b.syncer(t, ix)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	no := b.publish(t)
	select {
	case <-ix.changed:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing reached the index")
	}
	if _, ok := ix.get(no); !ok {
		t.Fatal("something else reached the index")
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestFoundInBothLanguages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ix, err := bleve.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ix.Close(); err != nil {
			t.Error(err)
		}
	})
	no := b.publish(t)
	b.importNotice(t, "Night light")
	s := b.syncer(t, ix)
	step(t, s)
	step(t, s)
	for text, want := range map[string]string{
		"阪崎肠杆菌": no, "嬰兒配方乳粉": no, "cronobacter formula": no, "8715658002512": no, "l77b": no, "生物性": no,
		"night light": "safety-gate/A12/1/24", "5902022534004": "safety-gate/A12/1/24",
	} {
		r, err := ix.Search(t.Context(), search.Query{Text: text})
		if err != nil || len(r.Hits) == 0 || r.Hits[0].ID != want {
			t.Errorf("%q finds %+v, want %s; %v", text, r.Hits, want, err)
		}
	}
	r, err := ix.Search(t.Context(), search.Query{Facets: map[string][]string{"hazard": {"biological"}, "status": {"in_force"}}})
	if err != nil || len(r.Hits) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
}

// forgetful is a source whose feed has forgotten deletions after every token but the newest.
type forgetful struct {
	Source
	began bool
}

func (f *forgetful) Follow(ctx context.Context, token string, limit int) (Batch, error) {
	if token != "" && !f.began {
		return Batch{}, store.ErrBadCursor
	}
	f.began = true
	return f.Source.Follow(ctx, token, limit)
}

func TestAnIndexLeftAloneForTooLongIsRebuilt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ix := newFakeIndex()
	no := b.publish(t)
	step(t, b.syncer(t, ix))
	ix.docs = map[string]search.Document{"deleted since": {ID: "deleted since"}}
	s, err := Open(t.Context(), b.eng, ix, "test", time.Now, slog.New(slog.DiscardHandler), &forgetful{Source: Warnings(b.warnings)})
	if err != nil {
		t.Fatal(err)
	}
	step(t, s)
	if _, ok := ix.get(no); !ok {
		t.Fatal("not rebuilt")
	}
	if n, _ := ix.size(); n != 1 {
		t.Fatalf("%d documents", n)
	}
}
