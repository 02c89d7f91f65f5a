package httpapi

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
)

// FuzzClientAddr holds the address that limits count by to X-Forwarded-For's own rule: no header changes it for a peer that is no
// trusted proxy, and behind one nothing that the client wrote itself, to the left of what the proxy added, matters.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"198.18.0.1", "10.0.0.9, 198.18.0.1", "::ffff:10.0.0.9,fe80::1%eth0", "unknown", ",", " , ", "198.18.0.1:80", "\xff", "[::1]", "0x7f.1, 010.0.0.1"} {
		f.Add(s, "203.0.113.7", []byte{10, 0, 0, 1})
		f.Add("1.2.3.4", s, []byte{192, 0, 2, 1})
	}
	s := &server{deps: Deps{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	app := fiber.New()
	addr := func(peer net.IP, lines ...string) netip.Addr {
		rc := &fasthttp.RequestCtx{}
		rc.Init(&fasthttp.Request{}, &net.TCPAddr{IP: peer, Port: 1}, nil)
		for _, l := range lines {
			rc.Request.Header.Add(fiber.HeaderXForwardedFor, l)
		}
		c := app.AcquireCtx(rc)
		defer app.ReleaseCtx(c)
		return s.clientAddr(c)
	}
	f.Fuzz(func(t *testing.T, first, second string, peer []byte) {
		if len(peer) != 4 && len(peer) != 16 || strings.ContainsAny(first+second, "\r\n") {
			return
		}
		bare := addr(peer)
		got := addr(peer, first, second)
		if !got.IsValid() || got.Is4In6() {
			t.Fatalf("%q, %q from %s: %v", first, second, bare, got)
		}
		if !s.trusted(bare) && got != bare {
			t.Errorf("%q, %q from %s, which is no proxy of ours: %s", first, second, bare, got)
		}
		if near := addr(peer, second); s.trusted(bare) && !s.trusted(near) && got != near {
			t.Errorf("behind a proxy that says %q the client says %q: %s, not %s", second, first, got, near)
		}
		if joined := addr(peer, first+","+second); joined != got {
			t.Errorf("%q, %q: %s in two lines, %s in one", first, second, got, joined)
		}
	})
}

// FuzzEntityTag reads If-Match and If-None-Match.
func FuzzEntityTag(f *testing.F) {
	for _, s := range []string{`"draft-1"`, `"rev-9223372036854775808"`, `W/"draft-1"`, `*`, `"a","b"`, `draft--1`, `"`, "", `""`, `"draft-01"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		n, err := seenRevision(tag, draftTag)
		switch {
		case err != nil && refusalOf(err).status != http.StatusPreconditionFailed:
			t.Errorf("%q: %v", tag, err)
		case err == nil && n < 0, err == nil && (n == 0) != (tag == ""):
			t.Errorf("%q: revision %d", tag, n)
		}
		if own := entityTag([]byte(tag)); !matches(tag+","+own, own) || !matches("*", own) || matches(strings.Trim(own, `W/"`), own) {
			t.Errorf("%q is not found in a list with %q", own, tag)
		}
	})
}

// FuzzRequest sends a request for an operation of the contract with a path, query, header and body of the fuzzer's: every answer is
// one that the contract has.
func FuzzRequest(f *testing.F) {
	b := setup(f)
	doc := contracttest.Load(f).Doc
	ops, err := operations(doc)
	if err != nil {
		f.Fatal(err)
	}
	for i := range ops {
		f.Add(uint8(i), "06901234567892", "lang=en&limit=5", "", []byte(`{"name":{"en":"Tea"},"category":"tea_coffee"}`))
		f.Add(uint8(i), "L%2F1", "cursor=IA&q=%E7%94%B2", `"draft-1"`, []byte(`{"count":1e400}`))
		f.Add(uint8(i), "HN-2026-000007", "%zz=&level=red&level=blue", "fuzz-0123456789", []byte("\xff[]"))
	}
	tokens := []string{asSeller, asOfficer, asDevice, ""}
	f.Fuzz(func(t *testing.T, which uint8, segment, query, value string, body []byte) {
		op := ops[int(which)%len(ops)]
		path := fiberParameter.ReplaceAllLiteralString(op.path, segment)
		req, ok := newRequest(op.method, path+"?"+query, body)
		if !ok {
			return
		}
		for _, h := range []string{"If-Match", "If-None-Match", "Idempotency-Key", "Accept-Language", "Haisu-Receipt-Secret", "Accept"} {
			req.Header.Set(h, value)
		}
		if token := tokens[len(body)%len(tokens)]; token != "" {
			req.Header.Set("Authorization", token)
		}
		if op.body != nil {
			req.Header.Set("Content-Type", op.bodyTypes[0])
		}
		resp := b.do(t, req)
		if resp.StatusCode >= http.StatusInternalServerError {
			t.Errorf("%s %s: %d\n%s", op.method, req.URL, resp.StatusCode, readBody(t, resp))
		}
	})
}

var fiberParameter = regexp.MustCompile(`:\w+`)

// newRequest makes a request; false where the text is no target of one.
func newRequest(method, target string, body []byte) (req *http.Request, ok bool) {
	if strings.ContainsAny(target, " \r\n\x00#") {
		return nil, false
	}
	defer func() {
		if recover() != nil { // httptest's way to say that it cannot be
			req, ok = nil, false
		}
	}()
	if len(body) == 0 || method == http.MethodGet {
		return httptest.NewRequest(method, target, nil), true
	}
	return httptest.NewRequest(method, target, bytes.NewReader(body)), true
}
