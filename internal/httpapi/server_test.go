package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/store"
)

var errCause = errors.New("the cause")

func TestErrorsThatAreNotFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err    error
		status int
		code   string
	}{
		{errCause, 500, "internal"},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), 503, "deadline"},
		{fmt.Errorf("read: %w", store.ErrUnavailable), 503, "unavailable"},
		{fmt.Errorf("read: %w", store.ErrBadCursor), 400, "bad_cursor"},
	}
	for _, tt := range tests {
		b := setup(t)
		b.fakes.set(func(f *fakes) { f.err = tt.err })
		resp := b.do(t, request("GET", "/01/06901234567892", ""))
		p := readProblem(t, resp)
		if resp.StatusCode != tt.status || p.Code != tt.code || strings.Contains(p.Detail, tt.err.Error()) {
			t.Errorf("%v: got %d %+v", tt.err, resp.StatusCode, p)
		}
	}
}

func TestPanicBecomesAProblem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fakes.set(func(f *fakes) { f.panic = "boom 138 0000 0000" })
	resp := b.do(t, request("GET", "/01/06901234567892", ""))
	body := readBody(t, resp)
	if resp.StatusCode != 500 || strings.Contains(body, "boom") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if !strings.Contains(b.log.String(), "panic: boom") || !strings.Contains(b.log.String(), "fakes_test.go") {
		t.Errorf("the log lacks the panic and its stack: %s", b.log)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, request("GET", "/01/06901234567892", ""))
	if b.fakes.deadline != 10*time.Second {
		t.Errorf("a scan has %v", b.fakes.deadline)
	}
	e := readExample(t, "captureDocument")
	b.do(t, e.Request.http())
	if b.fakes.deadline != 60*time.Second {
		t.Errorf("a capture has %v", b.fakes.deadline)
	}
}

// Whatever a request carries of people or secrets, the log has none of it.
func TestLogHoldsNoSecretsAndNoPeople(t *testing.T) {
	t.Parallel()
	b := setup(t, func(d *Deps) { d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} })
	for _, op := range operationIDs(t) {
		e := readExample(t, op)
		req := e.Request.http()
		req.Header.Set("User-Agent", "CanaryAgent/1.0")
		req.Header.Set("X-Forwarded-For", "203.0.113.77")
		req.Header.Set("Cookie", "hv=canarycookie00000000")
		b.do(t, req)
	}
	b.do(t, request("GET", "/v1/complaints/TS-20260302-K7M2QPX", "", "Haisu-Receipt-Secret", "canary-secret"))
	b.do(t, request("GET", "/nothing?token=canary-query", ""))
	logged := b.log.String()
	for _, canary := range []string{
		"CanaryAgent", "203.0.113.77", "canarycookie", "canary", "hi_", "ht_", "lin.mei", "林梅", "staple", "罐口漏粉", "岗位", "%E5", "K7M2QPX", "48213 90571", "hk_", "hs_", "hd_", "correct horse", "123456", "王女士",
		"138 0000", "chen.yu", "陈宇", device.ID, "06901234567892", "L24A1", "haikou-meilan-01", "fGx9b1Qk3n0",
	} {
		if strings.Contains(logged, canary) {
			t.Errorf("the log holds %q", canary)
		}
	}
	var line struct {
		Operation string `json:"operation"`
		Method    string `json:"method"`
		Actor     string `json:"actor"`
		Status    int    `json:"status"`
		RequestID string `json:"request_id"`
	}
	first, _, _ := strings.Cut(logged, "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil || line.Operation != operationIDs(t)[0] || line.Status == 0 || line.RequestID == "" || line.Actor != "anyone" {
		t.Errorf("line %+v, %v", line, err)
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, target := range []string{"/healthz", "/01/06901234567892", "/nothing", "/docs/", "/v1/warnings"} {
		resp := b.do200(t, target)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Strict-Transport-Security": "max-age=31536000",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", target, name, got)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", target, csp)
		}
	}
}

