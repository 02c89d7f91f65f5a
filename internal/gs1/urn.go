package gs1

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// urnScheme says how the parts of an EPC URN become the key of a Digital Link (Tag Data Standard, section 6.3, and CBV 2.0,
// section 8.9). Behind the scheme a URN has a company prefix of 6 to 12 digits, a dot, and a reference; then, as the scheme
// has it, a dot and a serial.
type urnScheme struct {
	ai        string
	digits    int    // company prefix and reference together; 0 for a reference of characters
	lead      bool   // the reference's first digit goes in front of the prefix (indicator, extension digit)
	fill      string // in front of all
	set       uint8  // characters of a reference without fixed length
	serial    bool   // a serial follows
	qualifier string // AI of the serial; "" when it is the end of the key itself
	pattern   bool   // urn:epc:idpat:…:* names the class
}

// urnSchemes are the GS1 schemes. ITIP, which has two more parts, is in parseURNParts.
var urnSchemes = map[string]urnScheme{
	"sgtin": {ai: "01", digits: 13, lead: true, serial: true, qualifier: "21", pattern: true},
	"lgtin": {ai: "01", digits: 13, lead: true, serial: true, qualifier: "10"},
	"upui":  {ai: "01", digits: 13, lead: true, serial: true, qualifier: "235", pattern: true},
	"itip":  {ai: "8006", digits: 13, lead: true, serial: true, qualifier: "21", pattern: true},
	"sscc":  {ai: "00", digits: 17, lead: true},
	"sgln":  {ai: "414", digits: 12, serial: true, qualifier: "254"},
	"pgln":  {ai: "417", digits: 12},
	"grai":  {ai: "8003", digits: 12, fill: "0", serial: true, pattern: true},
	"gdti":  {ai: "253", digits: 12, serial: true, pattern: true},
	"sgcn":  {ai: "255", digits: 12, serial: true, pattern: true},
	"gsrn":  {ai: "8018", digits: 17},
	"gsrnp": {ai: "8017", digits: 17},
	"gsin":  {ai: "402", digits: 16},
	"giai":  {ai: "8004", set: set82},
	"ginc":  {ai: "401", set: set82},
	"cpi":   {ai: "8010", set: set39, serial: true, qualifier: "8011", pattern: true},
}

// foreignURNSchemes are EPC schemes that carry no GS1 key; they stay opaque.
var foreignURNSchemes = map[string]bool{"adi": true, "bic": true, "gid": true, "imovn": true, "usdod": true}

// parseURN reads "urn:epc:…".
func parseURN(s string) (EPC, error) {
	kind, rest, _ := strings.Cut(s[len("urn:epc:"):], ":")
	name, rest, _ := strings.Cut(rest, ":")
	switch kind {
	case "id", "class", "idpat":
	default:
		return parseOpaque(s)
	}
	scheme, known := urnSchemes[name]
	switch {
	case kind == "id" && foreignURNSchemes[name]:
		return parseOpaque(s)
	case !known || (kind == "class") != (name == "lgtin"):
		return EPC{}, fault.New(fault.Malformed, "epc_scheme", "%.20q is no EPC scheme for urn:epc:%s", name, kind)
	case kind == "idpat" && (!scheme.pattern || !strings.HasSuffix(rest, ".*") || strings.Count(rest, "*") > 1):
		return EPC{}, fault.New(fault.Malformed, "epc_pattern",
			"an EPC pattern names a class only when its serial, and nothing else, is the asterisk: %.80q", s)
	}
	if kind == "idpat" {
		rest = strings.TrimSuffix(rest, ".*")
		scheme.serial = false
	}
	return scheme.parse(name == "itip", rest)
}

// parse reads what stands behind the name of the scheme.
func (u urnScheme) parse(pieces bool, text string) (EPC, error) {
	prefix, reference, ok := strings.Cut(text, ".")
	if !ok || len(prefix) < 6 || len(prefix) > 12 || !allDigits(prefix) {
		return EPC{}, fault.New(fault.Malformed, "epc_prefix", "an EPC begins with a GS1 company prefix of 6 to 12 digits and a dot: %.80q", text)
	}
	rest, dotted := "", false
	if u.serial || pieces {
		reference, rest, dotted = strings.Cut(reference, ".")
	}
	key, err := u.key(prefix, reference)
	if err != nil {
		return EPC{}, err
	}
	if pieces {
		var piece, total string
		piece, rest, _ = strings.Cut(rest, ".")
		total, rest, dotted = strings.Cut(rest, ".")
		key += piece + total
		if len(piece) != 2 || len(total) != 2 {
			return EPC{}, errURN(text)
		}
	}
	if dotted != u.serial {
		return EPC{}, errURN(text)
	}
	return u.finish(key, rest)
}

// key puts prefix and reference together and adds the check digit.
func (u urnScheme) key(prefix, reference string) (string, error) {
	if u.digits == 0 {
		value, ok := unescapeURN(reference)
		if !ok || value == "" || !allIn(value, u.set) {
			return "", errURN(reference)
		}
		return prefix + value, nil
	}
	if len(prefix)+len(reference) != u.digits || (reference != "" && !allDigits(reference)) {
		return "", fault.New(fault.Malformed, "epc_prefix",
			"company prefix and reference of this EPC must have %d digits together, %s.%.40q has not", u.digits, prefix, reference)
	}
	body := u.fill + prefix + reference
	if u.lead {
		body = reference[:1] + prefix + reference[1:]
	}
	return body + string(rune(CheckDigit(body[len(u.fill):]))), nil
}

// finish adds the serial, in escapes, and checks the whole against the formats of the AIs.
func (u urnScheme) finish(key, serial string) (EPC, error) {
	var qualifier Element
	if u.serial {
		value, ok := unescapeURN(serial)
		if !ok || value == "" {
			return EPC{}, errURN(serial)
		}
		switch {
		case u.qualifier == "":
			key += value
		case u.qualifier == "254" && value == "0": // no extension: the place itself
		default:
			qualifier = Element{u.qualifier, value}
		}
	}
	for _, e := range []Element{{u.ai, key}, qualifier} {
		if e.AI == "" {
			continue
		}
		if err := checkElement(e); err != nil {
			return EPC{}, err
		}
	}
	return newEPC(Element{u.ai, key}, qualifier), nil
}

// unescapeURN undoes the escapes of an EPC URN and wants every reserved character escaped.
func unescapeURN(s string) (string, bool) {
	for i := range len(s) {
		if s[i] != '%' && charClass[s[i]]&setURN == 0 {
			return "", false
		}
	}
	return unescape(s)
}

func errURN(text string) error {
	return fault.New(fault.Malformed, "epc_syntax", "this EPC does not have the parts and characters that its scheme prescribes: %.80q", text)
}
