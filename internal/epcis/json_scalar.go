package epcis

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

func itoa(i int) string { return strconv.Itoa(i) }

// str reads a string. Only one with escapes is copied.
func (p *parser) str(where *path) (string, error) {
	p.at++
	start := p.at
	for ; p.at < len(p.src); p.at++ {
		switch c := p.src[p.at]; {
		case c == '"':
			s := p.src[start:p.at]
			p.at++
			return s, p.checkText(where, s)
		case c == '\\':
			return p.escaped(where, start)
		case c < ' ':
			return "", p.fail(where, "json_syntax", "a string holds an unescaped control character")
		}
	}
	return "", p.fail(where, "json_syntax", "a string does not end")
}

func (p *parser) checkText(where *path, s string) error {
	if len(s) > p.lim.Text {
		return p.exceed(where, "text_too_long", "a text has %d bytes; at most %d are accepted", len(s), p.lim.Text)
	}
	return nil
}

// escaped reads on from the first escape of the string that begins at start.
func (p *parser) escaped(where *path, start int) (string, error) {
	var b strings.Builder
	b.WriteString(p.src[start:p.at])
	for p.at < len(p.src) {
		c := p.src[p.at]
		switch {
		case c == '"':
			p.at++
			return b.String(), p.checkText(where, b.String())
		case c < ' ':
			return "", p.fail(where, "json_syntax", "a string holds an unescaped control character")
		case c != '\\':
			b.WriteByte(c)
			p.at++
		default:
			r, ok := p.escape()
			if !ok {
				return "", p.fail(where, "json_escape", "a string holds an escape that JSON does not know, half a surrogate pair or \\u0000")
			}
			b.WriteRune(r)
		}
	}
	return "", p.fail(where, "json_syntax", "a string does not end")
}

// escape reads one escape sequence. NUL is refused: databases and C programs end a text there.
func (p *parser) escape() (rune, bool) {
	if p.at+1 >= len(p.src) {
		return 0, false
	}
	c := p.src[p.at+1]
	if c == 'u' {
		r, ok := p.hex4()
		if ok && utf16.IsSurrogate(r) {
			var low rune
			low, ok = p.hex4()
			r = utf16.DecodeRune(r, low)
			ok = ok && r != utf8.RuneError
		}
		return r, ok && r != 0
	}
	p.at += 2
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	return 0, false
}

func (p *parser) hex4() (rune, bool) {
	if p.at+6 > len(p.src) || p.src[p.at] != '\\' || p.src[p.at+1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(p.src[p.at+2:p.at+6], 16, 16)
	p.at += 6
	return rune(v), err == nil
}

// number reads a number that an IEEE 754 double can hold (RFC 7493, section 2.2): at most 17 significant digits, magnitude
// below 1e300. What a double cannot hold would be changed by the first program that passes it on, and its hash with it.
func (p *parser) number(where *path) (string, error) {
	start := p.at
	if p.peek() == '-' {
		p.at++
	}
	whole := p.at
	p.digits()
	intDigits := p.src[whole:p.at]
	if intDigits == "" || (len(intDigits) > 1 && intDigits[0] == '0') {
		return "", p.fail(where, "json_syntax", "a number begins with digits, without a zero in front")
	}
	if p.peek() == '.' {
		p.at++
		if p.digits() == 0 {
			return "", p.fail(where, "json_syntax", "digits are missing after the decimal point")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if p.digits() == 0 {
			return "", p.fail(where, "json_syntax", "digits are missing in the exponent")
		}
	}
	text := p.src[start:p.at]
	if !fitsDouble(text) {
		return "", p.fail(where, "number_precision", "the number %.40s does not fit an IEEE 754 double; give it as a string", text)
	}
	return text, nil
}

func (p *parser) digits() (n int) {
	for p.at < len(p.src) && p.src[p.at]-'0' <= 9 {
		p.at++
		n++
	}
	return n
}
