package httpapi

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/web"
)

// Every operation, every page and every kind of refusal is held to the rules for headers and cookies, over a real listener: as a scanner for
// weaknesses would, with the difference that it knows all addresses.
func TestHeadersOfEverything(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"https://haisu.example", "http://127.0.0.1"} {
		t.Run(public, func(t *testing.T) {
			t.Parallel()
			addr, b := listen(t, func(d *Deps) {
				pages, err := web.New()
				if err != nil {
					t.Fatal(err)
				}
				d.PublicURL, d.Page, d.Limits = public, pages, &Limits{}
				d.Pages = pages.Routes(web.Sources{PublicURL: public, Warnings: d.Services.Warnings, Finder: d.Services.Finder})
			})
			r := rules{https: strings.HasPrefix(public, "https")}
			for _, req := range everything(t, b) {
				req.URL.Scheme, req.URL.Host, req.Host, req.RequestURI = "http", addr, "", ""
				resp, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Fatalf("%s %s: %v", req.Method, req.URL, err)
				}
				for _, broken := range r.check(req, resp, readBody(t, resp)) {
					t.Errorf("%s %s: %d: %s", req.Method, req.URL.Path, resp.StatusCode, broken)
				}
				_ = resp.Body.Close()
			}
			for _, raw := range []string{ // what Go's client does not send
				"GET / HTTP/1.1\r\n\r\n", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("a", maxHeader) + "\r\n\r\n",
			} {
				c := dial(t, addr)
				c.send(t, raw)
				resp := c.receive(t)
				for _, broken := range r.check(request("GET", "/", ""), resp, readBody(t, resp)) {
					t.Errorf("%.20q: %d: %s", raw, resp.StatusCode, broken)
				}
			}
		})
	}
}

// everything gives a request for each operation, as its example has it, without credentials, and with nonsense; for each page; and for what leads
// nowhere.
func everything(t *testing.T, b *bundle) []*http.Request {
	t.Helper()
	var out []*http.Request
	for _, op := range operationIDs(t) {
		e := readExample(t, op).Request
		out = append(out, e.http())
		bare := e.http()
		bare.Header.Del("Authorization")
		page := e.http()
		page.Header.Set("Accept", "text/html")
		bad := request(e.Method, e.Path+"?nonsense=1", "{")
		bad.Header.Set("Authorization", e.Headers["Authorization"])
		out = append(out, bare, page, bad, request(http.MethodHead, e.Path, ""), request(http.MethodOptions, e.Path, ""))
	}
	for _, target := range []string{
		"/", "/?lang=en", "/warnings", "/warnings?q=x", "/warnings/" + warningNo, "/warnings/nothing", "/resolve?code=6901234567892", "/01/06901234567892?linkType=linkset", "/01/06901234567892?linkType=gs1:hasRetailers", "/resolve?code=",
		"/docs", "/docs/", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/nothing", "/metrics", "/nothing", "/v1/nothing", "/01/123", "/favicon.ico",
		"/.git/config", "/01/06901234567892/21/%3Cscript%3E",
	} {
		html := request("GET", target, "", "Accept", "text/html")
		out = append(out, request("GET", target, ""), html)
	}
	sheds := request("POST", "/nothing", "{}")
	return append(out, sheds)
}

// rules are what every response is held to.
type rules struct{ https bool }

var unsafeSource = regexp.MustCompile(`'unsafe-[a-z-]+'|\*|https?:|\bblob:|\bfilesystem:`)

func (r rules) check(req *http.Request, resp *http.Response, body string) (broken []string) {
	h := resp.Header
	fail := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := h.Values(name); len(got) != 1 || got[0] != want {
			fail("%s is %q", name, got)
		}
	}
	resource := "same-origin"
	if resp.StatusCode == 200 && strings.HasPrefix(h.Get("Content-Type"), "image/") && strings.HasPrefix(req.URL.Path, "/v1/codes/") {
		resource = "cross-origin" // symbols are for labels, wherever they are made
	}
	symbol := len(body) == 0 && strings.HasPrefix(req.URL.Path, "/v1/codes/") // in answer to HEAD
	if got := h.Get("Cross-Origin-Resource-Policy"); got != resource && (got != "cross-origin" || !symbol) {
		fail("Cross-Origin-Resource-Policy is %q", got)
	}
	for _, feature := range []string{"camera", "geolocation", "microphone"} {
		if !strings.Contains(h.Get("Permissions-Policy"), feature+"=()") {
			fail("Permissions-Policy allows %s", feature)
		}
	}
	if got := h.Get("Strict-Transport-Security"); r.https != strings.HasPrefix(got, "max-age=31536000") {
		fail("Strict-Transport-Security is %q", got)
	}
	r.checkPolicy(h, fail)
	resolver := req.URL.Path == "/.well-known/gs1resolver" || strings.Contains(req.URL.RawQuery, "linkType=") // public, and read by programs of any origin
	if got := h.Get("Access-Control-Allow-Origin"); got != "" && (got != "*" || !resolver || h.Get("Set-Cookie") != "") {
		fail("Access-Control-Allow-Origin: %s", got)
	}
	for _, name := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Credentials", "X-Aspnet-Version"} {
		if got := h.Get(name); got != "" {
			fail("%s: %s", name, got)
		}
	}
	if h.Get("X-Request-Id") == "" {
		fail("no X-Request-Id")
	}
	cache := h.Get("Cache-Control")
	switch {
	case cache == "":
		fail("no Cache-Control")
	case strings.Contains(cache, "public") && (resp.StatusCode >= 400 || len(resp.Cookies()) > 0 || req.Header.Get("Authorization") != "" && !strings.Contains(strings.Join(h.Values("Vary"), ","), "Authorization")):
		fail("what is not for everybody may be kept by everybody: %s", cache)
	}
	if body != "" {
		media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
		if err != nil || strings.HasPrefix(media, "text/html") && params["charset"] != "utf-8" {
			fail("Content-Type %q", h.Get("Content-Type"))
		}
		if resp.StatusCode >= 400 && !slices.Contains([]string{typeProblem, "text/html"}, media) {
			fail("a refusal of type %s", media)
		}
	}
	for _, canary := range []string{"goroutine ", "runtime error", ".go:", "/root/", "/work/"} {
		if strings.Contains(body, canary) && !strings.HasPrefix(req.URL.Path, "/docs") && req.URL.Path != "/metrics" {
			fail("the body holds %q", canary)
		}
	}
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.Secure != r.https || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
			fail("the cookie %s", c.Raw)
		}
	}
	return broken
}

// checkPolicy wants a content policy that allows nothing but what it names, and nothing by anything weaker than a hash.
func (r rules) checkPolicy(h http.Header, fail func(string, ...any)) {
	all := h.Values("Content-Security-Policy")
	if len(all) != 1 {
		fail("%d content policies", len(all))
		return
	}
	directives := map[string]string{}
	for d := range strings.SplitSeq(all[0], ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), " ")
		directives[name] = value
	}
	for name, want := range map[string][]string{
		"default-src": {"'none'"}, "base-uri": {"'none'"}, "frame-ancestors": {"'none'"}, "form-action": {"'none'", "'self'"},
	} {
		if !slices.Contains(want, directives[name]) {
			fail("the content policy has %s %s", name, directives[name])
		}
	}
	if weak := unsafeSource.FindString(all[0]); weak != "" {
		fail("the content policy allows %s", weak)
	}
	if script := directives["script-src"]; strings.Contains(script, "data:") {
		fail("the content policy allows scripts from %s", script)
	}
}

