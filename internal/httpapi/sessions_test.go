package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/access"
)

const login = `{"login":"chen.yu","password":"correct horse battery","code":"123456"`

func TestLogin(t *testing.T) {
	t.Parallel()
	b := setup(t, func(d *Deps) { d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} })
	resp := b.do(t, request("POST", "/v1/sessions", login+`,"device":"ht_7k2m"}`, "User-Agent", strings.Repeat("x", 300), "X-Forwarded-For", "2001:db8:1:2::3"))
	body := readBody(t, resp)
	r := b.fakes.logins[0]
	want := access.LoginRequest{
		Login: "chen.yu", Password: "correct horse battery", Code: "123456",
		Client: access.Client{Network: "2001:db8:1::/48", Device: "ht_7k2m", Agent: strings.Repeat("x", maxAgent)},
	}
	if resp.StatusCode != 201 || r != want || !strings.Contains(body, officerToken) || len(resp.Cookies()) != 0 {
		t.Errorf("%d %s\ngot  %+v\nwant %+v", resp.StatusCode, body, r, want)
	}
	if got := lines(b.fakes.trail.all()); !slices.Equal(got, []line{{"done", "operator:chen.yu", "createSession", "operator/chen.yu", ""}}) {
		t.Errorf("trail %+v", got)
	}
	if got := networkOf(netip.MustParseAddr("203.0.113.77")); got != "203.0.113.0/24" {
		t.Errorf("network %s", got)
	}
}

// A browser's session is in a cookie that scripts cannot read, and in nothing that they can.
func TestLoginWithACookie(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, request("POST", "/v1/sessions", login+`,"cookie":true}`))
	body := readBody(t, resp)
	cookies := resp.Cookies()
	if resp.StatusCode != 201 || len(cookies) != 1 || strings.Contains(body, officerToken) || !strings.Contains(body, csrfToken) {
		t.Fatalf("%d %s %v", resp.StatusCode, body, cookies)
	}
	c := cookies[0]
	if c.Name != "__Host-haisu" || c.Value != officerToken || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	self := request("GET", "/v1/operator", "")
	self.AddCookie(c)
	if resp := b.do(t, self); resp.StatusCode != 200 || !strings.Contains(readBody(t, resp), csrfToken) {
		t.Errorf("the cookie is no session: %d", resp.StatusCode)
	}
	out := request("DELETE", "/v1/sessions/current", "", "Haisu-CSRF", csrfToken, "Sec-Fetch-Site", "same-origin")
	out.AddCookie(c)
	resp = b.do(t, out)
	if gone := resp.Cookies(); resp.StatusCode != 204 || len(gone) != 1 || gone[0].Value != "" || !gone[0].Expires.Before(now) {
		t.Errorf("%d %v", resp.StatusCode, gone)
	}
	forged := request("DELETE", "/v1/sessions/current", "", "Sec-Fetch-Site", "cross-site", "Haisu-CSRF", csrfToken)
	forged.AddCookie(c)
	if resp := b.do(t, forged); resp.StatusCode != 403 || readProblem(t, resp).Code != "csrf" {
		t.Errorf("another site logs out: %d", resp.StatusCode)
	}
	plain := setup(t, func(d *Deps) { d.PublicURL = "http://haisu.example" })
	resp = plain.do(t, request("POST", "/v1/sessions", login+`,"cookie":true}`))
	if p := readProblem(t, resp); resp.StatusCode != 422 || fieldsOf(p)[0] != "/cookie no_cookies" || len(plain.fakes.logins) != 0 {
		t.Errorf("without https: %d %+v", resp.StatusCode, p)
	}
}

func TestLoginThroughAProvider(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun := b.do(t, request("GET", "/v1/sessions/oidc", ""))
	state := begun.Cookies()
	if begun.StatusCode != 302 || len(state) != 1 || state[0].Name != "__Host-haisu-oidc" || !state[0].HttpOnly || !state[0].Secure || state[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("%d %v", begun.StatusCode, state)
	}
	back := request("GET", "/v1/sessions/oidc/callback?code=c1&state=s1&session_state=whatever", "")
	back.AddCookie(state[0])
	resp := b.do(t, back)
	given := map[string]string{}
	for _, c := range resp.Cookies() {
		given[c.Name] = c.Value
	}
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/" || given["__Host-haisu"] != officerToken || given["__Host-haisu-oidc"] != "" || len(given) != 2 {
		t.Errorf("%d %v %v", resp.StatusCode, resp.Header, given)
	}
	strange := b.do(t, request("GET", "/v1/sessions/oidc/callback?code=c1&state=s1", ""))
	if p := readProblem(t, strange); strange.StatusCode != 401 || p.Code != "login_failed" || len(strange.Cookies()) != 0 {
		t.Errorf("an answer for another browser: %d %+v", strange.StatusCode, p)
	}
	for _, off := range []func(*Deps){func(d *Deps) { d.Services.Provider = nil }, func(d *Deps) { d.PublicURL = "http://haisu.example" }} {
		none := setup(t, off)
		for _, target := range []string{"/v1/sessions/oidc", "/v1/sessions/oidc/callback?code=c1&state=s1"} {
			resp := none.do(t, request("GET", target, ""))
			if p := readProblem(t, resp); resp.StatusCode != 404 || p.Code != "no_identity_provider" {
				t.Errorf("%s: %d %+v", target, resp.StatusCode, p)
			}
		}
	}
}

