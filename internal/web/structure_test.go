package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/haisu-trace/haisu/internal/warning"
)

// everyPage renders every kind of page, by name.
func everyPage(t testing.TB, tag string) map[string]string {
	t.Helper()
	p := newPages(t)
	write := map[string]func(io.Writer) error{
		"start":        func(w io.Writer) error { return p.RenderStart(w, tag, demoStart()) },
		"start_bare":   func(w io.Writer) error { return p.RenderStart(w, tag, Start{}) },
		"warnings":     func(w io.Writer) error { return p.RenderWarnings(w, tag, warningList(t)) },
		"warnings_0":   func(w io.Writer) error { return p.RenderWarnings(w, tag, WarningList{}) },
		"warnings_q":   func(w io.Writer) error { return p.RenderWarnings(w, tag, WarningList{Query: `"><b>`}) },
		"problem_400":  func(w io.Writer) error { return p.RenderProblem(w, tag, 400, "gtin_length", "too short", "r1") },
		"problem_404":  func(w io.Writer) error { return p.RenderProblem(w, tag, 404, "no_such_path", "nothing here", "r1") },
		"problem_503":  func(w io.Writer) error { return p.RenderProblem(w, tag, 503, "unavailable", "", "") },
		"problem_zero": func(w io.Writer) error { return p.RenderProblem(w, tag, 0, "", "", "") },
	}
	for _, s := range scenes {
		write["scan_"+s] = func(w io.Writer) error { return p.RenderScan(w, tag, scene(s, tag)) }
	}
	for h := range hostiles {
		write["scan_hostile_"+h] = func(w io.Writer) error { return p.RenderScan(w, tag, hostileAnswer(h)) }
		write["warning_hostile_"+h] = func(w io.Writer) error { return p.RenderWarning(w, tag, hostileState(h)) }
		write["warnings_hostile_"+h] = func(w io.Writer) error { return p.RenderWarnings(w, tag, hostileList(h)) }
		write["problem_hostile_"+h] = func(w io.Writer) error {
			return p.RenderProblem(w, tag, 422, hostiles[h], hostiles[h], hostiles[h])
		}
	}
	for _, s := range []warning.Status{warning.StatusInForce, warning.StatusLifted, warning.StatusRetracted} {
		write["warning_"+string(s)] = func(w io.Writer) error { return p.RenderWarning(w, tag, warningState(t, s)) }
	}
	out := map[string]string{}
	for name, f := range write {
		out[name] = render(t, func(b *bytes.Buffer) error { return f(b) })
	}
	return out
}

// document is a parsed page.
type document struct {
	root *html.Node
	all  []*html.Node // its elements, in order
}

func parse(t testing.TB, page string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	d := document{root: root}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.all = append(d.all, n)
		}
	}
	return d
}

func (d document) find(names ...string) []*html.Node {
	var out []*html.Node
	for _, n := range d.all {
		if slices.Contains(names, n.Data) {
			out = append(out, n)
		}
	}
	return out
}

