// Package casefile keeps complaints (投诉): what was filed, what became of it, and the statutory clocks that run. A complaint is named;
// its contact and its texts are encrypted field by field, each bound to its field and complaint.
//
// Whoever files gets a number and a secret. The secret is shown to the filer only: it is computed from the installation's key, the number
// and the request's idempotency key, and neither it nor that key is stored, so a retry of the same request shows it again and nobody else
// can. Only its keyed hash is kept.
package casefile

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// Keys seals fields and hashes secrets; *secret.Box in production.
type Keys interface {
	Seal(purpose string, plain []byte) (string, error)
	Open(purpose, sealed string) ([]byte, error)
	Hash(purpose, token string) string
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
}

// document is a case as it is stored.
type document struct {
	No     string            `json:"no"`
	Kind   string            `json:"kind"`
	Filed  time.Time         `json:"filed"`
	Lang   string            `json:"lang"`
	GTIN   string            `json:"gtin,omitempty"`
	Lot    string            `json:"lot,omitempty"`
	Serial string            `json:"serial,omitempty"`
	Sealed map[string]string `json:"sealed"` // by field
	Secret string            `json:"secret"` // keyed hash
	Claim  string            `json:"claim"`  // the request that made it
	Steps  []step            `json:"steps"`
}

type step struct {
	Kind      string    `json:"kind"`
	At        time.Time `json:"at"`
	By        string    `json:"by,omitempty"`
	Authority string    `json:"authority,omitempty"`
	Note      lang.Text `json:"note,omitempty"`
}

func (d *document) status() string { return d.Steps[len(d.Steps)-1].Kind }

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

	indexStatus = "status"
)

// Service files complaints and tells what became of them. It is safe for concurrent use, and replicas may share a store.
type Service struct {
	cases    *store.Collection[document]
	claims   *store.Collection[claim]
	attempts *store.Collection[attempts]
	keys     Keys
	rules    *deadline.Set
	now      clock.Now
	token    func() string // at least 30 random bits in the alphabet of package clock
	log      *slog.Logger
}

// Open opens the collections. rules may be nil for the built-in ones.
func Open(ctx context.Context, eng store.Engine, keys Keys, rules *deadline.Set, now clock.Now, log *slog.Logger) (*Service, error) {
	s := &Service{keys: keys, rules: rules, now: now, token: func() string { return clock.Token(10) }, log: log}
	var err error
	if s.rules == nil {
		if s.rules, err = deadline.BuiltIn(); err != nil {
			return nil, err
		}
	}
	s.cases, err = store.Open(ctx, eng, store.Def[document]{
		Name: "cases",
		Indexes: []store.Index[document]{{Name: indexStatus, Version: "1", Keys: func(_ string, d *document) ([]store.Key, store.Key) {
			return []store.Key{store.K(d.status())}, store.K(d.Filed)
		}}},
	})
	if err != nil {
		return nil, err
	}
	s.claims, err = store.Open(ctx, eng, store.Def[claim]{Name: "case_claims", Expires: func(c *claim) time.Time { return c.Ends }})
	if err != nil {
		return nil, err
	}
	s.attempts, err = store.Open(ctx, eng, store.Def[attempts]{Name: "case_attempts", Expires: func(a *attempts) time.Time { return a.Ends }})
	return s, err
}

