package httpapi

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/casefile"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/firm"
)

// Account is an operator's own sessions. A session of somebody else is NotFound.
type Account interface {
	Sessions(ctx context.Context, login, current string) ([]access.SessionInfo, error)
	EndSession(ctx context.Context, login, id string) error
	EndSessions(ctx context.Context, login, exceptToken string) (ended int, err error)
}

// Credentials are what an operator logs in with. Unauthenticated for a wrong password or code.
type Credentials interface {
	SetPassword(ctx context.Context, login, old, fresh, keep string) error
	NewRecoveryCodes(ctx context.Context, login, code, session string) ([]string, error)
	AwaitIdentity(ctx context.Context, login, password, code, session, state string) error
	EndIdentities(ctx context.Context, login string) (ended int, err error)
}

// Enrolments turn one-time links into operators who can log in.
type Enrolments interface {
	LinkOwner(ctx context.Context, token string) (login, firm string, err error)
	StartEnrolment(ctx context.Context, r access.StartRequest) (access.Enrolment, error)
	ConfirmEnrolment(ctx context.Context, token, code string) (access.Enrolment, error)
}

// Operators keeps operators. NotFound; Conflict (operator_changed) when the revision is no longer that.
type Operators interface {
	InviteOperator(ctx context.Context, n access.NewOperator) (access.Link, error)
	Readmit(ctx context.Context, login, by string) (access.Link, error)
	ConfirmOperator(ctx context.Context, login string, revision int64, by string) (before, after access.Operator, err error)
	Operators(ctx context.Context, cursor string, limit int) (operators []access.Operator, next string, err error)
	Operator(ctx context.Context, login string) (access.Operator, error)
	ChangeOperator(ctx context.Context, login string, revision int64, c access.OperatorChange) (before, after access.Operator, err error)
}

// IdentityProvider is an OpenID provider. Finish is Unauthenticated for whatever the provider did not say to this browser.
type IdentityProvider interface {
	Begin(ctx context.Context) (authURL, stateCookie string, err error)
	Finish(ctx context.Context, query url.Values, stateCookie string) (access.Identity, error)
}

// IdentityLogins opens sessions of operators whom an identity provider has named, and links such identities: IdentityAwaited says for whom a
// state was given, or "".
type IdentityLogins interface {
	LoginIdentity(ctx context.Context, id access.Identity, c access.Client) (access.Session, error)
	IdentityAwaited(ctx context.Context, state string) (login string, err error)
	LinkIdentity(ctx context.Context, login string, id access.Identity) error
}

// Authorities keeps authorities. NotFound; Conflict (authority_changed) when the revision is no longer that; revision 0 makes one.
type Authorities interface {
	Get(ctx context.Context, id string) (authority.Authority, error)
	List(ctx context.Context, cursor string, limit int) (authorities []authority.Authority, next string, err error)
	Competent(ctx context.Context, q authority.Query) (authority.Authority, error)
	Put(ctx context.Context, a authority.Authority, revision int64) (before, after authority.Authority, err error)
}

// Bodies says who acts for a body that was merged: itself, if it was not.
type Bodies interface {
	ActingID(ctx context.Context, id string) (string, error)
}

// Registry takes in firms. List gives those of a kind; "" is every kind.
type Registry interface {
	List(ctx context.Context, kind, cursor string, limit int) (firms []firm.Firm, next string, err error)
	Put(ctx context.Context, f firm.Firm) error
}

// Invitations give firms their first keys.
type Invitations interface {
	InviteFirm(ctx context.Context, firm, by string) (access.Link, error)
	AcceptInvitation(ctx context.Context, token, label string) (access.AcceptedInvitation, error)
}

// Keys keeps sellers' keys. A key of another firm is NotFound.
type Keys interface {
	AddKey(ctx context.Context, n access.NewKey) (k access.Key, plain string, err error)
	Keys(ctx context.Context, firm string) ([]access.Key, error)
	RotateKey(ctx context.Context, firm, id string, overlap time.Duration, by string) (k access.Key, plain string, err error)
	EndKey(ctx context.Context, firm, id, by string) (access.Key, error)
}

// Approvals decides on what was asked. Forbidden (four_eyes) for a decision of the one who asked; NotFound (approval_unknown);
// Forbidden (other_asker) for a withdrawal of another than who asked.
type Approvals interface {
	Get(ctx context.Context, id string) (approval.Request, error)
	List(ctx context.Context, authority, state, cursor string, limit int) (requests []approval.Request, next string, err error)
	Decide(ctx context.Context, id, by, byName string, approve bool, reason string) (approval.Request, error)
	Withdraw(ctx context.Context, id, by string) (approval.Request, error)
}

// AuditReader reads the audit trail.
type AuditReader interface {
	List(ctx context.Context, f audit.Filter, cursor string, limit int) (entries []audit.Entry, next string, err error)
	Export(ctx context.Context, w io.Writer, from, to time.Time) error
	Checkpoint(ctx context.Context) (audit.Checkpoint, error)
}

// Cases is what officers work on. Authority says who has a case, before it is opened; "" while nobody has.
type Cases interface {
	Authority(ctx context.Context, no string) (string, error)
	Read(ctx context.Context, no string) (casefile.Record, error)
	Queue(ctx context.Context, authority, status, cursor string, limit int) (views []casefile.View, next string, err error)
}

// DeviceData gives devices what is kept of them, and erases it.
type DeviceData interface {
	Export(ctx context.Context, id, cursor string, limit int) (consumer.Export, error)
	Erase(ctx context.Context, id string) error
}

// CaseData gives filers what is kept of their cases, and erases it. Errors as of Complaints.Status.
type CaseData interface {
	Export(ctx context.Context, no, secret string) (casefile.Record, error)
	Erase(ctx context.Context, no, secret string) error
}
