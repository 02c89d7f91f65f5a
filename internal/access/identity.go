package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// Identity is who an identity provider says that somebody is (OpenID Connect Core 1.0, 2).
type Identity struct {
	Issuer, Subject string
	SecondFactor    bool // the provider vouches for two factors; see oidc
}

func (s *Service) identityHash(issuer, subject string) string {
	return s.hasher.Hash("identity", issuer+"\n"+subject)
}

// identityTerm is how long an operator may take to sign in at the provider.
const identityTerm = 10 * time.Minute

// AwaitIdentity lets an operator link the identity that the provider names next to the browser that has state. Nobody else can: an administrator who
// could would be able to sign in as anybody. A session alone is not enough, since an identity outlives it: the password is asked for again, and so
// is a code where there is a second factor. Unauthenticated (login_failed), TooMany (too_many_attempts); Conflict (password_missing).
func (s *Service) AwaitIdentity(ctx context.Context, login, password, code, session, state string) error {
	if err := s.prove(ctx, login, password, code, session); err != nil {
		return err
	}
	l := link{Kind: linkIdentity, Login: login, Mark: s.sessionID(session), Expires: s.time().Add(identityTerm)}
	return s.links.Insert(ctx, s.hasher.Hash("identity_state", state), l)
}

// prove has an operator show again that it is the operator who has the session.
func (s *Service) prove(ctx context.Context, login, password, code, session string) error {
	d, err := s.operators.Get(ctx, login)
	if err != nil {
		return unknownOperator(err)
	}
	if d.V.Password == "" {
		return errNoPassword
	}
	tries := []string{ownTries("password", session), ownTries("code", session)}
	for _, what := range tries {
		if err := s.try(ctx, what, maxOwn); err != nil {
			return err
		}
	}
	ok, err := s.verify(ctx, d.V.Password, password)
	if err != nil {
		return err
	}
	if !ok {
		return errLogin
	}
	if _, err := s.operators.Update(ctx, login, func(o *operator) error { return s.useCode(ctx, login, o, code) }); err != nil {
		return err
	}
	for _, what := range tries {
		if err := s.forget(ctx, what); err != nil {
			return err
		}
	}
	return nil
}

// IdentityAwaited says whose identity the browser that has state was sent for; "" when it was to log in. NotFound (session_unknown) when the
// session that asked has ended since.
func (s *Service) IdentityAwaited(ctx context.Context, state string) (login string, err error) {
	d, err := s.links.Get(ctx, s.hasher.Hash("identity_state", state))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	session, err := s.sessions.Get(ctx, d.V.Mark)
	if err == nil {
		var o store.Doc[operator]
		o, err = s.operators.Get(ctx, d.V.Login)
		if err == nil && (o.V.Disabled || o.V.Epoch != session.V.Epoch) {
			err = store.ErrNotFound
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", errSessionEnded.Because(err)
	}
	return d.V.Login, err
}

// LinkIdentity lets an operator log in through an identity provider. NotFound; Conflict (identity_taken, identities_too_many).
func (s *Service) LinkIdentity(ctx context.Context, login string, id Identity) error {
	hash := s.identityHash(id.Issuer, id.Subject)
	page, err := s.operators.Find(ctx, store.Query{Index: byIdentity, Eq: store.K(hash), Limit: 2})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(page.Items, func(d store.Doc[operator]) bool { return d.ID != login }) {
		return fault.New(fault.Conflict, "identity_taken", "this identity belongs to another operator")
	}
	_, err = s.operators.Update(ctx, login, func(o *operator) error {
		if slices.Contains(o.Identities, hash) {
			return nil
		}
		if len(o.Identities) >= maxIdentities {
			return fault.New(fault.Conflict, "identities_too_many", "%d identities are linked; end them and begin again", maxIdentities)
		}
		o.Identities = append(o.Identities, hash)
		return nil
	})
	return unknownOperator(err)
}

// maxIdentities is how many identities an operator has at most.
const maxIdentities = 5

// EndIdentities ends the operator's identities at providers, and says how many there were. The sessions that they opened go on, and end with
// EndSessions. NotFound.
func (s *Service) EndIdentities(ctx context.Context, login string) (int, error) {
	n := 0
	_, err := s.operators.Update(ctx, login, func(o *operator) error {
		n, o.Identities = len(o.Identities), nil
		return nil
	})
	return n, unknownOperator(err)
}

// LoginIdentity opens a session for whom the provider has identified. Whoever does more than read needs a second factor at the provider.
// Unauthenticated (identity_unknown, second_factor_missing).
func (s *Service) LoginIdentity(ctx context.Context, id Identity, c Client) (Session, error) {
	page, err := s.operators.Find(ctx, store.Query{Index: byIdentity, Eq: store.K(s.identityHash(id.Issuer, id.Subject)), Limit: 2})
	if err != nil {
		return Session{}, err
	}
	// Two operators with one identity, linked at one moment, are nobody.
	if len(page.Items) != 1 || page.Items[0].V.Disabled {
		return Session{}, fault.New(fault.Unauthenticated, "identity_unknown", "this identity is no operator's; log in with the password, and link it")
	}
	if needsFactor(page.Items[0].V.Roles) && !id.SecondFactor {
		return Session{}, fault.New(fault.Unauthenticated, "second_factor_missing", "the identity provider did not ask for a second factor, which these roles need")
	}
	now := s.time()
	d, err := s.operators.Update(ctx, page.Items[0].ID, func(o *operator) error { o.LastLogin = now; return nil })
	if err != nil {
		return Session{}, err
	}
	return s.open(ctx, d, c)
}

// Use remembers that a sign-in with this ID was finished, and says whether it is the first.
func (s *Service) Use(ctx context.Context, id string, until time.Time) (bool, error) {
	err := s.links.Insert(ctx, s.hasher.Hash("sign_in", id), link{Kind: linkSignIn, Expires: until})
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}
