package access

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// Client is where a log-in comes from.
type Client struct {
	Network string // what counts as one network, such as 203.0.113.0/24
	Device  string // the trusted-device token of an earlier log-in; ""
	Agent   string // what kind of browser or tool, for the list of sessions
}

// LoginRequest is a log-in.
type LoginRequest struct {
	Login, Password string
	Code            string // one-time or recovery code; "" for an operator without second factor
	Client          Client
}

var errLogin = fault.New(fault.Unauthenticated, "login_failed", "login, password or one-time code is wrong, or the code was used already")

// The bounds of guessing, each within attemptWindow. Passwords are counted per login and network, never per login alone: else anybody could
// lock an operator out by guessing wrong. One-time codes are counted per login, but only those of whoever has the password; that is no
// stranger, and 10 tries of a million, in a window, are worth nothing. A device that logged in before has counters of its own, so not even
// somebody in the same office, or with the password, keeps its owner out.
const (
	maxPasswords  = 5
	maxCodes      = 10
	attemptWindow = 15 * time.Minute
)

// attempts counts tries within a window that begins with the first one.
type attempts struct {
	Tries int       `json:"tries"`
	Ends  time.Time `json:"ends"`
}

// try counts a try before it is made, so that many at once are no way around the bound. TooMany (too_many_attempts).
func (s *Service) try(ctx context.Context, what string, most int) error {
	now := s.time()
	var wait time.Duration
	full := errors.New("full") // stops the writing: a flood of guesses must not become a flood of writes
	_, err := s.attempts.Upsert(ctx, s.attemptsID(what), func(a *attempts) error {
		if !now.Before(a.Ends) {
			*a = attempts{Ends: now.Add(attemptWindow)}
		}
		if a.Tries >= most {
			wait = a.Ends.Sub(now)
			return full
		}
		a.Tries++
		return nil
	})
	if errors.Is(err, full) {
		f := fault.New(fault.TooMany, "too_many_attempts", "too many wrong tries from here; try again later, or from a device that has logged in before")
		f.Retry = wait
		return f
	}
	return err
}

// forget ends a count: the try was right.
func (s *Service) forget(ctx context.Context, what string) error {
	err := s.attempts.Delete(ctx, s.attemptsID(what))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Service) attemptsID(what string) string { return s.hasher.Hash("attempts", what) }

// Login opens a session. A wrong login, password or code gives one and the same Unauthenticated error (login_failed), after the same work; so
// does an operator who is disabled or not enrolled. TooMany (too_many_attempts).
func (s *Service) Login(ctx context.Context, r LoginRequest) (Session, error) {
	v, err := s.login(ctx, r)
	if k := fault.KindOf(err); err != nil && (k == fault.Unauthenticated || k == fault.TooMany) {
		s.failed(ctx, &r)
	}
	return v, err
}

func (s *Service) login(ctx context.Context, r LoginRequest) (Session, error) {
	d, err := s.operators.Get(ctx, r.Login)
	known := err == nil && !d.V.Disabled && d.V.Password != ""
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Session{}, err
	}
	from := r.Client.Network
	trusted := known && s.trusts(r.Login, d.V.Epoch, r.Client.Device)
	if trusted {
		from = r.Client.Device
	}
	passwords := "password\n" + r.Login + "\n" + from
	if err := s.try(ctx, passwords, maxPasswords); err != nil {
		return Session{}, err
	}
	hash := dummyHash
	if known {
		hash = d.V.Password
	}
	ok, err := s.verify(ctx, hash, r.Password)
	if err != nil {
		return Session{}, err
	}
	if !ok || !known {
		return Session{}, errLogin
	}
	codes := "code\n" + r.Login
	if trusted {
		codes += "\n" + r.Client.Device
	}
	if d.V.TOTP != "" {
		if err := s.try(ctx, codes, maxCodes); err != nil {
			return Session{}, err
		}
	}
	if d, err = s.pass(ctx, r, hash); err != nil {
		return Session{}, err
	}
	for _, what := range []string{passwords, codes} {
		if err := s.forget(ctx, what); err != nil {
			return Session{}, err
		}
	}
	return s.open(ctx, d, r.Client)
}

// pass uses up the code of a log-in whose password was right, and notes the time of it. A password hash of an older cost is replaced.
func (s *Service) pass(ctx context.Context, r LoginRequest, verified string) (store.Doc[operator], error) {
	fresh := ""
	if outdated(verified) {
		var err error
		if fresh, err = s.hash(ctx, r.Password); err != nil {
			return store.Doc[operator]{}, err
		}
	}
	now := s.time()
	return s.operators.Update(ctx, r.Login, func(o *operator) error {
		if o.Disabled || o.Password != verified {
			return errLogin
		}
		if err := s.useCode(ctx, r.Login, o, r.Code); err != nil {
			return err
		}
		if fresh != "" {
			o.Password = fresh
		}
		o.LastLogin = now
		return nil
	})
}

// useCode accepts a one-time code or a recovery code, each only once. Whoever does more than read and has no second factor is refused: somebody
// gave them the roles behind this package's back.
func (s *Service) useCode(ctx context.Context, login string, o *operator, code string) error {
	if o.TOTP == "" {
		if needsFactor(o.Roles) {
			return errLogin
		}
		return nil
	}
	if len(code) > 6 {
		hash := s.recoveryHash(login, code)
		i := slices.IndexFunc(o.Recovery, func(h string) bool { return equal(h, hash) })
		if i < 0 {
			return errLogin
		}
		o.Recovery = slices.Delete(slices.Clone(o.Recovery), i, i+1)
		return nil
	}
	step, err := s.matchCode(ctx, login, o.TOTP, code, o.LastStep)
	if err != nil {
		return err
	}
	if step == 0 {
		return errLogin
	}
	o.LastStep = step
	return nil
}

// trustedFor is how long a device is trusted after a log-in.
const trustedFor = 180 * 24 * time.Hour

// newTrusted gives a trusted-device token: ht_{random}-{last day}-{MAC over these, the login and the epoch}. It opens nothing; it only has
// counters of its own. Nothing is stored, and a new epoch voids all of an operator's.
func (s *Service) newTrusted(login string, epoch int64) string {
	body := clock.Token(10) + "-" + strconv.FormatInt(s.now().Add(trustedFor).Unix()/86400, 36)
	return trustedPrefix + body + "-" + s.trustedMAC(login, epoch, body)
}

func (s *Service) trustedMAC(login string, epoch int64, body string) string {
	return s.hasher.Hash("trusted", fmt.Sprintf("%s\n%d\n%s", login, epoch, body))[:26]
}

func (s *Service) trusts(login string, epoch int64, token string) bool {
	rest, ok := strings.CutPrefix(token, trustedPrefix)
	if !ok || len(token) > 100 {
		return false
	}
	i := strings.LastIndexByte(rest, '-')
	if i < 0 || !hmac.Equal([]byte(rest[i+1:]), []byte(s.trustedMAC(login, epoch, rest[:i]))) {
		return false
	}
	_, day, _ := strings.Cut(rest[:i], "-")
	last, err := strconv.ParseInt(day, 36, 64)
	return err == nil && s.now().Unix()/86400 <= last
}
