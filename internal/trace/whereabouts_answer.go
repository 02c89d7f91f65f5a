package trace

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
)

// answer counts what was replayed, with names in place of numbers.
func (t *tracking) answer(made map[lotKey]*Made) *Whereabouts {
	w := &Whereabouts{Positions: []Position{}, Reported: []Reported{}, Made: []Made{}, hands: map[[2]string]bool{}}
	for h := range t.hands {
		w.hands[[2]string{t.names.names[h[0]], t.names.names[h[1]]}] = true
	}
	w.Units = t.positions(w)
	t.reported(w)
	for _, m := range made {
		w.Made = append(w.Made, *m)
	}
	slices.SortFunc(w.Made, func(a, b Made) int {
		return cmp.Or(cmp.Compare(a.Depth, b.Depth), cmp.Compare(a.GTIN, b.GTIN), cmp.Compare(a.Lot, b.Lot))
	})
	return w
}

// limit cuts the lists to what one answer holds, and says what was cut.
func (w *Whereabouts) limit(cut map[string]bool) {
	if len(w.Positions) > maxRows || len(w.Reported) > maxRows || len(w.Made) > maxRows {
		cut[CutRows] = true
	}
	w.Positions = w.Positions[:min(len(w.Positions), maxRows)]
	w.Reported = w.Reported[:min(len(w.Reported), maxRows)]
	w.Made = w.Made[:min(len(w.Made), maxRows)]
	w.Truncated = append([]string{}, sortedKeys(cut)...)
}

// positions counts bodies by where they are.
func (t *tracking) positions(w *Whereabouts) (units int) {
	type row struct {
		lot, firm, place, unit int32
		state                  uint8
	}
	type sum struct {
		units  int
		amount float64
		last   int64
	}
	rows := map[row]*sum{}
	for i := range t.bodies {
		b := &t.bodies[i]
		if b.lot < 0 || b.unit >= 0 && b.amount <= 0 {
			continue
		}
		l := t.where(int32(i))
		if l.at == never {
			continue // only what was declared an error is told of it
		}
		r := row{b.lot, l.firm, l.place, b.unit, l.state}
		v := rows[r]
		if v == nil {
			v = &sum{}
			rows[r] = v
		}
		v.last = max(v.last, l.at)
		if b.unit >= 0 {
			v.amount += b.amount
			continue
		}
		v.units++
		units++
	}
	for r, v := range rows {
		p := Position{
			GTIN: string(t.lots[r.lot].GTIN), Lot: t.lots[r.lot].Lot, State: goodsStates[r.state], Firm: FirmName{ID: t.names.names[r.firm]},
			Place: PlaceName{URI: t.names.names[r.place]}, Units: v.units, Last: time.UnixMilli(v.last).UTC(),
		}
		if r.unit >= 0 {
			p.Amount, p.UOM = decimal(v.amount), t.names.names[r.unit]
		}
		w.Positions = append(w.Positions, p)
	}
	slices.SortFunc(w.Positions, func(a, b Position) int {
		return cmp.Or(cmp.Compare(b.Units, a.Units), cmp.Compare(a.GTIN, b.GTIN), cmp.Compare(a.Lot, b.Lot),
			cmp.Compare(a.Firm.ID, b.Firm.ID), cmp.Compare(a.Place.URI, b.Place.URI), cmp.Compare(a.State, b.State), cmp.Compare(a.UOM, b.UOM))
	})
	return units
}

// reported lists what was told of amounts outside containers.
func (t *tracking) reported(w *Whereabouts) {
	for k, v := range t.loose {
		w.Reported = append(w.Reported, Reported{
			GTIN: string(t.lots[k.lot].GTIN), Lot: t.lots[k.lot].Lot, Step: t.names.names[k.step], Firm: FirmName{ID: t.names.names[k.firm]},
			Place: PlaceName{URI: t.names.names[k.place]}, Events: v.events, Amount: decimal(v.sum), UOM: t.names.names[k.unit],
			Last: time.UnixMilli(v.last).UTC(),
		})
	}
	slices.SortFunc(w.Reported, func(a, b Reported) int {
		return cmp.Or(a.Last.Compare(b.Last), cmp.Compare(a.GTIN, b.GTIN), cmp.Compare(a.Lot, b.Lot), cmp.Compare(a.Firm.ID, b.Firm.ID),
			cmp.Compare(a.Place.URI, b.Place.URI), cmp.Compare(a.Step, b.Step), cmp.Compare(a.UOM, b.UOM), cmp.Compare(a.Amount, b.Amount))
	})
}

