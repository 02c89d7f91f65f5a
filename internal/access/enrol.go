package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

// Link is a one-time link's token, shown once.
type Link struct {
	Token   string
	Expires time.Time
}

// The kinds of links.
const (
	linkOperator = "operator"
	linkFirst    = "first"
	linkFirm     = "firm"
	linkIdentity = "identity" // no link: that an operator went to link an identity at a provider
	linkSignIn   = "sign_in"  // no link: that a sign-in through an identity provider was finished
)

// How long links can be used.
const (
	operatorLinkTerm = 72 * time.Hour
	firstLinkTerm    = 24 * time.Hour
	firmLinkTerm     = 7 * 24 * time.Hour
)

// link is a one-time link as it is stored, under the keyed hash of its token.
type link struct {
	Kind     string         `json:"kind"`
	Login    string         `json:"login,omitempty"` // of the operator who enrols
	Firm     string         `json:"firm,omitempty"`
	Mark     string         `json:"mark,omitempty"` // what the firm was, see Firms; of an identity the session that asked
	By       string         `json:"by,omitempty"`   // who gave the link
	Expires  time.Time      `json:"expires"`
	First    *firstOperator `json:"first,omitempty"`    // a first link that was begun
	Password string         `json:"password,omitempty"` // of an enrolment that waits for its confirmation
	TOTP     privacy.Sealed `json:"totp,omitempty"`     // likewise
	Used     time.Time      `json:"used,omitzero"`
	Recovery []string       `json:"recovery,omitempty"` // of the first operator, while it comes into being; see enrolFirst
	Step     int64          `json:"step,omitempty"`     // likewise: the one-time code that confirmed it
}

type firstOperator struct {
	Name      string `json:"name"`
	Authority string `json:"authority"`
}

// Of the first links, and of a firm's, one is good: the newest. A document under pointerID says which; for operators their own document does.
func pointerID(l *link) string {
	if l.Kind == linkFirm {
		return "firm/" + l.Firm
	}
	return "first"
}

func (s *Service) newLink(ctx context.Context, l link) (given Link, id string, err error) {
	token := linkPrefix + clock.Token(25)
	id = s.hasher.Hash("link", token)
	return Link{Token: token, Expires: l.Expires}, id, s.links.Insert(ctx, id, l)
}

// newest gives a link that takes the place of the one before it.
func (s *Service) newest(ctx context.Context, l link) (Link, error) {
	given, id, err := s.newLink(ctx, l)
	if err != nil {
		return Link{}, err
	}
	_, err = s.links.Upsert(ctx, pointerID(&l), func(v *link) error {
		*v = link{Kind: l.Kind, Login: id, Expires: l.Expires}
		return nil
	})
	return given, err
}

// operatorLink gives an operator a link, which takes the place of the one before it. NotFound; Conflict (operator_disabled), and whatever
// fit says of the operator as it stands.
func (s *Service) operatorLink(ctx context.Context, login string, fit func(o *operator) error) (Link, error) {
	given, id, err := s.newLink(ctx, link{Kind: linkOperator, Login: login, Expires: s.time().Add(operatorLinkTerm)})
	if err != nil {
		return Link{}, err
	}
	_, err = s.operators.Update(ctx, login, func(o *operator) error {
		if o.Disabled {
			return fault.New(fault.Conflict, "operator_disabled", "this operator is disabled; enable the operator first")
		}
		if err := fit(o); err != nil {
			return err
		}
		o.Link = id
		return nil
	})
	return given, unknownOperator(err)
}

var errLink = fault.New(fault.NotFound, "link_unknown", "this link is not known, was used, or is over; ask for a new one")

