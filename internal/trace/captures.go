package trace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/job"
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

// refusalsOf words an error: each of its fields, or, if it has none, the whole at a pointer.
func refusalsOf(pointer string, err error) []CaptureError {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return nil
	}
	status := map[fault.Kind]int{fault.Malformed: 400, fault.Invalid: 422, fault.Conflict: 409, fault.TooLarge: 413}[f.Kind]
	if len(f.Fields) == 0 {
		return []CaptureError{{Status: status, Pointer: pointer, Code: f.Code, Detail: f.Detail}}
	}
	out := make([]CaptureError, len(f.Fields))
	for i, field := range f.Fields {
		out[i] = CaptureError{Status: status, Pointer: field.Pointer, Code: field.Code, Detail: field.Detail}
	}
	return out
}

// decodeRaws reads the texts of events that were accepted.
func (s *Service) decodeRaws(ctx context.Context, ids []string) ([]*epcis.Event, error) {
	raws, err := s.raws.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	events := make([]*epcis.Event, len(ids))
	for i, id := range ids {
		if events[i], err = epcis.DecodeEvent(raws[id].V.Event, storedLimits); err != nil {
			return nil, fmt.Errorf("event %s: %w", id, err)
		}
	}
	return events, nil
}

// writeAtOnce is how much of events is held for writing, as weight counts.
const writeAtOnce = 4 << 20

// writeEvents writes events, invisible until the capture is complete; "" is none. It may be repeated. It holds a part of them at a time, and
// tells written of each that is stored.
func (s *Service) writeEvents(ctx context.Context, f firm.Firm, capture string, events []*epcis.Event, now time.Time, written func([]store.Item[eventDoc])) error {
	var items []store.Item[eventDoc]
	held := 0
	for i, e := range events {
		for _, part := range document(f, e, now) {
			part.V.Capture = capture
			items = append(items, part)
			held += weight(&part.V)
		}
		if held < writeAtOnce && i < len(events)-1 {
			continue
		}
		if err := s.writeParts(ctx, items); err != nil {
			return err
		}
		written(items)
		items, held = nil, 0
	}
	return nil
}

// weight is about how many bytes a part of an event takes.
func weight(e *eventDoc) int {
	n := 512
	for _, t := range e.Things {
		n += len(t.EPC) + 32
	}
	return n
}

func (s *Service) writeParts(ctx context.Context, items []store.Item[eventDoc]) error {
	if err := s.remember(ctx, items); err != nil {
		return err
	}
	errs, err := s.events.InsertMany(ctx, items)
	if err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil && !errors.Is(err, store.ErrExists) {
			return fmt.Errorf("event %s: %w", items[i].ID, err)
		}
	}
	return nil
}

func (s *Service) touch(items []store.Item[eventDoc]) {
	for i := range items {
		s.chains.touch(items[i].V.nodes()...)
	}
}

func (s *Service) firmOf(ctx context.Context, id string) (firm.Firm, error) {
	firms, err := s.deps.Firms.GetMany(ctx, []string{id})
	if err != nil {
		return firm.Firm{}, err
	}
	f, ok := firms[id]
	if !ok {
		return firm.Firm{}, fmt.Errorf("there is no firm %s", id)
	}
	return f, nil
}

// resume sees to the capture of a large document that a job should be at: it asks again for a job that is missing, and ends what a job gave
// up, forward if it was decided.
func (s *Service) resume(ctx context.Context, d store.Doc[captureDoc]) error {
	j, err := s.deps.Jobs.Get(ctx, job.Firm(d.V.Firm, s.deps.tenant), jobID(d.ID, &d.V))
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return s.enqueue(ctx, d.ID, &d.V)
	case err != nil || !j.State.Ended():
		return err
	}
	f, err := s.firmOf(ctx, d.V.Firm)
	if err != nil {
		return err
	}
	c := &capturing{s: s, f: f, id: d.ID, doc: d.V, progress: func(context.Context, int, int) error { return nil }}
	if d.V.Decided {
		return c.forward(ctx)
	}
	why := CaptureError{Status: 500, Code: "internal", Detail: "the capture was given up; nothing of it is stored beyond what is counted here: send it again"}
	if j.State == job.Cancelled {
		why = CaptureError{Status: 409, Code: "job_cancelled", Detail: "the capture was cancelled"}
	}
	return c.finish(ctx, func(d *captureDoc) {
		d.State, d.Failed, d.Errors = captureFailed, d.Failed+1, append(d.Errors[:min(len(d.Errors), maxCaptureErrors-1)], why)
	})
}
