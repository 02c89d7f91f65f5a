package trace

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store"
)

// KindEvent is the kind of events in the transparency log.
const KindEvent = "event"

// EventLog gives every captured event to the transparency log, corrections included, once it is visible. An event's key is its firm
// and its ID.
//
// Everything that is stored of an event is sealed: as it was received, and as the graph has it. The public part is what the public chain
// tells of it and of whom; what nobody confirms is on no public chain, and has none. A firm's goods, quantities, partners and places are nobody
// else's business.
type EventLog struct{ s *Service }

var _ ledger.Source = EventLog{}

// EventLog is the source of the service's events.
func (s *Service) EventLog() EventLog { return EventLog{s} }

// leafKey is the key of the event that the firm captured under an event ID.
func leafKey(firm, id string) string { return firm + "|" + id }

// publicEvent lists the members of an eventDoc that anyone may read. A member that stored events have must not be added: their leaves were
// made without it.
var publicEvent = []string{"id", "firm", "type", "time_text", "action", "step", "document", "declares"}

// Kind implements ledger.Source.
func (EventLog) Kind() string { return KindEvent }

// Wake implements ledger.Source.
func (l EventLog) Wake() []<-chan struct{} {
	return []<-chan struct{}{l.s.events.Wake(), l.s.captures.Wake()}
}

// places are how far both feeds were followed.
type places struct {
	Events   string `json:"e"`
	Captures string `json:"c"`
}

// Changes implements ledger.Source. Events that belong to a capture come with the capture when it completes: until then they are
// passed over, so that a long one holds nobody up.
func (l EventLog) Changes(ctx context.Context, token string, limit int) (ledger.Page, error) {
	var at places
	if token != "" {
		if err := json.Unmarshal([]byte(token), &at); err != nil {
			return ledger.Page{}, fmt.Errorf("token of events: %w", store.ErrBadCursor)
		}
	}
	events, err := l.eventChanges(ctx, at.Events, limit)
	if err != nil {
		return ledger.Page{}, err
	}
	captures, err := l.captureChanges(ctx, at.Captures, min(limit, capturesAtOnce))
	if err != nil {
		return ledger.Page{}, err
	}
	p := ledger.Page{Keys: append(events.Keys, captures.Keys...), Next: token, Last: events.Last && captures.Last}
	if now := (places{events.Next, captures.Next}); now != at {
		text, err := json.Marshal(now)
		if err != nil {
			return ledger.Page{}, fmt.Errorf("token of events: %w", err)
		}
		p.Next = string(text)
	}
	return p, nil
}

func (l EventLog) eventChanges(ctx context.Context, token string, limit int) (ledger.Page, error) {
	changes, next, err := l.s.events.Changes(ctx, token, limit)
	if err != nil {
		return ledger.Page{}, err
	}
	docs := make([]store.Doc[eventDoc], 0, len(changes))
	for _, ch := range changes {
		if !ch.Deleted && isFirstPart(ch.ID, &ch.V) {
			docs = append(docs, ch.Doc)
		}
	}
	visible, err := l.s.visible(ctx, docs)
	if err != nil {
		return ledger.Page{}, err
	}
	p := ledger.Page{Next: next, Last: len(changes) < limit}
	for _, d := range visible {
		p.Keys = append(p.Keys, d.ID)
	}
	return p, nil
}

func (l EventLog) captureChanges(ctx context.Context, token string, limit int) (ledger.Page, error) {
	changes, next, err := l.s.captures.Changes(ctx, token, limit)
	if err != nil {
		return ledger.Page{}, err
	}
	page := ledger.Page{Next: next, Last: len(changes) < limit}
	for _, ch := range changes {
		if ch.Deleted || ch.V.State != captureDone {
			continue
		}
		page.Keys = append(page.Keys, ch.V.Raws...)
		for n := range ch.V.Plans { // of a large document
			p, err := l.s.plans.Get(ctx, planID(ch.ID, n))
			if err != nil {
				return ledger.Page{}, err
			}
			page.Keys = append(page.Keys, p.V.Raws...)
		}
	}
	return page, nil
}

// capturesAtOnce bounds the captures of one call: each may have thousands of events.
const capturesAtOnce = 8

