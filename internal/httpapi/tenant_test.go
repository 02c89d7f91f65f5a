package httpapi

import (
	"strings"
	"testing"
)

const asTest = "Bearer " + testToken

// What a test key writes, and what is read and scanned with one, is in the test tenants' world and nowhere else.
func TestTestKeysWorkOnTestTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, op := range []string{"putLot", "issueCodes", "getProduct", "getLot", "scanUnit", "resolveCode", "captureDocument"} {
		req := readExample(t, op).Request.http()
		req.Header.Set("Authorization", asTest)
		if resp := b.do(t, req); resp.StatusCode >= 400 {
			t.Errorf("%s: %d %s", op, resp.StatusCode, readBody(t, resp))
		}
	}
	if f := b.fakes; len(f.lots)+len(f.keys)+len(f.scans)+len(f.codes) != 0 || f.deadline != 0 {
		t.Errorf("the real world saw lots %v, keys %v, scans %v, codes %v, %v", f.lots, f.keys, f.scans, f.codes, f.deadline)
	}
	s := b.fakes.sandbox.fakes
	if len(s.lots) != 2 || len(s.keys) != 1 || len(s.scans) != 2 || len(s.codes) != 2 || s.deadline == 0 {
		t.Errorf("the test world saw lots %v, keys %v, scans %v, codes %v, %v", s.lots, s.keys, s.scans, s.codes, s.deadline)
	}
	test := readBody(t, b.do(t, request("GET", "/v1/products/06901234567892", "", "Authorization", asTest)))
	live := b.do(t, request("GET", "/v1/products/06901234567892", ""))
	if body := readBody(t, live); !strings.Contains(test, "测试") || strings.Contains(body, "测试") {
		t.Errorf("test %s, live %s", test, body)
	}
	if v := live.Header.Get("Vary"); !strings.Contains(v, "Authorization") {
		t.Errorf("a cache between may mix them up: Vary %q", v)
	}
}

// A live key reads and scans the real world; so does nobody's.
func TestLiveKeysDoNotSeeTestTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, request("GET", unitPath, "", "Authorization", asSeller))
	b.do(t, request("GET", "/v1/resolve?code=6901234567892", "", "Authorization", asSeller))
	if len(b.fakes.scans) != 2 || len(b.fakes.sandbox.scans) != 0 {
		t.Errorf("real %d, test %d", len(b.fakes.scans), len(b.fakes.sandbox.scans))
	}
}

// A key that is not known never falls back to the real world: its owner would believe to be testing.
func TestUnknownKeysDoNotScan(t *testing.T) {
	t.Parallel()
	for _, target := range []string{unitPath, "/v1/resolve?code=6901234567892", "/v1/products/06901234567892"} {
		b := setup(t)
		resp := b.do(t, request("GET", target, "", "Authorization", "Bearer hk_test_gone_0123456789"))
		if resp.StatusCode != 401 || len(b.fakes.scans) != 0 {
			t.Errorf("%s: %d, %d scans", target, resp.StatusCode, len(b.fakes.scans))
		}
	}
}

// A server without test tenants says so, and a test key is no key to anything else.
func TestTestKeysWithoutTestTenants(t *testing.T) {
	t.Parallel()
	b := setup(t, func(d *Deps) { d.Services.Sandbox = nil })
	for _, op := range []string{"putLot", "scanUnit", "getLot"} {
		req := readExample(t, op).Request.http()
		req.Header.Set("Authorization", asTest)
		resp := b.do(t, req)
		if p := readProblem(t, resp); resp.StatusCode != 503 || p.Code != "no_test_tenant" {
			t.Errorf("%s: %d %+v", op, resp.StatusCode, p)
		}
	}
	resp := b.do(t, request("GET", "/v1/firms/cdf-haikou/keys", "", "Authorization", asTest))
	if p := readProblem(t, resp); resp.StatusCode != 403 || p.Code != "test_key" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
}
