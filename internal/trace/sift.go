package trace

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/store"
)

// standing says how an event stands to what is stored.
type standing int

const (
	isFresh standing = iota
	isKnown          // it is there and shows, or comes a second time
	isTaken          // its ID stands for another event
)

// sieve tells what is new among the events that a firm sends. It knows what is stored, and what it saw before.
type sieve struct {
	s    *Service
	f    firm.Firm
	seen map[string]string // the IDs of events that passed, with their hashes
}

func (s *Service) newSieve(f firm.Firm) *sieve { return &sieve{s: s, f: f, seen: map[string]string{}} }

// look says how each event stands. One whose capture is not complete is fresh: its repetition completes it.
func (v *sieve) look(ctx context.Context, events []*epcis.Event) ([]standing, error) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = storageID(v.f, e)
	}
	raws, err := v.s.raws.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	stored, err := v.s.storedEvents(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]standing, len(events))
	for i, e := range events {
		raw, there := raws[ids[i]]
		hash, twice := v.seen[ids[i]]
		switch {
		case there && (raw.V.Hash != e.HashID() || raw.V.Firm != v.f.ID) || twice && hash != e.HashID():
			out[i] = isTaken
			continue
		case twice || there && stored[ids[i]]:
			out[i] = isKnown
		}
		v.seen[ids[i]] = e.HashID()
	}
	return out, nil
}

// sift takes out the events that are there already and refuses a document with an event ID that stands for another event, or
// twice for different ones.
func (s *Service) sift(ctx context.Context, f firm.Firm, events []*epcis.Event, pointer func(int) string, res *CaptureResult) ([]placed, error) {
	stand, err := s.newSieve(f).look(ctx, events)
	if err != nil {
		return nil, err
	}
	var fresh []placed
	var bad []fault.Field
	for i, e := range events {
		res.Events[i] = Captured{EventID: e.ID(), Status: "new", Confirmed: confirms(f, e)}
		switch stand[i] {
		case isTaken:
			bad = append(bad, idTaken(pointer(i), e))
		case isKnown:
			res.Events[i].Status = "known"
		case isFresh:
			fresh = append(fresh, placed{pointer(i), e})
		}
	}
	if bad != nil {
		return nil, errTaken(bad...)
	}
	return fresh, nil
}

func errTaken(where ...fault.Field) error {
	return &fault.Error{Kind: fault.Conflict, Code: "event_id_taken", Detail: "event IDs stand for other events", Fields: where}
}

func idTaken(pointer string, e *epcis.Event) fault.Field {
	return fault.Field{Pointer: pointer + "/eventID", Code: "event_id_taken", Detail: "the ID stands for another event: " + e.ID()}
}

func tooLarge(pointer string) fault.Field {
	return fault.Field{Pointer: pointer, Code: "event_too_large", Detail: "the event is too large to be stored; split its lists"}
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

// fit refuses what the store would refuse for its size, before anything is decided: a capture that cannot roll forward would
// stay unfinished for ever, and hold up whoever follows the events. The decoder's limits do not see to it, since short names stand
// for long URIs.
func fit(f firm.Firm, events []placed, doc captureDoc) error {
	if !fits(doc) {
		const detail = "the event IDs of the document are too long together; send it in parts"
		return &fault.Error{Kind: fault.TooLarge, Code: "capture_too_large", Detail: detail, Fields: []fault.Field{{Code: "capture_too_large", Detail: detail}}}
	}
	var bad []fault.Field
	for i := range events {
		if !storable(f, events[i].e) {
			bad = append(bad, tooLarge(events[i].at))
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

// storable says whether the store takes the text and the parts of an event, and whoever reads all of them can hold them.
func storable(f firm.Firm, e *epcis.Event) bool {
	if !fits(rawItem(f, e).V) {
		return false
	}
	total := 0
	for _, p := range document(f, e, time.Time{}) {
		n, err := sizeOf(p.V)
		if total += n; err != nil || n > store.MaxBody-margin || total > maxStored {
			return false
		}
	}
	return true
}
