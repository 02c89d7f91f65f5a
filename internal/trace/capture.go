package trace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/clock"
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
		return res.Events[0], fault.New(fault.Conflict, "event_exists", "the event %s was captured before", e.ID())
	}
	return res.Events[0], nil
}

// Capture stores all events of a document or none. A document that was captured before gives the same result again. Conflict, with
// pointers, when the ID of an event stands for another event.
func (s *Service) Capture(ctx context.Context, f firm.Firm, doc *epcis.Document) (CaptureResult, error) {
	if len(doc.Events) == 0 {
		return CaptureResult{}, errNoEvents()
	}
	return s.capture(ctx, f, doc.Events, eventPointer, true)
}

func eventPointer(i int) string { return fmt.Sprintf("/epcisBody/eventList/%d", i) }

// capture stores events. listed says that the capture is a resource of its own.
func (s *Service) capture(ctx context.Context, f firm.Firm, events []*epcis.Event, pointer func(int) string, listed bool) (CaptureResult, error) {
	now := s.now()
	res := CaptureResult{CaptureID: captureID(f, events), Events: make([]Captured, len(events))}
	fresh, err := s.sift(ctx, f, events, pointer, &res)
	if err != nil || len(fresh) == 0 && !listed {
		return res, err
	}
	raws := make([]store.Item[rawDoc], len(fresh))
	doc := captureDoc{Firm: f.ID, State: captureRunning, Created: now, Total: len(events), Known: len(events) - len(fresh)}
	for i, e := range fresh {
		raws[i] = rawItem(f, e)
		doc.Raws = append(doc.Raws, raws[i].ID)
	}
	if err := fit(f, fresh, raws, doc, func(e *epcis.Event) string { return pointer(slices.Index(events, e)) }); err != nil {
		return res, err
	}
	if err := s.putRaws(ctx, raws); err != nil {
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
	return res, s.rollForward(ctx, f, res.CaptureID, fresh, now)
}

// fit refuses what the store would refuse for its size, before anything is decided: a capture that cannot roll forward would
// stay unfinished for ever, and hold up whoever follows the events. The decoder's limits do not see to it, since short names stand
// for long URIs.
func fit(f firm.Firm, events []*epcis.Event, raws []store.Item[rawDoc], doc captureDoc, pointer func(*epcis.Event) string) error {
	if !fits(doc) {
		return fault.New(fault.TooLarge, "capture_too_large", "the event IDs of the document are too long together; send it in parts")
	}
	var bad []fault.Field
	for i, e := range events {
		if !fits(raws[i].V) || !storable(f, e) {
			bad = append(bad, fault.Field{Pointer: pointer(e), Code: "event_too_large", Detail: "the event is too large to be stored; split its lists"})
		}
	}
	if bad != nil {
		return fault.InvalidFields(bad...)
	}
	return nil
}

func fits(v any) bool {
	n, err := sizeOf(v)
	return err == nil && n <= store.MaxBody-margin
}

const (
	// margin is what a document may grow by once it is decided: its capture and times stand in it only then, and the firm may be another kind of firm.
	margin = 4 << 10
	// maxStored bounds the parts of one event together. Each part of a transformation has all inputs, so a short text could fill memory
	// wherever an event is read as a whole.
	maxStored = 4 << 20
)

func sizeOf(v any) (int, error) {
	b, err := json.Marshal(v)
	return len(b), err
}

// storable says whether the store takes the parts of an event, and whoever reads all of them can hold them.
func storable(f firm.Firm, e *epcis.Event) bool {
	total := 0
	for _, p := range document(f, e, time.Time{}) {
		n, err := sizeOf(p.V)
		if total += n; err != nil || n > store.MaxBody-margin || total > maxStored {
			return false
		}
	}
	return true
}

// captureID is the same for the same events of the same firm, so that a repeated capture finds itself.
func captureID(f firm.Firm, events []*epcis.Event) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n", f.ID) // a hash takes everything
	for _, e := range events {
		_, _ = fmt.Fprintf(h, "%s\n%s\n", storageID(f, e), e.HashID())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func rawItem(f firm.Firm, e *epcis.Event) store.Item[rawDoc] {
	r := rawDoc{Firm: f.ID, Hash: e.HashID(), Event: e.Raw}
	if e.SuppliedHash != r.Hash {
		r.Supplied = e.SuppliedHash
	}
	return store.Item[rawDoc]{ID: storageID(f, e), V: r}
}

// sift takes out the events that are there already and refuses a document with an event ID that stands for another event, or
// twice for different ones.
func (s *Service) sift(ctx context.Context, f firm.Firm, events []*epcis.Event, pointer func(int) string, res *CaptureResult) ([]*epcis.Event, error) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = storageID(f, e)
	}
	raws, err := s.raws.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	stored, err := s.storedEvents(ctx, ids)
	if err != nil {
		return nil, err
	}
	var fresh []*epcis.Event
	var bad []fault.Field
	within := map[string]string{}
	for i, e := range events {
		res.Events[i] = Captured{EventID: e.ID(), Status: "new", Confirmed: confirms(f, e)}
		raw, known := raws[ids[i]]
		hash, twice := within[ids[i]]
		switch {
		case known && (raw.V.Hash != e.HashID() || raw.V.Firm != f.ID) || twice && hash != e.HashID():
			bad = append(bad, fault.Field{Pointer: pointer(i) + "/eventID", Code: "event_id_taken", Detail: "the ID stands for another event: " + e.ID()})
		case twice:
			res.Events[i].Status = "known"
		default:
			within[ids[i]] = e.HashID()
			if known && stored[ids[i]] {
				res.Events[i].Status = "known"
				continue
			}
			fresh = append(fresh, e)
		}
	}
	if bad != nil {
		return nil, &fault.Error{Kind: fault.Conflict, Code: "event_id_taken", Detail: "event IDs stand for other events", Fields: bad}
	}
	return fresh, nil
}

