package epcis

import (
	"encoding/json"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// Type is the type of an event.
type Type string

// The five event types of EPCIS 2.0.
const (
	ObjectEvent         Type = "ObjectEvent"
	AggregationEvent    Type = "AggregationEvent"
	TransactionEvent    Type = "TransactionEvent"
	TransformationEvent Type = "TransformationEvent"
	AssociationEvent    Type = "AssociationEvent"
)

// Action says how an event relates to the life of what it names. A TransformationEvent has none.
type Action string

// The actions.
const (
	Add     Action = "ADD"
	Observe Action = "OBSERVE"
	Delete  Action = "DELETE"
)

// Event is one validated EPCIS event. It is not to be changed: HashID was computed when it was read.
type Event struct {
	Type Type
	// SuppliedID is the eventID as received, "" when there was none. SuppliedHash is the hash ID among the given IDs: the
	// eventID itself when it is one, or the second of two eventIDs. It need not equal HashID: older generators differ.
	SuppliedID   string
	SuppliedHash string

	Time             Timestamp
	ZoneOffset       string // eventTimeZoneOffset
	RecordTime       Timestamp
	Certification    []Certification
	EPCList          []Identifier
	QuantityList     []Quantity
	ParentID         Identifier
	ChildEPCs        []Identifier
	ChildQuantities  []Quantity
	InputEPCs        []Identifier
	InputQuantities  []Quantity
	OutputEPCs       []Identifier
	OutputQuantities []Quantity
	TransformationID Identifier
	Action           Action
	BizStep          Term
	Disposition      Term
	// SetDispositions and UnsetDispositions are persistentDisposition.
	SetDispositions   []Term
	UnsetDispositions []Term
	ReadPoint         Place
	BizLocation       Place
	BizTransactions   []BizTransaction
	Sources           []Party
	Destinations      []Party
	Sensors           []SensorElement
	ILMD              []Extension
	ErrorDeclaration  *ErrorDeclaration
	Extensions        []Extension

	// Raw is the event as received, without the white space between values and with the contexts that were in force around it
	// as its @context, so that DecodeEvent reads it back equal.
	Raw json.RawMessage

	ignored []string // extensions that its repository leaves out of the hash, "{namespace}name"
	hash    string
}

// Identifier names a thing, class, place, party or document.
type Identifier struct {
	Text string // as received
	EPC  gs1.EPC
}

// String is the canonical form: a constrained Digital Link on https://id.gs1.org for every GS1 key, else the full URI.
func (id Identifier) String() string { return id.EPC.String() }

// IsZero says that there is no identifier.
func (id Identifier) IsZero() bool { return id.Text == "" }

// Quantity is an amount of a class of objects. Amount "" means that it is not stated; without UOM it is a whole number of pieces.
type Quantity struct {
	Class  Identifier
	Amount Decimal
	UOM    string // UN/ECE recommendation 20, "KGM"
}

// Place is a read point or business location.
type Place struct {
	ID         Identifier
	Extensions []Extension
}

// BizTransaction is a business transaction; Type may be "".
type BizTransaction struct {
	Type Term
	ID   Identifier
}

// Party is a source or destination.
type Party struct {
	Type Term
	ID   Identifier
}

// Certification is one certificate: the URI of it, or its details as members of a namespace.
type Certification struct {
	URI     string
	Details []Extension
}

// ErrorDeclaration says that the event, recorded before under the same ID, was wrong.
type ErrorDeclaration struct {
	Time       Timestamp
	Reason     Term // "" when not given
	Corrective []string
	Extensions []Extension
}

// Extension is a member of some namespace. Value is JSON without white space between values.
type Extension struct {
	Namespace string // the full URI
	Name      string
	Value     json.RawMessage

	node *node
	ns   prefixes
}

// full is the name as the pre-hash string has it.
func (x Extension) full() string { return "{" + x.Namespace + "}" + x.Name }

// Extension finds an extension of the event by namespace and name. When there are several it gives the first.
func (e *Event) Extension(namespace, name string) (json.RawMessage, bool) {
	return find(e.Extensions, namespace, name)
}

// MasterData finds an entry of the instance/lot master data (ilmd). When there are several it gives the first.
func (e *Event) MasterData(namespace, name string) (json.RawMessage, bool) {
	return find(e.ILMD, namespace, name)
}

func find(xs []Extension, namespace, name string) (json.RawMessage, bool) {
	for _, x := range xs {
		if x.Namespace == namespace && x.Name == name {
			return x.Value, true
		}
	}
	return nil, false
}

// HashID is the CBV 2.0 event hash ID, ni:///sha-256;…?ver=CBV2.0. It depends on what the event says and not on how: neither the order
// of members and list elements, nor prefixes, URN or Digital Link, nor eventID, recordTime and errorDeclaration.
func (e *Event) HashID() string { return e.hash }

// ID identifies the event: the given eventID, else HashID. An error declaration has the ID of the event that it declares wrong.
func (e *Event) ID() string {
	if e.SuppliedID != "" {
		return e.SuppliedID
	}
	return e.hash
}

// isHashID says whether an event ID is a CBV event hash ID, of whatever version and algorithm.
func isHashID(id string) bool { return strings.HasPrefix(id, "ni:") }
