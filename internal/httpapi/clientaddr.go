package httpapi

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// peerAddr is the address at the other end of the connection.
func peerAddr(c *fiber.Ctx) netip.Addr { return peerOf(c.Context()) }

func peerOf(rc *fasthttp.RequestCtx) netip.Addr {
	a, ok := netip.AddrFromSlice(rc.RemoteIP())
	if !ok {
		return netip.Addr{}
	}
	return a.Unmap()
}

// clientAddr is the address of the client: the peer's, or, if the peer is a trusted proxy, the last address in X-Forwarded-For that is
// none. Addresses before that one were written by the client and are not believed. The address is used for rate limits, and
// goes sealed into the audit trail of operators; it is neither logged nor kept otherwise.
func (s *server) clientAddr(c *fiber.Ctx) netip.Addr { return s.clientOf(c.Context()) }

func (s *server) clientOf(rc *fasthttp.RequestCtx) netip.Addr {
	addr := peerOf(rc)
	if !s.trusted(addr) {
		return addr
	}
	// A proxy may append to the client's line or add a line of its own.
	lines := rc.Request.Header.PeekAll(fiber.HeaderXForwardedFor)
	for list := string(bytes.Join(lines, []byte{','})); list != ""; {
		i := strings.LastIndexByte(list, ',')
		a, err := netip.ParseAddr(strings.TrimSpace(list[i+1:]))
		if err != nil {
			return addr
		}
		if addr = a.Unmap(); !s.trusted(addr) {
			return addr
		}
		list = list[:max(i, 0)]
	}
	return addr
}

func (s *server) trusted(a netip.Addr) bool {
	for _, p := range s.deps.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
