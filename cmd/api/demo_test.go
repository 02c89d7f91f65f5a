package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

func printed(t *testing.T, p *program, pattern string) string {
	t.Helper()
	m, err := p.out.wait(t.Context(), pattern)
	if err != nil {
		t.Fatal(err)
	}
	return m[1]
}

// What 'go run ./cmd/api' prints on a bare machine is true, also after a restart.
func TestDemonstration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, map[string]string{"DATA_DIR": dir})
	printed(t, p, `loaded in .*: 12 firms, 60 products, 200 lots, (2000) units, .* 20 warnings`)
	links := map[string]string{}
	for head, pattern := range map[string]string{"code_valid": `in order +(http\S+)`, "warning": `under warning +(http\S+)`, "suspicious": `suspicious one +(http\S+)`} {
		links[head] = printed(t, p, pattern)
		a := p.do(nil, "GET", links[head], inEnglish, nil, 200).json(t)
		wantAt(t, a, head, "headline", "status")
		if !regexp.MustCompile(`/01/\d{14}/10/[^/]+/21/[^/]+$`).MatchString(links[head]) {
			t.Errorf("the link %s", links[head])
		}
	}
	resp, err := http.Get(p.base + "/")
	check(t, err)
	var page bytes.Buffer
	_, err = page.ReadFrom(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	for head, link := range links {
		if !strings.Contains(page.String(), strings.TrimPrefix(link, p.base)) {
			t.Errorf("the start page lacks the unit %s", head)
		}
	}
	if n := strings.Count(page.String(), "<svg"); n < 3 {
		t.Errorf("%d symbols on the start page", n)
	}

	login, password, secret := printed(t, p, `login +(\S+)`), printed(t, p, `password +(\S+)`), printed(t, p, `code secret +(\S+)`)
	code, err := totp.GenerateCode(secret, time.Now())
	check(t, err)
	p.do(nil, "POST", "/v1/sessions", nil, map[string]any{"login": login, "password": password, "code": code}, 201)
	printed(t, p, `second officer's +(demo-\S+)`)
	seller := printed(t, p, `key of seller \S+ +(\S+)`)
	p.do(nil, "PUT", "/v1/products/"+gtin, bearer(seller), spirits, 201)

	check(t, p.stop())
	again := start(t, map[string]string{"DATA_DIR": dir})
	if printed(t, again, `login +(\S+)`) != login || printed(t, again, `password +(\S+)`) != password || strings.Contains(again.out.String(), "loaded in") {
		t.Errorf("after a restart: %s", again.out.String())
	}
	check(t, again.stop())
	check(t, os.WriteFile(filepath.Join(dir, "demo-logins.json"), []byte(`{"login":`), 0o600)) // a run that died while it wrote
	again = start(t, map[string]string{"DATA_DIR": dir})
	if got := printed(t, again, `login +(\S+)`); got == login {
		t.Errorf("the login %s came out of half a file", got)
	}
	check(t, again.stop())

	// Demonstration data stays where it belongs.
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"FCM":          {map[string]string{"DATA_DIR": dir, "FIREBASE_PROJECT": "haisu-real"}, "never goes through FCM"},
		"open address": {map[string]string{"DATA_DIR": dir, "ADDR": "0.0.0.0:0", "PUBLIC_URL": "https://haisu.example"}, "loopback address only"},
	} {
		if _, err := tryStart(t, c.env); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A load that died left demonstration data too.
func TestHalfADemonstrationNeverGoesThroughFCM(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	eng, err := sqlite.Open(t.Context(), filepath.Join(dir, "haisu.db"))
	check(t, err)
	type marker struct {
		Base string `json:"base"`
	}
	markers, err := store.Open(t.Context(), eng, store.Def[marker]{Name: "demo"})
	check(t, err)
	check(t, markers.Insert(t.Context(), "demo", marker{"2026-01-01"}))
	check(t, eng.Close())
	if _, err := tryStart(t, map[string]string{"DATA_DIR": dir, "FIREBASE_PROJECT": "haisu-real"}); err == nil || !strings.Contains(err.Error(), "never goes through FCM") {
		t.Errorf("it started: %v", err)
	}
}

func TestDemonstrationIsNotMixedWithRealData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, map[string]string{"DATA_DIR": dir, "DEMO": "off"})
	if strings.Contains(p.out.String(), "password") {
		t.Errorf("printed %s", p.out.String())
	}
	p.sellerKey("real")
	check(t, p.stop())
	p = start(t, map[string]string{"DATA_DIR": dir}) // auto
	if strings.Contains(p.out.String(), "password") {
		t.Errorf("a store with real data got a demonstration: %s", p.out.String())
	}
	check(t, p.stop())
	if _, err := tryStart(t, map[string]string{"DATA_DIR": dir, "DEMO": "on"}); err == nil || !strings.Contains(err.Error(), "DEMO: the store in DATA_DIR is not empty") {
		t.Errorf("DEMO=on: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "keys.json"))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("keys.json has mode %o", info.Mode().Perm())
	}
}
