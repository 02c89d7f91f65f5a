package trace

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// Start is what a question is about: a unit, a lot, or a container by its SSCC.
type Start struct {
	Ref  gs1.Ref
	SSCC string // 18 digits
}

// node is the start in the graph.
func (a Start) node() string {
	if a.SSCC != "" {
		return "https://id.gs1.org/00/" + a.SSCC
	}
	return node(a.Ref)
}

// valid says what is wrong with a start. A product as a whole is too much to follow.
func (a Start) valid() error {
	if a.SSCC != "" {
		_, err := gs1.ParseEPC(a.node())
		return err
	}
	if a.Ref.Level() == gs1.Product {
		return fault.New(fault.Invalid, "too_coarse", "a lot, a unit or a container is followed; a product as a whole is not")
	}
	return a.Ref.Valid()
}

// Whereabouts say where goods are, and what was made of them.
type Whereabouts struct {
	At        time.Time  `json:"at"`    // what happened later does not count
	AsOf      time.Time  `json:"as_of"` // what was reported later may be missing
	Units     int        `json:"units"` // that were followed, wherever they are
	Positions []Position `json:"positions"`
	Reported  []Reported `json:"reported"`
	Made      []Made     `json:"made"`
	Withheld  Withheld   `json:"withheld"`
	Truncated []string   `json:"truncated"` // what was cut: see the Cut constants; empty: nothing

	hands map[[2]string]bool // from firm to firm
}

// Position counts units, or an amount, of one lot at one place in one state.
type Position struct {
	GTIN   string    `json:"gtin"`
	Lot    string    `json:"lot,omitempty"`
	State  string    `json:"state"`
	Firm   FirmName  `json:"firm"` // who said so last
	Place  PlaceName `json:"place"`
	Units  int       `json:"units"`
	Amount string    `json:"amount,omitempty"` // a decimal number
	UOM    string    `json:"uom,omitempty"`    // UN/ECE Recommendation 20
	Last   time.Time `json:"last"`
}

// PlaceName names a place. Without a URI nobody told it.
type PlaceName struct {
	URI  string    `json:"uri,omitempty"`
	Name lang.Text `json:"name,omitempty"`
	City lang.Text `json:"city,omitempty"`
}

// Reported adds up what was told of amounts of a lot outside containers: where they are now, nobody can know.
type Reported struct {
	GTIN   string    `json:"gtin"`
	Lot    string    `json:"lot,omitempty"`
	Step   string    `json:"step,omitempty"` // CBV business step
	Firm   FirmName  `json:"firm"`
	Place  PlaceName `json:"place"`
	Events int       `json:"events"`
	Amount string    `json:"amount"` // a decimal number
	UOM    string    `json:"uom,omitempty"`
	Last   time.Time `json:"last"`
}

// Made is what was made of the goods, directly or over several steps.
type Made struct {
	GTIN  string    `json:"gtin"`
	Lot   string    `json:"lot,omitempty"`
	Firm  FirmName  `json:"firm"`
	Units int       `json:"units"` // with a serial; 0: a lot or product as a whole
	Depth int       `json:"depth"` // 1: directly
	First time.Time `json:"first"`
}

// Withheld counts what a firm is not shown: what happened more than one step away from it.
type Withheld struct {
	Units  int `json:"units"`
	Rows   int `json:"rows"`
	Firms  int `json:"firms"`
	Events int `json:"events"`
}

// maxRows bounds each list of an answer.
const maxRows = 500

