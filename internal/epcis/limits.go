package epcis

import "cmp"

// Limits bound what a decoder accepts. A field that is zero has its default.
type Limits struct {
	Bytes      int // of a request body; 8 MiB
	EventBytes int // of one event with its context, as stored; 512 KiB, so that it fits a document of the store
	Events     int // in a document; 1,000
	Values     int // JSON values in a body, of any kind; 400,000
	Depth      int // of nested arrays and objects; 32
	List       int // elements of one list, members of one object; 10,000
	Text       int // bytes of one string; 8,192
	Context    int // bytes of one @context, since it is stored with each event; 16 KiB
	Errors     int // broken rules listed in one error; 100
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Bytes:      cmp.Or(l.Bytes, 8<<20),
		EventBytes: cmp.Or(l.EventBytes, 512<<10),
		Events:     cmp.Or(l.Events, 1000),
		Values:     cmp.Or(l.Values, 400_000),
		Depth:      cmp.Or(l.Depth, 32),
		List:       cmp.Or(l.List, 10_000),
		Text:       cmp.Or(l.Text, 8<<10),
		Context:    cmp.Or(l.Context, 16<<10),
		Errors:     cmp.Or(l.Errors, 100),
	}
}

// maxEventID is the longest event ID in bytes: it is a document's ID in the store.
const maxEventID = 400
