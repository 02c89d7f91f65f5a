package trace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/store"
)

// The states of a capture.
const (
	captureRunning = "running"
	captureDone    = "success"
	captureFailed  = "failed"
)

// captureDoc decides a capture of several documents: once it is inserted the events will all be there, whoever dies; until it is done
// none of them shows.
type captureDoc struct {
	Firm    string    `json:"firm"`
	State   string    `json:"state"`
	Raws    []string  `json:"raws,omitempty"` // IDs in epcis_raw, in the order of the document
	Created time.Time `json:"created"`

	Behaviour string         `json:"behaviour,omitempty"`
	Finished  time.Time      `json:"finished,omitzero"`
	Total     int            `json:"total,omitempty"` // events in the document
	Done      int            `json:"done,omitempty"`
	Stored    int            `json:"stored,omitempty"`
	Known     int            `json:"known,omitempty"`
	Failed    int            `json:"failed,omitempty"` // refusals
	Errors    []CaptureError `json:"errors,omitempty"` // some of them

	// Of a large document; see capturejob.go.
	Source  *blob.Ref `json:"source,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Decided bool      `json:"decided,omitempty"` // its plans are complete, and will be carried out
	Plans   int       `json:"plans,omitempty"`
	Written int       `json:"written,omitempty"` // of the plans
}

var captureDef = store.Def[captureDoc]{Name: "captures", Feed: true, Indexes: []store.Index[captureDoc]{{
	Name: byState, Version: "1", Keys: func(_ string, d *captureDoc) ([]store.Key, store.Key) {
		return []store.Key{store.K(d.State)}, store.K(d.Created)
	},
}, {
	Name: byFirm, Version: "1", Keys: func(_ string, d *captureDoc) ([]store.Key, store.Key) {
		return []store.Key{store.K(d.Firm)}, store.K(d.Created)
	},
}}}

// CaptureLimits bound a document that is captured while its sender waits.
var CaptureLimits = epcis.Limits{Bytes: 4 << 20, Events: 1000}

// Captured says what became of one event.
type Captured struct {
	EventID   string `json:"event_id"`
	Status    string `json:"status"` // new, or known: it was captured before
	Confirmed bool   `json:"confirmed"`
}

// CaptureResult says what became of a document.
type CaptureResult struct {
	CaptureID string     `json:"capture_id"`
	Events    []Captured `json:"events"`
}

// CaptureEvent stores one event. Conflict when the event is there already, or when its ID stands for another one.
func (s *Service) CaptureEvent(ctx context.Context, f firm.Firm, e *epcis.Event) (Captured, error) {
	res, err := s.capture(ctx, f, []*epcis.Event{e}, func(int) string { return "" }, false)
	if err != nil {
		return Captured{}, err
	}
	if res.Events[0].Status == "known" {
		there := fault.New(fault.Conflict, "event_exists", "the event %s was captured before", e.ID())
		there.Fields = []fault.Field{{Code: there.Code, Detail: there.Detail}}
		return res.Events[0], there
	}
	return res.Events[0], nil
}

// Capture stores all events of a document or none. A document that was captured before gives the same result again. Conflict, with
// pointers, when the ID of an event stands for another event.
func (s *Service) Capture(ctx context.Context, f firm.Firm, doc *epcis.Document) (CaptureResult, error) {
	if len(doc.Events) == 0 {
		return CaptureResult{}, errNoEvents(doc)
	}
	return s.capture(ctx, f, doc.Events, doc.Pointer, true)
}

// capture stores events. listed says that the capture is a resource of its own.
func (s *Service) capture(ctx context.Context, f firm.Firm, events []*epcis.Event, pointer func(int) string, listed bool) (CaptureResult, error) {
	now := s.now()
	res := CaptureResult{CaptureID: captureID(f, events), Events: make([]Captured, len(events))}
	fresh, err := s.sift(ctx, f, events, pointer, &res)
	if err != nil || len(fresh) == 0 && !listed {
		return res, err
	}
	doc := captureDoc{Firm: f.ID, State: captureRunning, Created: now, Total: len(events), Known: len(events) - len(fresh)}
	for i := range fresh {
		doc.Raws = append(doc.Raws, storageID(f, fresh[i].e))
	}
	if err := fit(f, fresh, doc); err != nil {
		return res, err
	}
	if err := s.putRaws(ctx, f, fresh); err != nil {
		return res, err
	}
	if parts := document(f, events[0], now); !listed && len(parts) == 1 {
		if err := s.remember(ctx, parts); err != nil {
			return res, err
		}
		err := s.events.Insert(ctx, parts[0].ID, parts[0].V)
		if errors.Is(err, store.ErrExists) { // the same event, captured at the same moment
			res.Events[0].Status = "known"
			err = nil
		}
		s.chains.touch(parts[0].V.nodes()...)
		return res, err
	}
	if len(fresh) == 0 {
		doc.State, doc.Done, doc.Finished = captureDone, doc.Total, now
	}
	if err := s.captures.Insert(ctx, res.CaptureID, doc); err != nil && !errors.Is(err, store.ErrExists) {
		return res, err
	}
	if len(fresh) == 0 {
		return res, nil
	}
	return res, s.rollForward(ctx, f, res.CaptureID, eventsOf(fresh), now)
}

// captureID is the same for the same events of the same firm, so that a repeated capture finds itself.
func captureID(f firm.Firm, events []*epcis.Event) string {
	parts := []string{f.ID}
	for _, e := range events {
		parts = append(parts, storageID(f, e), e.HashID())
	}
	return hashOf(parts...)
}

// hashOf is the same for the same texts, and can be an ID.
func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%s\n", p) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// rollForward writes the events of a decided capture and marks it as done. It may be repeated.
func (s *Service) rollForward(ctx context.Context, f firm.Firm, id string, events []*epcis.Event, now time.Time) error {
	var items []store.Item[eventDoc]
	err := s.writeEvents(ctx, f, id, events, now, func(part []store.Item[eventDoc]) { items = append(items, part...) })
	if err != nil {
		return err
	}
	_, err = s.captures.Update(ctx, id, func(d *captureDoc) error {
		if d.State == captureRunning {
			d.State, d.Stored, d.Done, d.Finished = captureDone, len(d.Raws), d.Total, s.now()
		}
		return nil
	})
	s.touch(items)
	return err
}

// visible leaves out events of captures that are not complete.
func (s *Service) visible(ctx context.Context, docs []store.Doc[eventDoc]) ([]store.Doc[eventDoc], error) {
	var open []string
	for _, d := range docs {
		if id := d.V.Capture; id != "" && !slices.Contains(open, id) {
			if _, done := s.done.GetIfPresent(id); !done {
				open = append(open, id)
			}
		}
	}
	if len(open) == 0 {
		return docs, nil
	}
	found, err := s.captures.GetMany(ctx, open)
	if err != nil {
		return nil, err
	}
	for id, d := range found {
		if d.V.State == captureDone {
			s.done.Set(id, struct{}{})
		}
	}
	return slices.DeleteFunc(slices.Clone(docs), func(d store.Doc[eventDoc]) bool {
		id := d.V.Capture
		return id != "" && slices.Contains(open, id) && found[id].V.State != captureDone
	}), nil
}
