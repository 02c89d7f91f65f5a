// Package access says who is asking, and what they may do: operators with password, second factor and server-side sessions, and
// sellers with keys; permission.go has the one table of permissions. Devices are internal/consumer's.
//
// Secrets are shown once and kept as keyed hashes. What Authenticate says is at most a second old, so whatever ends a session or key
// here ends it on every replica within two.
package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// The kinds of principals. The empty kind is anyone.
const (
	KindOperator = "operator"
	KindSeller   = "seller"
	KindDevice   = "device"
	KindFiler    = "filer"
)

// AllClasses in Principal.Classes stands for every class of products.
const AllClasses = "*"

// Principal is who is asking. The zero value is anyone.
type Principal struct {
	Kind string
	ID   string // an operator's login, a key's ID or a device's ID
	Name string

	Roles     []Role        // operators
	Authority string        // operators: the body that they act for; its successor, once it was merged
	Classes   []string      // operators: the product categories that the authority is competent for, or AllClasses
	Level     warning.Level // operators: up to which they publish; "" is none

	Firm   string  // sellers
	Scopes []Scope // sellers
	Test   bool    // sellers: the key is for the firm's test tenant

	NotAfter time.Time // sellers: when the key ends; zero: until somebody ends it
}

// Has says whether an operator has a role.
func (p *Principal) Has(r Role) bool { return slices.Contains(p.Roles, r) }

// Tokens begin with what they are, so that a leaked one is recognised by scanners.
const (
	sessionPrefix = "hs_"
	keyPrefix     = "hk_"
	testPrefix    = "hk_test_"
	linkPrefix    = "hi_" // one-time links: invitations and enrolments
	trustedPrefix = "ht_" // a browser or tool that logged in before
)

// Authorities says for whom an operator acts now: the body itself or, once it was merged, its successor, and for which product
// categories that one is competent. NotFound (authority_unknown).
type Authorities interface {
	Competence(ctx context.Context, id string) (acting string, classes []string, err error)
}

// Firms knows the firms that links are given to.
type Firms interface {
	// Mark stands for all that is known of a firm: it is another one once the firm was changed. NotFound.
	Mark(ctx context.Context, id string) (string, error)
}

// Hasher turns random secrets into keyed hashes; see secret.Box.
type Hasher interface {
	Hash(purpose, token string) string
}

// Vault seals fields with a data key of their record; see privacy.Vault.
type Vault interface {
	Seal(ctx context.Context, record, field string, plain []byte) (string, error)
	Open(ctx context.Context, record, field, sealed string) ([]byte, error)
}

// Options are what the service works with besides the store.
type Options struct {
	Hasher      Hasher
	Vault       Vault
	Now         clock.Now
	Authorities Authorities  // nil: any authority, competent for everything
	Firms       Firms        // nil: any firm, which never changes
	Log         *slog.Logger // nil: nothing is logged

	Told func(context.Context, Failures) error // is told of log-ins that failed, by Run; nil: nobody is
}

// Service keeps identities. It is safe for concurrent use, and replicas may share a store.
type Service struct {
	operators *store.Collection[operator]
	sessions  *store.Collection[session]
	keys      *store.Collection[sellerKey]
	links     *store.Collection[link]
	attempts  *store.Collection[attempts]
	state     *store.Collection[administrators]

	hasher      Hasher
	vault       Vault
	now         clock.Now
	authorities Authorities
	firms       Firms
	log         *slog.Logger
	hashing     chan struct{} // bounds the memory that password hashing takes
	known       *otter.Cache[string, answer]
	touched     chan touch
	failures    failures
	told        func(context.Context, Failures) error
}

// The declared indexes.
const (
	byLogin    = "login"
	byFirm     = "firm"
	byIdentity = "identity"
	everyone   = "all"
)

