package search

import "slices"

// Overlay keeps what was deleted while a rebuild reads the store, so that a document which the rebuild read before it was
// deleted does not come back. An engine holds its write lock around every call.
type Overlay struct {
	gone map[string]bool // nil: no rebuild is under way
}

// Begin starts a rebuild.
func (o *Overlay) Begin() { o.gone = map[string]bool{} }

// End ends a rebuild.
func (o *Overlay) End() { o.gone = nil }

// Active says that a rebuild is under way, so that writes must go to the fresh index too.
func (o *Overlay) Active() bool { return o.gone != nil }

// Wrote notes documents written meanwhile: they are back.
func (o *Overlay) Wrote(docs []Prepared) {
	for _, d := range docs {
		delete(o.gone, d.ID)
	}
}

// Deleted notes IDs deleted meanwhile.
func (o *Overlay) Deleted(ids []string) {
	if o.gone == nil {
		return
	}
	for _, id := range ids {
		o.gone[id] = true
	}
}

// Keep gives those documents read by the rebuild that were not deleted meanwhile.
func (o *Overlay) Keep(docs []Prepared) []Prepared {
	return slices.DeleteFunc(docs, func(d Prepared) bool { return o.gone[d.ID] })
}
