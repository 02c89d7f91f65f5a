package epcis

import (
	"github.com/haisu-trace/haisu/internal/fault"
)

// Document is a decoded EPCISDocument or EPCISQueryDocument.
type Document struct {
	Query         bool   // it is an EPCISQueryDocument
	ID            string // "" when not given
	SchemaVersion string
	Created       Timestamp // zero when not given
	Sender        string
	Receiver      string
	Events        []*Event // in the order of the document

	scope scope // of its events
}

// decoder reads one body. Broken rules are collected; what is wrong leaves a zero value and reading goes on.
type decoder struct {
	report
	lim Limits
	ns  prefixes // in force where the decoder is
}

// DecodeDocument reads an EPCISDocument or an EPCISQueryDocument with events and validates every event.
//
// The errors are *fault.Error: Malformed for what is not strict JSON, TooLarge for too many bytes, values or events, Invalid with
// a field for each broken rule, at most lim.Errors of them. A document with a broken rule gives no event at all.
func DecodeDocument(data []byte, lim Limits) (*Document, error) {
	lim = lim.withDefaults()
	root, err := parse(data, lim)
	if err != nil {
		return nil, err
	}
	return decodeDocument(&root, lim)
}

// DecodeEvent reads one event: an event with its @context, or an EPCISDocument with exactly one event. Errors are as of
// DecodeDocument.
func DecodeEvent(data []byte, lim Limits) (*Event, error) {
	lim = lim.withDefaults()
	root, err := parse(data, lim)
	if err != nil {
		return nil, err
	}
	if t := root.get("type"); t != nil && t.text == "EPCISDocument" {
		return onlyEvent(decodeDocument(&root, lim))
	}
	d := &decoder{lim: lim, report: report{max: lim.Errors}}
	if root.kind == isObject && root.get("@context") == nil {
		at := (*path)(nil).member("@context")
		d.add(&at, "missing", "an event on its own needs an @context")
	}
	e := d.event(&root, nil, scope{})
	if err := d.err(); err != nil {
		return nil, err
	}
	return e, nil
}

func onlyEvent(doc *Document, err error) (*Event, error) {
	if err != nil {
		return nil, err
	}
	if len(doc.Events) != 1 {
		return nil, fault.InvalidFields(fault.Field{Pointer: "/epcisBody/eventList", Code: "not_one_event",
			Detail: "one event is wanted here; use the capture interface for " + itoa(len(doc.Events))})
	}
	return doc.Events[0], nil
}
