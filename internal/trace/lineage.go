package trace

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// How an ancestor went into what came of it.
const (
	RelInput   = "input"   // it was an input of a transformation
	RelContent = "content" // it is inside
)

// CutAncestors says that there are more ancestors than an answer holds.
const CutAncestors = "ancestors"

// Ancestor is a unit, lot, product or container that went into something. Exactly one of GTIN and SSCC, or else EPC, is given.
type Ancestor struct {
	GTIN     string    `json:"gtin,omitempty"`
	Lot      string    `json:"lot,omitempty"`
	Serial   string    `json:"serial,omitempty"`
	EPC      string    `json:"epc"`  // the canonical identifier
	Into     string    `json:"into"` // the EPC that it went into
	Relation string    `json:"relation"`
	Quantity string    `json:"quantity,omitempty"` // as it was told, with its unit of measure
	Firm     FirmName  `json:"firm"`               // who said so
	Place    PlaceName `json:"place"`
	EventID  string    `json:"event_id"`
	Time     time.Time `json:"time"`
	Depth    int       `json:"depth"` // 1: directly
}

// Lineage lists what something was made of, the nearest first.
type Lineage struct {
	At        time.Time  `json:"at"`
	Items     []Ancestor `json:"items"`
	Withheld  Withheld   `json:"withheld"`
	Truncated []string   `json:"truncated"`
}

// lineage walks towards the origin, level by level.
type lineage struct {
	s     *Service
	until time.Time
	out   []Ancestor
	seen  map[string]bool
	next  []origins
	hands map[[2]string]bool
	firms map[string]bool
	cut   map[string]bool

	counts dealing
}

// origins is a node whose origin is asked for, as of a moment.
type origins struct {
	node  string
	until time.Time
	box   bool // what is inside counts, also if it is no trade item
}

// Ancestors lists what a unit, a lot or the contents of a container were made of, as of a moment in event time: inputs of
// transformations, what a trade item contains, and theirs in turn. For a firm (viewer not ""), what was said by others than it and its
// direct partners is only counted; NotFound for a firm that took no part.
func (s *Service) Ancestors(ctx context.Context, start Start, at time.Time, viewer string) (*Lineage, error) {
	if err := start.valid(); err != nil {
		return nil, err
	}
	at = at.UTC().Truncate(time.Millisecond)
	l := &lineage{
		s: s, until: at, out: []Ancestor{}, seen: map[string]bool{start.node(): true}, hands: map[[2]string]bool{}, firms: map[string]bool{}, cut: map[string]bool{},
	}
	var err error
	if l.counts, err = s.dealingOf(ctx, viewer); err != nil {
		return nil, err
	}
	l.next = []origins{{node: start.node(), until: at, box: start.SSCC != ""}}
	if start.SSCC == "" {
		if err := l.lotToo(ctx, []gs1.Ref{start.Ref}, at, start.Ref.Serial == ""); err != nil {
			return nil, err
		}
	}
	for depth := 1; len(l.next) > 0; depth++ {
		if depth > maxDepth {
			l.cut[CutAncestors] = true
			break
		}
		level := l.next
		l.next = nil
		if err := l.level(ctx, level, depth); err != nil {
			return nil, err
		}
	}
	return l.answer(ctx, viewer)
}

// lotToo adds the lots of units, whose origin is theirs too; of a lot that is asked for itself, also the events that made its units.
func (l *lineage) lotToo(ctx context.Context, refs []gs1.Ref, until time.Time, units bool) error {
	lots := map[gs1.Ref]string{}
	var serials []gs1.Ref
	for _, r := range refs {
		if r.Serial != "" {
			serials = append(serials, identity(r))
			lots[identity(r)] = ""
		}
	}
	if err := l.s.tellLots(ctx, serials, lots, nil); err != nil {
		return err
	}
	for _, r := range serials {
		if n := node(gs1.Ref{GTIN: r.GTIN, Lot: lots[r]}); lots[r] != "" && !l.seen[n] {
			l.seen[n] = true
			l.next = append(l.next, origins{node: n, until: until})
		}
	}
	if !units {
		return nil
	}
	return l.madeUnits(ctx, lotKey{refs[0].GTIN, refs[0].Lot}, until)
}

