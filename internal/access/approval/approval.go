// Package approval keeps requests for the approval of another operator (four eyes): one operator asks, another decides, and what was
// asked is then carried out exactly as it was shown to who decided.
//
// A request is one document, and each step of its life is one write of it, so of two who decide at once one wins. A request that was
// approved is carried out at once, and by Run if the process dies at any instruction of that. Whoever carries it out MUST take the
// request's ID as its idempotency key: it may be asked to do so several times, and by several processes at once.
//
// What is asked is opaque here; package press knows it for warnings.
package approval

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// Request is one request for approval.
type Request struct {
	ID        string          `json:"id"` // derived from action, subject, revision and body, and how often that was refused before
	Action    string          `json:"action"`
	Subject   string          `json:"subject"` // what it is about, "HN-2026-000123"
	Level     warning.Level   `json:"level,omitempty"`
	Class     string          `json:"class,omitempty"`
	Authority string          `json:"authority"`
	Revision  int64           `json:"revision,omitempty"` // of the subject, as who asks has seen it
	Body      json.RawMessage `json:"body"`
	By        string          `json:"by"` // ID of the operator who asks
	ByName    string          `json:"by_name,omitempty"`
	Requested time.Time       `json:"requested"`
	Expires   time.Time       `json:"expires"` // from this instant on it can no longer be decided

	State       string    `json:"state"`
	DecidedBy   string    `json:"decided_by,omitempty"`
	DecidedName string    `json:"decided_name,omitempty"`
	Decided     time.Time `json:"decided,omitzero"`  // also when it was withdrawn
	Reason      string    `json:"reason,omitempty"`  // of the decision
	Result      string    `json:"result,omitempty"`  // done: what came of it, "HN-2026-000123/2"
	Failure     string    `json:"failure,omitempty"` // failed: the code of the fault
}

// The states.
const (
	Pending   = "pending"
	Approved  = "approved" // and not yet carried out
	Done      = "done"     // carried out
	Failed    = "failed"   // approved, but it could not be done by then; asking again is possible
	Rejected  = "rejected"
	Withdrawn = "withdrawn"
	Expired   = "expired"
)

// States are all states.
var States = []string{Pending, Approved, Done, Failed, Rejected, Withdrawn, Expired}

// open says whether asking the same again gives this request.
func (r *Request) open() bool { return r.State == Pending || r.State == Approved || r.State == Done }

// Term is how long a request can be decided.
const Term = 7 * 24 * time.Hour

const (
	maxReason = 2000 // characters
	maxRounds = 100  // how often one thing may be asked anew
)

// Carry carries a request out and says what came of it. It must be idempotent by the request's ID. A fault that the caller could act
// on means that it can never be done as it was asked; any other error, and Unavailable, that it is to be tried again.
type Carry func(ctx context.Context, r Request) (result string, err error)

// Authorities knows for which merged bodies a body acts.
type Authorities interface {
	Line(ctx context.Context, id string) ([]string, error) // the body itself and all for which it acts
}

// Options are what a Service needs beside the store. Carry is mandatory.
type Options struct {
	Carry       Carry
	Authorities Authorities  // nil: every body has its own requests alone
	Now         clock.Now    // default time.Now
	Log         *slog.Logger // default: nothing is logged
}

// Service keeps requests. It is safe for concurrent use, and replicas may share a store.
type Service struct {
	docs   *store.Collection[Request]
	carry  Carry
	bodies Authorities
	now    clock.Now
	log    *slog.Logger
}

const (
	indexQueue = "queue" // by authority and state, or authority alone, by when they were asked
	indexWork  = "work"  // pending by Expires, approved by Decided: what Run looks at
)

func def() store.Def[Request] {
	return store.Def[Request]{Name: "approvals", Indexes: []store.Index[Request]{
		{Name: indexQueue, Version: "1", Keys: func(_ string, r *Request) ([]store.Key, store.Key) {
			return []store.Key{store.K(r.Authority, r.State), store.K(r.Authority, "")}, store.K(r.Requested)
		}},
		{Name: indexWork, Version: "1", Keys: func(_ string, r *Request) ([]store.Key, store.Key) {
			switch r.State {
			case Pending:
				return []store.Key{store.K(Pending)}, store.K(r.Expires)
			case Approved:
				return []store.Key{store.K(Approved)}, store.K(r.Decided)
			}
			return nil, nil
		}},
	}}
}