// isFirstPart tells the first part of an event, whose ID is the event's key, from the others, which have a number behind it.
func isFirstPart(id string, e *eventDoc) bool {
	last := id[strings.LastIndexByte(id, '|')+1:]
	return id == leafKey(e.Firm, e.ID) || last == "" || strings.Trim(last, "0123456789") != ""
}

// Documents implements ledger.Source.
func (l EventLog) Documents(ctx context.Context, keys []string) (map[string]ledger.Document, error) {
	events, err := l.bodies(ctx, eventDef.Name, keys)
	if err != nil {
		return nil, err
	}
	raws, err := l.bodies(ctx, rawCollection, keys)
	if err != nil {
		return nil, err
	}
	out := make(map[string]ledger.Document, len(keys))
	for _, key := range keys {
		first, raw := events[key], raws[key]
		if first == nil && raw == nil {
			continue
		}
		parts, err := l.furtherParts(ctx, key, first)
		if err != nil {
			return nil, err
		}
		out[key] = eventDocument(raw, append([][]byte{first}, parts...))
	}
	return out, nil
}

// eventDocument puts together what is stored of an event. What is not there any more is null, and a body that is no JSON stands as it is:
// neither is what was logged.
func eventDocument(raw []byte, parts [][]byte) ledger.Document {
	sealed := append([]byte(`{"received":`), orNull(raw)...)
	sealed = append(append(sealed, `,"parts":[`...), orNull(parts[0])...)
	for _, p := range parts[1:] {
		sealed = append(append(sealed, ','), p...)
	}
	d := ledger.Document{Sealed: append(sealed, ']', '}')}
	var who struct {
		Firm      string `json:"firm"`
		Confirmed bool   `json:"confirmed"`
	}
	said, ok := ledger.Pick(parts[0], "firm", "confirmed")
	if !ok || json.Unmarshal(said, &who) != nil {
		return d
	}
	d.Owner = who.Firm
	if who.Confirmed {
		d.Public, _ = ledger.Pick(parts[0], publicEvent...)
	}
	return d
}

func orNull(body []byte) []byte {
	if body == nil {
		return []byte("null")
	}
	return body
}

// findLeaves asks for the leaves of those events of a chain that are not known to have one.
func (s *Service) findLeaves(ctx context.Context, c *chain) error {
	if s.deps.Leaves == nil {
		return nil
	}
	var keys []string
	for i := range c.history {
		if c.history[i].leaf == nil {
			keys = append(keys, leafKey(c.history[i].Firm, c.history[i].id))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := s.deps.Leaves.Positions(ctx, KindEvent, keys)
	if err != nil {
		return err
	}
	for i := range c.history {
		f := &c.history[i]
		if at, ok := found[leafKey(f.Firm, f.id)]; ok && f.leaf == nil {
			f.leaf = &at
		}
		c.pending = c.pending || f.leaf == nil
	}
	return nil
}

func stepLog(leaf *int64) *StepLog {
	if leaf == nil {
		return &StepLog{State: LogPending}
	}
	return &StepLog{State: LogLogged, Index: leaf, Proof: fmt.Sprintf("/v1/ledger/leaves/%d", *leaf)}
}

// The bounds of looking for further parts: a shorter body than shortPart has no full list of things, and an event has a few parts at most.
const (
	shortPart = partSize * len(`{"e":"","r":"s"},`)
	probe     = 16
)

// furtherParts gives the parts of an event behind its first.
func (l EventLog) furtherParts(ctx context.Context, key string, first []byte) ([][]byte, error) {
	if len(first) < shortPart {
		return nil, nil
	}
	var out [][]byte
	for {
		ids := make([]string, probe)
		for i := range ids {
			ids[i] = fmt.Sprintf("%s|%d", key, len(out)+i+1)
		}
		found, err := l.bodies(ctx, eventDef.Name, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if found[id] == nil {
				return out, nil
			}
			out = append(out, found[id])
		}
	}
}

// bodies gives stored bodies as they are: a hash is over every byte.
func (l EventLog) bodies(ctx context.Context, coll string, ids []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(ids))
	for part := range slices.Chunk(ids, store.MaxBatch) {
		recs, err := l.s.deps.Engine.Get(ctx, coll, part)
		if err != nil {
			return nil, err
		}
		for _, r := range recs {
			out[r.ID] = r.Body
		}
	}
	return out, nil
}
