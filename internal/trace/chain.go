package trace

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// chain is what is known of a unit, lot or product, read from the store. It is immutable once it is in the cache.
type chain struct {
	seq        uint64   // see chainCache
	deps       []string // nodes
	askedLevel gs1.Level

	product     *ProductView
	notices     []notice.Notice
	lot         *LotView
	unit        *Unit // issued here
	unitLot     string
	lotMismatch bool

	commissioned   bool // a confirmed event made this very unit
	decommissioned bool
	sold           string    // SaleUnsold, SaleSold, SaleSoldDutyFree
	soldAt         time.Time // the last sale
	soldTwice      bool

	ancestors []gs1.Ref // what it was made from, and what it contains
	history   []fact    // in event-time order
	zh, en    []Step
	json      [2]*encoded     // zh, en
	conflicts []Contradiction // what shoppers are told of; see publicConflicts
	shares    bool            // history and steps are the lot's
	stays     []stay
	limits    *coldchain.Set // of the product; nil: it has none
	cold      [2]*ColdAnswer // zh, en
	pending   bool           // an event has no leaf in the transparency log yet
}

func (c *chain) encode() (err error) {
	if c.json[0], err = encode(c.product, c.lot, c.zh); err != nil {
		return err
	}
	c.json[1], err = encode(c.product, c.lot, c.en)
	return err
}

// encoded is what of the answer is encoded already.
func (c *chain) encoded(tag string) *encoded {
	if tag == lang.En {
		return c.json[1]
	}
	return c.json[0]
}

// weight is the memory that the chain takes, in KiB, roughly.
func (c *chain) weight() uint32 {
	if c.shares {
		return 1
	}
	return 4 + 2*uint32(len(c.history)) // at most maxNodes × maxNodeFacts
}

// fact is an event with what the public chain says of it.
type fact struct {
	*eventDoc
	id        string
	corrected bool
	leaf      *int64 // in the transparency log; nil: not yet, or there is none
}

func (c *chain) knownUnit() bool { return c.unit != nil || c.commissioned }

func (c *chain) void() bool {
	return c.decommissioned || c.unit != nil && c.unit.State == UnitVoid
}

// dormant says that the code was issued here and no confirmed event tells of a unit that bears it: as far as anybody has said, its label is on no goods.
func (c *chain) dormant() bool {
	return c.askedLevel == gs1.Unit && c.unit != nil && c.unit.State == UnitIssued && !c.commissioned && c.shares
}

func (c *chain) sale() string {
	if c.sold == "" {
		return SaleUnsold
	}
	return c.sold
}

func (c *chain) level() string {
	switch {
	case c.askedLevel == gs1.Unit && c.knownUnit():
		return "unit"
	case c.lot != nil:
		return "lot"
	case c.product != nil:
		return "product"
	}
	return "none"
}

func (c *chain) steps(tag string) []Step {
	steps := c.zh
	if tag == lang.En {
		steps = c.en
	}
	if steps == nil {
		return []Step{}
	}
	return steps
}

// subject is what the warnings are asked about: what the records say, else what the code says, and both where they differ on
// the lot, since nobody knows which of them is in the bottle.
func (c *chain) subject(asked gs1.Ref) warning.Subject {
	s := warning.Subject{GTIN: asked.GTIN, Lot: asked.Lot, Serial: asked.Serial, Ancestors: c.ancestors}
	switch {
	case c.unitLot != "":
		s.Lot = c.unitLot
	case c.askedLevel == gs1.Unit && c.knownUnit():
		s.Lot = "" // whoever printed the link may write any lot into it, which must not clear what the unknown one does not
	}
	if asked.Lot != "" && s.Lot != asked.Lot {
		s.Ancestors = append(slices.Clip(s.Ancestors), asked)
	}
	if c.lot != nil {
		s.Produced = c.lot.vouched
	}
	return s
}

// exposure is what a device that scanned asked has in its hand; the records give the lot where the code does not.
func (c *chain) exposure(asked gs1.Ref) gs1.Ref {
	if asked.Lot == "" {
		asked.Lot = c.unitLot
	}
	return asked
}

// chain gives the chain of a reference, from the cache or the store. An unknown serial falls back to the lot, an unknown lot to
// the product.
func (s *Service) chain(ctx context.Context, ref gs1.Ref) (*chain, error) {
	key := ref.Path()
	if c := s.chains.get(key); c != nil {
		return c, nil
	}
	c, err := s.read(ctx, ref)
	if err != nil {
		return nil, err
	}
	s.chains.put(key, c)
	return c, nil
}

func (s *Service) read(ctx context.Context, ref gs1.Ref) (*chain, error) {
	c := &chain{seq: s.chains.begin(), askedLevel: ref.Level()}
	switch ref.Level() {
	case gs1.Unit:
		return c, s.readUnit(ctx, c, ref)
	case gs1.Lot:
		return c, s.readLot(ctx, c, ref)
	default:
		return c, s.readProduct(ctx, c, ref)
	}
}

