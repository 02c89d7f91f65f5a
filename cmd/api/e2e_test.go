package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	_ "image/png"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/pquerna/otp/totp"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
	"github.com/haisu-trace/haisu/push/fcmtest"
)

// program is the program under test: the same run as main, on port 0.
type program struct {
	t    *testing.T
	env  map[string]string
	base string
	out  *watched
	logs *watched
	stop func() error
}

// watched is a writer that tells when a text has been written.
type watched struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func newWatched() *watched { return &watched{more: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return w.buf.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// wait waits until pattern matches what was written, and gives the match.
func (w *watched) wait(ctx context.Context, pattern string) ([]string, error) {
	re := regexp.MustCompile(pattern)
	for {
		if m := re.FindStringSubmatch(w.String()); m != nil {
			return m, nil
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return nil, fmt.Errorf("%q was not written: %w; there is\n%s", pattern, ctx.Err(), w.String())
		}
	}
}

func start(t *testing.T, env map[string]string) *program {
	t.Helper()
	p, err := tryStart(t, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryStart(t *testing.T, env map[string]string) (*program, error) {
	t.Helper()
	p := &program{t: t, env: env, out: newWatched(), logs: newWatched()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	failed := make(chan struct{})
	go func() {
		err := run(ctx, nil, p.getenv, strings.NewReader(""), p.out, p.logs)
		done <- err
		close(failed)
	}()
	var once sync.Once
	var stopErr error
	p.stop = func() error {
		once.Do(func() { cancel(); stopErr = <-done })
		return stopErr
	}
	t.Cleanup(func() { _ = p.stop() })
	waiting, stopWaiting := context.WithTimeout(t.Context(), 60*time.Second)
	defer stopWaiting()
	go func() {
		select {
		case <-failed:
			stopWaiting()
		case <-waiting.Done():
		}
	}()
	m, err := p.out.wait(waiting, `is at (http://\S+)`)
	if err != nil {
		if stopped := p.stop(); stopped != nil {
			return nil, stopped
		}
		return nil, err
	}
	p.base = m[1]
	return p, nil
}

func (p *program) getenv(k string) string {
	if v, ok := p.env[k]; ok {
		return v
	}
	if k == "ADDR" {
		return "127.0.0.1:0"
	}
	return ""
}

// command runs an administrative command beside the server and gives what it printed.
func (p *program) command(in string, args ...string) string {
	p.t.Helper()
	var out, errw bytes.Buffer
	if err := run(p.t.Context(), args, p.getenv, strings.NewReader(in), &out, &errw); err != nil {
		p.t.Fatalf("%v: %v\n%s", args, err, errw.String())
	}
	return out.String()
}

// reply is a response with its body read.
type reply struct {
	*http.Response
	body []byte
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// at follows a path of keys and indexes in JSON.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, k := range path {
		switch k := k.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("%v: %v is no object", path, v)
			}
			v = m[k]
		case int:
			l, ok := v.([]any)
			if !ok || k >= len(l) {
				t.Fatalf("%v: %v has no element %d", path, v, k)
			}
			v = l[k]
		}
	}
	return v
}

// do makes a request and holds the answer to the contract and, unless it is 0, to the status.
func (p *program) do(client *http.Client, method, path string, headers map[string]string, body any, want int) reply {
	p.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			p.t.Fatal(err)
		}
		r = bytes.NewReader(data)
	}
	url := path
	if strings.HasPrefix(path, "/") {
		url = p.base + path
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, url, r)
	if err != nil {
		p.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	contracttest.Check(p.t, req, resp)
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if want != 0 && resp.StatusCode != want {
		p.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, want, data)
	}
	return reply{resp, data}
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token, "Accept": "application/json", "Accept-Language": "en"}
}

var inEnglish = map[string]string{"Accept": "application/json", "Accept-Language": "en"}

// login adds an operator by the command and opens a session over HTTP.
func (p *program) login(name string) string {
	p.t.Helper()
	return p.loginAs(name, "officer,publisher")
}

