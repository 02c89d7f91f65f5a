package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// The bounds of keys.
const (
	MaxKeys    = 50 // of a firm, ended ones too
	MaxOverlap = 30 * 24 * time.Hour
	maxLabel   = 100                  // characters
	keepEnded  = 400 * 24 * time.Hour // how long a key that has ended stays in the list
)

// sellerKey is a key as it is stored, under its ID.
type sellerKey struct {
	Firm       string    `json:"firm"`
	Label      string    `json:"label"`
	Scopes     []Scope   `json:"scopes"`
	Test       bool      `json:"test,omitempty"`
	Hash       string    `json:"hash"`
	Created    time.Time `json:"created"`
	CreatedBy  string    `json:"created_by,omitempty"` // actor, as the audit trail names it
	NotAfter   time.Time `json:"not_after,omitzero"`   // as it was given; the keys in its place have it too
	Rotated    time.Time `json:"rotated,omitzero"`
	Until      time.Time `json:"until,omitzero"` // the end of the overlap, once it was rotated
	Ended      time.Time `json:"ended,omitzero"`
	EndedBy    string    `json:"ended_by,omitempty"`
	ReplacedBy string    `json:"replaced_by,omitempty"`
	LastUsed   time.Time `json:"last_used,omitzero"` // to touchEvery
}

func (k *sellerKey) good(now time.Time) bool {
	ends := k.ends()
	return k.Ended.IsZero() && (ends.IsZero() || now.Before(ends))
}

// ends is when the key ends if nobody ends it before; zero is never.
func (k *sellerKey) ends() time.Time {
	if k.NotAfter.IsZero() || !k.Until.IsZero() && k.Until.Before(k.NotAfter) {
		return k.Until
	}
	return k.NotAfter
}

// gone is when an ended key is forgotten; zero for a key that is good.
func (k *sellerKey) gone() time.Time {
	end := k.Ended
	if end.IsZero() {
		end = k.ends()
	}
	if end.IsZero() {
		return end
	}
	return end.Add(keepEnded)
}

// Key is a key as its firm sees it.
type Key struct {
	ID, Firm, Label            string
	Prefix                     string // what the key begins with, to tell keys apart
	Scopes                     []Scope
	Test                       bool      // for the firm's test tenant
	Created, NotAfter, Revoked time.Time // NotAfter: the overlap of a rotation included
	LastUsed                   time.Time // to a minute; zero: never
	CreatedBy, ReplacedBy      string
	Good                       bool
}

func (s *Service) shownKey(id string, k *sellerKey) Key {
	return Key{
		ID: id, Firm: k.Firm, Label: k.Label, Prefix: prefixOf(k.Test) + id + "_", Scopes: k.Scopes, Test: k.Test, Created: k.Created,
		NotAfter: k.ends(), Revoked: k.Ended, LastUsed: k.LastUsed, CreatedBy: k.CreatedBy, ReplacedBy: k.ReplacedBy, Good: k.good(s.time()),
	}
}

func prefixOf(test bool) string {
	if test {
		return testPrefix
	}
	return keyPrefix
}

// NewKey is a key to give.
type NewKey struct {
	Firm, Label string
	Scopes      []Scope // empty: all
	Test        bool
	NotAfter    time.Time // zero: until it is ended
	By          string
}

func (n *NewKey) check(now time.Time) error {
	var bad []fault.Field
	if !utf8.ValidString(n.Label) || utf8.RuneCountInString(n.Label) > maxLabel || strings.ContainsFunc(n.Label, func(r rune) bool { return r < ' ' }) {
		bad = append(bad, fault.Field{Pointer: "/label", Code: "label", Detail: fmt.Sprintf("at most %d characters", maxLabel)})
	}
	if slices.ContainsFunc(n.Scopes, func(c Scope) bool { return !slices.Contains(Scopes, c) }) {
		bad = append(bad, fault.Field{Pointer: "/scopes", Code: "scope", Detail: fmt.Sprintf("some of %v", Scopes)})
	}
	if !n.NotAfter.IsZero() && !n.NotAfter.After(now) {
		bad = append(bad, fault.Field{Pointer: "/not_after", Code: "past", Detail: "a moment to come"})
	}
	if bad != nil {
		return fault.InvalidFields(bad...)
	}
	return nil
}

// AddKey gives a firm a new key, whose text is shown once. The caller has checked that the firm exists. Invalid; Conflict (too_many_keys).
func (s *Service) AddKey(ctx context.Context, n NewKey) (Key, string, error) {
	return s.addKey(ctx, n, clock.Token(5), clock.Token(20))
}

