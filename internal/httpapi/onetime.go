package httpapi

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/audit"
)

// OneTimeLinks is what one-time links open, for the API and for the pages alike. Each use of a link that is good stands in the audit trail before
// anything is done, and what comes of it after. What cannot be kept is refused, but for the end of what was done: the attempt stands there, and
// what is shown once must not be lost with the link that it was given for.
type OneTimeLinks struct {
	Trail       Trail
	Enrolments  Enrolments
	Invitations Invitations
	Log         *slog.Logger
}

// StartEnrolment is Enrolments.StartEnrolment.
func (l OneTimeLinks) StartEnrolment(ctx context.Context, r access.StartRequest) (access.Enrolment, error) {
	login, _, err := l.Enrolments.LinkOwner(ctx, r.Token)
	if err != nil {
		return access.Enrolment{}, err
	}
	var e access.Enrolment
	err = l.traced(ctx, "startEnrolment", operatorUse(cmp.Or(login, r.Login)), func(*audit.Change) (err error) {
		e, err = l.Enrolments.StartEnrolment(ctx, r)
		return err
	})
	return e, err
}

// ConfirmEnrolment is Enrolments.ConfirmEnrolment.
func (l OneTimeLinks) ConfirmEnrolment(ctx context.Context, token, code string) (access.Enrolment, error) {
	login, _, err := l.Enrolments.LinkOwner(ctx, token)
	if err != nil {
		return access.Enrolment{}, err
	}
	var e access.Enrolment
	err = l.traced(ctx, "confirmEnrolment", operatorUse(login), func(*audit.Change) (err error) {
		e, err = l.Enrolments.ConfirmEnrolment(ctx, token, code)
		return err
	})
	return e, err
}

// givenKeys is what the audit trail keeps of the keys that an invitation gave.
type givenKeys struct {
	Live string `json:"live"`
	Test string `json:"test"`
}

// AcceptInvitation is Invitations.AcceptInvitation.
func (l OneTimeLinks) AcceptInvitation(ctx context.Context, token, label string) (access.AcceptedInvitation, error) {
	_, firm, err := l.Enrolments.LinkOwner(ctx, token)
	if err != nil {
		return access.AcceptedInvitation{}, err
	}
	var a access.AcceptedInvitation
	u := linkUse{actor: access.KindSeller + ":" + firm, subject: "firm/" + firm}
	err = l.traced(ctx, "acceptInvitation", u, func(c *audit.Change) (err error) {
		a, err = l.Invitations.AcceptInvitation(ctx, token, label)
		c.After = givenKeys{a.Live.ID, a.Test.ID}
		return err
	})
	return a, err
}

// linkUse is who uses a link, and on what.
type linkUse struct{ actor, subject string }

func operatorUse(login string) linkUse {
	return linkUse{actor: access.KindOperator + ":" + login, subject: "operator/" + login}
}

func (l OneTimeLinks) traced(ctx context.Context, action string, u linkUse, do func(*audit.Change) error) error {
	if l.Trail == nil {
		return errTrail(nil)
	}
	k := callFrom(ctx)
	act, err := l.Trail.Begin(ctx, audit.Entry{Actor: u.actor, Action: action, Subject: u.subject, RequestID: k.id, From: k.addr.String()})
	if err != nil {
		return errTrail(err)
	}
	change := audit.Change{Subject: u.subject}
	err = do(&change)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trailTime)
	defer cancel()
	var lost error
	if err != nil {
		lost = act.Failed(ctx, refusalOf(err).code)
	} else {
		lost = act.Done(ctx, change)
	}
	if lost != nil {
		l.Log.WarnContext(ctx, "the end of an attempt is not in the audit trail", "request_id", k.id, "error", lost)
	}
	return err
}