// class finds the elements of a class.
func (d document) class(name string) []*html.Node {
	var out []*html.Node
	for _, n := range d.all {
		if slices.Contains(strings.Fields(attr(n, "class")), name) {
			out = append(out, n)
		}
	}
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is the text of a node, with single spaces.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.DataAtom != atom.Style {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (d document) text() string { return text(d.find("body")[0]) }

func TestEveryPageIsWellMade(t *testing.T) {
	t.Parallel()
	for _, tag := range languages {
		for name, page := range everyPage(t, tag) {
			t.Run(tag+"/"+name, func(t *testing.T) {
				t.Parallel()
				d := parse(t, page)
				if !strings.HasPrefix(page, "<!DOCTYPE html>") {
					t.Error("no doctype")
				}
				if got := attr(d.find("html")[0], "lang"); got != tag {
					t.Errorf("lang is %q, want %q", got, tag)
				}
				if titles := d.find("title"); len(titles) != 1 || text(titles[0]) == "" {
					t.Errorf("titles: %d", len(titles))
				}
				checkHeadings(t, d)
				checkNoActiveContent(t, d)
				checkLinks(t, d)
				checkLabels(t, d)
			})
		}
	}
}

// checkHeadings wants one h1, first, and no level left out.
func checkHeadings(t *testing.T, d document) {
	t.Helper()
	level := 0
	for _, h := range d.find("h1", "h2", "h3", "h4", "h5", "h6") {
		at := int(h.Data[1] - '0')
		if at > level+1 || at == 1 && level > 0 {
			t.Errorf("<%s> %q follows level %d", h.Data, text(h), level)
		}
		level = at
	}
	if n := len(d.find("h1")); n != 1 {
		t.Errorf("%d h1", n)
	}
}

func checkNoActiveContent(t *testing.T, d document) {
	t.Helper()
	if n := d.find("script", "iframe", "object", "embed", "base", "img", "audio", "video", "meta-refresh"); len(n) > 0 {
		t.Errorf("<%s> in the page", n[0].Data)
	}
	if n := len(d.find("style")); n != 1 {
		t.Errorf("%d style sheets", n)
	}
	for _, n := range d.all {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "srcset" || a.Key == "http-equiv" {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
}

// checkLinks allows references to this server, to the phone, and into the page.
func checkLinks(t *testing.T, d document) {
	t.Helper()
	for _, n := range d.all {
		for _, a := range n.Attr {
			if a.Key != "href" && a.Key != "action" && a.Key != "formaction" {
				continue
			}
			own := strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "?")
			switch {
			case own, a.Val == "tel:12315", a.Val == "tel:12360":
			case n.Data == "use" && strings.HasPrefix(a.Val, "#i-"):
			case n.Data == "link" && strings.HasPrefix(a.Val, "data:image/svg+xml,"):
			default:
				t.Errorf("<%s %s=%.80q>", n.Data, a.Key, a.Val)
			}
		}
	}
}

// checkLabels wants every field labelled, every reference resolved, every icon hidden or named, and no ID twice.
func checkLabels(t *testing.T, d document) {
	t.Helper()
	ids, labelled := map[string]bool{}, map[string]bool{}
	for _, n := range d.all {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("id %q twice", id)
			}
			ids[id] = true
		}
		if n.Data == "label" && text(n) != "" {
			labelled[attr(n, "for")] = true
		}
	}
	for _, n := range d.all {
		if ref := attr(n, "aria-labelledby"); ref != "" && !ids[ref] {
			t.Errorf("aria-labelledby %q", ref)
		}
		switch {
		case n.Data == "input" && attr(n, "type") != "hidden" && !labelled[attr(n, "id")]:
			t.Errorf("field %q without a label", attr(n, "name"))
		case n.Data == "use" && !ids[strings.TrimPrefix(attr(n, "href"), "#")]:
			t.Errorf("no icon %s", attr(n, "href"))
		case n.Data == "svg" && attr(n, "aria-hidden") != "true" && attr(n.Parent, "role") != "img":
			t.Error("an svg that is neither hidden nor an image")
		case n.Data == "a" && text(n) == "", n.Data == "button" && text(n) == "":
			t.Errorf("<%s> without a text", n.Data)
		}
	}
}

func TestPolicyAllowsTheStyleSheetAndNothingElse(t *testing.T) {
	t.Parallel()
	policy := newPages(t).ContentSecurityPolicy()
	for name, page := range everyPage(t, "en") {
		styles := parse(t, page).find("style")
		if len(styles) != 1 || styles[0].FirstChild == nil {
			t.Fatalf("%s: no style sheet", name)
		}
		sum := sha256.Sum256([]byte(styles[0].FirstChild.Data))
		if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("%s: the policy does not allow the style sheet %s: %s", name, want, policy)
		}
	}
	for _, want := range []string{"default-src 'none'; ", "form-action 'self'; ", "base-uri 'none'; ", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy without %s: %s", want, policy)
		}
	}
	for _, bad := range []string{"unsafe", "script-src", "*", "http"} {
		if strings.Contains(policy, bad) {
			t.Errorf("policy with %s: %s", bad, policy)
		}
	}
}