// storedEvents says which events are there and show: one whose capture is not complete is to be completed by its repetition.
func (s *Service) storedEvents(ctx context.Context, ids []string) (map[string]bool, error) {
	docs, err := s.events.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	visible, err := s.visible(ctx, slices.Collect(maps.Values(docs)))
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(visible))
	for _, d := range visible {
		out[d.ID] = true
	}
	return out, nil
}

// putRaws stores what was received. It comes first: an event without its text would be worse than a text without its event.
func (s *Service) putRaws(ctx context.Context, raws []store.Item[rawDoc]) error {
	errs, err := s.raws.InsertMany(ctx, raws)
	if err != nil {
		return err
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		if !errors.Is(err, store.ErrExists) {
			return err
		}
		d, err := s.raws.Get(ctx, raws[i].ID)
		if err != nil {
			return err
		}
		if d.V.Hash != raws[i].V.Hash || d.V.Firm != raws[i].V.Firm {
			return fault.New(fault.Conflict, "event_id_taken", "the ID %s stands for another event", raws[i].ID)
		}
	}
	return nil
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

// recoverAfter is how old an unfinished capture must be before another process completes it.
const recoverAfter = 30 * time.Second

// Recover completes captures whose process died after they were decided, and says how many. One that cannot be completed does
// not hold up the others.
func (s *Service) Recover(ctx context.Context) (int, error) {
	return recoverCaptures(ctx, s.captures, s.now, func(d store.Doc[captureDoc]) error { return s.complete(ctx, d) })
}

func recoverCaptures(ctx context.Context, captures *store.Collection[captureDoc], now clock.Now, complete func(store.Doc[captureDoc]) error) (int, error) {
	n := 0
	var all error
	err := captures.Each(ctx, store.Query{
		Index: byState, Eq: store.K(captureRunning), To: store.K(now().Add(-recoverAfter)),
	}, func(d store.Doc[captureDoc]) error {
		if err := complete(d); err != nil {
			all = errors.Join(all, fmt.Errorf("capture %s: %w", d.ID, err))
			return ctx.Err()
		}
		n++
		return nil
	})
	return n, errors.Join(all, err)
}

// storedLimits are for events that were accepted before: all that fits into a document.
var storedLimits = epcis.Limits{EventBytes: store.MaxBody, Context: store.MaxBody}

// complete rolls a decided capture forward from what is stored of it, and sees to one that is a job's.
func (s *Service) complete(ctx context.Context, d store.Doc[captureDoc]) error {
	if d.V.Source != nil {
		return s.resume(ctx, d)
	}
	f, err := s.firmOf(ctx, d.V.Firm)
	if err != nil {
		return err
	}
	events, err := s.decodeRaws(ctx, d.V.Raws)
	if err != nil {
		return err
	}
	return s.rollForward(ctx, f, d.ID, events, d.V.Created)
}

// RunRecovery calls Recover at once and then every recoverAfter, until ctx ends.
func (s *Service) RunRecovery(ctx context.Context) error {
	return runRecovery(ctx, s.deps.Log, s.Recover)
}

func runRecovery(ctx context.Context, log *slog.Logger, complete func(context.Context) (int, error)) error {
	t := time.NewTicker(recoverAfter)
	defer t.Stop()
	for {
		n, err := complete(ctx)
		if err != nil && ctx.Err() == nil && log != nil {
			log.ErrorContext(ctx, "capture recovery", "error", err)
		}
		if n > 0 && log != nil {
			log.InfoContext(ctx, "captures completed after a crash", "count", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
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
