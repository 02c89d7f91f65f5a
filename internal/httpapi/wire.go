package httpapi

import (
	"bytes"
	"context"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/haisu-trace/haisu/internal/fault"
)

// anonymousBody is what is read of a body from whoever has not shown a key or a session: what every operation takes, and as much again, so
// that a body that is a little too large is refused and not cut off.
const anonymousBody = 2 * defaultMaxBody

// bodyLimit bounds the body that is about to be read. fasthttp takes the memory for a whole body as soon as its size is announced, so
// only who has good credentials may announce a large one.
func (s *server) bodyLimit(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if n := h.ContentLength(); n != -1 && n <= anonymousBody { // -1: in chunks
		return fasthttp.RequestConfig{}
	}
	token := bearerToken(string(h.Peek(fiber.HeaderAuthorization)))
	if scheme := schemeOf(token); scheme == schemeSeller || scheme == schemeOfficer {
		ctx, cancel := context.WithTimeout(context.Background(), defaultDeadline)
		defer cancel()
		if _, err := s.deps.Services.Authenticator.Authenticate(ctx, token); fault.KindOf(err) != fault.Unauthenticated {
			return fasthttp.RequestConfig{} // a store that is down is told of later
		}
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: anonymousBody}
}

// ambiguous says whether two readers of a header could differ on where the request ends or whom it is for (RFC 9112, 3.2 and 6.3): a
// proxy in front could let a second request pass as the body of the first.
func ambiguous(h *fasthttp.RequestHeader) bool {
	hosts, lengths, codings := 0, 0, 0
	for line := range bytes.Lines(h.RawHeaders()) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch {
		case bytes.EqualFold(name, []byte("Host")):
			hosts++
		case bytes.EqualFold(name, []byte("Content-Length")):
			lengths++
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			codings++
			if !bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked")) {
				return true
			}
		}
	}
	return lengths+codings > 1 || hosts > 1 || hosts == 0 && h.IsHTTP11()
}
