package trace

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// The budget of one walk. A real chain has a dozen nodes; what exceeds the budget is cut, not refused, because a scan must be
// answered.
const (
	maxNodes     = 64
	maxAncestors = 1000 // they cost no read of their own, and one that is left out is a warning that is not shown
	maxDepth     = 12
	maxNodeFacts = 200
)

// visit is a node to look at: which of its events say something about the start. A zero time is open.
type visit struct {
	node     string
	from, to time.Time
	depth    int
	shown    bool     // its events belong to the chain, not only its ancestors
	goods    gs1.GTIN // whose limits count for what was measured there
	around   bool     // it contains what the walk came from: its other contents are neighbours and no ancestors
	packers  []string // firms on whose word the goods were in it, and in what led to it
}

// walk follows the edges of the graph in time, from one unit or lot towards where it came from. A container's events count for
// what was in it while it was in it; a transformation's inputs count up to the transformation; what a trade item contains counts
// as what it was made from.
type walk struct {
	s       *Service
	c       *chain
	ref     gs1.Ref
	lot     string // of the unit, as its commissioning says
	facts   []fact
	known   map[string]bool // firms and event IDs in facts
	visited map[string]bool
	queue   []visit
}

func newWalk(s *Service, c *chain, ref gs1.Ref) *walk {
	return &walk{s: s, c: c, ref: ref, known: map[string]bool{}, visited: map[string]bool{}}
}

func (w *walk) run(ctx context.Context, start string) error {
	w.push(visit{node: start, shown: true, goods: w.ref.GTIN})
	for len(w.queue) > 0 {
		v := w.queue[0]
		w.queue = w.queue[1:]
		w.c.deps = append(w.c.deps, v.node)
		events, err := w.s.eventsOf(ctx, v.node)
		if err != nil {
			return err
		}
		w.look(v, events, v.node == start)
	}
	return w.s.fillLots(ctx, w.c.ancestors)
}

func (w *walk) push(v visit) {
	key := v.node
	if !v.from.IsZero() { // a unit that comes into one container twice has two stays in it
		key += " " + strconv.FormatInt(v.from.UnixMilli(), 36)
	}
	if v.depth > maxDepth || len(w.visited) >= maxNodes || w.visited[key] {
		return
	}
	w.visited[key] = true
	w.queue = append(w.queue, v)
}

func (w *walk) merge(more []fact) {
	for _, f := range more {
		if key := f.Firm + "|" + f.id; !w.known[key] {
			w.known[key] = true
			w.facts = append(w.facts, f)
		}
	}
}

// look takes what the events of a node say about the start.
func (w *walk) look(v visit, events []fact, start bool) {
	v.to = emptied(v, events)
	if v.shown {
		w.stay(v, events)
	}
	for i, f := range events {
		if !v.from.IsZero() && f.Time.Before(v.from) || !v.to.IsZero() && f.Time.After(v.to) {
			continue
		}
		if v.shown {
			w.merge(events[i : i+1])
		}
		if f.corrected {
			continue
		}
		if start {
			w.own(f)
		}
		if f.Step == "retail_selling" && (start || v.around) {
			w.sell(f)
		}
		w.edges(v, f, events[i+1:])
	}
}

// own takes what an event says about the start itself.
func (w *walk) own(f fact) {
	role := f.role(node(w.ref))
	switch {
	case f.Type == "ObjectEvent" && role == roleSubject && f.Action == "ADD" || role == roleOutput:
		if w.ref.Serial != "" {
			w.c.commissioned = true
			if f.Lot != "" {
				w.lot = f.Lot
			}
		}
	case role == roleSubject && ends(f.Action, f.Step):
		w.c.decommissioned = w.c.decommissioned || w.ref.Serial != ""
	}
}

// sell takes a retail sale of the start, or of what contained it then.
func (w *walk) sell(f fact) {
	if w.ref.Serial == "" {
		return
	}
	for _, g := range w.facts {
		if g.id != f.id && !g.corrected && g.Step == "retail_selling" && f.Time.Sub(g.Time).Abs() > sameTime {
			w.c.soldTwice = true
		}
	}
	if f.Time.After(w.c.soldAt) {
		w.c.soldAt = f.Time
	}
	switch {
	case f.DutyFree:
		w.c.sold = SaleSoldDutyFree
	case w.c.sold == "":
		w.c.sold = SaleSold
	}
}

