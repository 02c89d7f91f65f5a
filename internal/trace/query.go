package trace

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// The budgets of one page of a query.
const (
	queryRows  = 2000    // index entries that are examined
	queryBytes = 4 << 20 // of events; a page ends behind the event that passes it
	queryBatch = 64      // entries that are read in one round at most
	sortable   = 500     // entries of an index in another order, which are all read and sorted
)

// EventPage is a page of a query's result.
type EventPage struct {
	Events []json.RawMessage // as Stamp makes them
	Next   string            // "" on the last page
}

// Events gives a page of the events that the query finds and the reader may see, each once, in the query's order; events of one instant are in
// the order of their keys. Events of captures that are not complete are left out.
//
// The page is made from the one index that leaves least to examine, and the rest of the conditions is tested on the events themselves. No page
// examines more than a budget, so one may be short, or empty, and still have a next one. Next is sealed: it does not tell of
// events that the reader does not see. Malformed (bad_cursor) for a token of another query or reader.
func (s *Service) Events(ctx context.Context, r Reader, q *epcis.Query) (EventPage, error) {
	at, err := s.openPlace(r, q)
	if err != nil {
		return EventPage{}, err
	}
	plans := s.waysTo(r, q)
	if at.Plan < 0 || at.Plan >= len(plans) {
		return EventPage{}, errPageToken
	}
	if q.PageToken == "" {
		if at.Plan, err = s.cheapest(ctx, plans); err != nil {
			return EventPage{}, err
		}
	}
	p := plans[at.Plan]
	w := &searcher{s: s, r: r, q: q, plan: p, at: at}
	if p.sorted {
		err = w.inOrder(ctx)
	} else {
		err = w.sort(ctx)
	}
	if err != nil {
		return EventPage{}, err
	}
	page := EventPage{Events: w.found}
	if w.more {
		page.Next, err = s.sealPlace(r, q, w.at)
	}
	return page, err
}

// plan is one way to find candidates.
type plan struct {
	index    string
	eq       []store.Key
	from, to store.Key
	sorted   bool // the index has the query's order
}

// waysTo lists the plans, the same in each page of a query: first by who reads, then by each condition that has an index.
func (s *Service) waysTo(r Reader, q *epcis.Query) []plan {
	timed := func(index string, span epcis.Span, eq []store.Key) plan {
		p := plan{index: index, eq: eq, sorted: (index == byRecord) == q.ByRecordTime}
		if !span.From.IsZero() {
			p.from = store.K(span.From)
		}
		if !span.To.IsZero() {
			p.to = store.K(span.To)
		}
		return p
	}
	out := []plan{timed(byAspect, q.EventTime, r.keys()), timed(byRecord, q.RecordTime, r.keys())}
	if q.ByRecordTime {
		slices.Reverse(out) // the first is the one that is always possible
	}
	for _, l := range q.Lookups() {
		index, eq := byAspect, make([]store.Key, 0, 2*len(l.Values))
		for _, v := range l.Values {
			switch l.Aspect {
			case epcis.AThing:
				index = byEPC
				eq = append(eq, nodeKey(v), doubtfulKey(v))
			case epcis.ABizStep, epcis.ADisposition:
				eq = append(eq, aspectKey(l.Aspect, epcis.Term(v).Word()))
			default:
				eq = append(eq, aspectKey(l.Aspect, v))
			}
		}
		out = append(out, timed(index, q.EventTime, eq))
	}
	return out
}

// cheapest chooses the plan with the fewest candidates. Those that are not in the query's order must be few.
func (s *Service) cheapest(ctx context.Context, plans []plan) (int, error) {
	best, least := 0, queryRows+1
	all := bytes.Equal(plans[0].eq[0], store.K(everybody)) // then no other plan has more
	for i, p := range plans {
		limit := queryRows
		if !p.sorted {
			limit = min(limit, sortable+1)
		}
		n := 0
		for _, eq := range p.eq {
			if n >= limit {
				break
			}
			m, err := s.events.Count(ctx, store.Query{Index: p.index, Eq: eq, From: p.from, To: p.to}, limit-n)
			if err != nil {
				return 0, err
			}
			n += m
		}
		if (p.sorted || n <= sortable) && (n < least || n == least && all) {
			best, least = i, n
		}
	}
	return best, nil
}

