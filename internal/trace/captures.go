package trace

import (
	"context"
	"errors"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// What becomes of a capture with events that are refused (GS1-Capture-Error-Behaviour).
const (
	Rollback = "rollback" // nothing of it is stored
	Proceed  = "proceed"  // the others are stored
)

// CaptureError is one reason why events were refused.
type CaptureError struct {
	Status  int    `json:"status"` // as HTTP has it
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// CaptureJob is the state of a capture (EPCIS 2.0, 12.6.1). Success is false as soon as an event was refused.
type CaptureJob struct {
	ID                string
	Created, Finished time.Time // Finished is zero while it runs
	Running, Success  bool
	Behaviour         string
	Total, Done       int // events; Total is 0 before they are counted
	Stored, Known     int // new ones that are stored, and those that were there before
	Failed            int // refusals, of which Errors lists some
	Errors            []CaptureError
}

func (d *captureDoc) job(id string) CaptureJob {
	j := CaptureJob{
		ID: id, Created: d.Created, Finished: d.Finished, Running: d.State == captureRunning, Success: d.State != captureFailed && d.Failed == 0,
		Behaviour: d.Behaviour, Total: d.Total, Done: d.Done, Stored: d.Stored, Known: d.Known, Failed: d.Failed, Errors: d.Errors,
	}
	if j.Behaviour == "" {
		j.Behaviour = Rollback
	}
	return j
}

// CaptureJob gives the state of a firm's capture. NotFound.
func (s *Service) CaptureJob(ctx context.Context, firmID, id string) (CaptureJob, error) {
	d, err := s.captures.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && d.V.Firm != firmID {
		return CaptureJob{}, fault.New(fault.NotFound, "capture_not_found", "there is no capture %.80q", id)
	}
	return d.V.job(d.ID), err
}

// CaptureJobs lists a firm's captures, the newest first. ErrBadCursor.
func (s *Service) CaptureJobs(ctx context.Context, firmID, cursor string, limit int) (jobs []CaptureJob, next string, err error) {
	page, err := s.captures.Find(ctx, store.Query{Index: byFirm, Eq: store.K(firmID), Desc: true, Cursor: cursor, Limit: limit})
	for _, d := range page.Items {
		jobs = append(jobs, d.V.job(d.ID))
	}
	return jobs, page.Next, err
}

// refusalsOf words an error: each of its fields.
func refusalsOf(err error) []CaptureError {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return nil
	}
	if len(f.Fields) == 0 { // of a neighbour, such as the store of the documents
		return []CaptureError{refusal(f.Kind, fault.Field{Code: f.Code, Detail: f.Detail})}
	}
	out := make([]CaptureError, len(f.Fields))
	for i, field := range f.Fields {
		out[i] = refusal(f.Kind, field)
	}
	return out
}

var refusalStatus = map[fault.Kind]int{fault.Malformed: 400, fault.Invalid: 422, fault.Conflict: 409, fault.TooLarge: 413}

func refusal(k fault.Kind, f fault.Field) CaptureError {
	return CaptureError{Status: refusalStatus[k], Pointer: f.Pointer, Code: f.Code, Detail: f.Detail}
}
