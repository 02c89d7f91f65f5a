package epcis

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// hashID embeds the digest of a pre-hash string in a Named Information URI (RFC 6920; CBV 2.0, section 8.9).
func hashID(preHash string) string {
	sum := sha256.Sum256([]byte(preHash))
	b := make([]byte, 0, 96)
	b = append(b, "ni:///sha-256;"...)
	b = hex.AppendEncode(b, sum[:])
	return string(append(b, "?ver=CBV2.0"...))
}

// PreHash is the string whose SHA-256 digest is in HashID (CBV 2.0, section 8.9): all that the event says, in one order and in
// canonical forms.
//
// Where the standard leaves room, or the reference implementation (EPCIS Event Hash Generator 1.9) and its prose differ, the
// reference decides, because IDs in the field come from it: certificationInfo takes part; the lists of business transactions,
// destinations and sources and the ilmd follow the sensor elements, in the order of their names; extensions of a standard field
// stand at its end; a text of digits counts as a number.
//
// The string has no separators, so it is not injective: an extension of the last sensor report and the same one of its sensor
// element read alike. What must not be exchanged unseen is to be bound by Canonical.
func (e *Event) PreHash() string {
	b := make(preHash, 0, 2048)
	b.add("eventType=", string(e.Type), "eventTime=")
	b = e.Time.appendUTC(b)
	b.add("eventTimeZoneOffset=", e.ZoneOffset)
	b.certification(e.Certification)
	b.identifier("parentID", e.ParentID)
	b.epcs("epcList", e.EPCList)
	b.epcs("inputEPCList", e.InputEPCs)
	b.epcs("childEPCs", e.ChildEPCs)
	b.quantities("quantityList", e.QuantityList)
	b.quantities("childQuantityList", e.ChildQuantities)
	b.quantities("inputQuantityList", e.InputQuantities)
	b.epcs("outputEPCList", e.OutputEPCs)
	b.quantities("outputQuantityList", e.OutputQuantities)
	b.field("action", string(e.Action))
	b.identifier("transformationID", e.TransformationID)
	b.field("bizStep", string(e.BizStep))
	b.field("disposition", string(e.Disposition))
	if len(e.SetDispositions)+len(e.UnsetDispositions) > 0 {
		b.add("persistentDisposition")
		b.sorted("set=", terms(e.SetDispositions))
		b.sorted("unset=", terms(e.UnsetDispositions))
	}
	b.place("readPoint", e.ReadPoint)
	b.place("bizLocation", e.BizLocation)
	b.sensors(e.Sensors)
	b.bizTransactions(e.BizTransactions)
	b.parties("destination", e.Destinations)
	if len(e.ILMD) > 0 {
		b.add("ilmd")
		b.extensions(e.ILMD, nil)
	}
	b.parties("source", e.Sources)
	b.extensions(e.Extensions, e.ignored)
	return string(b)
}

// preHash is a pre-hash string that is being written.
type preHash []byte

func (b *preHash) add(parts ...string) {
	for _, s := range parts {
		*b = append(*b, s...)
	}
}

// field writes name=value, and nothing when there is no value.
func (b *preHash) field(name, value string) {
	if value != "" {
		b.add(name, "=", value)
	}
}

func (b *preHash) identifier(name string, id Identifier) { b.field(name, id.String()) }

func (b *preHash) time(name string, t Timestamp) {
	if !t.IsZero() {
		b.add(name, "=")
		*b = t.appendUTC(*b)
	}
}

// sorted writes the parts by their bytes, each after the prefix. It sorts parts in place.
func (b *preHash) sorted(prefix string, parts []string) {
	slices.Sort(parts)
	for _, s := range parts {
		b.add(prefix, s)
	}
}

func terms(ts []Term) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = string(t)
	}
	return out
}

func (b *preHash) certification(list []Certification) {
	parts := make([]string, 0, len(list))
	for _, c := range list {
		var part preHash
		part.field("", c.URI)
		part.extensions(c.Details, nil)
		parts = append(parts, string(part))
	}
	b.sorted("certificationInfo", parts)
}

func (b *preHash) epcs(name string, ids []Identifier) {
	if len(ids) == 0 {
		return
	}
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = id.String()
	}
	b.add(name)
	b.sorted("epc=", parts)
}

func (b *preHash) quantities(name string, list []Quantity) {
	if len(list) == 0 {
		return
	}
	parts := make([]string, len(list))
	for i, q := range list {
		var part preHash
		part.identifier("epcClass", q.Class)
		part.field("quantity", string(q.Amount))
		part.field("uom", text(q.UOM, nil))
		parts[i] = string(part)
	}
	b.add(name)
	b.sorted("quantityElement", parts)
}

func (b *preHash) place(name string, p Place) {
	if p.ID.IsZero() {
		return
	}
	b.add(name)
	b.identifier("id", p.ID)
	b.extensions(p.Extensions, nil)
}

func (b *preHash) bizTransactions(list []BizTransaction) {
	if len(list) == 0 {
		return
	}
	parts := make([]string, len(list))
	for i, t := range list {
		parts[i] = typed(t.Type, "bizTransaction", t.ID)
	}
	b.add("bizTransactionList")
	b.sorted("", parts)
}

func (b *preHash) parties(name string, list []Party) {
	if len(list) == 0 {
		return
	}
	parts := make([]string, len(list))
	for i, t := range list {
		parts[i] = typed(t.Type, name, t.ID)
	}
	b.add(name, "List")
	b.sorted("", parts)
}

func typed(t Term, name string, id Identifier) string {
	var part preHash
	part.field("type", string(t))
	part.identifier(name, id)
	return string(part)
}

// text is a value of no declared type in canonical form: compact URIs and CBV URNs expanded, GS1 keys as Digital Links, numbers
// without superfluous zeros, no white space around.
func text(s string, ns prefixes) string {
	s = strings.TrimSpace(s)
	if looksNumeric(s) {
		return string(plain(s))
	}
	if !strings.Contains(s, ":") {
		return s
	}
	s = webTerm(ns.expand(s))
	if strings.HasPrefix(s, "urn:epc:") || strings.HasPrefix(s, "http") {
		if epc, err := gs1.ParseEPC(s); err == nil {
			return epc.String()
		}
	}
	return s
}
