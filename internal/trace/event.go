package trace

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// The roles in which an event names a thing.
const (
	roleSubject = "s"
	roleParent  = "p"
	roleChild   = "c"
	roleInput   = "i"
	roleOutput  = "o"
)

// thing is an EPC or a class that an event names. EPC is canonical, a node of the graph.
type thing struct {
	EPC      string `json:"e"`
	Role     string `json:"r"`
	Quantity string `json:"q,omitempty"`
}

// eventDoc is an event, or a part of one with a long list, as the graph needs it. What was received is in rawDoc.
type eventDoc struct {
	ID          string    `json:"id"` // the event ID
	Firm        string    `json:"firm"`
	Type        string    `json:"type"`
	Time        time.Time `json:"time"`
	TimeText    string    `json:"time_text"`
	Action      string    `json:"action,omitempty"`
	Step        string    `json:"step,omitempty"`
	Disposition string    `json:"disposition,omitempty"`
	ReadPoint   string    `json:"read_point,omitempty"`
	BizLocation string    `json:"biz_location,omitempty"`
	Parent      string    `json:"parent,omitempty"`
	Document    string    `json:"document,omitempty"`
	Lot         string    `json:"lot,omitempty"`       // of what the event commissions
	DutyFree    bool      `json:"duty_free,omitempty"` // captured by a duty-free operator
	Things      []thing   `json:"things"`
	Confirmed   bool      `json:"confirmed"`          // the firm may say so; else it stays off the public chain
	Declares    bool      `json:"declares,omitempty"` // an error declaration about ID
	Capture     string    `json:"capture,omitempty"`  // invisible until this capture is complete
	Recorded    time.Time `json:"recorded"`
	Sensed      bool      `json:"sensed,omitempty"` // it has sensor data; in the first part only

	// Part is which part of a long event this is. What follows is in the first part only, but for Near.
	Part         int      `json:"part,omitempty"`
	Near         []string `json:"near,omitempty"` // see nearness
	Transactions []string `json:"transactions,omitempty"`
}

// role is the role of a node in the event, "" if it has none in this part.
func (e *eventDoc) role(n string) string {
	if e.Parent == n {
		return roleParent
	}
	for _, t := range e.Things {
		if t.EPC == n {
			return t.Role
		}
	}
	return ""
}

var eventDef = store.Def[eventDoc]{Name: "events", Feed: true, Indexes: []store.Index[eventDoc]{
	// What nobody confirms has keys of its own, which queries read and walks do not: or whoever has a key could push a unit's real
	// events out of a walk's budget.
	{Name: byEPC, Version: "3", Keys: func(_ string, e *eventDoc) ([]store.Key, store.Key) {
		key := nodeKey
		if !e.Confirmed {
			key = doubtfulKey
		}
		eq := make([]store.Key, 0, len(e.Things)+1)
		for _, n := range e.nodes() {
			eq = append(eq, key(n))
		}
		return eq, store.K(e.Time)
	}},
	{Name: byAspect, Version: "1", Keys: aspectKeys},
	{Name: byRecord, Version: "1", Keys: recordKeys},
	// Transformations by the products that went in: how a warning about an ingredient finds what was made of it.
	{Name: byInput, Version: "2", Keys: func(_ string, e *eventDoc) ([]store.Key, store.Key) {
		if !e.Confirmed {
			return nil, nil
		}
		var eq []store.Key
		var seen []gs1.GTIN
		for _, t := range e.Things {
			if t.Role != roleInput && (t.Role != roleChild || !isTradeItem(e.Parent)) {
				continue
			}
			if ref, ok := refOf(t.EPC); ok && !slices.Contains(seen, ref.GTIN) {
				seen = append(seen, ref.GTIN)
				eq = append(eq, store.K(string(ref.GTIN)))
			}
		}
		return eq, store.K(e.Time)
	}},
}}

