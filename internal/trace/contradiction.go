package trace

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// Contradictions in what was reported of one unit or lot. Each is a statement about the records, and none about the goods: a clerk's slip makes
// most of them. What a shopper is told follows from sold_twice alone; the others are for officers and for the firms that can put
// them right.
const (
	ReceivedBeforeShipped = "received_before_shipped"
	SoldTwice             = "sold_twice"
	DutyFreeResold        = "duty_free_resold"
	ImpossibleTravel      = "impossible_travel"
	TwoPlaces             = "two_places_at_once"
	TwoContainers         = "two_containers_at_once"
	UsedAfterExpiry       = "used_after_expiry"
	UsedAfterRecall       = "used_after_recall"
	MovedAfterEnd         = "moved_after_end"
	UsedBeforeMade        = "used_before_made"
	MadeTwice             = "made_twice"

	// Of lots alone; see contradiction_lot.go.
	ProducedDiffers     = "produced_differs"
	ExpiryDiffers       = "expiry_differs"
	MoreOutThanMade     = "more_out_than_made"
	MoreShippedThanMade = "more_shipped_than_made"
)

// The grades of contradictions, by how hard they are to explain by a slip.
const (
	GradeRecord  = "record"  // most likely a slip
	GradeDoubt   = "doubt"   // somebody should look
	GradeSerious = "serious" // an officer should look
)

var contradictionGrades = map[string]string{
	ReceivedBeforeShipped: GradeRecord, TwoContainers: GradeRecord, TwoPlaces: GradeDoubt, ImpossibleTravel: GradeDoubt, MovedAfterEnd: GradeDoubt,
	UsedAfterExpiry: GradeSerious, UsedAfterRecall: GradeSerious, SoldTwice: GradeSerious, DutyFreeResold: GradeSerious,
	UsedBeforeMade: GradeRecord, MadeTwice: GradeDoubt,
	ProducedDiffers: GradeRecord, ExpiryDiffers: GradeDoubt, MoreOutThanMade: GradeDoubt, MoreShippedThanMade: GradeRecord,
}

var contradictionTexts = map[string]say{
	ReceivedBeforeShipped: {"收货时间早于发货时间，可能是录入有误。", "It was received before it was shipped. One of the times may be wrong."},
	TwoContainers:         {"未出箱又装入另一箱，可能漏报了拆箱。", "It was packed into a second container without leaving the first. An unpacking may not have been reported."},
	TwoPlaces:             {"同一时刻在两处有记录。", "It was reported at two places at one moment."},
	ImpossibleTravel:      {"一小时内在两个城市有记录。", "It was reported in two cities within an hour."},
	MovedAfterEnd:         {"注销或销毁之后仍有流通记录。", "It was reported after its code was retired or it was destroyed."},
	UsedAfterExpiry:       {"过保质期后仍有售出或投料记录。", "It was sold or used after its expiry date."},
	UsedAfterRecall:       {"召回发布后仍有售出或投料记录。", "It was sold or used after its recall was published."},
	SoldTwice:             {"有两次零售记录，其中至少一次不是它，或漏报了退货。", "Two retail sales are recorded; one was not of this unit, or a return was not reported."},
	UsedBeforeMade:        {"赋码投产之前已有流通记录，可能是录入有误。", "It was reported before it was made. One of the times may be wrong."},
	MadeTwice:             {"有两次赋码投产记录。", "It was made twice, by what was reported."},
	ProducedDiffers:       {"不同企业登记的生产日期不一致。", "Firms record different production dates."},
	ExpiryDiffers:         {"不同企业登记的保质期截止日期不一致。", "Firms record different expiry dates."},
	MoreOutThanMade:       {"售出、销毁与投料的数量多于投产数量，或漏报了退货。", "More was sold, destroyed or used than was made, or a return was not reported."},
	MoreShippedThanMade:   {"发货数量多于该企业投产与收货的数量。", "A firm shipped more than it made and received."},
	DutyFreeResold:        {"免税售出后又有售出记录，或漏报了退货。", "It was sold again after a duty-free sale, or a return was not reported."},
}

// Contradiction is a pair of events that cannot both be right as they were reported; for those with a date or a recall, one event.
type Contradiction struct {
	Code   string    `json:"code"`
	Grade  string    `json:"grade"`
	Text   string    `json:"text"`
	First  string    `json:"first"`            // event ID; the firm's, where two firms' records of a lot differ
	Second string    `json:"second,omitempty"` // likewise
	Says   []string  `json:"says,omitempty"`   // of two dates or amounts, what the first and the second say
	At     time.Time `json:"at"`               // of the later one
	firms  []string
}

// circumstances are what is known of a unit besides its events.
type circumstances struct {
	expires  string            // YYYY-MM-DD of the province, "" if nobody told
	recalled time.Time         // zero: it is not recalled
	cities   map[string]string // by place
}

// cityTravel is the least time between two cities: the fastest trains of the province need longer.
const cityTravel = time.Hour

