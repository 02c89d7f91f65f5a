package meili_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meilisearch/meilisearch-go"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/search"
	"github.com/haisu-trace/haisu/search/meili"
	"github.com/haisu-trace/haisu/search/meilitest"
	"github.com/haisu-trace/haisu/search/searchtest"
)

const key = "a-key"

func TestSuite(t *testing.T) {
	t.Parallel()
	searchtest.Run(t, onFake)
}

// TestSuiteOnServer runs the same suite on a real server.
func TestSuiteOnServer(t *testing.T) {
	t.Parallel()
	searchtest.Run(t, onServer(t))
}

// The floors are a little below what the fake gave: precision 0.830, recall 0.754, found 0.757. It says how the tokens and the federation
// do; Meilisearch's own ranking differs a little.
var floor = searchtest.Quality{Precision: 0.80, Recall: 0.73, Found: 0.74}

func TestRecalls(t *testing.T) {
	t.Parallel()
	searchtest.Recalls(t, onFake).AtLeast(t, floor)
}

func TestRecallsOnServer(t *testing.T) {
	t.Parallel()
	searchtest.Recalls(t, onServer(t)).AtLeast(t, floor)
}

func onFake(t *testing.T) search.Engine {
	t.Helper()
	return setup(t).e
}

// onServer opens indexes with names of their own on the server at MEILISEARCH_URL.
func onServer(t *testing.T) searchtest.Open {
	t.Helper()
	url, apiKey := os.Getenv("MEILISEARCH_URL"), os.Getenv("MEILISEARCH_API_KEY")
	if url == "" {
		t.Skip("set MEILISEARCH_URL (and MEILISEARCH_API_KEY) to test against a real Meilisearch")
	}
	return func(t *testing.T) search.Engine {
		t.Helper()
		name := "haisu-test-" + clock.Token(8)
		e, err := meili.New(meili.Config{URL: url, APIKey: apiKey, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			service := meilisearch.New(url, meilisearch.WithAPIKey(apiKey))
			if _, err := service.DeleteIndex(name + "-v1"); err != nil {
				t.Errorf("delete the test index: %v", err)
			}
		})
		return e
	}
}

type bundle struct {
	e    *meili.Index
	fake *meilitest.Server
	now  time.Time
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{fake: meilitest.New(key), now: time.Now()}
	t.Cleanup(b.fake.Close)
	b.e = b.open(t, key)
	return b
}

