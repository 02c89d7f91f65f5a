package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

const (
	typeProblem = "application/problem+json"
	// problemBase is where mobile-contract/problems.md explains each code under a heading of its own.
	problemBase = "https://github.com/haisu-trace/haisu/blob/main/mobile-contract/problems.md#"
	// maxFieldErrors bounds the rules that one problem lists.
	maxFieldErrors = 100
)

// problem is a problem document (RFC 9457): the schema Problem of the contract.
type problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Code      string       `json:"code"`
	Detail    string       `json:"detail,omitempty"`
	RequestID string       `json:"request_id"`
	Errors    []fieldError `json:"errors,omitempty"`
}

// fieldError is one broken rule: of a member of the body (Pointer) or of a parameter.
type fieldError struct {
	Pointer   *string `json:"pointer,omitempty"` // RFC 6901; "" is the whole body, so that absence needs a pointer
	Parameter string  `json:"parameter,omitempty"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
}

// httpError is an error of HTTP itself, which the domain knows nothing of.
type httpError struct {
	status       int
	code, detail string
	errors       []fieldError
	retry        time.Duration
	shed         bool  // refused for want of room, not for anything in the request
	err          error // the cause, for the log only
}

func refuse(status int, code, format string, args ...any) *httpError {
	return &httpError{status: status, code: code, detail: fmt.Sprintf(format, args...)}
}

func (r *httpError) Error() string { return r.code + ": " + r.detail }
func (r *httpError) Unwrap() error { return r.err }

// statuses has the one HTTP status of each kind.
var statuses = map[fault.Kind]int{
	fault.Malformed:       http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.Unsupported:     http.StatusUnsupportedMediaType,
	fault.Invalid:         http.StatusUnprocessableEntity,
	fault.TooMany:         http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Internal:        http.StatusInternalServerError,
}

// retryUnavailable is how long a client waits when the server cannot say better: long enough for a replica to take over.
const retryUnavailable = 2 * time.Second

// refusalOf is the one translation of errors to what a client sees. An error that is not meant for clients becomes 'internal',
// with a fixed text; its own text goes to the log.
func refusalOf(err error) *httpError {
	if r, ok := errors.AsType[*httpError](err); ok {
		return r
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind != fault.Internal {
		r := &httpError{status: statuses[f.Kind], code: f.Code, detail: f.Detail, errors: fieldErrors(f.Fields), retry: f.Retry, err: err}
		if f.Kind == fault.Unavailable && r.retry == 0 {
			r.retry = retryUnavailable
		}
		return r
	}
	if f, ok := errors.AsType[*fiber.Error](err); ok {
		return refusalOfFiber(f)
	}
	switch {
	case errors.Is(err, store.ErrBadCursor):
		return refuse(http.StatusBadRequest, "bad_cursor", "the cursor is not one that a list gave")
	case errors.Is(err, context.DeadlineExceeded):
		return &httpError{
			status: http.StatusServiceUnavailable, code: "deadline", detail: "the request could not be finished in time",
			retry: retryUnavailable, err: err,
		}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.Canceled):
		return &httpError{
			status: http.StatusServiceUnavailable, code: "unavailable", detail: "the server cannot do this now",
			retry: retryUnavailable, err: err,
		}
	}
	return &httpError{
		status: http.StatusInternalServerError, code: "internal",
		detail: "the server made a mistake; it is logged under this request_id", err: err,
	}
}

// refusalOfFiber words what Fiber and fasthttp refuse by themselves. Their texts repeat the request and are not passed on.
func refusalOfFiber(f *fiber.Error) *httpError {
	switch f.Code {
	case http.StatusNotFound:
		return refuse(f.Code, "no_such_path", "there is nothing at this path")
	case http.StatusMethodNotAllowed:
		return refuse(f.Code, "method_not_allowed", "this path does not know this method; see Allow")
	case http.StatusRequestTimeout:
		return refuse(f.Code, "request_timeout", "the request did not arrive in time")
	case http.StatusRequestEntityTooLarge:
		return refuse(f.Code, "body_too_large", "the body is larger than any operation takes")
	case http.StatusRequestHeaderFieldsTooLarge:
		return refuse(f.Code, "header_too_large", "the header of the request is too large")
	}
	if f.Code >= 500 {
		return &httpError{
			status: http.StatusInternalServerError, code: "internal",
			detail: "the server made a mistake; it is logged under this request_id", err: f,
		}
	}
	return &httpError{status: http.StatusBadRequest, code: "malformed", detail: "the request cannot be read", err: f}
}

func fieldErrors(fields []fault.Field) []fieldError {
	if len(fields) == 0 {
		return nil
	}
	out := make([]fieldError, 0, min(len(fields), maxFieldErrors))
	for _, f := range fields[:min(len(fields), maxFieldErrors)] {
		out = append(out, fieldError{Pointer: &f.Pointer, Code: f.Code, Detail: f.Detail})
	}
	return out
}

// writeProblem answers with a refusal, whatever was written before.
func (s *server) writeProblem(c *fiber.Ctx, r *httpError, id string) error {
	c.Response().ResetBody()
	for _, h := range []string{fiber.HeaderETag, fiber.HeaderLocation, fiber.HeaderContentLanguage, fiber.HeaderSetCookie} {
		c.Response().Header.Del(h)
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	if r.status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="haisu"`)
	}
	if r.retry > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(r.retry.Seconds()))))
	}
	c.Status(r.status)
	if s.wantsPage(c) {
		return s.writeProblemPage(c, r, id)
	}
	return c.JSON(problemOf(r, id), typeProblem)
}

func problemOf(r *httpError, id string) problem {
	return problem{
		Type: problemBase + r.code, Title: http.StatusText(r.status), Status: r.status,
		Code: r.code, Detail: r.detail, RequestID: id, Errors: r.errors,
	}
}

// wantsPage says whether the client would rather read a page than JSON: a person whose scan went wrong.
func (s *server) wantsPage(c *fiber.Ctx) bool {
	return s.deps.Page != nil && c.Accepts(typeProblem, fiber.MIMEApplicationJSON, fiber.MIMETextHTML) == fiber.MIMETextHTML
}

func (s *server) writeProblemPage(c *fiber.Ctx, r *httpError, id string) error {
	tag := requestLang(c)
	c.Set(fiber.HeaderContentSecurityPolicy, s.deps.Page.ContentSecurityPolicy())
	c.Set(fiber.HeaderContentLanguage, tag)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return s.deps.Page.RenderProblem(c.Response().BodyWriter(), tag, r.status, r.code, r.detail, id)
}
