package trace

import (
	"context"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// ColdChain knows what loggers recorded beside goods.
type ColdChain interface {
	// InForce gives the limits of a product; nil without an error if there are none.
	InForce(ctx context.Context, g gs1.GTIN) (*coldchain.Set, error)
	// Look says what is known of goods that were in these places. It reads no readings.
	Look(ctx context.Context, limits *coldchain.Set, stays []coldchain.Stay) (*coldchain.View, error)
}

// ColdAnswer is what a scan says of goods that have limits. It is no warning, and changes neither headline nor safety: what an excursion means for a product
// is for its maker and the authorities to say.
type ColdAnswer struct {
	coldchain.View
	Text       string     `json:"text"`
	Provenance string     `json:"provenance"` // verified, claimed or missing
	By         []FirmName `json:"by"`         // whose loggers it were
}

// stay is a time in which the goods were in a container, or themselves, and on whose word they were.
type stay struct {
	coldchain.Stay
	packers []string
}

// stay notes that the goods were in a node, or are it.
func (w *walk) stay(v visit, events []fact) {
	s := stay{Stay: coldchain.Stay{Thing: v.node, GTIN: v.goods, From: v.from, To: v.to}, packers: v.packers}
	for i := range events {
		if f := &events[i]; !f.corrected && !slices.Contains(s.Firms, f.Firm) {
			s.Firms = append(s.Firms, f.Firm)
		}
	}
	w.c.stays = append(w.c.stays, s)
}

// readCold adds what loggers recorded to a chain that is complete but for it.
func (s *Service) readCold(ctx context.Context, c *chain) error {
	if s.deps.Cold == nil || c.limits == nil || c.askedLevel == gs1.Product {
		return nil
	}
	stays, err := s.vouchedStays(ctx, c.stays)
	if err != nil {
		return err
	}
	v, err := s.deps.Cold.Look(ctx, c.limits, stays)
	if err != nil {
		return err
	}
	firms, err := s.deps.Firms.GetMany(ctx, v.Firms)
	if err != nil {
		return err
	}
	a := ColdAnswer{View: *v, Provenance: ProvMissing, By: []FirmName{}}
	for _, id := range v.Firms {
		if p := provenance(firms[id]); a.Provenance == ProvMissing || p == ProvClaimed { // all of it is worth what the least of it is
			a.Provenance = p
		}
		a.By = append(a.By, firmName(id, firms[id]))
	}
	for i, tag := range [...]string{lang.ZhHans, lang.En} {
		said := a
		said.Text = coldTexts[v.State].in(tag)
		c.cold[i] = &said
	}
	return nil
}

// vouchedStays are the stays as the public is told of them: those on the word of firms that may speak for the goods, and with the loggers of such firms. Anyone
// can name itself in an event of another's goods, or say that they were in its container, and put a logger into an oven. What others recorded is for officers and
// the firms concerned.
func (s *Service) vouchedStays(ctx context.Context, all []stay) ([]coldchain.Stay, error) {
	var ids []string
	for i := range all {
		ids = append(append(ids, all[i].packers...), all[i].Firms...)
	}
	slices.Sort(ids)
	firms, err := s.deps.Firms.GetMany(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	out := make([]coldchain.Stay, 0, len(all))
	for i := range all {
		x := all[i].Stay
		stranger := func(id string) bool { return !speaksFor(firms[id], x.GTIN) }
		if slices.ContainsFunc(all[i].packers, stranger) {
			continue
		}
		x.Firms = slices.DeleteFunc(slices.Clone(x.Firms), stranger)
		out = append(out, x)
	}
	return out, nil
}

func (c *chain) coldIn(tag string) *ColdAnswer {
	if tag == lang.En {
		return c.cold[1]
	}
	return c.cold[0]
}

var coldTexts = map[coldchain.State]say{
	coldchain.StateWithin:    {"有记录的时间内，温湿度都在规定范围内，记录没有中断。", "Whenever it was recorded, it was within the limits, without a gap."},
	coldchain.StateGap:       {"有记录时都在规定范围内，但有一段时间没有记录，那段时间的情况不得而知。", "It was within the limits when it was recorded. For a time nothing was recorded, and what happened then is not known."},
	coldchain.StateExcursion: {"记录显示曾超出规定范围，超过了允许的时间。这不是安全结论；如有疑问，请询问店员。", "It was outside of the limits for longer than allowed. This is no finding about safety; if in doubt, ask the staff."},
	coldchain.StateNoData:    {"该商品有温湿度要求，但没有查到它的记录。", "This product has limits, and no record of it was found."},
}

// ColdGraph is the graph as the cold chain follows it.
type ColdGraph struct{ s *Service }

var _ coldchain.Graph = ColdGraph{}

// ColdGraph is the service's.
func (s *Service) ColdGraph() ColdGraph { return ColdGraph{s} }

// Wake implements coldchain.Graph.
func (g ColdGraph) Wake() <-chan struct{} { return g.s.events.Wake() }

const (
	// maxInside bounds the products of one container, coldNodes the containers that are looked at for one.
	maxInside = 50
	coldNodes = 64
)

// Handling implements coldchain.Graph. What left a container before the time does not count.
func (g ColdGraph) Handling(ctx context.Context, thing, firmID string, from, to time.Time) (h coldchain.Handling, err error) {
	seen := map[string]bool{thing: true}
	for todo := []string{thing}; len(todo) > 0; todo = todo[1:] {
		events, err := g.s.eventsOf(ctx, todo[0])
		if err != nil {
			return h, err
		}
		for i := range events {
			f := &events[i]
			if f.corrected {
				continue
			}
			h.Reported = h.Reported || todo[0] == thing && f.Firm == firmID
			if f.Parent != todo[0] || f.Action == string(epcis.Delete) || f.Time.After(to) {
				continue
			}
			for _, t := range f.Things {
				if t.Role != roleChild || emptiedBefore(t.EPC, from, events[i+1:]) {
					continue
				}
				ref, goods := refOf(t.EPC)
				switch {
				case goods && len(h.GTINs) < maxInside && !slices.Contains(h.GTINs, ref.GTIN):
					h.GTINs = append(h.GTINs, ref.GTIN)
				case !goods && !seen[t.EPC] && len(seen) < coldNodes:
					seen[t.EPC] = true
					todo = append(todo, t.EPC)
				}
			}
		}
	}
	slices.Sort(h.GTINs)
	return h, nil
}

// emptiedBefore says whether a child left before a moment, by the later events of its container: by name, or when all of it was emptied.
func emptiedBefore(child string, at time.Time, later []fact) bool {
	for i := range later {
		f := &later[i]
		if f.corrected || f.Action != string(epcis.Delete) || !f.Time.Before(at) {
			continue
		}
		if !slices.ContainsFunc(f.Things, func(t thing) bool { return t.Role == roleChild }) || f.role(child) == roleChild {
			return true
		}
	}
	return false
}

// Observed implements coldchain.Graph.
func (g ColdGraph) Observed(ctx context.Context, token string, limit int) (seen []coldchain.Observation, next string, err error) {
	changes, next, err := g.s.events.Changes(ctx, token, limit)
	if err != nil {
		return nil, token, err
	}
	docs := make([]store.Doc[eventDoc], 0, len(changes))
	for _, ch := range changes {
		if !ch.Deleted {
			docs = append(docs, ch.Doc)
		}
	}
	visible, err := g.s.visible(ctx, docs)
	if err != nil {
		return nil, token, err
	}
	if len(visible) < len(docs) {
		return nil, token, nil // wait for the capture: it completes or is completed by Recover
	}
	for i := range visible {
		e := &visible[i].V
		var o coldchain.Observation
		if e.Confirmed && e.Parent != "" && e.Type == string(epcis.AggregationEvent) {
			if o.Packed, err = g.around(ctx, e.Parent); err != nil {
				return nil, token, err
			}
		}
		if e.Sensed {
			if err := g.reports(ctx, visible[i].ID, e, &o); err != nil {
				return nil, token, err
			}
		}
		if len(o.Packed) > 0 || len(o.Reports) > 0 {
			seen = append(seen, o)
		}
	}
	return seen, next, nil
}

// around lists a container and what it was ever in.
func (g ColdGraph) around(ctx context.Context, container string) ([]string, error) {
	out := []string{container}
	for i := 0; i < len(out) && len(out) < coldNodes; i++ {
		events, err := g.s.eventsOf(ctx, out[i])
		if err != nil {
			return nil, err
		}
		for j := range events {
			if f := &events[j]; !f.corrected && f.Parent != "" && f.role(out[i]) == roleChild && !slices.Contains(out, f.Parent) {
				out = append(out, f.Parent)
			}
		}
	}
	return out, nil
}

// reports reads the sensor data of an event as it was received.
func (g ColdGraph) reports(ctx context.Context, id string, doc *eventDoc, o *coldchain.Observation) error {
	raw, err := g.s.raws.Get(ctx, id)
	if err != nil {
		return err
	}
	e, err := epcis.DecodeEvent(raw.V.Event, storedLimits)
	if err != nil { // by rules that are newer than it: one event must not hold up all that come after it
		if g.s.deps.Log != nil {
			g.s.deps.Log.WarnContext(ctx, "sensor data of an event cannot be read", "event", id, "error", err)
		}
		return nil
	}
	firms, err := g.s.deps.Firms.GetMany(ctx, []string{doc.Firm})
	if err != nil {
		return err
	}
	o.Firm, o.Event, o.Wrong = firms[doc.Firm], doc.ID, doc.Declares
	if o.Firm.ID == "" {
		o.Firm = firm.Firm{ID: doc.Firm}
	}
	for _, t := range doc.Things {
		o.Things = append(o.Things, t.EPC)
	}
	if doc.Parent != "" {
		o.Things = []string{doc.Parent} // what was inside is found through it
	}
	if !o.Wrong {
		if o.Wrong, err = g.declaredWrong(ctx, doc); err != nil {
			return err
		}
	}
	for i := range e.Sensors {
		o.Reports = append(o.Reports, reportsOf(e, &e.Sensors[i])...)
	}
	return nil
}

func (g ColdGraph) declaredWrong(ctx context.Context, doc *eventDoc) (bool, error) {
	nodes := doc.nodes()
	if len(nodes) == 0 {
		return false, nil
	}
	events, err := g.s.eventsOf(ctx, nodes[0])
	return slices.ContainsFunc(events, func(f fact) bool { return f.id == doc.ID && f.Firm == doc.Firm && f.corrected }), err
}

// sensed are the measurement types of GS1's web vocabulary that count.
var sensed = map[string]coldchain.Quantity{"Temperature": coldchain.Temperature, "RelativeHumidity": coldchain.Humidity}

// reportsOf reads temperatures and humidities: a value of a moment, or the least and the greatest of a period. A time that a report does not have is its
// element's, and else the event's.
func reportsOf(e *epcis.Event, s *epcis.SensorElement) []coldchain.Report {
	var out []coldchain.Report
	first := func(list ...epcis.Timestamp) time.Time {
		for _, t := range list {
			if !t.IsZero() {
				return t.Time
			}
		}
		return e.Time.Time
	}
	for i := range s.Reports {
		r := &s.Reports[i]
		q, ok := sensed[r.Type.Word()]
		if !ok {
			continue
		}
		p := coldchain.Report{Quantity: q, UOM: r.UOM, Logger: deviceOf(r, s)}
		if q == coldchain.Humidity && p.UOM == "" {
			p.UOM = "P1"
		}
		p.From, p.To = first(r.Time, s.Metadata.Time), first(r.Time, s.Metadata.Time)
		switch {
		case r.MinValue != "" && r.MaxValue != "":
			p.Lo, p.Hi = r.MinValue.Float64(), r.MaxValue.Float64()
			if r.Time.IsZero() && !s.Metadata.Start.IsZero() && !s.Metadata.End.IsZero() {
				p.From, p.To = s.Metadata.Start.Time, s.Metadata.End.Time
			}
		case r.Value != "":
			p.Lo, p.Hi = r.Value.Float64(), r.Value.Float64()
		default:
			continue
		}
		out = append(out, p)
	}
	return out
}

func deviceOf(r *epcis.SensorReport, s *epcis.SensorElement) string {
	if !r.Source.DeviceID.IsZero() {
		return r.Source.DeviceID.String()
	}
	if !s.Metadata.Source.DeviceID.IsZero() {
		return s.Metadata.Source.DeviceID.String()
	}
	return ""
}
