package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
)

// streamRoom is what a body that is read as a stream takes in memory: the buffers of whoever reads it.
const streamRoom = 256 << 10

// bodyStream is the body of a request whose handler reads it, for what is too large to be in memory. It must arrive as fast as any body.
type bodyStream struct {
	table *connTable
	conn  net.Conn
	r     io.Reader
	begin time.Time
	limit int
	got   int
}

// streamBody is receiveBody for an operation that says x-streamed: what the handler takes from it must not be kept beyond it. The request has no place at
// work while its client is waited for, which is all the time.
func (s *server) streamBody(_ context.Context, c *fiber.Ctx, op *operation, v *visit) error {
	who := bodyOwner(callOf(c))
	switch s.guard.shed.reserve(who, streamRoom) {
	case reservedNone:
		return s.guard.overloaded("body_bytes")
	case reservedShare:
		return s.guard.overshared()
	case reservedAll:
	}
	v.owner, v.bytes = who, streamRoom
	v.pause()
	r := c.Context().RequestBodyStream()
	if r == nil {
		return refuse(fiber.StatusBadRequest, "body_missing", "this operation needs a body")
	}
	t := s.guard.conns
	callOf(c).body = &bodyStream{table: t, conn: c.Context().Conn(), r: r, begin: t.now(), limit: op.maxBody}
	return nil
}

// Read reads on. What goes wrong is an *httpError.
func (b *bodyStream) Read(p []byte) (int, error) {
	earned := time.Duration(b.got) * time.Second / time.Duration(b.table.most.BodyRate)
	if err := b.conn.SetReadDeadline(b.begin.Add(b.table.most.BodyGrace + earned)); err != nil {
		return 0, errBroken(err)
	}
	n, err := b.r.Read(p)
	if b.got += n; b.got > b.limit {
		return 0, errBodyTooLarge(b.limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = errBroken(err)
	}
	return n, err
}
