package trace

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Signals in the scans of a code: what a copied or stolen label looks like from here. Each says something about scans, which anybody can make, and proves
// nothing about goods.
const (
	SignalManyScanners   = "many_scanners"
	SignalAfterSale      = "scanned_after_sale"
	SignalFarApart       = "far_apart"
	SignalUnlabelled     = "scanned_unlabelled"
	SignalVoid           = "scanned_void"
	SignalLotMismatch    = "lot_mismatch"
	SignalSoldTwice      = "sold_twice"
	SignalUnknownSerials = "unknown_serials" // of a lot
)

// GradeWatch is of a signal that mostly has a harmless reason; doubt and serious are as for contradictions.
const GradeWatch = "watch"

// Grades of anomalies, from the least.
var anomalyGrades = []string{GradeWatch, GradeDoubt, GradeSerious}

// The counts at which a signal gets the next grade.
const (
	seriousScanners     = 30
	seriousCities       = 5
	seriousAfterSale    = 15
	doubtUnlabelled     = 10
	doubtUnknownSerials = 3
	maxUnknownSerials   = 50
	maxAnomalyPlaces    = 8
	anomalyKept         = 365 * 24 * time.Hour // after the last scan that showed it
	anomalyRefreshed    = 10 * time.Minute     // how far the figures may lag behind the scans
	maxAnomalyFirms     = 8
	anomalyPage         = 100
)

// Signal is one thing that is odd about the scans of a code.
type Signal struct {
	Code  string `json:"code"`
	Grade string `json:"grade"`
	Text  string `json:"text,omitempty"` // in the language asked for; not stored
}

