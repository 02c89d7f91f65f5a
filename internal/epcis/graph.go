package epcis

import "time"

// Role is the part that a thing plays in an event.
type Role string

// The roles.
const (
	Subject Role = "subject" // of an ObjectEvent or TransactionEvent
	Parent  Role = "parent"
	Child   Role = "child"
	Input   Role = "input"
	Output  Role = "output"
)

// Thing is a thing or class that an event names in its what dimension.
type Thing struct {
	ID     Identifier
	Role   Role
	Counts bool    // from a quantity list: a class and not one single thing
	Amount Decimal // of a class; "" when not stated
	UOM    string
}

// Things lists what the event names, in the order parent, then lists in the order of the standard; EPCs before quantities.
func (e *Event) Things() []Thing {
	things := make([]Thing, 0, 1+len(e.EPCList)+len(e.QuantityList)+len(e.ChildEPCs)+len(e.ChildQuantities)+
		len(e.InputEPCs)+len(e.InputQuantities)+len(e.OutputEPCs)+len(e.OutputQuantities))
	if !e.ParentID.IsZero() {
		things = append(things, Thing{ID: e.ParentID, Role: Parent})
	}
	add := func(role Role, ids []Identifier, quantities []Quantity) {
		for _, id := range ids {
			things = append(things, Thing{ID: id, Role: role})
		}
		for _, q := range quantities {
			things = append(things, Thing{ID: q.Class, Role: role, Counts: true, Amount: q.Amount, UOM: q.UOM})
		}
	}
	add(Subject, e.EPCList, e.QuantityList)
	add(Child, e.ChildEPCs, e.ChildQuantities)
	add(Input, e.InputEPCs, e.InputQuantities)
	add(Output, e.OutputEPCs, e.OutputQuantities)
	return things
}

// Relation says what an edge of the trace graph means.
type Relation string

// The relations.
const (
	Aggregates Relation = "aggregates" // From contains To, until it is unpacked
	Associates Relation = "associates" // To is fitted to From: a device to a container, a part to an assembly
	Consumes   Relation = "consumes"   // the transformation To used up From
	Produces   Relation = "produces"   // the transformation From made To
)

// Edge is one fact for the trace graph.
//
// Ends are canonical identifiers. A transformation is a node of its own: its transformationID, which events may share, or else
// the event's ID. So an event has as many edges as it names things, and never inputs times outputs.
type Edge struct {
	Relation Relation
	Action   Action // of aggregations and associations; "" else
	From     string // parent, input or transformation
	To       string // child, transformation or output; "" with DELETE: all children of From
	At       time.Time
	Counts   bool    // the thing at the end that is not the parent or transformation is a class with an amount
	Amount   Decimal // of that class; "" when not stated
	UOM      string
}

// Edges gives the facts that the event adds to the trace graph; none for an ObjectEvent and a TransactionEvent, and none for an
// aggregation that was observed without its parent. An error declaration gives the edges of the event that it declares wrong:
// the caller takes these back.
func (e *Event) Edges() []Edge {
	switch e.Type {
	case AggregationEvent:
		return e.containment(Aggregates)
	case AssociationEvent:
		return e.containment(Associates)
	case TransformationEvent:
		return e.transformation()
	}
	return nil
}

func (e *Event) containment(r Relation) []Edge {
	if e.ParentID.IsZero() {
		return nil
	}
	edge := Edge{Relation: r, Action: e.Action, From: e.ParentID.String(), At: e.Time.Time}
	if len(e.ChildEPCs)+len(e.ChildQuantities) == 0 {
		return []Edge{edge}
	}
	edges := make([]Edge, 0, len(e.ChildEPCs)+len(e.ChildQuantities))
	for _, t := range e.Things() {
		if t.Role == Child {
			edge.To, edge.Counts, edge.Amount, edge.UOM = t.ID.String(), t.Counts, t.Amount, t.UOM
			edges = append(edges, edge)
		}
	}
	return edges
}

func (e *Event) transformation() []Edge {
	hub := e.TransformationID.String()
	if e.TransformationID.IsZero() {
		hub = e.ID()
	}
	things := e.Things()
	edges := make([]Edge, 0, len(things))
	for _, t := range things {
		edge := Edge{Relation: Produces, From: hub, To: t.ID.String(), At: e.Time.Time, Counts: t.Counts, Amount: t.Amount, UOM: t.UOM}
		if t.Role == Input {
			edge.Relation, edge.From, edge.To = Consumes, edge.To, hub
		}
		edges = append(edges, edge)
	}
	return edges
}
