package main

import (
	"bytes"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// onboard takes a firm in over HTTP, as the registrar does, and gives the keys that its invitation brings.
func (p *program) onboard(registrar map[string]string, id string, body map[string]any) (live, test map[string]string) {
	p.t.Helper()
	p.do(nil, "PUT", "/v1/firms/"+id, registrar, body, 201)
	invitation := p.do(nil, "POST", "/v1/firms/"+id+"/invitations", registrar, nil, 201).json(p.t)
	accept := map[string]any{"token": at(p.t, invitation, "token"), "label": "ERP"}
	given := p.do(nil, "POST", "/v1/invitations/acceptance", nil, accept, 201).json(p.t)
	wantAt(p.t, given, id, "firm")
	// Whoever lost the answer gets the same keys, not more of them.
	again := p.do(nil, "POST", "/v1/invitations/acceptance", nil, accept, 201).json(p.t)
	for _, key := range []string{"live", "test"} {
		wantAt(p.t, again, at(p.t, given, key, "secret"), key, "secret")
	}
	return bearer(at(p.t, given, "live", "secret").(string)), bearer(at(p.t, given, "test", "secret").(string))
}

// A seller abroad comes with its domestic agent and platform, is invited, tries its goods out and sells them.
func TestACrossBorderSellerIsTakenIn(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	registrar, officer := bearer(p.loginAs("xu.jing", "registrar")), bearer(p.login("chen.yu"))
	name := func(zh, en string) map[string]any { return map[string]any{"zh-Hans": zh, "en": en} }
	seller := map[string]any{
		"name": name("海外名酒", "Spirits Abroad"), "kind": "cross_border_ecommerce", "country": "FR", "prefixes": []any{"690123456"},
		"agent": "agent", "platform": "platform",
	}

	// Who answers for it in China must be there first, and be what it is said to be.
	p.do(nil, "PUT", "/v1/firms/spirits-abroad", officer, seller, 403)
	p.do(nil, "PUT", "/v1/firms/spirits-abroad", registrar, seller, 422)
	p.onboard(registrar, "agent", map[string]any{"name": name("海口代理", "Haikou Agents"), "kind": "domestic_agent", "country": "CN"})
	p.onboard(registrar, "platform", map[string]any{"name": name("海淘", "Haitao"), "kind": "platform", "country": "CN"})
	for _, wrong := range []string{"agent", "platform"} {
		alone := map[string]any{"name": seller["name"], "kind": seller["kind"], "country": "FR", "agent": "agent", "platform": "platform"}
		delete(alone, wrong)
		if r := p.do(nil, "PUT", "/v1/firms/spirits-abroad", registrar, alone, 422); !bytes.Contains(r.body, []byte(`"/`+wrong+`"`)) {
			t.Errorf("without its %s: %s", wrong, r.body)
		}
		alone[wrong] = "spirits-abroad"
		p.do(nil, "PUT", "/v1/firms/spirits-abroad", registrar, alone, 422)
	}
	live, test := p.onboard(registrar, "spirits-abroad", seller)
	mine := p.do(nil, "GET", "/v1/firms/spirits-abroad", live, nil, 200).json(t)
	wantAt(t, mine, "agent", "agent")
	wantAt(t, mine, "platform", "platform")
	p.do(nil, "GET", "/v1/firms/agent", live, nil, 404) // another's, even its agent's
	p.do(nil, "PUT", "/v1/firms/agent", registrar, map[string]any{"name": name("海口代理", "Haikou Agents"), "kind": "carrier", "country": "CN"}, 409)

	// It tries out, and sells.
	p.do(nil, "PUT", "/v1/products/"+gtin, test, spirits, 201)
	p.do(nil, "GET", "/v1/products/"+gtin, live, nil, 404)
	p.do(nil, "PUT", "/v1/products/"+gtin, live, spirits, 201)
	p.do(nil, "PUT", "/v1/products/"+gtin+"/lots/L1", live, map[string]any{"produced": "2026-01-15"}, 201)
	issued := p.do(nil, "POST", "/v1/products/"+gtin+"/lots/L1/codes", live, map[string]any{"count": 1}, 201).json(t)
	a := p.do(nil, "GET", at(t, issued, "items", 0, "link").(string), inEnglish, nil, 200).json(t)
	wantAt(t, a, "issued", "authenticity", "status")

	// The first key makes the next ones, for its own firm; a test key makes none.
	keys := "/v1/firms/spirits-abroad/keys"
	more := map[string]any{"label": "shop", "scopes": []any{"catalogue"}}
	second := bearer(at(t, p.do(nil, "POST", keys, live, more, 201).json(t), "secret").(string))
	p.do(nil, "GET", keys, second, nil, 403)
	p.do(nil, "POST", keys, test, more, 403)
	p.do(nil, "POST", "/v1/firms/agent/keys", live, more, 404)
	list := p.do(nil, "GET", keys, live, nil, 200)
	if items := at(t, list.json(t), "items").([]any); len(items) != 3 || bytes.Contains(list.body, []byte(strings.TrimPrefix(live["Authorization"], "Bearer "))) {
		t.Errorf("the keys: %s", list.body)
	}
}

// Test keys of two firms that may both speak for a product never meet, in whatever way they ask; nor do they meet the real goods.
func TestFirmsTestApart(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"}
	p := start(t, env)
	registrar := bearer(p.loginAs("xu.jing", "registrar"))
	shop := func(name string) map[string]any {
		return map[string]any{"name": map[string]any{"en": name}, "kind": "duty_free", "country": "CN", "grants": []any{"690123456"}}
	}
	real1, one := p.onboard(registrar, "one", shop("One"))
	_, other := p.onboard(registrar, "one-2", shop("Other"))
	lot := "/v1/products/" + gtin + "/lots/L1"
	p.do(nil, "PUT", "/v1/products/"+gtin, one, spirits, 201)
	p.do(nil, "PUT", lot, one, map[string]any{"produced": "2026-01-15"}, 201)
	order := map[string]string{"Idempotency-Key": "first-order-of-all"}
	maps.Copy(order, one)
	issued := p.do(nil, "POST", lot+"/codes", order, map[string]any{"count": 1}, 201).json(t)
	serial := at(t, issued, "items", 0, "serial").(string)
	unit := "/01/" + gtin + "/10/L1/21/" + serial
	p.do(nil, "PUT", lot+"/foreign-codes", one, map[string]any{"codes": []any{map[string]any{"scheme": "hainan_duty_free", "code": "HN2026 0001", "serial": serial}}}, 200)
	p.do(nil, "POST", "/epcis/capture", one, chainDocument(serial), 202)
	p.do(nil, "POST", "/epcis/events", one, singleEvent(serial), 201)

	own := p.do(nil, "GET", unit, one, nil, 200).json(t)
	wantAt(t, own, "issued", "authenticity", "status")
	wantAt(t, own, true, "scan", "first")
	strangers := map[string]map[string]string{"the other's test key": other, "the firm's own live key": real1, "nobody's key": inEnglish}
	for who, key := range strangers {
		for _, path := range []string{"/v1/products/" + gtin, lot, "/v1/codes/" + gtin + "/" + serial + ".png"} {
			if r := p.do(nil, "GET", path, key, nil, 0); r.StatusCode != http.StatusNotFound {
				t.Errorf("GET %s by %s: %d %s", path, who, r.StatusCode, r.body)
			}
		}
		a := p.do(nil, "GET", unit, key, nil, 200).json(t)
		wantAt(t, a, "unknown_product", "authenticity", "status")
		wantAt(t, p.do(nil, "GET", "/v1/resolve?code=HN20260001", key, nil, 200).json(t), "none", "level")
	}

	// The same goods described by the other are its own, down to the serials and the events; the same event is a new one there.
	p.do(nil, "PUT", "/v1/products/"+gtin, other, spirits, 201)
	p.do(nil, "PUT", lot, other, map[string]any{"produced": "2026-02-20"}, 201)
	maps.Copy(order, other)
	theirs := p.do(nil, "POST", lot+"/codes", order, map[string]any{"count": 1}, 201).json(t)
	if at(t, theirs, "items", 0, "serial") == serial {
		t.Error("two firms got one serial for the same order")
	}
	wantAt(t, p.do(nil, "GET", unit, other, nil, 200).json(t), "unknown_unit", "authenticity", "status")
	p.do(nil, "POST", "/epcis/events", other, singleEvent(serial), 201)
	wantAt(t, p.do(nil, "GET", lot, one, nil, 200).json(t), "2026-01-15", "produced")

	// All of it survives the process.
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, env)
	own = p.do(nil, "GET", unit, one, nil, 200).json(t)
	wantAt(t, own, "issued", "authenticity", "status")
	if titles := len(at(t, own, "chain").([]any)); titles < 2 {
		t.Errorf("%d steps are left of the chain", titles)
	}
	wantAt(t, p.do(nil, "GET", lot, other, nil, 200).json(t), "2026-02-20", "produced")
}

// A tenant's goods are in the backup, and nobody needs to know whose tenants there are.
func TestBackupHasTheTestTenants(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"}
	p := start(t, env)
	registrar := bearer(p.loginAs("xu.jing", "registrar"))
	_, test := p.onboard(registrar, "one", map[string]any{"name": map[string]any{"en": "One"}, "kind": "importer", "country": "CN", "grants": []any{"690123456"}})
	p.do(nil, "PUT", "/v1/products/"+gtin, test, spirits, 201)
	out := t.TempDir()
	p.command("", "backup", "-out", out)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(out, "*.backup"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	restored := map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off", "KEYS_FILE": filepath.Join(env["DATA_DIR"], "keys.json")}
	(&program{t: t, env: restored}).command("", "restore", "-from", files[0])
	q := start(t, restored)
	q.do(nil, "GET", "/v1/products/"+gtin, test, nil, 200)
	q.do(nil, "GET", "/v1/products/"+gtin, nil, nil, 404)
}
