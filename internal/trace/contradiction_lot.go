package trace

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// What cannot be in what was reported of a lot: its dates as firms record them, and the amounts that its events tell of. Units of the lot count as
// pieces, each once, however often it is told of.

// lotLine is a line of a lot's flow that counts.
type lotLine struct {
	id, key string // of the event; of the line, since it may be there twice
	at      int64
	firm    string
	part    lotPart
	step    string
	serials string
	amounts string
}

// lotPart is what a line means to the amount of a lot.
type lotPart int

const (
	lotSeen   lotPart = iota
	lotMade           // it came into being
	lotGone           // sold, destroyed, or used for something else
	lotSent           // it left a firm
	lotTaken          // a firm received it
	lotParted         // into or out of a container
)

func partOfLine(m *move) lotPart {
	switch {
	case m.Role == roleOutput || m.Role == roleSubject && m.Action == string(epcis.Add):
		return lotMade
	case m.Role == roleInput, m.Role == roleSubject && (m.Step == "retail_selling" || m.Step == "dispensing" || ends(m.Action, m.Step)):
		return lotGone
	case m.Role == roleSubject && (m.Step == "shipping" || m.Step == "departing"):
		return lotSent
	case m.Role == roleSubject && (m.Step == "receiving" || m.Step == "arriving" || m.Step == "accepting"):
		return lotTaken
	case m.Role == roleChild:
		return lotParted
	}
	return lotSeen
}

// lotLines reads a lot's flow in the order of event times, without what was declared an error. cut says that there is more of it than is followed.
func (s *Service) lotLines(ctx context.Context, k lotKey) (lines []lotLine, cut bool, err error) {
	wrong, seen := map[string]bool{}, map[string]bool{}
	q := lotQuery(k)
	q.Limit = 32
	for {
		page, err := s.flows.Find(ctx, q)
		if err != nil {
			return nil, false, err
		}
		for i := range page.Items {
			for m, err := range moves(page.Items[i].V.Lines) {
				if err != nil {
					return nil, false, err
				}
				base := baseOf(m.Doc)
				if m.Declares {
					wrong[base] = true
					continue
				}
				l := lotLine{base, m.Doc + m.Role + string(rune(m.N)), m.At, m.Firm, partOfLine(&m), m.Step, m.Serials, m.Amounts}
				if !seen[l.key] {
					seen[l.key] = true
					lines = append(lines, l)
				}
			}
		}
		if cut = len(lines) >= maxLotLines; page.Next == "" || cut {
			break
		}
		q.Cursor = page.Next
	}
	lines = slices.DeleteFunc(lines, func(l lotLine) bool { return wrong[l.id] })
	slices.SortFunc(lines, func(a, b lotLine) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) })
	return lines, cut, nil
}

// maxLotLines bounds the lines that one answer adds up; a lot of 100,000 units told of in hundreds has some thousands.
const maxLotLines = 200_000

// stock adds up goods: units once each, and amounts by unit of measure, "" for pieces. What has no number makes all sums unknown.
type stock struct {
	units   map[string]bool
	sums    map[string]float64
	unknown bool
}

func newStock() *stock { return &stock{units: map[string]bool{}, sums: map[string]float64{}} }

func (t *stock) add(l *lotLine) {
	for serial := range strings.FieldsSeq(l.serials) {
		if !t.units[serial] {
			t.units[serial] = true
			t.sums[""]++
		}
	}
	if l.serials != "" && l.amounts == "" {
		return
	}
	for q := range strings.SplitSeq(l.amounts, " ") {
		n, unit := parseAmount(q)
		t.sums[unit] += n
		t.unknown = t.unknown || n == 0
	}
}

// exceeds gives the unit of measure by which t is more than others together, of which some was told. Sums are of decimal numbers: what adding binary
// fractions leaves behind is no difference.
func (t *stock) exceeds(others ...*stock) (unit string, more bool) {
	for _, unit := range slices.Sorted(maps.Keys(t.sums)) {
		in := 0.0
		for _, o := range others {
			if o.unknown {
				return "", false
			}
			in += o.sums[unit]
		}
		if in > 0 && t.sums[unit] > in*(1+1e-9) {
			return unit, true
		}
	}
	return "", false
}

func amountText(n float64, unit string) string { return strings.TrimSpace(decimal(n) + " " + unit) }

// lotConflicts finds what cannot be in the lines of one lot, which are in the order of event times. It is a pure function of them.
func lotConflicts(lines []lotLine) []Contradiction {
	var first, last *lotLine
	made := newStock()
	for i := range lines {
		if l := &lines[i]; l.part == lotMade {
			first, last = cmp.Or(first, l), l
			made.add(l)
		}
	}
	if first == nil {
		return nil // nobody told how it came into being: there is nothing to contradict
	}
	var out []Contradiction
	// A label or chip may be written before there are goods.
	if i := slices.IndexFunc(lines, func(l lotLine) bool { return l.step != "encoding" }); i >= 0 && lines[i].at < first.at {
		out = append(out, contradictionOf(UsedBeforeMade, &lines[i], first))
	}
	gone := newStock()
	var firms []string
	for i := range lines {
		l := &lines[i]
		if l.part != lotGone && l.part != lotMade {
			continue
		}
		if firms = append(firms, l.firm); l.part == lotMade {
			continue
		}
		gone.add(l)
		if unit, more := gone.exceeds(made); more {
			c := contradictionOf(MoreOutThanMade, last, l)
			c.Says, c.firms = []string{amountText(made.sums[unit], unit), amountText(gone.sums[unit], unit)}, append(firms, last.firm)
			out = append(out, c)
			break
		}
	}
	return append(out, shippedConflicts(lines)...)
}

