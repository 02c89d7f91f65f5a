package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/lang"
)

// Trail writes the audit trail. A trail that is missing refuses everything that it should have kept.
type Trail interface {
	// Begin keeps the attempt, durably before it returns.
	Begin(ctx context.Context, e audit.Entry) (Act, error)
	// Record keeps a single fact, durably before it returns.
	Record(ctx context.Context, e audit.Entry) error
}

// Act is an attempt that has not ended. An attempt without an end in the trail was cut off: nobody knows what came of it.
type Act interface {
	Done(ctx context.Context, c audit.Change) error
	Failed(ctx context.Context, outcome string) error
}

// TrailOf makes a Trail of two functions, such as the methods of a service whose attempts are of a type of its own.
func TrailOf[A Act](begin func(context.Context, audit.Entry) (A, error), record func(context.Context, audit.Entry) error) Trail {
	return trailFuncs[A]{begin, record}
}

type trailFuncs[A Act] struct {
	begin  func(context.Context, audit.Entry) (A, error)
	record func(context.Context, audit.Entry) error
}

func (t trailFuncs[A]) Begin(ctx context.Context, e audit.Entry) (Act, error) {
	a, err := t.begin(ctx, e)
	if err != nil {
		return nil, err // and not an interface that holds a nil pointer
	}
	return a, nil
}

func (t trailFuncs[A]) Record(ctx context.Context, e audit.Entry) error { return t.record(ctx, e) }

// The phases of entries that are single facts.
const (
	phaseDone = "done"
	phaseRead = "read"
)

const (
	reasonHeader = "Haisu-Reason"
	maxWhy       = 500 // characters
	maxAgent     = 200 // bytes
	// trailTime is what is left for the end of an attempt, however little the request has left.
	trailTime = 5 * time.Second
)

// traceOf says what the trail keeps of an operation: of an action whose writes are kept, reading one's own is no write.
func traceOf(r *access.Rule, method string) access.Trace {
	if r.Trace == access.Writes && method == http.MethodGet {
		return access.Untraced
	}
	return r.Trace
}

// subjects are what the first part of a path under /v1 holds.
var subjects = map[string]string{
	"warnings": "warning", "approvals": "approval", "operators": "operator", "authorities": "authority", "firms": "firm", "cases": "case",
	"codes": "code", "jobs": "job", "documents": "document", "products": "product", "serious-violations": "listing",
	"audit": "audit", "operator": ownSubject, "sessions": ownSubject,
}

// ownSubject stands for the operator who asks.
const ownSubject = "self"

// subjectOf is the kind of thing that an operation is done on.
func subjectOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 2 {
		return subjects[parts[2]]
	}
	return ""
}

// subjectIn names what a request is done on, as far as its path says: warning/HN-2026-000007, firm/cdf-haikou/7k2m9q4t.
func (op *operation) subjectIn(c *fiber.Ctx, p *access.Principal) string {
	name := op.subject
	if name == ownSubject {
		name = "operator/" + p.ID
	}
	for _, p := range op.params {
		if p.Value.In == "path" {
			name += "/" + clip(c.Params(p.Value.Name), 128)
		}
	}
	return name
}

// actorOf says in the audit trail who it was.
func actorOf(p *access.Principal) string {
	switch p.Kind {
	case access.KindSeller:
		return "seller:" + p.Firm + "/" + p.ID
	case "":
		return "anyone"
	}
	return p.Kind + ":" + p.ID
}

// traced runs the operation's handler, and keeps in the audit trail what the table of permissions says: of writes the attempt before, and
// after it how it ended; of reads that they took place, before the answer leaves. What cannot be kept is refused. Where only the end of a write
// cannot be kept, the attempt stands there; the client is told to try again, unless the answer has a secret that is shown once.
func (s *server) traced(ctx context.Context, c *fiber.Ctx, op *operation, k *call) error {
	if op.trace == access.Untraced {
		return handle(c, k)
	}
	e := s.entry(k)
	e.Subject = op.subjectIn(c, &k.principal)
	if op.trace == access.Reads {
		if err := handle(c, k); err != nil {
			return err
		}
		e.Phase, e.Why = phaseRead, k.change.Why
		return s.record(ctx, e)
	}
	var err error
	if e.Why, err = why(c); err != nil {
		return err
	}
	if s.deps.Services.Trail == nil {
		return errTrail(nil)
	}
	act, err := s.deps.Services.Trail.Begin(ctx, e)
	if err != nil {
		return errTrail(err)
	}
	k.change = audit.Change{Subject: e.Subject, Why: e.Why}
	err = handle(c, k)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trailTime)
	defer cancel()
	if err != nil {
		if ferr := act.Failed(ctx, refusalOf(err).code); ferr != nil { // the attempt stands there, and nothing was done
			s.deps.Log.WarnContext(ctx, "the end of an attempt is not in the audit trail", "request_id", k.id, "error", ferr)
		}
		return err
	}
	err = act.Done(ctx, k.change)
	if err != nil && k.once {
		s.deps.Log.WarnContext(ctx, "the end of an attempt is not in the audit trail", "request_id", k.id, "error", err)
		return nil
	}
	if err != nil {
		return errTrail(err)
	}
	return nil
}

func (s *server) entry(k *call) audit.Entry {
	return audit.Entry{
		Actor: actorOf(&k.principal), Authority: k.principal.Authority, Action: k.operation, RequestID: k.id, From: k.addr.String(),
	}
}

// record keeps a single fact in the audit trail.
func (s *server) record(ctx context.Context, e audit.Entry) error {
	if s.deps.Services.Trail == nil {
		return errTrail(nil)
	}
	if err := s.deps.Services.Trail.Record(ctx, e); err != nil {
		return errTrail(err)
	}
	return nil
}

// recordAs keeps what somebody did who is known only now, by a log-in.
func (s *server) recordAs(ctx context.Context, actor, authority, subject string) error {
	e := s.entry(callFrom(ctx))
	e.Actor, e.Authority, e.Subject, e.Phase = actor, authority, subject, phaseDone
	return s.record(ctx, e)
}

func errTrail(err error) error {
	return &httpError{
		status: http.StatusServiceUnavailable, code: "audit_unavailable",
		detail: "the audit trail cannot be written now, and without it this is not done", retry: retryUnavailable, err: err,
	}
}

// why reads the reason that a client gives for a write.
func why(c *fiber.Ctx) (string, error) {
	text, err := url.PathUnescape(c.Get(reasonHeader))
	code := ""
	switch {
	case err != nil || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		code = "syntax"
	case utf8.RuneCountInString(text) > maxWhy:
		code = "too_long"
	}
	if code != "" {
		r := refuse(http.StatusBadRequest, "invalid_parameter", "a parameter breaks a rule; see errors")
		r.errors = []fieldError{{Parameter: reasonHeader, Code: code, Detail: "percent-encoded UTF-8 of at most 500 characters, without control characters"}}
		return "", r
	}
	return strings.TrimSpace(text), nil
}

// because gives the trail the reason that the body of the request has for the public, if the client gave none for the trail.
func because(ctx context.Context, reason lang.Text) {
	if k := callFrom(ctx); k.change.Why == "" {
		runes := []rune(reason.In(lang.ZhHans))
		k.change.Why = string(runes[:min(len(runes), maxWhy)])
	}
}