// do200 sends a GET without checking the contract, for what is none of it.
func (b *bundle) do200(t testing.TB, target string) *http.Response {
	t.Helper()
	resp, err := b.app.Test(request("GET", target, ""), -1)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestConditionalReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, target := range []string{"/v1/products/06901234567892", "/v1/warnings", "/v1/warnings/" + warningNo, "/v1/notices", "/openapi.yaml", "/v1/codes/06901234567892/" + serialGiven + ".svg"} {
		first := b.do(t, request("GET", target, ""))
		tag := first.Header.Get("ETag")
		if first.StatusCode != 200 || tag == "" {
			t.Fatalf("%s: %d, ETag %q", target, first.StatusCode, tag)
		}
		again := b.do(t, request("GET", target, "", "If-None-Match", `"other", `+tag))
		if body := readBody(t, again); again.StatusCode != 304 || body != "" || again.Header.Get("ETag") != tag {
			t.Errorf("%s: %d %q", target, again.StatusCode, body)
		}
		other := b.do(t, request("GET", target, "", "If-None-Match", `"other"`))
		if other.StatusCode != 200 {
			t.Errorf("%s: %d for another tag", target, other.StatusCode)
		}
	}
}

func TestWhatOfficersSeeIsPrivate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, request("GET", "/v1/warnings/"+draftNo, "", "Authorization", asOfficer))
	if resp.StatusCode != 200 || resp.Header.Get("ETag") != `"draft-3"` || resp.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	resp = b.do(t, request("GET", "/v1/warnings?status=draft", "", "Authorization", asViewer))
	if body := readBody(t, resp); resp.StatusCode != 200 || !strings.Contains(body, draftNo) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// The public form of a warning has none of its bookkeeping.
func TestWarningsHideWhoTypedThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, target := range []string{"/v1/warnings", "/v1/warnings/" + warningNo, "/v1/warnings?q=奶粉"} {
		body := readBody(t, b.do(t, request("GET", target, "")))
		for _, canary := range []string{"chen.yu", "陈宇", "fanout", "5f0c1f9e2f5c4ad5"} {
			if strings.Contains(body, canary) {
				t.Errorf("%s shows %q", target, canary)
			}
		}
	}
}

func TestWarningFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, request("GET", "/v1/warnings?status=lifted&level=red&hazard=fire&gtin=6901234567892&from=2026-03-01&to=2026-03-02", ""))
	f := b.fakes.filters[0]
	from, to := time.Date(2026, 2, 28, 16, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC)
	if f.Status != "lifted" || f.Level != "red" || f.Hazard != "fire" || f.GTIN != "6901234567892" || !f.From.Equal(from) || !f.To.Equal(to) {
		t.Errorf("filter %+v", f)
	}
}

