package trace

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// The bounds of one answer. What exceeds them is left out, and the answer says so.
const (
	maxUnits      = 250_000
	maxContainers = 50_000
	maxLoneUnits  = 2_000 // units that are looked up one by one
	maxLots       = 32    // lots that were made of the goods, and are followed too
	maxUses       = 2_000 // events by which something was made of the goods
	maxBoxEvents  = 999   // of one container while it matters
	maxHappenings = 1_000_000
)

// The reasons for which an answer is not whole.
const (
	CutUnits      = "units"
	CutContainers = "containers"
	CutEvents     = "events" // of a container, or of all goods together
	CutMade       = "made"
	CutRows       = "rows"
)

// tracking reads what a tracker replays: the flows of lots, and level by level the events of the containers that the goods were in.
type tracking struct {
	*tracker
	s     *Service
	until int64 // the last moment that counts
	only  map[lotKey]map[string]bool
	box   map[string]int64 // containers to look at, and from when on
	uses  []use
	used  map[string]bool // documents in uses
	cut   map[string]bool
	lone  int
}

// use is an event document by which something was made of the goods.
type use struct {
	doc  string
	base uint64
}

func (s *Service) newTracking(at time.Time) *tracking {
	return &tracking{
		tracker: newTracker(), s: s, until: at.UnixMilli(), only: map[lotKey]map[string]bool{}, box: map[string]int64{}, used: map[string]bool{}, cut: map[string]bool{},
	}
}

// lotFlow reads the flow of a lot; only its units in t.only if there are any.
func (t *tracking) lotFlow(ctx context.Context, k lotKey) error {
	q := lotQuery(k)
	q.To, q.Limit = store.K(floorDay(t.until)+1), 32
	for {
		page, err := t.s.flows.Find(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			for m, err := range moves(page.Items[i].V.Lines) {
				if err != nil {
					return err
				}
				if t.only[k] != nil {
					m.Amounts = "" // they are of other goods
				}
				t.move(k, &m)
			}
		}
		if page.Next == "" {
			return nil
		}
		if len(t.what) >= maxHappenings {
			t.cut[CutEvents] = true
			return nil
		}
		q.Cursor = page.Next
	}
}

// move takes a line of the flow of a lot.
func (t *tracking) move(k lotKey, m *move) {
	base := t.hash(baseOf(m.Doc))
	if m.Declares {
		t.wrong[base] = struct{}{}
		return
	}
	if m.At > t.until || !t.take(m.Doc, m.Role, string(rune(m.N)), string(k.GTIN), k.Lot) {
		return
	}
	lot := t.lot(k)
	h := happening{
		at: m.At, base: base, doc: t.hash(m.Doc), firm: t.names.of(m.Firm), place: t.names.of(m.Place), step: t.names.of(m.Step),
		state: stateAfter(m.Step, m.Action, m.Role), role: m.Role[0], parent: -1, lot: lot,
	}
	t.serials(&h, lot, m.Serials)
	h.amounts = t.amountsOf(m.Amounts)
	if len(h.bodies) == 0 && m.Amounts == "" {
		return // of other units than those that are followed
	}
	if m.Role == roleInput || m.Role == roleChild && isTradeItem(m.Parent) && m.Action != string(epcis.Delete) {
		t.use(m.Doc, base)
	}
	if m.Role == roleChild && m.Parent != "" {
		h.kind = putIn
		if m.Action == string(epcis.Delete) {
			h.kind = takenOut
		}
		h.parent = t.container(m.Parent, m.At)
		if !m.Mixed {
			t.take(m.Doc) // it says nothing else about its container
		}
		if h.parent < 0 {
			h.kind = seenThere
		}
	}
	t.what = append(t.what, h)
}

func (t *tracking) serials(h *happening, lot int32, joined string) {
	if joined == "" {
		return
	}
	only := t.only[t.lots[lot]]
	h.bodies = make([]int32, 0, 1+strings.Count(joined, " "))
	for serial := range strings.SplitSeq(joined, " ") {
		if only != nil && !only[serial] {
			continue
		}
		if _, known := t.units[lot][serial]; !known && len(t.bodies) >= maxUnits {
			t.cut[CutUnits] = true
			continue
		}
		h.bodies = append(h.bodies, t.unitOf(lot, serial))
	}
}

