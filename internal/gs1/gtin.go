// Package gs1 reads and prints GS1 identification keys: GTINs and their check digits, GS1 Digital Link URIs, EPC URNs, and
// whatever a camera or a keyboard gives for a code on a package.
//
// It prints strictly and reads leniently: one identity has one canonical text, and many texts lead to it. There is no I/O and
// no clock. Every parser refuses input of more than 2,048 bytes and works in linear time. Every error is a *fault.Error of kind
// Malformed whose detail a shopper can understand.
package gs1

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// maxInput is the longest text, in bytes, that any parser of this package reads. The longest Digital Link that makes sense is
// well below 1,000 bytes, and common HTTP servers stop at 8,000.
const maxInput = 2048

// GTIN is a Global Trade Item Number in its one canonical form: 14 digits, the last a right check digit, shorter numbers
// padded with zeros on the left (GS1 General Specifications, section 3.3.2). The zero value is no GTIN.
type GTIN string

// ParseGTIN reads exactly 14 ASCII digits with a right check digit. The codes are gtin_length, gtin_digits, gtin_check_digit.
func ParseGTIN(s string) (GTIN, error) {
	if len(s) != 14 {
		return "", fault.New(fault.Malformed, "gtin_length", "a product number (GTIN) has 14 digits here, not %d characters", len(s))
	}
	if !allDigits(s) {
		return "", fault.New(fault.Malformed, "gtin_digits", "a product number (GTIN) consists of the digits 0 to 9 only")
	}
	if err := checkGTIN(s); err != nil {
		return "", err
	}
	return GTIN(s), nil
}

// ParseGTINLenient reads the digits of an EAN-8, UPC-A (12), EAN-13 or GTIN-14 with a right check digit, as people type and
// software exports them: spaces and hyphens are dropped, full-width digits accepted, and short numbers padded to 14 digits.
func ParseGTINLenient(s string) (GTIN, error) {
	if len(s) > maxInput {
		return "", errTooLong("product number")
	}
	if len(s) == 14 && allDigits(s) {
		return ParseGTIN(s)
	}
	return padGTIN(dropGroups(toASCIIWidth(s)))
}

// padGTIN makes a GTIN of 8, 12, 13 or 14 digits.
func padGTIN(s string) (GTIN, error) {
	if !allDigits(s) {
		return "", fault.New(fault.Malformed, "gtin_digits", "a product number (GTIN, EAN, UPC) consists of the digits 0 to 9 only")
	}
	switch len(s) {
	case 8, 12, 13, 14:
	default:
		return "", fault.New(fault.Malformed, "gtin_length",
			"a product number (GTIN, EAN, UPC) has 8, 12, 13 or 14 digits; this one has %d", len(s))
	}
	if err := checkGTIN(s); err != nil {
		return "", err
	}
	if len(s) == 14 {
		return GTIN(s), nil
	}
	return GTIN("00000000000000"[len(s):] + s), nil
}

func checkGTIN(s string) error {
	last := len(s) - 1
	if want := CheckDigit(s[:last]); want != s[last] {
		return fault.New(fault.Malformed, "gtin_check_digit",
			"the last digit of the product number %s is %c, but the others call for %c: a digit is missing or mistyped", s, s[last], want)
	}
	if strings.Trim(s, "0") == "" {
		return fault.New(fault.Malformed, "gtin_zero", "a product number (GTIN) of zeros only names nothing")
	}
	return nil
}

// CheckDigit is the GS1 mod-10 check digit, '0' to '9', over digits that do not yet include it (GS1 General Specifications,
// section 7.9.1): weights 3 and 1 alternate from the right. It is 0 (no digit) when digits holds anything but ASCII digits.
func CheckDigit(digits string) byte {
	sum, weight := 0, 3
	for i := len(digits) - 1; i >= 0; i-- {
		d := digits[i] - '0'
		if d > 9 {
			return 0
		}
		sum += int(d) * weight
		weight = 4 - weight
	}
	return '0' + byte((10-sum%10)%10)
}

// CompanyDigits gives the 12 digits that begin with the GS1 company prefix: no indicator in front, no check digit behind. How
// many of them the prefix takes (4 to 12) cannot be seen from the number. A GTIN-8 has no company prefix: its digits begin
// with five zeros, which no company's do.
func (g GTIN) CompanyDigits() string {
	if len(g) != 14 {
		return ""
	}
	return string(g[1:13])
}

// String is the 14 digits.
func (g GTIN) String() string { return string(g) }

// hasCheckDigit says whether the last digit of s is the check digit of the ones before it.
func hasCheckDigit(s string) bool {
	last := len(s) - 1
	return last > 0 && CheckDigit(s[:last]) == s[last]
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return s != ""
}

// dropGroups removes the spaces and hyphens with which people group the digits of a number.
func dropGroups(s string) string {
	if strings.IndexFunc(s, isGrouping) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isGrouping(r) {
			return -1
		}
		return r
	}, s)
}

func isGrouping(r rune) bool {
	switch r {
	case ' ', '\t', '\r', '\n', '-', '\u00a0', '\u2009', '\u202f', '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212':
		return true
	}
	return false
}

// toASCIIWidth folds full-width forms, which Chinese input methods produce, to their ASCII equivalents, and the ideographic
// space to a space.
func toASCIIWidth(s string) string {
	if strings.IndexFunc(s, isFullWidth) < 0 {
		return s
	}
	return strings.Map(narrow, s)
}

func isFullWidth(r rune) bool { return r == '\u3000' || (r >= '\uff01' && r <= '\uff5e') }

func narrow(r rune) rune {
	switch {
	case r == '\u3000':
		return ' '
	case r >= '\uff01' && r <= '\uff5e':
		return r - 0xfee0
	}
	return r
}

func errTooLong(what string) error {
	return fault.New(fault.Malformed, "code_too_long", "this %s is longer than %d bytes and cannot be a GS1 code", what, maxInput)
}
