package epcis

import (
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// Event types as bits, for the fields that each may have.
const (
	inObject uint8 = 1 << iota
	inAggregation
	inTransaction
	inTransformation
	inAssociation

	inAll      = inObject | inAggregation | inTransaction | inTransformation | inAssociation
	inParents  = inAggregation | inAssociation
	withAction = inAll &^ inTransformation
)

var typeBits = map[Type]uint8{
	ObjectEvent: inObject, AggregationEvent: inAggregation, TransactionEvent: inTransaction,
	TransformationEvent: inTransformation, AssociationEvent: inAssociation,
}

// fieldTypes has every field of an event, with the types that may have it (EPCIS 2.0, section 7.4).
var fieldTypes = map[string]uint8{
	"@context": inAll, "type": inAll, "eventID": inAll, "eventTime": inAll, "eventTimeZoneOffset": inAll, "recordTime": inAll,
	"errorDeclaration": inAll, "certificationInfo": inAll,
	"epcList": inObject | inTransaction, "quantityList": inObject | inTransaction,
	"parentID": inParents | inTransaction, "childEPCs": inParents, "childQuantityList": inParents,
	"inputEPCList": inTransformation, "inputQuantityList": inTransformation,
	"outputEPCList": inTransformation, "outputQuantityList": inTransformation, "transformationID": inTransformation,
	"action": withAction, "bizStep": inAll, "disposition": inAll, "persistentDisposition": inAll,
	"readPoint": inAll, "bizLocation": inAll, "bizTransactionList": inAll, "sourceList": inAll, "destinationList": inAll,
	"sensorElementList": inAll, "ilmd": inObject | inTransformation,
}

// event reads one event; nil when it has no type.
func (d *decoder) event(n *node, p *path, sc scope) *Event {
	if !d.isObject(n, p) {
		return nil
	}
	d.ns = sc.ns
	own := n.get("@context")
	if own != nil {
		at := p.member("@context")
		d.ns = d.context(own, &at, sc.ns)
		if sc.context != "" && len(own.src)+len(sc.context)+len("[,]") > d.lim.Context {
			d.add(&at, "too_long", "the contexts of the document and the event have together at most %d bytes", d.lim.Context)
		}
	}
	e := &Event{Type: d.eventType(n, p)}
	if e.Type == "" {
		return nil
	}
	before := d.total
	bit := typeBits[e.Type]
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		types, known := fieldTypes[m.key]
		switch {
		case !known:
			if x, ok := d.extension(m, &at); ok {
				e.Extensions = append(e.Extensions, x)
			}
		case types&bit == 0:
			d.add(&at, "not_allowed", "a %s has no field %s", e.Type, m.key)
		default:
			d.field(e, m, &at)
		}
	}
	d.rules(e, n, p)
	if d.total > before {
		return e
	}
	var inherited bool
	if e.ignored, inherited = d.ignoredOf(e, sc); !inherited {
		sc.ignored = nil
	}
	e.Raw = raw(n, own, sc)
	if len(e.Raw) > d.lim.EventBytes {
		d.add(p, "event_too_large", "the event has %d bytes with its context; at most %d are accepted: split its lists",
			len(e.Raw), d.lim.EventBytes)
	}
	e.hash = hashID(e.PreHash())
	return e
}

func (d *decoder) eventType(n *node, p *path) Type {
	t := n.get("type")
	if t == nil {
		d.missing(p, "type", "the event's type")
		return ""
	}
	if _, ok := typeBits[Type(t.text)]; ok {
		return Type(t.text)
	}
	at := p.member("type")
	d.add(&at, "unknown_type", "the type is ObjectEvent, AggregationEvent, TransactionEvent, TransformationEvent or AssociationEvent")
	return ""
}

// ignoredOf gives the extensions that the event, or else the document (inherited), leaves out of the hash.
func (d *decoder) ignoredOf(e *Event, sc scope) (list []string, inherited bool) {
	for _, x := range e.Extensions {
		if x.Name == "ignoreFields" {
			if names, ok := d.ignoreList(x.node); ok {
				list = append(append(list, names...), x.Namespace+x.Name)
			}
		}
	}
	if list != nil {
		return list, false
	}
	if slices.ContainsFunc(e.Extensions, func(x Extension) bool { return slices.Contains(sc.ignored, x.Namespace+x.Name) }) {
		return sc.ignored, true
	}
	return nil, false
}

