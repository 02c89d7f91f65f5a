package epcis

import (
	"strconv"
	"strings"
)

// Decimal is a number in plain decimal notation: no exponent, no plus sign, no superfluous zeros, never "-0". "" is no number.
type Decimal string

// Float64 is the nearest double, 0 for no number.
func (d Decimal) Float64() float64 {
	f, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		return 0
	}
	return f
}

// integer says whether there is no fraction.
func (d Decimal) integer() bool { return d != "" && !strings.Contains(string(d), ".") }

// negative says whether d is below zero.
func (d Decimal) negative() bool { return strings.HasPrefix(string(d), "-") }

// fitsDouble says whether a JSON number survives a way through an IEEE 754 double.
func fitsDouble(text string) bool {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if len(exponent) > 4 {
		return false
	}
	digits := strings.Trim(strings.Replace(strings.TrimPrefix(mantissa, "-"), ".", "", 1), "0")
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && len(digits) <= 17 && f < 1e300 && f > -1e300 && (f == 0) == (digits == "")
}

// jsonDecimal gives the plain notation of a JSON number that fitsDouble.
func jsonDecimal(text string) Decimal {
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(text), "e")
	if !hasExponent {
		return plain(text)
	}
	shift, err := strconv.Atoi(exponent)
	if err != nil {
		return ""
	}
	mantissa, minus := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if shift >= 0 {
		fraction += strings.Repeat("0", max(0, shift-len(fraction)))
		whole, fraction = whole+fraction[:shift], fraction[shift:]
	} else {
		whole = strings.Repeat("0", max(0, -shift-len(whole))) + whole
		cut := len(whole) + shift
		whole, fraction = whole[:cut], whole[cut:]+fraction
	}
	d := "0" + whole + "." + fraction + "0"
	if minus {
		d = "-" + d
	}
	return plain(d)
}

// plain takes the superfluous signs and zeros off digits with an optional sign and fraction. Digits MUST stand before the point.
func plain(s string) Decimal {
	s = strings.TrimPrefix(s, "+")
	digits, minus := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	fraction = strings.TrimRight(fraction, "0")
	short := strings.TrimLeft(whole, "0")
	if short == "" {
		short = "0"
	}
	end := len(whole)
	if fraction != "" {
		end += 1 + len(fraction)
	}
	number := digits[len(whole)-len(short) : end]
	if minus && number != "0" {
		number = "-" + number
	}
	return Decimal(number)
}

// looksNumeric says whether a text is digits with an optional sign and fraction, and nothing else.
func looksNumeric(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	whole, fraction, point := strings.Cut(s, ".")
	return onlyDigits(whole) && (!point || onlyDigits(fraction))
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return s != ""
}