func (b *bundle) open(t *testing.T, key string) *meili.Index {
	t.Helper()
	e, err := meili.New(meili.Config{URL: b.fake.URL(), APIKey: key, Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (b *bundle) rebuild(t *testing.T, docs ...search.Document) {
	t.Helper()
	if err := b.e.Rebuild(t.Context(), searchtest.Docs(docs)); err != nil {
		t.Fatal(err)
	}
}

func doc(id, title string, version int64) search.Document {
	return search.Document{ID: id, Kind: "warning", Title: map[string]string{"zh-Hans": title}, Version: version}
}

func (b *bundle) found(t *testing.T, e search.Searcher, text string) []string {
	t.Helper()
	r, err := e.Search(t.Context(), search.Query{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, h := range r.Hits {
		out = append(out, h.ID)
	}
	return out
}

func TestFailedTaskIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rebuild(t)
	for _, c := range []struct {
		task, code  string
		do          func() error
		unavailable bool
	}{
		{"documentAdditionOrUpdate", "invalid_document_fields", func() error {
			return b.e.Put(t.Context(), []search.Document{doc("a", "香水", 1)})
		}, false},
		{"documentAdditionOrUpdate", "no_space_left_on_device", func() error {
			return b.e.Put(t.Context(), []search.Document{doc("a", "香水", 1)})
		}, true},
		{"documentDeletion", "internal", func() error { return b.e.Delete(t.Context(), []string{"a"}) }, true},
		{"indexSwap", "internal", func() error { return b.e.Rebuild(t.Context(), searchtest.Docs(nil)) }, true},
		{"settingsUpdate", "invalid_settings_ranking_rules", func() error {
			return b.e.Rebuild(t.Context(), searchtest.Docs(nil))
		}, false},
	} {
		b.fake.FailTask(c.task, c.code)
		err := c.do()
		e, ok := errors.AsType[*meili.TaskError](err)
		if !ok || e.Code != c.code || e.Type != c.task || e.Status != "failed" {
			t.Errorf("%s failed with %s: the error is %v", c.task, c.code, err)
		}
		if errors.Is(err, search.ErrUnavailable) != c.unavailable {
			t.Errorf("%s: is ErrUnavailable: %v, want %v", c.code, !c.unavailable, c.unavailable)
		}
	}
	if got := b.found(t, b.e, ""); len(got) > 0 {
		t.Errorf("after failures the index has %q", got)
	}
	if n := b.fake.Indexes(); len(n) != 1 {
		t.Errorf("failed rebuilds left indexes: %v", n)
	}
}

func TestServerIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rebuild(t, doc("a", "香水", 1))
	b.fake.Close()
	_, searchErr := b.e.Search(t.Context(), search.Query{Text: "香水"})
	for name, err := range map[string]error{
		"ready": b.e.Ready(t.Context()), "search": searchErr, "put": b.e.Put(t.Context(), []search.Document{doc("b", "口红", 1)}),
		"delete": b.e.Delete(t.Context(), []string{"a"}), "rebuild": b.e.Rebuild(t.Context(), searchtest.Docs(nil)),
	} {
		if !errors.Is(err, search.ErrUnavailable) || errors.Is(err, search.ErrNeedsRebuild) {
			t.Errorf("%s: %v, want ErrUnavailable alone", name, err)
		}
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: kind %d", name, fault.KindOf(err))
		}
	}
}

func TestServerAnswersWithErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rebuild(t, doc("a", "香水", 1))
	for _, c := range []struct {
		status      int
		code        string
		unavailable bool
		rebuild     bool
	}{
		{http.StatusInternalServerError, "internal", true, false},
		{http.StatusServiceUnavailable, "too_many_search_requests", true, false},
		{http.StatusTooManyRequests, "too_many_requests", true, false},
		{http.StatusForbidden, "invalid_api_key", true, false},
		{http.StatusNotFound, "index_not_found", true, true},
		{http.StatusBadRequest, "invalid_search_filter", true, true},
		{http.StatusBadRequest, "invalid_multi_search_federation", false, false},
	} {
		b.fake.FailRequest(c.status, c.code)
		_, err := b.e.Search(t.Context(), search.Query{Text: "香水"})
		if err == nil || errors.Is(err, search.ErrUnavailable) != c.unavailable || errors.Is(err, search.ErrNeedsRebuild) != c.rebuild {
			t.Errorf("%d %s: %v", c.status, c.code, err)
		}
	}
	if got := b.found(t, b.e, "香水"); len(got) != 1 {
		t.Errorf("after the errors: %q", got)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, key := range []string{"", "wrong"} {
		if err := b.open(t, key).Ready(t.Context()); !errors.Is(err, search.ErrUnavailable) || errors.Is(err, search.ErrNeedsRebuild) {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestSlowTaskIsBoundedByTheContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rebuild(t)
	release := b.fake.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- b.e.Put(ctx, []search.Document{doc("a", "香水", 1)}) }()
	b.waitForTasks(t, 1)
	cancel()
	err := <-result
	if !errors.Is(err, search.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("put while tasks are held: %v", err)
	}
	if got := b.found(t, b.e, "香水"); len(got) > 0 {
		t.Errorf("found %q before the task ran", got)
	}
	release()
	// Tasks are done in order: when this one is, so is the one that was given up.
	if err := b.e.Put(t.Context(), []search.Document{doc("b", "口红", 1)}); err != nil {
		t.Fatal(err)
	}
	if got := b.found(t, b.e, "香水"); len(got) != 1 {
		t.Errorf("the accepted write was lost: %q", got)
	}
}

func TestTwoProcessesKeepTheHighestVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rebuild(t)
	other := b.open(t, key)
	// Both read 'no version' before either writes: the tasks wait until both are queued.
	release := b.fake.Hold()
	errs := make(chan error, 2)
	go func() { errs <- b.e.Put(t.Context(), []search.Document{doc("w", "新版", 7)}) }()
	go func() { errs <- other.Put(t.Context(), []search.Document{doc("w", "旧版", 6)}) }()
	b.waitForTasks(t, 2)
	release()
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if got := b.found(t, b.e, "旧版"); len(got) > 0 {
		t.Errorf("the older version is found: %q", got)
	}
	if got := b.found(t, other, "新版"); len(got) != 1 {
		t.Errorf("the newer version is lost: %q", got)
	}
	if n := b.fake.Indexes()["haisu-v1"]; n != 1 {
		t.Errorf("%d documents are kept, want 1", n)
	}
}

// waitForTasks waits until n document writes are in the queue.
func (b *bundle) waitForTasks(t *testing.T, n int) {
	t.Helper()
	for b.fake.Waiting("documentAdditionOrUpdate") < n {
		select {
		case <-b.fake.Changed():
		case <-t.Context().Done():
			t.Fatal("the writes did not come")
		}
	}
}

func TestSharedIndexIsReadyForAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.open(t, key)
	if err := other.Ready(t.Context()); !errors.Is(err, search.ErrNeedsRebuild) {
		t.Errorf("before any rebuild: %v", err)
	}
	b.rebuild(t, doc("a", "香水", 1))
	if err := other.Ready(t.Context()); err != nil {
		t.Errorf("after the other's rebuild: %v", err)
	}
	if got := b.found(t, other, "香水"); len(got) != 1 {
		t.Errorf("the other finds %q", got)
	}
}

func TestAbandonedRebuildsAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	service := meilisearch.New(b.fake.URL(), meilisearch.WithAPIKey(key))
	for _, uid := range []string{"haisu-v1-next-dead", "haisu-v2-next-alive", "somebody-elses"} {
		info, err := service.CreateIndex(&meilisearch.IndexConfig{Uid: uid})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := service.WaitForTask(info.TaskUID, time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	b.rebuild(t)
	if n := b.fake.Indexes(); len(n) != 4 {
		t.Errorf("a fresh rebuild of another process was touched: %v", n)
	}
	b.now = b.now.Add(25 * time.Hour)
	b.rebuild(t)
	n := b.fake.Indexes()
	if _, dead := n["haisu-v1-next-dead"]; dead || len(n) != 3 {
		t.Errorf("after a day: %v", n)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "localhost:7700", "ftp://x", "http://", "http://a b"} {
		if _, err := meili.New(meili.Config{URL: url}); err == nil || !strings.Contains(err.Error(), "http") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
