package web

import (
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
)

// coldView is what loggers recorded beside the goods. Whatever a chart shows is in its words, too.
type coldView struct {
	Tone, Word, Text string
	Icon, Mark       template.HTML
	By               spoken
	Charts           []chartView
	Events           []coldEvent
	More             int
}

// coldEvent is an excursion, or a gap.
type coldEvent struct {
	Text     string
	From, To moment
}

// chartView is a picture of one quantity: bars over time, the limits as lines across, excursions and gaps as grounds behind them. It is drawn in a field of
// chartWidth by chartHeight, stretched to the width of the page.
type chartView struct {
	Title, Label, Limits, Range string
	From, To                    moment
	Bars                        []bar
	Lines                       []string // y of each limit
	Outside, Gaps               []bar
}

// bar is a rectangle of the picture. Its numbers are texts, with one digit behind the point.
type bar struct {
	X, Y, W, H string
	Bad        bool
}

const (
	chartWidth, chartHeight = 320, 96
	chartEdge               = 6   // left free above and below
	leastBar                = 1.5 // that is still seen
)

// coldLooks are the tones of the states. None of them is a warning's.
var coldLooks = map[coldchain.State]struct{ tone, icon string }{
	coldchain.StateExcursion: {"plum", "doubt"},
	coldchain.StateGap:       {"slate", "ask"},
	coldchain.StateWithin:    {"green", "ok"},
	coldchain.StateNoData:    {"slate", "ask"},
}

func coldCard(tag string, c *trace.ColdAnswer) *coldView {
	if c == nil {
		return nil
	}
	look, ok := coldLooks[c.State]
	if !ok {
		look = coldLooks[coldchain.StateNoData]
	}
	v := &coldView{
		Tone: look.tone, Icon: icon(look.icon), Word: word(tag, "cold.", string(c.State)), Text: clean(c.Text), Mark: mark(tag, c.Provenance), By: sellers(tag, c.By),
		More: c.More,
	}
	for i := range c.Charts {
		v.Charts = append(v.Charts, chart(tag, &c.Charts[i]))
	}
	for _, x := range c.Excursions {
		text := words["cold.outside"].in(tag) + words["colon"].in(tag) + lasting(tag, x.To.Sub(x.From)) + words["cold.comma"].in(tag) +
			words["cold.peak"].in(tag) + " " + amount(x.Peak, x.Quantity) + words["cold.comma"].in(tag) + words["cold.limit"].in(tag) + " " + amount(x.Limit, x.Quantity)
		if x.Ongoing {
			text += words["cold.comma"].in(tag) + words["cold.ongoing"].in(tag)
		}
		v.Events = append(v.Events, coldEvent{text, momentOf(tag, x.From), momentOf(tag, x.To)})
	}
	for _, g := range c.Gaps {
		v.Events = append(v.Events, coldEvent{
			words["cold.silent"].in(tag) + words["colon"].in(tag) + lasting(tag, g.To.Sub(g.From)), momentOf(tag, g.From), momentOf(tag, g.To),
		})
	}
	return v
}

// lasting words a duration in minutes, and in hours from two hours on.
func lasting(tag string, d time.Duration) string {
	minutes := int(d / time.Minute)
	hours := strconv.Itoa(minutes / 60)
	if minutes%60 != 0 && minutes < 24*60 {
		hours = strconv.FormatFloat(d.Hours(), 'f', 1, 64)
	}
	switch {
	case tag == lang.En && minutes >= 120:
		return hours + " hours"
	case tag == lang.En:
		return strconv.Itoa(minutes) + " minutes"
	case minutes >= 120:
		return hours + " 小时"
	}
	return strconv.Itoa(minutes) + " 分钟"
}

func amount(v float64, q coldchain.Quantity) string {
	text := strconv.FormatFloat(v, 'f', 1, 64)
	text = strings.TrimSuffix(text, ".0")
	if text == "-0" {
		text = "0"
	}
	if q == coldchain.Humidity {
		return text + "\u00a0%"
	}
	return text + "\u00a0°C" // a value and its unit stay on one line
}