func (p *program) loginAs(name, roles string) string {
	p.t.Helper()
	const password = "a long enough password"
	out := p.command(password+"\n", "operator", "add", name, "-authority", "hn-amr", "-operator-name", "Chen Yu", "-roles", roles)
	secret := regexp.MustCompile(`secret: (\S+)`).FindStringSubmatch(out)
	if secret == nil {
		p.t.Fatalf("no one-time code secret in %q", out)
	}
	code, err := totp.GenerateCode(secret[1], time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	body := map[string]any{"login": name, "password": password, "code": code}
	s := p.do(nil, "POST", "/v1/sessions", nil, body, 201).json(p.t)
	p.do(nil, "POST", "/v1/sessions", nil, body, 401) // a one-time code works once
	return at(p.t, s, "token").(string)
}

// approve has another officer agree to what was asked.
func (p *program) approve(second map[string]string, asked reply) {
	p.t.Helper()
	r := p.do(nil, "POST", asked.Header.Get("Location")+"/decision", second, map[string]any{"approve": true}, 200).json(p.t)
	wantAt(p.t, r, "done", "state")
}

// sellerKey makes a firm and its key by the command.
func (p *program) sellerKey(firm string, more ...string) string {
	p.t.Helper()
	out := p.command("", append([]string{"key", "add", firm, "-name", "海口免税", "-name-en", "Haikou Duty Free"}, more...)...)
	return out[strings.LastIndex(out, " ")+1 : len(out)-1]
}

func decodeQR(t *testing.T, png []byte) string {
	t.Helper()
	img, _, err := image.Decode(bytes.NewReader(png))
	if err != nil {
		t.Fatal(err)
	}
	bmp, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	res, err := qrcode.NewQRCodeReader().Decode(bmp, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res.GetText()
}

const gtin = "06901234567892"

var spirits = map[string]any{
	"name": map[string]any{"zh-Hans": "陈年白兰地", "en": "Aged brandy"}, "brand": map[string]any{"en": "Sea Star"}, "category": "spirits", "origin": "FR",
	"lot_hint": map[string]any{"zh-Hans": "瓶底", "en": "On the bottom of the bottle"},
}

func warningContent(level string, lots ...string) map[string]any {
	return map[string]any{
		"level": level, "regime": "food", "hazard": "chemical", "category": "spirits",
		"title":  map[string]any{"zh-Hans": "白兰地甲醇超标", "en": "Too much methanol in brandy"},
		"advice": map[string]any{"zh-Hans": "停止饮用，退回门店。", "en": "Do not drink it. Return it to the shop."},
		"scope":  map[string]any{"clauses": []any{map[string]any{"gtins": []any{gtin}, "lots": lots}}},
		"issuer": map[string]any{"zh-Hans": "海南省市场监督管理局", "en": "Hainan AMR"}, "document_no": "琼市监〔2026〕7号", "legal_basis": "食品安全法",
	}
}

// The whole path: capture → QR → scan → warning → push → complaint.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	fcm, err := fcmtest.New(fcmtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fcm.Close)
	p := start(t, map[string]string{
		"DATA_DIR": t.TempDir(), "DEMO": "off", "FIREBASE_PROJECT": fcm.Project, "FCM_ENDPOINT": fcm.URL,
	})
	told := &pushes{p: p, fcm: fcm}
	p.do(nil, "GET", "/healthz", nil, nil, 200)
	p.do(nil, "GET", "/readyz", nil, nil, 200)
	seller := bearer(p.sellerKey("haikou-df", "-kind", "duty_free", "-grants", "690123456"))
	officer, second := bearer(p.login("chen.yu")), bearer(p.login("lin.mei"))

	// Products, lots, codes.
	p.do(nil, "PUT", "/v1/products/"+gtin, seller, spirits, 201)
	p.do(nil, "PUT", "/v1/products/"+gtin, seller, spirits, 200)
	for _, lot := range []string{"L1", "L2"} {
		p.do(nil, "PUT", "/v1/products/"+gtin+"/lots/"+lot, seller, map[string]any{"produced": "2026-01-15", "expires": "2036-01-15", "quantity": 1200}, 201)
	}
	p.do(nil, "PUT", "/v1/products/06901234567899", seller, spirits, 400) // a wrong check digit
	p.do(nil, "PUT", "/v1/products/"+gtin, nil, spirits, 401)
	p.do(nil, "PUT", "/v1/products/"+gtin, officer, spirits, 403)
	issued := p.do(nil, "POST", "/v1/products/"+gtin+"/lots/L1/codes", seller, map[string]any{"count": 3}, 201).json(t)
	link := at(t, issued, "items", 0, "link").(string)
	serial := at(t, issued, "items", 0, "serial").(string)
	unit := "/01/" + gtin + "/10/L1/21/" + serial
	if link != p.base+unit {
		t.Fatalf("the link is %s", link)
	}
	png := p.do(nil, "GET", "/v1/codes/"+gtin+"/"+serial+".png", nil, nil, 200)
	if text := decodeQR(t, png.body); text != link {
		t.Fatalf("the QR code says %s", text)
	}
	p.do(nil, "GET", "/v1/codes/"+gtin+"/"+serial+".svg", nil, nil, 200)
	p.do(nil, "GET", "/v1/codes/"+gtin+"/NOSUCH.png", nil, nil, 404)

	// A chain by EPCIS, and codes of other schemes.
	p.do(nil, "POST", "/epcis/capture", seller, chainDocument(serial), 202)
	event := singleEvent(serial)
	p.do(nil, "POST", "/epcis/events", seller, event, 201)
	p.do(nil, "POST", "/epcis/events", seller, event, 409)
	p.do(nil, "POST", "/epcis/events", seller, strings.Replace(event, "shipping", "transforming", 1), 422)
	p.do(nil, "PUT", "/v1/products/"+gtin+"/lots/L1/foreign-codes", seller,
		map[string]any{"codes": []any{map[string]any{"scheme": "hainan_duty_free", "code": "HN2026 0001", "serial": serial}}}, 200)

	// Scans.
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	me := &http.Client{Jar: jar}
	a := p.do(me, "GET", unit+"?place=haikou-riyue&from=wechat", inEnglish, nil, 200).json(t)
	wantAt(t, a, "code_valid", "headline", "status")
	wantAt(t, a, "issued", "authenticity", "status")
	wantAt(t, a, "none_known", "safety", "status")
	wantAt(t, a, "unsold", "sale", "status")
	wantAt(t, a, true, "scan", "first")
	wantAt(t, a, true, "scan", "recorded")
	p.do(me, "GET", "/01/"+gtin+"/10/L1/21/FORGED1", inEnglish, nil, 200)
	for _, who := range []map[string]string{seller, officer} {
		odd := p.do(nil, "GET", "/v1/anomalies?gtin="+gtin, who, nil, 200).json(t)
		wantAt(t, odd, "unknown_serials", "items", 0, "signals", 0, "code")
		wantAt(t, odd, "FORGED1", "items", 0, "serials", 0)
	}
	if titles := fmt.Sprint(at(t, a, "chain")); !strings.Contains(titles, "Produced and coded") || !strings.Contains(titles, "Stocked") {
		t.Errorf("the chain is %s", titles)
	}
	a = p.do(me, "GET", unit, inEnglish, nil, 200).json(t)
	wantAt(t, a, false, "scan", "first")
	wantAt(t, a, 0.0, "scan", "count") // my own scan is not a stranger's
	a = p.do(nil, "GET", unit, inEnglish, nil, 200).json(t)
	wantAt(t, a, 2.0, "scan", "count")
	for path, level := range map[string]string{
		"/01/" + gtin: "product", "/01/" + gtin + "/10/L1": "lot", "/01/" + gtin + "/21/" + serial: "unit", "/01/" + gtin + "/10/L1/21/UNKNOWN": "lot",
		"/v1/resolve?code=hn20260001": "unit", "/v1/resolve?code=6901234567892": "product", "/v1/resolve?code=nothing": "none",
	} {
		wantAt(t, p.do(nil, "GET", path, inEnglish, nil, 200).json(t), level, "level")
	}
	p.do(nil, "GET", "/01/06901234567899", inEnglish, nil, 400)
	page := p.do(nil, "GET", unit, map[string]string{"Accept": "text/html", "Accept-Language": "zh-CN"}, nil, 200)
	if !bytes.Contains(page.body, []byte("此码有效")) || !bytes.Contains(page.body, []byte("陈年白兰地")) {
		t.Errorf("the page is %s", page.body)
	}

	// Devices: one holds the lot, one typed it from the package, one scanned it, one subscribes, one has nothing to do with it.
	devices := map[string]string{}
	for _, name := range []string{"holder", "typed", "scanner", "subscriber", "other"} {
		d := p.do(nil, "POST", "/v1/devices", nil, map[string]any{"platform": "ios", "lang": "en"}, 201).json(t)
		devices[name] = at(t, d, "token").(string)
		p.do(nil, "PUT", "/v1/device/push-token", bearer(devices[name]), map[string]any{"token": "fcm-" + name}, 204)
	}
	p.do(nil, "POST", "/v1/device/holdings", bearer(devices["holder"]), map[string]any{"gtin": gtin, "serial": serial}, 201)
	held := p.do(nil, "POST", "/v1/device/holdings", bearer(devices["typed"]), map[string]any{"gtin": "6901234567892", "lot": "l-1", "typed": true}, 201).json(t)
	p.do(nil, "GET", unit, bearer(devices["scanner"]), nil, 200)
	p.do(nil, "PUT", "/v1/device/subscriptions", bearer(devices["subscriber"]), map[string]any{"subscriptions": []any{map[string]any{"kind": "category", "value": "spirits"}}}, 200)
	extra := p.do(nil, "POST", "/v1/device/holdings", bearer(devices["other"]), map[string]any{"gtin": gtin, "lot": "L2"}, 201).json(t)
	if n := len(at(t, p.do(nil, "GET", "/v1/device/holdings", bearer(devices["typed"]), nil, 200).json(t), "items").([]any)); n != 1 {
		t.Errorf("%d holdings", n)
	}

	// A warning.
	draft := p.do(nil, "POST", "/v1/warnings", officer, warningContent("orange", "L1"), 201)
	no := at(t, draft.json(t), "no").(string)
	p.do(nil, "GET", "/v1/warnings/"+no, nil, nil, 404) // a draft is nobody's business
	p.do(nil, "POST", "/v1/warnings", seller, warningContent("orange", "L1"), 403)
	asked := p.do(nil, "POST", "/v1/warnings/"+no+"/publication", officer, nil, 202) // four eyes
	p.do(nil, "GET", "/v1/warnings/"+no, nil, nil, 404)
	p.do(nil, "POST", asked.Header.Get("Location")+"/decision", officer, map[string]any{"approve": true}, 403) // not one's own
	p.approve(second, asked)
	p.do(nil, "POST", "/v1/warnings/"+no+"/publication", officer, nil, 200) // publishing twice publishes once
	a = p.do(nil, "GET", unit, inEnglish, nil, 200).json(t)
	wantAt(t, a, "warning", "headline", "status")
	wantAt(t, a, "orange", "headline", "level")
	wantAt(t, a, no, "findings", 0, "no")
	a = p.do(nil, "GET", "/01/"+gtin+"/10/L2", inEnglish, nil, 200).json(t)
	wantAt(t, a, "none_known", "safety", "status")
	a = p.do(nil, "GET", "/01/"+gtin, inEnglish, nil, 200).json(t)
	wantAt(t, a, "possible", "findings", 0, "match")

	told.want("fcm-holder", "fcm-scanner", "fcm-subscriber", "fcm-typed")
	for name, reason := range map[string]string{"holder": "holding", "typed": "holding", "scanner": "scan", "subscriber": "subscription"} {
		inbox := p.do(nil, "GET", "/v1/device/alerts", bearer(devices[name]), nil, 200).json(t)
		wantAt(t, inbox, no, "items", 0, "no")
		wantAt(t, inbox, reason, "items", 0, "reasons", 0, "code")
		wantAt(t, inbox, name != "typed", "items", 0, "reasons", 0, "certain")
	}
	if items := at(t, p.do(nil, "GET", "/v1/device/alerts", bearer(devices["other"]), nil, 200).json(t), "items").([]any); len(items) != 0 {
		t.Errorf("a device that has nothing to do with it was told: %v", items)
	}

	// Search follows, in both languages and scripts.
	for _, q := range []string{"甲醇", "methanol", "白蘭地", gtin} {
		p.eventually("search for "+q, func() bool {
			r := p.do(nil, "GET", "/v1/warnings?q="+q, nil, nil, 200).json(t)
			return strings.Contains(fmt.Sprint(r["items"]), no)
		})
	}
	list := p.do(nil, "GET", "/v1/warnings?status=in_force&level=orange&category=spirits&gtin="+gtin, nil, nil, 200).json(t)
	wantAt(t, list, no, "items", 0, "no")

	// Raise, lift, retract.
	p.approve(second, p.do(nil, "POST", "/v1/warnings/"+no+"/messages", officer, map[string]any{"content": warningContent("red", "L1"), "reason": map[string]any{"zh-Hans": "出现病例", "en": "Cases of illness"}}, 202))
	told.want("fcm-holder", "fcm-scanner", "fcm-subscriber", "fcm-typed")
	wantAt(t, p.do(nil, "GET", unit, inEnglish, nil, 200).json(t), "red", "headline", "level")
	p.do(nil, "DELETE", "/v1/device/holdings/"+at(t, held, "id").(string), bearer(devices["typed"]), nil, 204)
	p.do(nil, "DELETE", "/v1/device/holdings/"+at(t, extra, "id").(string), bearer(devices["other"]), nil, 204)
	p.approve(second, p.do(nil, "POST", "/v1/warnings/"+no+"/lift", officer, map[string]any{"reason": map[string]any{"zh-Hans": "已召回完毕", "en": "All of it was taken back"}}, 202))
	told.want("fcm-holder", "fcm-scanner", "fcm-subscriber", "fcm-typed") // the same people
	wantAt(t, p.do(nil, "GET", unit, inEnglish, nil, 200).json(t), "none_known", "safety", "status")
	p.do(nil, "POST", "/v1/warnings/"+no+"/messages", officer, map[string]any{"content": warningContent("blue", "L1"), "reason": map[string]any{"zh-Hans": "无", "en": "None"}}, 409)
	p.approve(second, p.do(nil, "POST", "/v1/warnings/"+no+"/retraction", officer, map[string]any{"reason": map[string]any{"zh-Hans": "化验室有误", "en": "The laboratory was wrong"}}, 202))
	history := at(t, p.do(nil, "GET", "/v1/warnings/"+no, nil, nil, 200).json(t), "history").([]any)
	if len(history) != 4 {
		t.Errorf("%d messages in the history", len(history))
	}

	// A complaint.
	filed := p.do(nil, "POST", "/v1/complaints", map[string]string{"Idempotency-Key": "retry-me-0001"}, complaint, 201).json(t)
	again := p.do(nil, "POST", "/v1/complaints", map[string]string{"Idempotency-Key": "retry-me-0001"}, complaint, 201).json(t)
	if filed["no"] != again["no"] || filed["secret"] != again["secret"] {
		t.Errorf("a retry gave another receipt: %v, %v", filed, again)
	}
	receipt := "/v1/complaints/" + filed["no"].(string)
	status := p.do(nil, "GET", receipt, map[string]string{"Haisu-Receipt-Secret": filed["secret"].(string)}, nil, 200).json(t)
	wantAt(t, status, "filed", "timeline", 0, "kind")
	p.do(nil, "GET", receipt, map[string]string{"Haisu-Receipt-Secret": "00000 00000 00000 00000 00000"}, nil, 404)

	p.checkTrail(filed["no"].(string), filed["secret"].(string), officer)
	p.do(nil, "DELETE", "/v1/sessions/current", officer, nil, 204)
	p.do(nil, "POST", "/v1/warnings", officer, warningContent("orange", "L1"), 401)
	if err := p.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if s := p.logs.String(); strings.Contains(s, `"level":"ERROR"`) || strings.Contains(s, "138 0000 0000") || strings.Contains(s, serial) && strings.Contains(s, devices["holder"]) {
		t.Errorf("the log has an error or what should not be in it:\n%s", s)
	}
}

var complaint = map[string]any{
	"gtin": gtin, "lot": "L1", "seller": "海口免税店", "what": "瓶口漏酒", "asked": "退款", "contact": map[string]any{"name": "王女士", "phone": "138 0000 0000"}, "lang": "zh-Hans",
}

func wantAt(t *testing.T, v any, want any, path ...any) {
	t.Helper()
	if got := at(t, v, path...); got != want {
		t.Errorf("%v is %v, want %v", path, got, want)
	}
}

// pushes counts what FCM has taken.
type pushes struct {
	p    *program
	fcm  *fcmtest.Server
	seen int
}

// want waits until FCM has taken as many messages as there are tokens since the last call, and they went exactly to these.
func (w *pushes) want(tokens ...string) {
	w.p.t.Helper()
	w.p.eventually(fmt.Sprintf("%d pushes", len(tokens)), func() bool { return len(w.fcm.Accepted()) >= w.seen+len(tokens) })
	var got []string
	for _, m := range w.fcm.Accepted()[w.seen:] {
		got = append(got, m.Token)
	}
	w.seen += len(got)
	slices.Sort(got)
	if !slices.Equal(got, tokens) {
		w.p.t.Errorf("pushed to %v, want %v", got, tokens)
	}
}

// eventually repeats a question whose answer comes from a worker, until it is yes. The pauses are the polls of a client.
func (p *program) eventually(what string, yes func() bool) {
	p.t.Helper()
	p.within(20*time.Second, what, yes)
}

func (p *program) within(d time.Duration, what string, yes func() bool) {
	p.t.Helper()
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline.C:
			p.t.Fatalf("%s: not within %s", what, d)
		}
	}
}

