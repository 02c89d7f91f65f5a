package web

import (
	"html/template"
	"io"
	"net/url"

	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// scanView is the scan page: what to do, why, and only then the product's story.
type scanView struct {
	frame
	Tone     string // how the headline looks; its words say the same
	Icon     template.HTML
	Pending  bool // the headline is 'not known yet'
	H1, Todo string
	Level    string // name of the warning's level
	Name     spoken // of the product
	Code     []part
	Scheme   string
	Checks   [3]check
	AsOf     moment
	Findings []findingView
	Product  *cardView
	Lot      *cardView
	Papers   []paperView
	About    spoken // description of the product
	Cold     *coldView
	Chain    []stepView
	HasChain bool
	Log      *logView
	Scans    *scansView

	Conflicts []conflictView
}

// part is one element of the code: a GS1 application identifier and its value.
type part struct{ AI, Value string }

type check struct {
	Label, Tone, Word, Text string
	Icon                    template.HTML
}

type findingView struct {
	Tone, Kind, Level, Match string
	Icon                     template.HTML
	Title, Text, Todo        string
	Link, No                 string
}

// tones and icons of the headline. The tones of a warning are those of its level.
var headLooks = map[string]struct{ tone, icon string }{
	trace.HeadRecalled:    {"red", "stop"},
	trace.HeadWarning:     {"orange", "alert"},
	trace.HeadUnconfirmed: {"slate", "wait"},
	trace.HeadVoid:        {"ink", "ban"},
	trace.HeadSuspicious:  {"plum", "doubt"},
	trace.HeadUnknown:     {"slate", "ask"},
	trace.HeadCodeValid:   {"green", "ok"},
}

// levelTone gives the tone of a warning's level; fallback for a text that is none.
func levelTone(level, fallback string) string {
	if warning.Level(level).Rank() == 0 {
		return fallback
	}
	return level
}

func levelName(tag, level string) string {
	if level == "" {
		return ""
	}
	if name := warning.Level(level).Name().In(tag); name != "" {
		return name
	}
	return clean(level)
}

// RenderScan writes the answer to a scan. The chain runs from the producer to the counter, the way people tell a story and check
// it: what the shopper holds is at its end, and a gap shows where it is.
func (p *Pages) RenderScan(w io.Writer, tag string, a *trace.Answer) error {
	tag = valid(tag)
	look, ok := headLooks[a.Headline.Status]
	if !ok {
		look = headLooks[trace.HeadUnknown]
	}
	v := scanView{
		frame: frame{NoIndex: true, Switch: query("code", a.Asked.Code, "lang", other(tag))},
		Tone:  look.tone, Icon: icon(look.icon), Pending: a.Headline.Status == trace.HeadUnconfirmed,
		H1: clean(a.Headline.Title), Todo: clean(a.Headline.Todo), Level: levelName(tag, a.Headline.Level),
		Code: codeParts(&a.Asked), Scheme: clean(a.Asked.Scheme), Checks: checks(tag, a), AsOf: momentOf(tag, a.Safety.AsOf),
		Findings: findings(tag, a), HasChain: hasChain(a), Chain: steps(tag, a.Chain), Log: logOf(tag, a.Chain), Scans: scans(tag, a),
		Conflicts: conflicts(tag, a.Contradictions),
	}
	if a.Headline.Status == trace.HeadWarning {
		v.Tone = levelTone(a.Headline.Level, look.tone)
	}
	v.Title = v.H1
	if a.Product != nil {
		v.Name, v.About, v.Product = speak(tag, a.Product.Name), speak(tag, a.Product.Description), productCard(tag, a.Product)
		v.Title += " · " + v.Name.Text
	}
	v.Cold = coldCard(tag, a.Cold)
	if a.Lot != nil {
		v.Lot, v.Papers = lotCard(tag, a.Lot), papers(tag, words["paper.lot"].in(tag), a.Lot.Documents)
	}
	if a.Product != nil {
		v.Papers = append(v.Papers, papers(tag, words["paper.product"].in(tag), a.Product.Documents)...)
	}
	return p.scan.write(w, tag, &v)
}

func codeParts(a *trace.Asked) []part {
	var parts []part
	if a.Code != "" {
		parts = append(parts, part{Value: clean(a.Code)})
	}
	for _, e := range [...]part{{"01", a.GTIN}, {"10", a.Lot}, {"21", a.Serial}} {
		if e.Value != "" {
			parts = append(parts, part{AI: e.AI, Value: clean(e.Value)})
		}
	}
	return parts
}

// checks keeps what is known about the code, the safety and the sale apart: one does not make up for another.
func checks(tag string, a *trace.Answer) [3]check {
	code := check{
		Label: words["check.code"].in(tag), Tone: "slate", Icon: icon("ask"),
		Word: word(tag, "auth.", a.Authenticity.Status), Text: clean(a.Authenticity.Text),
	}
	switch a.Authenticity.Status {
	case trace.AuthIssued:
		code.Tone, code.Icon = "green", icon("ok")
	case trace.AuthSuspicious:
		code.Tone, code.Icon = "plum", icon("doubt")
	case trace.AuthVoid:
		code.Tone, code.Icon = "ink", icon("ban")
	}
	safety := check{
		Label: words["check.safety"].in(tag), Tone: "slate", Icon: icon("wait"),
		Word: word(tag, "safe.", a.Safety.Status), Text: clean(a.Safety.Text),
	}
	switch a.Safety.Status {
	case trace.SafeNoneKnown:
		safety.Tone, safety.Icon = "green", icon("ok")
		if a.Asked.GTIN == "" { // no product, so there was nothing to look for
			safety.Tone, safety.Icon = "slate", icon("info")
		}
	case trace.SafeWarning:
		safety.Tone, safety.Icon = levelTone(a.Safety.Level, "orange"), icon("alert")
	case trace.SafeRecalled:
		safety.Tone, safety.Icon = "red", icon("stop")
	}
	sale := check{
		Label: words["check.sale"].in(tag), Tone: "slate", Icon: icon("info"),
		Word: word(tag, "sale.", a.Sale.Status), Text: clean(a.Sale.Text),
	}
	if a.Sale.Status == trace.SaleSoldDutyFree {
		sale.Tone, sale.Icon = "ink", icon("ban")
	}
	return [3]check{code, safety, sale}
}

func findings(tag string, a *trace.Answer) []findingView {
	out := make([]findingView, 0, len(a.Findings))
	for i := range a.Findings {
		out = append(out, findingOf(tag, &a.Findings[i], a.Headline.Todo))
	}
	return out
}

// findingOf leaves out an advice that the headline has given already.
func findingOf(tag string, f *trace.Finding, said string) findingView {
	v := findingView{
		Tone: "slate", Icon: icon("ask"), Kind: word(tag, "kind.", f.Kind), Level: levelName(tag, f.Level),
		Title: clean(f.Title), Text: clean(f.Text), Todo: clean(f.Todo),
	}
	if f.Todo == said {
		v.Todo = ""
	}
	if f.Match == "possible" && f.Kind != "notice" {
		v.Match = words["match.possible"].in(tag)
	}
	switch f.Kind {
	case "recall":
		v.Tone, v.Icon = "red", icon("stop")
	case "warning":
		v.Tone, v.Icon = levelTone(f.Level, "orange"), icon("alert")
	case "notice":
		v.Icon = icon("info")
	case "scan":
		v.Tone, v.Icon = "plum", icon("doubt")
	}
	switch f.Code {
	case "lot_mismatch", "sold_twice":
		v.Tone, v.Icon = "plum", icon("doubt")
	case "void", "duty_free_sold":
		v.Tone, v.Icon = "ink", icon("ban")
	case "expired":
		v.Tone, v.Icon = "orange", icon("alert")
	}
	if f.No == "" {
		return v
	}
	v.No = clean(f.No)
	if f.Kind == "recall" || f.Kind == "warning" {
		v.Link = warningLink(tag, f.No)
	}
	return v
}

// warningLink is the page of a warning.
func warningLink(tag, no string) string {
	return "/warnings/" + url.PathEscape(no) + query("lang", tag)
}
