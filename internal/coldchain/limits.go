package coldchain

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Range is what a quantity may be, both ends included. An end that is nil is open.
type Range struct {
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
}

// Rules are what is asked of a product on its way.
type Rules struct {
	Temperature *Range `json:"temperature,omitempty"` // °C
	Humidity    *Range `json:"humidity,omitempty"`    // % relative humidity
	// ExcursionMinutes is how long a value may be outside; only what lasts longer is an excursion. 0: every reading outside is one.
	ExcursionMinutes int `json:"excursion_minutes"`
	// GapMinutes is how far apart two readings may be before there is a gap.
	GapMinutes int `json:"gap_minutes"`
}

// Set is rules with who set them, when.
type Set struct {
	Rules
	By      string    `json:"by"` // ID of a firm, or name of an authority
	Updated time.Time `json:"updated"`
}

// Limits are what is asked of a product: by a firm that stands behind it, and by an authority, whose word counts.
type Limits struct {
	GTIN      gs1.GTIN `json:"gtin"`
	Firm      *Set     `json:"firm,omitempty"`
	Authority *Set     `json:"authority,omitempty"`
}

// InForce are the limits that count; nil if there are none.
func (l *Limits) InForce() *Set {
	if l.Authority != nil {
		return l.Authority
	}
	return l.Firm
}

// The bounds of Rules.
const (
	maxExcursionMinutes = 7 * 24 * 60
	maxGapMinutes       = 24 * 60
)

func (r *Rules) validate() error {
	var bad []fault.Field
	add := func(when bool, pointer, code, detail string) {
		if when {
			bad = append(bad, fault.Field{Pointer: pointer, Code: code, Detail: detail})
		}
	}
	add(r.Temperature == nil && r.Humidity == nil, "", "required", "limits of the temperature, of the humidity or of both")
	for _, q := range quantities {
		x := r.of(q)
		at := "/temperature"
		if q == Humidity {
			at = "/humidity"
		}
		if x == nil {
			continue
		}
		add(x.Min == nil && x.Max == nil, at, "required", "a least value, a greatest or both")
		for member, v := range map[string]*float64{"/min": x.Min, "/max": x.Max} {
			add(v != nil && !finiteIn(q, *v), at+member, "out_of_range", "no such value exists")
		}
		add(x.Min != nil && x.Max != nil && *x.Min > *x.Max, at+"/max", "contradiction", "the greatest value is below the least")
	}
	add(r.ExcursionMinutes < 0 || r.ExcursionMinutes > maxExcursionMinutes, "/excursion_minutes", "out_of_range", "0 to 10080 minutes")
	add(r.GapMinutes < 1 || r.GapMinutes > maxGapMinutes, "/gap_minutes", "out_of_range", "1 to 1440 minutes")
	if len(bad) > 0 {
		return fault.InvalidFields(bad...)
	}
	return nil
}

func finiteIn(q Quantity, v float64) bool {
	m := math.Round(v * thousandths)
	return m >= float64(span[q][0]) && m <= float64(span[q][1]) // false for what is no number
}

func (r *Rules) of(q Quantity) *Range {
	if q == Humidity {
		return r.Humidity
	}
	return r.Temperature
}

// Limits gives the limits of a product. NotFound.
func (s *Service) Limits(ctx context.Context, g gs1.GTIN) (Limits, error) {
	d, err := s.limits.Get(ctx, string(g))
	if errors.Is(err, store.ErrNotFound) {
		return Limits{}, fault.New(fault.NotFound, "no_limits", "nobody has set limits for the product %s", g)
	}
	return d.V, err
}

// SetByFirm sets the limits that a firm asks of a product for which it may speak. Those of an authority count before them. It gives the limits before and
// after, and may be repeated. Forbidden (not_registrant), Invalid.
func (s *Service) SetByFirm(ctx context.Context, f firm.Firm, g gs1.GTIN, r Rules) (before, after Limits, err error) {
	if f.Kind != firm.Authority && !f.Owns(g.CompanyDigits()) {
		return before, after, fault.New(fault.Forbidden, "not_registrant", "limits are set by the registrant of the product's company prefix, or who has its grant")
	}
	return s.set(ctx, g, r, f.ID, f.Kind == firm.Authority)
}

// SetByAuthority sets the limits that an authority asks of a product. Invalid.
func (s *Service) SetByAuthority(ctx context.Context, authority string, g gs1.GTIN, r Rules) (before, after Limits, err error) {
	return s.set(ctx, g, r, authority, true)
}

func (s *Service) set(ctx context.Context, g gs1.GTIN, r Rules, by string, official bool) (before, after Limits, err error) {
	if err := r.validate(); err != nil {
		return before, after, err
	}
	at := s.now().UTC().Truncate(time.Millisecond)
	d, err := s.limits.Upsert(ctx, string(g), func(l *Limits) error {
		before = *l
		l.GTIN = g
		if official {
			l.Authority = &Set{Rules: r, By: by, Updated: at}
		} else {
			l.Firm = &Set{Rules: r, By: by, Updated: at}
		}
		return nil
	})
	return before, d.V, err
}
