package epcis

import "github.com/haisu-trace/haisu/internal/gs1"

// rules checks which fields an event of its type must have, and what they say together (EPCIS 2.0, section 7.4). It asks the
// JSON for presence, so that a field with a wrong value is not reported as missing too.
func (d *decoder) rules(e *Event, n *node, p *path) {
	d.require(n, p, "eventTime", "eventTimeZoneOffset")
	if typeBits[e.Type]&withAction != 0 {
		d.require(n, p, "action")
	}
	switch e.Type {
	case ObjectEvent:
		d.objectRules(e, n, p)
	case AggregationEvent:
		if e.Action != Observe {
			d.require(n, p, "parentID")
		}
		d.childRules(e, n, p)
	case AssociationEvent:
		d.require(n, p, "parentID")
		d.childRules(e, n, p)
	case TransactionEvent:
		d.transactionRules(e, n, p)
	case TransformationEvent:
		d.transformationRules(n, p)
	}
}

// filled says whether one of the lists is there and not empty, or is no list at all, which is reported elsewhere.
func filled(n *node, lists ...string) bool {
	for _, key := range lists {
		if m := n.get(key); m != nil && (m.kind != isArray || len(m.kids) > 0) {
			return true
		}
	}
	return false
}

func (d *decoder) objectRules(e *Event, n *node, p *path) {
	if !filled(n, "epcList", "quantityList", "sensorElementList") &&
		(n.get("readPoint") == nil || e.BizStep != Term(bizSteps.web+"sensor_reporting")) {
		d.add(p, "nothing_named", "the event names no thing: epcList or quantityList is wanted (or sensorElementList)")
	}
	if n.get("ilmd") != nil && e.Action != Add && n.get("action") != nil {
		at := p.member("ilmd")
		d.add(&at, "not_allowed", "master data (ilmd) come with the action ADD only, when things begin to exist")
	}
}

// childRules are those of aggregations and associations. DELETE without children means all of them.
func (d *decoder) childRules(e *Event, n *node, p *path) {
	if e.Action != Delete && n.get("action") != nil && !filled(n, "childEPCs", "childQuantityList") {
		d.add(p, "nothing_named", "the event names no children; only the action DELETE may leave them out, for all of them")
	}
	if e.ParentID.IsZero() {
		return
	}
	for i, child := range e.ChildEPCs {
		if child.EPC == e.ParentID.EPC {
			list := p.member("childEPCs")
			at := list.item(i)
			d.add(&at, "contradiction", "nothing contains itself")
		}
	}
}

func (d *decoder) transactionRules(e *Event, n *node, p *path) {
	if !filled(n, "bizTransactionList") {
		d.missing(p, "bizTransactionList", "the business transaction")
	}
	if e.Action != Delete && n.get("action") != nil && !filled(n, "epcList", "quantityList") {
		d.add(p, "nothing_named", "the event names no thing: epcList or quantityList is wanted")
	}
}

// transformationRules: what goes in and what comes out may be told by several events that share a transformationID.
func (d *decoder) transformationRules(n *node, p *path) {
	in := filled(n, "inputEPCList", "inputQuantityList")
	out := filled(n, "outputEPCList", "outputQuantityList")
	shared := n.get("transformationID") != nil
	switch {
	case !in && !out:
		d.add(p, "nothing_named", "the event names neither inputs nor outputs")
	case !shared && !in:
		d.add(p, "nothing_named", "the event names no inputs; only events that share a transformationID may leave them to one another")
	case !shared && !out:
		d.add(p, "nothing_named", "the event names no outputs; only events that share a transformationID may leave them to one another")
	}
}

// instance says whether an identifier is a GS1 key of one single thing.
func instance(id Identifier) bool { return id.EPC.Kind() == gs1.Instance }
