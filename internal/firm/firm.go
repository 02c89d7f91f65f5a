// Package firm holds the firms that take part in trace chains (追溯参与方), the places they run, and which company
// prefixes they may speak for.
package firm

import (
	"context"
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

// Firm is a firm, or an authority that captures events.
type Firm struct {
	ID       string    `json:"id"` // [a-z0-9-], 2 to 40
	Name     lang.Text `json:"name"`
	Kind     string    `json:"kind"`
	Country  string    `json:"country,omitempty"`  // ISO 3166-1 alpha-2
	GLNs     []string  `json:"glns,omitempty"`     // 13 digits
	Prefixes []string  `json:"prefixes,omitempty"` // GS1 company prefixes of which it is the registrant
	Grants   []string  `json:"grants,omitempty"`   // company prefixes of others for which it may commission
	Agent    string    `json:"agent,omitempty"`    // of a cross-border seller: the domestic agent, a firm's ID
	Platform string    `json:"platform,omitempty"` // of a cross-border seller: the platform, a firm's ID
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

// Open declares the collections.
func Open(ctx context.Context, eng store.Engine, now func() time.Time) (*Service, error) {
	firms, err := store.Open(ctx, eng, store.Def[Firm]{Name: "firms"})
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

// Put creates or replaces a firm. Invalid.
func (s *Service) Put(ctx context.Context, f Firm) error {
	if err := f.validate(); err != nil {
		return err
	}
	f.Updated = s.now().UTC()
	_, err := s.firms.Upsert(ctx, f.ID, func(v *Firm) error { *v = f; return nil })
	return err
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
