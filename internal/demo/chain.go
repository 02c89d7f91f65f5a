package demo

import (
	"fmt"
	"slices"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// diary collects the events of each firm.
type diary struct {
	*world
	events map[string][]event
}

func (d *diary) add(firmID string, e event) { d.events[firmID] = append(d.events[firmID], e) }

// history tells the way of every lot and unit. The units' serials MUST be there.
func (w *world) history() map[string][]event {
	d := &diary{world: w, events: map[string][]event{}}
	for _, l := range w.lots {
		d.produce(l)
		if l.seller == "" {
			continue
		}
		d.code(l)
		d.box(l)
	}
	for _, c := range w.consignments {
		d.freight(c)
		for _, counter := range c.counters() {
			d.deliver(c, counter)
		}
	}
	return d.events
}

func hour(h, m int) int { return h*60 + m }

// class is the lot as a class of things, in a quantity.
func (l *lot) class(amount int, unit string) quantity {
	return quantity{gs1.Ref{GTIN: l.GTIN, Lot: l.Lot.Lot}.URI(), amount, unit}
}

func (l *lot) master() map[string]string {
	m := map[string]string{"cbvmda:lotNumber": l.Lot.Lot}
	if l.Expires != "" {
		m["cbvmda:itemExpirationDate"] = l.Expires
	}
	return m
}

// produce makes the lot, of an ingredient or of nothing that is told.
func (d *diary) produce(l *lot) {
	s := l.product.site
	t := d.at(l.made, hour(14, l.item%50), s.zone)
	e := happened(objectEvent, "ADD", "creating_class_instance", t, &s.spot).left("active")
	switch {
	case l.from != nil:
		e.Type, e.Action = transformationEvent, ""
		e.Inputs = []quantity{l.from.class(int(l.Quantity)/3, bulkUnit(l.from))}
		e.Outputs = []quantity{l.class(int(l.Quantity), "")}
	case l.coded == codedNever:
		e.Quantities = []quantity{l.class(int(l.Quantity), bulkUnit(l))}
	default:
		e.Quantities = []quantity{l.class(int(l.Quantity), "")}
	}
	e.Master = l.master()
	d.add(s.firm, e)
}

// bulkUnit is the unit in which an ingredient is measured: litres or kilograms (UN/ECE recommendation 20).
func bulkUnit(l *lot) string {
	if l.Category == "spirits" {
		return "LTR"
	}
	return "KGM"
}

// code commissions the units, in the plant or in the bonded warehouse.
func (d *diary) code(l *lot) {
	s := l.product.site
	e := happened(objectEvent, "ADD", "commissioning", d.at(l.made+1, hour(9, l.item%50), s.zone), &s.spot)
	if l.coded == codedInWarehouse {
		c := l.consignment
		e = happened(objectEvent, "ADD", "commissioning", d.at(c.arrived+4, hour(10, l.item%50), china), c.warehouse)
	}
	e.EPCs, e.Master = uris(l.refs), l.master()
	d.add(l.coder(), e.left("active"))
}

// box puts units of other lots into the gift boxes of this one.
func (d *diary) box(l *lot) {
	s := l.product.site
	for i := range l.refs {
		if len(l.inside) == 0 {
			return
		}
		e := happened(aggregationEvent, "ADD", "assembling", d.at(l.made+1, hour(15, i), s.zone), &s.spot)
		e.Parent = uris(l.refs[i : i+1])[0]
		for _, part := range l.inside {
			e.Children = append(e.Children, uris(part.refs[i:i+1])...)
		}
		d.add(s.firm, e.left("active"))
	}
}

// freight brings a consignment from the plant into the bonded warehouse.
func (d *diary) freight(c *consignment) {
	var goods []quantity
	for _, l := range c.lots {
		goods = append(goods, l.class(int(l.sellerLot().Quantity), ""))
	}
	tell := func(firmID string, e event) {
		e.Quantities = goods
		d.add(firmID, e)
	}
	consignee, bill := d.firms[c.consignee].Prefixes[0], document("bol", prefixCarrier, fmt.Sprintf("NDT%07d", 4_410_200+c.seq))
	order := document("po", consignee, fmt.Sprintf("PO-%05d", 70_310+c.seq))
	tell(c.firm, happened(objectEvent, "OBSERVE", "shipping", d.at(c.shipped, hour(16, 10), c.zone), &c.spot).
		from(c.prefix).to(consignee).under(order).left("in_transit"))
	arriving := happened(objectEvent, "OBSERVE", "arriving", d.at(c.arrived, hour(7, 30), china), c.port).
		from(prefixCarrier).to(consignee).under(bill).left("in_progress")
	if c.id == "fribourg" { // chocolate travels in a cooled container
		arriving.Sensors = []sensorElement{{Reports: []sensorReport{{"Temperature", 13.8, 16.4, "CEL"}}}}
	}
	tell(noordtij, arriving)
	tell(customsID, happened(objectEvent, "OBSERVE", "inspecting", d.at(c.arrived+1, hour(10, c.seq%50), china), c.port).
		under(document("", prefixCustoms, c.declaration), document("cert", prefixCustoms, c.inspection)).left("conformant"))
	tell(c.consignee, happened(objectEvent, "OBSERVE", "receiving", d.at(c.arrived+2, hour(9, 20), china), c.port).
		from(prefixCarrier).to(consignee).under(bill).left("in_progress"))
	tell(chengwan, happened(objectEvent, "OBSERVE", "storing", d.at(c.arrived+2, hour(15, 40), china), c.warehouse).
		from(consignee).to(prefixChengwan).left("sellable_not_accessible"))
}

// counters lists where the lots of a consignment go.
func (c *consignment) counters() []*spot {
	var out []*spot
	for _, l := range c.lots {
		if !slices.Contains(out, l.counter) {
			out = append(out, l.counter)
		}
	}
	return out
}

// deliver packs the lots that go to one counter, one case each, and brings them there. The shop unpacks, stocks and sells.
func (d *diary) deliver(c *consignment, counter *spot) {
	var cases []string
	seller := ""
	for _, l := range c.lots {
		if l.counter != counter {
			continue
		}
		seller = l.seller
		box := caseURI(sscc(d.firms[seller].Prefixes[0], 4_000+l.seq))
		cases = append(cases, box)
		pack := happened(aggregationEvent, "ADD", "packing", d.at(c.arrived+5, hour(11, l.item%50), china), c.warehouse)
		pack.Parent, pack.Children = box, uris(d.loose(l))
		d.add(seller, pack.left("in_progress"))
		d.shelve(l, box)
	}
	owner := d.firms[seller].Prefixes[0]
	note := document("desadv", owner, fmt.Sprintf("DN-%05d-%s", 20_400+c.seq, gln(counter.prefix, counter.n)[11:]))
	ship := happened(objectEvent, "OBSERVE", "shipping", d.at(c.arrived+6, hour(8, 15), china), c.warehouse)
	ship.EPCs = cases
	d.add(seller, ship.from(prefixChengwan).to(counter.prefix).under(note).left("in_transit"))
	receive := happened(objectEvent, "OBSERVE", "receiving", d.at(c.arrived+6, hour(16, 5), china), counter)
	receive.EPCs = cases
	d.add(counter.firm, receive.from(owner).to(counter.prefix).under(note).left("in_progress"))
}

// shelve empties a case, stocks its units and sells some.
func (d *diary) shelve(l *lot, box string) {
	c, units := l.consignment, d.loose(l)
	owner := d.firms[l.seller].Prefixes[0]
	open := happened(aggregationEvent, "DELETE", "unpacking", d.at(c.arrived+7, hour(7, l.item%50), china), l.counter)
	open.Parent = box
	d.add(l.counter.firm, open.from(owner).to(l.counter.prefix).left("in_progress"))
	stock := happened(objectEvent, "OBSERVE", "stocking", d.at(c.arrived+7, hour(8, 30+l.item%25), china), l.counter)
	stock.EPCs = uris(units)
	d.add(l.counter.firm, stock.from(owner).to(l.counter.prefix).left("sellable_accessible"))
	for i := range d.sold(l) {
		day, minute := c.arrived+9+(7*i+l.seq)%20, hour(10+(l.seq+3*i)%11, (17*l.seq+29*i)%60)
		sale := happened(objectEvent, "OBSERVE", "retail_selling", d.at(day, minute, china), l.counter)
		sale.EPCs = uris(units[i : i+1])
		receipt := document("inv", owner, fmt.Sprintf("R%s%04d%d", d.date(day).Format("060102"), l.seq, i))
		d.add(l.seller, sale.under(receipt).left("retail_sold"))
	}
}
