package epcis

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Canonical is Raw by the JSON canonicalization scheme (RFC 8785): members sorted, no white space, numbers as ECMAScript writes
// them. Equal events as JSON have equal bytes. Of two eventIDs the hash ID is left out. Arrays keep their order. It is nil for an
// Event that no decoder made.
func (e *Event) Canonical() []byte {
	n, err := parse(e.Raw, unlimited)
	if err != nil {
		return nil
	}
	return appendCanonical(make([]byte, 0, len(e.Raw)), &n)
}

func appendCanonical(b []byte, n *node) []byte {
	switch n.kind {
	case isNull:
		return append(b, "null"...)
	case isBool:
		return append(b, n.text...)
	case isNumber:
		return appendNumber(b, n.text)
	case isString:
		return appendString(b, n.text)
	case isArray:
		b = append(b, '[')
		for i := range n.kids {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, &n.kids[i])
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i, m := range sortedMembers(n) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, m.key), ':')
		b = appendCanonical(b, m)
	}
	return append(b, '}')
}

// sortedMembers orders by UTF-16 code units (RFC 8785, section 3.2.3).
func sortedMembers(n *node) []*node {
	members := make([]*node, 0, len(n.kids))
	for i := range n.kids {
		if m := &n.kids[i]; m.key != "eventID" || !isHashID(m.text) || onlyOne(n, m.key) {
			members = append(members, m)
		}
	}
	slices.SortFunc(members, func(x, y *node) int {
		if isASCII(x.key) && isASCII(y.key) {
			return strings.Compare(x.key, y.key)
		}
		return slices.Compare(utf16.Encode([]rune(x.key)), utf16.Encode([]rune(y.key)))
	})
	return members
}

func onlyOne(n *node, key string) bool {
	count := 0
	for i := range n.kids {
		if n.kids[i].key == key {
			count++
		}
	}
	return count == 1
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendNumber writes a number that fitsDouble as ECMAScript does.
func appendNumber(b []byte, text string) []byte {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return append(b, text...)
	}
	if f == 0 {
		return append(b, '0') // minus zero too
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if at := start + strings.LastIndexAny(string(b[start:]), "+-"); b[at+1] == '0' { // e-07 → e-7
		b = slices.Delete(b, at+1, at+2)
	}
	return b
}

// appendString writes a JSON string with the fewest escapes (RFC 8785, section 3.2.2.2).
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		case strings.IndexByte("\b\f\n\r\t", c) >= 0:
			b = append(b, '\\', "bfnrt"[strings.IndexByte("\b\f\n\r\t", c)])
		default:
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
	}
	return append(b, '"')
}

// compact takes the white space between values off a valid JSON text. It copies only when there is some.
func compact(src string) string {
	inString := false
	for i := range len(src) {
		switch c := src[i]; {
		case c == '\\' && inString:
			return string(appendCompact(make([]byte, 0, len(src)), src))
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			return string(appendCompact(make([]byte, 0, len(src)), src))
		}
	}
	return src
}

func appendCompact(b []byte, src string) []byte {
	inString := false
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case inString && c == '\\':
			b = append(b, c, src[i+1])
			i++
			continue
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		b = append(b, c)
	}
	return b
}