// bounds words limits.
func bounds(tag string, r coldchain.Range, q coldchain.Quantity) string {
	switch {
	case r.Min != nil && r.Max != nil:
		return amount(*r.Min, q) + " – " + amount(*r.Max, q)
	case r.Max != nil:
		return words["cold.most"].in(tag) + " " + amount(*r.Max, q)
	case r.Min != nil:
		return words["cold.least"].in(tag) + " " + amount(*r.Min, q)
	}
	return ""
}

// chart draws what was measured. A chart has a column at least.
func chart(tag string, c *coldchain.Chart) chartView {
	v := chartView{
		Title: word(tag, "quantity.", string(c.Quantity)), Limits: bounds(tag, c.Limits, c.Quantity), From: momentOf(tag, c.From), To: momentOf(tag, c.To),
	}
	lo, hi := c.Columns[0].Lo, c.Columns[0].Hi
	for _, col := range c.Columns {
		lo, hi = min(lo, col.Lo), max(hi, col.Hi)
	}
	v.Range = amount(lo, c.Quantity) + " – " + amount(hi, c.Quantity)
	v.Label = words["cold.chart"].in(tag) + " " + v.Title + words["cold.comma"].in(tag) + v.From.Text + " – " + v.To.Text + words["cold.comma"].in(tag) +
		words["cold.range"].in(tag) + " " + v.Range + words["cold.comma"].in(tag) + words["cold.limits"].in(tag) + " " + v.Limits
	f := newPlot(c, lo, hi)
	for _, end := range [...]*float64{c.Limits.Min, c.Limits.Max} {
		if end != nil {
			v.Lines = append(v.Lines, decimal(f.y(*end)))
		}
	}
	for _, col := range c.Columns {
		bad := c.Limits.Min != nil && col.Lo < *c.Limits.Min || c.Limits.Max != nil && col.Hi > *c.Limits.Max
		v.Bars = append(v.Bars, f.bar(col.From, col.To, f.y(col.Hi), f.y(col.Lo), bad))
	}
	slices.SortStableFunc(v.Bars, func(a, b bar) int { // what is outside is drawn last, over what another logger has
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return 1
		}
		return -1
	})
	for _, x := range c.Outside {
		v.Outside = append(v.Outside, f.bar(x.From, x.To, 0, chartHeight, true))
	}
	for _, x := range c.Gaps {
		v.Gaps = append(v.Gaps, f.bar(x.From, x.To, 0, chartHeight, false))
	}
	return v
}

// plot maps times and values to the picture.
type plot struct {
	from   time.Time
	length float64 // seconds
	lo, hi float64
}

func newPlot(c *coldchain.Chart, lo, hi float64) plot {
	for _, end := range [...]*float64{c.Limits.Min, c.Limits.Max} {
		if end != nil {
			lo, hi = min(lo, *end), max(hi, *end)
		}
	}
	if hi-lo < 1 {
		lo, hi = lo-0.5, hi+0.5
	}
	return plot{from: c.From, length: max(c.To.Sub(c.From).Seconds(), 1), lo: lo, hi: hi}
}

func (f plot) x(t time.Time) float64 {
	return min(max(t.Sub(f.from).Seconds()/f.length, 0), 1) * chartWidth
}

func (f plot) y(v float64) float64 {
	return chartEdge + (f.hi-v)/(f.hi-f.lo)*(chartHeight-2*chartEdge)
}

func (f plot) bar(from, to time.Time, top, bottom float64, bad bool) bar {
	x, w, h := f.x(from), f.x(to)-f.x(from), bottom-top
	if w < leastBar {
		x, w = min(x, chartWidth-leastBar), leastBar
	}
	if h < leastBar {
		top, h = top-(leastBar-h)/2, leastBar
	}
	return bar{X: decimal(x), Y: decimal(top), W: decimal(w), H: decimal(h), Bad: bad}
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
