package epcis

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// pattern stands for many things: all units of a product, all that a company numbers in a scheme, a place with all that is in it.
type pattern struct {
	ai     string // of the key
	key    string // what the key begins with; of a key of fixed length it is the whole
	prefix string // GS1 company prefix
}

func (p *pattern) matches(id gs1.EPC) bool {
	k := id.Key()
	if k.AI != p.ai || id.Kind() != gs1.Instance || !strings.HasPrefix(k.Value, p.key) {
		return false
	}
	digits, _ := id.CompanyDigits()
	return strings.HasPrefix(digits, p.prefix)
}

// idpat begins a pure identity pattern (Tag Data Standard, section 8).
const idpat = "urn:epc:idpat:"

// patternSchemes has, for schemes whose patterns may leave the reference open too, the AI of their keys and the number of parts.
var patternSchemes = map[string]struct {
	ai    string
	parts int
}{
	"sgtin": {"01", 3}, "sscc": {"00", 2}, "sgln": {"414", 3}, "pgln": {"417", 2}, "grai": {"8003", 3}, "giai": {"8004", 2}, "gdti": {"253", 3},
}

// parsePattern reads a pattern that leaves open the serial (prefix.reference.*), the reference too (prefix.*.*) or everything (*.*.*).
func parsePattern(s string) (pattern, bool) {
	if class, err := gs1.ParseEPC(s); err == nil {
		return pattern{ai: class.Key().AI, key: class.Key().Value}, true
	}
	name, rest, _ := strings.Cut(s[len(idpat):], ":")
	scheme, known := patternSchemes[name]
	parts := strings.Split(rest, ".")
	if !known || len(parts) != scheme.parts {
		return pattern{}, false
	}
	for _, part := range parts[1:] {
		if part != "*" {
			return pattern{}, false
		}
	}
	if parts[0] == "*" {
		return pattern{ai: scheme.ai}, true
	}
	return pattern{ai: scheme.ai, prefix: parts[0]}, len(parts[0]) >= 6 && len(parts[0]) <= 12 && onlyDigits(parts[0])
}
