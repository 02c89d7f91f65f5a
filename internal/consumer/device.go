// Package consumer keeps what reaches consumers: devices with their push tokens and subscriptions, what a household holds, and which
// affected goods a device scanned.
//
// Everything that makes an audience can be walked in the order of device IDs, so that reasons of every kind merge in one pass.
package consumer

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// The platforms of devices.
const (
	Android = "android"
	IOS     = "ios"
	Web     = "web"
)

// The limits per device.
const (
	MaxSubscriptions = 50
	MaxHoldings      = 200
	maxToken         = 4096 // bytes of a push token
)

// tokenPrefix marks a device token, so that a leaked one is recognised by scanners.
const tokenPrefix = "hd_"

// Device is an installation of the app or a browser that asked for alerts. It has no name and no account.
type Device struct {
	ID            string         `json:"id"`
	Hash          string         `json:"hash"` // keyed hash of the device token
	Platform      string         `json:"platform"`
	Lang          string         `json:"lang"`
	City          string         `json:"city,omitempty"`
	PushToken     string         `json:"push_token,omitempty"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Created       time.Time      `json:"created"`
}

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

// Hasher turns random secrets into keyed hashes; see secret.Box.
type Hasher interface {
	Hash(purpose, token string) string
}

// Service keeps devices.
type Service struct {
	devices   *store.Collection[Device]
	owners    *store.Collection[owner] // of push tokens, by their keyed hash
	holdings  *store.Collection[Holding]
	exposures *store.Collection[Exposure]
	hasher    Hasher
	now       clock.Now
}

const (
	byCriterion = "criterion"
	byDevice    = "device"
	byGTIN      = "gtin"
)

// Open declares the collections.
func Open(ctx context.Context, eng store.Engine, hasher Hasher, now clock.Now) (*Service, error) {
	s := &Service{hasher: hasher, now: now}
	var err error
	if s.devices, err = store.Open(ctx, eng, store.Def[Device]{Name: "devices", Feed: true, Indexes: []store.Index[Device]{{
		Name: byCriterion, Version: "1", Keys: func(id string, d *Device) ([]store.Key, store.Key) {
			var eq []store.Key
			for _, sub := range d.Subscriptions {
				eq = append(eq, store.K(sub.Kind, sub.Value))
			}
			return eq, store.K(id)
		},
	}}}); err != nil {
		return nil, err
	}
	if s.owners, err = store.Open(ctx, eng, store.Def[owner]{Name: "push_tokens"}); err != nil {
		return nil, err
	}
	if s.holdings, err = store.Open(ctx, eng, store.Def[Holding]{Name: "holdings", Feed: true, Indexes: []store.Index[Holding]{
		{Name: byDevice, Version: "1", Keys: func(_ string, h *Holding) ([]store.Key, store.Key) {
			return []store.Key{store.K(h.Device)}, store.K(h.Created)
		}},
		{Name: byGTIN, Version: "1", Keys: func(_ string, h *Holding) ([]store.Key, store.Key) {
			return []store.Key{store.K(string(h.GTIN))}, store.K(h.Device)
		}},
	}}); err != nil {
		return nil, err
	}
	if s.exposures, err = store.Open(ctx, eng, store.Def[Exposure]{Name: "exposures", Feed: true, Indexes: []store.Index[Exposure]{{
		Name: byGTIN, Version: "1", Keys: func(_ string, x *Exposure) ([]store.Key, store.Key) {
			return []store.Key{store.K(string(x.GTIN))}, store.K(x.Device)
		},
	}}}); err != nil {
		return nil, err
	}
	return s, nil
}

// NewDevice is a device to register.
type NewDevice struct {
	Platform, Lang, City string
}

// Register gives a device its identity and its token, which is shown once. Invalid.
func (s *Service) Register(ctx context.Context, n NewDevice) (Device, string, error) {
	var bad []fault.Field
	if n.Platform != Android && n.Platform != IOS && n.Platform != Web {
		bad = append(bad, fault.Field{Pointer: "/platform", Code: "platform", Detail: "android, ios or web"})
	}
	if !lang.Valid(n.Lang) {
		bad = append(bad, fault.Field{Pointer: "/lang", Code: "language", Detail: "zh-Hans or en"})
	}
	if bad != nil {
		return Device{}, "", fault.InvalidFields(bad...)
	}
	id := clock.Token(10)
	token := tokenPrefix + id + "_" + clock.Token(20)
	d := Device{
		ID: id, Hash: s.hasher.Hash("device", token), Platform: n.Platform, Lang: n.Lang, City: n.City,
		Created: s.now().UTC().Truncate(time.Millisecond),
	}
	if err := s.devices.Insert(ctx, id, d); err != nil {
		return Device{}, "", err
	}
	return d, token, nil
}

var idPattern = regexp.MustCompile(`^[0-9a-z]{1,40}$`)

var errToken = fault.New(fault.Unauthenticated, "unauthenticated", "the device token is unknown")

// ByToken says which device a token belongs to. Unauthenticated.
func (s *Service) ByToken(ctx context.Context, token string) (Device, error) {
	id, _, ok := strings.Cut(strings.TrimPrefix(token, tokenPrefix), "_")
	if !ok || !strings.HasPrefix(token, tokenPrefix) || !idPattern.MatchString(id) {
		return Device{}, errToken
	}
	d, err := s.devices.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Device{}, errToken.Because(err)
	}
	if err != nil {
		return Device{}, err
	}
	if subtle.ConstantTimeCompare([]byte(d.V.Hash), []byte(s.hasher.Hash("device", token))) != 1 {
		return Device{}, errToken
	}
	return d.V, nil
}

// Devices gives those devices that exist, by ID.
func (s *Service) Devices(ctx context.Context, ids []string) (map[string]Device, error) {
	return s.devices.Values(ctx, ids)
}

// owner says which device a push token belongs to.
type owner struct {
	Device string `json:"device"`
}

// SetPushToken sets the token under which FCM knows the device; empty removes it. A token reaches one phone, so it is taken from the
// device that had it before, which a reinstalled app leaves behind; else that phone would be told twice. Invalid.
func (s *Service) SetPushToken(ctx context.Context, id, token string) error {
	if len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fault.InvalidFields(fault.Field{Pointer: "/token", Code: "push_token", Detail: "printable ASCII without spaces, at most 4096 bytes"})
	}
	_, err := s.devices.Update(ctx, id, func(d *Device) error { d.PushToken = token; return nil })
	if err != nil || token == "" {
		return err
	}
	key := s.hasher.Hash("push_token", token)
	before, err := s.owners.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if before.V.Device == id {
		return nil
	}
	// The claim comes last: whoever dies before it finds the old owner again when the phone repeats its request.
	if before.V.Device != "" {
		if err := s.DropPushToken(ctx, before.V.Device, token); err != nil {
			return err
		}
	}
	_, err = s.owners.Upsert(ctx, key, func(o *owner) error { o.Device = id; return nil })
	return err
}

// DropPushToken removes a push token that FCM has called unregistered, if the device still has that one.
func (s *Service) DropPushToken(ctx context.Context, id, token string) error {
	_, err := s.devices.Update(ctx, id, func(d *Device) error {
		if d.PushToken == token {
			d.PushToken = ""
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
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