// Open opens the collection.
func Open(ctx context.Context, eng store.Engine, o Options) (*Service, error) {
	if o.Carry == nil {
		return nil, errors.New("approval: nobody carries requests out")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	docs, err := store.Open(ctx, eng, def())
	if err != nil {
		return nil, err
	}
	return &Service{docs: docs, carry: o.Carry, bodies: o.Authorities, now: o.Now, log: o.Log}, nil
}

func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// question is what the rounds of one request have in common: a hash over action, subject, authority, revision and body, each with its
// length before it, so that no two are spelled alike.
func question(r *Request) string {
	h := sha256.New()
	for _, part := range [...]string{r.Action, r.Subject, r.Authority, strconv.FormatInt(r.Revision, 10), string(r.Body)} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return "ap_" + clock.Encode(h.Sum(nil)[:15])
}

func roundID(question string, round int) string { return question + "-" + strconv.Itoa(round) }

// Ask makes a request of what r says of action, subject, level, class, authority, revision, body and who asks. To ask for the same twice asks
// once: whoever asks gets the request that is pending, approved or done already, even if another asked it. After a rejection, a withdrawal, an
// expiry or a failure it is asked anew.
//
// Invalid; TooLarge (request_too_large); Conflict (asked_too_often) after a hundred rounds.
func (s *Service) Ask(ctx context.Context, r Request) (Request, error) {
	q, err := s.prepare(&r)
	if err != nil {
		return Request{}, err
	}
	for {
		last, round, err := s.newest(ctx, q)
		if err != nil {
			return Request{}, err
		}
		if round > 0 && last.open() {
			return last, nil
		}
		if round == maxRounds {
			return Request{}, fault.New(fault.Conflict, "asked_too_often", "this was asked %d times and never done", maxRounds)
		}
		r.ID = roundID(q, round+1)
		err = s.docs.Insert(ctx, r.ID, r)
		switch {
		case err == nil:
			return r, nil
		case errors.Is(err, store.ErrTooLarge):
			return Request{}, fault.New(fault.TooLarge, "request_too_large", "this is too long to be asked for").Because(err)
		case !errors.Is(err, store.ErrExists):
			return Request{}, fmt.Errorf("insert request: %w", err)
		}
	}
}

// prepare checks what is asked and fills in the rest.
func (s *Service) prepare(r *Request) (q string, err error) {
	var fields []fault.Field
	for _, f := range [...]struct{ pointer, value string }{
		{"/action", r.Action}, {"/subject", r.Subject}, {"/authority", r.Authority}, {"/by", r.By},
	} {
		if f.value == "" || len(f.value) > 200 {
			fields = append(fields, fault.Field{Pointer: f.pointer, Code: "required", Detail: "1 to 200 bytes"})
		}
	}
	body, err := compact(r.Body)
	if err != nil {
		fields = append(fields, fault.Field{Pointer: "/body", Code: "syntax", Detail: "not a JSON value"})
	}
	if fields != nil {
		return "", fault.InvalidFields(fields...)
	}
	now := s.time()
	*r = Request{
		Action: r.Action, Subject: r.Subject, Level: r.Level, Class: r.Class, Authority: r.Authority, Revision: r.Revision, Body: body,
		By: r.By, ByName: r.ByName, Requested: now, Expires: now.Add(Term), State: Pending,
	}
	return question(r), nil
}

// compact is the form in which a body is stored and hashed.
func compact(body json.RawMessage) (json.RawMessage, error) {
	if len(body) == 0 {
		body = json.RawMessage("null")
	}
	return json.Marshal(body)
}

// roundsPerRead is how many rounds are asked for in one round trip; almost every request has one.
const roundsPerRead = 8

// newest gives the newest round of a question; round 0 is none.
func (s *Service) newest(ctx context.Context, q string) (last Request, round int, err error) {
	for {
		ids := make([]string, roundsPerRead)
		for i := range ids {
			ids[i] = roundID(q, round+i+1)
		}
		found, err := s.docs.GetMany(ctx, ids)
		if err != nil {
			return Request{}, 0, fmt.Errorf("read requests: %w", err)
		}
		for _, id := range ids {
			d, ok := found[id]
			if !ok {
				return s.present(last), round, nil
			}
			last, round = d.V, round+1
		}
	}
}

// Asked gives the newest request for what r asks, whoever asked it. NotFound (approval_unknown), Invalid.
func (s *Service) Asked(ctx context.Context, r Request) (Request, error) {
	q, err := s.prepare(&r)
	if err != nil {
		return Request{}, err
	}
	last, round, err := s.newest(ctx, q)
	if err == nil && round == 0 {
		err = errUnknown(q)
	}
	return last, err
}

// present is a request as it stands now: one whose term is over is expired, whether or not Run has written that yet.
func (s *Service) present(r Request) Request {
	if r.State == Pending && !s.time().Before(r.Expires) {
		r.State = Expired
	}
	return r
}

func errUnknown(id string) error {
	return fault.New(fault.NotFound, "approval_unknown", "there is no request for approval %q", id)
}

// idPattern keeps what cannot be an ID from the store.
var idPattern = regexp.MustCompile(`^ap_[0-9a-z]{24}-[0-9]{1,3}$`)

// Get gives a request of whatever authority: the caller shows it to operators of that one only. NotFound (approval_unknown).
func (s *Service) Get(ctx context.Context, id string) (Request, error) {
	if !idPattern.MatchString(id) {
		return Request{}, errUnknown(id)
	}
	d, err := s.docs.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Request{}, errUnknown(id)
	}
	if err != nil {
		return Request{}, fmt.Errorf("read request %s: %w", id, err)
	}
	return s.present(d.V), nil
}
