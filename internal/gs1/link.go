package gs1

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Leniency is what ParseDigitalLink forgives; values are combined with |.
type Leniency uint8

// The kinds of leniency.
const (
	ShortGTIN     Leniency = 1 << iota // an EAN-8, UPC-A or EAN-13 where a GTIN-14 belongs
	UnknownAIs                         // numeric keys of the query that are no AI known here are kept as attributes
	ShortNames                         // /gtin/, /lot/, /ser/ … for AIs, as the standard allowed until version 1.2
	TrailingSlash                      // one slash behind the path

	Lenient = ShortGTIN | UnknownAIs | ShortNames | TrailingSlash
)

// maxElements bounds the AIs of one Digital Link or element string.
const maxElements = 64

// Link is a parsed GS1 Digital Link URI.
type Link struct {
	Stem       string    // scheme, domain and whatever of the path precedes the primary key
	Path       []Element // the primary key, then its qualifiers in the order that the standard fixes
	Attributes []Element // the other AIs, from the query string, in the order found
}

// ParseDigitalLink reads an uncompressed GS1 Digital Link URI on any domain (GS1 Digital Link, URI syntax, sections 4 and 5): the
// primary key is the rightmost AI of the path that can be one. Values have the form of their AI, check digits included; qualifiers
// stand in the prescribed order; AIs of the query are unique and none of them belongs in the path. Query keys that are not
// numbers are no business of GS1's and ignored. How AIs go together beyond this (required and excluded pairs) is not checked.
//
// The codes are link_syntax, link_no_key, link_escape, link_qualifiers, link_attribute, code_too_long, those of GTINs,
// element_value and element_check_digit.
func ParseDigitalLink(uri string, allow ...Leniency) (Link, error) {
	var forgive Leniency
	for _, a := range allow {
		forgive |= a
	}
	stem, path, query, err := splitLink(uri)
	if err != nil {
		return Link{}, err
	}
	if forgive&TrailingSlash != 0 {
		path = strings.TrimSuffix(path, "/")
	}
	at, count := findKey(path, forgive)
	if count == 0 {
		return Link{}, fault.New(fault.Malformed, "link_no_key", "the link names no product or other GS1 key")
	}
	link := Link{Stem: stem + path[:at], Path: make([]Element, 0, count)}
	if err := link.readPath(path[at:], forgive); err != nil {
		return Link{}, err
	}
	if err := link.readQuery(query, forgive); err != nil {
		return Link{}, err
	}
	return link, link.check()
}

// splitLink takes scheme and domain (together the start of the stem), path and query apart and drops the fragment.
func splitLink(uri string) (stem, path, query string, err error) {
	if len(uri) > maxInput {
		return "", "", "", errTooLong("link")
	}
	rest, ok := cutScheme(uri)
	if !ok || !allIn(uri, setURI) {
		return "", "", "", fault.New(fault.Malformed, "link_syntax",
			"a GS1 Digital Link begins with https:// or http:// and holds only the characters that web addresses may have")
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 1 || strings.ContainsAny(rest[:slash], "_~?#@!$&'()*+,;=%") {
		return "", "", "", fault.New(fault.Malformed, "link_syntax", "the link has no proper domain name")
	}
	stem, path = uri[:len(uri)-len(rest)+slash], rest[slash:]
	path, _, _ = strings.Cut(path, "#")
	path, query, _ = strings.Cut(path, "?")
	return stem, path, query, nil
}

// cutScheme drops "https://" or "http://", in any case: QR codes in alphanumeric mode hold capitals only.
func cutScheme(uri string) (string, bool) {
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(uri) >= len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			return uri[len(scheme):], true
		}
	}
	return uri, false
}

// findKey walks back over pairs "/AI/value" to the rightmost one whose AI may be a primary key. It gives the place in path
// where that pair begins and the number of pairs from there on, 0 when there is none.
func findKey(path string, forgive Leniency) (at, count int) {
	for end, pairs := len(path), 1; pairs <= maxElements; pairs++ {
		value := strings.LastIndexByte(path[:end], '/')
		if value < 0 {
			return 0, 0
		}
		start := strings.LastIndexByte(path[:value], '/')
		if start < 0 {
			return 0, 0
		}
		ai := resolveAI(path[start+1:value], forgive)
		if _, ok := aiFormats[ai]; !ok {
			return 0, 0
		}
		if _, ok := pathQualifiers[ai]; ok {
			return start, pairs
		}
		end = start
	}
	return 0, 0
}

// shortNames are the names that version 1.1 of the standard allowed in the place of AIs.
var shortNames = map[string]string{
	"cpid": "8010", "cpsn": "8011", "cpv": "22", "gcn": "255", "gdti": "253", "giai": "8004", "ginc": "401", "gln": "414",
	"glnx": "254", "gmn": "8013", "grai": "8003", "gsin": "402", "gsrn": "8018", "gsrnp": "8017", "gtin": "01", "itip": "8006",
	"lot": "10", "party": "417", "refno": "8020", "ser": "21", "srin": "8019", "sscc": "00",
}

func resolveAI(name string, forgive Leniency) string {
	if forgive&ShortNames != 0 {
		if ai, ok := shortNames[name]; ok {
			return ai
		}
	}
	return name
}

// readPath reads the pairs of path, which begins at the primary key and holds known AIs only.
func (l *Link) readPath(path string, forgive Leniency) error {
	for path != "" {
		name, rest, _ := strings.Cut(path[1:], "/")
		text := rest
		path = ""
		if slash := strings.IndexByte(rest, '/'); slash >= 0 {
			text, path = rest[:slash], rest[slash:]
		}
		value, ok := unescape(text)
		if !ok {
			return errLinkEscape()
		}
		e, err := readElement(resolveAI(name, forgive), value, forgive)
		if err != nil {
			return err
		}
		l.Path = append(l.Path, e)
	}
	return nil
}