func (s *Service) link(ctx context.Context, token string, kinds ...string) (store.Doc[link], error) {
	if !strings.HasPrefix(token, linkPrefix) || len(token) > 100 {
		return store.Doc[link]{}, errLink
	}
	d, err := s.links.Get(ctx, s.hasher.Hash("link", token))
	if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(kinds, d.V.Kind) {
		return d, errLink
	}
	if err != nil {
		return d, err
	}
	good := ""
	if d.V.Kind == linkOperator {
		o, getErr := s.operators.Get(ctx, d.V.Login)
		if !o.V.Disabled {
			good = o.V.Link
		}
		err = getErr
	} else {
		p, getErr := s.links.Get(ctx, pointerID(&d.V))
		good, err = p.V.Login, getErr
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && good != d.ID {
		return d, errLink
	}
	return d, err
}

// LinkOwner says to whom a link that is good was given: an operator's login ("" for the first administrator, until the enrolment has begun), or a
// firm. Who uses it is known by that before anything is done. NotFound (link_unknown).
func (s *Service) LinkOwner(ctx context.Context, token string) (login, firm string, err error) {
	d, err := s.link(ctx, token, linkOperator, linkFirst, linkFirm)
	return d.V.Login, d.V.Firm, err
}

// InviteOperator adds an operator who has no password yet, or gives one who has none, and is to have the same rights, a new link in place of the
// one before. The link makes the password and the second factor, while the operator stands as it did when the link was given. A publisher
// or an administrator is one only after ConfirmOperator. Invalid;
// Conflict (login_taken, operator_disabled).
func (s *Service) InviteOperator(ctx context.Context, n NewOperator) (Link, error) {
	if bad := n.broken(); bad != nil {
		return Link{}, fault.InvalidFields(bad...)
	}
	if err := s.knownAuthority(ctx, n.Authority); err != nil {
		return Link{}, err
	}
	o := operator{Name: n.Name, Authority: n.Authority, Roles: n.Roles, Level: n.Level, Created: s.time()}
	o.propose(n.By)
	taken := s.insertOperator(ctx, n.Login, &o)
	if taken != nil && fault.CodeOf(taken) != "login_taken" {
		return Link{}, taken
	}
	return s.operatorLink(ctx, n.Login, func(o *operator) error {
		if o.Password != "" || o.Authority != n.Authority || o.Level != n.Level || !slices.Equal(o.Roles, n.Roles) {
			return cmp.Or[error](taken, errOperatorChanged)
		}
		o.Proposed = nil
		o.propose(n.By) // who means the same rights, and whose link it is that opens
		return nil
	})
}

// Readmit gives an operator a link to a new password and second factor: the old ones are lost, or in other hands. So what they opened ends
// at once, and they themselves, with the identities at providers, end when the link is used. It takes the place of every link before it.
// A publisher or an administrator is one again only after ConfirmOperator: whoever has the link is who enrols. NotFound; Conflict
// (operator_disabled, last_administrator); Forbidden (own_account) for by, the login of who gives it: whoever has a session only must not
// make more of it.
func (s *Service) Readmit(ctx context.Context, login, by string) (Link, error) {
	if login == by {
		return Link{}, errOwnAccount
	}
	d, err := s.operators.Get(ctx, login)
	if err != nil {
		return Link{}, unknownOperator(err)
	}
	nonce := ""
	if d.V.administers() {
		if nonce, err = s.leave(ctx, login); err != nil {
			return Link{}, err
		}
	}
	l, err := s.operatorLink(ctx, login, func(o *operator) error {
		if o.administers() && nonce == "" {
			return errOperatorChanged
		}
		o.turn()
		o.propose(by)
		return nil
	})
	s.known.InvalidateAll()
	if nonce != "" {
		err = errors.Join(err, s.settle(context.WithoutCancel(ctx), login, nonce))
	}
	return l, err
}

// StartRequest begins an enrolment.
type StartRequest struct {
	Token, Password        string
	Login, Name, Authority string // of the first administrator; others have them already
	SecondFactor           bool   // wanted; those who do more than read have one in any case
}

// StartEnrolment takes the password of whoever has the link, and gives the secret of the second factor. Nothing can be done with either until
// ConfirmEnrolment. It may be repeated; the last one counts. Invalid, NotFound (link_unknown).
func (s *Service) StartEnrolment(ctx context.Context, r StartRequest) (Enrolment, error) {
	d, err := s.link(ctx, r.Token, linkOperator, linkFirst)
	if err != nil {
		return Enrolment{}, err
	}
	bad := brokenPassword(r.Password)
	login, factor := d.V.Login, r.SecondFactor
	var first *firstOperator
	if d.V.Kind == linkFirst {
		n := NewOperator{Login: r.Login, Name: r.Name, Authority: r.Authority, Roles: []Role{Administrator}}
		bad = append(bad, n.broken()...)
		login, factor, first = r.Login, true, &firstOperator{Name: r.Name, Authority: r.Authority}
	}
	if bad != nil {
		return Enrolment{}, fault.InvalidFields(bad...)
	}
	if first != nil {
		err = s.knownAuthority(ctx, first.Authority)
	} else {
		var o store.Doc[operator]
		o, err = s.operators.Get(ctx, login)
		factor = factor || needsFactor(o.V.Roles)
	}
	if err != nil {
		return Enrolment{}, unknownOperator(err)
	}
	e, sealed := Enrolment{Login: login}, ""
	if factor {
		if e, sealed, err = s.newFactor(ctx, login); err != nil {
			return Enrolment{}, err
		}
	}
	hash, err := s.hash(ctx, r.Password)
	if err != nil {
		return Enrolment{}, err
	}
	_, err = s.links.Update(ctx, d.ID, func(l *link) error {
		l.Login, l.First, l.Password, l.TOTP = login, first, hash, privacy.Sealed(sealed)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return Enrolment{}, errLink
	}
	return e, err
}

var errCode = fault.New(fault.Invalid, "code_wrong", "the one-time code is wrong; does the clock of the phone go right?")

// ConfirmEnrolment proves with a one-time code that the second factor works, and makes password and factor good. It gives the recovery codes, once.
// Whatever the operator's old password and factor opened ends. Without a second factor the code is not looked at. Invalid (code_wrong),
// NotFound (link_unknown); Conflict (enrolment_not_started, login_taken).
func (s *Service) ConfirmEnrolment(ctx context.Context, token, code string) (Enrolment, error) {
	d, err := s.link(ctx, token, linkOperator, linkFirst)
	if err != nil {
		return Enrolment{}, err
	}
	l := &d.V
	if l.Password == "" {
		return Enrolment{}, fault.New(fault.Conflict, "enrolment_not_started", "choose a password first")
	}
	e := Enrolment{Login: l.Login}
	var hashes []string
	step := int64(0)
	if l.TOTP != "" {
		if step, err = s.matchCode(ctx, l.Login, l.TOTP, code, 0); err != nil {
			return Enrolment{}, err
		}
		if step == 0 {
			return Enrolment{}, errCode
		}
		e.RecoveryCodes, hashes = s.newRecovery(l.Login)
	}
	l.Recovery, l.Step = hashes, step
	if l.Kind == linkFirst {
		err = s.enrolFirst(ctx, l)
	} else {
		_, err = s.operators.Update(ctx, l.Login, func(o *operator) error {
			if o.Link != d.ID || o.Disabled {
				return errLink
			}
			return l.enrol(o)
		})
	}
	if err != nil {
		return Enrolment{}, unknownOperator(err)
	}
	s.known.InvalidateAll()
	// Used up, whoever else tried at the same moment.
	if err := s.links.Delete(ctx, d.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return Enrolment{}, err
	}
	return e, nil
}

// enrol makes what the link holds good.
func (l *link) enrol(o *operator) error {
	if l.TOTP == "" && needsFactor(o.Roles) {
		return fault.New(fault.Conflict, "enrolment_not_started", "the roles need a second factor by now; begin again")
	}
	o.Password, o.TOTP, o.LastStep, o.Recovery, o.Identities = l.Password, l.TOTP, l.Step, l.Recovery, nil
	o.turn()
	return nil
}

// factorField is the field that secrets of second factors are sealed for, in operators and in links.
const factorField = "totp"

func operatorRecord(login string) string { return "operator/" + login }

// newFactor makes the secret of a second factor, sealed.
func (s *Service) newFactor(ctx context.Context, login string) (e Enrolment, sealed string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Haisu", AccountName: login})
	if err != nil {
		return e, "", fmt.Errorf("one-time code: %w", err)
	}
	sealed, err = s.vault.Seal(ctx, operatorRecord(login), factorField, []byte(key.Secret()))
	return Enrolment{Login: login, TOTPSecret: key.Secret(), OtpauthURL: key.URL()}, sealed, err
}

// matchCode gives the step of a one-time code that is of the step now, the one before or the one after (RFC 6238, 5.2) and newer than the
// last one used; 0 for a wrong one.
func (s *Service) matchCode(ctx context.Context, login string, sealed privacy.Sealed, code string, last int64) (int64, error) {
	plain, err := s.vault.Open(ctx, operatorRecord(login), factorField, string(sealed))
	if err != nil {
		return 0, err
	}
	step := s.now().Unix() / 30
	for at := step - 1; at <= step+1; at++ {
		if at <= last {
			continue
		}
		ok, err := totp.ValidateCustom(code, string(plain), time.Unix(at*30, 0), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
		if err == nil && ok {
			return at, nil
		}
	}
	return 0, nil
}

const recoveryCodes = 10

// newRecovery makes recovery codes of 80 random bits, and their hashes.
func (s *Service) newRecovery(login string) (plain, hashes []string) {
	for range recoveryCodes {
		c := clock.Token(10)
		plain = append(plain, c[:4]+"-"+c[4:8]+"-"+c[8:12]+"-"+c[12:])
		hashes = append(hashes, s.recoveryHash(login, c))
	}
	return plain, hashes
}

// recoveryHash is of the code as it is typed: hyphens, spaces and case do not matter.
func (s *Service) recoveryHash(login, code string) string {
	return s.hasher.Hash("recovery", login+"\n"+strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code)))
}
