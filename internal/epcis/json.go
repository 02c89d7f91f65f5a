package epcis

import (
	"strings"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
)

type kind uint8

const (
	isNull kind = iota
	isBool
	isNumber
	isString
	isArray
	isObject
)

// String names the kind for an error message, with its article.
func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// node is one JSON value. Its strings share memory with the source.
type node struct {
	key  string // its name, when it is a member of an object
	text string // the decoded string, or the literal of a number or boolean
	kids []node // items or members, in the order of the source
	src  string // as written, with the white space inside
	kind kind
}

// get finds a member; nil when there is none. Of the two members "eventID" that one object may have it gives the last.
func (n *node) get(key string) *node {
	for i := len(n.kids) - 1; i >= 0; i-- {
		if n.kids[i].key == key {
			return &n.kids[i]
		}
	}
	return nil
}

// parser reads strict JSON (RFC 8259, and I-JSON's rules on names, numbers and Unicode, RFC 7493) under limits.
type parser struct {
	src    string
	at     int
	lim    Limits
	values int
	depth  int
}

// parse reads one JSON text. The errors are of kind Malformed, with the byte offset in the detail, Invalid for what exceeds a limit of one value, or
// TooLarge; each has the pointer of the innermost value in its field.
func parse(data []byte, lim Limits) (node, error) {
	if len(data) > lim.Bytes {
		return node{}, refused(fault.TooLarge, "", "body_too_large", "the body has %d bytes; at most %d are accepted", len(data), lim.Bytes)
	}
	p := parser{src: string(data), lim: lim}
	if !utf8.ValidString(p.src) {
		return node{}, p.fail(nil, "json_utf8", "the body is not valid UTF-8")
	}
	p.space()
	n, err := p.value(nil)
	if err != nil {
		return node{}, err
	}
	if p.space(); p.at < len(p.src) {
		return node{}, p.fail(nil, "json_syntax", "something follows the end of the JSON text")
	}
	return n, nil
}

func (p *parser) fail(where *path, code, format string, args ...any) error {
	e := refused(fault.Malformed, where.pointer(), code, format, args...)
	e.Detail += " (at byte " + itoa(p.at) + ")"
	return e
}

// exceed refuses what is JSON and exceeds a limit.
func (p *parser) exceed(where *path, code, format string, args ...any) error {
	return refused(fault.Invalid, where.pointer(), code, format, args...)
}

func (p *parser) space() {
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

func (p *parser) value(where *path) (n node, err error) {
	if p.values++; p.values > p.lim.Values {
		return n, refused(fault.TooLarge, "", "too_many_values", "the body has more than %d JSON values", p.lim.Values)
	}
	start := p.at
	switch c := p.peek(); {
	case c == '{':
		n.kind = isObject
		err = p.container(where, '}', &n)
	case c == '[':
		n.kind = isArray
		err = p.container(where, ']', &n)
	case c == '"':
		n.kind = isString
		n.text, err = p.str(where)
	case c == '-' || (c >= '0' && c <= '9'):
		n.kind = isNumber
		n.text, err = p.number(where)
	case p.word("true"), p.word("false"):
		n.kind, n.text = isBool, p.src[start:p.at]
	case p.word("null"):
	case p.at >= len(p.src):
		return n, p.fail(where, "json_syntax", "the JSON text ends too early")
	default:
		return n, p.fail(where, "json_syntax", "no JSON value begins with %.10q", p.src[p.at:min(p.at+1, len(p.src))])
	}
	n.src = p.src[start:p.at]
	return n, err
}

func (p *parser) word(w string) bool {
	if !strings.HasPrefix(p.src[p.at:], w) {
		return false
	}
	p.at += len(w)
	return true
}

// container reads an array or object up to its closing bracket.
func (p *parser) container(where *path, end byte, n *node) error {
	if p.depth++; p.depth > p.lim.Depth {
		return p.exceed(where, "json_depth", "values are nested more than %d deep", p.lim.Depth)
	}
	p.at++
	for p.space(); p.peek() != end; {
		if len(n.kids) >= p.lim.List {
			return p.exceed(where, "too_many", "more than %d elements", p.lim.List)
		}
		if len(n.kids) > 0 {
			if p.peek() != ',' {
				return p.fail(where, "json_syntax", "a comma or %q is missing", string(end))
			}
			p.at++
			p.space()
		}
		if err := p.element(where, n); err != nil {
			return err
		}
		p.space()
	}
	p.at++
	p.depth--
	return p.unique(where, n)
}

// element reads an item, or a member with its name, into n.
func (p *parser) element(where *path, n *node) error {
	if n.kind == isArray {
		here := where.item(len(n.kids))
		kid, err := p.value(&here)
		n.kids = append(n.kids, kid)
		return err
	}
	if p.peek() != '"' {
		return p.fail(where, "json_syntax", "a member's name in quotation marks is missing")
	}
	key, err := p.str(where)
	if err != nil {
		return err
	}
	if p.space(); p.peek() != ':' {
		return p.fail(where, "json_syntax", "a colon is missing after the name %.60q", key)
	}
	p.at++
	p.space()
	here := where.member(key)
	kid, err := p.value(&here)
	kid.key = key
	n.kids = append(n.kids, kid)
	return err
}

// unique refuses a second member of one name. One exception: GS1's own examples give an event its hash ID and another ID in two
// members "eventID". Those two are told apart by their form, so nothing is ambiguous.
func (p *parser) unique(where *path, n *node) error {
	if n.kind == isArray || len(n.kids) < 2 {
		return nil
	}
	var seen map[string]int
	if len(n.kids) > 16 {
		seen = make(map[string]int, len(n.kids))
	}
	for i := range n.kids {
		key, first := n.kids[i].key, -1
		if seen == nil {
			for j := range n.kids[:i] {
				if n.kids[j].key == key {
					first = j
				}
			}
		} else {
			if j, twice := seen[key]; twice {
				first = j
			}
			seen[key] = i
		}
		if first >= 0 && (key != "eventID" || isHashID(n.kids[first].text) == isHashID(n.kids[i].text)) {
			here := where.member(key)
			return p.fail(&here, "duplicate_member", "the name %.60q stands twice in one object", key)
		}
	}
	return nil
}
