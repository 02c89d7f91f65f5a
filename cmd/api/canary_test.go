package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/push/fcmtest"
)

// canary is a value that belongs to a person, or opens something of theirs, and must stay where it was put.
type canary struct {
	what, value string
	stored      bool // in clear in the store, by intent
}

// canaries are what people send. Each is a word of its own, so that a part of it is found as well.
var canaries = []canary{
	{what: "a filer's name", value: "Kanarienvogel"},
	{what: "a filer's Chinese name", value: "金丝雀"},
	{what: "a filer's phone", value: "13912345678"},
	{what: "a filer's mail", value: "canary.mail@example.com"},
	{what: "what a filer wrote", value: "hurt-canary-thumb"},
	{what: "a seller's name in a complaint", value: "canary-counter-seven"},
	{what: "an idempotency key", value: "canary-idempotency-key"},
	{what: "a push token", value: "fcm-canary-token"},
	{what: "a network address", value: "198.51.100.77"},
	{what: "a user agent", value: "CanaryBrowser"},
	{what: "a query of a search", value: "canary-query-word"},
	{what: "a password", value: "canary-password-long"},
	{what: "a guessed login", value: "canary.guess"},
	{what: "a visitor's cookie", value: "canaryvisitor0123456"},
}

// The full path with values that must not be found afterwards: in logs, in metrics, in the search index, in what the program prints,
// and, but for what is public, in the store.
func TestNoPersonalDataLeaks(t *testing.T) {
	t.Parallel()
	for name, withFCM := range map[string]bool{"pushes go to FCM": true, "pushes go to the log": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := newCollector(t)
			env := map[string]string{
				"DATA_DIR": t.TempDir(), "DEMO": "off", "LOG_LEVEL": "debug", "TRUSTED_PROXIES": "127.0.0.1",
				"OTEL_EXPORTER_OTLP_ENDPOINT": spans.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b", "OTEL_TRACES_SAMPLER_ARG": "1",
			}
			if withFCM {
				fcm, err := fcmtest.New(fcmtest.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(fcm.Close)
				env["FIREBASE_PROJECT"], env["FCM_ENDPOINT"] = fcm.Project, fcm.URL
			}
			p := start(t, env)
			secrets := p.singAll()
			metrics := p.get("/metrics")
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			traces := spans.text(t)
			for _, want := range []string{"fileComplaint", "scanLot", "store.insert", "case_claims"} {
				if !strings.Contains(traces, want) {
					t.Errorf("no %s in %d bytes of spans", want, len(traces))
				}
			}
			for _, c := range append(secrets, canaries...) {
				for place, text := range map[string]string{"the log": p.logs.String(), "the metrics": metrics, "the output": p.out.String(), "the traces": traces} {
					if strings.Contains(text, c.value) {
						t.Errorf("%s is in %s: %s", c.what, place, around(text, c.value))
					}
				}
				for _, file := range holding(t, env["DATA_DIR"], c.value) {
					if !c.stored || !strings.HasPrefix(file, "haisu.db") {
						t.Errorf("%s is in the file %s", c.what, file)
					}
				}
			}
		})
	}
}

// collector takes spans as an OpenTelemetry collector does.
type collector struct {
	url string

	mu  sync.Mutex
	got []byte
	bad []string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("X-Key") != "a b" {
			c.bad = append(c.bad, fmt.Sprint(r.Method, r.URL, r.Header, err))
		}
		c.got = append(c.got, body...)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// text is everything that came: names and values stand in it as they are (protobuf, length-delimited).
func (c *collector) text(t *testing.T) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bad {
		t.Errorf("the collector got %s", b)
	}
	return string(c.got)
}