func (t *tracking) use(doc string, base uint64) {
	if t.used[doc] {
		return
	}
	if len(t.uses) >= maxUses {
		t.cut[CutMade] = true
		return
	}
	doc = strings.Clone(doc) // and not the page that it stands on
	t.used[doc] = true
	t.uses = append(t.uses, use{doc, base})
}

// container gives the body of a container, to be looked at from a moment on; -1 if there are too many.
func (t *tracking) container(n string, from int64) int32 {
	if _, known := t.boxes[n]; !known && len(t.boxes) >= maxContainers {
		t.cut[CutContainers] = true
		return -1
	}
	i, fresh := t.boxOf(n, t.tracked)
	if fresh {
		n = strings.Clone(n)
	}
	if was, waiting := t.box[n]; fresh || waiting && from < was {
		t.box[n] = from
	}
	return i
}

// containers reads the events of the containers that wait, then of those that these are in, and so on.
func (t *tracking) containers(ctx context.Context) error {
	for range maxDepth {
		if len(t.box) == 0 {
			return nil
		}
		level := t.box
		t.box = map[string]int64{}
		// Containers that were filled on one day are asked for alike, so that each round is one range of the index per container.
		nodes := slices.Sorted(maps.Keys(level))
		for chunk := range slices.Chunk(nodes, 512) {
			if err := t.boxEvents(ctx, chunk, level); err != nil {
				return err
			}
		}
	}
	if len(t.box) > 0 {
		t.cut[CutContainers] = true
	}
	return nil
}

func (t *tracking) boxEvents(ctx context.Context, nodes []string, from map[string]int64) error {
	first := t.until
	for _, n := range nodes {
		first = min(first, from[n])
	}
	hits, err := t.s.eventKeys(ctx, nodes, store.Query{From: store.K(first), To: store.K(t.until + 1), Limit: maxBoxEvents})
	if err != nil {
		return err
	}
	var ids []string
	for _, keys := range hits {
		if len(keys) == maxBoxEvents {
			t.cut[CutEvents] = true
		}
		for _, k := range keys {
			if t.take(k.ID) {
				ids = append(ids, k.ID)
			}
		}
	}
	return t.events(ctx, ids, t.boxEvent)
}

// events reads event documents in batches and gives those that show to f.
func (t *tracking) events(ctx context.Context, ids []string, f func(id string, e *eventDoc)) error {
	for chunk := range slices.Chunk(ids, followBatch) {
		found, err := t.s.events.GetMany(ctx, chunk)
		if err != nil {
			return err
		}
		docs, err := t.s.visible(ctx, slices.Collect(maps.Values(found)))
		if err != nil {
			return err
		}
		for i := range docs {
			f(docs[i].ID, &docs[i].V)
		}
	}
	return nil
}

// boxEvent takes what an event says about containers.
func (t *tracking) boxEvent(id string, e *eventDoc) {
	if len(t.what) >= maxHappenings {
		t.cut[CutEvents] = true
		return
	}
	base := t.hash(baseOf(id))
	if e.Declares {
		t.wrong[base] = struct{}{}
		return
	}
	at := e.Time.UnixMilli()
	h := happening{
		at: at, base: base, doc: t.hash(id), firm: t.names.of(e.Firm), place: t.names.of(e.place()), step: t.names.of(e.Step), parent: -1,
	}
	var inside, alone []int32
	role, children := roleSubject, false
	for i := range e.Things {
		children = children || e.Things[i].Role == roleChild
		b, ok := t.boxes[e.Things[i].EPC]
		if !ok || t.bodies[b].lot >= 0 { // units have lines of their own
			continue
		}
		if role = e.Things[i].Role; role == roleChild {
			inside = append(inside, b)
		} else {
			alone = append(alone, b)
		}
	}
	h.state = stateAfter(e.Step, e.Action, role)
	if len(alone) > 0 {
		own := h
		own.bodies = alone
		t.what = append(t.what, own)
	}
	switch parent, known := t.boxes[e.Parent]; {
	case e.Parent == "":
	case len(inside) > 0:
		h.bodies, h.kind = inside, putIn
		if e.Action == string(epcis.Delete) {
			h.kind = takenOut
		}
		if h.parent = t.container(e.Parent, at); h.parent < 0 {
			h.kind = seenThere
		}
		t.what = append(t.what, h)
	case known:
		h.parent = parent
		if e.Action == string(epcis.Delete) && !children {
			h.kind = emptiedOut
		}
		t.what = append(t.what, h)
	}
}

