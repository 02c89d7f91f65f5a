package demo

import (
	"fmt"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/trace"
)

// world is everything that the demonstration tells, but for the serials, which the service issues. It is a pure function of the base
// day: two worlds of one day are alike.
type world struct {
	base         time.Time // the day of loading, as midnight UTC of that date
	firms        map[string]firm.Firm
	sites        []*site
	places       map[string]*spot // sites included
	products     map[string]*product
	inOrder      []*product
	lots         []*lot
	consignments []*consignment
}

// lot is a lot of a product and its way to the counter.
type lot struct {
	trace.Lot // the maker's record
	*product
	number      int    // among the product's lots, 1 is the oldest
	seq         int    // among all lots
	seller      string // "" for bulk
	counter     *spot  // nil for bulk
	made        int    // day of production, relative to the base day; all days are negative
	consignment *consignment
	from        *lot   // the bulk lot that it is made of
	inside      []*lot // the lots whose first units are in its gift boxes

	refs []gs1.Ref // the coded units, filled when the serials are there
}

// consignment is what travels together: the lots that leave one site in one go, under one customs declaration.
type consignment struct {
	*site
	seq                     int
	lots                    []*lot
	shipped, arrived        int // days relative to the base day
	port, warehouse         *spot
	consignee               string // the importer or domestic agent
	declaration, inspection string
}

const (
	newestArrival = -30 // the day on which the newest consignment of the first site arrives
	rhythm        = 80  // days between the consignments of a site
)

// madeOf says which ingredient the lots of a product are made of.
var madeOf = map[string]string{"harbour-100": "malt-bulk", "stage1-900": "whey-bulk", "stage2-900": "whey-bulk"}

// giftContents says what is in a gift box, one unit of each.
var giftContents = map[string][]string{"nuit-gift": {"nuit-15", "lotion-75"}}

func newWorld(base time.Time) (*world, error) {
	w := &world{base: base, firms: map[string]firm.Firm{}, sites: sites(), places: map[string]*spot{}, products: map[string]*product{}}
	for _, f := range participants() {
		w.firms[f.ID] = f
	}
	bySite := map[string]*site{}
	for _, s := range w.sites {
		bySite[s.id], w.places[s.id] = s, &s.spot
	}
	for _, s := range spots() {
		w.places[s.id] = s
	}
	var err error
	if w.inOrder, err = readProducts(bySite); err != nil {
		return nil, err
	}
	for _, p := range w.inOrder {
		w.products[p.key] = p
	}
	w.ship()
	for i, s := range w.sites {
		w.consign(i, s)
	}
	for _, l := range w.lots {
		w.join(l)
	}
	return w, nil
}

// ship makes the lots. Of two lots of a product the one with the greater number is the newer.
func (w *world) ship() {
	for _, p := range w.inOrder {
		for n := 1; n <= p.lots; n++ {
			i := slices.Index(w.sites, p.site)
			arrived := newestArrival - i - rhythm*(p.lots-n)
			l := &lot{product: p, number: n, seq: len(w.lots), made: arrived - p.site.transit - p.lead}
			made := w.date(l.made)
			l.Lot = trace.Lot{
				GTIN: p.GTIN, Lot: lotNumber(p, made), Firm: p.site.firm, Produced: made.Format(time.DateOnly),
				Quantity: int64(1200 + 12*((37*p.item+211*n)%300)),
			}
			if p.shelf > 0 {
				l.Expires = made.AddDate(0, 0, p.shelf).Format(time.DateOnly)
			}
			if p.coded != codedNever {
				l.seller = p.sellers[(p.item+n)%len(p.sellers)]
				at := counters(l.seller, classOf(p.Category))
				l.counter = w.places[at[(p.item+n)/2%len(at)]]
			}
			w.lots = append(w.lots, l)
		}
	}
}

