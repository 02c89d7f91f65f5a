package trace

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// maxFirms is how many firms' records of one product or lot are merged into the public view.
const maxFirms = 50

// PutProduct stores a firm's own record of a product. It may be repeated: the same record again changes nothing. Invalid.
func (s *Service) PutProduct(ctx context.Context, f firm.Firm, p Product) (stored Product, created bool, err error) {
	stored, o, err := s.SaveProduct(ctx, f, p, false)
	return stored, o == New, err
}

// PutLot stores a firm's own record of a lot. The product must be known. It may be repeated: the same record again changes nothing. Invalid,
// NotFound.
func (s *Service) PutLot(ctx context.Context, f firm.Firm, l Lot) (stored Lot, created bool, err error) {
	stored, o, err := s.SaveLot(ctx, f, l, false)
	return stored, o == New, err
}

// checker collects broken rules.
type checker []fault.Field

func (c *checker) add(bad bool, pointer, code, detail string) {
	if bad {
		*c = append(*c, fault.Field{Pointer: pointer, Code: code, Detail: detail})
	}
}

func (c *checker) text(pointer string, t lang.Text, limit int) {
	for tag, v := range t {
		c.add(!lang.Valid(tag), pointer+"/"+tag, "language", "the languages are zh-Hans and en")
		c.add(utf8.RuneCountInString(v) > limit, pointer+"/"+tag, "too_long", "the text is too long")
	}
}

func (c checker) err() error {
	if len(c) == 0 {
		return nil
	}
	return fault.InvalidFields(c...)
}

var countryPattern = regexp.MustCompile(`^[A-Z]{2}$`)

func (p Product) validate() error {
	var c checker
	if _, err := gs1.ParseGTIN(string(p.GTIN)); err != nil {
		return err
	}
	c.add(p.Name.In(lang.ZhHans) == "", "/name", "required", "a name in zh-Hans or en")
	c.text("/name", p.Name, 200)
	c.text("/brand", p.Brand, 100)
	c.text("/description", p.Description, 2000)
	c.text("/lot_hint", p.LotHint, 200)
	c.add(warning.CategoryName(p.Category) == nil, "/category", "category", "the category is not in the vocabulary")
	c.add(p.Origin != "" && !countryPattern.MatchString(p.Origin), "/origin", "country", "an ISO 3166-1 alpha-2 code such as FR")
	c.add(len(p.Net) > 100, "/net", "too_long", "at most 100 bytes")
	return c.err()
}

var numberPattern = regexp.MustCompile(`^[0-9A-Za-z/-]{1,40}$`)

func (l Lot) validate() error {
	var c checker
	if _, err := gs1.ParseGTIN(string(l.GTIN)); err != nil {
		return err
	}
	if err := gs1.ValidLot(l.Lot); err != nil {
		return err
	}
	produced, okP := parseDate(l.Produced)
	expires, okE := parseDate(l.Expires)
	c.add(!okP, "/produced", "date", "a date as YYYY-MM-DD")
	c.add(!okE, "/expires", "date", "a date as YYYY-MM-DD")
	c.add(okP && okE && l.Produced != "" && l.Expires != "" && expires.Before(produced), "/expires", "date_order", "before the production date")
	c.add(l.Quantity < 0 || l.Quantity > 1e12, "/quantity", "range", "0 to 1,000,000,000,000")
	c.add(l.Declaration != "" && !numberPattern.MatchString(l.Declaration), "/declaration", "number", "letters, digits, '-' and '/', at most 40")
	c.add(l.Inspection != "" && !numberPattern.MatchString(l.Inspection), "/inspection", "number", "letters, digits, '-' and '/', at most 40")
	return c.err()
}

// parseDate reads YYYY-MM-DD. Empty is fine.
func parseDate(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	t, err := time.Parse(time.DateOnly, s)
	return t, err == nil
}