func chainDocument(serial string) string {
	epc := "https://id.gs1.org/01/" + gtin + "/21/" + serial
	sscc := "https://id.gs1.org/00/069012345600000015"
	return `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0",
"creationDate":"2026-03-01T00:00:00Z","epcisBody":{"eventList":[
{"type":"ObjectEvent","action":"ADD","bizStep":"commissioning","eventTime":"2026-01-16T09:00:00+01:00","eventTimeZoneOffset":"+01:00","epcList":["` + epc + `"]},
{"type":"AggregationEvent","action":"ADD","bizStep":"packing","eventTime":"2026-01-17T09:00:00+01:00","eventTimeZoneOffset":"+01:00","parentID":"` + sscc + `","childEPCs":["` + epc + `"]},
{"type":"ObjectEvent","action":"OBSERVE","bizStep":"receiving","eventTime":"2026-02-20T09:00:00+08:00","eventTimeZoneOffset":"+08:00","epcList":["` + sscc + `"]},
{"type":"ObjectEvent","action":"OBSERVE","bizStep":"stocking","eventTime":"2026-02-25T09:00:00+08:00","eventTimeZoneOffset":"+08:00","epcList":["` + epc + `"]}]}}`
}

func singleEvent(serial string) string {
	return `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"ObjectEvent","action":"OBSERVE","bizStep":"shipping",
"eventTime":"2026-01-20T09:00:00+01:00","eventTimeZoneOffset":"+01:00","epcList":["https://id.gs1.org/01/` + gtin + `/21/` + serial + `"]}`
}

