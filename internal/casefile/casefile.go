// Package casefile keeps complaints (投诉): what was filed, what became of it, and the statutory clocks that run. A complaint is named;
// its contact and its texts, and what the authority answers, are sealed field by field with the case's own data key.
//
// A case is erased by destroying that key: when its filer asks for it, which withdraws an open case, or when the time after its closing is over.
// Its kind, goods, dates and clocks stay, so that statistics do.
//
// Whoever files gets a number and a secret. The secret is shown to the filer only: it is computed from the installation's key, the number
// and the request's idempotency key, and neither it nor that key is stored, so a retry of the same request shows it again and nobody else
// can. Only its keyed hash is kept.
package casefile

import (
	"context"
	"log/slog"
	"time"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

// Hasher turns random secrets into keyed hashes; *secret.Box in production.
type Hasher interface {
	Hash(purpose, token string) string
}

// Vault keeps personal data; *privacy.Vault in production, whose errors it has.
type Vault interface {
	Seal(ctx context.Context, record, field string, plain []byte) (string, error)
	Open(ctx context.Context, record, field, sealed string) ([]byte, error)
	Retain(ctx context.Context, record string, until time.Time) error
	Erase(ctx context.Context, record string) error
}

// Authorities knows who is competent for goods of a class at a stage and place on a day. NotFound where nobody is.
type Authorities interface {
	Competent(ctx context.Context, class, stage, place string, on time.Time) (id string, err error)
}

// Deps are what the service works with.
type Deps struct {
	Engine      store.Engine
	Hasher      Hasher
	Vault       Vault
	Authorities Authorities   // nil: a case belongs to whoever takes the first step
	Rules       *deadline.Set // nil: the built-in ones
	Now         clock.Now
	Log         *slog.Logger
}

// Complaint is the kind of case that this version takes.
const Complaint = "complaint"

// Receipt proves that a complaint was filed. Secret is not kept anywhere: show it at once.
type Receipt struct {
	No     string           `json:"no"`
	Secret string           `json:"secret"` // 25 digits in groups of five
	Filed  time.Time        `json:"filed"`
	Clocks []deadline.Clock `json:"clocks"`
}

// Entry is one step in the life of a case, as the filer sees it.
type Entry struct {
	Kind      string    `json:"kind"` // one of Steps
	Name      lang.Text `json:"name"`
	At        time.Time `json:"at"`
	Authority string    `json:"authority,omitempty"`
	Note      lang.Text `json:"note,omitempty"`
}

// View is what the filer sees.
type View struct {
	No         string           `json:"no"`
	Kind       string           `json:"kind"`
	Status     string           `json:"status"` // kind of the last step
	StatusName lang.Text        `json:"status_name"`
	Filed      time.Time        `json:"filed"`
	GTIN       string           `json:"gtin,omitempty"`
	Lot        string           `json:"lot,omitempty"`
	Serial     string           `json:"serial,omitempty"`
	Timeline   []Entry          `json:"timeline"` // oldest first
	Clocks     []deadline.Clock `json:"clocks"`
	Erased     bool             `json:"erased,omitempty"` // its texts are gone
}

// document is a case as it is stored.
type document struct {
	No        string    `json:"no"`
	Kind      string    `json:"kind"`
	Filed     time.Time `json:"filed"`
	Lang      string    `json:"lang"`
	GTIN      string    `json:"gtin,omitempty"`
	Lot       string    `json:"lot,omitempty"`
	Serial    string    `json:"serial,omitempty"`
	Class     string    `json:"class,omitempty"`
	Stage     string    `json:"stage"`
	Place     string    `json:"place,omitempty"`
	Authority string    `json:"authority,omitempty"` // who has the case; "" until somebody takes it
	Texts     texts     `json:"texts"`
	Secret    string    `json:"secret"` // keyed hash
	Claim     string    `json:"claim"`  // the request that made it
	Steps     []step    `json:"steps"`
	Keep      time.Time `json:"keep,omitzero"`   // until when its texts are kept, once it is closed
	Erased    time.Time `json:"erased,omitzero"` // the order to erase it; from then on no text is shown
	Gone      bool      `json:"gone,omitempty"`  // the order is carried out: the data key is destroyed
}

type step struct {
	Kind      string         `json:"kind"`
	At        time.Time      `json:"at"`
	By        string         `json:"by,omitempty"`        // "" for the filer
	Authority string         `json:"authority,omitempty"` // "" for the filer
	Note      privacy.Sealed `json:"note,omitempty"`      // JSON of a lang.Text
}

func (d *document) status() string { return d.Steps[len(d.Steps)-1].Kind }

func (d *document) closed() bool { return len(steps[d.status()].next) == 0 }

// record is the case's name in the vault.
func record(no string) string { return "case/" + no }

// claim reserves a number for a request, so that a retry gets the same receipt. Its ID is the keyed hash of the idempotency key.
type claim struct {
	No     string    `json:"no"`
	Digest string    `json:"digest"` // keyed hash of what was filed
	Filed  time.Time `json:"filed"`
	Ends   time.Time `json:"ends"`
}

const (
	// claimFor is how long a retry is recognised.
	claimFor = 7 * 24 * time.Hour

	indexQueue   = "queue"   // by authority and status; by authority alone while they are open
	indexErasure = "erasure" // what is to be erased, by when
)

// The states of the index of erasures.
const (
	erasureDue   = "due"   // closed: its time is over at Keep
	erasureBegun = "begun" // ordered, and not known to be carried out
)

var caseDef = store.Def[document]{Name: "cases", Indexes: []store.Index[document]{
	{Name: indexQueue, Version: "1", Keys: func(_ string, d *document) ([]store.Key, store.Key) {
		eq := []store.Key{store.K(d.Authority, d.status())}
		if !d.closed() {
			eq = append(eq, store.K(d.Authority, ""))
		}
		return eq, store.K(d.Filed)
	}},
	{Name: indexErasure, Version: "1", Keys: func(_ string, d *document) ([]store.Key, store.Key) {
		switch {
		case d.Gone:
			return nil, nil
		case !d.Erased.IsZero():
			return []store.Key{store.K(erasureBegun)}, store.K(d.Erased)
		case !d.Keep.IsZero():
			return []store.Key{store.K(erasureDue)}, store.K(d.Keep)
		}
		return nil, nil
	}},
}}

// Service files complaints and tells what became of them. It is safe for concurrent use, and replicas may share a store.
type Service struct {
	cases       *store.Collection[document]
	claims      *store.Collection[claim]
	attempts    *store.Collection[attempts]
	hasher      Hasher
	vault       Vault
	authorities Authorities
	rules       *deadline.Set
	now         clock.Now
	token       func() string // at least 30 random bits in the alphabet of package clock
	log         *slog.Logger
}

// Open opens the collections.
func Open(ctx context.Context, d Deps) (*Service, error) {
	s := &Service{
		hasher: d.Hasher, vault: d.Vault, authorities: d.Authorities, rules: d.Rules, now: d.Now, log: d.Log,
		token: func() string { return clock.Token(10) },
	}
	var err error
	if s.rules == nil {
		if s.rules, err = deadline.BuiltIn(); err != nil {
			return nil, err
		}
	}
	if s.cases, err = store.Open(ctx, d.Engine, caseDef); err != nil {
		return nil, err
	}
	s.claims, err = store.Open(ctx, d.Engine, store.Def[claim]{Name: "case_claims", Expires: func(c *claim) time.Time { return c.Ends }})
	if err != nil {
		return nil, err
	}
	s.attempts, err = store.Open(ctx, d.Engine, store.Def[attempts]{Name: "case_attempts", Expires: func(a *attempts) time.Time { return a.Ends }})
	return s, err
}

func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }
