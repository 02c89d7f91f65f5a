package access

import (
	"context"

	"github.com/haisu-trace/haisu/internal/fault"
)

// maxOwn bounds the guesses, within attemptWindow, at a password or code that a session asks for again. They are counted per session: whoever
// stole one neither guesses on, nor keeps its operator, who logs in anew, from changing the password.
const maxOwn = 5

func ownTries(what, session string) string { return "own " + what + "\n" + session }

var errNoPassword = fault.New(fault.Conflict, "password_missing", "this operator has no password; an administrator gives a link to one")

// SetPassword changes one's own password. Sessions but keep, the token of the one that asks, end, and so does a link to a new password.
// Invalid, Unauthenticated (login_failed), TooMany (too_many_attempts); Conflict (password_missing) for who has none, operator_changed.
func (s *Service) SetPassword(ctx context.Context, login, old, fresh, keep string) error {
	if bad := brokenPassword(fresh); bad != nil {
		return fault.InvalidFields(bad...)
	}
	d, err := s.operators.Get(ctx, login)
	if err != nil {
		return unknownOperator(err)
	}
	if d.V.Password == "" {
		return errNoPassword
	}
	tries := ownTries("password", keep)
	if err := s.try(ctx, tries, maxOwn); err != nil {
		return err
	}
	ok, err := s.verify(ctx, d.V.Password, old)
	if err != nil {
		return err
	}
	if !ok {
		return errLogin
	}
	hash, err := s.hash(ctx, fresh)
	if err != nil {
		return err
	}
	_, err = s.operators.Update(ctx, login, func(o *operator) error {
		if o.Password != d.V.Password {
			return errOperatorChanged
		}
		o.Password, o.Link = hash, ""
		return nil
	})
	if err == nil {
		err = s.forget(ctx, tries)
	}
	if err != nil {
		return err
	}
	_, err = s.EndSessions(ctx, login, keep)
	return err
}

// NewRecoveryCodes replaces the recovery codes, against a one-time code. session is the token of the session that asks. Unauthenticated
// (login_failed), TooMany (too_many_attempts); Conflict (second_factor_missing).
func (s *Service) NewRecoveryCodes(ctx context.Context, login, code, session string) ([]string, error) {
	tries := ownTries("code", session)
	if err := s.try(ctx, tries, maxOwn); err != nil {
		return nil, err
	}
	plain, hashes := s.newRecovery(login)
	_, err := s.operators.Update(ctx, login, func(o *operator) error {
		if o.TOTP == "" {
			return fault.New(fault.Conflict, "second_factor_missing", "this operator has no second factor")
		}
		step, err := s.matchCode(ctx, login, o.TOTP, code, o.LastStep)
		if err != nil {
			return err
		}
		if step == 0 {
			return errLogin
		}
		o.LastStep, o.Recovery = step, hashes
		return nil
	})
	if err != nil {
		return nil, unknownOperator(err)
	}
	return plain, s.forget(ctx, tries)
}