// place is where the next page begins: behind this event in the order of the query.
type place struct {
	Plan  int    `json:"p"`
	Order []byte `json:"o"` // its key in the index
	ID    string `json:"i"`
	begun bool
}

var errPageToken = fault.New(fault.Malformed, "bad_cursor", "the token is not one that this query gave")

func pagePurpose(r Reader, q *epcis.Query) string {
	who := everybody
	if r.Firm != nil {
		who = r.Firm.ID
	}
	return "epcis.page/" + who + "/" + q.Fingerprint()
}

// tokenLetters make a sealed text fit into a URL.
var tokenLetters, sealedLetters = strings.NewReplacer("+", "-", "/", "_"), strings.NewReplacer("-", "+", "_", "/")

func (s *Service) openPlace(r Reader, q *epcis.Query) (place, error) {
	if q.PageToken == "" {
		return place{}, nil
	}
	if s.deps.Sealer == nil {
		return place{}, errPageToken
	}
	b, err := s.deps.Sealer.Open(pagePurpose(r, q), sealedLetters.Replace(q.PageToken))
	if err != nil {
		return place{}, errPageToken.Because(err)
	}
	p := place{begun: true}
	if err := json.Unmarshal(b, &p); err != nil {
		return place{}, errPageToken.Because(err)
	}
	return p, nil
}

func (s *Service) sealPlace(r Reader, q *epcis.Query, p place) (string, error) {
	if s.deps.Sealer == nil {
		return "", nil
	}
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("page token: %w", err)
	}
	token, err := s.deps.Sealer.Seal(pagePurpose(r, q), b)
	return tokenLetters.Replace(token), err
}

// searcher makes one page.
type searcher struct {
	s    *Service
	r    Reader
	q    *epcis.Query
	plan plan

	at    place
	found []json.RawMessage
	bytes int
	more  bool
}

func (w *searcher) full() bool { return len(w.found) >= w.q.PerPage || w.bytes >= queryBytes }

// candidate is an event that is found.
type candidate struct {
	id  string // of the part that stands for it
	key string // of its text
	doc *eventDoc
	raw json.RawMessage
}