// contradictions finds what cannot be in the events of one unit, its own and those of the containers that it was in. It is a pure
// function: the order in which events were told does not matter, and what was declared an error does not count.
func contradictions(node string, events []fact, c circumstances) []Contradiction {
	facts := slices.DeleteFunc(slices.Clone(events), func(f fact) bool { return f.corrected || f.Declares })
	slices.SortStableFunc(facts, func(a, b fact) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.id, b.id)) })
	k := conflicts{node: node, seen: map[[3]string]bool{}, c: c}
	for i := range facts {
		k.next(&facts[i])
	}
	return k.out
}

// conflicts follows the events of one unit.
type conflicts struct {
	node string
	c    circumstances
	seen map[[3]string]bool
	out  []Contradiction

	placed, sale, ended, packed, received *fact
	early, made                           *fact // the first that tells of it otherwise; what made it
	shipped                               bool  // by whom it was last, since it came there
	holder                                *fact
}

func (k *conflicts) found(code string, a, b *fact) {
	x := Contradiction{Code: code, Grade: contradictionGrades[code], First: a.id, At: a.Time.UTC(), firms: []string{a.Firm}}
	if b != nil {
		x.Second, x.At = b.id, b.Time.UTC()
		x.firms = append(x.firms, b.Firm)
	}
	if key := [3]string{code, x.First, x.Second}; !k.seen[key] {
		k.seen[key] = true
		k.out = append(k.out, x)
	}
}

func (k *conflicts) next(f *fact) {
	k.birth(f)
	k.places(f)
	k.life(f)
	k.containers(f)
	k.transport(f)
}

// birth: it is made once, and nothing is told of it before. A label or chip may be written before there are goods.
func (k *conflicts) birth(f *fact) {
	role := f.role(k.node)
	switch {
	case role == roleOutput || role == roleSubject && f.Action == string(epcis.Add) && f.Step == "commissioning":
		if k.made != nil && f.Time.Sub(k.made.Time) > sameTime {
			k.found(MadeTwice, k.made, f)
		}
		if k.made == nil && k.early != nil && k.early.Time.Before(f.Time) {
			k.found(UsedBeforeMade, k.early, f)
		}
		k.made = cmp.Or(k.made, f)
	case role != "" && k.early == nil && f.Step != "encoding":
		k.early = f
	}
}

// places: one unit is in one place.
func (k *conflicts) places(f *fact) {
	if f.place() == "" {
		return
	}
	if p := k.placed; p != nil && site(p.place()) != site(f.place()) {
		a, b := k.c.cities[p.place()], k.c.cities[f.place()]
		switch gap := f.Time.Sub(p.Time); {
		case gap == 0:
			k.found(TwoPlaces, p, f)
		case gap < cityTravel && a != "" && b != "" && a != b:
			k.found(ImpossibleTravel, p, f)
		}
	}
	k.placed = f
}

// site is a location without its extension: two spots of one site are no two places.
func site(uri string) string {
	base, _, _ := strings.Cut(uri, "/254/")
	return base
}

// life: sold once, unless it came back; not used after its time; and nothing after its end.
func (k *conflicts) life(f *fact) {
	if k.ended != nil {
		k.found(MovedAfterEnd, k.ended, f)
	}
	sold := f.Step == "retail_selling"
	if sold || f.Step == "dispensing" || f.role(k.node) == roleInput {
		if k.c.expires != "" && f.Time.In(hainan).Format(time.DateOnly) > k.c.expires {
			k.found(UsedAfterExpiry, f, nil)
		}
		if !k.c.recalled.IsZero() && f.Time.After(k.c.recalled) {
			k.found(UsedAfterRecall, f, nil)
		}
	}
	switch {
	case returned(f):
		k.sale = nil
	case sold && k.sale != nil && f.id != k.sale.id && f.Time.Sub(k.sale.Time) > sameTime:
		code := SoldTwice
		if k.sale.DutyFree {
			code = DutyFreeResold
		}
		k.found(code, k.sale, f)
		k.sale = f
	case sold && k.sale == nil:
		k.sale = f
	}
	if f.role(k.node) == roleSubject && ends(f.Action, f.Step) {
		k.ended = f
	}
}

// returned says whether goods that were sold came back (CBV 2.0, 7.2: disposition returned).
func returned(f *fact) bool { return f.Disposition == "returned" || f.Step == "collecting" }

// containers: into a second one only out of the first, unless the first went into the second.
func (k *conflicts) containers(f *fact) {
	switch {
	case f.Parent == "" || f.role(k.node) != roleChild && (k.packed == nil || f.Parent != k.packed.Parent):
	case f.Action == string(epcis.Add) && f.role(k.node) == roleChild:
		if k.packed != nil {
			k.found(TwoContainers, k.packed, f)
		}
		k.packed = f
	case f.Action == string(epcis.Delete) && k.packed != nil && f.Parent == k.packed.Parent:
		child := func(t thing) bool { return t.Role == roleChild }
		if f.role(k.node) == roleChild || !slices.ContainsFunc(f.Things, child) {
			k.packed = nil
		}
	}
}