// The importer runs beside the server; what it brings is found and shown on a match, and never pushed.
func TestImportSafetyGate(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs("../../../shared/data/warnings/safety-gate.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Skip("the real data folder shared/data is not beside the project")
	}
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	if out := p.command("", "import", "safety-gate", file); !strings.Contains(out, "179 read, 179 new") {
		t.Fatalf("first: %s", out)
	}
	if out := p.command("", "import", "safety-gate", file); !strings.Contains(out, "0 new, 0 changed, 179 unchanged") {
		t.Fatalf("again: %s", out)
	}
	notices := at(t, p.do(nil, "GET", "/v1/notices?limit=100", nil, nil, 200).json(t), "items").([]any)
	var code string
	for _, n := range notices {
		if gtins, ok := n.(map[string]any)["gtins"].([]any); ok && len(gtins) > 0 {
			code = gtins[0].(string)
		}
	}
	a := p.do(nil, "GET", "/01/"+code, inEnglish, nil, 200).json(t)
	wantAt(t, a, "unknown", "headline", "status")
	if !strings.Contains(fmt.Sprint(a["findings"]), "foreign_notice") {
		t.Errorf("no notice on %s: %v", code, a["findings"])
	}
	p.eventually("search for a notice", func() bool {
		r := p.do(nil, "GET", "/v1/notices?q=Bentley", nil, nil, 0) // 503 until the new index is complete
		return r.StatusCode == 200 && len(r.json(t)["items"].([]any)) > 0
	})
}