// Anomaly is what is odd about the scans of a unit's code, or about scans of made-up serials of a lot. Figures are as of the last scan, or up to ten minutes
// older. There is no address and no device in it; places are shop codes and cities.
type Anomaly struct {
	GTIN     gs1.GTIN  `json:"gtin"`
	Lot      string    `json:"lot,omitempty"`
	Serial   string    `json:"serial,omitempty"`        // "" for a lot
	Grade    string    `json:"grade"`                   // the worst of its signals
	Signals  []Signal  `json:"signals"`                 // the worst first
	Scans    int       `json:"scans"`                   // up to 200, of a unit
	Visitors int       `json:"visitors"`                // within 30 days
	After    int       `json:"after_sale"`              // visitors since the sale
	Places   []string  `json:"places"`                  // at most 8, the newest first
	Apart    int64     `json:"seconds_apart,omitempty"` // between two visitors in two places: the shortest time that makes it odd
	Serials  []string  `json:"serials,omitempty"`       // made up, of a lot: at most 50
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// anomalyDoc is an anomaly with the firms that it concerns: who issued or made the unit, or issued the lot's first.
type anomalyDoc struct {
	Anomaly
	Firms []string `json:"firms,omitempty"`
}

var anomalyDef = store.Def[anomalyDoc]{
	Name: "anomalies", Expires: func(d *anomalyDoc) time.Time { return d.Last.Add(anomalyKept) },
	Indexes: []store.Index[anomalyDoc]{{
		// By firm, and "" for officers; each with and without the product.
		Name: byFirm, Version: "1", Keys: func(_ string, d *anomalyDoc) ([]store.Key, store.Key) {
			var keys []store.Key
			for _, f := range append([]string{""}, d.Firms...) {
				keys = append(keys, store.K(f, ""), store.K(f, string(d.GTIN)))
			}
			return keys, store.K(d.Last)
		},
	}},
}

// anomalyCache remembers what was noted a moment ago, so that a code that everybody scans is not noted with each scan.
type anomalyCache = otter.Cache[string, string]

func newAnomalyCache(entries int) *anomalyCache {
	return otter.Must(&otter.Options[string, string]{
		MaximumSize: entries, ExpiryCalculator: otter.ExpiryWriting[string, string](anomalyRefreshed),
	})
}

// signals are those of a unit's scans, the worst first.
func (f *facts) signals(codes []string) []Signal {
	var out []Signal
	add := func(when bool, code, grade string) {
		if when {
			out = append(out, Signal{Code: code, Grade: grade})
		}
	}
	graded := func(when bool, low, high string) string {
		if when {
			return high
		}
		return low
	}
	has := func(code string) bool { return slices.Contains(codes, code) }
	add(f.seen.visitors >= manyScanners && f.seen.cities >= manyCities, SignalManyScanners,
		graded(f.seen.visitors >= seriousScanners && f.seen.cities >= seriousCities, GradeDoubt, GradeSerious))
	add(f.seen.afterSale >= manyScannersAfterSale, SignalAfterSale, graded(f.seen.afterSale >= seriousAfterSale, GradeDoubt, GradeSerious))
	add(has("far_apart"), SignalFarApart, GradeDoubt)
	add(has("scanned_unlabelled"), SignalUnlabelled, graded(f.seen.visitors >= doubtUnlabelled, GradeWatch, GradeDoubt))
	add(has("void"), SignalVoid, GradeDoubt)
	add(has("lot_mismatch"), SignalLotMismatch, GradeDoubt)
	add(has("sold_twice"), SignalSoldTwice, GradeDoubt)
	sortSignals(out)
	return out
}

func sortSignals(list []Signal) {
	slices.SortStableFunc(list, func(a, b Signal) int {
		return cmp.Or(cmp.Compare(slices.Index(anomalyGrades, b.Grade), slices.Index(anomalyGrades, a.Grade)), cmp.Compare(a.Code, b.Code))
	})
}

// note keeps what is odd about a scan, before the scan itself is recorded: if this process dies in between, the next scan notes it again, and none
// is left out. Most scans show nothing odd, and cost nothing here.
func (s *Service) note(ctx context.Context, ref gs1.Ref, f *facts, a *Answer) error {
	c := f.chain
	if c.askedLevel != gs1.Unit {
		return nil
	}
	if !c.knownUnit() {
		return s.noteUnknown(ctx, ref, f)
	}
	codes := make([]string, len(a.Findings))
	for i := range a.Findings {
		codes[i] = a.Findings[i].Code
	}
	signals := f.signals(codes)
	if len(signals) == 0 {
		return nil
	}
	path, mark := identity(ref).Path(), ""
	for _, x := range signals {
		mark += x.Code + " " + x.Grade + " "
	}
	if was, ok := s.noted.GetIfPresent(path); ok && was == mark {
		return nil
	}
	lot, firms := c.unitLot, []string{}
	if c.unit != nil {
		lot, firms = c.unit.Lot, append(firms, c.unit.Firm)
	}
	for i := range c.history {
		if e := &c.history[i]; !e.corrected && e.Confirmed && len(firms) < maxAnomalyFirms && e.role(node(ref)) != "" && makes(e.eventDoc, e.role(node(ref))) &&
			!slices.Contains(firms, e.Firm) {
			firms = append(firms, e.Firm)
		}
	}
	_, err := s.anomalies.Upsert(ctx, path, func(d *anomalyDoc) error {
		first := d.First
		if first.IsZero() {
			first = f.now
		}
		d.Anomaly = Anomaly{
			GTIN: ref.GTIN, Lot: lot, Serial: ref.Serial, Grade: signals[0].Grade, Signals: signals, Scans: f.seen.others + 1, Visitors: f.seen.visitors + 1,
			After: f.seen.afterSale, Places: append([]string{}, f.seen.places...), Apart: f.seen.apart, First: first, Last: later(d.Last, f.now),
		}
		d.Firms = firms
		return nil
	})
	if err == nil {
		s.noted.Set(path, mark)
	}
	return err
}

// noteUnknown keeps that somebody scanned a serial that nobody issued or made, of a lot whose serials are issued here. Whoever types one in does so too; so
// it takes several to be in doubt about the lot.
func (s *Service) noteUnknown(ctx context.Context, ref gs1.Ref, f *facts) error {
	if f.chain.lot == nil || ref.Lot == "" {
		return nil
	}
	lot := gs1.Ref{GTIN: ref.GTIN, Lot: ref.Lot}
	path := lot.Path()
	mark := path + "#" + ref.Serial
	if _, ok := s.noted.GetIfPresent(mark); ok {
		return nil
	}
	issued, err := s.units.Find(ctx, store.Query{Index: byLot, Eq: store.K(string(ref.GTIN), ref.Lot), Limit: 1})
	if err != nil {
		return err
	}
	if len(issued.Items) > 0 {
		err = s.addUnknown(ctx, path, lot, ref.Serial, issued.Items[0].V.Firm, f.now)
	}
	if err == nil {
		s.noted.Set(mark, "")
	}
	return err
}

// errNoted stops an update that would change nothing.
var errNoted = errors.New("trace: noted already")

func (s *Service) addUnknown(ctx context.Context, path string, lot gs1.Ref, serial, issuer string, now time.Time) error {
	_, err := s.anomalies.Upsert(ctx, path, func(d *anomalyDoc) error {
		known := slices.Contains(d.Serials, serial)
		if (known || len(d.Serials) == maxUnknownSerials) && now.Sub(d.Last) < anomalyRefreshed {
			return errNoted
		}
		if !known && len(d.Serials) < maxUnknownSerials {
			d.Serials = append(d.Serials, serial)
		}
		if d.First.IsZero() {
			d.First = now
		}
		grade := GradeWatch
		if len(d.Serials) >= doubtUnknownSerials {
			grade = GradeDoubt
		}
		d.GTIN, d.Lot, d.Grade, d.Last, d.Firms, d.Places = lot.GTIN, lot.Lot, grade, later(d.Last, now), []string{issuer}, []string{}
		d.Signals = []Signal{{Code: SignalUnknownSerials, Grade: grade}}
		return nil
	})
	if errors.Is(err, errNoted) {
		return nil
	}
	return err
}

// Anomalies lists what is odd about the scans of goods, the newest first: of a firm's goods, or of all for viewer "", an officer. g narrows it to a product.
// While it is read, what is scanned meanwhile moves to the front. limit is 1 to 100, by default 20. Malformed (bad_cursor).
func (s *Service) Anomalies(ctx context.Context, g gs1.GTIN, tag, viewer, cursor string, limit int) (list []Anomaly, next string, err error) {
	page, err := s.anomalies.Find(ctx, store.Query{
		Index: byFirm, Eq: store.K(viewer, string(g)), Desc: true, Cursor: cursor, Limit: min(cmp.Or(limit, 20), anomalyPage),
	})
	if errors.Is(err, store.ErrBadCursor) {
		return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
	}
	if err != nil {
		return nil, "", err
	}
	for i := range page.Items {
		a := page.Items[i].V.Anomaly
		for j := range a.Signals {
			a.Signals[j].Text = signalTexts[a.Signals[j].Code].in(tag)
		}
		list = append(list, a)
	}
	return list, page.Next, nil
}

var signalTexts = map[string]say{
	SignalManyScanners:   {"许多不同的人在几个地方扫过同一件商品的码，可能被复制。", "Many different people scanned the code of one unit in several places. It may have been copied."},
	SignalAfterSale:      {"售出之后仍有许多不同的人扫过，可能被复制或再次出售。", "Many different people scanned it after it was sold. It may have been copied, or is offered again."},
	SignalFarApart:       {"一小时内在两地被不同的人扫过，可能被复制。", "Different people scanned it in two places within an hour. It may have been copied."},
	SignalUnlabelled:     {"尚未登记贴标却已多次被扫，标签可能外流，也可能是登记迟了。", "It was scanned several times though its label is not reported as put on goods. The label may have got into other hands, or the report is late."},
	SignalVoid:           {"已作废的码仍被扫到。", "A withdrawn code was scanned."},
	SignalLotMismatch:    {"码上的批号与签发时登记的不符。", "The lot in the scanned code is not the one that it was issued for."},
	SignalSoldTwice:      {"同一件商品登记了两次售出，并被扫到。", "A unit with two recorded sales was scanned."},
	SignalUnknownSerials: {"扫到了这一批从未签发的序列号：可能是伪造的标签，也可能只是有人随手输入。", "Serials were scanned that were never issued for this lot. The labels may be forged, or somebody typed them in."},
}
