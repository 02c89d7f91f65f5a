package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/web/browsertest"
)

// serve serves every page of the tests with the headers that the HTTP layer sends: /{page}/{variant}/{language}.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	p := newPages(t)
	lists := map[string]WarningList{"full": warningList(t), "search": {Query: `"><b>奶粉`}}
	states := map[string]warning.State{}
	for _, s := range []warning.Status{warning.StatusInForce, warning.StatusLifted, warning.StatusRetracted} {
		states[string(s)] = warningState(t, s)
	}
	starts := map[string]Start{"demo": demoStart(), "bare": {}}
	pages := map[string]func(w io.Writer, variant, tag string) error{
		"scan":     func(w io.Writer, variant, tag string) error { return p.RenderScan(w, tag, scene(variant, tag)) },
		"hostile":  func(w io.Writer, variant, tag string) error { return p.RenderScan(w, tag, hostileAnswer(variant)) },
		"start":    func(w io.Writer, variant, tag string) error { return p.RenderStart(w, tag, starts[variant]) },
		"warning":  func(w io.Writer, variant, tag string) error { return p.RenderWarning(w, tag, states[variant]) },
		"warnings": func(w io.Writer, variant, tag string) error { return p.RenderWarnings(w, tag, lists[variant]) },
		"problem": func(w io.Writer, variant, tag string) error {
			return p.RenderProblem(w, tag, http.StatusBadRequest, variant, "the last digit of the product number 08716200691238 is 8, but the others call for 9", "req-8f2c")
		},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{page}/{variant}/{lang}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", p.ContentSecurityPolicy())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		write, ok := pages[r.PathValue("page")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if err := write(w, r.PathValue("variant"), r.PathValue("lang")); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// shots are the pages that people look at.
func shots() []string {
	var paths []string
	for _, tag := range languages {
		for _, s := range scenes {
			paths = append(paths, "/scan/"+s+"/"+tag)
		}
		for _, other := range []string{
			"/start/demo/", "/start/bare/", "/warning/in_force/", "/warning/lifted/", "/warning/retracted/", "/warnings/full/", "/warnings/search/", "/problem/gtin_check_digit/",
		} {
			paths = append(paths, other+tag)
		}
	}
	return paths
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the browser test takes some 20 s")
	}
	b, server, dir := browsertest.Open(t), serve(t), t.ArtifactDir()
	for _, path := range shots() {
		name := strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "_")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := b.Visit(t, server.URL+path, browsertest.View{})
			checkLayout(t, page)
			checkContrast(t, page)
			page.Screenshot(t, dir, name+"_light")
			page.Look(t, browsertest.View{Dark: true})
			checkContrast(t, page)
			page.Screenshot(t, dir, name+"_dark")
			checkQuiet(t, page, server.URL+path)
		})
	}
}

// TestBrowserNarrow looks at the pages on the smallest phone, and with the text at 200 % (WCAG 2.2, 1.4.4 and 1.4.10).
func TestBrowserNarrow(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the browser test takes some 20 s")
	}
	b, server, dir := browsertest.Open(t), serve(t), t.ArtifactDir()
	for _, path := range []string{
		"/scan/warning_red/en", "/scan/ok/zh-Hans", "/hostile/long/en", "/hostile/script/zh-Hans", "/start/demo/en", "/warning/in_force/en", "/warnings/full/en",
		"/problem/gtin_check_digit/en",
	} {
		for name, view := range map[string]browsertest.View{
			"320":       {Width: 320, Height: 568},
			"320_large": {Width: 320, Height: 568, TextPercent: 200},
		} {
			name := strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "_") + "_" + name
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				page := b.Visit(t, server.URL+path, view)
				if view.TextPercent != 0 && browsertest.Eval[float64](t, page, `parseFloat(getComputedStyle(document.documentElement).fontSize)`) != 32 {
					t.Fatal("the text is not enlarged")
				}
				checkWidth(t, page, 320)
				checkQuiet(t, page, server.URL+path)
				if !strings.Contains(path, "/long/") { // many metres of it
					page.Screenshot(t, dir, name)
				}
			})
		}
	}
}

func checkWidth(t *testing.T, p *browsertest.Page, width int) {
	t.Helper()
	if over := browsertest.Eval[[]string](t, p, fmt.Sprintf(tooWide, width)); len(over) > 0 {
		t.Errorf("wider than the window: %q", over)
	}
}

