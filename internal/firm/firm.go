// Package firm holds the firms that take part in trace chains (追溯参与方), the places they run, and which company
// prefixes they may speak for.
package firm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// The kinds of firms and bodies.
const (
	Producer  = "producer"
	Importer  = "importer"
	DutyFree  = "duty_free"
	CrossEcom = "cross_border_ecommerce"
	Agent     = "domestic_agent"
	Platform  = "platform"
	Carrier   = "carrier"
	Warehouse = "warehouse"
	Authority = "authority" // its events are facts verified by an authority
)

var kinds = []string{Producer, Importer, DutyFree, CrossEcom, Agent, Platform, Carrier, Warehouse, Authority}

// Firm is a firm, or an authority that captures events. It holds nobody's name, number or address: whoever works for a firm is no part of
// it, so a firm is public as it stands.
type Firm struct {
	ID       string    `json:"id"` // [a-z0-9-], 2 to 40
	Name     lang.Text `json:"name"`
	Kind     string    `json:"kind"`
	Country  string    `json:"country,omitempty"`  // ISO 3166-1 alpha-2
	GLNs     []string  `json:"glns,omitempty"`     // 13 digits
	Prefixes []string  `json:"prefixes,omitempty"` // GS1 company prefixes of which it is the registrant
	Grants   []string  `json:"grants,omitempty"`   // company prefixes of others for which it may commission
	Agent    string    `json:"agent,omitempty"`    // of a CrossEcom firm: ID of the domestic agent that answers for it
	Platform string    `json:"platform,omitempty"` // of a CrossEcom firm: ID of the platform on which it sells
	Updated  time.Time `json:"updated"`
}

// Owns says whether the firm may commission keys whose digits from the company prefix on are given: it is the registrant of
// their company prefix, or has a grant.
func (f Firm) Owns(companyDigits string) bool {
	has := func(p string) bool { return p != "" && strings.HasPrefix(companyDigits, p) }
	return slices.ContainsFunc(f.Prefixes, has) || slices.ContainsFunc(f.Grants, has)
}

// Named says whether a source or destination (CBV 2.0, 7.4) is the firm: a party or location key of one of its GLNs or of
// its own company prefix. A grant is for products and names nobody.
func (f Firm) Named(uri string) bool {
	e, err := gs1.ParseEPC(uri)
	if err != nil {
		return false
	}
	digits, ok := e.CompanyDigits()
	if !ok {
		return false
	}
	for _, gln := range f.GLNs {
		if strings.HasPrefix(gln, digits) && len(gln)-len(digits) <= 1 {
			return true
		}
	}
	return slices.ContainsFunc(f.Prefixes, func(p string) bool { return p != "" && strings.HasPrefix(digits, p) })
}

// Place is a named location: a plant, a port, a bonded warehouse, a counter.
type Place struct {
	URI     string    `json:"uri"` // canonical SGLN, https://id.gs1.org/414/…
	Name    lang.Text `json:"name"`
	Kind    string    `json:"kind"` // plant, port, warehouse, store
	City    lang.Text `json:"city,omitempty"`
	Country string    `json:"country,omitempty"`
	Firm    string    `json:"firm"`
}

// Service keeps firms and places.
type Service struct {
	firms  *store.Collection[Firm]
	places *store.Collection[Place]
	now    func() time.Time
}

const (
	indexKind  = "kind"  // all firms, and those of a kind, by ID
	indexNamed = "named" // firms by the agent and the platform that they name
)

var firmsDef = store.Def[Firm]{Name: "firms", Indexes: []store.Index[Firm]{
	{Name: indexKind, Version: "1", Keys: func(_ string, f *Firm) ([]store.Key, store.Key) {
		return []store.Key{store.K(""), store.K(f.Kind)}, nil
	}},
	{Name: indexNamed, Version: "1", Keys: func(_ string, f *Firm) (eq []store.Key, _ store.Key) {
		for _, id := range [...]string{f.Agent, f.Platform} {
			if id != "" {
				eq = append(eq, store.K(id))
			}
		}
		return eq, nil
	}},
}}