// decimal writes an amount without what adding binary fractions leaves behind it.
func decimal(x float64) string { return strconv.FormatFloat(math.Round(x*1e6)/1e6, 'f', -1, 64) }

// nameRows fills in the names of firms and places.
func (s *Service) nameRows(ctx context.Context, w *Whereabouts) error {
	var firms []*FirmName
	var places []*PlaceName
	for i := range w.Positions {
		firms, places = append(firms, &w.Positions[i].Firm), append(places, &w.Positions[i].Place)
	}
	for i := range w.Reported {
		firms, places = append(firms, &w.Reported[i].Firm), append(places, &w.Reported[i].Place)
	}
	for i := range w.Made {
		firms = append(firms, &w.Made[i].Firm)
	}
	return s.nameAll(ctx, firms, places)
}

func (s *Service) nameAll(ctx context.Context, firms []*FirmName, places []*PlaceName) error {
	ids, uris := map[string]bool{}, map[string]bool{}
	for _, f := range firms {
		ids[f.ID] = true
	}
	for _, p := range places {
		if p.URI != "" {
			uris[p.URI] = true
		}
	}
	byID, err := s.deps.Firms.GetMany(ctx, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return err
	}
	byURI, err := s.deps.Firms.Places(ctx, slices.Collect(maps.Keys(uris)))
	if err != nil {
		return err
	}
	for _, f := range firms {
		*f = firmName(f.ID, byID[f.ID])
	}
	for _, p := range places {
		at := byURI[p.URI]
		p.Name, p.City = at.Name, at.City
	}
	return nil
}

// narrow leaves a firm what it and its direct partners said, and counts the rest. NotFound for a firm that took no part.
func (w *Whereabouts) narrow(viewer string) error {
	near := partners(w.hands, viewer)
	part := len(near) > 1
	hidden := map[string]bool{}
	withhold := func(f *FirmName, units, events int) bool {
		part = part || f.ID == viewer
		if near[f.ID] {
			return false
		}
		hidden[f.ID] = true
		w.Withheld.Units += units
		w.Withheld.Events += events
		w.Withheld.Rows++
		return true
	}
	w.Positions = slices.DeleteFunc(w.Positions, func(p Position) bool { return withhold(&p.Firm, p.Units, 0) })
	w.Reported = slices.DeleteFunc(w.Reported, func(r Reported) bool { return withhold(&r.Firm, 0, r.Events) })
	w.Made = slices.DeleteFunc(w.Made, func(m Made) bool { return withhold(&m.Firm, 0, 0) })
	w.Withheld.Firms = len(hidden)
	if !part {
		return errNoPart()
	}
	return nil
}

// dealing says whether a viewer's dealing in a node of the graph makes partners of those who had it before and after.
type dealing func(node string) bool

// dealingOf is the dealing of a firm: in what it is the registrant of, or has a grant for. Anyone may name itself as the source or destination of
// goods that it never saw, and would be everybody's partner. For officers, who see all, everything counts.
func (s *Service) dealingOf(ctx context.Context, viewer string) (dealing, error) {
	if viewer == "" {
		return func(string) bool { return true }, nil
	}
	firms, err := s.deps.Firms.GetMany(ctx, []string{viewer})
	if err != nil {
		return nil, err
	}
	f := firms[viewer]
	return func(n string) bool {
		e, err := gs1.ParseEPC(n)
		if err != nil {
			return false
		}
		digits, ok := e.CompanyDigits()
		return ok && f.Owns(digits)
	}, nil
}

// partners are a firm itself and those to whom it gave goods or from whom it got them.
func partners(hands map[[2]string]bool, viewer string) map[string]bool {
	near := map[string]bool{viewer: true}
	for h := range hands {
		if h[0] == viewer {
			near[h[1]] = true
		}
		if h[1] == viewer {
			near[h[0]] = true
		}
	}
	return near
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

// errNoPart is the same for goods that do not exist.
func errNoPart() error {
	return fault.New(fault.NotFound, "not_found", "there is no such thing here")
}