// Messages of the collection are imported together: those that break the standard are named with line and reason, and keep no other out.
func TestImportCAP(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/data/cap/*.cap")
	check(t, err)
	if len(files) == 0 {
		t.Skip("the real data folder shared/data is not beside the project")
	}
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	for _, want := range []string{"5 read, 4 new, 0 changed, 0 unchanged, 1 rejected", "5 read, 0 new, 0 changed, 4 unchanged, 1 rejected"} {
		var out, errs bytes.Buffer
		err := run(t.Context(), append([]string{"import", "cap"}, files...), p.getenv, strings.NewReader(""), &out, &errs)
		if err == nil || !strings.Contains(err.Error(), "2 of 7 files") {
			t.Errorf("the command ends with %v", err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q: %s", want, out.String())
		}
		for _, reason := range []string{"noaa_errors.cap: ", "line 17: <urgency> is", "xee.cap: cap_doctype: line 11: "} {
			if !strings.Contains(errs.String(), reason) {
				t.Errorf("no %q in %s", reason, errs.String())
			}
		}
	}
	items := at(t, p.do(nil, "GET", "/v1/notices?source=cap&limit=100", nil, nil, 200).json(t), "items").([]any)
	if len(items) != 4 { // one of the five has no <info>, says nothing, and is rejected
		t.Errorf("%d notices", len(items))
	}
}

// Every real document that must be refused is refused over HTTP, with a pointer to the place.
func TestInvalidDocumentsAreRefusedWithAPointer(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/data/epcis/invalid/*.json")
	check(t, err)
	if len(files) == 0 {
		t.Skip("the real data folder shared/data is not beside the project")
	}
	if len(files) != 8 {
		t.Fatalf("%d files", len(files))
	}
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	seller := bearer(p.sellerKey("haikou-df", "-grants", "9521141,4023333,0614141"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		check(t, err)
		problem := p.do(nil, "POST", "/epcis/capture", seller, string(data), 422).json(t)
		pointer, ok := at(t, problem, "errors", 0, "pointer").(string)
		if !ok || !strings.HasPrefix(pointer, "/epcisBody/eventList/") {
			t.Errorf("%s: pointer %q", filepath.Base(file), pointer)
		}
	}
}
