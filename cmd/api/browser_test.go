package main

import (
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/web/browsertest"
)

// What a shopper sees, through the real program: its headers, its content policy, its answers.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	b := browsertest.Open(t)
	p := start(t, map[string]string{"DATA_DIR": t.TempDir()})
	pages := map[string]string{
		p.base + "/":                               "海溯",
		printed(t, p, `in order +(http\S+)`):       "此码有效",
		printed(t, p, `under warning +(http\S+)`):  "预警",
		printed(t, p, `suspicious one +(http\S+)`): "疑点",
		p.base + "/warnings":                       "预警",
		p.base + "/resolve?code=6901234567892":     "没有查到",
		p.base + "/01/123":                         "条码",
	}
	for url, want := range pages {
		if strings.Contains(url, "?") {
			url += "&lang=zh-Hans"
		} else {
			url += "?lang=zh-Hans"
		}
		page := b.Visit(t, url, browsertest.View{Width: 360, Height: 800})
		if text := browsertest.Eval[string](t, page, "document.body.innerText"); !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", url, want, text)
		}
		if over := browsertest.Eval[bool](t, page, "document.scrollingElement.scrollWidth > innerWidth"); over {
			t.Errorf("%s is wider than the phone", url)
		}
		page.Screenshot(t, t.ArtifactDir(), strings.Map(func(r rune) rune {
			if r == '/' || r == ':' || r == '?' || r == '=' {
				return '-'
			}
			return r
		}, strings.TrimPrefix(url, p.base)))
		for _, r := range page.Requests() {
			if !strings.HasPrefix(r, p.base) && !strings.HasPrefix(r, "data:") {
				t.Errorf("%s asks %s", url, r)
			}
		}
		for _, problem := range page.Problems() {
			if !strings.Contains(problem, "400") { // the refusal of a bad code is meant
				t.Errorf("%s: %s", url, problem)
			}
		}
	}
}
