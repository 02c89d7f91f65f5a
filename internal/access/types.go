package access

import (
	"time"

	"github.com/haisu-trace/haisu/internal/warning"
)

// LoginRequest is what an operator logs in with.
type LoginRequest struct {
	Login, Password string
	Code            string // a one-time code or a recovery code; "" where none is needed
	Client          Client
}

// Client is where a log-in comes from.
type Client struct {
	Network string // what counts as one network for limits: an IPv4 /24 or an IPv6 /48
	Device  string // "ht_…" of an earlier log-in, or ""
	Agent   string // User-Agent, cut
}

// Link is a one-time invitation; the token is shown once.
type Link struct {
	Token   string // hi_…
	Expires time.Time
}

// StartRequest begins an enrolment. Login, Name and Authority are for the first link only, which makes an administrator.
type StartRequest struct {
	Token, Password        string
	Login, Name, Authority string
	SecondFactor           bool // also where none is mandatory
}

// Operator is an operator as administrators see one.
type Operator struct {
	Login, Name, Authority string
	Roles                  []Role
	Level                  warning.Level
	SecondFactor           bool
	Disabled               bool
	Enrolled               bool
	Created, LastLogin     time.Time
	Revision               int64
}

// OperatorChange is what is to change of an operator; nil stays.
type OperatorChange struct {
	Name, Authority *string
	Roles           *[]Role
	Level           *warning.Level
	Disabled        *bool
}

// SessionInfo is one of an operator's sessions.
type SessionInfo struct {
	ID, Agent, Network         string
	Started, LastSeen, Expires time.Time
	Current                    bool
}

// NewKey is a seller's key to give.
type NewKey struct {
	Firm, Label string
	Scopes      []Scope
	Test        bool
	By          string
	NotAfter    time.Time // zero: until it is ended
}

// Key is a seller's key without its secret.
type Key struct {
	ID, Firm, Label, Prefix              string
	Scopes                               []Scope
	Test                                 bool
	Created, NotAfter, Revoked, LastUsed time.Time
	CreatedBy, ReplacedBy                string
}

// AcceptedInvitation is a firm's first keys; they are shown once.
type AcceptedInvitation struct {
	Firm             string
	Live, Test       Key
	LiveKey, TestKey string
}
