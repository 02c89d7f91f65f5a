package main

import (
	"bytes"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// form posts a form as a browser does, and gives the page.
func (p *program) form(address string, fields map[string]string, want int) string {
	p.t.Helper()
	values := url.Values{}
	for k, v := range fields {
		values.Set(k, v)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, address, strings.NewReader(values.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Accept-Language", "en")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != want || resp.Header.Get("Cache-Control") != "no-store" {
		p.t.Fatalf("POST %s: %d, %s: %s", address, resp.StatusCode, resp.Header.Get("Cache-Control"), b.String())
	}
	return html.UnescapeString(b.String())
}

func match(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %s", pattern, text)
	}
	return m[1]
}

// A new installation prints a link; the first administrator sets up access with nothing but a browser, and the link is used up.
func TestTheFirstAdministratorEnrolsByTheLink(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"}
	p := start(t, env)
	link := printed(t, p, `(http://\S+/enrol/\S+)`)
	choose := map[string]string{"step": "password", "login": "root", "name": "Root", "authority": "hn-amr", "password": "a long enough password", "again": "another password"}
	if page := p.form(link, choose, 422); !strings.Contains(page, "The two passwords differ") || !strings.Contains(page, `value="root"`) {
		t.Errorf("the page is %s", page)
	}
	choose["again"] = choose["password"]
	secret := match(t, p.form(link, choose, 200), `type the secret: <span class="code">([A-Z2-7]+)<`)
	if page := p.form(link, map[string]string{"step": "code", "code": "000000"}, 422); !strings.Contains(page, "code is wrong") {
		t.Errorf("the page is %s", page)
	}
	code := func(at time.Time) string {
		c, err := totp.GenerateCode(secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	recovery := match(t, p.form(link, map[string]string{"step": "code", "code": code(time.Now())}, 200), `<li class="code">([0-9a-z-]+)<`)
	p.form(link, map[string]string{"step": "code", "code": code(time.Now())}, 404)
	s := p.do(nil, "POST", "/v1/sessions", nil, map[string]any{"login": "root", "password": choose["password"], "code": recovery}, 201).json(t)
	wantAt(t, s, "administrator", "operator", "roles", 0)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, env)
	if strings.Contains(p.out.String(), "/enrol/") {
		t.Error("there is an operator, and another link was printed")
	}
}

// A publisher whom one administrator invites is one only once somebody else has confirmed it.
func TestAnInvitedPublisherIsConfirmed(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	root, second := bearer(p.loginAs("root", "administrator")), bearer(p.loginAs("second", "administrator"))
	for _, h := range []map[string]string{root, second} {
		h["Haisu-Reason"] = "new"
	}
	link := p.do(nil, "POST", "/v1/operators", root, map[string]any{
		"login": "lin.mei", "name": "林梅", "authority": "hn-amr", "roles": []string{"officer", "publisher"}, "level": "red",
	}, 201).json(t)
	begun := p.do(nil, "POST", "/v1/enrolments", nil, map[string]any{"token": link["token"], "password": "a long enough password"}, 201).json(t)
	code, err := totp.GenerateCode(at(t, begun, "totp_secret").(string), time.Now())
	check(t, err)
	done := p.do(nil, "POST", "/v1/enrolments/confirmation", nil, map[string]any{"token": link["token"], "code": code}, 201).json(t)
	s := p.do(nil, "POST", "/v1/sessions", nil, map[string]any{
		"login": "lin.mei", "password": "a long enough password", "code": at(t, done, "recovery_codes", 0),
	}, 201).json(t)
	if roles := at(t, s, "operator", "roles").([]any); len(roles) != 1 || roles[0] != "officer" {
		t.Errorf("before the confirmation the roles are %v", roles)
	}
	const path = "/v1/operators/lin.mei"
	read := p.do(nil, "GET", path, root, nil, 200)
	wantAt(t, read.json(t), "root", "proposed_by", 0)
	root["If-Match"], second["If-Match"] = read.Header.Get("ETag"), read.Header.Get("ETag")
	wantAt(t, p.do(nil, "POST", path+"/confirmation", root, nil, 403).json(t), "four_eyes", "code")
	if o := p.do(nil, "POST", path+"/confirmation", second, nil, 200).json(t); o["proposed_by"] != nil {
		t.Errorf("confirmed, the operator is %v", o)
	}
	p.do(nil, "POST", path+"/confirmation", second, nil, 412)
	s = p.do(nil, "POST", "/v1/sessions", nil, map[string]any{
		"login": "lin.mei", "password": "a long enough password", "code": at(t, done, "recovery_codes", 1),
	}, 201).json(t)
	wantAt(t, s, "publisher", "operator", "roles", 1)
}