// Open declares the collections.
func Open(ctx context.Context, eng store.Engine, now func() time.Time) (*Service, error) {
	firms, err := store.Open(ctx, eng, firmsDef)
	if err != nil {
		return nil, err
	}
	places, err := store.Open(ctx, eng, store.Def[Place]{Name: "places"})
	if err != nil {
		return nil, err
	}
	return &Service{firms: firms, places: places, now: now}, nil
}

var (
	idPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,39}$`)
	prefixPattern = regexp.MustCompile(`^[0-9]{4,12}$`)
	glnPattern    = regexp.MustCompile(`^[0-9]{13}$`)
	countryCode   = regexp.MustCompile(`^[A-Z]{2}$`)
)

func (f Firm) validate() error {
	var bad []fault.Field
	add := func(pointer, code, detail string) {
		bad = append(bad, fault.Field{Pointer: pointer, Code: code, Detail: detail})
	}
	if !idPattern.MatchString(f.ID) {
		add("/id", "firm_id", "2 to 40 of a-z, 0-9 and '-'")
	}
	if f.Name.In(lang.ZhHans) == "" {
		add("/name", "required", "a name in zh-Hans or en")
	}
	if !slices.Contains(kinds, f.Kind) {
		add("/kind", "firm_kind", "one of "+strings.Join(kinds, ", "))
	}
	if f.Country != "" && !countryCode.MatchString(f.Country) {
		add("/country", "country", "two capital letters (ISO 3166-1 alpha-2)")
	}
	f.checkPartners(add)
	for i, p := range append(slices.Clone(f.Prefixes), f.Grants...) {
		if !prefixPattern.MatchString(p) {
			add(fmt.Sprintf("/prefixes/%d", i), "company_prefix", "a GS1 company prefix has 4 to 12 digits")
		}
	}
	for i, g := range f.GLNs {
		if !glnPattern.MatchString(g) || gs1.CheckDigit(g[:12]) != g[12] {
			add(fmt.Sprintf("/glns/%d", i), "gln", "a GLN has 13 digits and a right check digit")
		}
	}
	if len(bad) > 0 {
		return fault.InvalidFields(bad...)
	}
	return nil
}

// checkPartners: who sells to consumers from abroad has a domestic agent that answers for it and a platform. 《关于完善跨境电子商务
// 零售进口监管有关工作的通知》（商财发〔2018〕486号）, 四(一).
func (f Firm) checkPartners(add func(pointer, code, detail string)) {
	if f.Kind != CrossEcom {
		if f.Agent != "" {
			add("/agent", "exclusive", "only cross-border e-commerce firms have an agent")
		}
		if f.Platform != "" {
			add("/platform", "exclusive", "only cross-border e-commerce firms name a platform")
		}
		return
	}
	switch f.Country {
	case "":
		add("/country", "required", "of a cross-border e-commerce firm it must be known where it is")
	case china:
	default:
		if f.Agent == "" {
			add("/agent", "required", "a cross-border e-commerce firm outside China has a domestic agent")
		}
		if f.Platform == "" {
			add("/platform", "required", "a cross-border e-commerce firm outside China names its platform")
		}
	}
}

// china is the mainland's customs territory; Hong Kong, Macao and Taiwan have codes of their own and are outside it.
const china = "CN"

// Put creates or replaces a firm. An agent and a platform must exist and be of these kinds, and a firm that others name as such keeps its
// kind. Invalid; Conflict (firm_in_use).
func (s *Service) Put(ctx context.Context, f Firm) error {
	if err := f.validate(); err != nil {
		return err
	}
	if err := s.checkNamed(ctx, &f); err != nil {
		return err
	}
	f.Updated = s.now().UTC()
	_, err := s.firms.Upsert(ctx, f.ID, func(v *Firm) error { *v = f; return nil })
	return err
}

// checkNamed looks at the firms that f names, and at those that name f. Firms are documents of their own, so officers who change two of
// them in the same moment can get past it; the next Put of either is told.
func (s *Service) checkNamed(ctx context.Context, f *Firm) error {
	if f.Agent != "" || f.Platform != "" {
		known, err := s.firms.Values(ctx, slices.DeleteFunc([]string{f.Agent, f.Platform}, func(id string) bool { return id == "" }))
		if err != nil {
			return err
		}
		var bad []fault.Field
		if a := known[f.Agent]; f.Agent != "" && (a.Kind != Agent || a.Country != china) {
			bad = append(bad, fault.Field{Pointer: "/agent", Code: "firm_kind", Detail: "the ID of a domestic agent in China"})
		}
		if f.Platform != "" && known[f.Platform].Kind != Platform {
			bad = append(bad, fault.Field{Pointer: "/platform", Code: "firm_kind", Detail: "the ID of a platform"})
		}
		if bad != nil {
			return fault.InvalidFields(bad...)
		}
	}
	before, err := s.firms.Get(ctx, f.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || before.V.Kind == f.Kind && before.V.Country == f.Country {
		return err
	}
	users, _, err := s.firms.Keys(ctx, store.Query{Index: indexNamed, Eq: store.K(f.ID), Limit: 1})
	if err == nil && len(users) > 0 {
		err = fault.New(fault.Conflict, "firm_in_use", "firm %s is the agent or platform of %s, and stays what it is and where it is", f.ID, users[0].ID)
	}
	return err
}

// List gives the firms of a kind ("": of all) in the order of their IDs. limit is 1 to 100, default 50. Invalid for an unknown kind,
// Malformed (bad_cursor).
func (s *Service) List(ctx context.Context, kind, cursor string, limit int) (firms []Firm, next string, err error) {
	if kind != "" && !slices.Contains(kinds, kind) {
		return nil, "", fault.InvalidFields(fault.Field{Pointer: "/kind", Code: "firm_kind", Detail: "one of " + strings.Join(kinds, ", ")})
	}
	p, err := s.firms.Find(ctx, store.Query{Index: indexKind, Eq: store.K(kind), Cursor: cursor, Limit: min(limit, 100)})
	if errors.Is(err, store.ErrBadCursor) {
		return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
	}
	for i := range p.Items {
		firms = append(firms, p.Items[i].V)
	}
	return firms, p.Next, err
}

// Grant adds company prefixes of others for which a firm may commission. NotFound, Invalid.
func (s *Service) Grant(ctx context.Context, id string, prefixes ...string) error {
	_, err := s.firms.Update(ctx, id, func(v *Firm) error {
		for _, p := range prefixes {
			if !slices.Contains(v.Grants, p) {
				v.Grants = append(v.Grants, p)
			}
		}
		return v.validate()
	})
	return notFound(err, id)
}

// Get gives a firm. NotFound.
func (s *Service) Get(ctx context.Context, id string) (Firm, error) {
	d, err := s.firms.Get(ctx, id)
	return d.V, notFound(err, id)
}

// Mark is a hash over all that is known of a firm but when it was written: it changes when the firm does. NotFound.
func (s *Service) Mark(ctx context.Context, id string) (string, error) {
	f, err := s.Get(ctx, id)
	if err != nil {
		return "", err
	}
	f.Updated = time.Time{}
	b, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("mark of firm %s: %w", id, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// GetMany gives those firms that exist.
func (s *Service) GetMany(ctx context.Context, ids []string) (map[string]Firm, error) {
	return s.firms.Values(ctx, ids)
}

// PutPlace creates or replaces a place; its URI may be an SGLN in any form. Invalid.
func (s *Service) PutPlace(ctx context.Context, p Place) error {
	e, err := gs1.ParseEPC(p.URI)
	if err != nil {
		return err
	}
	p.URI = e.String()
	_, err = s.places.Upsert(ctx, p.URI, func(v *Place) error { *v = p; return nil })
	return err
}

// Places gives those places that exist, by canonical URI.
func (s *Service) Places(ctx context.Context, uris []string) (map[string]Place, error) {
	return s.places.Values(ctx, uris)
}

func notFound(err error, id string) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "firm_not_found", "there is no firm %q", id).Because(err)
	}
	return err
}
