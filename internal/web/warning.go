package web

import (
	"html/template"
	"io"
	"net/url"
	"slices"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

// warningView is the public page of one warning.
type warningView struct {
	frame
	Tone           string
	Icon           template.HTML
	Level, Status  string
	Recall         bool
	Over           bool   // lifted or retracted
	OverText       string // what that means
	Reason         string // of the lift or the retraction
	H1             string
	Advice, Detail string
	Clauses        []clauseView
	Facts          []fact
	History        []messageView
	Omitted        bool
}

// clauseView is one clause of the scope, in words.
type clauseView struct {
	GTINs    shortList
	Lots     shortList
	Serials  string
	Produced string
}

// shortList shows the first items and folds the rest away.
type shortList struct{ First, Rest []item }

type item struct{ Text, Link string }

type messageView struct {
	Kind, Level, Tone string
	At                moment
	Reason            string
}

const (
	maxFirst   = 12 // items of a list that are not folded away
	maxHistory = 50 // messages
)

var overLooks = map[warning.Status]struct{ icon, text string }{
	warning.StatusLifted:    {"ok", "w.lifted"},
	warning.StatusRetracted: {"ban", "w.retracted"},
}

// RenderWarning writes the public page of a published warning, with its history. Officers' names are not shown: a warning is its
// authority's.
func (p *Pages) RenderWarning(w io.Writer, tag string, st warning.State) error {
	tag = valid(tag)
	c := &st.Current
	v := warningView{
		frame: frame{Switch: query("lang", other(tag))},
		Tone:  levelTone(string(c.Level), "orange"), Icon: icon("alert"), Level: levelName(tag, string(c.Level)),
		Status: word(tag, "status.", string(st.Status)), Recall: c.Recall, H1: clean(c.Title.In(tag)),
		Advice: clean(c.Advice.In(tag)), Detail: clean(c.Summary.In(tag)), Clauses: clauses(tag, &c.Scope), Facts: aboutWarning(tag, &st),
	}
	if c.Recall {
		v.Icon = icon("stop")
	}
	if over, ok := overLooks[st.Status]; ok {
		v.Tone, v.Icon, v.Over = "slate", icon(over.icon), true
		v.OverText, v.Reason = words[over.text].in(tag), clean(c.Reason.In(tag))
	}
	v.Title = v.H1
	v.History, v.Omitted = history(tag, st.History)
	return p.warning.write(w, tag, &v)
}

func aboutWarning(tag string, st *warning.State) []fact {
	c := &st.Current
	issuer := c.Issuer.In(tag)
	if issuer == "" {
		issuer = st.Authority
	}
	updated := momentOf(tag, c.Published)
	if c.Rev <= 1 {
		updated = moment{}
	}
	return newCard(tag, "", []fact{
		{Label: "w.no", Value: spoken{Text: clean(st.No)}, Code: true},
		{Label: "w.issuer", Value: spoken{Text: clean(issuer)}},
		{Label: "w.document", Value: spoken{Text: clean(c.DocumentNo)}},
		{Label: "w.basis", Value: spoken{Text: clean(c.LegalBasis)}},
		{Label: "w.regime", Value: spoken{Text: regimeName(tag, c.Regime)}},
		{Label: "w.hazard", Value: spoken{Text: hazardName(tag, c.Hazard)}},
		{Label: "w.category", Value: spoken{Text: categoryName(tag, c.Category)}},
		{Label: "w.issued", Value: spoken{Text: zoned(tag, momentOf(tag, st.Issued))}},
		{Label: "w.updated", Value: spoken{Text: zoned(tag, updated)}},
	}).Facts
}

// zoned is a moment with its zone in words.
func zoned(tag string, m moment) string {
	if m.Text == "" {
		return ""
	}
	return m.Text + words["zone.in"].in(tag)
}

func hazardName(tag, code string) string {
	if name := warning.HazardName(code).In(tag); name != "" {
		return name
	}
	return clean(code)
}

func regimeName(tag, code string) string {
	i := slices.IndexFunc(warning.Regimes, func(t warning.Term) bool { return t.Code == code })
	if i < 0 {
		return clean(code)
	}
	return warning.Regimes[i].Name.In(tag)
}

func clauses(tag string, sc *warning.Scope) []clauseView {
	out := make([]clauseView, 0, len(sc.Clauses))
	for i := range sc.Clauses {
		c := &sc.Clauses[i]
		out = append(out, clauseView{
			GTINs: shorten(c.GTINs, func(g string) string { return "/01/" + url.PathEscape(g) + query("lang", tag) }), Lots: shorten(c.Lots, nil),
			Serials: span(tag, clean(c.SerialFrom), clean(c.SerialTo)), Produced: span(tag, day(tag, c.ProducedFrom), day(tag, c.ProducedTo)),
		})
	}
	return out
}

func shorten(list []string, link func(string) string) shortList {
	items := make([]item, len(list))
	for i, s := range list {
		items[i].Text = clean(s)
		if link != nil {
			items[i].Link = link(s)
		}
	}
	n := min(len(items), maxFirst)
	return shortList{First: items[:n], Rest: items[n:]}
}

// span words a range whose ends both belong to it; an empty end is open.
func span(tag, from, to string) string {
	en := tag == lang.En
	switch {
	case from == to:
		return from
	case to == "" && en:
		return "from " + from + " on"
	case to == "":
		return from + "起"
	case from == "" && en:
		return "up to " + to
	case from == "":
		return to + "及以前"
	case en:
		return from + " to " + to
	}
	return from + " 至 " + to
}

// history has the latest message first.
func history(tag string, messages []warning.Message) (out []messageView, omitted bool) {
	for i := len(messages) - 1; i >= 0 && len(out) < maxHistory; i-- {
		m := &messages[i]
		v := messageView{Kind: word(tag, "message.", string(m.Kind)), At: momentOf(tag, m.Published), Reason: clean(m.Reason.In(tag))}
		if m.Kind == warning.KindAlert || m.Kind == warning.KindUpdate {
			v.Level, v.Tone = levelName(tag, string(m.Level)), levelTone(string(m.Level), "orange")
		}
		out = append(out, v)
	}
	return out, len(messages) > len(out)
}

// WarningList is a page of the public list of warnings.
type WarningList struct {
	Query string         // what was searched for; "" for the whole list
	Items []warning.Head // in the order in which they are shown
	Next  string         // cursor of the next page, "" on the last
}

type warningsView struct {
	frame
	Query    string
	Items    []headView
	Next     string // relative URL
	Searched bool
}

type headView struct {
	Tone, Level, Status   string
	Icon                  template.HTML
	Over, Recall          bool
	Title, Issuer, Advice string
	Link                  string
	Updated               moment
}

// RenderWarnings writes the list of warnings with its search box, a form that asks for /warnings?q=….
func (p *Pages) RenderWarnings(w io.Writer, tag string, l WarningList) error {
	tag = valid(tag)
	q := clean(l.Query)
	v := warningsView{
		frame: frame{Title: words["list.title"].in(tag), Switch: query("q", q, "lang", other(tag)), NoIndex: q != ""},
		Query: q, Searched: q != "",
	}
	if l.Next != "" {
		v.Next = "/warnings" + query("q", q, "cursor", l.Next, "lang", tag)
	}
	for i := range l.Items {
		v.Items = append(v.Items, headOf(tag, &l.Items[i]))
	}
	return p.warnings.write(w, tag, &v)
}

func headOf(tag string, h *warning.Head) headView {
	v := headView{
		Tone: levelTone(string(h.Level), "orange"), Icon: icon("alert"), Level: levelName(tag, string(h.Level)), Recall: h.Recall,
		Status: word(tag, "status.", string(h.Status)), Title: clean(h.Title.In(tag)), Issuer: clean(h.Issuer.In(tag)),
		Advice: clean(h.Advice.In(tag)), Link: warningLink(tag, h.No), Updated: momentOf(tag, h.Updated),
	}
	if h.Recall {
		v.Icon = icon("stop")
	}
	if over, ok := overLooks[h.Status]; ok {
		v.Tone, v.Icon, v.Over, v.Advice = "slate", icon(over.icon), true, ""
	}
	return v
}