func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// File files a complaint; it is durable when File returns. A retry with the same idempotency key and the same content, within 7 days,
// gets the same receipt, secret included. "" is no idempotency key: every call then files anew.
//
// Invalid with pointers into the complaint; Conflict (idempotency_key_reused) when the key came with another content.
func (s *Service) File(ctx context.Context, c NewComplaint, idempotencyKey string) (Receipt, error) {
	if err := c.normalize(); err != nil {
		return Receipt{}, err
	}
	if len(idempotencyKey) > maxKey {
		return Receipt{}, fault.New(fault.Malformed, "idempotency_key_too_long", "an Idempotency-Key has at most %d bytes", maxKey)
	}
	if idempotencyKey == "" {
		idempotencyKey = clock.Token(20)
	}
	content, err := json.Marshal(c)
	if err != nil {
		return Receipt{}, fmt.Errorf("encode complaint: %w", err)
	}
	claimID := s.keys.Hash("casefile/idempotency", idempotencyKey)
	filed := s.time()
	mine := claim{Digest: s.keys.Hash("casefile/digest", string(content)), Filed: filed, Ends: filed.Add(claimFor)}
	mine.No = newNumber(filed, s.token())
	err = s.claims.Insert(ctx, claimID, mine)
	if errors.Is(err, store.ErrExists) {
		d, err := s.claims.Get(ctx, claimID)
		if err != nil {
			return Receipt{}, fmt.Errorf("read claim: %w", err)
		}
		if d.V.Digest != mine.Digest {
			return Receipt{}, fault.New(fault.Conflict, "idempotency_key_reused", "this Idempotency-Key was used for another complaint")
		}
		mine = d.V
	} else if err != nil {
		return Receipt{}, fmt.Errorf("insert claim: %w", err)
	}
	return s.fulfil(ctx, c, claimID, mine, idempotencyKey)
}

// maxNumbers bounds the search for a free number; among 2^30 a day even a second try is rare.
const maxNumbers = 20

// fulfil stores the case that a claim stands for, unless an earlier try has. Where the number belongs to another case the claim takes
// another one first, so that concurrent tries of one request agree.
func (s *Service) fulfil(ctx context.Context, c NewComplaint, claimID string, cl claim, key string) (Receipt, error) {
	for range maxNumbers {
		secret := s.secretFor(cl.No, key)
		d, err := s.seal(c, cl, claimID, secret)
		if err != nil {
			return Receipt{}, err
		}
		err = s.cases.Insert(ctx, cl.No, d)
		if errors.Is(err, store.ErrExists) {
			stored, getErr := s.cases.Get(ctx, cl.No)
			if getErr != nil {
				return Receipt{}, fmt.Errorf("read case: %w", getErr)
			}
			if stored.V.Claim != claimID {
				if cl, err = s.renumber(ctx, claimID, cl.No); err != nil {
					return Receipt{}, err
				}
				continue
			}
			d, err = stored.V, nil
		}
		if err != nil {
			return Receipt{}, fmt.Errorf("insert case: %w", err)
		}
		return Receipt{No: d.No, Secret: secret, Filed: d.Filed, Clocks: s.clocks(&d)}, nil
	}
	return Receipt{}, fmt.Errorf("no free receipt number after %d tries", maxNumbers)
}

func (s *Service) renumber(ctx context.Context, claimID, taken string) (claim, error) {
	d, err := s.claims.Update(ctx, claimID, func(c *claim) error {
		if c.No == taken {
			c.No = newNumber(c.Filed, s.token())
		}
		return nil
	})
	if err != nil {
		return claim{}, fmt.Errorf("renumber claim: %w", err)
	}
	return d.V, nil
}

// secretFor computes the secret; see the package comment.
func (s *Service) secretFor(no, idempotencyKey string) string {
	return newSecret([]byte(s.keys.Hash("casefile/secret", no+"\n"+idempotencyKey)))
}

func (s *Service) secretHash(no, secret string) string {
	return s.keys.Hash("casefile/secret-hash", no+"\n"+plainSecret(secret))
}

// seal makes the document of a complaint.
func (s *Service) seal(c NewComplaint, cl claim, claimID, secret string) (document, error) {
	d := document{
		No: cl.No, Kind: c.Kind, Filed: cl.Filed, Lang: c.Lang, GTIN: c.GTIN, Lot: c.Lot, Serial: c.Serial, Claim: claimID,
		Secret: s.secretHash(cl.No, secret), Sealed: map[string]string{}, Steps: []step{{Kind: StepFiled, At: cl.Filed}},
	}
	for field, text := range c.sealed() {
		if *text == "" {
			continue
		}
		sealed, err := s.keys.Seal(purpose(d.No, field), []byte(*text))
		if err != nil {
			return document{}, fmt.Errorf("complaint %s: %w", d.No, err)
		}
		d.Sealed[field] = sealed
	}
	return d, nil
}