func (s *Service) addKey(ctx context.Context, n NewKey, id, random string) (Key, string, error) {
	now := s.time()
	if err := n.check(now); err != nil {
		return Key{}, "", err
	}
	if len(n.Scopes) == 0 {
		n.Scopes = Scopes
	}
	count, err := s.keys.Count(ctx, store.Query{Index: byFirm, Eq: store.K(n.Firm)}, MaxKeys)
	if err != nil {
		return Key{}, "", err
	}
	if count >= MaxKeys {
		return Key{}, "", fault.New(fault.Conflict, "too_many_keys", "a firm has at most %d keys, ended ones included; they are forgotten after %d days", MaxKeys, int(keepEnded.Hours()/24))
	}
	plain := prefixOf(n.Test) + id + "_" + random
	k := sellerKey{
		Firm: n.Firm, Label: n.Label, Scopes: n.Scopes, Test: n.Test, Hash: s.hasher.Hash("seller_key", plain), Created: now, CreatedBy: n.By, NotAfter: n.NotAfter,
	}
	err = s.keys.Insert(ctx, id, k)
	return s.shownKey(id, &k), plain, err
}

// Keys lists a firm's keys, the newest first, ended ones too.
func (s *Service) Keys(ctx context.Context, firm string) ([]Key, error) {
	page, err := s.keys.Find(ctx, store.Query{Index: byFirm, Eq: store.K(firm), Desc: true, Limit: 2 * MaxKeys})
	if err != nil {
		return nil, err
	}
	out := make([]Key, len(page.Items))
	for i, d := range page.Items {
		out[i] = s.shownKey(d.ID, &d.V)
	}
	return out, nil
}

var errKey = fault.New(fault.NotFound, "key_unknown", "the firm has no such key")

func (s *Service) keyOf(ctx context.Context, firm, id string) (store.Doc[sellerKey], error) {
	if !keyPattern.MatchString(id) {
		return store.Doc[sellerKey]{}, errKey
	}
	d, err := s.keys.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && d.V.Firm != firm {
		return d, errKey
	}
	return d, err
}

// rotateAgain is how long after a rotation whoever did not get its answer may rotate the same key again.
const rotateAgain = 10 * time.Minute

var (
	errKeyEnded = fault.New(fault.Conflict, "key_ended", "this key has ended; a new one can be given")
	errReplaced = fault.New(fault.Conflict, "key_replaced", "this key was replaced already; rotate the key in its place")
)

// RotateKey gives a new key in place of one, with its scopes and the end that it was given with: no rotation makes a key live longer. The old one
// is good for the overlap still, at most MaxOverlap, and no further key is made of it, but for whoever did not get the answer: for ten minutes,
// while the key in its place was never used, it may be rotated again, and that key ends. NotFound, Invalid; Conflict (key_ended,
// key_replaced, too_many_keys).
func (s *Service) RotateKey(ctx context.Context, firm, id string, overlap time.Duration, by string) (Key, string, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return Key{}, "", fault.InvalidFields(fault.Field{Pointer: "/overlap_hours", Code: "overlap", Detail: "0 to 720 hours"})
	}
	d, err := s.keyOf(ctx, firm, id)
	if err != nil {
		return Key{}, "", err
	}
	old := &d.V
	if !old.good(s.time()) {
		return Key{}, "", errKeyEnded
	}
	unseen := old.ReplacedBy
	if unseen != "" {
		if err := s.neverUsed(ctx, old); err != nil {
			return Key{}, "", err
		}
	}
	k, plain, err := s.AddKey(ctx, NewKey{Firm: firm, Label: old.Label, Scopes: old.Scopes, Test: old.Test, NotAfter: old.NotAfter, By: by})
	if err != nil {
		return Key{}, "", err
	}
	_, err = s.keys.Update(ctx, id, func(v *sellerKey) error {
		switch {
		case !v.Ended.IsZero():
			return errKeyEnded
		case v.ReplacedBy != unseen:
			return errReplaced
		}
		v.replace(k.ID, s.time(), overlap)
		return nil
	})
	s.known.InvalidateAll()
	void := unseen
	if err != nil { // what was made here is in place of nothing
		void = k.ID
	}
	if void != "" {
		_, endErr := s.EndKey(context.WithoutCancel(ctx), firm, void, by)
		err = errors.Join(err, endErr)
	}
	if err != nil {
		return Key{}, "", err
	}
	return k, plain, nil
}

// replace notes that another key is in place of this one, whose overlap is never made longer.
func (k *sellerKey) replace(by string, now time.Time, overlap time.Duration) {
	k.ReplacedBy = by
	if k.Rotated.IsZero() {
		k.Rotated = now
	}
	if until := now.Add(overlap); k.Until.IsZero() || until.Before(k.Until) {
		k.Until = until
	}
}

// neverUsed passes a key that was rotated just now, and whose replacement nobody has used: perhaps nobody has seen it. Conflict (key_replaced).
func (s *Service) neverUsed(ctx context.Context, old *sellerKey) error {
	if s.time().Sub(old.Rotated) >= rotateAgain {
		return errReplaced
	}
	next, err := s.keys.Get(ctx, old.ReplacedBy)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!next.V.LastUsed.IsZero() || next.V.ReplacedBy != "") {
		return errReplaced
	}
	return err
}