// consign puts the lots of a site that arrive on one day into one consignment. Ingredients stay where they are.
func (w *world) consign(rank int, s *site) {
	byDay := map[int]*consignment{}
	for _, l := range w.lots {
		if l.product.site != s || l.seller == "" {
			continue
		}
		shipped := l.made + l.lead
		c := byDay[shipped]
		if c == nil {
			c = &consignment{site: s, seq: len(w.consignments) + 1, shipped: shipped, arrived: shipped + s.transit}
			w.route(c, rank)
			byDay[shipped] = c
			w.consignments = append(w.consignments, c)
		}
		l.consignment = c
		c.lots = append(c.lots, l)
	}
}

// route chooses port and warehouse, and numbers the documents: a declaration has 18 digits, of which the first four name the
// customs house, the next four the year, and the ninth says 'import'.
func (w *world) route(c *consignment, rank int) {
	port, warehouse := portHaikou, storeHaikou
	switch {
	case c.air:
		port = portMeilan
	case c.firm == narisol:
		warehouse = storeCrossBorder
	case (rank+c.seq)%2 == 0:
		port, warehouse = portYangpu, storeYangpu
	}
	c.port, c.warehouse = w.places[port], w.places[warehouse]
	c.consignee = yemao
	if c.firm == narisol {
		c.consignee = qiaoyu
	}
	day := w.date(c.arrived)
	c.declaration = fmt.Sprintf("%s%s1%09d", customsCodes[port], day.Format("2006"), 21_0000+137*c.seq)
	c.inspection = fmt.Sprintf("4600%s%08d", day.Format("06"), 30_0000+91*c.seq)
}

// join links a lot to the ingredient that it is made of and to the contents of its gift boxes: those of the same age.
func (w *world) join(l *lot) {
	if key, ok := madeOf[l.key]; ok {
		p := w.products[key]
		l.from = w.lot(key, l.number-l.lots+p.lots)
	}
	for _, key := range giftContents[l.key] {
		l.inside = append(l.inside, w.lot(key, l.number-l.lots+w.products[key].lots))
	}
}

// lot gives lot number n of a product, nil if there is none.
func (w *world) lot(key string, n int) *lot {
	for _, l := range w.lots {
		if l.key == key && l.number == n {
			return l
		}
	}
	return nil
}

// date is a day relative to the base day.
func (w *world) date(day int) time.Time { return w.base.AddDate(0, 0, day) }

// at is an instant on a day relative to the base day, by the clock of a zone.
func (w *world) at(day, minute int, zone *time.Location) time.Time {
	d := w.date(day)
	return time.Date(d.Year(), d.Month(), d.Day(), 0, minute, 0, 0, zone)
}

// coder is the firm that puts the codes on a lot's units.
func (l *lot) coder() string {
	if l.coded == codedInWarehouse {
		return l.seller
	}
	return l.product.site.firm
}

// sellerLot is the seller's record of a lot, with the numbers that customs gave.
func (l *lot) sellerLot() trace.Lot {
	s := l.Lot
	s.Quantity, s.Declaration, s.Inspection = int64(24*l.units), l.consignment.declaration, l.consignment.inspection
	return s
}

// ownSerials are the numbers that a maker engraves: a letter, the number of the lot, five digits, in order.
func (l *lot) ownSerials() []gs1.Ref {
	refs := make([]gs1.Ref, l.units)
	for i := range refs {
		refs[i] = gs1.Ref{GTIN: l.GTIN, Lot: l.Lot.Lot, Serial: fmt.Sprintf("%c%d%05d", l.key[0]-'a'+'A', l.number, 117+3*i)}
	}
	return refs
}

// boxed is how many of the lot's units are in gift boxes.
func (w *world) boxed(l *lot) int {
	for _, g := range w.lots {
		if slices.Contains(g.inside, l) {
			return g.units
		}
	}
	return 0
}

// loose are the units that are sold on their own.
func (w *world) loose(l *lot) []gs1.Ref { return l.refs[w.boxed(l):] }

// sold is how many of a lot's loose units have been sold: a quarter of those of older lots.
func (w *world) sold(l *lot) int {
	if l.number == l.lots {
		return 0
	}
	return len(w.loose(l)) / 4
}
