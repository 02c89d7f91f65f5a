package epcis

import (
	"errors"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
)

func (d *decoder) missing(p *path, key, what string) {
	at := p.member(key)
	d.add(&at, "missing", "%s is missing", what)
}

// require reports each member that n does not have.
func (d *decoder) require(n *node, p *path, keys ...string) {
	for _, key := range keys {
		if n.get(key) == nil {
			d.missing(p, key, key)
		}
	}
}

// unknown reports a member that has no business here.
func (d *decoder) unknown(m *node, p *path) {
	if strings.Contains(m.key, ":") {
		d.add(p, "no_extension", "EPCIS 2.0 allows no extension at this place")
		return
	}
	d.add(p, "unknown_field", "EPCIS 2.0 has no field %.60q here; extensions carry the prefix of a declared namespace", m.key)
}

// str reads a text that is not empty and neither begins nor ends with white space.
func (d *decoder) str(n *node, p *path) (string, bool) {
	switch {
	case n.kind != isString:
		d.add(p, "wrong_type", "a string is wanted; this is %s", n.kind)
	case n.text == "":
		d.add(p, "empty", "the text is empty; leave the field out instead")
	case strings.TrimSpace(n.text) != n.text:
		d.add(p, "white_space", "the text begins or ends with white space")
	default:
		return n.text, true
	}
	return "", false
}

// identifier reads a URI; GS1 keys must be right.
func (d *decoder) identifier(n *node, p *path) Identifier {
	s, ok := d.str(n, p)
	if !ok {
		return Identifier{}
	}
	epc, err := gs1.ParseEPC(d.ns.expand(s))
	if err != nil {
		code, detail := "epc_syntax", err.Error()
		if f, ok := errors.AsType[*fault.Error](err); ok {
			code, detail = f.Code, f.Detail
		}
		d.add(p, code, "%s", detail)
		return Identifier{}
	}
	return Identifier{s, epc}
}

// identifiers reads a list of things, each of which is named once.
func (d *decoder) identifiers(n *node, p *path) []Identifier {
	if !d.isArray(n, p) || len(n.kids) == 0 {
		return nil
	}
	ids := make([]Identifier, 0, len(n.kids))
	var seen map[gs1.EPC]bool
	if len(n.kids) > 16 {
		seen = make(map[gs1.EPC]bool, len(n.kids))
	}
	for i := range n.kids {
		at := p.item(i)
		id := d.identifier(&n.kids[i], &at)
		twice := false
		if seen != nil {
			twice = seen[id.EPC]
			seen[id.EPC] = true
		} else {
			for _, other := range ids {
				twice = twice || other.EPC == id.EPC
			}
		}
		if twice && !id.IsZero() {
			d.add(&at, "duplicate", "the list names %.120s twice", id)
		}
		ids = append(ids, id)
	}
	return ids
}

func (d *decoder) isArray(n *node, p *path) bool {
	if n.kind != isArray {
		d.add(p, "wrong_type", "an array is wanted; this is %s", n.kind)
	}
	return n.kind == isArray
}

func (d *decoder) isObject(n *node, p *path) bool {
	if n.kind != isObject {
		d.add(p, "wrong_type", "an object is wanted; this is %s", n.kind)
	}
	return n.kind == isObject
}

func (d *decoder) number(n *node, p *path) Decimal {
	if n.kind != isNumber {
		d.add(p, "not_a_number", "a number without quotation marks is wanted; this is %s", n.kind)
		return ""
	}
	return jsonDecimal(n.text)
}

func (d *decoder) time(n *node, p *path) Timestamp {
	s, ok := d.str(n, p)
	if !ok {
		return Timestamp{}
	}
	t, code, bad := parseTime(s)
	if bad != "" {
		d.add(p, code, "%.60q is no time that can be recorded: %s", s, bad)
	}
	return t
}

func (d *decoder) terms(n *node, p *path, v *vocabulary) []Term {
	if !d.isArray(n, p) {
		return nil
	}
	terms := make([]Term, 0, len(n.kids))
	for i := range n.kids {
		at := p.item(i)
		terms = append(terms, d.term(&n.kids[i], &at, v))
	}
	return terms
}

// extension reads a member of a namespace, whose value may be any JSON. Names inside must be of declared namespaces too.
func (d *decoder) extension(m *node, p *path) (Extension, bool) {
	ns, name, ok := d.ns.name(m.key)
	switch {
	case !ok:
		d.add(p, "undeclared_prefix", "no @context declares the prefix of %.80q, or the name behind it is no name", m.key)
		return Extension{}, false
	case ns == "":
		d.unknown(m, p)
		return Extension{}, false
	}
	d.extensionValue(m, p)
	return Extension{Namespace: ns, Name: name, Value: []byte(compact(m.src)), node: m, ns: d.ns}, true
}

func (d *decoder) extensionValue(n *node, p *path) {
	for i := range n.kids {
		kid := &n.kids[i]
		if n.kind == isArray {
			at := p.item(i)
			d.extensionValue(kid, &at)
			continue
		}
		at := p.member(kid.key)
		if ns, _, ok := d.ns.name(kid.key); !ok {
			d.add(&at, "undeclared_prefix", "no @context declares the prefix of %.80q, or the name behind it is no name", kid.key)
		} else if ns == "" && !keyword(kid.key) {
			d.add(&at, "no_namespace", "%.80q lacks the prefix of a declared namespace", kid.key)
		}
		d.extensionValue(kid, &at)
	}
}

// keyword says whether a name without prefix means something to JSON-LD inside an extension; id and type are aliases of the
// GS1 context.
func keyword(key string) bool {
	switch key {
	case "id", "type", "@id", "@type", "@value", "@language", "@list", "@set":
		return true
	}
	return false
}

// namespaced reads an object all of whose members are extensions.
func (d *decoder) namespaced(n *node, p *path) []Extension {
	if !d.isObject(n, p) {
		return nil
	}
	xs := make([]Extension, 0, len(n.kids))
	for i := range n.kids {
		at := p.member(n.kids[i].key)
		if !strings.Contains(n.kids[i].key, ":") {
			d.add(&at, "no_namespace", "%.80q lacks the prefix of a declared namespace", n.kids[i].key)
			continue
		}
		if x, ok := d.extension(&n.kids[i], &at); ok {
			xs = append(xs, x)
		}
	}
	return xs
}