func TestOfficersSayWhatTheyHaveSeen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, readExample(t, "amendWarning").Request.http())
	if c := b.fakes.changes[0]; c.Seen != 2 || c.Key == "" || c.Reason["en"] == "" {
		t.Errorf("change %+v", c)
	}
	b.do(t, readExample(t, "publishWarning").Request.http())
	if a := b.fakes.asked; len(a) != 1 || a[0].Revision != 3 {
		t.Errorf("asked %+v", a)
	}
	b.do(t, readExample(t, "deleteSession").Request.http())
	if !slices.Equal(b.fakes.loggedOut, []string{officerToken}) {
		t.Errorf("logged out %v", b.fakes.loggedOut)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, func(d *Deps) {
		l := DefaultLimits()
		l.Register = Bounds{Address: Rate{Every: 10 * time.Second, Burst: 2}}
		d.Limits = &l
	})
	register := func() *http.Response { return b.do(t, request("POST", "/v1/devices", `{"platform":"ios"}`)) }
	for left := 1; left >= 0; left-- {
		resp := register()
		if resp.StatusCode != 201 || resp.Header.Get("RateLimit-Limit") != "2" || resp.Header.Get("RateLimit-Remaining") != strconv.Itoa(left) {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
	}
	resp := register()
	if p := readProblem(t, resp); resp.StatusCode != 429 || p.Code != "rate_limited" || resp.Header.Get("Retry-After") != "10" || resp.Header.Get("RateLimit-Reset") != "20" {
		t.Errorf("%d %+v %v", resp.StatusCode, p, resp.Header)
	}
	b.clock.Advance(9 * time.Second)
	if resp := register(); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("after 9 s: %d %v", resp.StatusCode, resp.Header)
	}
	b.clock.Advance(time.Second)
	if resp := register(); resp.StatusCode != 201 {
		t.Errorf("after 10 s: %d", resp.StatusCode)
	}
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	s := &server{deps: Deps{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32"), netip.MustParsePrefix("10.0.0.0/8")}}}
	tests := []struct {
		lines []string
		want  string
	}{
		{nil, "0.0.0.0"},
		{[]string{"203.0.113.7"}, "203.0.113.7"},
		{[]string{"1.1.1.1, 203.0.113.7"}, "203.0.113.7"},
		{[]string{"1.1.1.1", "203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
		{[]string{"10.1.2.3, 10.1.2.4"}, "10.1.2.3"},
		{[]string{"1.1.1.1, unknown"}, "0.0.0.0"},
		{[]string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2:3:4:5:6"},
		{[]string{"::ffff:203.0.113.7"}, "203.0.113.7"},
	}
	app := fiber.New()
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString(s.clientAddr(c).String()) })
	untrusting := &server{}
	app.Get("/untrusting", func(c *fiber.Ctx) error { return c.SendString(untrusting.clientAddr(c).String()) })
	for _, tt := range tests {
		req := request("GET", "/", "")
		req.Header["X-Forwarded-For"] = tt.lines
		resp, err := app.Test(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := readBody(t, resp); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.lines, got, tt.want)
		}
	}
	resp, err := app.Test(request("GET", "/untrusting", "", "X-Forwarded-For", "203.0.113.7"))
	if err != nil {
		t.Fatal(err)
	}
	if got := readBody(t, resp); got != "0.0.0.0" {
		t.Errorf("a header from anybody is believed: %s", got)
	}
}

func TestRequestIDOfATrustedProxy(t *testing.T) {
	t.Parallel()
	given := []string{"X-Request-Id", "edge-0123456789"}
	believing := setup(t, func(d *Deps) { d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} })
	if id := believing.do(t, request("GET", "/healthz", "", given...)).Header.Get("X-Request-Id"); id != given[1] {
		t.Errorf("id %q", id)
	}
	if id := believing.do(t, request("GET", "/healthz", "", "X-Request-Id", "a b\"c{}")).Header.Get("X-Request-Id"); strings.Contains(id, "{") {
		t.Errorf("id %q", id)
	}
	if id := setup(t).do(t, request("GET", "/healthz", "", given...)).Header.Get("X-Request-Id"); id == given[1] {
		t.Error("anybody may choose the ID")
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fakes.set(func(f *fakes) { f.err = errCause })
	resp := b.do(t, request("GET", "/readyz", ""))
	if p := readProblem(t, resp); resp.StatusCode != 503 || p.Code != "not_ready" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
	if resp := b.do(t, request("GET", "/healthz", "")); resp.StatusCode != 200 {
		t.Errorf("healthz %d: it must not ask others", resp.StatusCode)
	}
}

func TestMetricsAreLocal(t *testing.T) {
	t.Parallel()
	addr, b := listen(t)
	b.do(t, request("GET", "/01/06901234567892/10/L24A1", ""))
	resp := get(t, "http://"+addr+"/metrics")
	if body := readBody(t, resp); resp.StatusCode != 200 || !strings.Contains(body, `haisu_http_request_duration_seconds_count{operation="scanLot",status="200"} 1`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	req := request("GET", "/metrics", "", "X-Forwarded-For", "127.0.0.1")
	if resp := b.do(t, req); resp.StatusCode != 404 {
		t.Errorf("through a proxy: %d", resp.StatusCode)
	}
}

var external = regexp.MustCompile(`(?i)(src|href)="(https?:)?//`)

// The API reference comes from the program alone.
func TestDocsLoadNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do200(t, "/docs")
	body := readBody(t, resp)
	if resp.StatusCode != 200 || !strings.Contains(body, `"/docs/swagger-ui-bundle.js"`) || !strings.Contains(body, "validatorUrl: null") {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if external.MatchString(body) {
		t.Errorf("the page names another host: %s", external.FindString(body))
	}
	csp := resp.Header.Get("Content-Security-Policy")
	if strings.Contains(csp, "http") || strings.Contains(strings.Split(csp, "style-src")[0], "unsafe-inline") {
		t.Errorf("policy %q", csp)
	}
	for _, asset := range regexp.MustCompile(`(?:src|href)="(/docs/[^"]+)"`).FindAllStringSubmatch(body, -1) {
		resp := b.do200(t, asset[1])
		if content := readBody(t, resp); resp.StatusCode != 200 || len(content) == 0 || strings.Contains(content, "fonts.googleapis") {
			t.Errorf("%s: %d", asset[1], resp.StatusCode)
		}
	}
}