// Symbols may be shown by pages of other sites, and nothing else may.
func TestSymbolsAreEmbeddable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, kind := range []string{".png", ".svg"} {
		resp := b.do(t, request("GET", "/v1/codes/06901234567892/"+serialGiven+kind, ""))
		if got := resp.Header.Get(resourcePolicy); got != "cross-origin" {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

// Nothing that a request carries becomes a header line of its own, in any header that repeats a part of a request.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	addr, _ := listen(t, func(d *Deps) { d.Limits = &Limits{} })
	for _, evil := range []string{"%0d%0aX-Evil:%201", "%0aX-Evil:%201", "%0dX-Evil:%201", "%E5%98%8A%E5%98%8DX-Evil:%201", "%00X-Evil:%201", "%250d%250aX-Evil:1"} {
		for _, target := range []string{
			"/01/06901234567892?lang=" + evil, "/01/06901234567892?place=" + evil, "/01/06901234567892/21/A" + evil, "/v1/products/06901234567892/lots/" + evil,
			"/v1/warnings?q=" + evil, "/v1/warnings?cursor=" + evil, "/v1/warnings/" + evil, "/v1/codes/06901234567892/" + evil + ".png", "/" + evil, "/docs/" + evil,
			"/v1/resolve?code=" + evil,
		} {
			c := dial(t, addr)
			c.send(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			resp := c.receive(t)
			if resp.Header.Get("X-Evil") != "" {
				t.Errorf("%s writes a header", target)
			}
			for name, values := range resp.Header {
				for _, v := range values {
					if strings.ContainsAny(v, "\r\n\x00") {
						t.Errorf("%s: %s is %q", target, name, v)
					}
				}
			}
		}
	}
	for _, line := range []string{"Cookie: hv=a\rX-Evil: 1", "Accept-Language: en\x00", "X-Request-Id: a\x0bb", "If-None-Match: \"a\rX-Evil: 1\""} {
		c := dial(t, addr)
		c.send(t, "GET /01/06901234567892 HTTP/1.1\r\nHost: x\r\n"+line+"\r\nConnection: close\r\n\r\n")
		if resp := c.receive(t); resp.Header.Get("X-Evil") != "" || resp.StatusCode >= 500 {
			t.Errorf("%q: %d %v", line, resp.StatusCode, resp.Header)
		}
	}
}

// No spelling of a path leads out of where it should, or to another operation than its shape says.
func TestPathTraversal(t *testing.T) {
	t.Parallel()
	addr, _ := listen(t, func(d *Deps) { d.Limits = &Limits{} })
	for _, up := range []string{"..", "%2e%2e", ".%2e", "..%2f..", "%2e%2e%2f", "..%5c", "%c0%ae%c0%ae", "..;", "....//", "%252e%252e"} {
		for _, at := range []string{"/docs/" + up + "/" + up + "/" + up + "/etc/passwd", "/v1/products/" + up + "/" + up + "/healthz", "/v1/codes/06901234567892/" + up + "/.png", "/01/" + up + "/" + up + "/metrics"} {
			c := dial(t, addr)
			c.send(t, "GET "+at+" HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1\r\nConnection: close\r\n\r\n")
			resp := c.receive(t)
			body := readBody(t, resp)
			if strings.Contains(body, "root:") || strings.Contains(body, "go_goroutines") {
				t.Errorf("%s gives %.200s", at, body)
			}
			// What is normalised is what it then says; anything else is refused.
			u, err := url.Parse(at)
			plain := err == nil && slices.Contains([]string{"/healthz"}, cleaned(u.Path))
			if resp.StatusCode < 400 && !plain {
				t.Errorf("%s: %d", at, resp.StatusCode)
			}
		}
	}
}

// cleaned resolves dots as RFC 3986, 5.2.4 does, after decoding: what fasthttp does before anything is looked up.
func cleaned(p string) string {
	u, err := url.JoinPath("/", p)
	if err != nil {
		return ""
	}
	return u
}

// The bounds of a header, beyond its size.
func TestHeaderBounds(t *testing.T) {
	t.Parallel()
	addr, _ := listen(t, func(d *Deps) { d.Limits = &Limits{} })
	many := func(n int) string { return strings.Repeat("X-A: b\r\n", n) }
	for _, tt := range []struct {
		name, target, headers string
		status                int
		code                  string
	}{
		{"headers", "/healthz", many(maxHeaders - 1), 200, ""},
		{"a header too many", "/healthz", many(maxHeaders), 431, "header_too_large"},
		{"a long path", "/v1/nothing/" + strings.Repeat("a", maxPath-20), "", 404, "no_such_path"},
		{"a path too long", "/" + strings.Repeat("a", maxPath), "", 414, "path_too_long"},
		{"a path too long with a query", "/" + strings.Repeat("a", maxPath) + "?a=b", "", 414, "path_too_long"},
		{"parameters", "/v1/warnings?" + strings.Repeat("a&", maxParameters-1), "", 400, "invalid_parameter"},
		{"parameters too many", "/v1/warnings?" + strings.Repeat("a&", maxParameters), "", 400, "malformed"},
		{"a long query", "/v1/warnings?q=" + strings.Repeat("a", 10_000), "", 400, "invalid_parameter"},
		{"no spelling of a length", "/healthz", "Content-Length: 0x10\r\n", 400, "malformed"},
		{"a negative length", "/healthz", "Content-Length: -1\r\n", 400, ""},
		{"a length beyond all bounds", "/healthz", "Content-Length: 99999999999999999999\r\n", 400, ""},
	} {
		c := dial(t, addr)
		c.send(t, "GET "+tt.target+" HTTP/1.1\r\nHost: x\r\n"+tt.headers+"\r\n")
		resp := c.receive(t)
		if resp.StatusCode != tt.status || tt.code != "" && readProblem(t, resp).Code != tt.code {
			t.Errorf("%s: %d %s", tt.name, resp.StatusCode, readBody(t, resp))
		}
	}
}

// A small compressed body must not become a large one: compressed bodies are refused, whatever they are called.
func TestCompressedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "identity, gzip", "gzip, identity", "GZIP", "unknown"} {
		for _, op := range []struct{ method, target, as string }{
			{"POST", "/epcis/capture", asSeller}, {"POST", "/epcis/events", asSeller}, {"POST", "/v1/devices", ""}, {"POST", "/v1/sessions", ""},
		} {
			resp := b.do(t, request(op.method, op.target, "\x1f\x8b\x08\x00", "Content-Encoding", coding, "Authorization", op.as))
			if p := readProblem(t, resp); resp.StatusCode != 415 || p.Code != "content_encoding" {
				t.Errorf("%s %s: %d %+v", op.target, coding, resp.StatusCode, p)
			}
		}
	}
}
