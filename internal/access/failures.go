package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// Log-ins that fail are told to the audit trail by number: one telling of every process in tellEvery at most, with a line for each operator, so that
// a flood of guesses neither floods the trail nor waits for it. What was typed as a login and is none, which may be a password, is told as
// nobody's, and of networks no more than how many they were. A process that is killed has not told its last tellEvery.
const (
	tellEvery   = 10 * time.Minute
	maxFailing  = 500 // operators in one telling; further ones are counted as nobody's
	maxNetworks = 100 // that are told apart for each
)

// FailedLogins are the log-ins of one operator that failed, wrong or too many.
type FailedLogins struct {
	Login    string `json:"login,omitempty"` // "" is nobody's
	Tries    int    `json:"tries"`
	Networks int    `json:"networks"` // at least
}

// Failures are log-ins that failed within a time.
type Failures struct {
	From   time.Time      `json:"from"`
	To     time.Time      `json:"to"`
	Logins []FailedLogins `json:"logins"` // in order of their logins
}

type failing struct {
	tries    int
	networks map[string]bool
}

// failures counts what is not told yet. The zero value counts nothing so far.
type failures struct {
	mu    sync.Mutex
	since time.Time
	by    map[string]*failing
}

func (f *failures) count(login, network string, now time.Time, tries int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.since, f.by = now, map[string]*failing{}
	}
	if f.by[login] == nil && len(f.by) >= maxFailing {
		login = ""
	}
	v := f.by[login]
	if v == nil {
		v = &failing{networks: map[string]bool{}}
		f.by[login] = v
	}
	v.tries += tries
	if len(v.networks) < maxNetworks {
		v.networks[network] = true
	}
}

// take gives what was counted, if that began long enough ago, and begins anew.
func (f *failures) take(now time.Time, least time.Duration) (since time.Time, by map[string]*failing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil || now.Sub(f.since) < least {
		return since, nil
	}
	since, by = f.since, f.by
	f.by = nil
	return since, by
}

// failed counts a log-in that failed.
func (s *Service) failed(ctx context.Context, r *LoginRequest) {
	login := r.Login
	if _, err := s.operators.Get(ctx, login); err != nil {
		login = ""
		if !errors.Is(err, store.ErrNotFound) {
			s.log.WarnContext(ctx, "a log-in that failed is counted as nobody's", "error", err)
		}
	}
	s.failures.count(login, r.Client.Network, s.time(), 1)
}

// tellLast tells what is left when the process ends.
func (s *Service) tellLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.tell(ctx, 0); err != nil {
		s.log.WarnContext(ctx, "the last failed log-ins are not in the audit trail", "error", err)
	}
}

// tell tells what failed for at least a time. What cannot be told now is counted on.
func (s *Service) tell(ctx context.Context, least time.Duration) error {
	now := s.time()
	since, by := s.failures.take(now, least)
	if by == nil || s.told == nil {
		return nil
	}
	f := Failures{From: since, To: now, Logins: make([]FailedLogins, 0, len(by))}
	for login, v := range by {
		f.Logins = append(f.Logins, FailedLogins{login, v.tries, len(v.networks)})
	}
	slices.SortFunc(f.Logins, func(a, b FailedLogins) int { return strings.Compare(a.Login, b.Login) })
	err := s.told(ctx, f)
	if err != nil {
		for login, v := range by {
			tries := v.tries
			for network := range v.networks {
				s.failures.count(login, network, since, tries)
				tries = 0
			}
		}
	}
	return err
}