// units follows single units by their own events.
func (t *tracking) loneUnits(ctx context.Context, refs []gs1.Ref) error {
	if over := t.lone + len(refs) - maxLoneUnits; over > 0 {
		t.cut[CutUnits] = true
		refs = refs[:max(0, len(refs)-over)]
	}
	t.lone += len(refs)
	lots := map[gs1.Ref]string{}
	nodes := make([]string, len(refs))
	for i, r := range refs {
		r = identity(r)
		lots[r], nodes[i] = "", node(r)
	}
	if err := t.s.tellLots(ctx, slices.Collect(maps.Keys(lots)), lots, nil); err != nil {
		return err
	}
	for r, lot := range lots {
		k := lotKey{r.GTIN, lot}
		if t.only[k] == nil {
			t.only[k] = map[string]bool{}
		}
		t.only[k][r.Serial] = true
	}
	hits, err := t.s.eventKeys(ctx, nodes, store.Query{To: store.K(t.until + 1), Limit: maxNodeFacts})
	if err != nil {
		return err
	}
	var ids []string
	have := map[string]bool{}
	for _, keys := range hits {
		for _, k := range keys {
			if !have[k.ID] {
				have[k.ID] = true
				ids = append(ids, k.ID)
			}
		}
	}
	return t.events(ctx, ids, func(id string, e *eventDoc) {
		lotOf := func(r gs1.Ref) string { return lots[identity(r)] }
		for k, ms := range movesOf(id, e, lotOf) {
			if t.only[k] == nil {
				continue
			}
			for i := range ms {
				ms[i].Amounts = "" // they are of other goods
				t.move(k, &ms[i])
			}
		}
	})
}

// contents finds what was in a container up to the moment that counts, however deep, and follows the units.
func (t *tracking) contents(ctx context.Context, start string) error {
	seen := map[string]bool{start: true}
	level := []string{start}
	for range maxDepth {
		if len(level) == 0 {
			break
		}
		for _, n := range level {
			t.container(n, 0)
		}
		hits, err := t.s.eventKeys(ctx, level, store.Query{To: store.K(t.until + 1), Limit: maxBoxEvents})
		if err != nil {
			return err
		}
		var ids []string
		for _, keys := range hits {
			if len(keys) == maxBoxEvents {
				t.cut[CutEvents] = true
			}
			for _, k := range keys {
				ids = append(ids, k.ID)
			}
		}
		slices.Sort(ids)
		at := map[string]bool{}
		for _, n := range level {
			at[n] = true
		}
		level = level[:0:0]
		var units []gs1.Ref
		err = t.events(ctx, slices.Compact(ids), func(id string, e *eventDoc) {
			if !at[e.Parent] || e.Declares || e.Action == string(epcis.Delete) {
				return
			}
			for _, th := range e.Things {
				if th.Role != roleChild || seen[th.EPC] {
					continue
				}
				seen[th.EPC] = true
				ref, tradeItem := refOf(th.EPC)
				switch {
				case tradeItem && ref.Serial != "":
					units = append(units, ref)
				case !tradeItem && len(seen) < maxContainers:
					level = append(level, th.EPC)
				}
			}
			t.insideAmounts(id, e)
		})
		if err != nil {
			return err
		}
		if err := t.loneUnits(ctx, units); err != nil {
			return err
		}
	}
	return nil
}

// insideAmounts follows the amounts of lots that an event puts into a container.
func (t *tracking) insideAmounts(id string, e *eventDoc) {
	only := *e
	only.Things = slices.DeleteFunc(slices.Clone(e.Things), func(th thing) bool {
		ref, ok := refOf(th.EPC)
		return !ok || th.Role != roleChild || ref.Serial != "" || ref.Lot == ""
	})
	for k, ms := range movesOf(id, &only, func(gs1.Ref) string { return "" }) {
		for i := range ms {
			ms[i].Mixed = true // the event is still to be looked at for its container
			if ms[i].Role == roleChild {
				t.move(k, &ms[i])
			}
		}
	}
}
