package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
)

const (
	unitPath  = "/01/06901234567892/10/L24A1/21/7K2M9Q4T6V8X0Z1B"
	chromium  = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36"
	wechat    = chromium + " MicroMessenger/8.0.50.2701(0x2800325B) WeChat/arm64 NetType/5G Language/zh_CN"
	anyAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
)

func TestScanNegotiates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		accept, language, target, media, lang string
	}{
		{"", "", unitPath, "application/json", lang.ZhHans},
		{"*/*", "", unitPath, "application/json", lang.ZhHans},
		{"application/json", "en-GB,en;q=0.9", unitPath, "application/json", lang.En},
		{anyAccept, "zh-CN,zh;q=0.9,en;q=0.8", unitPath, "text/html", lang.ZhHans},
		{"text/html", "en", unitPath + "?lang=zh-Hans", "text/html", lang.ZhHans},
		{"text/html;q=0.2, application/json", "", unitPath + "?lang=en&utm_source=poster", "application/json", lang.En},
		{"text/html", "fr", unitPath + "?lang=xx", "text/html", lang.ZhHans},
	}
	for _, tt := range tests {
		b := setup(t)
		resp := b.do(t, request("GET", tt.target, "", "Accept", tt.accept, "Accept-Language", tt.language))
		body := readBody(t, resp)
		if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), tt.media) || resp.Header.Get("Content-Language") != tt.lang {
			t.Errorf("%+v: %d %v", tt, resp.StatusCode, resp.Header)
		}
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Vary") != "Accept, Accept-Language" {
			t.Errorf("%+v: %v", tt, resp.Header)
		}
		if tt.media == "text/html" && body != "<title>"+tt.lang+" "+trace.HeadWarning+"</title>" {
			t.Errorf("%+v: %s", tt, body)
		}
	}
}

func TestBrowsersGetProblemsAsPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp, err := b.app.Test(request("GET", "/01/06901234567893", "", "Accept", anyAccept, "Accept-Language", "en"), -1)
	if err != nil {
		t.Fatal(err)
	}
	if body := readBody(t, resp); resp.StatusCode != 400 || body != "<title>en 400 gtin_check_digit</title>" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// What a robot fetches is answered and is no scan. What a person scans in a messenger is one.
