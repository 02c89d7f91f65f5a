// Package consumer keeps what reaches consumers: devices with their push tokens and subscriptions, what a household holds, and which
// affected goods a device scanned.
//
// A device has no name. Its push token, by which others could reach its owner, is sealed with the device's own data key, and found by a keyed
// hash. What is kept of a device is exported to it, and erased when it asks or when it was not used for two years.
//
// Everything that makes an audience can be walked in the order of device IDs, so that reasons of every kind merge in one pass.
package consumer

import (
	"context"
	"crypto/subtle"
	"errors"
	"maps"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
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
	PushToken     privacy.Sealed `json:"push_token,omitempty"` // see PushTokens
	PushHash      string         `json:"push_hash,omitempty"`  // its keyed hash
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Created       time.Time      `json:"created,omitzero"`
	Seen          string         `json:"seen,omitempty"`  // YYYY-MM in which it was last used
	Erased        time.Time      `json:"erased,omitzero"` // the order to erase it: nothing but ID and PushHash is left then
}

// Hasher turns random secrets into keyed hashes; see secret.Box.
type Hasher interface {
	Hash(purpose, token string) string
}

// Vault keeps personal data; *privacy.Vault in production, whose errors it has.
type Vault interface {
	Seal(ctx context.Context, record, field string, plain []byte) (string, error)
	OpenMany(ctx context.Context, items []privacy.Item) ([]privacy.Opened, error)
	Retain(ctx context.Context, record string, until time.Time) error
	Erase(ctx context.Context, record string) error
}

// Deps are what the service works with.
type Deps struct {
	Engine store.Engine
	Hasher Hasher
	Vault  Vault
	Now    clock.Now
}

// Service keeps devices. It is safe for concurrent use, and replicas may share a store.
type Service struct {
	devices   *store.Collection[Device]
	owners    *store.Collection[owner] // of push tokens, by their keyed hash
	holdings  *store.Collection[Holding]
	exposures *store.Collection[Exposure]
	hasher    Hasher
	vault     Vault
	now       clock.Now
	inbox     atomic.Pointer[Inbox]
	used      used
}

const (
	byCriterion = "criterion"
	byLife      = "life" // by alive or erased, and since when
	byDevice    = "device"
	byGTIN      = "gtin"
)

// Open declares the collections.
func Open(ctx context.Context, deps Deps) (*Service, error) {
	s := &Service{hasher: deps.Hasher, vault: deps.Vault, now: deps.Now}
	eng := deps.Engine
	var err error
	if s.devices, err = store.Open(ctx, eng, store.Def[Device]{Name: "devices", Feed: true, Indexes: []store.Index[Device]{
		{Name: byCriterion, Version: "1", Keys: func(id string, d *Device) ([]store.Key, store.Key) {
			var eq []store.Key
			for _, sub := range d.Subscriptions {
				eq = append(eq, store.K(sub.Kind, sub.Value))
			}
			return eq, store.K(id)
		}},
		{Name: byLife, Version: "1", Keys: func(_ string, d *Device) ([]store.Key, store.Key) {
			if !d.Erased.IsZero() {
				return []store.Key{store.K(lifeErased)}, store.K(d.Erased)
			}
			return []store.Key{store.K(lifeAlive)}, store.K(d.seen())
		}},
	}}); err != nil {
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
	if s.exposures, err = store.Open(ctx, eng, store.Def[Exposure]{Name: "exposures", Feed: true, Indexes: []store.Index[Exposure]{
		{Name: byGTIN, Version: "1", Keys: func(_ string, x *Exposure) ([]store.Key, store.Key) {
			return []store.Key{store.K(string(x.GTIN))}, store.K(x.Device)
		}},
		{Name: byDevice, Version: "1", Keys: func(_ string, x *Exposure) ([]store.Key, store.Key) {
			return []store.Key{store.K(x.Device)}, store.K(x.First)
		}},
	}}); err != nil {
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
	now := s.now().UTC().Truncate(time.Millisecond)
	d := Device{
		ID: id, Hash: s.hasher.Hash("device", token), Platform: n.Platform, Lang: n.Lang, City: n.City, Created: now, Seen: month(now),
	}
	if err := s.devices.Insert(ctx, id, d); err != nil {
		return Device{}, "", err
	}
	return d, token, nil
}

var idPattern = regexp.MustCompile(`^[0-9a-z]{1,40}$`)

var errToken = fault.New(fault.Unauthenticated, "unauthenticated", "the device token is unknown")

// ByToken says which device a token belongs to, and notes that it is used. Unauthenticated, also for one that was erased.
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
	if subtle.ConstantTimeCompare([]byte(d.V.Hash), []byte(s.hasher.Hash("device", token))) != 1 { // one that was erased has no hash
		return Device{}, errToken
	}
	if now := month(s.now()); d.V.Seen < now {
		s.used.note(id)
	}
	return d.V, nil
}

// Devices gives those devices that exist, by ID.
func (s *Service) Devices(ctx context.Context, ids []string) (map[string]Device, error) {
	devices, err := s.devices.Values(ctx, ids)
	maps.DeleteFunc(devices, func(_ string, d Device) bool { return !d.Erased.IsZero() })
	return devices, err
}
