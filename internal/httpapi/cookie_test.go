package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
)

type csrfFake struct{}

func (csrfFake) CSRF(token string) string { return "csrf-of-" + token }

func withCSRF(d *Deps) { d.Services.CSRF = csrfFake{} }

// A session in a cookie reads; it writes only with its CSRF token and from a page of ours.
func TestCookieSessions(t *testing.T) {
	t.Parallel()
	const public = "https://haisu.example"
	good := "csrf-of-" + officerToken
	read := func() *http.Request { return request("GET", "/v1/warnings?status=draft", "") }
	write := func() *http.Request {
		req := readExample(t, "createWarning").Request.http()
		req.Header.Del("Authorization")
		return req
	}
	for _, tt := range []struct {
		name    string
		req     *http.Request
		headers []string
		status  int
		code    string
	}{
		{"reading", read(), nil, 200, ""},
		{"reading on the word of another site", read(), []string{"Sec-Fetch-Site", "cross-site"}, 200, ""}, // SameSite keeps the cookie, CORP the answer
		{"writing without a token", write(), []string{"Sec-Fetch-Site", "same-origin"}, 403, "csrf"},
		{"writing with another token", write(), []string{csrfHeader, good + "x", "Sec-Fetch-Site", "same-origin"}, 403, "csrf"},
		{"writing from a page of ours", write(), []string{csrfHeader, good, "Sec-Fetch-Site", "same-origin"}, 201, ""},
		{"writing by the user's own doing", write(), []string{csrfHeader, good, "Sec-Fetch-Site", "none"}, 201, ""},
		{"writing from our origin in an old browser", write(), []string{csrfHeader, good, "Origin", public}, 201, ""},
		{"writing from another site", write(), []string{csrfHeader, good, "Sec-Fetch-Site", "cross-site"}, 403, "csrf"},
		{"writing from a sister site", write(), []string{csrfHeader, good, "Sec-Fetch-Site", "same-site", "Origin", public}, 403, "csrf"},
		{"writing from another origin", write(), []string{csrfHeader, good, "Origin", "https://evil.example"}, 403, "csrf"},
		{"writing from a longer origin", write(), []string{csrfHeader, good, "Origin", public + ".evil.example"}, 403, "csrf"},
		{"writing from no origin", write(), []string{csrfHeader, good, "Origin", "null"}, 403, "csrf"},
		{"writing from who knows where", write(), []string{csrfHeader, good}, 403, "csrf"},
		{"a bearer token beside the cookie", write(), []string{"Authorization", asOfficer}, 201, ""},
		{"a bad bearer token beside the cookie", write(), []string{"Authorization", "Bearer hs_gone", csrfHeader, good, "Sec-Fetch-Site", "same-origin"}, 401, "unauthenticated"},
		{"basic credentials beside the cookie", write(), []string{"Authorization", "Basic YTpi", csrfHeader, good, "Sec-Fetch-Site", "same-origin"}, 401, "credentials_missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, withCSRF)
			tt.req.AddCookie(&http.Cookie{Name: hostCookie, Value: officerToken})
			for i := 0; i < len(tt.headers); i += 2 {
				tt.req.Header.Set(tt.headers[i], tt.headers[i+1])
			}
			resp := b.do(t, tt.req)
			if resp.StatusCode != tt.status {
				t.Fatalf("%d %s", resp.StatusCode, readBody(t, resp))
			}
			if tt.code != "" {
				if p := readProblem(t, resp); p.Code != tt.code {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

// Cookies are for officers' operations, under their own name, and only where there is somebody to make CSRF tokens.
func TestCookiesThatAreNoSession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Deps)
		cookie http.Cookie
		target string
	}{
		"no tokens":        {func(d *Deps) { d.Services.CSRF = nil }, http.Cookie{Name: hostCookie, Value: officerToken}, "/v1/warnings?status=draft"},
		"another name":     {withCSRF, http.Cookie{Name: plainCookie, Value: officerToken}, "/v1/warnings?status=draft"},
		"another kind":     {withCSRF, http.Cookie{Name: hostCookie, Value: deviceToken}, "/v1/device/alerts"},
		"a seller's key":   {withCSRF, http.Cookie{Name: hostCookie, Value: sellerToken}, "/v1/warnings?status=draft"},
		"plain http":       {func(d *Deps) { withCSRF(d); d.PublicURL = "http://haisu.example" }, http.Cookie{Name: hostCookie, Value: officerToken}, "/v1/warnings?status=draft"},
		"an endless token": {withCSRF, http.Cookie{Name: hostCookie, Value: "hs_" + strings.Repeat("a", 4000)}, "/v1/warnings?status=draft"},
	} {
		req := request("GET", c.target, "")
		req.AddCookie(&c.cookie)
		if resp := setup(t, c.change).do(t, req); resp.StatusCode != 401 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

// The cookie as it is set and taken back.
func TestSessionCookie(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{
		"https://haisu.example": "__Host-haisu=T; expires=Mon, 02 Mar 2026 16:00:00 GMT; path=/; HttpOnly; secure; SameSite=Strict",
		"http://127.0.0.1:8080": "haisu=T; expires=Mon, 02 Mar 2026 16:00:00 GMT; path=/; HttpOnly; SameSite=Strict",
		"http://[::1]:8080":     "haisu=T; expires=Mon, 02 Mar 2026 16:00:00 GMT; path=/; HttpOnly; SameSite=Strict",
		"http://localhost":      "haisu=T; expires=Mon, 02 Mar 2026 16:00:00 GMT; path=/; HttpOnly; SameSite=Strict",
		"http://haisu.example":  "",
	} {
		s := &server{deps: Deps{PublicURL: public, Services: Services{CSRF: csrfFake{}}}, https: strings.HasPrefix(public, "https"), cookie: cookieName(public)}
		answer := func(status int, f func(ctx context.Context)) string {
			app := fiber.New()
			app.Get("/", func(c *fiber.Ctx) error {
				k := &call{}
				f(context.WithValue(c.Context(), callKey{}, k))
				c.Status(status)
				k.writeCookie(c)
				return nil
			})
			resp, err := app.Test(request("GET", "/", ""))
			if err != nil {
				t.Fatal(err)
			}
			return resp.Header.Get("Set-Cookie")
		}
		keep := func(ctx context.Context) {
			if got := s.keepSession(ctx, "T", time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC)); got != (want != "") {
				t.Errorf("%s: kept: %v", public, got)
			}
		}
		if got := answer(201, keep); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", public, got, want)
		}
		if got := answer(401, keep); got != "" {
			t.Errorf("%s: a refusal sets %s", public, got)
		}
		gone := answer(204, s.dropSession)
		if want == "" && gone != "" || want != "" && !strings.Contains(gone, "haisu=; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/; HttpOnly") {
			t.Errorf("%s: taken back by %q", public, gone)
		}
	}
}
