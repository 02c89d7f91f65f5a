// Package meilitest is a small fake of Meilisearch's HTTP API, for tests that need no server: indexes, settings, documents, search,
// federated search, index swaps and tasks, as the documentation of version 1.16 describes them. It keeps everything in memory.
//
// What it is strict about, because clients get it wrong: writes answer 202 and happen later, one after the other; a task may fail
// though its request was accepted; only declared attributes can be filtered and sorted by; unknown parameters are refused; an index that
// does not exist is made, with default settings, by the first documents. A run of letters is one word to it, Chinese too: it has no
// dictionary, where Meilisearch has one, so a client that does not separate the characters finds nothing.
//
// What it does not have: phrases and exclusions in q, facets in answers, synonyms, stop words, vectors, filters as arrays, keys with rights.
package meilitest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Server is the fake. Its methods are safe for concurrent use.
type Server struct {
	http *httptest.Server
	key  string

	mu       sync.Mutex
	indexes  map[string]*index
	tasks    []*task
	failures []failure   // of tasks to come
	answers  []*apiError // to requests to come
	held     chan struct{}
	work     chan struct{} // has a token when there may be tasks to do
	done     chan struct{} // closed when the worker ended
	stop     chan struct{}
	changed  chan struct{} // see Changed
}

// New starts a server. With a key, requests need it as bearer token.
func New(key string) *Server {
	s := &Server{
		key: key, indexes: map[string]*index{}, work: make(chan struct{}, 1), done: make(chan struct{}), stop: make(chan struct{}),
		changed: make(chan struct{}, 1),
	}
	s.http = httptest.NewServer(s.handler())
	go s.worker()
	return s
}

// URL is the server's address.
func (s *Server) URL() string { return s.http.URL }

// Close stops the server: requests are refused from now on.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	s.mu.Unlock()
	s.http.Close()
	<-s.done
}

// Hold lets tasks wait in status processing until release is called.
func (s *Server) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make(chan struct{})
	s.held = held
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = nil
		close(held)
	})
}

// FailTask lets the next task of a type ("documentAdditionOrUpdate", ...) fail with an error code.
func (s *Server) FailTask(taskType, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, failure{taskType, code})
}

// FailRequest lets the next request be answered with an error: a status and a code.
func (s *Server) FailRequest(status int, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, &apiError{status: status, Message: "as the test asked", Code: code, Type: errorType(status)})
}

// Indexes gives the number of documents by index.
func (s *Server) Indexes() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for uid, ix := range s.indexes {
		out[uid] = len(ix.docs)
	}
	return out
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(*http.Request) (int, any, *apiError){
		"GET /tasks/{task}":                          s.getTask,
		"GET /indexes":                               s.listIndexes,
		"GET /indexes/{uid}":                         s.getIndex,
		"GET /indexes/{uid}/settings":                s.getSettings,
		"POST /indexes":                              s.createIndex,
		"DELETE /indexes/{uid}":                      s.deleteIndex,
		"PATCH /indexes/{uid}/settings":              s.updateSettings,
		"POST /indexes/{uid}/documents":              s.addDocuments,
		"POST /indexes/{uid}/documents/fetch":        s.fetchDocuments,
		"POST /indexes/{uid}/documents/delete":       s.deleteByFilter,
		"POST /indexes/{uid}/documents/delete-batch": s.deleteBatch,
		"POST /indexes/{uid}/search":                 s.search,
		"POST /multi-search":                         s.multiSearch,
		"POST /swap-indexes":                         s.swapIndexes,
	} {
		mux.HandleFunc(pattern, s.answer(h))
	}
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, map[string]string{"status": "available"})
	})
	return mux
}

// answer checks the key, holds the lock and writes what h gives.
func (s *Server) answer(h func(*http.Request) (int, any, *apiError)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		err := s.authorize(r)
		if err == nil && len(s.answers) > 0 {
			err, s.answers = s.answers[0], s.answers[1:]
		}
		if err != nil {
			err.write(w)
			return
		}
		status, body, err := h(r)
		if err != nil {
			err.write(w)
			return
		}
		write(w, status, body)
	}
}

func (s *Server) authorize(r *http.Request) *apiError {
	switch r.Header.Get("Authorization") {
	case "Bearer " + s.key:
		return nil
	case "":
		if s.key == "" {
			return nil
		}
		return &apiError{
			status: http.StatusUnauthorized, Code: "missing_authorization_header", Type: "auth",
			Message: "The Authorization header is missing. It must use the bearer authorization method.",
		}
	}
	return &apiError{status: http.StatusForbidden, Code: "invalid_api_key", Type: "auth", Message: "The provided API key is invalid."}
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that went away does not matter to a fake.
	_ = json.NewEncoder(w).Encode(body)
}

// apiError is an error as the API words it.
type apiError struct {
	status  int
	Message string `json:"message"`
	Code    string `json:"code"`
	Type    string `json:"type"`
	Link    string `json:"link"`
}

func (e *apiError) write(w http.ResponseWriter) {
	e.Link = "https://docs.meilisearch.com/errors#" + e.Code
	write(w, e.status, e)
}

func errorType(status int) string {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "auth"
	case status >= http.StatusInternalServerError:
		return "internal"
	}
	return "invalid_request"
}

func badRequest(code, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, Code: code, Type: "invalid_request", Message: message}
}

// decode reads a JSON body strictly: an unknown field is an error.
func decode(r *http.Request, into any) *apiError {
	if r.Header.Get("Content-Type") != "application/json" {
		return &apiError{
			status: http.StatusUnsupportedMediaType, Code: "invalid_content_type", Type: "invalid_request",
			Message: "The Content-Type is invalid. Accepted values: `application/json`",
		}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return badRequest("bad_request", err.Error())
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
