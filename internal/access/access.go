// Package access says who is asking: operators with password, one-time code and a server-side session, and sellers with
// keys. Devices are internal/consumer's.
package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/secret"
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
}

// Has says whether an operator has a role.
func (p *Principal) Has(r Role) bool { return slices.Contains(p.Roles, r) }

// SessionTerm is how long a session lasts.
const SessionTerm = 8 * time.Hour

// Tokens begin with what they are, so that a leaked one is recognised by scanners.
const (
	sessionPrefix = "hs_"
	keyPrefix     = "hk_"
)

type operator struct {
	Name      string    `json:"name"`
	Authority string    `json:"authority"`
	Roles     []Role    `json:"roles"`
	Password  string    `json:"password"`  // argon2id, PHC string format
	TOTP      string    `json:"totp"`      // sealed
	LastStep  int64     `json:"last_step"` // the newest one-time code used: a code works once
	Created   time.Time `json:"created"`
}

type session struct {
	Login   string    `json:"login"`
	Started time.Time `json:"started"`
	Expires time.Time `json:"expires"`
}

type sellerKey struct {
	Firm    string    `json:"firm"`
	Label   string    `json:"label"`
	Hash    string    `json:"hash"`
	Created time.Time `json:"created"`
}

// Service keeps identities.
type Service struct {
	operators *store.Collection[operator]
	sessions  *store.Collection[session]
	keys      *store.Collection[sellerKey]
	box       *secret.Box
	now       clock.Now
	hashing   chan struct{} // bounds the memory that password hashing takes
	dummy     string        // verified for unknown logins, so that they take as long
}

// Open declares the collections.
func Open(ctx context.Context, eng store.Engine, box *secret.Box, now clock.Now) (*Service, error) {
	s := &Service{box: box, now: now, hashing: make(chan struct{}, hashSlots), dummy: dummyHash}
	var err error
	if s.operators, err = store.Open(ctx, eng, store.Def[operator]{Name: "operators"}); err != nil {
		return nil, err
	}
	if s.sessions, err = store.Open(ctx, eng, store.Def[session]{
		Name: "sessions", Expires: func(v *session) time.Time { return v.Expires },
	}); err != nil {
		return nil, err
	}
	if s.keys, err = store.Open(ctx, eng, store.Def[sellerKey]{Name: "seller_keys"}); err != nil {
		return nil, err
	}
	return s, nil
}

// NewOperator is an operator to add.
type NewOperator struct {
	Login, Name, Authority string
	Roles                  []Role
	Level                  warning.Level
	Password               string // at least 12 characters
}

// Enrolment is shown once, to the new operator.
type Enrolment struct {
	Login         string
	TOTPSecret    string // base32, for typing
	OtpauthURL    string // for a QR code
	RecoveryCodes []string
}

var loginPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,39}$`)

// AddOperator adds an operator. Invalid; Conflict when the login is taken.
func (s *Service) AddOperator(ctx context.Context, n NewOperator) (Enrolment, error) {
	var bad []fault.Field
	if !loginPattern.MatchString(n.Login) {
		bad = append(bad, fault.Field{Pointer: "/login", Code: "login", Detail: "2 to 40 of a-z, 0-9, '.', '_', '-'"})
	}
	if len([]rune(n.Password)) < 12 || len(n.Password) > 200 {
		bad = append(bad, fault.Field{Pointer: "/password", Code: "password_length", Detail: "12 to 200 characters"})
	}
	if len(n.Roles) == 0 || slices.ContainsFunc(n.Roles, func(r Role) bool { return !slices.Contains(Roles, r) }) {
		bad = append(bad, fault.Field{Pointer: "/roles", Code: "role", Detail: fmt.Sprintf("one or more of %v", Roles)})
	}
	if strings.TrimSpace(n.Authority) == "" {
		bad = append(bad, fault.Field{Pointer: "/authority", Code: "required", Detail: "the body that the operator acts for"})
	}
	if bad != nil {
		return Enrolment{}, fault.InvalidFields(bad...)
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Haisu", AccountName: n.Login})
	if err != nil {
		return Enrolment{}, fmt.Errorf("one-time code: %w", err)
	}
	sealed, err := s.box.Seal(totpPurpose(n.Login), []byte(key.Secret()))
	if err != nil {
		return Enrolment{}, err
	}
	hash, err := s.hash(ctx, n.Password)
	if err != nil {
		return Enrolment{}, err
	}
	err = s.operators.Insert(ctx, n.Login, operator{
		Name: n.Name, Authority: n.Authority, Roles: n.Roles, Password: hash, TOTP: sealed, Created: s.now().UTC(),
	})
	if errors.Is(err, store.ErrExists) {
		return Enrolment{}, fault.New(fault.Conflict, "login_taken", "the login %q is taken", n.Login).Because(err)
	}
	return Enrolment{TOTPSecret: key.Secret(), OtpauthURL: key.URL()}, err
}

func totpPurpose(login string) string { return "operator.totp:" + login }

// Session is a new session; the token is shown once.
type Session struct {
	Token, ID, CSRF, Device       string
	Started, Expires, IdleExpires time.Time
	Operator                      Principal
}

var errLogin = fault.New(fault.Unauthenticated, "login_failed", "login, password or one-time code is wrong, or the code was used already")

// Login opens a session. A wrong login, password or code gives one and the same Unauthenticated error, after the same work.
func (s *Service) Login(ctx context.Context, r LoginRequest) (Session, error) {
	login, password, code := r.Login, r.Password, r.Code
	d, err := s.operators.Get(ctx, login)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Session{}, err
	}
	hash := s.dummy
	if known {
		hash = d.V.Password
	}
	ok, err := s.verify(ctx, hash, password)
	if err != nil {
		return Session{}, err
	}
	if !ok || !known {
		return Session{}, errLogin
	}
	if err := s.useCode(ctx, login, code); err != nil {
		return Session{}, err
	}
	now := s.now().UTC()
	token := sessionPrefix + clock.Token(25)
	v := session{Login: login, Started: now, Expires: now.Add(SessionTerm)}
	if err := s.sessions.Insert(ctx, s.box.Hash("session", token), v); err != nil {
		return Session{}, err
	}
	return Session{Token: token, Started: now, Expires: v.Expires, IdleExpires: v.Expires, Operator: principal(login, d.V)}, nil
}

// useCode accepts a one-time code of the step now, the one before or the one after (RFC 6238, 5.2), each only once.
func (s *Service) useCode(ctx context.Context, login, code string) error {
	_, err := s.operators.Update(ctx, login, func(o *operator) error {
		plain, err := s.box.Open(totpPurpose(login), o.TOTP)
		if err != nil {
			return err
		}
		step := s.now().Unix() / 30
		for at := step - 1; at <= step+1; at++ {
			if at <= o.LastStep {
				continue
			}
			ok, err := totp.ValidateCustom(code, string(plain), time.Unix(at*30, 0), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
			if err == nil && ok {
				o.LastStep = at
				return nil
			}
		}
		return errLogin
	})
	return err
}

func principal(login string, o operator) Principal {
	return Principal{
		Kind: KindOperator, ID: login, Name: o.Name, Roles: o.Roles, Authority: o.Authority, Classes: []string{AllClasses}, Level: warning.Red,
	}
}

var errToken = fault.New(fault.Unauthenticated, "unauthenticated", "the session or key is unknown or has ended")

// Authenticate says whose session token or seller's key this is. Unauthenticated.
func (s *Service) Authenticate(ctx context.Context, token string) (Principal, error) {
	switch {
	case strings.HasPrefix(token, sessionPrefix):
		return s.session(ctx, token)
	case strings.HasPrefix(token, keyPrefix):
		return s.sellerKey(ctx, token)
	}
	return Principal{}, errToken
}

func (s *Service) session(ctx context.Context, token string) (Principal, error) {
	d, err := s.sessions.Get(ctx, s.box.Hash("session", token))
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, errToken.Because(err)
	}
	if err != nil {
		return Principal{}, err
	}
	o, err := s.operators.Get(ctx, d.V.Login)
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, errToken.Because(err)
	}
	if err != nil {
		return Principal{}, err
	}
	return principal(o.ID, o.V), nil
}

var keyPattern = regexp.MustCompile(`^[0-9a-z]{1,40}$`)

func (s *Service) sellerKey(ctx context.Context, token string) (Principal, error) {
	id, _, ok := strings.Cut(strings.TrimPrefix(token, keyPrefix), "_")
	if !ok || !keyPattern.MatchString(id) {
		return Principal{}, errToken
	}
	d, err := s.keys.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, errToken.Because(err)
	}
	if err != nil {
		return Principal{}, err
	}
	if !equal(d.V.Hash, s.box.Hash("seller_key", token)) {
		return Principal{}, errToken
	}
	return Principal{Kind: KindSeller, ID: id, Name: d.V.Label, Firm: d.V.Firm, Scopes: Scopes}, nil
}

// Logout ends a session. A session that has ended already is no error.
func (s *Service) Logout(ctx context.Context, token string) error {
	err := s.sessions.Delete(ctx, s.box.Hash("session", token))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// AddKey gives a firm a new key, shown once. The caller has checked that the firm exists.
func (s *Service) AddKey(ctx context.Context, firm, label string) (string, error) {
	id := clock.Token(5)
	plain := keyPrefix + id + "_" + clock.Token(20)
	err := s.keys.Insert(ctx, id, sellerKey{
		Firm: firm, Label: label, Hash: s.box.Hash("seller_key", plain), Created: s.now().UTC(),
	})
	if err != nil {
		return "", err
	}
	return plain, nil
}

// Sweep deletes ended sessions, up to limit, and says how many.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	return s.sessions.Sweep(ctx, limit)
}