// nodes lists what the event names, each once.
func (e *eventDoc) nodes() []string {
	out := make([]string, 0, len(e.Things)+1)
	seen := make(map[string]bool, len(e.Things)+1)
	add := func(n string) {
		if n != "" && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	add(e.Parent)
	for _, t := range e.Things {
		add(t.EPC)
	}
	return out
}

// rawCollection has events as they were received.
const rawCollection = "epcis_raw"

// rawDoc is an event as it was received.
type rawDoc struct {
	Firm     string          `json:"firm"`
	Hash     string          `json:"hash"`               // the CBV 2.0 hash ID that we computed
	Supplied string          `json:"supplied,omitempty"` // the hash ID that came with it, if it differs
	Event    json.RawMessage `json:"event"`
}

// partSize is how many things one event document holds. A unit's chain reads whole documents, so an event that names ten thousand
// units is stored in parts.
const partSize = 200

// cbvMasterData is the namespace of CBV 2.0 instance/lot master data (cbvmda).
const cbvMasterData = "urn:epcglobal:cbv:mda:"

// document makes the stored parts of an event.
func document(f firm.Firm, e *epcis.Event, now time.Time) []store.Item[eventDoc] {
	base := eventDoc{
		ID: e.ID(), Firm: f.ID, Type: string(e.Type), Time: e.Time.Time.UTC().Truncate(time.Millisecond), TimeText: e.Time.Text,
		Action: string(e.Action), Step: e.BizStep.Word(), Disposition: e.Disposition.Word(),
		Declares: e.ErrorDeclaration != nil, DutyFree: f.Kind == firm.DutyFree, Recorded: now, Sensed: len(e.Sensors) > 0,
		Lot: masterDataText(e, "lotNumber"), Document: documentNumber(f, e),
	}
	for _, t := range e.BizTransactions {
		base.Transactions = append(base.Transactions, t.ID.String())
	}
	if !e.ReadPoint.ID.IsZero() {
		base.ReadPoint = e.ReadPoint.ID.String()
	}
	if !e.BizLocation.ID.IsZero() {
		base.BizLocation = e.BizLocation.ID.String()
	}
	if !e.ParentID.IsZero() {
		base.Parent = e.ParentID.String()
	}
	base.Confirmed = confirms(f, e)
	key := storageID(f, e)
	inputs, things := thingsOf(e)
	var parts []store.Item[eventDoc]
	for i := 0; i == 0 || i < len(things); i += partSize {
		part := base
		part.Part = i / partSize
		part.Things = slices.Concat(inputs, things[i:min(i+partSize, len(things))])
		part.Near = near(e, &part)
		if i > 0 {
			part.Transactions, part.Sensed = nil, false
		}
		id := partID(key, part.Part)
		parts = append(parts, store.Item[eventDoc]{ID: id, V: part})
	}
	return parts
}

func partID(key string, part int) string {
	if part == 0 {
		return key
	}
	return fmt.Sprintf("%s|%d", key, part)
}

// storageID is the firm and the event ID, and for an error declaration, which reuses it, the time of the declaration too. Two firms
// may report one event, and none can occupy an ID for another. Behind its first colon no event ID holds a '|', so what is
// added behind one never makes the ID of another event.
func storageID(f firm.Firm, e *epcis.Event) string {
	id := f.ID + "|" + e.ID()
	if e.ErrorDeclaration == nil {
		return id
	}
	return id + "|error-" + e.ErrorDeclaration.Time.Time.UTC().Format("20060102T150405.000Z")
}

// thingsOf lists what an event names. The inputs come apart: each part of a transformation needs all of them.
func thingsOf(e *epcis.Event) (inputs, things []thing) {
	inputs = appendThings(nil, roleInput, e.InputEPCs, e.InputQuantities)
	things = appendThings(things, roleOutput, e.OutputEPCs, e.OutputQuantities)
	things = appendThings(things, roleChild, e.ChildEPCs, e.ChildQuantities)
	things = appendThings(things, roleSubject, e.EPCList, e.QuantityList)
	return inputs, things
}

func appendThings(out []thing, role string, ids []epcis.Identifier, qs []epcis.Quantity) []thing {
	for _, id := range ids {
		out = append(out, thing{EPC: nodeOf(id), Role: role})
	}
	for _, q := range qs {
		out = append(out, thing{EPC: nodeOf(q.Class), Role: role, Quantity: string(q.Amount) + q.UOM})
	}
	return out
}

// nodeOf is the node that an identifier stands for: a unit is known by GTIN and serial alone.
func nodeOf(id epcis.Identifier) string {
	if ref, ok := id.EPC.Ref(); ok {
		return node(ref)
	}
	return id.String()
}

func masterDataText(e *epcis.Event, name string) string {
	raw, ok := e.MasterData(cbvMasterData, name)
	if !ok {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil || gs1.ValidLot(s) != nil {
		return ""
	}
	return s
}

// documentNumber is the number of the declaration or certificate that an authority's event names as business transaction
// (urn:epcglobal:cbv:bt:{gln}:{number}, CBV 2.0, 8.5.2).
func documentNumber(f firm.Firm, e *epcis.Event) string {
	if f.Kind != firm.Authority || len(e.BizTransactions) == 0 {
		return ""
	}
	id := e.BizTransactions[0].ID.Text
	return id[strings.LastIndexAny(id, ":/")+1:]
}

// confirms says whether a firm may say what an event says. To make units or lots (commissioning, transformation outputs, what is put
// into a trade item), to end them (decommissioning, destroying) or to sell them at retail it needs to be the registrant of the company
// prefix or to have a grant: naming oneself proves nothing, and each of these changes what shoppers are told. For anything else it
// may also be a named source or destination. An authority may say everything.
func confirms(f firm.Firm, e *epcis.Event) bool {
	if f.Kind == firm.Authority {
		return true
	}
	if own := append(made(e), ended(e)...); len(own) > 0 {
		return ownsAll(f, own)
	}
	if ownsAll(f, named(e)) {
		return true
	}
	party := func(p epcis.Party) bool { return f.Named(p.ID.Text) }
	return slices.ContainsFunc(e.Sources, party) || slices.ContainsFunc(e.Destinations, party)
}

// made lists what comes into being by an event.
func made(e *epcis.Event) []epcis.Identifier {
	_, tradeItem := e.ParentID.EPC.Ref()
	switch {
	case tradeItem && e.Action != epcis.Observe:
		return []epcis.Identifier{e.ParentID}
	case e.Type == epcis.TransformationEvent:
		return withClasses(e.OutputEPCs, e.OutputQuantities)
	case e.Type == epcis.ObjectEvent && e.Action == epcis.Add:
		return withClasses(e.EPCList, e.QuantityList)
	}
	return nil
}

// ended lists what an event ends, for its owner or for shoppers.
func ended(e *epcis.Event) []epcis.Identifier {
	if e.BizStep.Word() == "retail_selling" {
		return named(e)
	}
	if e.Type == epcis.ObjectEvent && ends(string(e.Action), e.BizStep.Word()) {
		return withClasses(e.EPCList, e.QuantityList)
	}
	return nil
}

// ends says whether an object event of this action and business step ends what it names.
func ends(action, step string) bool {
	return action == string(epcis.Delete) && step == "decommissioning" || step == "destroying"
}

// named lists everything that an event is about.
func named(e *epcis.Event) []epcis.Identifier {
	out := withClasses(e.EPCList, e.QuantityList)
	out = append(out, withClasses(e.ChildEPCs, e.ChildQuantities)...)
	out = append(out, withClasses(e.InputEPCs, e.InputQuantities)...)
	out = append(out, withClasses(e.OutputEPCs, e.OutputQuantities)...)
	if !e.ParentID.IsZero() {
		out = append(out, e.ParentID)
	}
	return out
}

func withClasses(ids []epcis.Identifier, qs []epcis.Quantity) []epcis.Identifier {
	out := slices.Clone(ids)
	for _, q := range qs {
		out = append(out, q.Class)
	}
	return out
}

// ownsAll says whether the firm may speak for every GS1 key. Identifiers of other schemes belong to nobody.
func ownsAll(f firm.Firm, ids []epcis.Identifier) bool {
	for _, id := range ids {
		digits, ok := id.EPC.CompanyDigits()
		if !ok || !f.Owns(digits) {
			return false
		}
	}
	return true
}