// Product gives the public view of a product. NotFound.
func (s *Service) Product(ctx context.Context, g gs1.GTIN) (*ProductView, error) {
	page, err := s.products.Find(ctx, store.Query{Index: byGTIN, Eq: store.K(string(g)), Limit: maxFirms})
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		return nil, errNoProduct(g)
	}
	firms, err := firmsOf(ctx, s, page.Items, func(p Product) string { return p.Firm })
	if err != nil {
		return nil, err
	}
	byAuthority(page.Items, firms, g, func(p Product) string { return p.Firm })
	v := &ProductView{GTIN: string(g), Name: lang.Text{}, Facts: ProductFacts{missing, missing, missing, missing, missing}}
	for _, d := range page.Items {
		p := d.V
		by := toldBy(p.Firm, firms[p.Firm], g, p.Updated)
		if p.Brand.In(lang.ZhHans) != "" && (v.Facts.Brand.Status == ProvMissing || v.Facts.Brand.weight() == by.weight()) {
			v.Brand = merge(v.Brand, p.Brand) // but not into another language of what counts more
			take(&v.Facts.Brand, true, by)
		}
		take(&v.Facts.Name, true, by)
		take(&v.Facts.Category, p.Category != "", by)
		take(&v.Facts.Origin, p.Origin != "", by)
		take(&v.Facts.Net, p.Net != "", by)
		v.Name = merge(v.Name, p.Name)
		v.Description, v.LotHint = merge(v.Description, p.Description), merge(v.LotHint, p.LotHint)
		v.Category = cmp.Or(v.Category, p.Category)
		v.Origin = cmp.Or(v.Origin, p.Origin)
		v.Net = cmp.Or(v.Net, p.Net)
		v.Sellers = append(v.Sellers, firmName(p.Firm, firms[p.Firm]))
		v.Updated = later(v.Updated, p.Updated)
	}
	v.settle()
	if v.Documents, err = s.shownPapers(ctx, gs1.Ref{GTIN: g}); err != nil {
		return nil, err
	}
	return v, nil
}

// Lot gives the public view of a lot. NotFound.
func (s *Service) Lot(ctx context.Context, g gs1.GTIN, lot string) (*LotView, error) {
	records, firms, err := s.lotRecords(ctx, g, lot)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, errNoLot(g, lot)
	}
	var vouching []store.Doc[Lot]
	v := &LotView{GTIN: string(g), Lot: lot, Facts: LotFacts{missing, missing, missing, missing, missing}}
	for _, d := range records {
		l := d.V
		by := toldBy(l.Firm, firms[l.Firm], g, l.Updated)
		take(&v.Facts.Produced, l.Produced != "", by)
		take(&v.Facts.Expires, l.Expires != "", by)
		take(&v.Facts.Quantity, l.Quantity != 0, by)
		take(&v.Facts.Declaration, l.Declaration != "", by)
		take(&v.Facts.Inspection, l.Inspection != "", by)
		v.Produced = cmp.Or(v.Produced, l.Produced)
		if speaksFor(firms[l.Firm], g) {
			v.vouched, v.vouchedExpires = cmp.Or(v.vouched, l.Produced), cmp.Or(v.vouchedExpires, l.Expires)
			vouching = append(vouching, d)
		}
		v.Expires = cmp.Or(v.Expires, l.Expires)
		v.Quantity = cmp.Or(v.Quantity, l.Quantity)
		v.Declaration = cmp.Or(v.Declaration, l.Declaration)
		v.Inspection = cmp.Or(v.Inspection, l.Inspection)
		v.Sellers = append(v.Sellers, firmName(l.Firm, firms[l.Firm]))
		v.Updated = later(v.Updated, l.Updated)
	}
	if v.Documents, err = s.shownPapers(ctx, gs1.Ref{GTIN: g, Lot: lot}); err != nil {
		return nil, err
	}
	v.vouch()
	v.differs = dateConflicts(vouching)
	v.settle()
	return v, nil
}

func firmsOf[T any](ctx context.Context, s *Service, docs []store.Doc[T], id func(T) string) (map[string]firm.Firm, error) {
	ids := make([]string, 0, len(docs))
	for _, d := range docs {
		ids = append(ids, id(d.V))
	}
	return s.deps.Firms.GetMany(ctx, ids)
}

// byAuthority orders records by whose word counts more: an authority's, then the registrant's of the company prefix, then
// any other's, the oldest firm ID first so that the view does not flicker.
func byAuthority[T any](docs []store.Doc[T], firms map[string]firm.Firm, g gs1.GTIN, id func(T) string) {
	digits := g.CompanyDigits()
	rank := func(f firm.Firm) int {
		switch {
		case f.Kind == firm.Authority:
			return 0
		case slices.ContainsFunc(f.Prefixes, func(p string) bool { return strings.HasPrefix(digits, p) }):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(docs, func(a, b store.Doc[T]) int {
		return cmp.Or(cmp.Compare(rank(firms[id(a.V)]), rank(firms[id(b.V)])), cmp.Compare(a.ID, b.ID))
	})
}

func provenance(f firm.Firm) string {
	if f.Kind == firm.Authority {
		return ProvVerified
	}
	return ProvClaimed
}

func firmName(id string, f firm.Firm) FirmName {
	if f.ID == "" {
		return FirmName{ID: id, Name: lang.Text{}}
	}
	return FirmName{ID: id, Name: f.Name, Kind: f.Kind}
}

// merge adds the languages that t lacks.
func merge(t, more lang.Text) lang.Text {
	for tag, v := range more {
		if t[tag] == "" && v != "" {
			if t == nil {
				t = lang.Text{}
			}
			t[tag] = v
		}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
