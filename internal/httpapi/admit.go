package httpapi

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
)

// admit is the handler in front of an operation's own: it lets requests through that the contract allows, from those that it
// allows it to, at a bearable rate. The order is that of cost.
func (s *server) admit(op *operation) fiber.Handler {
	class, cost := s.guard.classes.of(op)
	return func(c *fiber.Ctx) error {
		k := callOf(c)
		k.operation, k.permission = op.id, op.permission
		k.addr, k.agent = s.clientAddr(c), clip(c.Get(fiber.HeaderUserAgent), maxAgent)
		var v visit
		defer v.leave()
		if err := s.enter(c.UserContext(), c, class, searching(c, cost), &v); err != nil {
			return err
		}
		ctx := c.UserContext()
		if op.deadline != defaultDeadline { // which observe has set
			within, cancel := context.WithTimeout(context.WithValue(context.Background(), callKey{}, k), op.deadline)
			defer cancel()
			c.SetUserContext(within)
			ctx = within
		}
		if err := op.admitBody(c); err != nil {
			return err
		}
		if err := s.authenticate(ctx, c, op, k); err != nil {
			return err
		}
		if err := s.admitCaller(c, class, k); err != nil {
			return err
		}
		if err := s.permit(ctx, op, k); err != nil {
			return err
		}
		receive := s.receiveBody
		if n := c.Request().Header.ContentLength(); op.streamed && (n < 0 || n > op.wholeUpTo) {
			receive = s.streamBody
		}
		if err := receive(ctx, c, op, &v); err != nil {
			return err
		}
		if err := op.validate(c); err != nil {
			return err
		}
		if embeddable[op.id] {
			c.Set(resourcePolicy, "cross-origin")
		}
		if err := s.traced(ctx, c, op, k); err != nil {
			return err
		}
		if op.cache != "" {
			return conditional(c, op, k)
		}
		return nil
	}
}

// admitPage is admit for what is no operation: pages, the API reference, and paths that lead nowhere.
func (s *server) admitPage(c *fiber.Ctx) error {
	var v visit
	defer v.leave()
	if c.Method() == http.MethodPost && slices.ContainsFunc(s.deps.Forms, func(p string) bool { return strings.HasPrefix(c.Path(), p) }) {
		return s.admitForm(c, &v)
	}
	if err := s.enter(c.UserContext(), c, s.guard.classes.read, searching(c, costRead), &v); err != nil {
		return err
	}
	if c.Request().IsBodyStream() && c.Request().Header.ContentLength() != 0 {
		return refuse(http.StatusBadRequest, "body_unexpected", "nothing here takes a body")
	}
	return c.Next()
}

// formPost stands for the forms of pages. They are few, small, and hash passwords.
var formPost = operation{id: opPage, body: &openapi3.RequestBody{}, bodyTypes: []string{fiber.MIMEApplicationForm}, maxBody: 8 << 10}

func (s *server) admitForm(c *fiber.Ctx, v *visit) error {
	ctx := c.UserContext()
	if err := s.enter(ctx, c, s.guard.classes.login, costHash, v); err != nil {
		return err
	}
	if err := formPost.admitBody(c); err != nil {
		return err
	}
	if err := s.receiveBody(ctx, c, &formPost, v); err != nil {
		return err
	}
	return c.Next()
}

// searching is the cost of a read that searches by words, which takes more than another.
func searching(c *fiber.Ctx, k cost) cost {
	if k == costRead && c.Context().QueryArgs().Has("q") {
		return costSearch
	}
	return k
}

// permit asks the one table of permissions whether this kind of caller may do this at all. Handlers ask again, by allow, once they know
// on what.
func (s *server) permit(ctx context.Context, op *operation, k *call) error {
	if err := access.Allow(&k.principal, op.permission, access.Target{}); err != nil {
		return err
	}
	return s.permitTest(ctx, op, k)
}

// handle runs the operation's handler and sets the cookie that it gives.
func handle(c *fiber.Ctx, k *call) error {
	if err := c.Next(); err != nil {
		return err
	}
	k.writeCookie(c)
	return nil
}

// admitBody refuses by header alone, before anything of the body but its beginning was read. A body in chunks shows its size later.
func (op *operation) admitBody(c *fiber.Ctx) error {
	n := 0
	if c.Request().IsBodyStream() {
		n = c.Request().Header.ContentLength()
	}
	if op.body == nil {
		if n != 0 {
			return refuse(http.StatusBadRequest, "body_unexpected", "this operation takes no body")
		}
		return nil
	}
	if n > op.maxBody {
		return errBodyTooLarge(op.maxBody)
	}
	media, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	charset := params["charset"]
	if err != nil || !slices.Contains(op.bodyTypes, media) || charset != "" && !op.streamed && !strings.EqualFold(charset, "utf-8") {
		return refuse(http.StatusUnsupportedMediaType, "media_type", "the body must be %s", strings.Join(op.bodyTypes, " or "))
	}
	for _, enc := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) { // each: the last one is what Fiber would go by
		if len(enc) > 0 && string(enc) != "identity" {
			return refuse(http.StatusUnsupportedMediaType, "content_encoding", "the body must not be compressed")
		}
	}
	return nil
}
