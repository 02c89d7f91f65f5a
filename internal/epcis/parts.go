package epcis

func (d *decoder) quantities(n *node, p *path) []Quantity {
	if !d.isArray(n, p) || len(n.kids) == 0 {
		return nil
	}
	list := make([]Quantity, 0, len(n.kids))
	for i := range n.kids {
		at := p.item(i)
		list = append(list, d.quantity(&n.kids[i], &at))
	}
	return list
}

// quantity reads a QuantityElement (EPCIS 2.0, section 7.3.3.3).
func (d *decoder) quantity(n *node, p *path) (q Quantity) {
	if !d.isObject(n, p) {
		return q
	}
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		switch m.key {
		case "epcClass":
			q.Class = d.class(m, &at)
		case "quantity":
			if q.Amount = d.number(m, &at); q.Amount.negative() {
				d.add(&at, "out_of_range", "a quantity is not negative")
			}
		case "uom":
			q.UOM = d.unit(m, &at)
		default:
			d.unknown(m, &at)
		}
	}
	d.require(n, p, "epcClass")
	amount := n.get("quantity")
	at := p.member("quantity")
	switch {
	case amount == nil && q.UOM != "":
		d.add(&at, "missing", "there is a unit of measure but no quantity")
	case q.Amount != "" && n.get("uom") == nil && !q.Amount.integer():
		d.add(&at, "not_whole", "without a unit of measure the quantity counts pieces and is a whole number")
	}
	return q
}

// class reads the identifier of a class of objects: a serialised thing has no quantity.
func (d *decoder) class(n *node, p *path) Identifier {
	id := d.identifier(n, p)
	if instance(id) {
		d.add(p, "not_a_class", "%.120s names one single thing; a quantity is of a product, lot or other class", id)
	}
	return id
}

// unit reads a code of UN/ECE recommendation 20: two or three capital letters or digits.
func (d *decoder) unit(n *node, p *path) string {
	s, ok := d.str(n, p)
	if !ok {
		return ""
	}
	good := len(s) == 2 || len(s) == 3
	for i := range len(s) {
		good = good && (s[i]-'A' <= 25 || s[i]-'0' <= 9)
	}
	if !good {
		d.add(p, "bad_unit", "a unit of measure is a code of UN/ECE recommendation 20, such as KGM")
	}
	return s
}

// place reads a read point or business location (EPCIS 2.0, section 7.3.4).
func (d *decoder) place(n *node, p *path) (pl Place) {
	if !d.isObject(n, p) {
		return pl
	}
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		if m.key == "id" {
			pl.ID = d.identifier(m, &at)
		} else if x, ok := d.extension(m, &at); ok {
			pl.Extensions = append(pl.Extensions, x)
		}
	}
	d.require(n, p, "id")
	return pl
}

func (d *decoder) bizTransactions(n *node, p *path) []BizTransaction {
	if !d.isArray(n, p) {
		return nil
	}
	list := make([]BizTransaction, 0, len(n.kids))
	for i := range n.kids {
		at := p.item(i)
		t, id := d.typed(&n.kids[i], &at, "bizTransaction", bizTransactionTypes)
		list = append(list, BizTransaction{t, id})
	}
	return list
}

func (d *decoder) parties(n *node, p *path, key string) []Party {
	if !d.isArray(n, p) {
		return nil
	}
	list := make([]Party, 0, len(n.kids))
	for i := range n.kids {
		at := p.item(i)
		t, id := d.typed(&n.kids[i], &at, key, sourceDestTypes)
		if n.kids[i].kind == isObject {
			d.require(&n.kids[i], &at, "type")
		}
		list = append(list, Party{t, id})
	}
	return list
}

// typed reads an object of a type and an identifier (EPCIS 2.0, sections 7.3.5.3 and 7.3.5.4).
func (d *decoder) typed(n *node, p *path, key string, types *vocabulary) (t Term, id Identifier) {
	if !d.isObject(n, p) {
		return "", id
	}
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		switch m.key {
		case "type":
			t = d.term(m, &at, types)
		case key:
			id = d.identifier(m, &at)
		default:
			d.unknown(m, &at)
		}
	}
	d.require(n, p, key)
	return t, id
}

// errorDeclaration reads EPCIS 2.0, section 7.4.1.4.
func (d *decoder) errorDeclaration(n *node, p *path) *ErrorDeclaration {
	if !d.isObject(n, p) {
		return nil
	}
	var e ErrorDeclaration
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		switch m.key {
		case "declarationTime":
			e.Time = d.time(m, &at)
		case "reason":
			e.Reason = d.term(m, &at, errorReasons)
		case "correctiveEventIDs":
			for _, id := range d.identifiers(m, &at) {
				e.Corrective = append(e.Corrective, id.Text)
			}
		default:
			if x, ok := d.extension(m, &at); ok {
				e.Extensions = append(e.Extensions, x)
			}
		}
	}
	d.require(n, p, "declarationTime")
	return &e
}

// certification reads certificationInfo: the URI of a certificate, or an array of URIs and of objects that describe a certificate
// in the terms of a namespace, such as gs1:CertificationDetails (GS1 Web Vocabulary).
func (d *decoder) certification(n *node, p *path) []Certification {
	if n.kind != isArray {
		return []Certification{d.certificate(n, p)}
	}
	list := make([]Certification, 0, len(n.kids))
	for i := range n.kids {
		at := p.item(i)
		list = append(list, d.certificate(&n.kids[i], &at))
	}
	if len(list) == 0 {
		d.add(p, "empty", "the list of certificates is empty; leave it out instead")
	}
	return list
}

func (d *decoder) certificate(n *node, p *path) Certification {
	if n.kind != isObject {
		return Certification{URI: d.identifier(n, p).Text}
	}
	if len(n.kids) == 0 {
		d.add(p, "empty", "the certificate has no details")
	}
	c := Certification{Details: d.namespaced(n, p)}
	d.certificateValues(n, p)
	return c
}

// certificateValues checks, at any depth, the members that the GS1 Web Vocabulary gives a type.
func (d *decoder) certificateValues(n *node, p *path) {
	for i := range n.kids {
		m := &n.kids[i]
		at := p.item(i)
		if n.kind == isObject {
			at = p.member(m.key)
		}
		switch d.ns.expand(m.key) {
		case gs1Voc + "certificationStartDate", gs1Voc + "certificationEndDate", gs1Voc + "certificationAuditDate",
			gs1Voc + "initialCertificationDate":
			if m.kind == isString && !validDate(m.text) {
				d.add(&at, "bad_date", "%.60q is no date; write it as 2026-07-22", m.text)
			}
		case gs1Voc + "certificationURI":
			if m.kind == isString {
				d.identifier(m, &at)
			}
		}
		d.certificateValues(m, &at)
	}
}