// singAll makes every kind of request that carries personal data or a secret, well-formed and not, and gives the secrets that were
// handed out.
func (p *program) singAll() []canary {
	t := p.t
	t.Helper()
	from := func(h map[string]string) map[string]string {
		out := map[string]string{"X-Forwarded-For": "198.51.100.77", "User-Agent": "CanaryBrowser/7", "Cookie": "hv=canaryvisitor0123456", "Accept-Language": "en"}
		maps.Copy(out, h)
		return out
	}
	seller := p.sellerKey("haikou-df", "-kind", "duty_free", "-prefixes", "690123456")
	officer := p.login("chen.yu")
	p.do(nil, "PUT", "/v1/products/"+gtin, from(bearer(seller)), spirits, 201)
	p.do(nil, "PUT", "/v1/products/"+gtin+"/lots/L1", from(bearer(seller)), map[string]any{"produced": "2026-01-15", "expires": "2036-01-15", "quantity": 10}, 201)
	device := at(t, p.do(nil, "POST", "/v1/devices", from(nil), map[string]any{"platform": "ios", "lang": "en"}, 201).json(t), "token").(string)
	p.do(nil, "PUT", "/v1/device/push-token", from(bearer(device)), map[string]any{"token": "fcm-canary-token"}, 204)
	p.do(nil, "PUT", "/v1/device/push-token", from(bearer(device)), map[string]any{"token": "fcm-canary-token with space"}, 422)
	p.do(nil, "POST", "/v1/device/holdings", from(bearer(device)), map[string]any{"gtin": gtin, "lot": "L1"}, 201)
	p.do(nil, "GET", "/01/"+gtin+"/10/L1?lang=en", from(bearer(device)), nil, 200)
	p.do(nil, "GET", "/01/"+gtin+"/10/L1", from(map[string]string{"Accept": "text/html"}), nil, 200)

	complaint := map[string]any{
		"gtin": gtin, "lot": "L1", "seller": "canary-counter-seven", "what": "hurt-canary-thumb 金丝雀",
		"contact": map[string]any{"name": "Kanarienvogel 金丝雀", "phone": "13912345678", "email": "canary.mail@example.com"},
	}
	key := map[string]string{"Idempotency-Key": "canary-idempotency-key"}
	filed := p.do(nil, "POST", "/v1/complaints", from(key), complaint, 201).json(t)
	complaint["what"] = "hurt-canary-thumb again"
	p.do(nil, "POST", "/v1/complaints", from(key), complaint, 409)
	complaint["contact"] = map[string]any{"name": "Kanarienvogel", "email": "canary.mail@example.com@"}
	p.do(nil, "POST", "/v1/complaints", from(nil), complaint, 422)
	p.do(nil, "POST", "/v1/complaints", from(nil), `{"contact": {"name": "Kanarienvogel", "phone": 13912345678`, 400)
	receipt, secret := filed["no"].(string), filed["secret"].(string)
	p.do(nil, "GET", "/v1/complaints/"+receipt, from(map[string]string{"Haisu-Receipt-Secret": secret}), nil, 200)
	p.do(nil, "GET", "/v1/complaints/"+receipt, from(map[string]string{"Haisu-Receipt-Secret": "canary-counter-seven"}), nil, 404)

	p.do(nil, "POST", "/v1/sessions", from(nil), map[string]any{"login": "canary.guess", "password": "canary-password-long", "code": "123456"}, 401)
	p.do(nil, "POST", "/v1/sessions", from(nil), map[string]any{"login": "chen.yu", "password": "canary-password-long", "code": "123456"}, 401)
	p.do(nil, "GET", "/v1/warnings?q=canary-query-word", from(nil), nil, 200)
	p.do(nil, "GET", "/v1/nothing/Kanarienvogel?phone=13912345678", from(nil), nil, 404)
	p.do(nil, "GET", "/01/Kanarienvogel", from(nil), nil, 400)

	draft := p.do(nil, "POST", "/v1/warnings", bearer(officer), warningContent("yellow", "L1"), 201).json(t)
	p.do(nil, "POST", "/v1/warnings/"+draft["no"].(string)+"/publication", bearer(officer), nil, 200)
	p.eventually("the alert", func() bool {
		r := p.do(nil, "GET", "/v1/device/alerts", bearer(device), nil, 200).json(t)
		return len(at(t, r, "items").([]any)) == 1
	})
	p.eventually("the search", func() bool {
		r := p.do(nil, "GET", "/v1/warnings?q=methanol", nil, nil, 200).json(t)
		return len(at(t, r, "items").([]any)) == 1
	})
	return []canary{
		{what: "a seller's key", value: seller}, {what: "an officer's session", value: officer}, {what: "a device's token", value: device},
		{what: "a receipt's secret", value: secret}, {what: "a receipt's number", value: receipt, stored: true},
	}
}

// get reads a path that is no operation of the contract.
func (p *program) get(path string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("GET %s: %d, %v", path, resp.StatusCode, err)
	}
	return b.String()
}

// holding gives the files under a directory that hold a text.
func holding(t *testing.T, dir, text string) []string {
	t.Helper()
	var out []string
	read := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read++
		if bytes.Contains(data, []byte(text)) {
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			out = append(out, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 3 {
		t.Fatalf("only %d files were looked into", read)
	}
	return out
}

// around is a text with what stands beside it.
func around(s, text string) string {
	i := strings.Index(s, text)
	return s[max(0, i-200):min(len(s), i+len(text)+200)]
}