// shippedConflicts finds the firms that shipped more than they made and received. Of others than makers nobody knows what they got in containers.
func shippedConflicts(lines []lotLine) (out []Contradiction) {
	type books struct {
		made, taken, sent *stock
		last              *lotLine // of making
		found             bool
	}
	firms := map[string]*books{}
	for _, sending := range []bool{false, true} { // what came in counts, whenever it was
		for i := range lines {
			l := &lines[i]
			b := firms[l.firm]
			if b == nil {
				b = &books{made: newStock(), taken: newStock(), sent: newStock()}
				firms[l.firm] = b
			}
			switch {
			case !sending && l.part == lotMade:
				b.made.add(l)
				b.last = l
			case !sending && l.part == lotTaken:
				b.taken.add(l)
			case sending && l.part == lotSent && b.last != nil && !b.found:
				b.sent.add(l)
				if unit, more := b.sent.exceeds(b.made, b.taken); more {
					c := contradictionOf(MoreShippedThanMade, b.last, l)
					c.Says = []string{amountText(b.made.sums[unit]+b.taken.sums[unit], unit), amountText(b.sent.sums[unit], unit)}
					out, b.found = append(out, c), true
				}
			}
		}
	}
	return out
}

func contradictionOf(code string, a, b *lotLine) Contradiction {
	event := func(l *lotLine) string { _, id, _ := strings.Cut(l.id, "|"); return id }
	return Contradiction{
		Code: code, Grade: contradictionGrades[code], First: event(a), Second: event(b), At: time.UnixMilli(max(a.at, b.at)).UTC(), firms: []string{a.firm, b.firm},
	}
}

// dateConflicts finds the dates that firms record differently of one lot; of each date those that differ from the one that is believed first.
func dateConflicts(records []store.Doc[Lot]) (out []Contradiction) {
	for _, d := range []struct {
		code string
		of   func(*Lot) string
	}{
		{ProducedDiffers, func(l *Lot) string { return l.Produced }},
		{ExpiryDiffers, func(l *Lot) string { return l.Expires }},
	} {
		var first *Lot
		seen := map[string]bool{}
		for i := range records {
			l := &records[i].V
			date := d.of(l)
			switch {
			case date == "" || seen[date]:
				continue
			case first == nil:
				first = l
			default:
				out = append(out, Contradiction{
					Code: d.code, Grade: contradictionGrades[d.code], First: first.Firm, Second: l.Firm, Says: []string{d.of(first), date},
					At: later(first.Updated, l.Updated).UTC(), firms: []string{first.Firm, l.Firm},
				})
			}
			seen[date] = true
		}
	}
	return out
}

// lotContradictions lists what cannot be in what was reported of a lot. A firm sees what rests on what it said itself, and where its record of the
// lot differs from another's; NotFound for a firm that said nothing of it.
func (s *Service) lotContradictions(ctx context.Context, ref gs1.Ref, viewer string) (list []Contradiction, more bool, err error) {
	if _, err := s.flowsAsOf(ctx); err != nil {
		return nil, false, err
	}
	lines, more, err := s.lotLines(ctx, lotKey{ref.GTIN, ref.Lot})
	if err != nil {
		return nil, false, err
	}
	records, _, err := s.lotRecords(ctx, ref.GTIN, ref.Lot)
	if err != nil {
		return nil, false, err
	}
	list = append(dateConflicts(records), lotConflicts(lines)...)
	slices.SortStableFunc(list, func(a, b Contradiction) int { return a.At.Compare(b.At) })
	if viewer == "" {
		return list, more, nil
	}
	part := slices.ContainsFunc(lines, func(l lotLine) bool { return l.firm == viewer }) ||
		slices.ContainsFunc(records, func(d store.Doc[Lot]) bool { return d.V.Firm == viewer })
	if !part {
		return nil, false, errNoPart()
	}
	return slices.DeleteFunc(list, func(c Contradiction) bool {
		if c.Code == ExpiryDiffers || c.Code == ProducedDiffers {
			return !slices.Contains(c.firms, viewer)
		}
		return slices.ContainsFunc(c.firms, func(f string) bool { return f != viewer })
	}), more, nil
}

// lotRecords are the records of a lot, in the order in which they are believed, and their firms.
func (s *Service) lotRecords(ctx context.Context, g gs1.GTIN, lot string) ([]store.Doc[Lot], map[string]firm.Firm, error) {
	page, err := s.lots.Find(ctx, store.Query{Index: byLot, Eq: store.K(string(g), lot), Limit: maxFirms})
	if err != nil || len(page.Items) == 0 {
		return nil, nil, err
	}
	firms, err := firmsOf(ctx, s, page.Items, func(l Lot) string { return l.Firm })
	if err != nil {
		return nil, nil, err
	}
	byAuthority(page.Items, firms, g, func(l Lot) string { return l.Firm })
	return page.Items, firms, nil
}
