package meilitest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// task is one queued change. Guarded by Server.mu.
type task struct {
	uid                           int
	index                         string // empty: of no one index
	kind                          string
	status                        string
	err                           *apiError
	enqueued, started, finishedAt time.Time
	apply                         func() *apiError
}

type failure struct{ kind, code string }

// enqueue queues a change and gives the summary that the API answers.
func (s *Server) enqueue(kind, index string, apply func() *apiError) (int, any, *apiError) {
	t := &task{uid: len(s.tasks), index: index, kind: kind, status: "enqueued", enqueued: time.Now(), apply: apply}
	s.tasks = append(s.tasks, t)
	s.change()
	select {
	case s.work <- struct{}{}:
	default:
	}
	return http.StatusAccepted, map[string]any{
		"taskUid": t.uid, "indexUid": orNull(index), "status": t.status, "type": kind, "enqueuedAt": stamp(t.enqueued),
	}, nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// worker does the tasks one after the other, in the order they came.
func (s *Server) worker() {
	defer close(s.done)
	for {
		t, held := s.begin()
		if t == nil {
			select {
			case <-s.work:
				continue
			case <-s.stop:
				return
			}
		}
		if held != nil {
			select {
			case <-held:
			case <-s.stop:
				return
			}
		}
		s.finish(t)
	}
}

func (s *Server) begin() (*task, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		if t.status == "enqueued" {
			t.status, t.started = "processing", time.Now()
			return t, s.held
		}
	}
	return nil, nil
}

func (s *Server) finish(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.finishedAt = time.Now()
	for i, f := range s.failures {
		if f.kind == t.kind {
			s.failures = append(s.failures[:i:i], s.failures[i+1:]...)
			t.status, t.err = "failed", badRequest(f.code, "as the test asked")
			return
		}
	}
	t.status = "succeeded"
	if t.err = t.apply(); t.err != nil {
		t.status = "failed"
	}
}

func (s *Server) getTask(r *http.Request) (int, any, *apiError) {
	uid, err := strconv.Atoi(r.PathValue("task"))
	if err != nil {
		return 0, nil, badRequest("invalid_task_uids", "The task uid is not a number.")
	}
	if uid < 0 || uid >= len(s.tasks) {
		return 0, nil, &apiError{
			status: http.StatusNotFound, Code: "task_not_found", Type: "invalid_request", Message: fmt.Sprintf("Task `%d` not found.", uid),
		}
	}
	t := s.tasks[uid]
	body := map[string]any{
		"uid": t.uid, "batchUid": nil, "indexUid": orNull(t.index), "status": t.status, "type": t.kind, "canceledBy": nil, "details": nil,
		"error": nil, "duration": nil, "enqueuedAt": stamp(t.enqueued), "startedAt": nil, "finishedAt": nil,
	}
	if !t.started.IsZero() {
		body["startedAt"] = stamp(t.started)
	}
	if !t.finishedAt.IsZero() {
		body["finishedAt"] = stamp(t.finishedAt)
		body["duration"] = fmt.Sprintf("PT%.6fS", t.finishedAt.Sub(t.started).Seconds())
	}
	if t.err != nil {
		t.err.Link = "https://docs.meilisearch.com/errors#" + t.err.Code
		body["error"] = t.err
	}
	return http.StatusOK, body, nil
}

// Waiting counts the tasks of a type that were accepted and are not done.
func (s *Server) Waiting(taskType string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, t := range s.tasks {
		if t.kind == taskType && t.finishedAt.IsZero() {
			n++
		}
	}
	return n
}

// Changed has a value after tasks were accepted.
func (s *Server) Changed() <-chan struct{} { return s.changed }

func (s *Server) change() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
