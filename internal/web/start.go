package web

import (
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/qr"
)

// Start is what the start page shows besides its own text.
type Start struct {
	PublicURL string     // absolute, what the QR codes' links begin with
	Demo      []DemoUnit // empty without demonstration data
}

// The kinds of demonstration units.
const (
	DemoOK         = "ok"
	DemoWarning    = "warning"
	DemoSuspicious = "suspicious"
)

// DemoUnit is one demonstration unit.
type DemoUnit struct {
	Kind  string // DemoOK, DemoWarning or DemoSuspicious
	Title lang.Text
	Path  string // of its Digital Link: /01/…/10/…/21/…
}

type startView struct {
	frame
	Demo []demoView
}

type demoView struct {
	Tone, Kind   string
	Title        spoken
	Href, Text   string
	Icon, Symbol template.HTML
}

var demoLooks = map[string]struct{ tone, icon string }{
	DemoOK: {"green", "ok"}, DemoWarning: {"orange", "alert"}, DemoSuspicious: {"plum", "doubt"},
}

// RenderStart writes the start page, which greets in both languages. It fails, too, when a link is too long for a QR code.
func (p *Pages) RenderStart(w io.Writer, tag string, s Start) error {
	tag = valid(tag)
	v := startView{frame: frame{Title: words["start.title"].in(tag), Switch: query("lang", other(tag))}}
	base := strings.TrimSuffix(s.PublicURL, "/")
	for _, u := range s.Demo {
		look, ok := demoLooks[u.Kind]
		if !ok {
			look.tone, look.icon = "slate", "info"
		}
		link := base + u.Path
		symbol, err := qr.SVG(link)
		if err != nil {
			return fmt.Errorf("demonstration unit %s: %w", u.Path, err)
		}
		v.Demo = append(v.Demo, demoView{
			Tone: look.tone, Icon: icon(look.icon), Kind: word(tag, "demo.", u.Kind), Title: speak(tag, u.Title),
			Href: u.Path + query("lang", tag), Text: clean(link),
			Symbol: template.HTML(symbol), //nolint:gosec // package qr draws it and puts no text into it
		})
	}
	return p.start.write(w, tag, &v)
}