// readQuery reads the AIs of the query string. Keys that are not numbers, and keys without a value sign, are ignored.
func (l *Link) readQuery(query string, forgive Leniency) error {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, text, ok := strings.Cut(pair, "=")
		if !ok || !allDigits(name) {
			continue
		}
		if len(l.Path)+len(l.Attributes) == maxElements {
			return fault.New(fault.Malformed, "link_syntax", "the link holds more than %d GS1 values", maxElements)
		}
		value, ok := unescape(strings.ReplaceAll(text, "+", " "))
		if !ok {
			return errLinkEscape()
		}
		if _, known := aiFormats[name]; !known && (forgive&UnknownAIs == 0 || !plausibleAI(name)) {
			return fault.New(fault.Malformed, "link_attribute", "(%.8s) in the link is no GS1 application identifier", name)
		}
		e, err := readElement(name, value, forgive)
		if err != nil {
			return err
		}
		l.Attributes = append(l.Attributes, e)
	}
	return nil
}

// plausibleAI says whether digits could be an AI that is not in the table: 2 to 4 of them, not the beginning of a known AI
// and not beginning with one, so that element strings stay readable.
func plausibleAI(digits string) bool {
	if len(digits) < 2 || len(digits) > 4 {
		return false
	}
	_, known := aiAt(digits)
	return !known
}

func readElement(ai, value string, forgive Leniency) (Element, error) {
	if ai == "01" && forgive&ShortGTIN != 0 && len(value) < 14 {
		g, err := padGTIN(value)
		return Element{ai, string(g)}, err
	}
	e := Element{ai, value}
	if _, known := aiFormats[ai]; !known {
		if value == "" || len(value) > 90 || !allIn(value, set82) {
			return Element{}, fault.New(fault.Malformed, "element_value", "the value of (%s) has characters or a length that no GS1 value has", ai)
		}
		return e, nil
	}
	return e, checkElement(e)
}

// check holds the AIs of the link against each other.
func (l Link) check() error {
	key := l.Path[0].AI
	qualifiers := make([]string, 0, len(l.Path))
	for _, q := range l.Path[1:] {
		qualifiers = append(qualifiers, q.AI)
	}
	if !validQualifiers(key, qualifiers) {
		return fault.New(fault.Malformed, "link_qualifiers",
			"the parts of the link behind the key (%s) are not those that may follow it, or not in the prescribed order", key)
	}
	seen := make(map[string]bool, len(l.Path)+len(l.Attributes))
	for _, e := range l.Path {
		seen[e.AI] = true
	}
	for _, a := range l.Attributes {
		if seen[a.AI] {
			return fault.New(fault.Malformed, "link_attribute", "the link gives (%s) twice", a.AI)
		}
		if seen[a.AI] = true; belongsInPath(key, qualifiers, a.AI) {
			return fault.New(fault.Malformed, "link_attribute", "(%s) must stand in the path of the link, before the question mark", a.AI)
		}
	}
	return nil
}

func errLinkEscape() error {
	return fault.New(fault.Malformed, "link_escape", "the link holds a percent sign that does not start a valid escape such as %%2F")
}

// Key is the primary key. The zero Link has none.
func (l Link) Key() Element {
	if len(l.Path) == 0 {
		return Element{}
	}
	return l.Path[0]
}

// Qualifiers are the elements of the path behind the primary key.
func (l Link) Qualifiers() []Element {
	if len(l.Path) == 0 {
		return nil
	}
	return l.Path[1:]
}

// ElementString is the unbracketed GS1 element string with ^ for FNC1, as in a GS1 DataMatrix: one in front, and one behind
// each value whose length its AI does not fix. Values are not escaped: ^ is in no GS1 character set.
func (l Link) ElementString() string {
	var b strings.Builder
	separate := true
	for _, list := range [][]Element{l.Path, l.Attributes} {
		for _, e := range list {
			if separate {
				b.WriteByte('^')
			}
			b.WriteString(e.AI)
			b.WriteString(e.Value)
			separate = !predefinedLength(e.AI)
		}
	}
	return b.String()
}

// URI is the canonical Digital Link URI: on https://id.gs1.org, numeric AIs, 14-digit GTINs, without stem and foreign query keys.
func (l Link) URI() string {
	b := append(make([]byte, 0, 128), canonicalStem...)
	for _, e := range l.Path {
		b = appendPair(b, e)
	}
	for i, a := range l.Attributes {
		b = append(b, "?&"[min(i, 1)])
		b = append(append(b, a.AI...), '=')
		b = appendEscaped(b, a.Value, setPlain)
	}
	return string(b)
}

func appendPair(b []byte, e Element) []byte {
	b = append(b, '/')
	b = append(b, e.AI...)
	b = append(b, '/')
	return appendEscaped(b, e.Value, setPlain)
}

// Ref is the product, lot or unit that the link names, false when its primary key is no GTIN. A third party's serial (235)
// names no unit of the brand owner's, so such a link gives the product.
func (l Link) Ref() (Ref, bool) {
	if l.Key().AI != "01" {
		return Ref{}, false
	}
	r := Ref{GTIN: GTIN(l.Key().Value)}
	for _, q := range l.Qualifiers() {
		switch q.AI {
		case "10":
			r.Lot = q.Value
		case "21":
			r.Serial = q.Value
		}
	}
	return r, true
}
