package demo

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/trace"
)

// event is an EPCIS 2.0 event as a seller's system writes it.
type event struct {
	Type         string            `json:"type"`
	Time         string            `json:"eventTime"`
	Zone         string            `json:"eventTimeZoneOffset"`
	EPCs         []string          `json:"epcList,omitempty"`
	Quantities   []quantity        `json:"quantityList,omitempty"`
	Parent       string            `json:"parentID,omitempty"`
	Children     []string          `json:"childEPCs,omitempty"`
	Inputs       []quantity        `json:"inputQuantityList,omitempty"`
	Outputs      []quantity        `json:"outputQuantityList,omitempty"`
	Action       string            `json:"action,omitempty"`
	Step         string            `json:"bizStep"`
	Disposition  string            `json:"disposition,omitempty"`
	ReadPoint    *location         `json:"readPoint,omitempty"`
	Location     *location         `json:"bizLocation,omitempty"`
	Transactions []transaction     `json:"bizTransactionList,omitempty"`
	Sources      []party           `json:"sourceList,omitempty"`
	Destinations []party           `json:"destinationList,omitempty"`
	Sensors      []sensorElement   `json:"sensorElementList,omitempty"`
	Master       map[string]string `json:"ilmd,omitempty"`
}

type quantity struct {
	Class  string `json:"epcClass"`
	Amount int    `json:"quantity"`
	Unit   string `json:"uom,omitempty"`
}

type location struct {
	ID string `json:"id"`
}

type transaction struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"bizTransaction"`
}

type party struct {
	Type        string `json:"type"`
	Source      string `json:"source,omitempty"`
	Destination string `json:"destination,omitempty"`
}

type sensorElement struct {
	Reports []sensorReport `json:"sensorReport"`
}

type sensorReport struct {
	Type string  `json:"type"`
	Min  float64 `json:"minValue"`
	Max  float64 `json:"maxValue"`
	Unit string  `json:"uom"`
}

const (
	objectEvent         = "ObjectEvent"
	aggregationEvent    = "AggregationEvent"
	transformationEvent = "TransformationEvent"
)

// happened makes an event of a type at a time and place.
func happened(kind, action, step string, t time.Time, where *spot) event {
	return event{
		Type: kind, Action: action, Step: step, Time: t.Format("2006-01-02T15:04:05-07:00"), Zone: t.Format("-07:00"),
		ReadPoint: &location{where.uri()}, Location: &location{where.uri()},
	}
}

// from and to name who has the goods before and after.
func (e event) from(prefix string) event {
	e.Sources = []party{{Type: "possessing_party", Source: pgln(prefix)}}
	return e
}

func (e event) to(prefix string) event {
	e.Destinations = []party{{Type: "possessing_party", Destination: pgln(prefix)}}
	return e
}

// under names the business transactions, the most important one first.
func (e event) under(ts ...transaction) event {
	e.Transactions = ts
	return e
}

func (e event) left(disposition string) event {
	e.Disposition = disposition
	return e
}

// pgln is the party of a firm with a company prefix.
func pgln(prefix string) string { return "https://id.gs1.org/417/" + gln(prefix, 0) }

// document is a business transaction of the firm with a company prefix (CBV 2.0, section 8.5).
func document(kind, prefix, number string) transaction {
	return transaction{Type: kind, ID: "urn:epcglobal:cbv:bt:" + gln(prefix, 0) + ":" + number}
}

func uris(refs []gs1.Ref) []string {
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = gs1.Ref{GTIN: r.GTIN, Serial: r.Serial}.URI()
	}
	return out
}

func caseURI(number string) string { return "https://id.gs1.org/00/" + number }

// perDocument is how many events one document has. A capture may have 1,000; smaller ones share the two cores better.
const perDocument = 200

type eventDocument struct {
	Context []string `json:"@context"`
	Type    string   `json:"type"`
	Version string   `json:"schemaVersion"`
	Created string   `json:"creationDate"`
	Body    struct {
		Events []event `json:"eventList"`
	} `json:"epcisBody"`
}

// encode writes events as an EPCISDocument, and reads it as the capture interface reads a seller's.
func encode(events []event, created time.Time) (*epcis.Document, error) {
	d := eventDocument{
		Context: []string{"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"}, Type: "EPCISDocument", Version: "2.0",
		Created: created.Format(time.RFC3339),
	}
	d.Body.Events = events
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode events: %w", err)
	}
	doc, err := epcis.DecodeDocument(body, trace.CaptureLimits)
	if err != nil {
		return nil, fmt.Errorf("decode events: %w", err)
	}
	return doc, nil
}
