package web

import (
	"bytes"
	"context"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

// Warnings reads what is published.
type Warnings interface {
	Get(ctx context.Context, no string) (warning.State, error)
	List(ctx context.Context, f warning.Filter, cursor string, limit int) (warning.Page, error)
	Heads(ctx context.Context, nos []string) (map[string]warning.Head, error)
}

// Finder searches by words, the best match first. Unavailable.
type Finder interface {
	FindWarnings(ctx context.Context, text string, f warning.Filter, cursor string, limit int) (nos []string, next string, err error)
}

// Sources are what the pages are made from.
type Sources struct {
	PublicURL string
	Demo      []DemoUnit
	Warnings  Warnings
	Finder    Finder
	Enroller  Enroller
}

// The bounds of the list page.
const (
	listPage = 20
	maxQuery = 256 // characters
)

// Routes registers the pages that are no answers to scans: /, /warnings, /warnings/{no}, and those behind one-time links. Errors are left to the server, which
// renders them with RenderProblem.
func (p *Pages) Routes(s Sources) func(r fiber.Router) {
	return func(r fiber.Router) {
		p.enrolRoutes(r, s.Enroller)
		r.Get("/", func(c *fiber.Ctx) error {
			return p.send(c, func(b *bytes.Buffer, tag string) error {
				return p.RenderStart(b, tag, Start{PublicURL: s.PublicURL, Demo: s.Demo})
			})
		})
		r.Get("/warnings", func(c *fiber.Ctx) error {
			list, err := s.list(c.UserContext(), c.Query("q"), c.Query("cursor"))
			if err != nil {
				return err
			}
			return p.send(c, func(b *bytes.Buffer, tag string) error { return p.RenderWarnings(b, tag, list) })
		})
		r.Get("/warnings/:no", func(c *fiber.Ctx) error {
			st, err := s.Warnings.Get(c.UserContext(), c.Params("no"))
			if err != nil {
				return err
			}
			return p.send(c, func(b *bytes.Buffer, tag string) error { return p.RenderWarning(b, tag, st) })
		})
	}
}

// send renders a page and sends it with the headers that it was made for.
func (p *Pages) send(c *fiber.Ctx, render func(b *bytes.Buffer, tag string) error) error {
	var b bytes.Buffer
	if err := render(&b, lang.Choose(c.Query("lang"), c.Get(fiber.HeaderAcceptLanguage))); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set(fiber.HeaderContentSecurityPolicy, p.ContentSecurityPolicy())
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Vary(fiber.HeaderAcceptLanguage)
	return c.Send(b.Bytes())
}

// list gives the warnings that a text finds, or all of them, the newest first.
func (s *Sources) list(ctx context.Context, text, cursor string) (WarningList, error) {
	if utf8.RuneCountInString(text) > maxQuery {
		return WarningList{}, fault.New(fault.Malformed, "query_length", "at most %d characters", maxQuery)
	}
	out := WarningList{Query: text}
	if text == "" {
		page, err := s.Warnings.List(ctx, warning.Filter{}, cursor, listPage)
		out.Items, out.Next = page.Items, page.Next
		return out, err
	}
	nos, next, err := s.Finder.FindWarnings(ctx, text, warning.Filter{}, cursor, listPage)
	if err != nil {
		return out, err
	}
	heads, err := s.Warnings.Heads(ctx, nos)
	if err != nil {
		return out, err
	}
	for _, no := range nos {
		if h, ok := heads[no]; ok { // the index may name what is gone
			out.Items = append(out.Items, h)
		}
	}
	out.Next = next
	return out, nil
}