func (s *Service) readProduct(ctx context.Context, c *chain, ref gs1.Ref) error {
	n := node(gs1.Ref{GTIN: ref.GTIN})
	c.deps = append(c.deps, n)
	v, err := s.Product(ctx, ref.GTIN)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	c.product = v
	if s.deps.Notices != nil {
		ns, err := s.deps.Notices.Notices(ctx, ref.GTIN)
		if err != nil {
			return err
		}
		c.notices = ns[:min(len(ns), maxMatches)]
	}
	if s.deps.Cold != nil {
		if c.limits, err = s.deps.Cold.InForce(ctx, ref.GTIN); err != nil {
			return err
		}
	}
	return c.encode()
}

func (s *Service) readLot(ctx context.Context, c *chain, ref gs1.Ref) error {
	up, err := s.chain(ctx, gs1.Ref{GTIN: ref.GTIN})
	if err != nil {
		return err
	}
	c.product, c.notices, c.limits, c.seq = up.product, up.notices, up.limits, min(c.seq, up.seq)
	c.deps = append(c.deps, up.deps...)
	v, err := s.Lot(ctx, ref.GTIN, ref.Lot)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	if c.lot = v; c.lot != nil {
		c.conflicts = c.lot.differs
	}
	w := newWalk(s, c, ref)
	if err := w.run(ctx, node(ref)); err != nil {
		return err
	}
	if err := s.readCold(ctx, c); err != nil {
		return err
	}
	return s.finish(ctx, c, w, nil)
}

func (s *Service) readUnit(ctx context.Context, c *chain, ref gs1.Ref) error {
	d, err := s.units.Get(ctx, unitID(ref.GTIN, ref.Serial))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil {
		c.unit, c.unitLot = &d.V, d.V.Lot
	}
	w := newWalk(s, c, ref)
	if err := w.run(ctx, node(ref)); err != nil {
		return err
	}
	if c.unitLot == "" {
		c.unitLot = w.lot
	}
	lot := c.unitLot
	if lot == "" && !c.knownUnit() {
		lot = ref.Lot // the code's own claim is all there is
	}
	c.lotMismatch = ref.Lot != "" && lot != "" && ref.Lot != lot
	up, err := s.chain(ctx, gs1.Ref{GTIN: ref.GTIN, Lot: lot})
	if err != nil {
		return err
	}
	c.product, c.lot, c.notices, c.limits, c.seq = up.product, up.lot, up.notices, up.limits, min(c.seq, up.seq)
	c.deps = append(c.deps, up.deps...)
	c.ancestors = append(c.ancestors, up.ancestors...)
	c.stays = append(c.stays, up.stays...)
	if err := s.readCold(ctx, c); err != nil {
		return err
	}
	if len(w.facts) == 0 {
		// Most units have no events of their own: they share what was rendered for their lot.
		c.history, c.zh, c.en, c.json, c.shares, c.pending = up.history, up.zh, up.en, up.json, true, up.pending
		c.conflicts = up.conflicts
		return nil
	}
	own := slices.Clone(w.facts)
	w.merge(up.history)
	return s.finish(ctx, c, w, own)
}

// finish orders the facts and renders the steps. own are those of a unit without its lot's; nil: the chain is that of a lot, whose view was read for it and is
// shared with no other chain yet.
func (s *Service) finish(ctx context.Context, c *chain, w *walk, own []fact) error {
	c.history = w.facts
	slices.SortStableFunc(c.history, func(a, b fact) int { return a.Time.Compare(b.Time) })
	firms, places, err := s.names(ctx, c.history)
	if err != nil {
		return err
	}
	switch {
	case own != nil:
		c.conflicts = publicConflicts(c.lot, w.ref, own, firms, places)
	case c.lot != nil:
		c.lot.confirm(c.history, firms)
	}
	if err := s.findLeaves(ctx, c); err != nil {
		return err
	}
	logged := s.deps.Leaves != nil
	c.zh = render(c, firms, places, logged, lang.ZhHans)
	c.en = render(c, firms, places, logged, lang.En)
	return c.encode()
}

func (s *Service) names(ctx context.Context, facts []fact) (map[string]firm.Firm, map[string]firm.Place, error) {
	var ids, uris []string
	for _, f := range facts {
		if !slices.Contains(ids, f.Firm) {
			ids = append(ids, f.Firm)
		}
		for _, uri := range []string{f.ReadPoint, f.BizLocation} {
			if uri != "" && !slices.Contains(uris, uri) {
				uris = append(uris, uri)
			}
		}
	}
	firms, err := s.deps.Firms.GetMany(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	places, err := s.deps.Firms.Places(ctx, uris)
	return firms, places, err
}

// sameTime is how far apart two retail sales of one unit may be recorded and still be one sale told twice.
const sameTime = 10 * time.Minute
