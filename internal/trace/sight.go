package trace

import (
	"slices"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/store"
)

// Reader is who asks for events. Without a firm it sees all of them: an authority's officer. A firm sees the events that it captured, those
// in which it is named a source or destination, and those about goods for which it may speak: one step up and one step down its chain,
// and what becomes of what it made.
type Reader struct{ Firm *firm.Firm }

// sees says whether the reader may see an event that a firm captured.
func (r Reader) sees(captor string, e *epcis.Event) bool {
	f := r.Firm
	if f == nil || f.ID == captor {
		return true
	}
	party := func(p epcis.Party) bool { return f.Named(p.ID.Text) }
	if slices.ContainsFunc(e.Sources, party) || slices.ContainsFunc(e.Destinations, party) {
		return true
	}
	return slices.ContainsFunc(named(e), func(id epcis.Identifier) bool {
		digits, ok := id.EPC.CompanyDigits()
		return ok && f.Owns(digits)
	})
}

// nearness is how many digits of a company prefix lead to an event. Most prefixes are longer, so a few firms share a key, and sees
// decides; a shorter one leads nowhere, and its firm looks through all events.
const nearness = 7

// near lists the beginnings of the company prefixes of whom a part of an event concerns.
func near(e *epcis.Event, part *eventDoc) []string {
	var out []string
	add := func(id epcis.Identifier) {
		digits, ok := id.EPC.CompanyDigits()
		if ok && len(digits) >= nearness && !slices.Contains(out, digits[:nearness]) {
			out = append(out, digits[:nearness])
		}
	}
	lists := [][]epcis.Identifier{
		withClasses(e.InputEPCs, e.InputQuantities), withClasses(e.OutputEPCs, e.OutputQuantities),
		withClasses(e.ChildEPCs, e.ChildQuantities), withClasses(e.EPCList, e.QuantityList),
	}
	// The things of the part: all inputs, then its share of the others, in the order of thingsOf.
	for _, id := range lists[0] {
		add(id)
	}
	rest := slices.Concat(lists[1:]...)
	for _, id := range rest[min(part.Part*partSize, len(rest)):min((part.Part+1)*partSize, len(rest))] {
		add(id)
	}
	if !e.ParentID.IsZero() {
		add(e.ParentID)
	}
	if part.Part == 0 {
		for _, p := range slices.Concat(e.Sources, e.Destinations) {
			add(p.ID)
		}
	}
	return out
}

// The first fields of the keys of byAspect and byRecord that stand for who may see an event. Those of the other keys are epcis.Aspects.
const (
	everybody = "*"
	captor    = "firm"
	closeTo   = "near"
)

// keys lists the keys under which every event is that the reader may see, and maybe others.
func (r Reader) keys() []store.Key {
	all := []store.Key{store.K(everybody)}
	if r.Firm == nil {
		return all
	}
	keys := []store.Key{store.K(captor, r.Firm.ID)}
	var seen []string
	for _, digits := range slices.Concat(r.Firm.Prefixes, r.Firm.Grants, r.Firm.GLNs) {
		if len(digits) < nearness {
			return all
		}
		if n := digits[:nearness]; !slices.Contains(seen, n) {
			seen = append(seen, n)
			keys = append(keys, store.K(closeTo, n))
		}
	}
	return keys
}

func (e *eventDoc) sightKeys() []store.Key {
	eq := make([]store.Key, 0, 16)
	if e.Part == 0 {
		eq = append(eq, store.K(everybody), store.K(captor, e.Firm))
	}
	for _, n := range e.Near {
		eq = append(eq, store.K(closeTo, n))
	}
	return eq
}

func recordKeys(_ string, e *eventDoc) ([]store.Key, store.Key) {
	return e.sightKeys(), store.K(e.Recorded)
}

func aspectKeys(_ string, e *eventDoc) ([]store.Key, store.Key) {
	eq := e.sightKeys()
	if e.Part > 0 {
		return eq, store.K(e.Time)
	}
	for _, v := range e.says() {
		eq = append(eq, aspectKey(v.aspect, v.value))
	}
	eq = append(eq, aspectKey(epcis.AnID, e.ID))
	for _, t := range e.Transactions {
		eq = append(eq, aspectKey(epcis.ATransaction, t))
	}
	return eq, store.K(e.Time)
}

func aspectKey(a epcis.Aspect, value string) store.Key { return store.K(string(a), value) }

// nodeKey is the key in byEPC of a confirmed event that names a node, doubtfulKey that of another.
func nodeKey(n string) store.Key     { return store.K(n) }
func doubtfulKey(n string) store.Key { return store.K(n, "?") }

// said is a value of an aspect that is listed as a resource.
type said struct {
	aspect epcis.Aspect
	value  string
}

// says lists them.
func (e *eventDoc) says() []said {
	out := make([]said, 0, 5)
	for _, v := range [...]said{
		{epcis.AType, e.Type}, {epcis.ABizStep, e.Step}, {epcis.ADisposition, e.Disposition},
		{epcis.AReadPoint, e.ReadPoint}, {epcis.ABizLocation, e.BizLocation},
	} {
		if v.value != "" {
			out = append(out, v)
		}
	}
	return out
}