// edges follows one event away from the node. later are the node's events after it.
func (w *walk) edges(v visit, f fact, later []fact) {
	role := f.role(v.node)
	switch f.Type {
	case "AggregationEvent", "AssociationEvent":
		if role == roleChild && f.Action != "DELETE" && f.Parent != "" {
			w.push(visit{node: f.Parent, from: f.Time, to: earlier(v.to, leaves(f.Parent, later)), depth: v.depth + 1, shown: v.shown, around: true, goods: v.goods,
				packers: append(slices.Clone(v.packers), f.Firm)})
		}
		if role == roleParent && f.Action != "DELETE" && !v.around && isTradeItem(v.node) {
			for _, t := range f.Things {
				if t.Role == roleChild {
					w.ancestor(t.EPC)
					w.push(visit{node: t.EPC, depth: v.depth + 1})
				}
			}
		}
	case "TransformationEvent":
		if role != roleOutput {
			return
		}
		for _, t := range f.Things {
			if t.Role == roleInput {
				w.ancestor(t.EPC)
				input := visit{node: t.EPC, to: f.Time, depth: v.depth + 1, shown: v.shown, packers: v.packers}
				if ref, ok := refOf(t.EPC); ok {
					input.goods = ref.GTIN
				}
				w.push(input)
			}
		}
	}
}

func (w *walk) ancestor(epc string) {
	if ref, ok := refOf(epc); ok && len(w.c.ancestors) < maxAncestors && !slices.Contains(w.c.ancestors, ref) {
		w.c.ancestors = append(w.c.ancestors, ref)
	}
}

// leaves is when the child leaves the parent, seen from the child's later events: zero if never.
func leaves(parent string, later []fact) time.Time {
	for _, f := range later {
		if !f.corrected && f.Parent == parent && f.Action == "DELETE" {
			return f.Time
		}
	}
	return time.Time{}
}

// emptied is the end of the visit, at the latest when the container was emptied as a whole (a DELETE without children,
// EPCIS 2.0, 7.4.3).
func emptied(v visit, events []fact) time.Time {
	if v.from.IsZero() {
		return v.to
	}
	for _, f := range events {
		if f.Parent == v.node && f.Action == "DELETE" && !f.corrected && f.Time.After(v.from) &&
			!slices.ContainsFunc(f.Things, func(t thing) bool { return t.Role == roleChild }) {
			return earlier(v.to, f.Time)
		}
	}
	return v.to
}

// earlier is the earlier of two times of which zero is 'never'.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func refOf(epc string) (gs1.Ref, bool) {
	e, err := gs1.ParseEPC(epc)
	if err != nil {
		return gs1.Ref{}, false
	}
	return e.Ref()
}

// isTradeItem says whether a node is something sold, a gift box for instance, and no mere container.
func isTradeItem(epc string) bool {
	_, ok := refOf(epc)
	return ok
}

// fillLots completes units among ancestors with the lots that they were issued for.
func (s *Service) fillLots(ctx context.Context, refs []gs1.Ref) error {
	var ids []string
	for _, r := range refs {
		if r.Serial != "" && r.Lot == "" {
			ids = append(ids, unitID(r.GTIN, r.Serial))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	units, err := s.units.GetMany(ctx, ids)
	if err != nil {
		return err
	}
	for i, r := range refs {
		if u, ok := units[unitID(r.GTIN, r.Serial)]; ok && r.Serial != "" {
			refs[i].Lot = u.V.Lot
		}
	}
	return nil
}

// eventsOf gives the confirmed, visible events that name a node, in event-time order, those declared an error marked.
func (s *Service) eventsOf(ctx context.Context, n string) ([]fact, error) {
	page, err := s.events.Find(ctx, store.Query{Index: byEPC, Eq: nodeKey(n), Limit: maxNodeFacts})
	if err != nil {
		return nil, err
	}
	visible, err := s.visible(ctx, page.Items)
	if err != nil {
		return nil, err
	}
	var out []fact
	wrong := map[[2]string]bool{} // event ID and firm: only who said it can take it back
	for _, d := range visible {
		if d.V.Declares {
			wrong[[2]string{d.V.ID, d.V.Firm}] = true
		} else {
			out = append(out, fact{eventDoc: &d.V, id: d.V.ID})
		}
	}
	for i := range out {
		out[i].corrected = wrong[[2]string{out[i].id, out[i].Firm}]
	}
	return out, nil
}
