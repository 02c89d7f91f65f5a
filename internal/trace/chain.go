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
	stays     []coldchain.Stay
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

// render makes the public steps of a chain, and says which usual stages of imported goods are missing; logged: and where each event
// stands in the transparency log.
func render(c *chain, firms map[string]firm.Firm, places map[string]firm.Place, logged bool, tag string) []Step {
	var steps []Step
	have := map[string]bool{}
	for _, f := range c.history {
		place, known := places[f.BizLocation]
		if !known {
			place = places[f.ReadPoint]
		}
		stage := stageOf(f.eventDoc, place, firms[f.Firm])
		t := f.Time.UTC()
		step := Step{
			Stage: stage, Time: &t, TimeText: f.TimeText, Title: stepTitle(f.eventDoc, stage, tag), Firm: firms[f.Firm].Name.In(tag),
			Place: placeName(place, tag), Provenance: provenance(firms[f.Firm]), EventID: f.id, Corrected: f.corrected, Document: f.Document,
		}
		if logged {
			step.Log = stepLog(f.leaf)
		}
		if !f.corrected {
			have[stage] = true
		}
		steps = append(steps, step)
	}
	if c.product == nil {
		return steps
	}
	for i, stage := range slices.Backward(usualStages) {
		if !have[stage] {
			steps = insertMissing(steps, i, Step{Stage: stage, Title: stageNames[stage].in(tag), Provenance: ProvMissing})
		}
	}
	return steps
}

// usualStages are the stages of every imported good's chain, in order; each is either told or said to be missing.
var usualStages = []string{"production", "port", "warehouse", "store"}

// insertMissing puts a missing stage before the first step of a later stage.
func insertMissing(steps []Step, rank int, missing Step) []Step {
	for i, s := range steps {
		if at := slices.Index(usualStages, s.Stage); at > rank || s.Stage == "sale" {
			return slices.Insert(steps, i, missing)
		}
	}
	return append(steps, missing)
}

func placeName(p firm.Place, tag string) string {
	name, city := p.Name.In(tag), p.City.In(tag)
	switch {
	case city == "" || name == "":
		return name
	case tag == lang.En:
		return name + ", " + city
	}
	return city + " " + name
}

var stageNames = map[string]say{
	"production": {"生产", "Production"},
	"export":     {"发运", "Export"},
	"port":       {"口岸通关", "Port and customs"},
	"warehouse":  {"保税仓储", "Bonded warehouse"},
	"store":      {"门店上架", "Shop"},
	"sale":       {"售出", "Sale"},
	"other":      {"其他", "Other"},
}

// stageOf tells the stage from the CBV business step and the place.
func stageOf(e *eventDoc, p firm.Place, f firm.Firm) string {
	switch e.Step {
	case "retail_selling":
		return "sale"
	case "creating_class_instance", "assembling":
		return "production"
	case "commissioning":
		// Imported goods often get their codes from the seller, long after production.
		if p.Kind == "port" || p.Kind == "warehouse" || p.Kind == "store" {
			return p.Kind
		}
		return "production"
	}
	switch p.Kind {
	case "plant":
		if e.Step == "shipping" || e.Step == "departing" {
			return "export"
		}
		return "production"
	case "port":
		return "port"
	case "warehouse":
		return "warehouse"
	case "store":
		return "store"
	}
	switch {
	case f.Kind == firm.Authority:
		return "port"
	case e.Step == "shipping" || e.Step == "departing":
		return "export"
	case e.Step == "stocking":
		return "store"
	case e.Step == "storing":
		return "warehouse"
	}
	return "other"
}

func stepTitle(e *eventDoc, stage, tag string) string {
	if e.Step == "commissioning" && stage != "production" {
		return stepNames["encoding"].in(tag)
	}
	if t, ok := stepNames[e.Step]; ok {
		return t.in(tag)
	}
	return typeNames[e.Type].in(tag)
}

// stepNames names CBV 2.0 business steps (7.1).
var stepNames = map[string]say{
	"accepting":               {"接收确认", "Accepted"},
	"arriving":                {"到达", "Arrived"},
	"assembling":              {"组装", "Assembled"},
	"collecting":              {"归集", "Collected"},
	"commissioning":           {"生产并赋码", "Produced and coded"},
	"consigning":              {"托运", "Consigned"},
	"creating_class_instance": {"生产成批", "Produced as a lot"},
	"decommissioning":         {"注销追溯码", "Code retired"},
	"departing":               {"离开", "Departed"},
	"destroying":              {"销毁", "Destroyed"},
	"disassembling":           {"拆解", "Disassembled"},
	"dispensing":              {"配发", "Dispensed"},
	"encoding":                {"赋码", "Coded"},
	"entering_exiting":        {"进出设施", "Entered or left the facility"},
	"holding":                 {"扣留", "Held"},
	"inspecting":              {"查验", "Inspected"},
	"installing":              {"安装", "Installed"},
	"killing":                 {"标签失效", "Tag disabled"},
	"loading":                 {"装载", "Loaded"},
	"other":                   {"其他", "Other"},
	"packing":                 {"装箱", "Packed"},
	"picking":                 {"拣货", "Picked"},
	"receiving":               {"收货", "Received"},
	"removing":                {"取下", "Removed"},
	"repackaging":             {"重新包装", "Repackaged"},
	"repairing":               {"维修", "Repaired"},
	"replacing":               {"更换", "Replaced"},
	"reserving":               {"预留", "Reserved"},
	"retail_selling":          {"零售售出", "Sold at retail"},
	"sampling":                {"抽样", "Sampled"},
	"sensor_reporting":        {"传感器记录", "Sensor reading"},
	"shipping":                {"发货", "Shipped"},
	"staging_outbound":        {"待运", "Staged for shipping"},
	"stocking":                {"上架", "Stocked"},
	"storing":                 {"入库", "Stored"},
	"transporting":            {"运输", "In transport"},
	"unloading":               {"卸货", "Unloaded"},
	"unpacking":               {"开箱", "Unpacked"},
	"void_shipping":           {"取消发货", "Shipment voided"},
}

// StepNames names the business steps of CBV 2.0 by their words. The map is the caller's.
func StepNames() map[string]lang.Text {
	out := make(map[string]lang.Text, len(stepNames))
	for word, name := range stepNames {
		out[word] = lang.ZhEn(name.zh, name.en)
	}
	return out
}

var typeNames = map[string]say{
	"ObjectEvent":         {"记录", "Recorded"},
	"AggregationEvent":    {"装箱或拆箱", "Packed or unpacked"},
	"TransactionEvent":    {"交易", "Transaction"},
	"TransformationEvent": {"加工", "Transformed"},
	"AssociationEvent":    {"关联", "Associated"},
}

// sameTime is how far apart two retail sales of one unit may be recorded and still be one sale told twice.
const sameTime = 10 * time.Minute
