package epcis

import (
	"maps"
	"strings"
	"unicode"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// prefixes resolves the namespace prefixes of one event. nil has the default prefixes only.
type prefixes map[string]string

// defaultPrefixes are those of the GS1 EPCIS context.
var defaultPrefixes = prefixes{
	"gs1":     gs1Voc,
	"cbv":     cbvVoc,
	"epcis":   "https://ref.gs1.org/epcis/",
	"cbvmda":  "urn:epcglobal:cbv:mda:",
	"rdfs":    rdfs,
	"owl":     "http://www.w3.org/2002/07/owl#",
	"xsd":     "http://www.w3.org/2001/XMLSchema#",
	"dcterms": "http://purl.org/dc/terms/",
}

const (
	gs1Voc = "https://gs1.org/voc/"
	cbvVoc = "https://ref.gs1.org/cbv/"
	rdfs   = "http://www.w3.org/2000/01/rdf-schema#"
)

func (ps prefixes) lookup(prefix string) (string, bool) {
	if ns, ok := ps[prefix]; ok {
		return ns, true
	}
	ns, ok := defaultPrefixes[prefix]
	return ns, ok
}

// expand makes a compact URI (CURIE) of a known prefix into the full URI; all other text stays as it is.
func (ps prefixes) expand(s string) string {
	prefix, local, ok := strings.Cut(s, ":")
	if !ok || strings.HasPrefix(local, "//") {
		return s
	}
	if ns, ok := ps.lookup(prefix); ok {
		return ns + local
	}
	return s
}

// name splits a member's name into namespace and local name. Without a namespace both are "". ok is false for a prefix that
// is not declared and for a local name that no vocabulary has.
func (ps prefixes) name(key string) (ns, local string, ok bool) {
	prefix, local, namespaced := strings.Cut(key, ":")
	if !namespaced {
		return "", "", true
	}
	if strings.HasPrefix(local, "//") { // the full URI in place of a prefix
		cut := strings.LastIndexAny(key, "/#") + 1
		ns, local = key[:cut], key[cut:]
		return ns, local, len(ns) > len(prefix)+3 && validLocal(local)
	}
	ns, ok = ps.lookup(prefix)
	return ns, local, ok && validLocal(local)
}

// validLocal keeps out of names what has a meaning in the pre-hash string or is no name in any syntax.
func validLocal(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune("_-.~%/#:", r)
	}) < 0
}

// context reads an @context into the prefixes that were in force outside it.
func (d *decoder) context(n *node, p *path, outer prefixes) prefixes {
	if len(n.src) > d.lim.Context {
		d.add(p, "too_long", "an @context has at most %d bytes", d.lim.Context)
		return outer
	}
	ps := maps.Clone(outer)
	if ps == nil {
		ps = prefixes{}
	}
	d.contextValue(n, p, ps)
	return ps
}

func (d *decoder) contextValue(n *node, p *path, ps prefixes) {
	switch {
	case n.kind == isString:
		if _, err := gs1.ParseEPC(n.text); err != nil {
			d.add(p, "bad_uri", "a context is the absolute URI of a JSON-LD context")
		}
	case n.kind == isObject:
		for i := range n.kids {
			here := p.member(n.kids[i].key)
			d.contextTerm(&n.kids[i], &here, ps)
		}
		for i := range n.kids {
			here := p.member(n.kids[i].key)
			d.contextResolve(n.kids[i].key, &here, ps)
		}
	case n.kind == isArray && p.index < 0:
		for i := range n.kids {
			here := p.item(i)
			d.contextValue(&n.kids[i], &here, ps)
		}
	default:
		d.add(p, "wrong_type", "an @context is a URI, an object of prefixes, or an array of these; this is %s", n.kind)
	}
}

// contextTerm reads one entry of an @context. What is no prefix (keywords, the types of terms) has no meaning here.
func (d *decoder) contextTerm(n *node, p *path, ps prefixes) {
	if strings.HasPrefix(n.key, "@") || strings.Contains(n.key, ":") {
		return
	}
	value := n
	if n.kind == isObject {
		if value = n.get("@id"); value == nil {
			return
		}
	}
	switch n.key {
	case "urn", "http", "https", "ni", "geo", "tag", "data", "mailto":
		d.add(p, "reserved_prefix", "%q begins URIs and cannot be a prefix", n.key)
		return
	}
	if value.kind != isString {
		d.add(p, "wrong_type", "a prefix stands for the URI of a namespace; this is %s", value.kind)
		return
	}
	if _, err := gs1.ParseEPC(value.text); err != nil || strings.ContainsAny(value.text, "{}") {
		d.add(p, "bad_uri", "a prefix stands for the absolute URI of a namespace")
		return
	}
	ps[n.key] = value.text
}

// contextResolve expands a namespace that is itself written with a prefix. The order of the prefixes does not matter.
func (d *decoder) contextResolve(prefix string, p *path, ps prefixes) {
	ns := ps[prefix]
	for range maxPrefixChain {
		next := ps.expand(ns)
		if next == ns {
			if ns != "" {
				ps[prefix] = ns
			}
			if len(ns) > maxNamespace {
				d.add(p, "too_long", "a namespace has at most %d bytes", maxNamespace)
			}
			return
		}
		ns = next
	}
	d.add(p, "bad_uri", "the prefix is defined by itself")
	delete(ps, prefix)
}

// maxNamespace is the longest namespace in bytes.
const maxNamespace = 512

// maxPrefixChain is how many prefixes may be defined one by the other.
const maxPrefixChain = 8
