package epcis

import (
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// scope is what an event inherits from the document around it.
type scope struct {
	ns      prefixes
	context string   // the @context as JSON, "" when there is none
	ignored []string // full URIs of extensions that take no part in the hash
	marker  string   // the name of the member that says so
}

func decodeDocument(root *node, lim Limits) (*Document, error) {
	d := &decoder{lim: lim, report: report{max: lim.Errors}}
	if root.kind != isObject {
		d.add(nil, "wrong_type", "an EPCIS document is an object; this is %s", root.kind)
		return nil, d.err()
	}
	doc := &Document{}
	switch t := root.get("type"); {
	case t == nil:
		d.missing(nil, "type", "the type EPCISDocument or EPCISQueryDocument")
	case t.text == "EPCISDocument" || t.text == "EPCISQueryDocument":
		doc.Query = t.text == "EPCISQueryDocument"
	default:
		at := (*path)(nil).member("type")
		d.add(&at, "unknown_type", "the type is EPCISDocument or EPCISQueryDocument")
		return nil, d.err()
	}
	sc := d.documentScope(root)
	for i := range root.kids {
		m := &root.kids[i]
		here := (*path)(nil).member(m.key)
		d.documentMember(doc, m, &here)
	}
	if !doc.Query {
		d.require(root, nil, "schemaVersion", "creationDate")
	}
	if err := d.body(doc, root, sc); err != nil {
		return nil, err
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return doc, nil
}

// documentScope reads the context, and the list of ignored extensions if the document has one.
func (d *decoder) documentScope(root *node) scope {
	var sc scope
	c := root.get("@context")
	if c == nil {
		d.missing(nil, "@context", "the JSON-LD context")
		return sc
	}
	at := (*path)(nil).member("@context")
	sc.ns = d.context(c, &at, nil)
	sc.context = compact(c.src)
	d.ns = sc.ns
	d.ignoredIn(root, nil, &sc)
	return sc
}

// ignoredIn looks for a member ignoreFields of any namespace: a repository lists there the extensions that it added itself and that
// take no part in the event hash, by what the reference implementation of the hash does.
func (d *decoder) ignoredIn(n *node, p *path, sc *scope) {
	for i := range n.kids {
		if ns, name, ok := d.ns.name(n.kids[i].key); ok && ns != "" && name == "ignoreFields" {
			if list, ok := d.ignoreList(&n.kids[i]); ok {
				sc.ignored, sc.marker = append(sc.ignored, list...), n.kids[i].key
				if strings.Contains(ns, "://") {
					sc.marker = ns + name
				}
			}
		}
	}
	if len(sc.ignored) > maxIgnored {
		at := p.member(sc.marker)
		d.add(&at, "too_many", "at most %d fields are left out of the hash", maxIgnored)
	}
}

// maxIgnored bounds a list ignoreFields, which is stored with each event that it concerns.
const maxIgnored = 50

// ignoreList gives the full URIs of an array of names. Any other value makes the member an extension like others.
func (d *decoder) ignoreList(n *node) ([]string, bool) {
	if n.kind != isArray || len(n.kids) > maxIgnored {
		return nil, false
	}
	list := make([]string, 0, len(n.kids))
	for i := range n.kids {
		name := d.ns.expand(n.kids[i].text)
		if n.kids[i].kind != isString || len(name) > 2*maxNamespace {
			return nil, false
		}
		list = append(list, name)
	}
	return list, true
}

func (d *decoder) documentMember(doc *Document, m *node, p *path) {
	switch m.key {
	case "@context", "type", "epcisBody":
	case "id":
		doc.ID = d.identifier(m, p).Text
	case "schemaVersion":
		if s, ok := d.str(m, p); ok && s != "2" && !strings.HasPrefix(s, "2.") {
			d.add(p, "unsupported_version", "the schema version is 2.0, not %.20q", s)
		}
		doc.SchemaVersion = m.text
	case "creationDate":
		doc.Created = d.time(m, p)
	case "sender":
		doc.Sender, _ = d.str(m, p)
	case "receiver":
		doc.Receiver, _ = d.str(m, p)
	case "instanceIdentifier":
		d.str(m, p)
	case "epcisHeader":
		if m.kind != isObject {
			d.add(p, "wrong_type", "the header is an object; this is %s", m.kind)
		}
	default:
		d.extension(m, p)
	}
}

// body walks to the event list and reads its events.
func (d *decoder) body(doc *Document, root *node, sc scope) error {
	n, here := root, (*path)(nil)
	for _, step := range doc.steps() {
		if n.kind != isObject {
			d.add(here, "wrong_type", "an object is wanted; this is %s", n.kind)
			return nil
		}
		if step == "resultsBody" {
			d.ignoredIn(n, here, &sc)
		}
		d.strangers(n, here)
		next := n.get(step)
		if next == nil {
			d.missing(here, step, "the way to the event list")
			return nil
		}
		at := here.member(step)
		n, here = next, &at
	}
	if n.kind != isArray {
		d.add(here, "wrong_type", "an event list is an array; this is %s", n.kind)
		return nil
	}
	if len(n.kids) > d.lim.Events {
		return refused(fault.TooLarge, here.pointer(), "too_many_events", "the document has %d events; at most %d are accepted", len(n.kids), d.lim.Events)
	}
	doc.scope = sc
	doc.Events = make([]*Event, 0, len(n.kids))
	for i := range n.kids {
		if d.total > d.max {
			break
		}
		at := here.item(i)
		doc.Events = append(doc.Events, d.event(&n.kids[i], &at, sc))
	}
	return nil
}

// strangers reports what the objects around the event list do not have. The document itself was checked already.
func (d *decoder) strangers(n *node, p *path) {
	if p == nil {
		return
	}
	for i := range n.kids {
		switch m := &n.kids[i]; m.key {
		case "eventList", "queryResults", "resultsBody", "queryName", "subscriptionID":
		default:
			at := p.member(m.key)
			d.extension(m, &at)
		}
	}
}
