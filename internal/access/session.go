package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// How long a session lasts: to its absolute end, or until it was not used for the idle time, which is counted in minutes.
const (
	SessionTerm = 12 * time.Hour
	IdleTerm    = 30 * time.Minute
)

// session is a session as it is stored, under the keyed hash of its token.
type session struct {
	Login   string    `json:"login"`
	Epoch   int64     `json:"epoch"` // the operator's when it began
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"` // to touchEvery
	Agent   string    `json:"agent,omitempty"`
	Network string    `json:"network,omitempty"`
}

func (v *session) ends() time.Time {
	if end := v.Started.Add(SessionTerm); end.Before(v.Seen.Add(IdleTerm)) {
		return end
	}
	return v.Seen.Add(IdleTerm)
}

// Session is a new session; its tokens are shown once.
type Session struct {
	Token       string // hs_…
	ID          string // names the session among the operator's own
	CSRF        string // what unsafe requests with the session's cookie carry; see CSRF
	Device      string // ht_…: shown at the next log-in, it keeps strangers' wrong guesses from counting
	Started     time.Time
	Expires     time.Time // at the latest
	IdleExpires time.Time // unless it is used before
	Operator    Principal
}

func (s *Service) open(ctx context.Context, d store.Doc[operator], c Client) (Session, error) {
	p, err := s.principal(ctx, d.ID, &d.V)
	if err != nil {
		return Session{}, err
	}
	now := s.time()
	token := sessionPrefix + clock.Token(25)
	id := s.sessionID(token)
	v := session{Login: d.ID, Epoch: d.V.Epoch, Started: now, Seen: now, Agent: clip(c.Agent, 200), Network: clip(c.Network, 60)}
	if err := s.sessions.Insert(ctx, id, v); err != nil {
		return Session{}, err
	}
	return Session{
		Token: token, ID: shortID(id), CSRF: s.CSRF(token), Device: s.newTrusted(d.ID, d.V.Epoch),
		Started: now, Expires: now.Add(SessionTerm), IdleExpires: v.ends(), Operator: p,
	}, nil
}

func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

func (s *Service) sessionID(token string) string { return s.hasher.Hash("session", token) }

// shortID is what of a session's ID is shown: enough to tell an operator's sessions apart.
func shortID(id string) string { return id[:16] }

// CSRF gives the token that unsafe requests must carry beside the session's cookie: a keyed hash, so that nothing has to be stored.
func (s *Service) CSRF(sessionToken string) string { return s.hasher.Hash("csrf", sessionToken)[:32] }

var errToken = fault.New(fault.Unauthenticated, "unauthenticated", "the session or key is unknown or has ended")

// What Authenticate found out is believed for believeFor, so a session or key that ends anywhere has ended everywhere by then.
const (
	believeFor = time.Second
	maxKnown   = 20_000
)

type answer struct {
	principal Principal
	until     time.Time
	touch     time.Time // when its use has to be noted next
}

func newKnown() *otter.Cache[string, answer] {
	return otter.Must(&otter.Options[string, answer]{MaximumSize: maxKnown})
}

// Authenticate says whose session token or seller's key this is; the answer is at most believeFor old. Unauthenticated.
func (s *Service) Authenticate(ctx context.Context, token string) (Principal, error) {
	now := s.now()
	if a, ok := s.known.GetIfPresent(token); ok && now.Before(a.until) {
		if now.After(a.touch) {
			s.use(token, a)
		}
		return a.principal, nil
	}
	a := answer{until: now.Add(believeFor)}
	var err error
	switch {
	case strings.HasPrefix(token, sessionPrefix):
		a.principal, a.touch, err = s.session(ctx, token)
	case strings.HasPrefix(token, keyPrefix):
		a.principal, a.touch, err = s.sellerKey(ctx, token)
	default:
		err = errToken
	}
	if err != nil {
		s.known.Invalidate(token)
		return Principal{}, err
	}
	if !now.Before(a.touch) {
		s.use(token, a)
		return a.principal, nil
	}
	s.known.Set(token, a)
	return a.principal, nil
}

func (s *Service) session(ctx context.Context, token string) (p Principal, touch time.Time, err error) {
	d, err := s.sessions.Get(ctx, s.sessionID(token))
	if errors.Is(err, store.ErrNotFound) {
		return p, touch, errToken.Because(err)
	}
	if err != nil {
		return p, touch, err
	}
	o, err := s.operators.Get(ctx, d.V.Login)
	if errors.Is(err, store.ErrNotFound) || err == nil && (o.V.Disabled || o.V.Epoch != d.V.Epoch) {
		return p, touch, errToken.Because(err)
	}
	if err != nil {
		return p, touch, err
	}
	p, err = s.principal(ctx, o.ID, &o.V)
	return p, d.V.Seen.Add(touchEvery), err
}

