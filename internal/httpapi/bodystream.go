package httpapi

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
)

const (
	// maxWholeBody is the largest body of a streamed operation that is read before its handler, in bytes.
	maxWholeBody = 256 << 10
	// lentBody is what a streamed body takes of memory, in bytes: buffers on its way to a file.
	lentBody = 256 << 10
)

// bodyStream is a body on its way in: whoever reads it waits for the client. It ends with an error, and not with EOF, when the body is
// longer than it may be, is cut off, or comes too slowly.
type bodyStream struct {
	conns *connTable
	conn  net.Conn
	r     io.Reader
	n     int // bytes that were announced; negative: it comes in chunks
	limit int
	begin time.Time
	got   int
}

type bodyStreamKey struct{}

// lendBody leaves the body to the handler. The request gives its place at work back: reading is waiting.
func (s *server) lendBody(c *fiber.Ctx, op *operation, n int, v *visit) error {
	if err := s.reserveBody(c, lentBody, v); err != nil {
		return err
	}
	v.pause()
	c.Context().SetConnectionClose() // unless it is read to its end, nobody knows where the next request begins
	c.Locals(bodyStreamKey{}, &bodyStream{
		conns: s.guard.conns, conn: c.Context().Conn(), r: c.Request().BodyStream(), n: n, limit: op.maxBody, begin: s.guard.conns.now(),
	})
	return nil
}

// streamOf gives the body that lendBody left; nil if the body was read.
func streamOf(c *fiber.Ctx) io.Reader {
	if b, ok := c.Locals(bodyStreamKey{}).(*bodyStream); ok {
		return b
	}
	return nil
}

func (b *bodyStream) Read(p []byte) (int, error) {
	earned := time.Duration(b.got) * time.Second / time.Duration(b.conns.most.BodyRate)
	if err := b.conn.SetReadDeadline(b.begin.Add(b.conns.most.BodyGrace + earned)); err != nil {
		return 0, errBroken(err)
	}
	n, err := b.r.Read(p)
	b.got += n
	switch {
	case b.got > b.limit:
		return n, errBodyTooLarge(b.limit)
	case errors.Is(err, io.EOF) && (b.n < 0 || b.got == b.n):
		return n, io.EOF
	case err != nil:
		return n, errBroken(err)
	}
	return n, nil
}