// Whereabouts says where goods went, as of a moment in event time. It follows units through containers while they are inside, and what
// was made of them. For a firm (viewer not ""), what happened more than one step away from it is only counted, and of goods that it may not speak
// for all that others said; NotFound for a firm that took no part. Memory and time are bounded, and what was cut is named.
func (s *Service) Whereabouts(ctx context.Context, start Start, at time.Time, viewer string) (*Whereabouts, error) {
	if err := start.valid(); err != nil {
		return nil, err
	}
	asOf, err := s.flowsAsOf(ctx)
	if err != nil {
		return nil, err
	}
	at = at.UTC().Truncate(time.Millisecond)
	t := s.newTracking(at)
	if t.counts, err = s.dealingOf(ctx, viewer); err != nil {
		return nil, err
	}
	switch {
	case start.SSCC != "":
		err = t.contents(ctx, start.node())
	case start.Ref.Serial != "":
		err = t.loneUnits(ctx, []gs1.Ref{start.Ref})
	default:
		err = t.lotFlow(ctx, lotKey{start.Ref.GTIN, start.Ref.Lot})
	}
	if err != nil {
		return nil, err
	}
	m, err := t.made(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.containers(ctx); err != nil {
		return nil, err
	}
	t.replay()
	w := t.answer(m)
	w.At, w.AsOf = at, asOf
	if viewer != "" {
		if err := w.narrow(viewer); err != nil {
			return nil, err
		}
	}
	w.limit(t.cut)
	return w, s.nameRows(ctx, w)
}

// maxCatchUp bounds how many batches of events one question follows where nobody else does.
const maxCatchUp = 100

// flowsAsOf says up to when reported events are in the flows. Where nobody follows the events it follows them first.
func (s *Service) flowsAsOf(ctx context.Context) (time.Time, error) {
	now := s.now()
	if s.deps.Unattended {
		more, err := true, error(nil)
		for range maxCatchUp {
			if more, err = s.followEvents(ctx, 0); err != nil || !more {
				break
			}
		}
		if err != nil || !more {
			return now, err
		}
	}
	pos, err := s.position(ctx, flowFollower)
	if err != nil {
		return now, err
	}
	changes, _, err := s.events.Changes(ctx, pos.Token, 1)
	if errors.Is(err, store.ErrBadCursor) {
		return pos.As, nil
	}
	if err == nil && len(changes) > 0 {
		now = pos.As
	}
	return now, err
}

// made finds what was made of the goods, over several steps, and follows it too.
func (t *tracking) made(ctx context.Context) (map[lotKey]*Made, error) {
	m := making{t: t, out: map[lotKey]*Made{}, followed: map[lotKey]bool{}}
	for k := range t.lotAt {
		m.followed[k] = true
	}
	for depth := 1; len(t.uses) > 0; depth++ {
		if depth > maxDepth {
			t.cut[CutMade] = true
			break
		}
		ids := make([]string, len(t.uses))
		for i, u := range t.uses {
			ids[i] = u.doc
		}
		t.uses = nil
		m.whole, m.units = map[lotKey]bool{}, map[gs1.Ref]origin{}
		if err := t.events(ctx, ids, func(id string, e *eventDoc) { m.event(id, e, depth) }); err != nil {
			return nil, err
		}
		if err := m.follow(ctx, depth); err != nil {
			return nil, err
		}
	}
	return m.out, nil
}

// making collects what was made at one depth.
type making struct {
	t        *tracking
	out      map[lotKey]*Made
	followed map[lotKey]bool
	whole    map[lotKey]bool
	units    map[gs1.Ref]origin
}

// origin is the event by which something was made.
type origin struct {
	firm string
	at   time.Time
}

func (m *making) event(id string, e *eventDoc, depth int) {
	if _, wrong := m.t.wrong[m.t.hash(baseOf(id))]; wrong {
		return
	}
	from := origin{e.Firm, e.Time.UTC()}
	for _, ref := range products(e) {
		switch {
		case ref.Serial == "":
			k := lotKey{ref.GTIN, ref.Lot}
			m.whole[k] = true
			m.note(k, from, depth)
		case len(m.units) < maxUnits:
			m.units[ref] = from
		default:
			m.t.cut[CutUnits] = true
		}
	}
}

func (m *making) note(k lotKey, from origin, depth int) *Made {
	v := m.out[k]
	if v == nil {
		v = &Made{GTIN: string(k.GTIN), Lot: k.Lot, Depth: depth, First: from.at, Firm: FirmName{ID: from.firm}}
		m.out[k] = v
	}
	if from.at.Before(v.First) {
		v.First, v.Firm.ID = from.at, from.firm
	}
	return v
}

// follow follows what was made: of lots that were made as a whole everything, of others the units that were made.
func (m *making) follow(ctx context.Context, depth int) error {
	t := m.t
	lots := make(map[gs1.Ref]string, len(m.units))
	refs := slices.SortedFunc(maps.Keys(m.units), func(a, b gs1.Ref) int {
		return cmp.Or(cmp.Compare(a.GTIN, b.GTIN), cmp.Compare(a.Serial, b.Serial))
	})
	for _, r := range refs {
		lots[r] = ""
	}
	if err := t.s.tellLots(ctx, refs, lots, nil); err != nil {
		return err
	}
	var lone []gs1.Ref
	only := map[lotKey]map[string]bool{}
	for _, r := range refs {
		k := lotKey{r.GTIN, lots[r]}
		m.note(k, m.units[r], depth).Units++
		if k.Lot == "" {
			lone = append(lone, r)
			continue
		}
		if only[k] == nil {
			only[k] = map[string]bool{}
		}
		only[k][r.Serial] = true
	}
	todo := maps.Clone(m.whole)
	for k := range only {
		todo[k] = true
	}
	for _, k := range slices.SortedFunc(maps.Keys(todo), func(a, b lotKey) int {
		return cmp.Or(cmp.Compare(a.GTIN, b.GTIN), cmp.Compare(a.Lot, b.Lot))
	}) {
		switch {
		case m.followed[k] || k.Lot == "":
			continue
		case len(m.followed) > maxLots:
			t.cut[CutMade] = true
			continue
		}
		m.followed[k] = true
		if !m.whole[k] {
			t.only[k] = only[k]
		}
		if err := t.lotFlow(ctx, k); err != nil {
			return err
		}
	}
	if len(lone) == 0 {
		return nil
	}
	return t.loneUnits(ctx, lone)
}
