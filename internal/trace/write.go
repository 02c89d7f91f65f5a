package trace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/store"
)

// placed is an event and its JSON pointer in the document that it came with.
type placed struct {
	at string
	e  *epcis.Event
}

func eventsOf(list []placed) []*epcis.Event {
	out := make([]*epcis.Event, len(list))
	for i := range list {
		out[i] = list[i].e
	}
	return out
}

// putRaws stores what was received, which takes the events' IDs. It comes first: an event without its text would be worse than a text without its
// event. Conflict if an ID was taken for another event meanwhile.
func (s *Service) putRaws(ctx context.Context, f firm.Firm, events []placed) error {
	raws := make([]store.Item[rawDoc], len(events))
	for i := range events {
		raws[i] = rawItem(f, events[i].e)
	}
	errs, err := s.raws.InsertMany(ctx, raws)
	if err != nil {
		return err
	}
	for i, it := range events {
		if errs[i] == nil {
			continue
		}
		if !errors.Is(errs[i], store.ErrExists) {
			return errs[i]
		}
		d, err := s.raws.Get(ctx, raws[i].ID)
		if err != nil {
			return err
		}
		if d.V.Hash != raws[i].V.Hash || d.V.Firm != raws[i].V.Firm {
			return errTaken(idTaken(it.at, it.e))
		}
	}
	return nil
}

func rawItem(f firm.Firm, e *epcis.Event) store.Item[rawDoc] {
	r := rawDoc{Firm: f.ID, Hash: e.HashID(), Event: e.Raw}
	if e.SuppliedHash != r.Hash {
		r.Supplied = e.SuppliedHash
	}
	return store.Item[rawDoc]{ID: storageID(f, e), V: r}
}

// storedLimits are for events that were accepted before: all that fits into a document.
var storedLimits = epcis.Limits{EventBytes: store.MaxBody, Context: store.MaxBody}

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