// field reads a field that the event's type may have.
func (d *decoder) field(e *Event, m *node, p *path) {
	switch m.key {
	case "eventID":
		d.eventID(e, m, p)
	case "eventTime":
		e.Time = d.time(m, p)
	case "recordTime":
		e.RecordTime = d.time(m, p)
	case "eventTimeZoneOffset":
		if s, ok := d.str(m, p); ok && !validOffset(s) {
			d.add(p, "bad_offset", "an offset looks like +08:00 or -03:30 and is at most 14:00")
		}
		e.ZoneOffset = m.text
	case "errorDeclaration":
		e.ErrorDeclaration = d.errorDeclaration(m, p)
	case "certificationInfo":
		e.Certification = d.certification(m, p)
	case "action":
		e.Action = d.action(m, p)
	case "bizStep":
		e.BizStep = d.term(m, p, bizSteps)
	case "disposition":
		e.Disposition = d.term(m, p, dispositions)
	case "persistentDisposition":
		d.persistentDisposition(e, m, p)
	case "readPoint":
		e.ReadPoint = d.place(m, p)
	case "bizLocation":
		e.BizLocation = d.place(m, p)
	case "bizTransactionList":
		e.BizTransactions = d.bizTransactions(m, p)
	case "sourceList":
		e.Sources = d.parties(m, p, "source")
	case "destinationList":
		e.Destinations = d.parties(m, p, "destination")
	case "sensorElementList":
		e.Sensors = d.sensors(m, p)
	case "ilmd":
		e.ILMD = d.namespaced(m, p)
	default:
		d.what(e, m, p)
	}
}

// what reads the fields that name things.
func (d *decoder) what(e *Event, m *node, p *path) {
	switch m.key {
	case "epcList":
		e.EPCList = d.identifiers(m, p)
	case "quantityList":
		e.QuantityList = d.quantities(m, p)
	case "parentID":
		e.ParentID = d.identifier(m, p)
		if e.ParentID.EPC.Kind() == gs1.Class { // EPCIS 2.0, 7.4.3 to 7.4.6; a class would drag every one of its units into the event
			d.add(p, "not_an_instance", "%.120s names a product, a lot or another class; a parent is one single thing", e.ParentID)
		}
	case "childEPCs":
		e.ChildEPCs = d.identifiers(m, p)
	case "childQuantityList":
		e.ChildQuantities = d.quantities(m, p)
	case "inputEPCList":
		e.InputEPCs = d.identifiers(m, p)
	case "inputQuantityList":
		e.InputQuantities = d.quantities(m, p)
	case "outputEPCList":
		e.OutputEPCs = d.identifiers(m, p)
	case "outputQuantityList":
		e.OutputQuantities = d.quantities(m, p)
	case "transformationID":
		e.TransformationID = d.identifier(m, p)
	}
}

func (d *decoder) eventID(e *Event, m *node, p *path) {
	if len(m.text) > maxEventID {
		d.add(p, "too_long", "an event ID has at most %d bytes", maxEventID)
		return
	}
	id := d.identifier(m, p)
	if isHashID(id.Text) {
		e.SuppliedHash = id.Text
	}
	if e.SuppliedID == "" || !isHashID(id.Text) { // of two IDs the one that is no hash identifies the event
		e.SuppliedID = id.Text
	}
}

func (d *decoder) action(m *node, p *path) Action {
	switch a := Action(m.text); a {
	case Add, Observe, Delete:
		return a
	}
	d.add(p, "bad_action", "the action is ADD, OBSERVE or DELETE")
	return ""
}

func (d *decoder) persistentDisposition(e *Event, n *node, p *path) {
	if !d.isObject(n, p) {
		return
	}
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		switch m.key {
		case "set":
			e.SetDispositions = d.terms(m, &at, dispositions)
		case "unset":
			e.UnsetDispositions = d.terms(m, &at, dispositions)
		default:
			d.unknown(m, &at)
		}
	}
	for _, t := range e.SetDispositions {
		if t != "" && slices.Contains(e.UnsetDispositions, t) {
			d.add(p, "contradiction", "the disposition %s is both set and unset", t.Word())
		}
	}
	if len(e.SetDispositions)+len(e.UnsetDispositions) == 0 {
		d.add(p, "empty", "neither set nor unset names a disposition")
	}
}

// raw writes the event so that it stands alone.
func raw(n, own *node, sc scope) []byte {
	b := make([]byte, 0, len(n.src)+len(sc.context)+64)
	b = append(b, `{"@context":`...)
	b = appendContexts(b, sc.context, own)
	for i := range n.kids {
		if m := &n.kids[i]; m.key != "@context" {
			b = append(b, ',')
			b = appendString(b, m.key)
			b = append(b, ':')
			b = appendCompact(b, m.src)
		}
	}
	if len(sc.ignored) > 0 {
		b = append(b, ',')
		b = appendString(b, sc.marker)
		b = append(b, ":["...)
		for i, name := range sc.ignored {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, name)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendContexts writes the document's context followed by the event's own: in JSON-LD the later definition wins.
func appendContexts(b []byte, outer string, own *node) []byte {
	switch {
	case own == nil:
		return append(b, outer...)
	case outer == "":
		return appendCompact(b, own.src)
	}
	inner := func(s string) string {
		if rest, ok := strings.CutPrefix(s, "["); ok {
			return strings.TrimSuffix(rest, "]")
		}
		return s
	}
	first, second := inner(outer), inner(compact(own.src))
	b = append(append(b, '['), first...)
	if first != "" && second != "" {
		b = append(b, ',')
	}
	return append(append(b, second...), ']')
}
