// Package press brings warnings and four eyes together: a message that needs another operator's approval becomes a request, and an
// approved request becomes the message.
//
// It sits above both, so that internal/warning knows nothing of requests and internal/access/approval nothing of what is asked. That an
// approval is needed is not decided here: the officer's own guard (warning.Author.May) says so with the code four_eyes.
package press

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

// The actions of requests. The permission for all of them is warning.publish.
const (
	ActionPublish = "warning.publish" // a draft; the request's revision is the draft's
	ActionAmend   = "warning.amend"   // the revision of these three is that of the message before
	ActionLift    = "warning.lift"
	ActionRetract = "warning.retract"
)

// Warnings publishes; *warning.Service in production.
type Warnings interface {
	Draft(ctx context.Context, no string) (warning.Draft, error)
	Get(ctx context.Context, no string) (warning.State, error)
	Message(ctx context.Context, id string) (warning.Message, error)
	Publisher
}

// Publisher is what carrying out needs.
type Publisher interface {
	PublishKeyed(ctx context.Context, by warning.Author, no string, revision int64, key string) (warning.Message, error)
	Amend(ctx context.Context, by warning.Author, no string, a warning.Amendment) (warning.Message, error)
	Lift(ctx context.Context, by warning.Author, no string, c warning.Change) (warning.Message, error)
	Retract(ctx context.Context, by warning.Author, no string, c warning.Change) (warning.Message, error)
}

// Approvals keeps requests; *approval.Service in production.
type Approvals interface {
	Ask(ctx context.Context, r approval.Request) (approval.Request, error)
	Asked(ctx context.Context, r approval.Request) (approval.Request, error)
}

// order is the body of a request: what is shown to who decides, and what is done.
type order struct {
	Content *warning.Content `json:"content"`          // as the warning will say
	Level   warning.Level    `json:"level,omitempty"`  // ActionAmend: only the level is changed, to this
	Reason  lang.Text        `json:"reason,omitempty"` // of every message after the first
}

// Question asks whether an operator may now do an action of a grade on goods of a class for an authority, when Second is the other
// operator who agrees.
type Question struct {
	Operator, Second string // IDs
	Authority        string
	Action           string // of package warning
	Class            string
	Grade            warning.Grade
}

// Rights answers a Question: access.Allow for the operator as it stands. A fault means no, any other error that it cannot be told.
type Rights func(ctx context.Context, q Question) error

// Carry gives the function that carries approved requests out. The request's ID is the key of the message, so however often and by however
// many processes it is carried out, one message comes of it; the revision pins what was approved, and what is approved but no longer fits is
// refused. Both operators must still be allowed what is really written, each with the other as the second.
func Carry(w Publisher, rights Rights) approval.Carry {
	return func(ctx context.Context, r approval.Request) (string, error) {
		var o order
		if err := json.Unmarshal(r.Body, &o); err != nil {
			return "", fault.New(fault.Invalid, "request_unknown", "this request cannot be read").Because(err)
		}
		by := warning.Author{ID: r.By, Name: r.ByName, Authority: r.Authority, Second: r.DecidedBy}
		by.May = func(action, class string, g warning.Grade) error {
			q := Question{Operator: r.By, Second: r.DecidedBy, Authority: r.Authority, Action: action, Class: class, Grade: g}
			if err := rights(ctx, q); err != nil {
				return err
			}
			q.Operator, q.Second = r.DecidedBy, r.By
			return rights(ctx, q)
		}
		change := warning.Change{Reason: o.Reason, Key: r.ID, Seen: int(r.Revision)}
		var m warning.Message
		var err error
		switch r.Action {
		case ActionPublish:
			m, err = w.PublishKeyed(ctx, by, r.Subject, r.Revision, r.ID)
		case ActionAmend:
			a := warning.Amendment{Change: change, Level: o.Level}
			if o.Level == "" {
				a.Content = o.Content
			}
			m, err = w.Amend(ctx, by, r.Subject, a)
		case ActionLift:
			m, err = w.Lift(ctx, by, r.Subject, change)
		case ActionRetract:
			m, err = w.Retract(ctx, by, r.Subject, change)
		default:
			err = fault.New(fault.Invalid, "request_unknown", "nobody carries out %q", r.Action)
		}
		if err != nil {
			return "", err
		}
		return m.ID(), nil
	}
}

// request makes the request for an order.
func request(by *warning.Author, action, no string, revision int64, o *order, level warning.Level) (approval.Request, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return approval.Request{}, fmt.Errorf("encode the request: %w", err)
	}
	return approval.Request{
		Action: action, Subject: no, Level: level, Class: o.Content.Category, Authority: by.Authority, Revision: revision, Body: body,
		By: by.ID, ByName: by.Name,
	}, nil
}
