package web

import (
	"html/template"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/lang"
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

// cardView is a list of facts with the mark of who vouches for them.
type cardView struct {
	Mark  template.HTML
	Facts []fact
}

type fact struct {
	Label string
	Value spoken
	Code  bool // a number to be compared with the package

	Mark template.HTML // who stands behind it; "" where the fact needs nobody, such as the code itself
	By   string
}

type stepView struct {
	Stage, Title   string // Stage is "" where it is the stage of the step before
	At             moment
	Local          string
	Place, Firm    string
	Document       string
	Class          string
	Mark           template.HTML
	Missing, Wrong bool
	Gap            bool // steps between the one before and this one are left out
}

// conflictView is something in the records that cannot be.
type conflictView struct {
	Text string
	Says string // the two dates, if it is about dates
	At   moment
}

// paperView is a document about the goods: of the lot first, then of the product.
type paperView struct {
	Kind   string
	About  string // that it is about the lot, or the product
	Mark   template.HTML
	By     string
	Chip   string // that it has expired
	Issuer string
	Number string
	Valid  string
	Hash   string
	Link   string // of the file; "": it is not public
	Type   string // of the file
}

// logView says how the steps stand in the transparency log.
type logView struct{ Text, Proof string }

type scansView struct {
	Text, Places string
	FirstAt      moment
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

// hasChain says whether the page speaks of a chain. A product without a lot has none, so it lacks none.
func hasChain(a *trace.Answer) bool {
	return len(a.Chain) > 0 || a.Product != nil && (a.Asked.Lot != "" || a.Asked.Serial != "")
}

func conflicts(tag string, list []trace.Contradiction) []conflictView {
	out := make([]conflictView, 0, len(list))
	for _, c := range list {
		v := conflictView{Text: clean(c.Text), At: momentOf(tag, c.At)}
		if len(c.Says) > 0 { // of records, whose time says nothing to a shopper
			v.Says, v.At = clean(strings.Join(c.Says, " / ")), moment{}
		}
		out = append(out, v)
	}
	return out
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

// maxSellers is how many firms one card names.
const maxSellers = 10

func sellers(tag string, firms []trace.FirmName) spoken {
	names := make([]string, 0, len(firms))
	for _, f := range firms {
		name := f.Name.In(tag)
		if name == "" {
			name = f.ID
		}
		names = append(names, clean(name))
	}
	return spoken{Text: join(tag, names, maxSellers)}
}

func newCard(tag, provenance string, facts []fact) *cardView {
	facts = slices.DeleteFunc(facts, func(f fact) bool { return f.Value.Text == "" && f.Mark == "" })
	for i := range facts {
		facts[i].Label = words[facts[i].Label].in(tag)
	}
	return &cardView{Mark: mark(tag, provenance), Facts: facts}
}

// told marks a fact with who stands behind it. A fact that is missing is shown as such if it is one that shoppers look for.
func (f fact) told(tag string, by trace.Fact, firms []trace.FirmName, expected bool) fact {
	if f.Value.Text == "" && !expected {
		return f
	}
	if f.Value.Text == "" {
		by = trace.Fact{Status: trace.ProvMissing}
	}
	f.Mark, f.By = mark(tag, by.Status), whoSaid(tag, by, firms)
	return f
}

// whoSaid names who stands behind a fact: an authority with its document and date, or a firm.
func whoSaid(tag string, by trace.Fact, firms []trace.FirmName) string {
	switch by.Status {
	case trace.ProvVerified:
		parts := []string{clean(by.Name.In(tag))}
		if by.Document != "" {
			parts = append(parts, words["chain.doc"].in(tag)+" "+clean(by.Document))
		}
		parts = append(parts, day(tag, by.Date))
		return join(tag, slices.DeleteFunc(parts, func(p string) bool { return p == "" }), len(parts))
	case trace.ProvClaimed:
		for _, f := range firms {
			if f.ID == by.By {
				return clean(f.Name.In(tag))
			}
		}
	}
	return ""
}

func productCard(tag string, p *trace.ProductView) *cardView {
	told := func(f fact, by trace.Fact, expected bool) fact { return f.told(tag, by, p.Sellers, expected) }
	return newCard(tag, p.Provenance, []fact{
		told(fact{Label: "name", Value: speak(tag, p.Name)}, p.Facts.Name, true),
		told(fact{Label: "product_brand", Value: speak(tag, p.Brand)}, p.Facts.Brand, true),
		told(fact{Label: "net", Value: spoken{Text: clean(p.Net)}}, p.Facts.Net, false),
		told(fact{Label: "category", Value: spoken{Text: categoryName(tag, p.Category)}}, p.Facts.Category, false),
		told(fact{Label: "origin", Value: spoken{Text: country(tag, p.Origin)}}, p.Facts.Origin, true),
		{Label: "gtin", Value: spoken{Text: clean(p.GTIN)}, Code: true},
		{Label: "sellers", Value: sellers(tag, p.Sellers)},
		{Label: "lot_hint", Value: speak(tag, p.LotHint)},
	})
}

func lotCard(tag string, l *trace.LotView) *cardView {
	quantity := ""
	if l.Quantity > 0 {
		quantity = thousands(l.Quantity)
	}
	told := func(f fact, by trace.Fact, expected bool) fact { return f.told(tag, by, l.Sellers, expected) }
	return newCard(tag, l.Provenance, []fact{
		{Label: "lot", Value: spoken{Text: clean(l.Lot)}, Code: true},
		told(fact{Label: "produced", Value: spoken{Text: day(tag, l.Produced)}}, l.Facts.Produced, true),
		told(fact{Label: "expires", Value: spoken{Text: day(tag, l.Expires)}}, l.Facts.Expires, true),
		told(fact{Label: "quantity", Value: spoken{Text: quantity}}, l.Facts.Quantity, false),
		told(fact{Label: "declaration", Value: spoken{Text: clean(l.Declaration)}, Code: true}, l.Facts.Declaration, true),
		told(fact{Label: "inspection", Value: spoken{Text: clean(l.Inspection)}, Code: true}, l.Facts.Inspection, true),
		{Label: "sellers", Value: sellers(tag, l.Sellers)},
	})
}

func papers(tag, about string, docs []trace.PaperView) []paperView {
	out := make([]paperView, 0, len(docs))
	for i := range docs {
		d := &docs[i]
		v := paperView{
			Kind: clean(d.Kind.Name().In(tag)), About: about, Mark: mark(tag, d.Fact.Status), By: whoSaid(tag, d.Fact, []trace.FirmName{d.Firm}),
			Issuer: clean(d.Issuer), Number: clean(d.Number), Valid: validity(tag, d.From, d.Until), Hash: clean(d.Hash), Link: d.File, Type: fileTypes[d.Media],
		}
		if d.State == trace.PaperExpired {
			v.Chip = words["paper.expired"].in(tag)
		}
		out = append(out, v)
	}
	return out
}

var fileTypes = map[string]string{"application/pdf": "PDF", "image/jpeg": "JPEG", "image/png": "PNG"}

// validity is from when to when a document is good, as far as it says.
func validity(tag, from, until string) string {
	switch {
	case from == "" && until == "":
		return ""
	case until == "":
		return day(tag, from) + words["paper.from"].in(tag)
	case from == "":
		return words["paper.until"].in(tag) + day(tag, until)
	}
	return day(tag, from) + words["paper.to"].in(tag) + day(tag, until)
}

func categoryName(tag, code string) string {
	if name := warning.CategoryName(code).In(tag); name != "" {
		return name
	}
	return clean(code)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// vouched is the class of a provenance; what is not vouched for counts as missing.
func vouched(provenance string) string {
	switch provenance {
	case trace.ProvVerified, trace.ProvClaimed:
		return provenance
	}
	return trace.ProvMissing
}

// mark is how a provenance is marked.
func mark(tag, provenance string) template.HTML { return marks[tag][vouched(provenance)] }

var marks = map[string]map[string]template.HTML{lang.ZhHans: marksIn(lang.ZhHans), lang.En: marksIn(lang.En)}

func marksIn(tag string) map[string]template.HTML {
	out := map[string]template.HTML{}
	for _, p := range [...]string{trace.ProvVerified, trace.ProvClaimed, trace.ProvMissing} {
		//nolint:gosec // made of this package's own texts
		out[p] = template.HTML(`<span class="mark m-` + p + `">` + words["prov."+p].in(tag) + `</span>`)
	}
	return out
}

// The steps that a page shows of a long chain: where the goods come from, and what happened to them last.
const (
	firstSteps = 20
	lastSteps  = 60
)

func steps(tag string, chain []trace.Step) []stepView {
	gap := -1
	if len(chain) > firstSteps+lastSteps {
		gap = firstSteps
		chain = slices.Concat(chain[:firstSteps], chain[len(chain)-lastSteps:])
	}
	out := make([]stepView, 0, len(chain))
	before := ""
	for i := range chain {
		s := &chain[i]
		v := stepView{
			Title: clean(s.Title), At: momentAt(tag, s.Time), Local: localTime(s.TimeText), Place: clean(s.Place), Firm: clean(s.Firm),
			Document: clean(s.Document), Class: "m-" + vouched(s.Provenance), Mark: mark(tag, s.Provenance),
			Missing: s.Provenance == trace.ProvMissing, Wrong: s.Corrected, Gap: i == gap,
		}
		if v.Wrong {
			v.Class += " wrong"
		}
		if s.Stage != before || v.Gap {
			v.Stage = word(tag, "stage.", s.Stage)
		}
		if before = s.Stage; v.Missing || strings.EqualFold(v.Stage, v.Title) {
			v.Stage = ""
		}
		out = append(out, v)
	}
	return out
}

// logOf counts the steps that the transparency log has and those that wait for it, and links the proof of the last. nil where nothing is said of it.
func logOf(tag string, chain []trace.Step) *logView {
	logged, pending := 0, 0
	v := &logView{}
	for i := range chain {
		switch l := chain[i].Log; {
		case l == nil:
		case l.State == trace.LogLogged:
			logged++
			v.Proof = l.Proof
		default:
			pending++
		}
	}
	var texts []string
	if logged > 0 {
		texts = append(texts, counted(tag, logged, "log.one", "log.many"))
	}
	if pending > 0 {
		texts = append(texts, counted(tag, pending, "log.wait.one", "log.wait.many"))
	}
	if v.Text = strings.Join(texts, words["log.and"].in(tag)); v.Text == "" {
		return nil
	}
	return v
}

// counted gives the text for a number of things, one or many.
func counted(tag string, n int, one, many string) string {
	if n == 1 {
		return words[one].in(tag)
	}
	return strconv.Itoa(n) + words[many].in(tag)
}

// manyScans is where the count of scans ends (trace.ScanFacts).
const manyScans = 200

// scans says who scanned before. It is said of units only: a lot or a product is scanned by everybody who buys it.
func scans(tag string, a *trace.Answer) *scansView {
	if a.Asked.Serial == "" {
		return nil
	}
	v := &scansView{}
	switch s := &a.Scan; {
	case s.Recorded && s.First:
		v.Text = words["scans.first"].in(tag)
	case s.Count > 0:
		v.Text = scannedBefore(tag, s.Count)
		v.FirstAt = momentAt(tag, s.FirstAt)
		places := make([]string, len(s.Places))
		for i, place := range s.Places {
			places[i] = clean(place)
		}
		v.Places = join(tag, places, 10)
	case s.Recorded:
		v.Text = words["scans.nobody"].in(tag)
	}
	if !a.Scan.Recorded {
		v.Text = strings.TrimSpace(v.Text + " " + words["scans.unrecorded"].in(tag))
	}
	return v
}

func scannedBefore(tag string, n int) string {
	count := strconv.Itoa(n)
	if tag != lang.En {
		if n >= manyScans {
			return "此前别人至少扫过 " + count + " 次。"
		}
		return "此前别人扫过 " + count + " 次。"
	}
	switch {
	case n == 1:
		return "Somebody else has scanned this code once before."
	case n >= manyScans:
		return "Others have scanned this code at least " + count + " times before."
	}
	return "Others have scanned this code " + count + " times before."
}