// The use of sessions and keys is noted beside the requests, and not each time.
const (
	touchEvery = time.Minute
	maxTouched = 1000 // that wait to be noted; more are noted at their next use
)

type touch struct {
	token string
	at    time.Time
}

// use has the use of a session or key noted. What cannot wait in the queue is left for the next request.
func (s *Service) use(token string, a answer) {
	now := s.time()
	select {
	case s.touched <- touch{token, now}:
		a.touch = now.Add(touchEvery)
	default:
	}
	s.known.Set(token, a)
}

// Run notes the use of sessions and keys, and tells what log-ins failed, until ctx ends. A use that is lost with the process shortens an idle time by
// a minute.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.tellLast(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			if err := s.tell(ctx, tellEvery); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "failed log-ins are not in the audit trail yet", "error", err)
			}
		case t := <-s.touched:
			if err := s.note(ctx, t); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "the use of a session or key was not noted", "error", err)
			}
		}
	}
}

func (s *Service) note(ctx context.Context, t touch) error {
	var err error
	if strings.HasPrefix(t.token, sessionPrefix) {
		_, err = s.sessions.Update(ctx, s.sessionID(t.token), func(v *session) error {
			v.Seen = later(v.Seen, t.at)
			return nil
		})
	} else {
		_, err = s.keys.Update(ctx, keyID(t.token), func(k *sellerKey) error {
			k.LastUsed = later(k.LastUsed, t.at)
			return nil
		})
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil // ended meanwhile
	}
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Logout ends a session. A session that has ended already is no error.
func (s *Service) Logout(ctx context.Context, token string) error {
	defer s.known.Invalidate(token)
	err := s.sessions.Delete(ctx, s.sessionID(token))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// SessionInfo is a session as its operator sees it.
type SessionInfo struct {
	ID                         string
	Agent, Network             string
	Started, LastSeen, Expires time.Time // LastSeen to a minute
	Current                    bool
}

// maxSessions is how many sessions of an operator are listed, and looked through: the newest.
const maxSessions = 200

func (s *Service) ofLogin(ctx context.Context, login string) ([]store.Doc[session], error) {
	page, err := s.sessions.Find(ctx, store.Query{Index: byLogin, Eq: store.K(login), Desc: true, Limit: maxSessions})
	return page.Items, err
}

// Sessions lists an operator's sessions, the newest first, at most 200. current is the token of the one that asks.
func (s *Service) Sessions(ctx context.Context, login, current string) ([]SessionInfo, error) {
	o, err := s.operators.Get(ctx, login)
	if err != nil {
		return nil, unknownOperator(err)
	}
	docs, err := s.ofLogin(ctx, login)
	if err != nil {
		return nil, err
	}
	mine := s.sessionID(current)
	out := make([]SessionInfo, 0, len(docs))
	for _, d := range docs {
		if d.V.Epoch != o.V.Epoch {
			continue
		}
		out = append(out, SessionInfo{
			ID: shortID(d.ID), Agent: d.V.Agent, Network: d.V.Network, Started: d.V.Started, LastSeen: d.V.Seen, Expires: d.V.ends(), Current: d.ID == mine,
		})
	}
	return out, nil
}

// EndSession ends one session of an operator. NotFound (session_unknown).
func (s *Service) EndSession(ctx context.Context, login, id string) error {
	docs, err := s.ofLogin(ctx, login)
	if err != nil {
		return err
	}
	for _, d := range docs {
		if shortID(d.ID) != id {
			continue
		}
		if err := s.sessions.Delete(ctx, d.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		s.known.InvalidateAll()
		return nil
	}
	return errSessionEnded
}

var errSessionEnded = fault.New(fault.NotFound, "session_unknown", "there is no such session, or it has ended")

// EndSessions ends an operator's sessions and says how many; "" for keep ends all, trusted devices and a link too, else the session with that
// token stays.
func (s *Service) EndSessions(ctx context.Context, login, keep string) (int, error) {
	n := 0
	if keep == "" {
		if _, err := s.operators.Update(ctx, login, func(o *operator) error { o.turn(); return nil }); err != nil {
			return 0, unknownOperator(err)
		}
	}
	mine := s.sessionID(keep)
	for {
		docs, err := s.ofLogin(ctx, login)
		if err != nil {
			return n, err
		}
		before := n
		for _, d := range docs {
			if d.ID == mine {
				continue
			}
			if err := s.sessions.Delete(ctx, d.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return n, err
			}
			n++
		}
		s.known.InvalidateAll()
		if n == before || len(docs) < maxSessions {
			return n, nil
		}
	}
}
