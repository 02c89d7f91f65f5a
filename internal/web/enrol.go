package web

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/qr"
)

// Enroller makes good what one-time links promise: an operator's password and second factor, a firm's first keys.
type Enroller interface {
	StartEnrolment(ctx context.Context, r access.StartRequest) (access.Enrolment, error)
	ConfirmEnrolment(ctx context.Context, token, code string) (access.Enrolment, error)
	AcceptInvitation(ctx context.Context, token, label string) (access.AcceptedInvitation, error)
}

// FormPaths are what the paths of pages begin with that take a form by POST.
var FormPaths = []string{"/enrol/", "/invitation/"}

// The steps of the pages behind one-time links.
const (
	stepPassword = "password" // choose a password; the first administrator a login, too
	stepCode     = "code"     // prove that the second factor works
	stepDone     = "done"     // the recovery codes, shown once
	stepAccept   = "accept"   // a firm fetches its keys
	stepKeys     = "keys"     // the keys, shown once
)

type enrolView struct {
	frame
	Step     string
	Action   string // where the form goes
	First    bool   // the first administrator
	Error    string
	Login    string
	Name     string
	Body     string // the authority that was typed
	Symbol   template.HTML
	Secret   string
	Recovery []string
	Firm     string
	Keys     []keyView
}

type keyView struct{ What, Key string }

// enrolErrors words what can be wrong at these pages; everything else is a problem page.
var enrolErrors = map[string]string{
	"invalid": "enrol.error.invalid", "code_wrong": "enrol.error.code", "enrolment_not_started": "enrol.error.start", "login_taken": "enrol.error.taken",
}

// enrolRoutes registers the pages behind one-time links. They need no cookie and no script: whoever has the link is the one it was given to,
// and a page of another site does not know it.
func (p *Pages) enrolRoutes(r fiber.Router, e Enroller) {
	r.Get("/enrol/:token", func(c *fiber.Ctx) error {
		return p.sendEnrol(c, enrolView{Step: stepPassword, First: c.Query("first") != ""})
	})
	r.Post("/enrol/:token", func(c *fiber.Ctx) error {
		v, err := p.enrolStep(c, e)
		if err != nil {
			return err
		}
		return p.sendEnrol(c, v)
	})
	r.Get("/invitation/:token", func(c *fiber.Ctx) error { return p.sendEnrol(c, enrolView{Step: stepAccept}) })
	r.Post("/invitation/:token", func(c *fiber.Ctx) error {
		a, err := e.AcceptInvitation(c.UserContext(), c.Params("token"), field(c, "label"))
		if fault.CodeOf(err) == "invalid" {
			return p.sendEnrol(c, enrolView{Step: stepAccept, Error: "enrol.error.invalid"})
		}
		if err != nil {
			return err
		}
		return p.sendEnrol(c, enrolView{Step: stepKeys, Firm: a.Firm, Keys: []keyView{{"enrol.live", a.LiveKey}, {"enrol.test", a.TestKey}}})
	})
}

// enrolStep does what the form asks, and gives the page that follows: the next step, or the same one with what was wrong.
func (p *Pages) enrolStep(c *fiber.Ctx, e Enroller) (enrolView, error) {
	ctx, token := c.UserContext(), c.Params("token")
	if field(c, "step") == stepCode {
		done, err := e.ConfirmEnrolment(ctx, token, field(c, "code"))
		if key, ok := enrolErrors[fault.CodeOf(err)]; ok {
			return enrolView{Step: stepCode, Error: key}, nil
		}
		return enrolView{Step: stepDone, Login: done.Login, Recovery: done.RecoveryCodes}, err
	}
	v := enrolView{Step: stepPassword, First: c.Query("first") != "", Login: field(c, "login"), Name: field(c, "name"), Body: field(c, "authority")}
	if field(c, "password") != field(c, "again") {
		v.Error = "enrol.error.again"
		return v, nil
	}
	started, err := e.StartEnrolment(ctx, access.StartRequest{
		Token: token, Password: field(c, "password"), Login: v.Login, Name: v.Name, Authority: v.Body, SecondFactor: true,
	})
	if key, ok := enrolErrors[fault.CodeOf(err)]; ok {
		v.Error = key
		return v, nil
	}
	if err != nil {
		return v, err
	}
	symbol, err := qr.SVG(started.OtpauthURL)
	if err != nil {
		return v, fmt.Errorf("symbol of a second factor: %w", err)
	}
	return enrolView{
		Step: stepCode, Login: started.Login, Secret: started.TOTPSecret,
		Symbol: template.HTML(symbol), //nolint:gosec // package qr draws it and puts no text into it
	}, nil
}

// sendEnrol sends one of these pages. What it shows is shown once, so no cache may keep it.
func (p *Pages) sendEnrol(c *fiber.Ctx, v enrolView) error {
	if len(c.Params("token")) > 100 {
		return fault.New(fault.NotFound, "link_unknown", "this link is not known, was used, or is over; ask for a new one")
	}
	tag, first := lang.Choose(c.Query("lang"), c.Get(fiber.HeaderAcceptLanguage)), ""
	if v.First {
		first = "1"
	}
	v.Action = c.Path() + query("lang", tag, "first", first)
	v.NoIndex, v.Switch, v.Title = true, query("lang", other(tag), "first", first), words["enrol.title"].in(tag)
	if v.Error != "" {
		v.Error = words[v.Error].in(tag)
		c.Status(http.StatusUnprocessableEntity)
	}
	for i := range v.Keys {
		v.Keys[i].What = words[v.Keys[i].What].in(tag)
	}
	err := p.send(c, func(b *bytes.Buffer, tag string) error { return p.enrol.write(b, tag, &v) })
	c.Set(fiber.HeaderCacheControl, "no-store")
	return err
}

// field is a field of the form in the body, which the server has admitted.
func field(c *fiber.Ctx, name string) string { return string(c.Request().PostArgs().Peek(name)) }
