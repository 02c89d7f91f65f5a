package linkset

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/lang"
)

func TestParseType(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"gs1:pip": "gs1:pip", "https://gs1.org/voc/pip": "gs1:pip", "https://ref.gs1.org/voc/pip": "gs1:pip", "http://gs1.org/voc/defaultLink": Default,
		"pip": "", "gs1:PIP": "", "gs1:nothing": "", "https://schema.org/url": "", "": "",
	} {
		got, ok := ParseType(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %t, want %q", in, got, ok, want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	zh, en, all := Link{Href: "zh", Lang: "zh-Hans"}, Link{Href: "en", Lang: "en"}, Link{Href: "all"}
	html, pdf := Link{Href: "html", Lang: "en", Media: "text/html"}, Link{Href: "pdf", Lang: "en", Media: "application/pdf"}
	only := func(media string) func(string) bool { return func(m string) bool { return media == "*" || m == media } }
	for name, c := range map[string]struct {
		links        []Link
		accept, want string
		media        string
	}{
		"first choice":                 {[]Link{zh, en}, "en, zh;q=0.5", "en", "*"},
		"by quality":                   {[]Link{zh, en}, "en;q=0.1, zh-CN", "zh", "*"},
		"traditional reads simplified": {[]Link{zh, en}, "zh-TW", "zh", "*"},
		"nothing fits":                 {[]Link{zh, en}, "fr", "zh en", "*"},
		"for everybody":                {[]Link{zh, all}, "fr", "all", "*"},
		"a language before everybody":  {[]Link{all, en}, "en", "en", "*"},
		"nothing said":                 {[]Link{zh, en}, "", "zh en", "*"},
		"nonsense":                     {[]Link{zh, en}, "\x00,,;q=x", "zh en", "*"},
		"endless":                      {[]Link{zh, en}, strings.Repeat("en,", 1000), "zh en", "*"},
		"by media type":                {[]Link{html, pdf}, "en", "pdf", "application/pdf"},
		"a media type of neither":      {[]Link{html, pdf}, "en", "html pdf", "image/png"},
		"the only one":                 {[]Link{zh}, "en", "zh", "image/png"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, l := range Choose(c.links, c.accept, only(c.media)) {
				got = append(got, l.Href)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	b, err := Encode("https://x.example/01/1", []Link{
		{Type: Default, Href: "https://x.example/01/1"},
		{Type: "gs1:pip", Href: "https://y.example/", Title: lang.ZhEn("介绍", "About"), Lang: "zh-Hans", Media: "text/html"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"linkset":[{"anchor":"https://x.example/01/1","https://ref.gs1.org/voc/defaultLink":[{"href":"https://x.example/01/1"}],` +
		`"https://ref.gs1.org/voc/pip":[{"href":"https://y.example/","title":"About","title*":[{"value":"介绍","language":"zh-Hans"},{"value":"About","language":"en"}],` +
		`"hreflang":["zh-Hans"],"type":"text/html"}]}]}`
	if string(b) != want || !json.Valid(b) {
		t.Errorf("%s\nwant %s", b, want)
	}
}

func TestWithQuery(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"https://a.example/", "", "https://a.example/"},
		{"https://a.example/", "linkType=gs1:pip", "https://a.example/"},
		{"https://a.example/", "linkType=gs1:pip&17=1&b", "https://a.example/?17=1&b"},
		{"https://a.example/?", "b=1", "https://a.example/?b=1"},
		{"https://a.example/?x=1", "b=1", "https://a.example/?x=1&b=1"},
		{"https://a.example/?x=1#f", "b=%26", "https://a.example/?x=1&b=%26#f"},
	} {
		if got := WithQuery(c[0], c[1], "linkType"); got != c[2] {
			t.Errorf("%s with %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
