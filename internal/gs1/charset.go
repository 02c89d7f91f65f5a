package gs1

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Character sets of the GS1 General Specifications, section 7.11, as bits of charClass.
const (
	setDigit uint8 = 1 << iota // 0 to 9
	set82                      // GS1 AI encodable character set 82: lots, serials
	set39                      // GS1 AI encodable character set 39: component and part identifiers
	set64                      // GS1 AI encodable character set 64: file-safe base 64
	setURI                     // the characters of a URI, percent included (RFC 3986, section 2)
	setPlain                   // stands for itself in a canonical Digital Link path
	setURN                     // stands for itself in an EPC URN (Tag Data Standard, table A-1)
)

const (
	digits  = "0123456789"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	letters = upper + lower
	alnum   = digits + letters
)

// charClass has, for each byte, the sets that it belongs to.
//
// setPlain leaves out what the Digital Link standard (URI syntax, section "percent-encoding of reserved characters") wants
// encoded, as the reference implementation of the CBV 2.0 event hash does: the event IDs depend on it.
var charClass = func() (class [256]uint8) {
	for _, set := range []struct {
		bit   uint8
		chars string
	}{
		{setDigit, digits},
		{set82, alnum + `!"%&'()*+,-./:;<=>?_`},
		{set39, digits + upper + "#-/"},
		{set64, alnum + "-_="},
		{setURI, alnum + "-._~:/?#[]@!$&'()*+,;=%"},
		{setPlain, alnum + "-._~';="},
		{setURN, alnum + "!'()*+,-.:;=_"},
	} {
		for i := range len(set.chars) {
			class[set.chars[i]] |= set.bit
		}
	}
	return class
}()

// allIn says whether every byte of s is in the set.
func allIn(s string, set uint8) bool {
	for i := range len(s) {
		if charClass[s[i]]&set == 0 {
			return false
		}
	}
	return true
}

// ValidLot says what is wrong with a batch or lot number, AI (10): 1 to 20 characters of set 82. Letters' case matters.
// The codes are lot_length and lot_characters.
func ValidLot(s string) error { return validText(s, "lot", "lot number") }

// ValidSerial says what is wrong with a serial number, AI (21): 1 to 20 characters of set 82. Letters' case matters.
// The codes are serial_length and serial_characters.
func ValidSerial(s string) error { return validText(s, "serial", "serial number") }

func validText(s, code, name string) error {
	if len(s) < 1 || len(s) > 20 {
		return fault.New(fault.Malformed, code+"_length", "a %s has 1 to 20 characters; this one has %d", name, len(s))
	}
	if !allIn(s, set82) {
		return fault.New(fault.Malformed, code+"_characters",
			`a %s consists of letters A–Z and a–z, digits and ! " %% & ' ( ) * + , - . / : ; < = > ? _ only`, name)
	}
	return nil
}

const hexDigits = "0123456789ABCDEF"

// appendEscaped writes s with every character outside the set percent-encoded, in upper-case hexadecimal.
func appendEscaped(b []byte, s string, set uint8) []byte { //nolint:unparam // says at the call what is escaped
	for i := range len(s) {
		if c := s[i]; charClass[c]&set != 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}

// unescape undoes percent-encoding, in either case of the hexadecimal digits. It does not allocate when s has no escapes.
// A percent sign that starts no escape, and an encoded NUL, are refused.
func unescape(s string) (string, bool) {
	first := strings.IndexByte(s, '%')
	if first < 0 {
		return s, true
	}
	b := make([]byte, first, len(s))
	copy(b, s)
	for i := first; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			c = hi<<4 | lo
			if hi > 15 || lo > 15 || c == 0 {
				return "", false
			}
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}

// unhex is the value of a hexadecimal digit, 255 for anything else.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