// madeUnits walks from the units of a lot that were made of something, or contain something.
func (l *lineage) madeUnits(ctx context.Context, k lotKey, until time.Time) error {
	if _, err := l.s.flowsAsOf(ctx); err != nil {
		return err
	}
	q := lotQuery(k)
	q.To, q.Limit = store.K(floorDay(until.UnixMilli())+1), 32
	for {
		page, err := l.s.flows.Find(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			for m, err := range moves(page.Items[i].V.Lines) {
				if err != nil {
					return err
				}
				if m.Role != roleOutput && m.Role != roleParent || m.Serials == "" {
					continue
				}
				if !l.units(k.GTIN, m.Serials, until) {
					return nil
				}
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// units adds units to the next level, and says whether there is room for more.
func (l *lineage) units(g gs1.GTIN, joined string, until time.Time) bool {
	for _, serial := range splitList(joined) {
		n := node(gs1.Ref{GTIN: g, Serial: serial})
		if l.seen[n] {
			continue
		}
		if len(l.next) >= maxLoneUnits {
			l.cut[CutUnits] = true
			return false
		}
		l.seen[n] = true
		l.next = append(l.next, origins{node: n, until: until})
	}
	return true
}

// level looks at the events of one level, all of them in batches, and collects the next.
func (l *lineage) level(ctx context.Context, level []origins, depth int) error {
	for batch := range slices.Chunk(level, 512) {
		nodes := make([]string, len(batch))
		for i, o := range batch {
			nodes[i] = o.node
		}
		hits, err := l.s.eventKeys(ctx, nodes, store.Query{To: store.K(l.until.Add(time.Millisecond)), Limit: maxNodeFacts})
		if err != nil {
			return err
		}
		var ids []string
		for _, keys := range hits {
			if len(keys) == maxNodeFacts {
				l.cut[CutEvents] = true
			}
			for _, k := range keys {
				ids = append(ids, k.ID)
			}
		}
		slices.Sort(ids)
		docs := map[string]*eventDoc{}
		wrong := map[string]bool{}
		t := tracking{s: l.s}
		if err := t.events(ctx, slices.Compact(ids), func(id string, e *eventDoc) {
			docs[id] = e
			wrong[baseOf(id)] = wrong[baseOf(id)] || e.Declares
		}); err != nil {
			return err
		}
		var refs []gs1.Ref
		for i, o := range batch {
			var own []*eventDoc
			for _, k := range hits[i] {
				if e := docs[k.ID]; e != nil && !wrong[baseOf(k.ID)] {
					own = append(own, e)
				}
			}
			refs = append(refs, l.look(o, own, depth)...)
		}
		if err := l.lotToo(ctx, refs, l.until, false); err != nil {
			return err
		}
	}
	return nil
}

// look takes what the events of a node, in their order, say about its origin, and gives the units among it.
func (l *lineage) look(o origins, events []*eventDoc, depth int) (units []gs1.Ref) {
	inside := map[string]Ancestor{}
	before := ""
	counts := l.counts(o.node)
	for _, e := range events {
		l.firms[e.Firm] = true
		if before != "" && before != e.Firm && counts {
			l.hands[[2]string{before, e.Firm}] = true
		}
		before = e.Firm
		if e.Time.After(o.until) {
			continue
		}
		role := e.role(o.node)
		switch {
		case role == roleOutput:
			for _, t := range e.Things {
				if t.Role == roleInput {
					units = append(units, l.add(ancestorIn(e, t, o.node, RelInput, depth), e.Time)...)
				}
			}
		case role == roleParent && (o.box || isTradeItem(o.node)):
			contain(inside, e, o.node, depth)
		}
	}
	for _, a := range inside {
		units = append(units, l.add(a, o.until)...)
	}
	return units
}

// contain follows what is inside a node by one event more.
func contain(inside map[string]Ancestor, e *eventDoc, into string, depth int) {
	children := false
	for _, t := range e.Things {
		if t.Role != roleChild {
			continue
		}
		children = true
		if e.Action == string(epcis.Delete) {
			delete(inside, t.EPC)
		} else {
			inside[t.EPC] = ancestorIn(e, t, into, RelContent, depth)
		}
	}
	if e.Action == string(epcis.Delete) && !children {
		clear(inside)
	}
}

func ancestorIn(e *eventDoc, t thing, into, relation string, depth int) Ancestor {
	a := Ancestor{
		EPC: t.EPC, Into: into, Relation: relation, Quantity: t.Quantity, Firm: FirmName{ID: e.Firm}, Place: PlaceName{URI: e.place()},
		EventID: e.ID, Time: e.Time.UTC(), Depth: depth,
	}
	if ref, ok := refOf(t.EPC); ok {
		a.GTIN, a.Lot, a.Serial = string(ref.GTIN), ref.Lot, ref.Serial
	}
	return a
}

// add notes an ancestor and asks for its own, up to when it went in.
func (l *lineage) add(a Ancestor, until time.Time) []gs1.Ref {
	if l.seen[a.EPC] {
		return nil
	}
	if len(l.out) >= maxAncestors {
		l.cut[CutAncestors] = true
		return nil
	}
	l.seen[a.EPC] = true
	l.out = append(l.out, a)
	_, tradeItem := refOf(a.EPC)
	l.next = append(l.next, origins{node: a.EPC, until: until, box: !tradeItem})
	if a.Serial == "" {
		return nil
	}
	return []gs1.Ref{{GTIN: gs1.GTIN(a.GTIN), Serial: a.Serial}}
}

func (l *lineage) answer(ctx context.Context, viewer string) (*Lineage, error) {
	out := &Lineage{At: l.until, Items: l.out, Truncated: append([]string{}, sortedKeys(l.cut)...)}
	slices.SortFunc(out.Items, func(a, b Ancestor) int {
		return cmp.Or(cmp.Compare(a.Depth, b.Depth), a.Time.Compare(b.Time), cmp.Compare(a.EPC, b.EPC))
	})
	if viewer != "" {
		if !l.firms[viewer] {
			return nil, errNoPart()
		}
		near := partners(l.hands, viewer)
		hidden := map[string]bool{}
		out.Items = slices.DeleteFunc(out.Items, func(a Ancestor) bool {
			if near[a.Firm.ID] {
				return false
			}
			hidden[a.Firm.ID] = true
			out.Withheld.Rows++
			return true
		})
		out.Withheld.Firms = len(hidden)
	}
	firms, places := make([]*FirmName, len(out.Items)), make([]*PlaceName, len(out.Items))
	for i := range out.Items {
		firms[i], places[i] = &out.Items[i].Firm, &out.Items[i].Place
	}
	return out, l.s.nameAll(ctx, firms, places)
}
