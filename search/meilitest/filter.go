package meilitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filter is a parsed filter expression:
//
//	or   = and { "OR" and }
//	and  = not { "AND" not }
//	not  = "NOT" not | "(" or ")" | attribute ( ("=" | "!=" | "<" | "<=" | ">" | ">=") value | ["NOT"] "IN" "[" value { "," value } "]" )
//
// A value is a word of letters, digits, "_", "-", "/" and ".", or quoted with ' or ", where \ protects the quote and itself.
type filter struct {
	op     string // "OR", "AND", "NOT", a comparison, or "IN"
	args   []filter
	name   string
	values []string
}

var errFilter = errors.New("invalid filter expression")

// maxDepth bounds nesting, as Meilisearch does.
const maxDepth = 200

type filterToken struct {
	text string
	word bool // not a keyword or a sign, whatever its text
}

func parseFilter(s string) (filter, error) {
	toks, err := filterTokens(s)
	if err != nil {
		return filter{}, err
	}
	p := &filterParser{toks: toks}
	f, err := p.or(0)
	if err == nil && len(p.toks) > 0 {
		err = fmt.Errorf("%w: %q is too much", errFilter, p.toks[0].text)
	}
	return f, err
}

func filterTokens(s string) ([]filterToken, error) {
	var out []filterToken
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case unicode.IsSpace(r):
			s = s[n:]
		case r == '"' || r == '\'':
			text, rest, ok := quoted(s[n:], byte(r))
			if !ok {
				return nil, fmt.Errorf("%w: a quote is not closed", errFilter)
			}
			out, s = append(out, filterToken{text, true}), rest
		case strings.ContainsRune("()[],", r):
			out, s = append(out, filterToken{text: string(r)}), s[n:]
		case strings.ContainsRune("=!<>", r):
			if len(s) > 1 && s[1] == '=' && r != '=' {
				n++
			}
			out, s = append(out, filterToken{text: s[:n]}), s[n:]
		default:
			end := strings.IndexFunc(s, func(r rune) bool { return !isFilterWord(r) })
			if end < 0 {
				end = len(s)
			}
			if end == 0 {
				return nil, fmt.Errorf("%w: unexpected %q", errFilter, r)
			}
			out, s = append(out, filterToken{s[:end], !isFilterKeyword(s[:end])}), s[end:]
		}
	}
	return out, nil
}

func isFilterWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-/.", r)
}

func isFilterKeyword(s string) bool { return s == "AND" || s == "OR" || s == "NOT" || s == "IN" }

// quoted reads up to the closing quote.
func quoted(s string, quote byte) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == quote || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

type filterParser struct{ toks []filterToken }

// take takes the next token if it is this keyword or sign.
func (p *filterParser) take(text string) bool {
	if len(p.toks) > 0 && !p.toks[0].word && p.toks[0].text == text {
		p.toks = p.toks[1:]
		return true
	}
	return false
}

func (p *filterParser) value() (string, error) {
	if len(p.toks) == 0 || !p.toks[0].word {
		return "", fmt.Errorf("%w: a value is missing", errFilter)
	}
	v := p.toks[0].text
	p.toks = p.toks[1:]
	return v, nil
}

func (p *filterParser) or(depth int) (filter, error) { return p.chain("OR", p.and, depth) }

func (p *filterParser) and(depth int) (filter, error) { return p.chain("AND", p.not, depth) }

func (p *filterParser) chain(op string, next func(int) (filter, error), depth int) (filter, error) {
	first, err := next(depth)
	if err != nil {
		return first, err
	}
	f := filter{op: op, args: []filter{first}}
	for p.take(op) {
		arg, err := next(depth)
		if err != nil {
			return arg, err
		}
		f.args = append(f.args, arg)
	}
	return f, nil
}

func (p *filterParser) not(depth int) (filter, error) {
	if depth++; depth > maxDepth {
		return filter{}, fmt.Errorf("%w: nested too deeply", errFilter)
	}
	if p.take("NOT") {
		arg, err := p.not(depth)
		return filter{op: "NOT", args: []filter{arg}}, err
	}
	if p.take("(") {
		f, err := p.or(depth)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("%w: a parenthesis is not closed", errFilter)
		}
		return f, err
	}
	return p.condition()
}

func (p *filterParser) condition() (filter, error) {
	name, err := p.value()
	if err != nil {
		return filter{}, err
	}
	for _, op := range []string{"=", "!=", "<", "<=", ">", ">="} {
		if p.take(op) {
			v, err := p.value()
			return filter{op: op, name: name, values: []string{v}}, err
		}
	}
	negative := p.take("NOT")
	if !p.take("IN") || !p.take("[") {
		return filter{}, fmt.Errorf("%w: an operator is missing after %q", errFilter, name)
	}
	f := filter{op: "IN", name: name}
	for !p.take("]") {
		if len(f.values) > 0 && !p.take(",") {
			return f, fmt.Errorf("%w: a comma is missing", errFilter)
		}
		v, err := p.value()
		if err != nil {
			return f, err
		}
		f.values = append(f.values, v)
	}
	if negative {
		return filter{op: "NOT", args: []filter{f}}, nil
	}
	return f, nil
}

// attributes lists the attributes that the filter looks at.
func (f filter) attributes(out []string) []string {
	if f.name != "" {
		out = append(out, f.name)
	}
	for _, a := range f.args {
		out = a.attributes(out)
	}
	return out
}

func (f filter) matches(d document) bool {
	switch f.op {
	case "OR":
		for _, a := range f.args {
			if a.matches(d) {
				return true
			}
		}
		return false
	case "AND":
		for _, a := range f.args {
			if !a.matches(d) {
				return false
			}
		}
		return true
	case "NOT":
		return !f.args[0].matches(d)
	case "!=":
		return !filter{op: "=", name: f.name, values: f.values}.matches(d)
	}
	for _, v := range valuesOf(d[f.name]) {
		for _, want := range f.values {
			if compare(f.op, v, want) {
				return true
			}
		}
	}
	return false
}

// valuesOf gives the values of an attribute: one, or those of an array.
func valuesOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

// compare compares numbers as float64 and texts without regard to case. Texts have no order.
func compare(op string, have any, want string) bool {
	if n, ok := have.(json.Number); ok {
		a, err := n.Float64()
		if err != nil {
			return false
		}
		b, err := strconv.ParseFloat(want, 64)
		if err != nil {
			return false
		}
		switch op {
		case "<":
			return a < b
		case "<=":
			return a <= b
		case ">":
			return a > b
		case ">=":
			return a >= b
		}
		return a == b
	}
	return (op == "=" || op == "IN") && strings.EqualFold(fmt.Sprint(have), want)
}
