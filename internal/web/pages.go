// Package web renders the public pages: the scan page, the start page, warnings, and refusals for people.
//
// A page is one response: its only style sheet is inlined and allowed by its hash, icons are drawn in the page, and there is no
// script. Everything works in the browsers inside messengers, with scripts and third parties blocked. The layout holds from 320 px
// and with text enlarged to 200 %, and follows the phone's light or dark scheme.
//
// Domain texts are data and are escaped by html/template. The page's own texts are in words.go, in Chinese and English, and are set into
// the templates when they are compiled, so a missing text stops New and not a reader.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html"
	"html/template"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/haisu-trace/haisu/internal/lang"
)

//go:embed templates
var files embed.FS

// Pages renders pages. It is immutable and safe for concurrent use. Every method writes a whole HTML document in one Write, or
// nothing: its error is that of the template or of the writer. lang is lang.ZhHans or lang.En; anything else counts as Chinese.
type Pages struct {
	scan, start, warning, warnings, problem, enrol page
	policy                                         string
}

// page is one template by language.
type page struct{ zh, en *template.Template }

// frame is what the layout around every page needs.
type frame struct {
	Title   string // of the document
	Switch  string // relative URL of the page in the other language
	NoIndex bool   // keeps codes out of search engines
}

// New compiles the pages. It fails only if the embedded files contradict this code.
func New() (*Pages, error) {
	source, err := files.ReadFile("templates/style.css")
	if err != nil {
		return nil, err
	}
	css := compactCSS(string(source))
	p := &Pages{policy: policy(css)}
	for _, each := range []struct {
		to    *page
		file  string
		empty any
	}{
		{&p.scan, "scan", scanView{}},
		{&p.start, "start", startView{}},
		{&p.warning, "warning", warningView{}},
		{&p.warnings, "warnings", warningsView{}},
		{&p.problem, "problem", problemView{}},
		{&p.enrol, "enrol", enrolView{}},
	} {
		if each.to.zh, err = compile(each.file, lang.ZhHans, css, each.empty); err != nil {
			return nil, err
		}
		if each.to.en, err = compile(each.file, lang.En, css, each.empty); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// ContentSecurityPolicy is the value of the header Content-Security-Policy that every page is made for. It allows the one inlined
// style sheet by its hash, and nothing that is not in the page but forms to this server.
func (p *Pages) ContentSecurityPolicy() string { return p.policy }

func policy(css string) string {
	sum := sha256.Sum256([]byte(css))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src 'self' data:; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// compile parses a page in the layout, with the texts of one language set in. It renders the page once, empty: html/template escapes
// a template on its first use, and the first shopper of the day should not wait for that, nor find the mistakes.
func compile(name, tag, css string, empty any) (*template.Template, error) {
	t := template.New("layout")
	for _, file := range []string{"layout", "icons", name} {
		source, err := files.ReadFile("templates/" + file + ".html")
		if err != nil {
			return nil, err
		}
		text, err := setWords(string(source), tag)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", file, err)
		}
		if _, err := t.Parse(strings.ReplaceAll(text, "@@style@@", css)); err != nil {
			return nil, fmt.Errorf("template %s: %w", file, err)
		}
	}
	if err := t.ExecuteTemplate(io.Discard, "page", empty); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return t.Lookup("page"), nil
}

// icon is what the named symbol of icons.html looks like in a text. Names are constants of this package.
func icon(name string) template.HTML { return icons[name] }

var icons = drawn("stop", "alert", "doubt", "ban", "wait", "ask", "ok", "info")

func drawn(names ...string) map[string]template.HTML {
	out := make(map[string]template.HTML, len(names))
	for _, name := range names {
		//nolint:gosec // made of constants
		out[name] = template.HTML(`<svg class="i" aria-hidden="true" focusable="false"><use href="#i-` + name + `"/></svg>`)
	}
	return out
}

// slot is where a text of the page stands in a template: [[key]].
var slot = regexp.MustCompile(`\[\[([a-z0-9_.]+)\]\]`)

// indent is the white space that only lays out the source of a template.
var indent = regexp.MustCompile(`\n[\t ]*`)

func setWords(source, tag string) (string, error) {
	var missing []string
	text := slot.ReplaceAllStringFunc(indent.ReplaceAllString(source, "\n"), func(s string) string {
		key := s[2 : len(s)-2]
		w, ok := words[key]
		if !ok {
			missing = append(missing, key)
		}
		return html.EscapeString(w.in(tag))
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("no text for %s", strings.Join(missing, ", "))
	}
	return text, nil
}

var (
	cssComment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	cssSpace   = regexp.MustCompile(`\s+`)
	cssAround  = regexp.MustCompile(` ?([{};,]) ?`)
	cssColon   = regexp.MustCompile(`([a-z)]): `)
)

// compactCSS drops comments and what white space the style sheet can do without. html/template would drop comments as well, and the
// hash in the policy must be that of the text which the browser gets.
func compactCSS(css string) string {
	css = cssSpace.ReplaceAllString(cssComment.ReplaceAllString(css, ""), " ")
	css = cssColon.ReplaceAllString(cssAround.ReplaceAllString(css, "$1"), "$1:")
	return strings.TrimSpace(strings.ReplaceAll(css, ";}", "}"))
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKept is the largest buffer that is kept for the next page.
const maxKept = 256 << 10

// write renders a page and writes it at once, so that a failure leaves no half of it behind.
func (p page) write(w io.Writer, tag string, view any) error {
	t := p.zh
	if tag == lang.En {
		t = p.en
	}
	b, _ := buffers.Get().(*bytes.Buffer) // the pool holds nothing else
	b.Reset()
	defer func() {
		if b.Cap() <= maxKept {
			buffers.Put(b)
		}
	}()
	if err := t.Execute(b, view); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