// EndKey ends a key at once: on every replica within two seconds. Ending it again changes nothing. NotFound.
func (s *Service) EndKey(ctx context.Context, firm, id, by string) (Key, error) {
	if _, err := s.keyOf(ctx, firm, id); err != nil {
		return Key{}, err
	}
	d, err := s.keys.Update(ctx, id, func(v *sellerKey) error {
		if v.Ended.IsZero() {
			v.Ended, v.EndedBy = s.time(), by
		}
		return nil
	})
	s.known.InvalidateAll()
	return s.shownKey(id, &d.V), err
}

var keyPattern = regexp.MustCompile(`^[0-9a-z]{1,40}$`)

// keyID is the ID in a key: hk_{id}_{random} or hk_test_{id}_{random}. "test" is no ID, since IDs have eight characters.
func keyID(token string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(token, testPrefix), keyPrefix)
	id, _, _ := strings.Cut(rest, "_")
	return id
}

func (s *Service) sellerKey(ctx context.Context, token string) (p Principal, touch time.Time, err error) {
	id := keyID(token)
	if !keyPattern.MatchString(id) {
		return p, touch, errToken
	}
	d, err := s.keys.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return p, touch, errToken.Because(err)
	}
	if err != nil {
		return p, touch, err
	}
	if !equal(d.V.Hash, s.hasher.Hash("seller_key", token)) || !d.V.good(s.time()) {
		return p, touch, errToken
	}
	p = Principal{Kind: KindSeller, ID: id, Name: d.V.Label, Firm: d.V.Firm, Scopes: d.V.Scopes, Test: d.V.Test, NotAfter: d.V.ends()}
	return p, d.V.LastUsed.Add(touchEvery), nil
}

// InviteFirm gives a link with which a firm fetches its first keys, in place of the link before it. It is good while the firm stays as it is.
// NotFound.
func (s *Service) InviteFirm(ctx context.Context, firm, by string) (Link, error) {
	mark, err := s.mark(ctx, firm)
	if err != nil {
		return Link{}, err
	}
	return s.newest(ctx, link{Kind: linkFirm, Firm: firm, Mark: mark, By: by, Expires: s.time().Add(firmLinkTerm)})
}

func (s *Service) mark(ctx context.Context, firm string) (string, error) {
	if s.firms == nil {
		return "", nil
	}
	return s.firms.Mark(ctx, firm)
}

// AcceptedInvitation is what a firm gets for its link: a key, and one for its test tenant.
type AcceptedInvitation struct {
	Firm             string
	Live, Test       Key
	LiveKey, TestKey string
}

// acceptAgain is how long whoever accepted an invitation may ask again and gets the same keys: the answer may have got lost.
const acceptAgain = 10 * time.Minute

// AcceptInvitation gives a firm its first keys, once. The keys follow from the link, so a retry within ten minutes, also after a crash
// half-way, gets the same two. NotFound (link_unknown), also for a link that is not the newest, or of before the firm was changed; Invalid.
func (s *Service) AcceptInvitation(ctx context.Context, token, label string) (AcceptedInvitation, error) {
	d, err := s.link(ctx, token, linkFirm)
	if err != nil {
		return AcceptedInvitation{}, err
	}
	if err := (&NewKey{Label: label}).check(s.time()); err != nil {
		return AcceptedInvitation{}, err
	}
	mark, err := s.mark(ctx, d.V.Firm)
	if fault.KindOf(err) == fault.NotFound || err == nil && mark != d.V.Mark {
		err = errLink
	}
	if err != nil {
		return AcceptedInvitation{}, err
	}
	now := s.time()
	d, err = s.links.Update(ctx, d.ID, func(l *link) error {
		if l.Used.IsZero() {
			l.Used = now
		}
		if now.Sub(l.Used) >= acceptAgain {
			return errLink
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = errLink
	}
	if err != nil {
		return AcceptedInvitation{}, err
	}
	a := AcceptedInvitation{Firm: d.V.Firm}
	if a.Live, a.LiveKey, err = s.firstKey(ctx, token, label, &d.V, false); err != nil {
		return a, err
	}
	a.Test, a.TestKey, err = s.firstKey(ctx, token, label, &d.V, true)
	return a, err
}

func (s *Service) firstKey(ctx context.Context, token, label string, l *link, test bool) (Key, string, error) {
	from := fmt.Sprintf("%s\n%v", token, test)
	id, random := s.hasher.Hash("first_key_id", from)[:8], s.hasher.Hash("first_key", from)[:32]
	k, plain, err := s.addKey(ctx, NewKey{Firm: l.Firm, Label: label, Test: test, By: l.By}, id, random)
	if !errors.Is(err, store.ErrExists) {
		return k, plain, err
	}
	d, err := s.keys.Get(ctx, id)
	if err == nil && !equal(d.V.Hash, s.hasher.Hash("seller_key", plain)) {
		return Key{}, "", fmt.Errorf("key %s belongs to another firm: %w", id, store.ErrExists) // one of 2^40
	}
	return s.shownKey(id, &d.V), plain, err
}