func TestPreviewsAreNoScans(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method string
		headers      []string
		preview      bool
	}{
		{"a browser", "GET", []string{"User-Agent", chromium}, false},
		{"WeChat's camera", "GET", []string{"User-Agent", wechat}, false},
		{"an app without a name", "GET", nil, false},
		{"HEAD", "HEAD", []string{"User-Agent", chromium}, true},
		{"Chromium prefetches", "GET", []string{"User-Agent", chromium, "Sec-Purpose", "prefetch;prerender"}, true},
		{"Safari previews", "GET", []string{"User-Agent", chromium, "X-Purpose", "preview"}, true},
		{"Firefox prefetches", "GET", []string{"User-Agent", chromium, "X-Moz", "prefetch"}, true},
		{"older Chromium prefetches", "GET", []string{"User-Agent", chromium, "Purpose", "prefetch"}, true},
		{"WeChat's crawler", "GET", []string{"User-Agent", wechat + " mpcrawler"}, true},
		{"Facebook's preview", "GET", []string{"User-Agent", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"}, true},
		{"Slack's preview", "GET", []string{"User-Agent", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, true},
		{"DingTalk's preview", "GET", []string{"User-Agent", "DingTalkBot-LinkService/1.0"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			resp := b.do(t, request(tt.method, unitPath, "", tt.headers...))
			if resp.StatusCode != 200 || len(b.fakes.scans) != 1 {
				t.Fatalf("%d, %d scans", resp.StatusCode, len(b.fakes.scans))
			}
			if got := b.fakes.scans[0].Preview; got != tt.preview {
				t.Errorf("preview %v", got)
			}
			if cookie := resp.Header.Get("Set-Cookie"); (cookie == "") != tt.preview {
				t.Errorf("cookie %q", cookie)
			}
		})
	}
}

func TestVisitorCookie(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.do(t, request("GET", unitPath, ""))
	cookies := first.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	c := cookies[0]
	if c.Name != "hv" || c.Path != "/" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 400*24*3600 || len(c.Value) < 16 {
		t.Errorf("cookie %+v", c)
	}
	again := request("GET", unitPath, "")
	again.AddCookie(c)
	if resp := b.do(t, again); resp.Header.Get("Set-Cookie") != "" {
		t.Error("a visitor who has a cookie gets another")
	}
	forged := b.do(t, request("GET", unitPath, "", "Cookie", "hv="+strings.Repeat("A", 4000)))
	if len(forged.Cookies()) != 1 {
		t.Error("a cookie that is none of ours is kept")
	}
	app := b.do(t, request("GET", unitPath, "", "Authorization", asDevice))
	if app.Header.Get("Set-Cookie") != "" {
		t.Error("a device gets a cookie")
	}
	s := b.fakes.scans
	if s[0].Visitor != c.Value || s[1].Visitor != c.Value || s[2].Visitor == "" || len(s[2].Visitor) > 32 || s[3].Visitor != "" || s[3].Device != device.ID {
		t.Errorf("scans %+v", s)
	}
	plain := setup(t, func(d *Deps) { d.PublicURL = "http://127.0.0.1:8080" })
	if c := plain.do(t, request("GET", unitPath, "")).Cookies(); len(c) != 1 || c[0].Secure {
		t.Errorf("without TLS: %v", c)
	}
}

// A scan does not fail for what it can do without.
func TestScanForgives(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		headers []string
		query   string
		check   func(trace.ScanRequest) bool
	}{
		{"a token that nobody knows", []string{"Authorization", "Bearer hd_gone_0123456789"}, "", func(r trace.ScanRequest) bool { return r.Device == "" && r.Visitor != "" }},
		{"a seller's key", []string{"Authorization", asSeller}, "", func(r trace.ScanRequest) bool { return r.Device == "" }},
		{"a place", nil, "?place=sanya-haitang-2", func(r trace.ScanRequest) bool { return r.Place == "sanya-haitang-2" }},
		{"a message as a place", nil, "?place=%E5%81%87%E8%B4%A7%20call%20me", func(r trace.ScanRequest) bool { return r.Place == "" }},
		{"a place that is a novel", nil, "?place=" + strings.Repeat("a", 65), func(r trace.ScanRequest) bool { return r.Place == "" }},
		{"a place with a line break", nil, "?place=a%0Ab", func(r trace.ScanRequest) bool { return r.Place == "" }},
		{"a place that is not UTF-8", nil, "?place=%ff", func(r trace.ScanRequest) bool { return r.Place == "" }},
		{"a trailing slash", nil, "/", func(r trace.ScanRequest) bool { return r.Ref.Serial == "7K2M9Q4T6V8X0Z1B" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			resp, err := b.app.Test(request("GET", unitPath+tt.query, "", tt.headers...), -1)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 200 || !tt.check(b.fakes.scans[0]) {
				t.Errorf("%d %+v", resp.StatusCode, b.fakes.scans)
			}
		})
	}
}

// A store that cannot name the device does not silence the answer, but the scan is not counted as a stranger's.
func TestScanWhenTheDeviceCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fakes.deviceErr = store.ErrUnavailable
	resp := b.do(t, request("GET", unitPath, "", "Authorization", asDevice))
	body := readBody(t, resp)
	if resp.StatusCode != 200 || !strings.Contains(body, `"recorded":false`) || resp.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if !strings.Contains(b.log.String(), "the device is not known") {
		t.Error("nobody is told")
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, request("GET", "/v1/resolve?code=%28%2001%29%2006901234567892&lang=en", "", "Authorization", "Bearer hd_gone_0123456789"))
	if resp.StatusCode != 200 || b.fakes.codes[0] != "( 01) 06901234567892" || b.fakes.scans[0].Lang != lang.En {
		t.Errorf("%d %q %+v", resp.StatusCode, b.fakes.codes, b.fakes.scans)
	}
}

func TestSymbolOfASerialWithASlash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, request("GET", "/v1/codes/06901234567892/A%2FB.svg", ""))
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}
