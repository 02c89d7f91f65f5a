package consumer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/warning"
)

// The kinds of subscriptions.
const (
	SubAll      = "all"
	SubCategory = "category"
	SubHazard   = "hazard"
	SubGTIN     = "gtin"
	SubBrand    = "brand"
	SubOrigin   = "origin"
)

// Subscription asks for the warnings that meet one criterion, from MinLevel up.
type Subscription struct {
	Kind     string        `json:"kind"`
	Value    string        `json:"value,omitempty"` // empty for SubAll
	MinLevel warning.Level `json:"min_level"`
	Since    time.Time     `json:"since"`
}

// SetSubscriptions replaces a device's subscriptions. One that was there before keeps its Since. Invalid, TooMany.
func (s *Service) SetSubscriptions(ctx context.Context, id string, subs []Subscription) ([]Subscription, error) {
	if len(subs) > MaxSubscriptions {
		return nil, fault.New(fault.TooMany, "too_many_subscriptions", "a device has at most %d subscriptions", MaxSubscriptions)
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	clean := make([]Subscription, 0, len(subs))
	var bad []fault.Field
	for i, sub := range subs {
		sub, problem := normal(sub)
		if problem != nil {
			problem.Pointer = fmt.Sprintf("/subscriptions/%d%s", i, problem.Pointer)
			bad = append(bad, *problem)
			continue
		}
		sub.Since = now
		if !slices.ContainsFunc(clean, func(c Subscription) bool { return c.Kind == sub.Kind && c.Value == sub.Value }) {
			clean = append(clean, sub)
		}
	}
	if bad != nil {
		return nil, fault.InvalidFields(bad...)
	}
	_, err := s.devices.Update(ctx, id, func(d *Device) error {
		if !d.Erased.IsZero() {
			return errToken
		}
		for i := range clean {
			for _, old := range d.Subscriptions {
				if old.Kind == clean[i].Kind && old.Value == clean[i].Value && old.MinLevel == clean[i].MinLevel {
					clean[i].Since = old.Since
				}
			}
		}
		d.Subscriptions = clean
		return nil
	})
	return clean, err
}

// normal gives a subscription in the form in which it is compared, or what is wrong with it.
func normal(sub Subscription) (Subscription, *fault.Field) {
	if sub.MinLevel == "" {
		sub.MinLevel = warning.Blue
	}
	if sub.MinLevel.Rank() == 0 {
		return sub, &fault.Field{Pointer: "/min_level", Code: "level", Detail: "red, orange, yellow or blue"}
	}
	wrong := func(code, detail string) (Subscription, *fault.Field) {
		return sub, &fault.Field{Pointer: "/value", Code: code, Detail: detail}
	}
	switch sub.Kind {
	case SubAll:
		sub.Value = ""
	case SubCategory:
		if warning.CategoryName(sub.Value) == nil {
			return wrong("category", "the category is not in the vocabulary")
		}
	case SubHazard:
		if warning.HazardName(sub.Value) == nil {
			return wrong("hazard", "the hazard is not in the vocabulary")
		}
	case SubGTIN:
		g, err := gs1.ParseGTINLenient(sub.Value)
		if err != nil {
			return wrong(fault.CodeOf(err), "a bar code number with 8, 12, 13 or 14 digits and a right check digit")
		}
		sub.Value = string(g)
	case SubBrand:
		sub.Value = FoldBrand(sub.Value)
		if sub.Value == "" || len(sub.Value) > 200 {
			return wrong("brand", "1 to 200 bytes")
		}
	case SubOrigin:
		sub.Value = strings.ToUpper(sub.Value)
		if len(sub.Value) != 2 {
			return wrong("country", "an ISO 3166-1 alpha-2 code such as FR")
		}
	default:
		return sub, &fault.Field{Pointer: "/kind", Code: "kind", Detail: "all, category, hazard, gtin, brand or origin"}
	}
	return sub, nil
}

// FoldBrand is the form in which brands are compared: lower case, single spaces.
func FoldBrand(b string) string { return strings.ToLower(strings.Join(strings.Fields(b), " ")) }
