package gs1

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// ParseElementString reads a GS1 element string (GS1 General Specifications, section 7.8): bracketed, "(01)…(10)…", with or
// without spaces around the values; or plain, where FNC1 (ASCII 29, or ^) ends values of variable length. Every AI must be
// known, have a value of its form, and occur once, or twice with equal values. A plain string without FNC1 is read as the standard
// says: a value of variable length runs to the end of its string.
//
// The codes are element_syntax, element_unknown, element_twice, element_value, element_check_digit, code_too_long and those
// of GTINs.
func ParseElementString(code string) ([]Element, error) {
	if len(code) > maxInput {
		return nil, errTooLong("code")
	}
	split := splitPlain
	if strings.HasPrefix(code, "(") {
		split = splitBracketed
	}
	elements, err := split(code)
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return nil, fault.New(fault.Malformed, "element_syntax", "the code is empty")
	}
	return dedupe(elements)
}

// dedupe checks every value and drops what is said twice.
func dedupe(elements []Element) ([]Element, error) {
	seen := make(map[string]string, len(elements))
	kept := elements[:0]
	for _, e := range elements {
		if err := checkElement(e); err != nil {
			return nil, err
		}
		before, twice := seen[e.AI]
		if twice && before != e.Value {
			return nil, fault.New(fault.Malformed, "element_twice", "the code gives two different values for (%s)", e.AI)
		}
		if !twice {
			seen[e.AI] = e.Value
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// splitBracketed takes "(AI)value(AI)value" apart. Values may hold parentheses; only a known AI in parentheses starts a value.
func splitBracketed(code string) ([]Element, error) {
	var elements []Element
	ai, size := bracketedAI(code)
	if size == 0 {
		return nil, errUnknownAI(code[1:])
	}
	start := size
	for i := start; i <= len(code); i++ {
		next, nextSize := "", 0
		if i < len(code) {
			if next, nextSize = bracketedAI(code[i:]); nextSize == 0 {
				continue
			}
		}
		if len(elements) == maxElements {
			return nil, errTooMany()
		}
		value := strings.Trim(code[start:i], " \x1d")
		if ai == "01" || ai == "02" {
			value = dropGroups(value)
		}
		elements = append(elements, Element{ai, value})
		ai, start = next, i+nextSize
	}
	return elements, nil
}

// bracketedAI reads a known AI in parentheses at the start of s and gives its size with them, 0 when there is none.
func bracketedAI(s string) (ai string, size int) {
	if s == "" || s[0] != '(' {
		return "", 0
	}
	end := strings.IndexByte(s[:min(len(s), 6)], ')')
	if end < 0 {
		return "", 0
	}
	if _, ok := aiFormats[s[1:end]]; !ok {
		return "", 0
	}
	return s[1:end], end + 1
}

const fnc1 = "\x1d^"

// splitPlain takes a string without parentheses apart by the lengths of the AIs and FNC1.
func splitPlain(code string) ([]Element, error) {
	var elements []Element
	for rest := strings.TrimLeft(code, fnc1); rest != ""; rest = strings.TrimLeft(rest, fnc1) {
		if len(elements) == maxElements {
			return nil, errTooMany()
		}
		ai, ok := aiAt(rest)
		if !ok {
			return nil, errUnknownAI(rest)
		}
		rest = rest[len(ai):]
		size := strings.IndexAny(rest, fnc1)
		if size < 0 {
			size = len(rest)
		}
		if predefinedLength(ai) {
			size = min(size, fixedLength(ai))
		}
		elements = append(elements, Element{ai, rest[:size]})
		rest = rest[size:]
	}
	return elements, nil
}

// fixedLength is the length of the values of an AI with a predefined one.
func fixedLength(ai string) int {
	sum := 0
	for _, p := range aiFormats[ai] {
		sum += p.max
	}
	return sum
}

// looksLikeElements says whether a code without a symbology identifier is a GS1 element string: it begins with FNC1 or a known
// AI in parentheses, or with a whole GTIN or SSCC, whose check digit excludes most accidents.
func looksLikeElements(code string) bool {
	if _, size := bracketedAI(code); size > 0 {
		return true
	}
	if code == "" || strings.IndexByte(fnc1, code[0]) >= 0 {
		return code != ""
	}
	for _, key := range [...]struct {
		ai   string
		size int
	}{{"01", 14}, {"00", 18}, {"02", 14}} {
		rest, ok := strings.CutPrefix(code, key.ai)
		if ok && len(rest) >= key.size && allDigits(rest[:key.size]) && hasCheckDigit(rest[:key.size]) {
			return true
		}
	}
	return false
}

func errUnknownAI(rest string) error {
	return fault.New(fault.Malformed, "element_unknown", "the code holds %.8q where a GS1 application identifier should be", rest)
}

func errTooMany() error {
	return fault.New(fault.Malformed, "element_syntax", "the code holds more than %d GS1 values", maxElements)
}