func TestHostileTextsStayTexts(t *testing.T) {
	t.Parallel()
	for _, tag := range languages {
		for name, page := range everyPage(t, tag) {
			d := parse(t, page)
			body := d.text()
			for _, r := range []rune{0x202e, 0x2066, 0x061c, 0x00, 0x1b} {
				if strings.ContainsRune(page, r) {
					t.Errorf("%s: U+%04X in the page", name, r)
				}
			}
			if strings.Contains(body, "@@style@@") != strings.HasSuffix(name, "hostile_template") {
				t.Errorf("%s: a mark of the templates was replaced in, or left out of, somebody's text", name)
			}
			if strings.HasSuffix(name, "hostile_script") && !strings.Contains(body, `<script>alert(1)</script>`) {
				t.Errorf("%s: the text is not shown as it is", name)
			}
			if strings.HasSuffix(name, "hostile_entity") && !strings.Contains(body, `&lt;b&gt;&#x3c;img src=x onerror=alert(1)>`) {
				t.Errorf("%s: the text is not shown as it is", name)
			}
			if !strings.Contains(page, "</html>") {
				t.Errorf("%s: the page is cut off", name)
			}
			if len(page) > 3<<20 {
				t.Errorf("%s: %d bytes", name, len(page))
			}
		}
	}
}

func TestUnknownLanguageIsChinese(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	page := render(t, func(b *bytes.Buffer) error { return p.RenderStart(b, `"><script>`, Start{}) })
	if got := attr(parse(t, page).find("html")[0], "lang"); got != "zh-Hans" {
		t.Errorf("lang is %q", got)
	}
}

// failing is a writer that does not take what it is given.
type failing struct{ writes int }

func (f *failing) Write([]byte) (int, error) {
	f.writes++
	return 0, http.ErrHandlerTimeout
}

func TestWriterErrorIsReturnedAndPagesAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	var f failing
	if err := newPages(t).RenderScan(&f, "en", scene("ok", "en")); err != http.ErrHandlerTimeout { //nolint:errorlint // as it is
		t.Errorf("error %v, want the writer's", err)
	}
	if f.writes != 1 {
		t.Errorf("%d writes, want 1", f.writes)
	}
}

func TestMissingTextStopsCompilation(t *testing.T) {
	t.Parallel()
	if _, err := setWords("<p>[[brand]] [[no.such_text]]</p>", "en"); err == nil || !strings.Contains(err.Error(), "no.such_text") {
		t.Errorf("error %v, want one that names the text", err)
	}
}

func TestWordsAreCompleteAndUsed(t *testing.T) {
	t.Parallel()
	used := sources(t)
	for _, key := range slices.Sorted(maps.Keys(words)) {
		p := words[key]
		if strings.TrimSpace(p.zh) == "" || strings.TrimSpace(p.en) == "" {
			t.Errorf("%s is missing in a language: %q, %q", key, p.zh, p.en)
		}
		if strings.ContainsFunc(p.en, isHan) && key != "other_lang" && key != "start.other_title" && key != "start.other_intro" {
			t.Errorf("%s: Chinese in the English text %q", key, p.en)
		}
		group := key
		if i := strings.LastIndexByte(key, '.'); i > 0 {
			group = key[:i+1]
		}
		if !strings.Contains(used, "[["+key+"]]") && !strings.Contains(used, `"`+key+`"`) && !strings.Contains(used, `"`+group+`"`) &&
			!strings.HasPrefix(key, "problem.") {
			t.Errorf("%s is not used", key)
		}
	}
	for code, p := range problemReasons {
		if p.zh == "" || p.en == "" || !strings.ContainsFunc(p.zh, isHan) || strings.ContainsFunc(p.en, isHan) {
			t.Errorf("reason %s: %q, %q", code, p.zh, p.en)
		}
	}
}
