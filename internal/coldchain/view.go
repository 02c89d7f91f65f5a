package coldchain

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// State is how goods stand to the limits of their product.
type State string

// The states, the one that counts first.
const (
	StateExcursion State = "excursion" // outside for longer than allowed
	StateGap       State = "gap"       // inside as far as is known, and for a time nothing is
	StateWithin    State = "within"    // inside whenever it was measured, without a gap
	StateNoData    State = "no_data"   // nothing was recorded beside them
)

// Stay is a time in which goods were in a container, or themselves.
type Stay struct {
	Thing    string
	GTIN     gs1.GTIN  // whose limits count
	From, To time.Time // zero is open
	Firms    []string  // that reported events of the thing which count: their loggers are believed
}

// Outside is an excursion of goods.
type Outside struct {
	Quantity Quantity  `json:"quantity"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Minutes  int       `json:"minutes"`
	Peak     float64   `json:"peak"` // the value farthest outside
	Limit    float64   `json:"limit"`
	Ongoing  bool      `json:"ongoing,omitempty"`
}

// Interval is a time of which nothing is known.
type Interval struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Measured is what was measured beside goods.
type Measured struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// View is what is known of goods on their way.
type View struct {
	State       State      `json:"state"`
	From        *time.Time `json:"from,omitempty"` // of the first reading
	To          *time.Time `json:"to,omitempty"`   // of the last
	Limits      Rules      `json:"limits"`
	Temperature *Measured  `json:"temperature,omitempty"`
	Humidity    *Measured  `json:"humidity,omitempty"`
	Excursions  []Outside  `json:"excursions"` // the longest, by time
	Gaps        []Interval `json:"gaps"`       // likewise
	More        int        `json:"more"`       // excursions and gaps that are left out

	Firms  []string `json:"-"` // whose loggers it were
	Charts []Chart  `json:"-"`
}

// Chart is what a picture of one quantity shows.
type Chart struct {
	Quantity Quantity
	Limits   Range
	From, To time.Time
	Columns  []Column // by time; they may overlap, where several loggers measured
	Outside  []Interval
	Gaps     []Interval
}

// Column is the range of what was measured in a part of the time.
type Column struct {
	From, To time.Time
	Lo, Hi   float64
}

// The bounds of a View and of what it is made of.
const (
	maxRecords = 50 // of one stay and firm, and of those that may speak for the thing
	maxFirms   = 20 // that reported events of it
	maxShown   = 10 // excursions, and gaps
)

// period is a time in milliseconds.
type period struct{ from, to int64 }

func (p period) length() int64 { return p.to - p.from }

func (p period) cut(q period) period { return period{max(p.from, q.from), min(p.to, q.to)} }

// Look says what is known of goods that were in these places, by the limits of their product. It reads records, and no readings: for each stay at most 50
// of firms that may speak for the thing, and 50 of each firm that reported events of it.
func (s *Service) Look(ctx context.Context, limits *Set, stays []Stay) (*View, error) {
	now := s.now().UnixMilli()
	v := &View{Limits: limits.Rules, Excursions: []Outside{}, Gaps: []Interval{}}
	sights := map[Quantity]*sight{Temperature: {quantity: Temperature}, Humidity: {quantity: Humidity}}
	for i := range stays {
		in := stays[i].within(now)
		records, err := s.believed(ctx, &stays[i], in)
		if err != nil {
			return nil, err
		}
		for j := range records {
			r := &records[j]
			for q, m := range r.Measured {
				if sights[q].take(r, &m, in, now) && !slices.Contains(v.Firms, r.Firm) {
					v.Firms = append(v.Firms, r.Firm)
				}
			}
		}
	}
	for _, q := range quantities {
		sights[q].tell(v, limits)
	}
	v.settle()
	return v, nil
}

// within is the time of a stay up to now.
func (s *Stay) within(now int64) period {
	in := period{0, now}
	if !s.From.IsZero() {
		in.from = s.From.UnixMilli()
	}
	if !s.To.IsZero() {
		in.to = min(in.to, s.To.UnixMilli())
	}
	return in
}

// believed reads the records of a stay that count, each firm's apart: of whoever's there are most, they take no place from another's.
func (s *Service) believed(ctx context.Context, stay *Stay, in period) ([]record, error) {
	var out []record
	seen := map[string]bool{}
	for _, who := range append([]string{vouched}, stay.Firms[:min(len(stay.Firms), maxFirms)]...) {
		page, err := s.records.Find(ctx, store.Query{
			Index: byThing, Eq: store.K(stay.Thing, string(stay.GTIN), who), From: store.K(in.from - MaxBinding.Milliseconds()), To: store.K(in.to + 1), Limit: maxRecords,
		})
		if err != nil {
			return nil, err
		}
		for _, d := range page.Items {
			if !seen[d.ID] && d.V.Limits != nil {
				seen[d.ID] = true
				out = append(out, d.V)
			}
		}
	}
	return out, nil
}

// sight collects what records say of one quantity.
type sight struct {
	quantity   Quantity
	excursions []Outside
	claimed    []period // times that loggers were bound
	covered    []period // and in which they measured
	pace       int64
	columns    []Column
	lo, hi     int32
	read       period
	more       int
}

// take adds what a record says of a stay, and says whether there is anything.
func (w *sight) take(r *record, j *Judgement, stay period, now int64) bool {
	bound := period{r.From.UnixMilli(), r.From.Add(MaxBinding).UnixMilli()}
	if !r.To.IsZero() {
		bound.to = r.To.UnixMilli()
	}
	in := stay.cut(bound)
	if in.length() < 0 || j.Count == 0 || j.First > in.to || j.Last < in.from {
		return false
	}
	rules := &r.Limits.Rules
	allowed, pace := int64(rules.ExcursionMinutes)*minuteMillis, int64(rules.GapMinutes)*minuteMillis
	w.pace = max(w.pace, pace)
	for _, x := range j.Excursions {
		p := period{x.From, x.To}.cut(in)
		if p.length() < 0 || p.length() <= allowed && allowed > 0 {
			continue
		}
		w.excursions = append(w.excursions, Outside{
			Quantity: w.quantity, From: moment(p.from), To: moment(p.to), Minutes: int(p.length() / minuteMillis), Peak: value(x.Peak), Limit: value(x.Bound),
			Ongoing: x.Ongoing && p.to == x.To,
		})
	}
	gaps := make([]period, 0, len(j.Gaps)+1)
	for _, g := range j.Gaps {
		gaps = append(gaps, period{g.From, g.To})
	}
	if r.To.IsZero() { // what comes after the last reading is a gap as soon as it is long enough
		if silent := (period{j.Last, min(now, bound.to)}); silent.length() > pace {
			gaps = append(gaps, silent)
		}
	}
	w.claimed = append(w.claimed, in)
	w.covered = append(w.covered, without([]period{in}, gaps)...)
	w.more += j.MoreExcursions + j.MoreGaps
	if read := (period{j.First, j.Last}).cut(in); len(w.columns) == 0 {
		w.read = read
	} else {
		w.read = period{min(w.read.from, read.from), max(w.read.to, read.to)}
	}
	for _, d := range j.Dots {
		if p := (period{d.At, d.At + j.Column}).cut(in); p.length() >= 0 {
			w.column(p, d)
		}
	}
	return true
}

func (w *sight) column(p period, d Dot) {
	if len(w.columns) == 0 {
		w.lo, w.hi = d.Lo, d.Hi
	}
	w.lo, w.hi = min(w.lo, d.Lo), max(w.hi, d.Hi)
	w.columns = append(w.columns, Column{From: moment(p.from), To: moment(p.to), Lo: value(d.Lo), Hi: value(d.Hi)})
}

// tell adds what was collected to a view. What one logger missed and another has is no gap.
func (w *sight) tell(v *View, limits *Set) {
	x := limits.of(w.quantity)
	if x == nil || len(w.columns) == 0 {
		return
	}
	m := &Measured{Min: value(w.lo), Max: value(w.hi)}
	if w.quantity == Humidity {
		v.Humidity = m
	} else {
		v.Temperature = m
	}
	c := Chart{Quantity: w.quantity, Limits: *x, From: moment(w.read.from), To: moment(w.read.to), Columns: w.columns}
	for _, p := range without(w.claimed, w.covered) {
		if p.length() > w.pace {
			v.Gaps = append(v.Gaps, Interval{moment(p.from), moment(p.to)})
			c.Gaps = append(c.Gaps, Interval{moment(p.from), moment(p.to)})
			c.From, c.To = earlier(c.From, moment(p.from)), later(c.To, moment(p.to))
		}
	}
	for _, o := range w.excursions {
		c.Outside = append(c.Outside, Interval{o.From, o.To})
	}
	slices.SortFunc(c.Columns, func(a, b Column) int { return a.From.Compare(b.From) })
	c.From, c.To = earlier(c.From, c.Columns[0].From), later(c.To, c.Columns[len(c.Columns)-1].To)
	v.Excursions = append(v.Excursions, w.excursions...)
	v.Charts = append(v.Charts, c)
	v.More += w.more
	from, to := moment(w.read.from), moment(w.read.to)
	if v.From == nil || from.Before(*v.From) {
		v.From = &from
	}
	if v.To == nil || to.After(*v.To) {
		v.To = &to
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// settle says how the goods stand, and cuts the lists.
func (v *View) settle() {
	switch {
	case len(v.Excursions) > 0:
		v.State = StateExcursion
	case len(v.Gaps) > 0:
		v.State = StateGap
	case v.From != nil:
		v.State = StateWithin
	default:
		v.State = StateNoData
	}
	v.Excursions = shown(v.Excursions, &v.More, func(o Outside) (from, to time.Time) { return o.From, o.To })
	v.Gaps = shown(v.Gaps, &v.More, func(g Interval) (from, to time.Time) { return g.From, g.To })
}

// shown keeps the longest, in the order of time.
func shown[T any](list []T, more *int, ends func(T) (from, to time.Time)) []T {
	slices.SortStableFunc(list, func(a, b T) int {
		af, at := ends(a)
		bf, bt := ends(b)
		return cmp.Or(cmp.Compare(bt.Sub(bf), at.Sub(af)), af.Compare(bf))
	})
	*more += max(len(list)-maxShown, 0)
	list = list[:min(len(list), maxShown)]
	slices.SortStableFunc(list, func(a, b T) int {
		af, _ := ends(a)
		bf, _ := ends(b)
		return af.Compare(bf)
	})
	return list
}

// without gives the times in list that are in none of holes, in order and joined where they touch.
func without(list, holes []period) []period {
	list, holes = joined(list), joined(holes)
	out := make([]period, 0, len(list))
	for _, p := range list {
		for _, h := range holes {
			if h.to <= p.from || h.from >= p.to {
				continue
			}
			if h.from > p.from {
				out = append(out, period{p.from, h.from})
			}
			p.from = h.to
		}
		if p.from < p.to {
			out = append(out, p)
		}
	}
	return out
}

func joined(list []period) []period {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b period) int { return cmp.Compare(a.from, b.from) })
	out := list[:0]
	for _, p := range list {
		if n := len(out); n > 0 && p.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, p.to)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// InForce gives the limits that count for a product; nil without an error if there are none.
func (s *Service) InForce(ctx context.Context, g gs1.GTIN) (*Set, error) {
	d, err := s.limits.Get(ctx, string(g))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // most products are not kept cold
	}
	return d.V.InForce(), err
}
