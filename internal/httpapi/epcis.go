package httpapi

import (
	"bytes"
	"net/http"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/trace"
)

// captureEvent takes one EPCIS event. The decoder gets the bytes as they came: the event's hash depends on them.
func (s *server) captureEvent(c *fiber.Ctx) error {
	e, err := epcis.DecodeEvent(received(c), trace.CaptureLimits)
	if err != nil {
		return err
	}
	f, err := s.sellerFirm(c.UserContext())
	if err != nil {
		return err
	}
	got, err := s.tenant(callOf(c)).Capture.CaptureEvent(c.UserContext(), f, e)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderLocation, "/epcis/events/"+url.PathEscape(got.EventID))
	return c.Status(http.StatusCreated).JSON(got)
}

// captureDocument takes an EPCIS document.
func (s *server) captureDocument(c *fiber.Ctx) error {
	doc, err := epcis.DecodeDocument(received(c), trace.CaptureLimits)
	if err != nil {
		return err
	}
	f, err := s.sellerFirm(c.UserContext())
	if err != nil {
		return err
	}
	got, err := s.tenant(callOf(c)).Capture.Capture(c.UserContext(), f, doc)
	if err != nil {
		return err
	}
	return c.Status(http.StatusAccepted).JSON(got)
}

// received is the body as it came, in memory of its own. Fiber's Body would decompress it without a bound.
func received(c *fiber.Ctx) []byte { return bytes.Clone(c.Request().Body()) }
