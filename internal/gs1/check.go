package gs1

import "strings"

const wrongCheckDigit = "the check digit does not fit: a digit is missing or mistyped"

func mod10(s string) string {
	if !hasCheckDigit(s) {
		return wrongCheckDigit
	}
	return ""
}

// companyPrefix wants the first four characters of a key to be digits: no GS1 company prefix is shorter.
func companyPrefix(s string) string {
	if len(s) < 4 || !allDigits(s[:4]) {
		return "it must begin with the digits of a GS1 company prefix"
	}
	return ""
}

// date wants a YYMMDD that exists in at least one century.
func date(s string) string {
	if day := twoDigits(s[4:]); day == 0 || dateDay0(s) != "" {
		return "there is no such date (year, month and day, two digits each)"
	}
	return ""
}

// dateDay0 is date, with day 00 for an unnamed day of the month.
func dateDay0(s string) string {
	year, month, day := twoDigits(s), twoDigits(s[2:]), twoDigits(s[4:])
	if month < 1 || month > 12 || day > daysIn(2000+year, month) {
		return "there is no such date (year, month and day, two digits each)"
	}
	return ""
}

func hour(s string) string {
	if twoDigits(s) > 23 {
		return "there is no such hour"
	}
	return ""
}

func hourMinute(s string) string {
	if s == "9999" { // GS1 General Specifications, (4324): no time given
		return ""
	}
	if twoDigits(s) > 23 || twoDigits(s[2:]) > 59 {
		return "there is no such time of day"
	}
	return ""
}

func flag(s string) string {
	if s != "0" && s != "1" {
		return "it must be 0 or 1"
	}
	return ""
}

func minus(s string) string {
	if s != "-" {
		return "only a minus sign may follow the digits"
	}
	return ""
}

func zero(s string) string {
	if s != "0" {
		return "it must begin with 0"
	}
	return ""
}

func positive(s string) string {
	if strings.Trim(s, "0") == "" {
		return "a measure cannot be zero"
	}
	return ""
}

func noZeroInFront(s string) string {
	if len(s) > 1 && s[0] == '0' {
		return "it must not begin with 0"
	}
	return ""
}

func pieceOfTotal(s string) string {
	piece, total := twoDigits(s), twoDigits(s[2:])
	if piece == 0 || piece > total {
		return "the piece number must be from 1 to the number of pieces"
	}
	return ""
}

// modelCheckPair checks the two check characters of a Global Model Number (GS1 General Specifications, section 7.9.5): position
// weights are the primes that fit, from the right; the sum modulo 1021 is written in two characters of base 32.
func modelCheckPair(s string) string {
	const wrong = "the two check characters do not fit: a character is missing or mistyped"
	const values = `!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz`
	const pair = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	primes := [...]int{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83}
	if len(s) < 3 {
		return wrong
	}
	body := s[:len(s)-2]
	sum := 0
	for i := range len(body) {
		sum += strings.IndexByte(values, body[len(body)-1-i]) * primes[i]
	}
	sum %= 1021
	if s[len(s)-2] != pair[sum>>5] || s[len(s)-1] != pair[sum&31] {
		return wrong
	}
	return ""
}

func twoDigits(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
