package alert

import (
	"context"
	"slices"

	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// entry is one reason of one device.
type entry struct {
	device string
	reason Reason
}

// source gives entries in the order of device IDs, any number for one device.
type source struct {
	fetch func(ctx context.Context, cursor string) (entries []entry, next string, err error)
	buf   []entry
	next  string
	begun bool
}

// peek gives the next entry without taking it; nil at the end.
func (s *source) peek(ctx context.Context) (*entry, error) {
	for len(s.buf) == 0 {
		if s.begun && s.next == "" {
			return nil, nil //nolint:nilnil // the end of a stream, inside this file
		}
		var err error
		if s.buf, s.next, err = s.fetch(ctx, s.next); err != nil {
			return nil, err
		}
		s.begun = true
	}
	return &s.buf[0], nil
}

// merged walks sources together: every device once, with all its reasons.
type merged struct{ sources []*source }

// next gives the next device in order; "" at the end.
func (m *merged) next(ctx context.Context) (device string, reasons []Reason, err error) {
	for _, s := range m.sources {
		e, err := s.peek(ctx)
		if err != nil {
			return "", nil, err
		}
		if e != nil && (device == "" || e.device < device) {
			device = e.device
		}
	}
	if device == "" {
		return "", nil, nil
	}
	for _, s := range m.sources {
		for {
			e, err := s.peek(ctx)
			if err != nil {
				return "", nil, err
			}
			if e == nil || e.device != device {
				break
			}
			reasons = addReason(reasons, e.reason)
			s.buf = s.buf[1:]
		}
	}
	return device, reasons, nil
}

// maxReasons bounds the reasons that are kept for one device.
const maxReasons = 20

// reasonTold marks who was told of this very message, for the closing pass. It is not stored.
const reasonTold = "told"

// reasonRank puts the reason first that matters most to the person.
var reasonRank = map[string]int{reasonTold: -1, ReasonHolding: 0, ReasonScan: 1, ReasonSubscription: 2, ReasonToldBefore: 3}

func addReason(list []Reason, r Reason) []Reason {
	if slices.Contains(list, r) {
		return list
	}
	at := len(list)
	for i, x := range list {
		if reasonRank[r.Code] < reasonRank[x.Code] || r.Code == x.Code && r.Certain && !x.Certain {
			at = i
			break
		}
	}
	list = slices.Insert(list, at, r)
	return list[:min(len(list), maxReasons)]
}

// audience is who a message concerns, as sources that begin after a device.
type audience struct {
	s      *Service
	m      *warning.Message
	scope  warning.Scope // with what was made of the goods in scope
	vague  warning.Scope // products of which something was made of them, nobody recorded which lot
	gtins  []gs1.GTIN
	brands []string
	origin []string
}

// newAudience looks up what does not depend on devices. A lift or retraction concerns those who were told before, and nobody else.
func (s *Service) newAudience(ctx context.Context, m *warning.Message) (*audience, error) {
	a := &audience{s: s, m: m}
	if m.Kind == warning.KindLift || m.Kind == warning.KindRetract {
		return a, nil
	}
	a.scope.Clauses = slices.Clone(m.Scope.Clauses)
	made, err := s.Graph.Descendants(ctx, &m.Scope)
	if err != nil {
		return nil, err
	}
	for _, ref := range made {
		sc := &a.scope
		if ref.Level() == gs1.Product {
			sc = &a.vague
		}
		sc.Clauses = append(sc.Clauses, trace.ClauseOf(ref))
	}
	for _, g := range slices.Concat(a.scope.GTINs(), a.vague.GTINs()) {
		if !slices.Contains(a.gtins, gs1.GTIN(g)) {
			a.gtins = append(a.gtins, gs1.GTIN(g))
		}
	}
	return a, a.products(ctx)
}

// products adds what subscriptions may ask for of the products in scope.
func (a *audience) products(ctx context.Context) error {
	for _, g := range a.m.Scope.GTINs() {
		if err := a.product(ctx, gs1.GTIN(g)); err != nil {
			return err
		}
	}
	return nil
}

// product adds the brand and origin of a product, as far as an authority or whoever may speak for the product says them; one that nobody
// registered has neither.
func (a *audience) product(ctx context.Context, g gs1.GTIN) error {
	p, err := a.s.Graph.Product(ctx, g)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	for _, tag := range []string{lang.ZhHans, lang.En} {
		if b := consumer.FoldBrand(p.Brand[tag]); b != "" && p.Facts.Brand.Steers() && !slices.Contains(a.brands, b) {
			a.brands = append(a.brands, b)
		}
	}
	if p.Origin != "" && p.Facts.Origin.Steers() && !slices.Contains(a.origin, p.Origin) {
		a.origin = append(a.origin, p.Origin)
	}
	return nil
}

// after opens the audience's sources after a device.
func (a *audience) after(device string) *merged {
	var m merged
	add := func(fetch func(ctx context.Context, cursor string) ([]entry, string, error)) {
		m.sources = append(m.sources, &source{fetch: fetch})
	}
	for _, g := range a.gtins {
		add(func(ctx context.Context, cursor string) ([]entry, string, error) {
			p, err := a.s.Consumers.HoldersAfter(ctx, g, device, cursor)
			if err != nil {
				return nil, "", err
			}
			return keep(ctx, p.Items, p.Next, a.holding)
		})
		add(func(ctx context.Context, cursor string) ([]entry, string, error) {
			p, err := a.s.Consumers.ScannersAfter(ctx, g, device, cursor)
			if err != nil {
				return nil, "", err
			}
			return keep(ctx, p.Items, p.Next, a.exposure)
		})
	}
	for _, c := range a.criteria() {
		add(func(ctx context.Context, cursor string) ([]entry, string, error) {
			p, err := a.s.Consumers.SubscribersAfter(ctx, c.Kind, c.Value, device, cursor)
			if err != nil {
				return nil, "", err
			}
			return keep(ctx, p.Items, p.Next, func(_ context.Context, d consumer.Device) (*entry, error) { return a.subscription(d, c), nil })
		})
	}
	// All of them: the message right before may have been cut short by this one.
	for rev := 1; rev < a.m.Rev; rev++ {
		add(a.s.told(a.m.No, rev, false, device, ReasonToldBefore))
		add(a.s.told(a.m.No, rev, true, device, ReasonToldBefore))
	}
	return &m
}

// keep turns what a stream gives into entries, leaving out what is not concerned.
func keep[T any](ctx context.Context, items []T, next string, f func(context.Context, T) (*entry, error)) ([]entry, string, error) {
	var out []entry
	for _, it := range items {
		e, err := f(ctx, it)
		if err != nil {
			return nil, "", err
		}
		if e != nil {
			out = append(out, *e)
		}
	}
	return out, next, nil
}

func (a *audience) holding(ctx context.Context, h consumer.Holding) (*entry, error) {
	sub, err := a.s.subject(ctx, gs1.Ref{GTIN: h.GTIN, Lot: h.Lot, Serial: h.Serial}, h.Produced)
	if err != nil {
		return nil, err
	}
	affected, certain := a.concerns(sub)
	if !affected {
		return nil, nil //nolint:nilnil // not concerned
	}
	return &entry{h.Device, Reason{Code: ReasonHolding, GTIN: string(h.GTIN), Lot: h.Lot, Serial: h.Serial, Certain: certain}}, nil
}

func (a *audience) exposure(ctx context.Context, x consumer.Exposure) (*entry, error) {
	sub, err := a.s.subject(ctx, x.Ref(), "")
	if err != nil {
		return nil, err
	}
	affected, certain := a.concerns(sub)
	if !affected {
		return nil, nil //nolint:nilnil // not concerned
	}
	return &entry{x.Device, Reason{Code: ReasonScan, GTIN: string(x.GTIN), Lot: x.Lot, Serial: x.Serial, Certain: certain}}, nil
}

// concerns says whether the message is about the goods, and whether that is certain.
func (a *audience) concerns(sub warning.Subject) (affected, certain bool) {
	affected, certain = warning.Affects(&a.scope, sub)
	if !affected {
		affected, _ = warning.Affects(&a.vague, sub)
	}
	return affected, certain
}

// subject completes what a device knows of its goods with what the records say. A lot typed from a tin may not be one that GS1
// allows; then the records know nothing of it.
func (s *Service) subject(ctx context.Context, ref gs1.Ref, produced string) (warning.Subject, error) {
	if ref.Valid() != nil {
		return warning.Subject{GTIN: ref.GTIN, Lot: ref.Lot, Serial: ref.Serial, Produced: produced}, nil //nolint:nilerr // see above
	}
	sub, err := s.Graph.Subject(ctx, ref)
	if err != nil {
		return sub, err
	}
	if produced != "" {
		sub.Produced = produced
	}
	return sub, nil
}

// criteria are the subscriptions that ask for this message.
func (a *audience) criteria() []consumer.Subscription {
	m := a.m
	if m.Kind == warning.KindLift || m.Kind == warning.KindRetract {
		return nil
	}
	out := []consumer.Subscription{
		{Kind: consumer.SubAll}, {Kind: consumer.SubCategory, Value: m.Category}, {Kind: consumer.SubHazard, Value: m.Hazard},
	}
	for _, g := range m.Scope.GTINs() {
		out = append(out, consumer.Subscription{Kind: consumer.SubGTIN, Value: g})
	}
	for _, b := range a.brands {
		out = append(out, consumer.Subscription{Kind: consumer.SubBrand, Value: b})
	}
	for _, o := range a.origin {
		out = append(out, consumer.Subscription{Kind: consumer.SubOrigin, Value: o})
	}
	return out
}

// subscription is the entry of a device that subscribes to a criterion, nil if its level asks for worse.
func (a *audience) subscription(d consumer.Device, c consumer.Subscription) *entry {
	for _, sub := range d.Subscriptions {
		if sub.Kind == c.Kind && sub.Value == c.Value && a.m.Level.Rank() >= sub.MinLevel.Rank() {
			return &entry{d.ID, Reason{Code: ReasonSubscription, Kind: c.Kind, Value: c.Value, Certain: true}}
		}
	}
	return nil
}

// told gives the devices that were told of one message, in the order of device IDs: from the chunks of the expansion,
// whose ranges follow each other, or from the late ones, of one device each.
func (s *Service) told(no string, rev int, late bool, device, reason string) func(ctx context.Context, cursor string) ([]entry, string, error) {
	eq := toldKey(no, rev, late)
	var from store.Key
	return func(ctx context.Context, cursor string) ([]entry, string, error) {
		if cursor == "" && device != "" {
			// The chunk that holds the devices right after this one may begin before it.
			p, err := s.chunks.Find(ctx, store.Query{Index: byWarning, Eq: eq, To: store.K(device + "\x00"), Desc: true, Limit: 1})
			if err != nil {
				return nil, "", err
			}
			if len(p.Items) > 0 {
				from = store.K(p.Items[0].V.Deliveries[0].Device)
			}
		}
		p, err := s.chunks.Find(ctx, store.Query{Index: byWarning, Eq: eq, From: from, Cursor: cursor, Limit: 20})
		if err != nil {
			return nil, "", err
		}
		var out []entry
		for _, d := range p.Items {
			for _, del := range d.V.Deliveries {
				if del.Device > device && del.State != StateErased {
					out = append(out, entry{del.Device, Reason{Code: reason, Certain: true}})
				}
			}
		}
		return out, p.Next, nil
	}
}

func toldKey(no string, rev int, late bool) store.Key {
	n := 0
	if late {
		n = 1
	}
	return store.K(no, rev, n)
}
