package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

// codeFourEyes is the code of the one refusal that another operator can help with.
const codeFourEyes = "four_eyes"

// The steps that publish. A request for approval has them in Action, behind "warning.".
const (
	stepPublish = "publish"
	stepAmend   = "amend"
	stepLift    = "lift"
	stepRetract = "retract"

	stepPrefix    = "warning."
	subjectPrefix = "warning/"
)

func warningSubject(no string) string { return subjectPrefix + no }

// step is one publication: asked for, and perhaps carried out later, in the name of who asked.
type step struct {
	Kind    string           `json:"-"`
	No      string           `json:"-"`
	Seen    int64            `json:"-"` // the revision of the draft, or the last message; 0: whatever stands
	Content *warning.Content `json:"content,omitempty"`
	Reason  lang.Text        `json:"reason,omitempty"`
	Key     string           `json:"key,omitempty"` // the Idempotency-Key
}

// take publishes.
func (st *step) take(ctx context.Context, press WarningPress, by warning.Author) (warning.Message, error) {
	c := warning.Change{Reason: st.Reason, Key: st.Key, Seen: int(st.Seen)}
	switch st.Kind {
	case stepPublish:
		return press.PublishRevision(ctx, by, st.No, st.Seen)
	case stepAmend:
		return press.Amend(ctx, by, st.No, warning.Amendment{Change: c, Content: st.Content})
	case stepLift:
		return press.Lift(ctx, by, st.No, c)
	case stepRetract:
		return press.Retract(ctx, by, st.No, c)
	}
	return warning.Message{}, fmt.Errorf("there is no step %q", st.Kind)
}

// lacks is what a publication lacked of a second operator.
type lacks struct {
	needed bool
	class  string
	level  warning.Level
}

// author is the officer who acts. The domain asks May about what is really written; lacks says afterwards whether nothing but a second
// operator was missing.
func author(ctx context.Context) (warning.Author, *lacks) {
	p, l := callFrom(ctx).principal, &lacks{}
	may := func(action, class string, level warning.Level) error {
		err := access.Allow(&p, access.Action(action), access.Target{Authority: p.Authority, Class: class, Level: level})
		if fault.CodeOf(err) == codeFourEyes {
			*l = lacks{needed: true, class: class, level: level}
		}
		return err
	}
	return warning.Author{ID: p.ID, Name: p.Name, Authority: p.Authority, May: may}, l
}

// publish takes a step, or keeps it as a request for approval where that is all that it lacks.
func (s *server) publish(ctx context.Context, st *step) (*WarningMessage, *AwaitsApprovalJSONResponse, error) {
	by, l := author(ctx)
	m, err := st.take(ctx, s.deps.Services.Press, by)
	if err == nil {
		body := messageBody(&m)
		changed(ctx, warningSubject(st.No), nil, body)
		return &body, nil, nil
	}
	if !l.needed || fault.CodeOf(err) != codeFourEyes {
		return nil, nil, precondition(err)
	}
	r, err := s.ask(ctx, st, l)
	if err != nil {
		return nil, nil, precondition(err)
	}
	body, err := approvalBody(&r)
	if err != nil {
		return nil, nil, err
	}
	changed(ctx, warningSubject(st.No), nil, approvalFactsOf(&r))
	return nil, &AwaitsApprovalJSONResponse{Body: body, Headers: AwaitsApprovalResponseHeaders{Location: "/v1/approvals/" + r.ID}}, nil
}

// ask keeps a step for another operator, and pins what it is about: what is approved is what was seen, or it is not done.
func (s *server) ask(ctx context.Context, st *step, l *lacks) (approval.Request, error) {
	pinned := *st
	if st.Kind == stepPublish {
		d, err := s.deps.Services.Desk.Draft(ctx, st.No)
		if err != nil {
			return approval.Request{}, err
		}
		if st.Seen != 0 && st.Seen != d.Revision {
			return approval.Request{}, fault.New(fault.Conflict, "draft_changed", "draft %s was changed meanwhile", st.No)
		}
		pinned.Seen, pinned.Content = d.Revision, &d.Content
		l.class, l.level = d.Category, d.Level
	} else if st.Seen == 0 {
		state, err := s.deps.Services.Warnings.Get(ctx, st.No)
		if err != nil {
			return approval.Request{}, err
		}
		pinned.Seen = int64(state.Current.Rev)
	}
	body, err := json.Marshal(&pinned)
	if err != nil {
		return approval.Request{}, fmt.Errorf("encode what is to be approved: %w", err)
	}
	p := &callFrom(ctx).principal
	return s.deps.Services.Asker.Ask(ctx, approval.Request{
		Action: stepPrefix + st.Kind, Subject: warningSubject(st.No), Level: l.level, Class: l.class, Authority: p.Authority,
		Revision: pinned.Seen, Body: body, By: p.ID, ByName: p.Name,
	})
}

// stepOf reads the step that a request for approval stands for.
func stepOf(r *approval.Request) (*step, error) {
	var st step
	if err := json.Unmarshal(r.Body, &st); err != nil {
		return nil, fmt.Errorf("approval %s: %w", r.ID, err)
	}
	st.Kind, st.No, st.Seen = strings.TrimPrefix(r.Action, stepPrefix), strings.TrimPrefix(r.Subject, subjectPrefix), r.Revision
	return &st, nil
}

// Principals says who an operator is now, with what the operator may do now. NotFound for one that is gone or disabled.
type Principals interface {
	Principal(ctx context.Context, login string) (access.Principal, error)
}

// Carry gives what carries approved requests out: it publishes in the name of who asked, with the consent of who approved, if both still may.
// The result is the message's ID. It may be called again for one request, which publishes once.
func Carry(press WarningPress, who Principals) func(ctx context.Context, r approval.Request) (result string, err error) {
	return func(ctx context.Context, r approval.Request) (string, error) {
		st, err := stepOf(&r)
		if err != nil {
			return "", err
		}
		if st.Key == "" {
			st.Key = r.ID // so that a second call finds the message of the first
		}
		asked, err := who.Principal(ctx, r.By)
		if err != nil {
			return "", err
		}
		approved, err := who.Principal(ctx, r.DecidedBy)
		if err != nil {
			return "", err
		}
		m, err := st.take(ctx, press, warning.Author{
			ID: r.By, Name: r.ByName, Authority: asked.Authority, Second: r.DecidedBy,
			May: func(action, class string, level warning.Level) error {
				t := access.Target{Authority: asked.Authority, Class: class, Level: level, Second: r.DecidedBy}
				if err := access.Allow(&asked, access.Action(action), t); err != nil {
					return err
				}
				return access.Allow(&approved, access.ApprovalDecide, t)
			},
		})
		if err != nil {
			return "", err
		}
		return m.ID(), nil
	}
}
