package coldchain

import (
	"cmp"
	"math"
	"slices"
)

// The bounds of what is kept of one judgement. The longest excursions and gaps are kept; of the others, how many there are.
const (
	maxStretches = 50
	maxDots      = 96
	finestDot    = 10 * minuteMillis
)

// Stretch is a time without a break in which a quantity was outside of its limits.
type Stretch struct {
	From    int64 `json:"f"`
	To      int64 `json:"t"`
	Peak    int32 `json:"p"`           // the value farthest outside
	Bound   int32 `json:"b"`           // the limit that it passed
	Ongoing bool  `json:"o,omitempty"` // no reading has come since
}

// Gap is a time of which nothing is known.
type Gap struct {
	From int64 `json:"f"`
	To   int64 `json:"t"`
}

// Dot is what was measured within one column of a chart.
type Dot struct {
	At int64 `json:"a"` // beginning of the column
	Lo int32 `json:"l"`
	Hi int32 `json:"h"`
}

// Judgement is what the readings of one quantity say in a period, and how they stand to its limits.
type Judgement struct {
	Count       int   `json:"n"` // moments with a reading
	Contradicts int   `json:"c,omitempty"`
	First       int64 `json:"first,omitempty"`
	Last        int64 `json:"last,omitempty"`
	Min         int32 `json:"min,omitempty"`
	Max         int32 `json:"max,omitempty"`

	Excursions     []Stretch `json:"x,omitempty"` // by time
	MoreExcursions int       `json:"mx,omitempty"`
	Gaps           []Gap     `json:"g,omitempty"`
	MoreGaps       int       `json:"mg,omitempty"`

	Column int64 `json:"w,omitempty"` // width of a dot's column, in milliseconds
	Dots   []Dot `json:"d,omitempty"`
}

// judge makes a Judgement of readings that come in the order of time. What it gives is a function of the set of readings alone.
type judge struct {
	lo, hi        int32 // the limits
	allowed, pace int64 // milliseconds: excursion, gap
	from, to      int64 // the period
	over          bool  // the period is: what comes later changes nothing

	out  Judgement
	open *Stretch
}

func newJudge(r *Rules, q Quantity, from, to int64, over bool) *judge {
	j := &judge{lo: math.MinInt32, hi: math.MaxInt32, allowed: int64(r.ExcursionMinutes) * minuteMillis, pace: int64(r.GapMinutes) * minuteMillis, from: from, to: to, over: over}
	if x := r.of(q); x != nil {
		if x.Min != nil {
			j.lo = int32(math.Round(*x.Min * thousandths))
		}
		if x.Max != nil {
			j.hi = int32(math.Round(*x.Max * thousandths))
		}
	}
	j.out.Column = finestDot
	return j
}

// add takes the next moment; n is how many readings it has.
func (j *judge) add(p point, n int) {
	if p.at < j.from || p.at > j.to {
		return
	}
	o := &j.out
	before := o.Last
	if o.Count == 0 {
		before, o.First, o.Min, o.Max = j.from, p.at, p.lo, p.hi
	}
	if p.at-before > j.pace {
		j.close(o.Last)
		j.gap(before, p.at)
	}
	o.Count++
	o.Contradicts += n - 1
	o.Last, o.Min, o.Max = p.at, min(o.Min, p.lo), max(o.Max, p.hi)
	j.dot(p)
	under, over := int64(j.lo)-int64(p.lo), int64(p.hi)-int64(j.hi)
	if under <= 0 && over <= 0 {
		j.close(p.at)
		return
	}
	peak, bound := p.hi, j.hi
	if under > over {
		peak, bound = p.lo, j.lo
	}
	if j.open == nil {
		j.open = &Stretch{From: p.at, Peak: peak, Bound: bound}
	} else if distance(peak, bound) > distance(j.open.Peak, j.open.Bound) {
		j.open.Peak, j.open.Bound = peak, bound
	}
}

func distance(a, b int32) int64 { return max(int64(a)-int64(b), int64(b)-int64(a)) }

// close ends the stretch that is open, if any. A moment outside where none is allowed is an excursion, however short.
func (j *judge) close(at int64) {
	if j.open == nil {
		return
	}
	j.open.To = at
	if at-j.open.From > j.allowed || j.allowed == 0 {
		j.out.Excursions = append(j.out.Excursions, *j.open)
	}
	j.open = nil
	if len(j.out.Excursions) >= 4*maxStretches {
		j.prune()
	}
}

func (j *judge) gap(from, to int64) {
	j.out.Gaps = append(j.out.Gaps, Gap{from, to})
	if len(j.out.Gaps) >= 4*maxStretches {
		j.prune()
	}
}

// prune keeps the longest of what there is. The longest of the longest and of what comes later are the longest of all, so it may be done at any time.
func (j *judge) prune() {
	o := &j.out
	o.Excursions, o.MoreExcursions = longest(o.Excursions, o.MoreExcursions, func(s Stretch) (int64, int64) { return s.From, s.To })
	o.Gaps, o.MoreGaps = longest(o.Gaps, o.MoreGaps, func(g Gap) (int64, int64) { return g.From, g.To })
}

func longest[T any](list []T, more int, ends func(T) (from, to int64)) ([]T, int) {
	if len(list) <= maxStretches {
		return list, more
	}
	slices.SortStableFunc(list, func(a, b T) int {
		af, at := ends(a)
		bf, bt := ends(b)
		return cmp.Or(cmp.Compare(bt-bf, at-af), cmp.Compare(af, bf))
	})
	more += len(list) - maxStretches
	list = list[:maxStretches]
	slices.SortFunc(list, func(a, b T) int {
		af, _ := ends(a)
		bf, _ := ends(b)
		return cmp.Compare(af, bf)
	})
	return list, more
}

// dot adds to the chart. Its columns are the narrowest, by doubling from ten minutes, of which there are at most maxDots.
func (j *judge) dot(p point) {
	o := &j.out
	for {
		at := p.at - p.at%o.Column
		if n := len(o.Dots); n > 0 && o.Dots[n-1].At == at {
			o.Dots[n-1].Lo, o.Dots[n-1].Hi = min(o.Dots[n-1].Lo, p.lo), max(o.Dots[n-1].Hi, p.hi)
			return
		}
		if len(o.Dots) < maxDots {
			o.Dots = append(o.Dots, Dot{at, p.lo, p.hi})
			return
		}
		o.Column *= 2
		wider := o.Dots[:0]
		for _, d := range o.Dots {
			d.At -= d.At % o.Column
			if n := len(wider); n > 0 && wider[n-1].At == d.At {
				wider[n-1].Lo, wider[n-1].Hi = min(wider[n-1].Lo, d.Lo), max(wider[n-1].Hi, d.Hi)
			} else {
				wider = append(wider, d)
			}
		}
		o.Dots = wider
	}
}

// end gives the judgement. The time after the last reading of a period that is over is a gap like any other; of one that is not, whoever reads it knows the time.
func (j *judge) end() Judgement {
	o := &j.out
	if j.open != nil {
		j.open.Ongoing = !j.over
		j.close(o.Last)
	}
	if o.Count > 0 && j.over && j.to-o.Last > j.pace {
		j.gap(o.Last, j.to)
	}
	j.prune()
	if o.Count == 0 {
		o.Column = 0
	}
	return *o
}
