package web

import (
	"html/template"
	"slices"
	"strconv"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// cardView is a list of facts with the mark of who vouches for them.
type cardView struct {
	Mark  template.HTML
	Facts []fact
}

type fact struct {
	Label string
	Value spoken
	Code  bool // a number to be compared with the package

	Mark template.HTML // who stands behind it; "" where the fact needs nobody, such as the code itself
	By   string
}

// paperView is a document about the goods: of the lot first, then of the product.
type paperView struct {
	Kind   string
	About  string // that it is about the lot, or the product
	Mark   template.HTML
	By     string
	Chip   string // that it has expired
	Issuer string
	Number string
	Valid  string
	Hash   string
	Link   string // of the file; "": it is not public
	Type   string // of the file
}

// maxSellers is how many firms one card names.
const maxSellers = 10

func sellers(tag string, firms []trace.FirmName) spoken {
	names := make([]string, 0, len(firms))
	for _, f := range firms {
		name := f.Name.In(tag)
		if name == "" {
			name = f.ID
		}
		names = append(names, clean(name))
	}
	return spoken{Text: join(tag, names, maxSellers)}
}

func newCard(tag, provenance string, facts []fact) *cardView {
	facts = slices.DeleteFunc(facts, func(f fact) bool { return f.Value.Text == "" && f.Mark == "" })
	for i := range facts {
		facts[i].Label = words[facts[i].Label].in(tag)
	}
	return &cardView{Mark: mark(tag, provenance), Facts: facts}
}

// told marks a fact with who stands behind it. A fact that is missing is shown as such if it is one that shoppers look for.
func (f fact) told(tag string, by trace.Fact, firms []trace.FirmName, expected bool) fact {
	if f.Value.Text == "" && !expected {
		return f
	}
	if f.Value.Text == "" {
		by = trace.Fact{Status: trace.ProvMissing}
	}
	f.Mark, f.By = mark(tag, by.Status), whoSaid(tag, by, firms)
	return f
}

// whoSaid names who stands behind a fact: an authority with its document and date, or a firm.
func whoSaid(tag string, by trace.Fact, firms []trace.FirmName) string {
	switch by.Status {
	case trace.ProvVerified:
		parts := []string{clean(by.Name.In(tag))}
		if by.Document != "" {
			parts = append(parts, words["chain.doc"].in(tag)+" "+clean(by.Document))
		}
		parts = append(parts, day(tag, by.Date))
		return join(tag, slices.DeleteFunc(parts, func(p string) bool { return p == "" }), len(parts))
	case trace.ProvClaimed:
		for _, f := range firms {
			if f.ID == by.By {
				return clean(f.Name.In(tag))
			}
		}
	}
	return ""
}

func productCard(tag string, p *trace.ProductView) *cardView {
	told := func(f fact, by trace.Fact, expected bool) fact { return f.told(tag, by, p.Sellers, expected) }
	return newCard(tag, p.Provenance, []fact{
		told(fact{Label: "name", Value: speak(tag, p.Name)}, p.Facts.Name, true),
		told(fact{Label: "product_brand", Value: speak(tag, p.Brand)}, p.Facts.Brand, true),
		told(fact{Label: "net", Value: spoken{Text: clean(p.Net)}}, p.Facts.Net, false),
		told(fact{Label: "category", Value: spoken{Text: categoryName(tag, p.Category)}}, p.Facts.Category, false),
		told(fact{Label: "origin", Value: spoken{Text: country(tag, p.Origin)}}, p.Facts.Origin, true),
		{Label: "gtin", Value: spoken{Text: clean(p.GTIN)}, Code: true},
		{Label: "sellers", Value: sellers(tag, p.Sellers)},
		{Label: "lot_hint", Value: speak(tag, p.LotHint)},
	})
}

func lotCard(tag string, l *trace.LotView) *cardView {
	quantity := ""
	if l.Quantity > 0 {
		quantity = thousands(l.Quantity)
	}
	told := func(f fact, by trace.Fact, expected bool) fact { return f.told(tag, by, l.Sellers, expected) }
	return newCard(tag, l.Provenance, []fact{
		{Label: "lot", Value: spoken{Text: clean(l.Lot)}, Code: true},
		told(fact{Label: "produced", Value: spoken{Text: day(tag, l.Produced)}}, l.Facts.Produced, true),
		told(fact{Label: "expires", Value: spoken{Text: day(tag, l.Expires)}}, l.Facts.Expires, true),
		told(fact{Label: "quantity", Value: spoken{Text: quantity}}, l.Facts.Quantity, false),
		told(fact{Label: "declaration", Value: spoken{Text: clean(l.Declaration)}, Code: true}, l.Facts.Declaration, true),
		told(fact{Label: "inspection", Value: spoken{Text: clean(l.Inspection)}, Code: true}, l.Facts.Inspection, true),
		{Label: "sellers", Value: sellers(tag, l.Sellers)},
	})
}

func papers(tag, about string, docs []trace.PaperView) []paperView {
	out := make([]paperView, 0, len(docs))
	for i := range docs {
		d := &docs[i]
		v := paperView{
			Kind: clean(d.Kind.Name().In(tag)), About: about, Mark: mark(tag, d.Fact.Status), By: whoSaid(tag, d.Fact, []trace.FirmName{d.Firm}),
			Issuer: clean(d.Issuer), Number: clean(d.Number), Valid: validity(tag, d.From, d.Until), Hash: clean(d.Hash), Link: d.File, Type: fileTypes[d.Media],
		}
		if d.State == trace.PaperExpired {
			v.Chip = words["paper.expired"].in(tag)
		}
		out = append(out, v)
	}
	return out
}

var fileTypes = map[string]string{"application/pdf": "PDF", "image/jpeg": "JPEG", "image/png": "PNG"}

// validity is from when to when a document is good, as far as it says.
func validity(tag, from, until string) string {
	switch {
	case from == "" && until == "":
		return ""
	case until == "":
		return day(tag, from) + words["paper.from"].in(tag)
	case from == "":
		return words["paper.until"].in(tag) + day(tag, until)
	}
	return day(tag, from) + words["paper.to"].in(tag) + day(tag, until)
}

func categoryName(tag, code string) string {
	if name := warning.CategoryName(code).In(tag); name != "" {
		return name
	}
	return clean(code)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// vouched is the class of a provenance; what is not vouched for counts as missing.
func vouched(provenance string) string {
	switch provenance {
	case trace.ProvVerified, trace.ProvClaimed:
		return provenance
	}
	return trace.ProvMissing
}

// mark is how a provenance is marked.
func mark(tag, provenance string) template.HTML { return marks[tag][vouched(provenance)] }

var marks = map[string]map[string]template.HTML{lang.ZhHans: marksIn(lang.ZhHans), lang.En: marksIn(lang.En)}

func marksIn(tag string) map[string]template.HTML {
	out := map[string]template.HTML{}
	for _, p := range [...]string{trace.ProvVerified, trace.ProvClaimed, trace.ProvMissing} {
		//nolint:gosec // made of this package's own texts
		out[p] = template.HTML(`<span class="mark m-` + p + `">` + words["prov."+p].in(tag) + `</span>`)
	}
	return out
}