// The operator goes to the provider from a session, and comes back linked: to a session of nobody's.
func TestLinkingThroughAProvider(t *testing.T) {
	t.Parallel()
	b := setup(t)
	refused := b.do(t, request("POST", "/v1/operator/identities", `{"password":"a wrong one","code":"123456"}`, "Authorization", asOfficer))
	if p := readProblem(t, refused); refused.StatusCode != 401 || p.Code != "login_failed" || len(refused.Cookies()) != 0 {
		t.Errorf("%d %+v", refused.StatusCode, p)
	}
	begun := b.do(t, request("POST", "/v1/operator/identities", exampleBody(t, "awaitIdentity"), "Authorization", asOfficer))
	state := begun.Cookies()
	if begun.StatusCode != 201 || len(state) != 1 || state[0].Name != "__Host-haisu-oidc" || !state[0].HttpOnly || !state[0].Secure || state[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("%d %v", begun.StatusCode, state)
	}
	back := request("GET", "/v1/sessions/oidc/callback?code=c1&state=s1", "")
	back.AddCookie(state[0])
	resp := b.do(t, back)
	if given := resp.Cookies(); resp.StatusCode != 303 || len(given) != 1 || given[0].Name != "__Host-haisu-oidc" || given[0].Value != "" {
		t.Errorf("%d %v", resp.StatusCode, given)
	}
	if !slices.Equal(b.fakes.linked, []string{"lin.mei 248289761001"}) || len(b.fakes.logins) != 0 {
		t.Errorf("linked %v, logged in %v", b.fakes.linked, b.fakes.logins)
	}
	last := b.fakes.trail.all()
	if e := last[len(last)-1]; e.Action != "finishOidc" || e.Phase != "done" || e.Subject != "operator/lin.mei" || e.Actor != "operator:lin.mei" {
		t.Errorf("the trail ends with %+v", e)
	}
}

// A link to a new second factor is an administrator's to give, and the trail has it without the link's token.
func TestReadmission(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, readExample(t, "readmitOperator").Request.http())
	body := readBody(t, resp)
	if resp.StatusCode != 201 || !strings.Contains(body, link.Token) || len(b.fakes.readmitted) != 1 || !strings.HasPrefix(b.fakes.readmitted[0], "lin.mei by ") {
		t.Errorf("%d %s %v", resp.StatusCode, body, b.fakes.readmitted)
	}
	for _, e := range b.fakes.trail.all() {
		if e.Subject != "operator/lin.mei" || e.Why == "" || strings.Contains(string(e.After), link.Token) {
			t.Errorf("%+v", e)
		}
	}
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	as := "Bearer " + adminToken
	body := exampleBody(t, "changeOperator")
	resp := b.do(t, request("PUT", "/v1/operators/lin.mei", body, "Authorization", as, "If-Match", `"rev-2"`, "Haisu-Reason", "x"))
	if p := readProblem(t, resp); resp.StatusCode != 412 || p.Code != "operator_changed" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
	resp = b.do(t, request("PUT", "/v1/operators/lin.mei", body, "Authorization", as, "If-Match", `"rev-3"`))
	if p := readProblem(t, resp); resp.StatusCode != 400 || fieldsOf(p)[0] != "Haisu-Reason required" {
		t.Errorf("without a reason: %d %+v", resp.StatusCode, p)
	}
	resp = b.do(t, readExample(t, "changeOperator").Request.http())
	entries := b.fakes.trail.all()
	last := entries[len(entries)-1]
	if resp.StatusCode != 200 || resp.Header.Get("ETag") != `"rev-4"` || last.Why != "岗位调整" || !strings.Contains(string(last.After), "publisher") {
		t.Errorf("%d %v %+v", resp.StatusCode, resp.Header, last)
	}
	if s := string(last.Before) + string(last.After); strings.Contains(s, "林梅") {
		t.Errorf("the trail holds a name: %s", s)
	}
	tag := b.do(t, readExample(t, "getOperator").Request.http()).Header.Get("ETag")
	req := readExample(t, "getOperator").Request.http()
	req.Header.Set("If-None-Match", tag)
	if resp := b.do(t, req); tag != `"rev-3"` || resp.StatusCode != 304 {
		t.Errorf("%s %d", tag, resp.StatusCode)
	}
	if resp := b.do(t, request("DELETE", "/v1/operators/nobody/sessions", "", "Authorization", as, "Haisu-Reason", "x")); resp.StatusCode != 404 {
		t.Errorf("nobody's sessions: %d", resp.StatusCode)
	}
	resp = b.do(t, request("PUT", "/v1/authorities/new-body", exampleBody(t, "putAuthority"), "Authorization", as, "Haisu-Reason", "x"))
	if resp.StatusCode != 201 || resp.Header.Get("ETag") != `"rev-1"` {
		t.Errorf("a new authority: %d %v", resp.StatusCode, resp.Header)
	}
	resp = b.do(t, request("PUT", "/v1/authorities/hn-amr", exampleBody(t, "putAuthority"), "Authorization", as, "Haisu-Reason", "x", "If-Match", `"rev-3"`))
	if p := readProblem(t, resp); resp.StatusCode != 412 || p.Code != "authority_changed" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
}