// tooWide lists what reaches beyond a width. The window's own width does not serve: a phone's grows with what does not fit.
const tooWide = `(() => {
	const limit = %d, over = [];
	if (document.scrollingElement.scrollWidth > limit) over.push('page ' + document.scrollingElement.scrollWidth + ' > ' + limit);
	for (const e of document.body.querySelectorAll('*')) {
		const r = e.getBoundingClientRect();
		if (r.width > 0 && r.right > limit + 1) over.push(e.tagName + '.' + e.getAttribute('class') + ' ' + Math.round(r.right));
	}
	return over;
})()`

func checkLayout(t *testing.T, p *browsertest.Page) {
	t.Helper()
	checkWidth(t, p, 360)
	if fold := browsertest.Eval[float64](t, p, `document.querySelector('h1').getBoundingClientRect().bottom / innerHeight`); fold > 0.5 {
		t.Errorf("the headline ends at %.2f of the first screen", fold)
	}
	if small := browsertest.Eval[[]string](t, p, tooSmall); len(small) > 0 {
		t.Errorf("smaller than 44 px to tap: %q", small)
	}
}

// tooSmall lists what is to be tapped and less than 44 px high. A link in a line of text is as high as the line.
const tooSmall = `[...document.querySelectorAll('a, button, input:not([type=hidden]), summary')]
	.filter(e => e.getBoundingClientRect().height < 43.5 || e.getBoundingClientRect().width < 43.5)
	.map(e => e.outerHTML.slice(0, 80) + ' ' + e.getBoundingClientRect().height)`

func checkContrast(t *testing.T, p *browsertest.Page) {
	t.Helper()
	if low := browsertest.Eval[[]string](t, p, lowContrast); len(low) > 0 {
		t.Errorf("contrast below 4.5: %q", low)
	}
	if n := browsertest.Eval[int](t, p, `document.querySelectorAll('h1, h2, p').length`); n < 3 {
		t.Errorf("only %d texts were looked at", n)
	}
}

// lowContrast lists the texts whose contrast with the ground under them is less than 4.5 (WCAG 2.2, 1.4.3), and grounds that
// cannot be told.
const lowContrast = `(() => {
	const rgba = s => {
		const m = s.match(/[\d.]+/g);
		if (!m) throw new Error('color ' + s);
		return [+m[0], +m[1], +m[2], m[3] === undefined ? 1 : +m[3]];
	};
	const luminance = c => {
		const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ground = e => {
		for (; e; e = e.parentElement) {
			const c = rgba(getComputedStyle(e).backgroundColor);
			if (c[3] === 1) return c;
			if (c[3] !== 0) throw new Error('translucent ground');
		}
		throw new Error('no ground');
	};
	const low = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const n = walker.currentNode, e = n.parentElement;
		if (!n.data.trim() || !e.getClientRects().length) continue;
		const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(ground(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) low.push(ratio.toFixed(2) + ' ' + n.data.trim().slice(0, 30));
	}
	return low;
})()`

// checkQuiet wants one request and no complaint.
func checkQuiet(t *testing.T, p *browsertest.Page, url string) {
	t.Helper()
	if got := p.Requests(); len(got) != 1 || got[0] != url {
		t.Errorf("requests: %q, want only %s", got, url)
	}
	if got := p.Problems(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	if browsertest.Eval[string](t, p, `getComputedStyle(document.querySelector('main')).maxWidth`) == "none" {
		t.Error("the style sheet was not applied")
	}
}

// TestBrowserPolicyBites checks that the policy is one that would be broken if it could be.
func TestBrowserPolicyBites(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the browser test takes some 20 s")
	}
	policy := newPages(t).ContentSecurityPolicy()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="`+lang.En+`"><style>main{max-width:1px}</style><main></main><script>document.title='ran'</script>`)
	}))
	t.Cleanup(server.Close)
	page := browsertest.Open(t).Visit(t, server.URL+"/", browsertest.View{})
	if len(page.Problems()) < 2 {
		t.Errorf("the policy let another style or a script pass: %q", page.Problems())
	}
	if title := browsertest.Eval[string](t, page, `document.title`); title == "ran" {
		t.Error("a script ran")
	}
}