// Open declares the collections.
func Open(ctx context.Context, eng store.Engine, o Options) (*Service, error) {
	s := &Service{
		hasher: o.Hasher, vault: o.Vault, now: o.Now, authorities: o.Authorities, firms: o.Firms, log: o.Log, told: o.Told,
		hashing: make(chan struct{}, hashSlots), known: newKnown(), touched: make(chan touch, maxTouched),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.operators, err = store.Open(ctx, eng, store.Def[operator]{Name: "operators", Indexes: []store.Index[operator]{
		{Name: everyone, Version: "1", Keys: func(id string, _ *operator) ([]store.Key, store.Key) {
			return []store.Key{store.K("")}, store.K(id)
		}},
		{Name: byIdentity, Version: "1", Keys: func(_ string, o *operator) ([]store.Key, store.Key) {
			var eq []store.Key
			for _, hash := range o.Identities {
				eq = append(eq, store.K(hash))
			}
			return eq, nil
		}},
	}}); err != nil {
		return nil, err
	}
	if s.sessions, err = store.Open(ctx, eng, store.Def[session]{
		Name: "sessions", Expires: (*session).ends,
		Indexes: []store.Index[session]{{Name: byLogin, Version: "1", Keys: func(_ string, v *session) ([]store.Key, store.Key) {
			return []store.Key{store.K(v.Login)}, store.K(v.Started)
		}}},
	}); err != nil {
		return nil, err
	}
	if s.keys, err = store.Open(ctx, eng, store.Def[sellerKey]{
		Name: "seller_keys", Expires: (*sellerKey).gone,
		Indexes: []store.Index[sellerKey]{{Name: byFirm, Version: "1", Keys: func(_ string, v *sellerKey) ([]store.Key, store.Key) {
			return []store.Key{store.K(v.Firm)}, store.K(v.Created)
		}}},
	}); err != nil {
		return nil, err
	}
	if s.links, err = store.Open(ctx, eng, store.Def[link]{Name: "links", Expires: func(l *link) time.Time { return l.Expires }}); err != nil {
		return nil, err
	}
	if s.attempts, err = store.Open(ctx, eng, store.Def[attempts]{Name: "login_attempts", Expires: func(a *attempts) time.Time { return a.Ends }}); err != nil {
		return nil, err
	}
	if s.state, err = store.Open(ctx, eng, store.Def[administrators]{Name: "access_state"}); err != nil {
		return nil, err
	}
	return s, s.reconcile(ctx)
}

func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// principal is what an operator is now. An authority that is not known any more leaves an operator nobody to act for.
func (s *Service) principal(ctx context.Context, login string, o *operator) (Principal, error) {
	p := Principal{Kind: KindOperator, ID: login, Name: o.Name, Roles: o.powers(), Authority: o.Authority, Classes: []string{AllClasses}, Level: o.Level}
	if !p.Has(Publisher) {
		p.Level = ""
	}
	if s.authorities == nil {
		return p, nil
	}
	acting, classes, err := s.authorities.Competence(ctx, o.Authority)
	if err != nil {
		return Principal{}, fmt.Errorf("authority of operator %s: %w", login, err)
	}
	p.Authority, p.Classes = acting, classes
	return p, nil
}

// Principal says what an operator may do now, without a session: for what was asked for before. NotFound (operator_unknown), for one who
// is disabled too.
func (s *Service) Principal(ctx context.Context, login string) (Principal, error) {
	d, err := s.operators.Get(ctx, login)
	if err == nil && d.V.Disabled {
		err = store.ErrNotFound
	}
	if err != nil {
		return Principal{}, unknownOperator(err)
	}
	return s.principal(ctx, login, &d.V)
}

// Sweep deletes what has expired, up to limit of each kind, and says how many.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	n, err := s.sessions.Sweep(ctx, limit)
	m, err2 := s.links.Sweep(ctx, limit)
	k, err3 := s.attempts.Sweep(ctx, limit)
	j, err4 := s.keys.Sweep(ctx, limit)
	return n + m + k + j, errors.Join(err, err2, err3, err4)
}
