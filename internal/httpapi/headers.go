package httpapi

import (
	"bytes"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// headers that no response lacks. Pages replace the content policy with their own, and public reads the cache policy. A policy of nothing
// fits what is no page: should a browser ever show it as one, it may neither run nor load anything.
var securityHeaders = [][2][]byte{
	header(fiber.HeaderCacheControl, "no-store"),
	header(fiber.HeaderXContentTypeOptions, "nosniff"),
	header(fiber.HeaderXFrameOptions, "DENY"),
	header(fiber.HeaderReferrerPolicy, "no-referrer"),
	header(fiber.HeaderContentSecurityPolicy, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
	header(fiber.HeaderPermissionsPolicy, "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
	header("Cross-Origin-Opener-Policy", "same-origin"),
	header(resourcePolicy, "same-origin"),
}

var strictTransport = header(fiber.HeaderStrictTransportSecurity, "max-age=31536000")

const resourcePolicy = "Cross-Origin-Resource-Policy"

func header(name, value string) [2][]byte { return [2][]byte{[]byte(name), []byte(value)} }

// secure sets the headers that no response should lack.
func (s *server) secure(c *fiber.Ctx, id string) {
	s.secureHeader(&c.Response().Header, id)
}

func (s *server) secureHeader(h *fasthttp.ResponseHeader, id string) {
	for _, kv := range securityHeaders {
		h.SetCanonical(kv[0], kv[1])
	}
	if s.https {
		h.SetCanonical(strictTransport[0], strictTransport[1])
	}
	h.Set(fiber.HeaderXRequestID, id)
}

// embeddable are the operations whose answers pages of other sites may show: symbols are made to be put on labels.
var embeddable = map[string]bool{"getCodePng": true, "getCodeSvg": true}

// The bounds of a request's header, beyond its size.
const (
	maxHeaders    = 64
	maxPath       = 4 << 10 // as sent: an escaped code of 1 KiB has three
	maxParameters = 32
)

// screened is what a look at the raw header finds.
type screened struct {
	ambiguous bool // two readers of the header could differ on where the request ends or whom it is for
	headers   int
	announced int // bytes of the body, as the client has them
	chunked   bool
}

// screenHeader looks at each line of a header (RFC 9112, 3.2 and 6.3): a proxy in front could let a second request pass as the body of the first.
func screenHeader(h *fasthttp.RequestHeader) screened {
	var out screened
	hosts, lengths, codings := 0, 0, 0
	for raw := h.RawHeaders(); len(raw) > 0; {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i], raw[i+1:]
		} else {
			raw = nil
		}
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			continue
		}
		out.headers++
		n := bytes.IndexByte(line, ':')
		if n < 0 {
			continue
		}
		name, value := line[:n], bytes.TrimSpace(line[n+1:])
		switch len(name) {
		case len("Host"):
			if bytes.EqualFold(name, []byte("Host")) {
				hosts++
			}
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				lengths++
				out.announced = length(value)
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				codings++
				out.chunked = true
				out.ambiguous = out.ambiguous || !bytes.EqualFold(value, []byte("chunked"))
			}
		}
	}
	out.ambiguous = out.ambiguous || lengths+codings > 1 || hosts > 1 || hosts == 0 && h.IsHTTP11()
	return out
}

// length reads a Content-Length. One that cannot be read is endless.
func length(v []byte) int {
	n, err := strconv.Atoi(string(v))
	if err != nil || n < 0 {
		return math.MaxInt
	}
	return n
}

// refusalByHeader refuses by the header alone what no handler should see; nil: nothing is wrong. closing says that what follows on the connection
// cannot be told from a body.
func (s *server) refusalByHeader(rc *fasthttp.RequestCtx) (r *httpError, closing bool) {
	h := &rc.Request.Header
	seen := screenHeader(h)
	uri := h.RequestURI()
	switch {
	case seen.ambiguous:
		return refuse(http.StatusBadRequest, "malformed", "the request cannot be read: its header leaves open where it ends or whom it is for"), true
	case !slices.Contains(fiber.DefaultMethods, string(h.Method())):
		return refuse(http.StatusNotImplemented, "method_unknown", "there is no such method"), false
	case (h.IsGet() || h.IsHead()) && (seen.announced > 0 || seen.chunked): // fasthttp would not know where it ends
		return refuse(http.StatusBadRequest, "body_unexpected", "this operation takes no body"), true
	case seen.announced > 0 && h.ContentLength() == 0: // see headerReceived
		return refuse(http.StatusRequestEntityTooLarge, "body_too_large",
			"the body is larger than any operation takes, or than is read without credentials"), true
	case seen.headers > maxHeaders:
		return refuse(http.StatusRequestHeaderFieldsTooLarge, "header_too_large", "a request may have %d headers", maxHeaders), false
	case bytes.IndexByte(uri, '?') > maxPath || bytes.IndexByte(uri, '?') < 0 && len(uri) > maxPath:
		return refuse(http.StatusRequestURITooLong, "path_too_long", "a path may have %d bytes", maxPath), false
	case bytes.Count(uri, []byte{'&'}) >= maxParameters:
		return refuse(http.StatusBadRequest, "malformed", "a query may have %d parameters", maxParameters), false
	}
	return nil, false
}
