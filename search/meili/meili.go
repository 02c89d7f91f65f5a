// Package meili is the search engine for scale: a Meilisearch server, version 1.15 or later.
//
// Documents are sent with folded companion texts in which every Chinese character stands alone, so that the server's dictionary has
// no part in what is found and both scripts are one. Three things follow from how Meilisearch works:
//
//   - It looks at the first ten words of a query, so at ten Chinese characters.
//   - Its writes are tasks done later, and a task may fail though it was accepted. Every write here waits until its task has succeeded.
//   - It has no conditional write. So a document is kept under its ID and version together, and after a write all versions but the
//     highest are removed: of two writers, the one that comes last sees both. A writer that dies in between leaves an older
//     version beside the newer; searches show one of the two, and the next write of the document or a rebuild removes it.
package meili

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/meilisearch/meilisearch-go"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/search"
)

// schema is part of the index's name and changes whenever documents are indexed in another way, so that programs of two
// versions can use one server while one replaces the other.
const schema = "v1"

// Bounds on how long the server may take. Callers' contexts may be shorter.
const (
	searchTimeout  = 5 * time.Second
	requestTimeout = 30 * time.Second
	taskTimeout    = 2 * time.Minute
)

// Config says where the server is.
type Config struct {
	URL    string       // http or https
	APIKey string       // may be empty
	Name   string       // of the index: letters, digits, - and _; empty: "haisu"
	Client *http.Client // nil: one of its own
	Now    clock.Now    // nil: time.Now
}

// Index is a search.Engine. It is safe for concurrent use.
type Index struct {
	service meilisearch.ServiceManager
	uid     string
	now     clock.Now

	rebuild chan struct{} // holds one token while a rebuild runs
	write   chan struct{} // holds one token during a write

	// Guarded by write.
	overlay search.Overlay
	next    string // uid of the index that a rebuild fills
}

var _ search.Engine = (*Index)(nil)

// New makes the engine. It does not call the server: one that is down must not keep the program from starting.
func New(c Config) (*Index, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("search server: %q is not an http URL", c.URL)
	}
	if c.Name == "" {
		c.Name = "haisu"
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: requestTimeout}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Index{
		service: meilisearch.New(c.URL, meilisearch.WithAPIKey(c.APIKey), meilisearch.WithCustomClient(c.Client), meilisearch.DisableRetries()),
		uid:     c.Name + "-" + schema, now: c.Now,
		rebuild: make(chan struct{}, 1), write: make(chan struct{}, 1),
	}, nil
}

// Ready is nil when the index is there with our settings.
func (ix *Index) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	info, err := ix.service.GetIndexWithContext(ctx, ix.uid)
	if err != nil {
		return translate(err)
	}
	if info.PrimaryKey != primaryKey {
		// Another process is about to swap its rebuilt index in.
		return search.Unavailable(search.ErrNeedsRebuild)
	}
	return nil
}

// Close waits for a write under way and drops idle connections.
func (ix *Index) Close() error {
	ix.write <- struct{}{}
	defer func() { <-ix.write }()
	ix.service.Close()
	return nil
}

// exclusive runs f with the write token.
func (ix *Index) exclusive(ctx context.Context, f func() error) error {
	select {
	case ix.write <- struct{}{}:
	case <-ctx.Done():
		return search.Unavailable(ctx.Err())
	}
	defer func() { <-ix.write }()
	return f()
}

// TaskError says that the server accepted a write and then did not do it.
type TaskError struct {
	UID           int64
	Type          string
	Status        string // failed or canceled
	Code, Message string // Meilisearch's
}

func (e *TaskError) Error() string {
	return fmt.Sprintf("search server: task %d %s %s: %s: %s", e.UID, e.Type, e.Status, e.Code, e.Message)
}

// How often a task is asked for: soon at first, since a small one takes milliseconds.
const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
)

// done waits until the task of a write has succeeded. The client's own WaitForTask returns no error for a failed task.
func (ix *Index) done(ctx context.Context, info *meilisearch.TaskInfo, err error) error {
	if err != nil {
		return translate(err)
	}
	ctx, cancel := context.WithTimeout(ctx, taskTimeout)
	defer cancel()
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		t, err := ix.service.GetTaskWithContext(ctx, info.TaskUID)
		if err != nil {
			return translate(err)
		}
		switch t.Status {
		case meilisearch.TaskStatusSucceeded:
			return nil
		case meilisearch.TaskStatusFailed, meilisearch.TaskStatusCanceled:
			return taskFailed(t)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return search.Unavailable(fmt.Errorf("task %d is %s: %w", info.TaskUID, t.Status, ctx.Err()))
		case <-timer.C:
		}
	}
}

func taskFailed(t *meilisearch.Task) error {
	e := &TaskError{UID: t.UID, Type: string(t.Type), Status: string(t.Status), Code: t.Error.Code, Message: t.Error.Message}
	switch {
	case notOurs[e.Code]:
		return search.Unavailable(errors.Join(search.ErrNeedsRebuild, e))
	case t.Status == meilisearch.TaskStatusCanceled || ailing[e.Code]:
		return search.Unavailable(e)
	}
	return e
}

// notOurs are the codes of an index that is missing or has other settings than ours.
var notOurs = map[string]bool{
	"index_not_found": true, "invalid_search_filter": true, "invalid_search_sort": true, "invalid_document_filter": true,
}

// ailing are the codes of tasks that failed for no fault of the request.
var ailing = map[string]bool{
	"internal": true, "io_error": true, "no_space_left_on_device": true, "too_many_open_files": true, "database_size_limit_reached": true,
	"unretrievable_document": true,
}

// translate makes the port's error of the client's, which hides its cause from errors.Is.
func translate(err error) error {
	e, ok := errors.AsType[*meilisearch.Error](err)
	if !ok {
		return search.Unavailable(err)
	}
	if e.OriginError != nil {
		err = errors.Join(err, e.OriginError)
	}
	switch s := e.StatusCode; {
	case notOurs[e.MeilisearchApiError.Code]:
		return search.Unavailable(errors.Join(search.ErrNeedsRebuild, err))
	case s >= 200 && s < 500 && s != http.StatusUnauthorized && s != http.StatusForbidden &&
		s != http.StatusRequestTimeout && s != http.StatusTooManyRequests:
		return fmt.Errorf("search server: %w", err)
	}
	return search.Unavailable(err)
}