// inOrder walks the index, which has the query's order.
func (w *searcher) inOrder(ctx context.Context) error {
	sq := store.Query{
		Index: w.plan.index, Eq: w.plan.eq[0], Or: w.plan.eq[1:], From: w.plan.from, To: w.plan.to, Desc: !w.q.Ascending, Limit: min(queryBatch, w.q.PerPage+8),
	}
	if w.at.begun {
		sq.Cursor = store.Position{Order: w.at.Order, ID: w.at.ID}.Cursor()
	}
	for rows := 0; ; {
		keys, next, err := w.s.events.Keys(ctx, sq)
		if err != nil {
			return err
		}
		rows += len(keys)
		list, err := w.candidates(ctx, keys)
		if err != nil {
			return err
		}
		for _, c := range list {
			if w.full() {
				w.more = true
				return nil
			}
			if err := w.take(c); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		last := keys[len(keys)-1] // all up to here were looked at
		w.at.Order, w.at.ID = last.Order, last.ID
		if w.full() || rows >= queryRows {
			w.more = true
			return nil
		}
		sq.Cursor = next
	}
}

// order is where a candidate stands in the query's order.
func (w *searcher) order(c candidate) store.Key {
	if w.q.ByRecordTime {
		return store.K(c.doc.Recorded)
	}
	return store.K(c.doc.Time)
}

// sort reads all candidates, which are few, and cuts the page out of them in order.
func (w *searcher) sort(ctx context.Context) error {
	sq := store.Query{Index: w.plan.index, Eq: w.plan.eq[0], Or: w.plan.eq[1:], From: w.plan.from, To: w.plan.to, Limit: queryBatch}
	var all []candidate
	for rows := 0; ; {
		keys, next, err := w.s.events.Keys(ctx, sq)
		if err != nil {
			return err
		}
		list, err := w.candidates(ctx, keys)
		if err != nil {
			return err
		}
		for _, c := range list {
			if !w.at.begun || w.behind(c) {
				c.raw, c.doc.Things = nil, nil // they may be large; the events of the page are read again
				all = append(all, c)
			}
		}
		if rows += len(keys); rows > queryRows {
			return fault.New(fault.Conflict, "query_changed", "too many events came in since the first page; begin again")
		}
		if next == "" {
			break
		}
		sq.Cursor = next
	}
	slices.SortFunc(all, func(a, b candidate) int {
		c := cmp.Or(bytes.Compare(w.order(a), w.order(b)), strings.Compare(a.id, b.id))
		if !w.q.Ascending {
			return -c
		}
		return c
	})
	for i := range all {
		if w.full() {
			w.more = true
			return nil
		}
		d, err := w.s.raws.Get(ctx, all[i].key)
		if err != nil {
			return err
		}
		all[i].raw = d.V.Event
		if err := w.take(all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *searcher) behind(c candidate) bool {
	d := cmp.Or(bytes.Compare(w.order(c), w.at.Order), strings.Compare(c.id, w.at.ID))
	return d != 0 && (d > 0) == w.q.Ascending
}

// take puts a candidate on the page.
func (w *searcher) take(c candidate) error {
	stamped, err := epcis.Stamp(c.raw, c.doc.ID, c.doc.Recorded)
	if err != nil {
		return err
	}
	w.found = append(w.found, stamped)
	w.bytes += len(stamped)
	w.at.Order, w.at.ID = w.order(c), c.id
	return nil
}

// candidates reads the documents at the positions and gives, in the same order, the events that are found.
func (w *searcher) candidates(ctx context.Context, keys []store.Position) ([]candidate, error) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	docs, err := w.s.events.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]store.Doc[eventDoc], 0, len(ids))
	rawIDs := make([]string, 0, len(ids))
	for _, id := range ids {
		if d, ok := docs[id]; ok {
			list = append(list, d)
			rawIDs = append(rawIDs, eventKey(&d))
		}
	}
	if list, err = w.s.visible(ctx, list); err != nil {
		return nil, err
	}
	raws, err := w.s.raws.GetMany(ctx, rawIDs)
	if err != nil {
		return nil, err
	}
	out := make([]candidate, 0, len(list))
	for i := range list {
		d := &list[i]
		raw := raws[eventKey(d)].V.Event
		e, err := epcis.DecodeEvent(raw, storedLimits)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", d.ID, err)
		}
		if !w.q.Matches(e, d.V.Recorded) || !w.r.sees(d.V.Firm, e) {
			continue
		}
		first, err := w.first(ctx, d)
		if err != nil {
			return nil, err
		}
		if first {
			out = append(out, candidate{id: d.ID, key: eventKey(d), doc: &d.V, raw: raw})
		}
	}
	return out, nil
}

// eventKey is the ID of the event's text and first part.
func eventKey(d *store.Doc[eventDoc]) string {
	if d.V.Part == 0 {
		return d.ID
	}
	return d.ID[:strings.LastIndexByte(d.ID, '|')]
}

// first says whether no earlier part of the event is under a key of the plan: of a long event one part stands for all.
func (w *searcher) first(ctx context.Context, d *store.Doc[eventDoc]) (bool, error) {
	if d.V.Part == 0 {
		return true, nil
	}
	var ids []string
	for i := range d.V.Part {
		ids = append(ids, partID(eventKey(d), i))
	}
	before, err := w.s.events.GetMany(ctx, ids)
	if err != nil {
		return false, err
	}
	for _, b := range before {
		for _, ix := range eventDef.Indexes {
			if ix.Name != w.plan.index {
				continue
			}
			keys, _ := ix.Keys(b.ID, &b.V)
			for _, k := range keys {
				if slices.ContainsFunc(w.plan.eq, func(eq store.Key) bool { return bytes.Equal(eq, k) }) {
					return false, nil
				}
			}
		}
	}
	return true, nil
}
