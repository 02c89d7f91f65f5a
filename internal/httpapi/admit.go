package httpapi

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
)

// admit is the handler in front of an operation's own: it lets requests through that the contract allows, from those that it
// allows it to, at a bearable rate. The order is that of cost.
func (s *server) admit(op *operation) fiber.Handler {
	return func(c *fiber.Ctx) error {
		k := callOf(c)
		k.operation, k.permission = op.id, op.permission
		if err := s.admitRate(c, op.limiter); err != nil {
			return err
		}
		k.addr, k.agent = s.clientAddr(c), clip(c.Get(fiber.HeaderUserAgent), maxAgent)
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), callKey{}, k), op.deadline)
		defer cancel()
		c.SetUserContext(ctx)
		if err := op.admitBody(c); err != nil {
			return err
		}
		if err := s.authenticate(ctx, c, op, k); err != nil {
			return err
		}
		if err := s.permit(op, k); err != nil {
			return err
		}
		if err := op.validate(c); err != nil {
			return err
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

// permit asks the one table of permissions whether this kind of caller may do this at all. Handlers ask again, by allow, once they know
// on what.
func (s *server) permit(op *operation, k *call) error {
	if err := access.Allow(&k.principal, op.permission, access.Target{}); err != nil {
		return err
	}
	return s.permitTest(op, k)
}

// handle runs the operation's handler and sets the cookie that it gives.
func handle(c *fiber.Ctx, k *call) error {
	if err := c.Next(); err != nil {
		return err
	}
	k.writeCookie(c)
	return nil
}

// admitBody refuses by header and size alone. The server refuses bodies above the largest limit of any operation before it
// has read them; the limit of the operation itself is applied here.
func (op *operation) admitBody(c *fiber.Ctx) error {
	n := len(c.Request().Body())
	if op.body == nil {
		if n > 0 {
			return refuse(http.StatusBadRequest, "body_unexpected", "this operation takes no body")
		}
		return nil
	}
	if n > op.maxBody {
		return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body may have %d bytes here", op.maxBody)
	}
	media, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	charset := params["charset"]
	if err != nil || !slices.Contains(op.bodyTypes, media) || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refuse(http.StatusUnsupportedMediaType, "media_type", "the body must be %s", strings.Join(op.bodyTypes, " or "))
	}
	for _, enc := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) { // each: the last one is what Fiber would go by
		if len(enc) > 0 && string(enc) != "identity" {
			return refuse(http.StatusUnsupportedMediaType, "content_encoding", "the body must not be compressed")
		}
	}
	return nil
}