// transport: who received it from another did so after that one had shipped it.
func (k *conflicts) transport(f *fact) {
	switch f.Step {
	case "receiving", "arriving", "accepting":
		k.received = nil
		if k.holder != nil && k.holder.Firm != f.Firm && !k.shipped {
			k.received = f
		}
		k.shipped = false
	case "shipping", "departing":
		if r := k.received; r != nil && r.Firm != f.Firm && k.holder != nil {
			k.found(ReceivedBeforeShipped, r, f)
			k.received = nil
			return // it is still with the one who received it
		}
		k.shipped = true
	}
	k.holder = f
}

// maxContradictions bounds one answer.
const maxContradictions = 100

// Contradictions lists what cannot be in what was reported of a unit or a lot, in the order of times, at most 100; more says that there are
// more. For a firm (viewer not ""), those of a unit in which it or its direct partners said everything, and those of a lot that rest on what it said itself;
// NotFound for a firm that took no part.
func (s *Service) Contradictions(ctx context.Context, ref gs1.Ref, tag, viewer string) (list []Contradiction, more bool, err error) {
	if err := (Start{Ref: ref}).valid(); err != nil {
		return nil, false, err
	}
	if ref = identity(ref); ref.Level() == gs1.Lot {
		list, more, err = s.lotContradictions(ctx, ref, viewer)
	} else {
		list, err = s.unitContradictions(ctx, ref, viewer)
	}
	if err != nil {
		return nil, false, err
	}
	list = worded(list, tag)
	if len(list) > maxContradictions {
		return list[:maxContradictions], true, nil
	}
	return list, more, nil
}

func (s *Service) unitContradictions(ctx context.Context, ref gs1.Ref, viewer string) ([]Contradiction, error) {
	w := newWalk(s, &chain{}, ref)
	if err := w.run(ctx, node(ref)); err != nil {
		return nil, err
	}
	c, err := s.circumstances(ctx, ref, w.facts)
	if err != nil {
		return nil, err
	}
	list := contradictions(node(ref), w.facts, c)
	if viewer == "" {
		return list, nil
	}
	counts, err := s.dealingOf(ctx, viewer)
	if err != nil {
		return nil, err
	}
	return seenBy(viewer, w.facts, list, counts(node(ref)))
}

// maxShown bounds the contradictions in the answer to a scan.
const maxShown = 10

// publicConflicts are the contradictions that shoppers are told of: those in what firms said that may speak for the product. Whoever names himself as
// the one who received a unit could else put one beside anybody's goods. What follows from a recall is no part of it: warnings are not kept with a chain.
func publicConflicts(lot *LotView, ref gs1.Ref, events []fact, firms map[string]firm.Firm, places map[string]firm.Place) []Contradiction {
	k := circumstances{cities: citiesOf(places)}
	var out []Contradiction
	if lot != nil {
		k.expires = lot.vouchedExpires
		out = append(out, lot.differs...)
	}
	vouched := slices.DeleteFunc(events, func(f fact) bool { return !speaksFor(firms[f.Firm], ref.GTIN) })
	out = append(out, contradictions(node(ref), vouched, k)...)
	slices.SortStableFunc(out, func(a, b Contradiction) int { return a.At.Compare(b.At) })
	return out[:min(len(out), maxShown)]
}

// worded gives contradictions with their texts.
func worded(list []Contradiction, tag string) []Contradiction {
	list = slices.Clone(list)
	for i := range list {
		list[i].Text = contradictionTexts[list[i].Code].in(tag)
	}
	return list
}

func citiesOf(places map[string]firm.Place) map[string]string {
	out := make(map[string]string, len(places))
	for uri, p := range places {
		out[uri] = p.City.In(lang.ZhHans)
	}
	return out
}

func (s *Service) circumstances(ctx context.Context, ref gs1.Ref, facts []fact) (circumstances, error) {
	var c circumstances
	ch, err := s.chain(ctx, ref)
	if err != nil {
		return c, err
	}
	if ch.lot != nil {
		c.expires = ch.lot.Expires
	}
	for _, m := range s.deps.Warnings.Match(nil, ch.subject(ref)) {
		if at := m.Warning.Published; m.Certain && m.Warning.Recall && (c.recalled.IsZero() || at.Before(c.recalled)) {
			c.recalled = at
		}
	}
	_, places, err := s.names(ctx, facts)
	c.cities = citiesOf(places)
	return c, err
}

// seenBy leaves a firm what it said, and its direct partners, if it counts that it dealt in the unit.
func seenBy(viewer string, facts []fact, list []Contradiction, counts bool) ([]Contradiction, error) {
	facts = slices.Clone(facts)
	slices.SortStableFunc(facts, func(a, b fact) int { return a.Time.Compare(b.Time) })
	hands := map[[2]string]bool{}
	part := false
	for i := range facts {
		part = part || facts[i].Firm == viewer
		if i > 0 && facts[i-1].Firm != facts[i].Firm && counts {
			hands[[2]string{facts[i-1].Firm, facts[i].Firm}] = true
		}
	}
	if !part {
		return nil, errNoPart()
	}
	near := partners(hands, viewer)
	return slices.DeleteFunc(list, func(c Contradiction) bool {
		return slices.ContainsFunc(c.firms, func(f string) bool { return !near[f] })
	}), nil
}
