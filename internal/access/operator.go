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
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// operator is an operator as it is stored; the ID is the login.
type operator struct {
	Name       string         `json:"name"`
	Authority  string         `json:"authority"`
	Roles      []Role         `json:"roles"`
	Level      warning.Level  `json:"level,omitempty"`
	Password   string         `json:"password,omitempty"`   // argon2id, PHC string format; "" until enrolled
	TOTP       privacy.Sealed `json:"totp,omitempty"`       // "" without a second factor
	LastStep   int64          `json:"last_step,omitempty"`  // the newest one-time code used: a code works once
	Recovery   []string       `json:"recovery,omitempty"`   // keyed hashes of the recovery codes that are left
	Identities []string       `json:"identities,omitempty"` // keyed hashes of issuer and subject at identity providers
	Disabled   bool           `json:"disabled,omitempty"`
	Epoch      int64          `json:"epoch"`              // sessions and trusted devices of an earlier one are void
	Link       string         `json:"link,omitempty"`     // ID of the one link that is good: the newest, of this epoch
	Proposed   []string       `json:"proposed,omitempty"` // logins of the administrators on whose word alone the weighty roles rest; see powers
	Created    time.Time      `json:"created"`
	LastLogin  time.Time      `json:"last_login,omitzero"`
}

func (o *operator) administers() bool {
	return slices.Contains(o.powers(), Administrator) && !o.Disabled
}

// turn begins a new epoch: the sessions, trusted devices and links of the one before are void.
func (o *operator) turn() { o.Epoch, o.Link = o.Epoch+1, "" }

// needsFactor says whether the operator may not be without a second factor: all but those who only read.
func needsFactor(roles []Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return r != Viewer })
}

// Operator is an operator as others see it.
type Operator struct {
	Login, Name, Authority string
	Roles                  []Role
	Level                  warning.Level // up to which a publisher publishes
	Enrolled               bool          // has a password
	SecondFactor           bool
	RecoveryCodes          int // that are left
	Disabled               bool
	Proposed               []string // logins of the administrators whose doing another has to confirm before the operator publishes or administers
	Created, LastLogin     time.Time
	Revision               int64
}

func shown(d store.Doc[operator]) Operator {
	return Operator{
		Login: d.ID, Name: d.V.Name, Authority: d.V.Authority, Roles: d.V.Roles, Level: d.V.Level, Enrolled: d.V.Password != "",
		SecondFactor: d.V.TOTP != "", RecoveryCodes: len(d.V.Recovery), Disabled: d.V.Disabled, Proposed: d.V.Proposed, Created: d.V.Created,
		LastLogin: d.V.LastLogin, Revision: d.Rev,
	}
}

// NewOperator is an operator to add.
type NewOperator struct {
	Login, Name, Authority string
	Roles                  []Role
	Level                  warning.Level // of a publisher; others have none
	Password               string        // AddOperator only
	By                     string        // InviteOperator: the login of who invites; "" is whoever has the machine
}

var loginPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,39}$`)

const maxName = 100 // characters

// broken gives the rules that the operator breaks.
func (n *NewOperator) broken() (bad []fault.Field) {
	if !loginPattern.MatchString(n.Login) {
		bad = append(bad, fault.Field{Pointer: "/login", Code: "login", Detail: "2 to 40 of a-z, 0-9, '.', '_', '-'"})
	}
	if !utf8.ValidString(n.Name) || utf8.RuneCountInString(n.Name) > maxName || strings.ContainsFunc(n.Name, func(r rune) bool { return r < ' ' }) {
		bad = append(bad, fault.Field{Pointer: "/name", Code: "name", Detail: fmt.Sprintf("at most %d characters", maxName)})
	}
	if strings.TrimSpace(n.Authority) == "" {
		bad = append(bad, fault.Field{Pointer: "/authority", Code: "required", Detail: "the body that the operator acts for"})
	}
	return append(bad, brokenRoles(n.Roles, n.Level)...)
}

func brokenRoles(roles []Role, level warning.Level) (bad []fault.Field) {
	if len(roles) == 0 || len(roles) > len(Roles) || slices.ContainsFunc(roles, func(r Role) bool { return !slices.Contains(Roles, r) }) {
		bad = append(bad, fault.Field{Pointer: "/roles", Code: "role", Detail: fmt.Sprintf("one or more of %v", Roles)})
	}
	if len(held(roles)) != len(roles) {
		bad = append(bad, fault.Field{Pointer: "/roles", Code: "exclusive", Detail: fmt.Sprintf("an administrator is none of %v", exclusive)})
	}
	if publishes := slices.Contains(roles, Publisher); publishes && level.Rank() == 0 || !publishes && level != "" {
		bad = append(bad, fault.Field{Pointer: "/level", Code: "level", Detail: "red, orange, yellow or blue for a publisher, and none for others"})
	}
	return bad
}

func brokenPassword(p string) []fault.Field {
	if n := utf8.RuneCountInString(p); n < 12 || len(p) > 200 || !utf8.ValidString(p) {
		return []fault.Field{{Pointer: "/password", Code: "password_length", Detail: "12 to 200 characters"}}
	}
	return nil
}

// knownAuthority checks that the body exists. Invalid.
func (s *Service) knownAuthority(ctx context.Context, id string) error {
	if s.authorities == nil {
		return nil
	}
	_, _, err := s.authorities.Competence(ctx, id)
	if fault.KindOf(err) == fault.NotFound {
		return fault.InvalidFields(fault.Field{Pointer: "/authority", Code: "authority_unknown", Detail: "no such authority; GET /v1/authorities lists them"})
	}
	return err
}

// Enrolment is shown once, to the new operator.
type Enrolment struct {
	Login         string
	TOTPSecret    string // base32, for typing; "" without a second factor
	OtpauthURL    string // for a QR code
	RecoveryCodes []string
}

// AddOperator adds an operator with password and second factor, complete at once: for the command, and for the demonstration. Invalid; Conflict
// when the login is taken.
func (s *Service) AddOperator(ctx context.Context, n NewOperator) (Enrolment, error) {
	if bad := append(n.broken(), brokenPassword(n.Password)...); bad != nil {
		return Enrolment{}, fault.InvalidFields(bad...)
	}
	if err := s.knownAuthority(ctx, n.Authority); err != nil {
		return Enrolment{}, err
	}
	e, sealed, err := s.newFactor(ctx, n.Login)
	if err != nil {
		return Enrolment{}, err
	}
	hash, err := s.hash(ctx, n.Password)
	if err != nil {
		return Enrolment{}, err
	}
	var hashes []string
	e.RecoveryCodes, hashes = s.newRecovery(n.Login)
	o := operator{
		Name: n.Name, Authority: n.Authority, Roles: n.Roles, Level: n.Level, Password: hash, TOTP: privacy.Sealed(sealed), Recovery: hashes, Created: s.time(),
	}
	return e, s.insertOperator(ctx, n.Login, &o)
}

func (s *Service) insertOperator(ctx context.Context, login string, o *operator) error {
	err := s.operators.Insert(ctx, login, *o)
	if errors.Is(err, store.ErrExists) {
		return fault.New(fault.Conflict, "login_taken", "the login %q is taken", login).Because(err)
	}
	if err == nil && o.administers() {
		err = s.settle(ctx, login, "")
	}
	return err
}

// Operators lists operators by login.
func (s *Service) Operators(ctx context.Context, cursor string, limit int) ([]Operator, string, error) {
	page, err := s.operators.Find(ctx, store.Query{Index: everyone, Eq: store.K(""), Cursor: cursor, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	out := make([]Operator, len(page.Items))
	for i, d := range page.Items {
		out[i] = shown(d)
	}
	return out, page.Next, nil
}

// Operator gives an operator. NotFound.
func (s *Service) Operator(ctx context.Context, login string) (Operator, error) {
	d, err := s.operators.Get(ctx, login)
	return shown(d), unknownOperator(err)
}

func unknownOperator(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "operator_unknown", "there is no operator with this login").Because(err)
	}
	return err
}

// OperatorChange is what to change; nil leaves as it is.
type OperatorChange struct {
	By              string // login of who changes it; "" is nobody's own account
	Name, Authority *string
	Roles           *[]Role
	Level           *warning.Level
	Disabled        *bool
}

func (c *OperatorChange) apply(login string, o *operator) error {
	if c.Name != nil {
		o.Name = *c.Name
	}
	if c.Authority != nil {
		o.Authority = *c.Authority
	}
	if c.Roles != nil {
		o.Roles = *c.Roles
	}
	if c.Level != nil {
		o.Level = *c.Level
	}
	if c.Disabled != nil {
		o.Disabled = *c.Disabled
	}
	n := NewOperator{Login: login, Name: o.Name, Authority: o.Authority, Roles: o.Roles, Level: o.Level}
	if bad := n.broken(); bad != nil {
		return fault.InvalidFields(bad...)
	}
	if o.Password != "" && o.TOTP == "" && len(o.Identities) == 0 && needsFactor(o.Roles) {
		return fault.New(fault.Conflict, "second_factor_missing", "this operator has no second factor; invite the operator anew for these roles")
	}
	return nil
}

// differs says whether an operator may do anything else than before.
func (o *operator) differs(before *Operator) bool {
	return o.Authority != before.Authority || o.Level != before.Level || o.Disabled != before.Disabled || !slices.Equal(o.Roles, before.Roles)
}

// errOwnAccount keeps administrators from what they do to themselves: what they may do is another administrator's matter.
var errOwnAccount = fault.New(fault.Forbidden, "own_account", "your own rights are another administrator's matter; only the name is yours")

// ChangeOperator changes an operator whose revision the caller has seen (0: whatever stands). Unless nothing but the name changed, every session
// of the operator ends, on every replica within two seconds, and a link that was given before is void. What makes a publisher or an
// administrator, widens what one may do, or enables one again, waits for ConfirmOperator. Invalid, NotFound; Conflict: operator_changed,
// last_administrator (somebody must be left who can let others in), second_factor_missing. Forbidden (own_account) for more than one's
// own name.
func (s *Service) ChangeOperator(ctx context.Context, login string, revision int64, c OperatorChange) (before, after Operator, err error) {
	d, err := s.operators.Get(ctx, login)
	if err != nil {
		return before, after, unknownOperator(err)
	}
	before = shown(d)
	if revision != 0 && d.Rev != revision {
		return before, after, errOperatorChanged
	}
	was := d.V.administers()
	if err := c.apply(login, &d.V); err != nil {
		return before, after, err
	}
	if d.V.differs(&before) {
		if c.By == login {
			return before, after, errOwnAccount
		}
		d.V.turn()
		by := c.By
		if !d.V.gains(&before) {
			by = ""
		}
		d.V.propose(by)
	}
	if c.Authority != nil {
		if err := s.knownAuthority(ctx, *c.Authority); err != nil {
			return before, after, err
		}
	}
	nonce := ""
	if was && !d.V.administers() {
		if nonce, err = s.leave(ctx, login); err != nil {
			return before, after, err
		}
	}
	err = s.operators.Replace(ctx, d)
	s.known.InvalidateAll()
	if nonce != "" || d.V.administers() {
		err = errors.Join(err, s.settle(context.WithoutCancel(ctx), login, nonce))
	}
	if errors.Is(err, store.ErrConflict) {
		return before, after, errOperatorChanged.Because(err)
	}
	if err != nil {
		return before, after, unknownOperator(err)
	}
	d.Rev++
	return before, shown(d), nil
}

var errOperatorChanged = fault.New(fault.Conflict, "operator_changed", "the operator was changed meanwhile; read it again")

// administrators is the one document that says who is left to let others in. It never counts anybody who is none, so while it counts one there
// is one, and of two who would go at once one is refused. Whoever goes is taken out, as leaving, before the operator's document is
// changed; whoever comes is put in after it, and only while nobody is about to take them out.
type administrators struct {
	Logins  []string           `json:"logins"`
	Leaving map[string]leaving `json:"leaving,omitempty"` // by a nonce of the change
}

type leaving struct {
	Login string    `json:"login"`
	Since time.Time `json:"since"`
}

const (
	administratorsID = "administrators"
	// maxAdministrators bounds the document; more may exist, and are not counted.
	maxAdministrators = 100
	// leftAfter is when a change that neither came to its end nor took itself back was surely cut off.
	leftAfter = 10 * time.Minute
)

// leave takes an administrator out before they go. settle must follow. Conflict (last_administrator).
func (s *Service) leave(ctx context.Context, login string) (nonce string, err error) {
	nonce = clock.Token(10)
	_, err = s.state.Upsert(ctx, administratorsID, func(v *administrators) error {
		rest := slices.DeleteFunc(slices.Clone(v.Logins), func(l string) bool { return l == login })
		if len(rest) == 0 {
			return fault.New(fault.Conflict, "last_administrator", "this is the last administrator; make another one first")
		}
		v.Logins = rest
		if v.Leaving == nil {
			v.Leaving = map[string]leaving{}
		}
		v.Leaving[nonce] = leaving{login, s.time()}
		return nil
	})
	return nonce, err
}

// settle counts an operator, or does not, by what the operator's document says. It is read after the state and before the state is
// replaced: a change that takes the administrator out meanwhile changes the state first, and then this tries again.
func (s *Service) settle(ctx context.Context, login, nonce string) error {
	_, err := s.state.Upsert(ctx, administratorsID, func(v *administrators) error {
		delete(v.Leaving, nonce)
		for _, l := range v.Leaving {
			if l.Login == login {
				return nil // whoever takes them out settles it
			}
		}
		o, err := s.operators.Get(ctx, login)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		counted := slices.Contains(v.Logins, login)
		switch {
		case o.V.administers() && !counted && len(v.Logins) < maxAdministrators:
			v.Logins = append(v.Logins, login)
		case !o.V.administers() && counted:
			v.Logins = slices.DeleteFunc(v.Logins, func(l string) bool { return l == login })
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count administrators: %w", err)
	}
	return nil
}

// reconcile counts administrators who are missing because a process died half-way.
func (s *Service) reconcile(ctx context.Context) error {
	now, err := s.state.Get(ctx, administratorsID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for nonce, l := range now.V.Leaving {
		if s.time().Sub(l.Since) >= leftAfter {
			if err := s.settle(ctx, l.Login, nonce); err != nil {
				return err
			}
		}
	}
	return s.operators.Each(ctx, store.Query{Index: everyone, Eq: store.K("")}, func(d store.Doc[operator]) error {
		if !d.V.administers() || slices.Contains(now.V.Logins, d.ID) {
			return nil
		}
		return s.settle(ctx, d.ID, "")
	})
}
