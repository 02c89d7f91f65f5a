package gs1

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Level says how fine an identity is.
type Level uint8

// The levels, coarse to fine.
const (
	Product Level = iota // a GTIN
	Lot                  // a GTIN and a lot
	Unit                 // a GTIN and a serial, with or without the lot
)

// String is "product", "lot" or "unit".
func (l Level) String() string {
	switch l {
	case Lot:
		return "lot"
	case Unit:
		return "unit"
	}
	return "product"
}

// Ref names a product (GTIN only), a lot of it (and Lot), or one unit (and Serial, with Lot when it is known). It is
// comparable. Case in lots and serials matters. The zero value names nothing.
type Ref struct {
	GTIN   GTIN
	Lot    string
	Serial string
}

// Level is the finest level that r names.
func (r Ref) Level() Level {
	switch {
	case r.Serial != "":
		return Unit
	case r.Lot != "":
		return Lot
	}
	return Product
}

// Valid says what is wrong with a Ref that was put together by hand: all that ParsePath returns are valid.
func (r Ref) Valid() error {
	if _, err := ParseGTIN(string(r.GTIN)); err != nil {
		return err
	}
	if r.Lot != "" {
		if err := ValidLot(r.Lot); err != nil {
			return err
		}
	}
	if r.Serial != "" {
		return ValidSerial(r.Serial)
	}
	return nil
}

// Path is the canonical Digital Link path, "/01/…[/10/…][/21/…]", percent-encoded. ParsePath reads the path of a
// valid Ref back equal. (A lot or serial that is "." or ".." cannot be used in a web address: clients resolve it as a step.)
func (r Ref) Path() string { return string(r.appendPath(make([]byte, 0, 64))) }

func (r Ref) appendPath(b []byte) []byte {
	b = append(b, "/01/"...)
	b = append(b, r.GTIN...)
	if r.Lot != "" {
		b = appendEscaped(append(b, "/10/"...), r.Lot, setPlain)
	}
	if r.Serial != "" {
		b = appendEscaped(append(b, "/21/"...), r.Serial, setPlain)
	}
	return b
}

// canonicalStem is the domain of the canonical Digital Link URI (GS1 Digital Link, URI syntax, "canonical form").
const canonicalStem = "https://id.gs1.org"

// URI is the canonical Digital Link URI, on https://id.gs1.org.
func (r Ref) URI() string { return r.Link(canonicalStem) }

// Link is the Digital Link URI under base, an absolute URL with or without a trailing slash.
func (r Ref) Link(base string) string {
	base = strings.TrimSuffix(base, "/")
	b := make([]byte, 0, len(base)+64)
	return string(r.appendPath(append(b, base...)))
}

// EPC is the identity of the product, lot or unit in trace events. A unit's does not hold the lot, which CBV 2.0 leaves out.
func (r Ref) EPC() EPC {
	switch r.Level() {
	case Unit:
		return newEPC(Element{"01", string(r.GTIN)}, Element{"21", r.Serial})
	case Lot:
		return newEPC(Element{"01", string(r.GTIN)}, Element{"10", r.Lot})
	}
	return newEPC(Element{"01", string(r.GTIN)}, Element{})
}

// ParsePath reads the path of a scanned link: /01/{gtin}, then optionally /22/{variant}, /10/{lot} and /21/{serial} in this order
// (GS1 Digital Link, URI syntax, gtin-path). It forgives one trailing slash, an EAN-8, UPC-A or EAN-13 in place of the
// GTIN-14, and any case in percent escapes; the consumer product variant is checked and dropped. path MUST still be
// percent-encoded (a lot may hold a slash), without query and fragment.
//
// The strings of the Ref share memory with path, and nothing is allocated unless path has escapes or a short GTIN.
// The codes are path_syntax, path_escape, code_too_long and those of GTINs, lots and serials.
func ParsePath(path string) (Ref, error) {
	if len(path) > maxInput {
		return Ref{}, errTooLong("link")
	}
	rest, ok := strings.CutPrefix(path, "/01/")
	if !ok {
		return Ref{}, fault.New(fault.Malformed, "path_syntax", "a product link looks like /01/product number/10/lot/21/serial")
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.HasSuffix(rest, "/") {
		return Ref{}, fault.New(fault.Malformed, "path_syntax", "the link ends in more than one slash")
	}
	text, rest, _ := strings.Cut(rest, "/")
	ref, err := parsePathGTIN(text)
	if err != nil {
		return Ref{}, err
	}
	for rank := 0; rest != ""; {
		var ai string
		ai, rest, _ = strings.Cut(rest, "/")
		text, rest, _ = strings.Cut(rest, "/")
		if rank, err = ref.addQualifier(rank, ai, text); err != nil {
			return Ref{}, err
		}
	}
	return ref, nil
}

func parsePathGTIN(text string) (Ref, error) {
	text, ok := unescape(text)
	if !ok {
		return Ref{}, errEscape()
	}
	if len(text) == 14 {
		g, err := ParseGTIN(text)
		return Ref{GTIN: g}, err
	}
	g, err := padGTIN(text)
	return Ref{GTIN: g}, err
}

// addQualifier puts one qualifier of the path into r. rank is that of the qualifier before it; they MUST rise.
func (r *Ref) addQualifier(rank int, ai, text string) (int, error) {
	value, ok := unescape(text)
	if !ok {
		return 0, errEscape()
	}
	var own int
	var err error
	switch ai {
	case "22":
		own, err = 1, validText(value, "variant", "product variant")
	case "10":
		own, err = 2, ValidLot(value)
		r.Lot = value
	case "21":
		own, err = 3, ValidSerial(value)
		r.Serial = value
	}
	if own <= rank {
		return 0, fault.New(fault.Malformed, "path_syntax",
			"after the product number a link may name a variant (22), a lot (10) and a serial (21), once each and in this order")
	}
	return own, err
}

func errEscape() error {
	return fault.New(fault.Malformed, "path_escape", "the link holds a percent sign that does not start a valid escape such as %%2F")
}
