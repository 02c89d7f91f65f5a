package gs1

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Kind says what an EPC names.
type Kind uint8

// The kinds.
const (
	Opaque   Kind = iota // some URI that is no GS1 key; allowed in EPCIS events
	Class                // a class of objects: a GTIN, a lot, an asset type …
	Instance             // one object, place, party, document …
)

// String is "opaque", "class" or "instance".
func (k Kind) String() string {
	switch k {
	case Class:
		return "class"
	case Instance:
		return "instance"
	}
	return "opaque"
}

// EPC is one identity of the visible world, whether it was written as an EPC URN or as a Digital Link on whatever domain. It is
// comparable: two EPCs are equal exactly when they name the same. It holds the finest level only, as CBV 2.0, section 8.9, wants
// for the event hash: of a lot and a serial the serial, of a variant nothing. The zero value names nothing.
type EPC struct {
	uri       string  // the canonical text; the rest follows from it
	key       Element // zero when opaque
	qualifier Element // zero when there is none
}

// String is the canonical text: the constrained canonical Digital Link on https://id.gs1.org, or an opaque URI as it was given.
// ParseEPC reads it back equal.
func (e EPC) String() string { return e.uri }

// Key is the primary key, zero when e is opaque.
func (e EPC) Key() Element { return e.key }

// Qualifier is the one qualifier (lot, serial, extension …) that the identity needs, zero when there is none.
func (e EPC) Qualifier() Element { return e.qualifier }

// Kind says whether e names one thing or a class of them.
func (e EPC) Kind() Kind {
	whole := 0 // the length of a key without its optional serial component
	switch e.key.AI {
	case "":
		return Opaque
	case "8013":
		return Class
	case "01", "8006":
		if e.qualifier.AI == "21" || e.qualifier.AI == "235" {
			return Instance
		}
		return Class
	case "8010":
		if e.qualifier.AI == "8011" {
			return Instance
		}
		return Class
	case "8003":
		whole = 14
	case "253", "255":
		whole = 13
	}
	if len(e.key.Value) == whole {
		return Class
	}
	return Instance
}

// Ref is the unit of an SGTIN, the lot of an LGTIN or the product of a GTIN class; false for all else. The unit's lot is not
// part of the identity and stays empty.
func (e EPC) Ref() (Ref, bool) {
	if e.key.AI != "01" {
		return Ref{}, false
	}
	r := Ref{GTIN: GTIN(e.key.Value)}
	switch e.qualifier.AI {
	case "":
	case "10":
		r.Lot = e.qualifier.Value
	case "21":
		r.Serial = e.qualifier.Value
	default:
		return Ref{}, false
	}
	return r, true
}

// CompanyDigits gives the digits that begin with the GS1 company prefix: of a GTIN without the indicator, of an SSCC without
// the extension digit, of a returnable asset without the leading zero; check digits and serials left out. How many of them the
// prefix takes cannot be seen from the key. It is false for opaque URIs.
func (e EPC) CompanyDigits() (string, bool) {
	v := e.key.Value
	switch e.key.AI {
	case "":
		return "", false
	case "01", "8003", "8006":
		return v[1:13], true
	case "00":
		return v[1:17], true
	case "253", "255", "414", "415", "417":
		return v[:12], true
	case "402":
		return v[:16], true
	case "8017", "8018":
		return v[:17], true
	}
	end := 0
	for end < len(v) && v[end]-'0' <= 9 {
		end++
	}
	return v[:end], true
}

// newEPC builds the canonical identity of checked elements.
func newEPC(key, qualifier Element) EPC {
	b := appendPair(append(make([]byte, 0, 96), canonicalStem...), key)
	if qualifier.AI != "" {
		b = appendPair(b, qualifier)
	}
	return EPC{uri: string(b), key: key, qualifier: qualifier}
}

// ParseEPC reads an identifier of an EPCIS event: an EPC URN (urn:epc:id:…, urn:epc:class:lgtin:…, urn:epc:idpat:…:*) of any GS1
// key, a Digital Link on any domain, or any other absolute URI, which stays opaque.
//
// What claims to be a GS1 key must be right: a URN of a GS1 scheme, a link on id.gs1.org, and a link anywhere whose only fault is
// a check digit are refused rather than taken as opaque. The codes are epc_syntax, epc_scheme, epc_prefix, epc_pattern, and
// those of ParseDigitalLink.
func ParseEPC(s string) (EPC, error) {
	if len(s) > maxInput {
		return EPC{}, errTooLong("identifier")
	}
	if len(s) > 8 && strings.EqualFold(s[:8], "urn:epc:") {
		return parseURN(s)
	}
	if _, web := cutScheme(s); web {
		return parseEPCLink(s)
	}
	return parseOpaque(s)
}

func parseEPCLink(s string) (EPC, error) {
	link, err := ParseDigitalLink(s, Lenient)
	if err != nil {
		switch fault.CodeOf(err) {
		case "gtin_check_digit", "element_check_digit":
			return EPC{}, err
		}
		if rest, _ := cutScheme(s); len(rest) > 10 && strings.EqualFold(rest[:11], "id.gs1.org/") {
			return EPC{}, err
		}
		return parseOpaque(s)
	}
	return link.EPC(), nil
}

// EPC is the identity that the link names, at its finest level and without attributes.
func (l Link) EPC() EPC {
	var finest Element
	for _, q := range l.Qualifiers() {
		switch q.AI {
		case "10", "21", "235", "254", "8011", "8019", "8020":
			finest = q
		}
	}
	if finest == (Element{"254", "0"}) { // extension 0 means the place itself (Tag Data Standard, section 6.3.3)
		finest = Element{}
	}
	return newEPC(l.Key(), finest)
}

// parseOpaque accepts an absolute URI (RFC 3986, section 4.3): a scheme, a colon, and something behind it.
func parseOpaque(s string) (EPC, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || !validScheme(scheme) || !validOpaque(rest) {
		return EPC{}, fault.New(fault.Malformed, "epc_syntax", "%.80q is no absolute URI, so it identifies nothing in an event", s)
	}
	return EPC{uri: s}, nil
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || (charClass[c]&setDigit == 0 && c != '+' && c != '-' && c != '.')) {
			return false
		}
	}
	return s != ""
}

// validOpaque admits the characters of a URI, and letters beyond ASCII (RFC 3987): event data in the field has them.
func validOpaque(s string) bool {
	for _, r := range s {
		if r < 0x80 && charClass[byte(r)]&setURI == 0 {
			return false
		}
		if r == '\ufffd' || (r >= 0x80 && r < 0xa0) {
			return false
		}
	}
	return true
}