// purpose binds a sealed field to its name and case: moved elsewhere it does not open.
func purpose(no, field string) string { return "casefile/" + no + "/" + field }

func (s *Service) clocks(d *document) []deadline.Clock {
	events := make([]deadline.Event, len(d.Steps))
	authority := ""
	for i, st := range d.Steps {
		events[i] = deadline.Event{Kind: st.Kind, At: st.At}
		if st.Authority != "" {
			authority = st.Authority
		}
	}
	return s.rules.Clocks(d.Kind, authority, events, s.time())
}

// errNoSuchReceipt does not tell a wrong number from a wrong secret.
func errNoSuchReceipt() error {
	return fault.New(fault.NotFound, "receipt_unknown", "there is no complaint with this number and secret")
}

// Status tells the filer what became of a complaint. Number and secret may be typed with any spaces and hyphens.
//
// NotFound (receipt_unknown) for a wrong number and for a wrong secret alike; TooMany after ten wrong secrets for one number within
// 15 minutes. The right secret opens the case at any time, however many wrong ones came before: with 83 random bits nobody guesses it, and
// a lock would let anybody who has seen a number shut its owner out.
func (s *Service) Status(ctx context.Context, no, secret string) (View, error) {
	number, ok := parseNumber(no)
	if !ok {
		return View{}, errNoSuchReceipt()
	}
	d, err := s.cases.Get(ctx, number)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return View{}, fmt.Errorf("read case: %w", err)
	}
	right := hmac.Equal([]byte(d.V.Secret), []byte(s.secretHash(number, secret)))
	if known && right {
		return s.view(&d.V), nil
	}
	// A number that does not exist is counted as well, or the count and the time that it takes would tell which numbers do.
	return View{}, s.countWrong(ctx, number)
}

func (s *Service) view(d *document) View {
	v := View{
		No: d.No, Kind: d.Kind, Status: d.status(), StatusName: StepName(d.status()), Filed: d.Filed,
		GTIN: d.GTIN, Lot: d.Lot, Serial: d.Serial, Clocks: s.clocks(d),
	}
	for _, st := range d.Steps {
		v.Timeline = append(v.Timeline, Entry{Kind: st.Kind, Name: StepName(st.Kind), At: st.At, Authority: st.Authority, Note: st.Note})
	}
	return v
}

// attempts counts wrong secrets for one number within a window.
type attempts struct {
	Wrong int       `json:"wrong"`
	Ends  time.Time `json:"ends"` // of the window, which begins with the first wrong secret
}

const (
	maxWrong    = 10
	wrongWindow = 15 * time.Minute
)

// errFull stops the counting: a flood of guesses must not become a flood of writes.
var errFull = errors.New("casefile: window is full")

// countWrong counts one wrong secret and gives the answer to it.
func (s *Service) countWrong(ctx context.Context, no string) error {
	now := s.time()
	var retry time.Duration
	_, err := s.attempts.Upsert(ctx, no, func(a *attempts) error {
		if !now.Before(a.Ends) {
			*a = attempts{Ends: now.Add(wrongWindow)}
		}
		if a.Wrong >= maxWrong {
			retry = a.Ends.Sub(now)
			return errFull
		}
		a.Wrong++
		return nil
	})
	if errors.Is(err, errFull) {
		f := fault.New(fault.TooMany, "too_many_attempts", "too many wrong secrets for this number; try again later")
		f.Retry = retry
		return f
	}
	if err != nil { // the answer stays 'wrong'; that it was not counted is for the log
		s.log.WarnContext(ctx, "wrong receipt secret not counted", "error", err)
	}
	return errNoSuchReceipt()
}

// Sweep deletes expired claims and counters, up to limit of each.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	n, err := s.claims.Sweep(ctx, limit)
	m, err2 := s.attempts.Sweep(ctx, limit)
	return n + m, errors.Join(err, err2)
}
