package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// anonymousBody is the largest body that may be announced by whoever shows no credentials: what every operation takes, and as much again, so that a
// body that is a little too large is refused and not cut off.
const anonymousBody = 2 * defaultMaxBody

// prefetched is what fasthttp reads of a body before the handler is asked. It need not be known exactly: it only bounds what is read to keep a
// connection of use after a refusal.
const prefetched = 8 << 10

// headerReceived bounds the body that is about to be read. Bodies are streams: fasthttp takes no memory for them beyond prefetched, and the handler
// reads the rest once it knows the client. A body that cannot be wanted is not even begun: its length is set to nothing here, which fasthttp goes by,
// and screen finds the announcement in the raw header.
func (s *server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	n := h.ContentLength()
	if n > s.maxBody || n > anonymousBody && len(h.Peek(fiber.HeaderAuthorization)) == 0 && len(h.Cookie(s.sessionCookie())) == 0 {
		h.SetContentLength(0)
	}
	return fasthttp.RequestConfig{}
}

// receiveBody reads the body of a request, once it is known that the client may send one. While the client is waited for, the request has
// no place at work. The bytes are in memory of their own.
func (s *server) receiveBody(ctx context.Context, c *fiber.Ctx, op *operation, v *visit) error {
	req := c.Request()
	if op.body == nil || !req.IsBodyStream() {
		return nil
	}
	n := req.Header.ContentLength()
	room := n
	if n < 0 { // in chunks: nobody knows how many
		room = op.maxBody
	}
	who := bodyOwner(callOf(c))
	switch s.guard.shed.reserve(who, int64(room)) {
	case reservedNone:
		return s.guard.overloaded("body_bytes")
	case reservedShare:
		return s.guard.overshared()
	case reservedAll:
	}
	v.owner, v.bytes = who, int64(room)
	slow := n < 0 || n > prefetched
	if slow {
		v.pause()
	}
	body, err := s.guard.conns.collectBody(c.Context().Conn(), req.BodyStream(), n, op.maxBody)
	if err != nil {
		c.Context().SetConnectionClose()
		return err
	}
	req.SetBodyRaw(body)
	if !op.freeForm { // else its handler bounds it, and says where it is too deep
		if err := checkShape(body, op.maxBody); err != nil {
			return err
		}
	}
	if slow {
		return v.resume(ctx)
	}
	return nil
}

// bodyOwner is whom a body is counted against: the firm, since it makes as many keys as it likes, the operator or the device; whoever showed no
// credentials, and who shows the secret of one case, by its network.
func bodyOwner(k *call) rateID {
	switch p := &k.principal; {
	case p.Firm != "":
		return callerID("firm", p.Firm)
	case p.ID != "":
		return callerID(p.Kind, p.ID)
	case k.device != "":
		return callerID("device", k.device)
	}
	return networkID(k.addr)
}

// collectBody reads n bytes, or, if n is negative, until the end or one byte more than limit.
func (t *connTable) collectBody(conn net.Conn, r io.Reader, n, limit int) ([]byte, error) {
	begin, size, got := t.now(), n, 0
	if n < 0 {
		size = min(limit+1, 4<<10)
	}
	body := make([]byte, size) // a body of known size needs no more, and one in chunks grows by what has come
	for n < 0 || got < n {
		if n < 0 || n > prefetched {
			earned := time.Duration(got) * time.Second / time.Duration(t.most.BodyRate)
			if err := conn.SetReadDeadline(begin.Add(t.most.BodyGrace + earned)); err != nil {
				return nil, errBroken(err)
			}
		}
		if got == len(body) {
			grown := make([]byte, min(2*len(body), limit+1))
			copy(grown, body)
			body = grown
		}
		m, err := r.Read(body[got:])
		got += m
		switch {
		case n < 0 && got > limit:
			return nil, errBodyTooLarge(limit)
		case errors.Is(err, io.EOF) && (n < 0 || got == n):
			return body[:got], nil
		case err != nil:
			return nil, errBroken(err)
		}
	}
	return body, nil
}

func errBodyTooLarge(limit int) error {
	return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body may have %d bytes here", limit)
}

// errBroken words a body that did not arrive.
func errBroken(err error) error {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return &httpError{status: http.StatusRequestTimeout, code: "request_timeout", detail: "the body did not arrive in time", err: err}
	}
	return &httpError{status: http.StatusBadRequest, code: "malformed", detail: "the body cannot be read", err: err}
}

// settleBody sees to a body that nobody read. What fasthttp has already is dropped; the end of more is not waited for, and what follows on the
// connection could not be told from it.
func settleBody(rc *fasthttp.RequestCtx) {
	if !rc.Request.IsBodyStream() {
		return
	}
	if n := rc.Request.Header.ContentLength(); n >= 0 && n <= prefetched {
		if _, err := io.Copy(io.Discard, rc.Request.BodyStream()); err == nil {
			return
		}
	}
	rc.SetConnectionClose()
}
