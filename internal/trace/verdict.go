package trace

import (
	"cmp"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// facts are all that a verdict follows from. The verdict is a pure function of them.
type facts struct {
	asked     Asked
	lang      string
	now       time.Time
	chain     *chain
	confirmed bool // the warnings in force are known
	matches   []warning.Match
	seen      seen
}

// The thresholds of the counterfeit signals. A bottle on display is scanned by many shoppers, in one place; once it is sold, by a
// family. A copied code is scanned by whoever meets a copy, wherever that is.
const (
	manyScanners          = 10
	manyCities            = 3
	manyScannersAfterSale = 5
	manyBeforeActivation  = 3 // a label that is on no goods yet is scanned by those who print it
)

// severity orders findings, worst first.
var severity = map[string]int{
	"recall": 0, "warning": 10, "void": 40, "lot_mismatch": 41, "sold_twice": 42, "far_apart": 43, "many_scanners": 44,
	"possible": 50, "expired": 55, "code_unknown": 60, "product_unknown": 60, "lot_unknown": 61, "unit_unknown": 62, "duty_free_sold": 70, "scanned_unlabelled": 72, "not_activated": 75, "notice": 80,
}

func (f *facts) verdict() *Answer {
	c := f.chain
	a := &Answer{
		Lang: f.lang, Asked: f.asked, Level: c.level(), Product: c.product, Lot: c.lot, Chain: c.steps(f.lang), encoded: c.encoded(f.lang), Findings: []Finding{},
		Cold: c.coldIn(f.lang), Scan: ScanFacts{Count: f.seen.others, Places: f.seen.places}, Contradictions: worded(c.conflicts, f.lang),
	}
	if f.seen.firstAt != 0 {
		t := time.UnixMilli(f.seen.firstAt).UTC()
		a.Scan.FirstAt = &t
	}
	codes := f.codeFindings()
	for _, code := range codes {
		t := findingTexts[code]
		a.Findings = append(a.Findings, Finding{
			Kind: findingKind(code), Code: code, Title: t.title.in(f.lang), Text: t.text.in(f.lang), Todo: t.todo.in(f.lang),
		})
	}
	a.Authenticity = f.authenticity(codes)
	a.Sale = Sale{Status: c.sale(), Text: saleTexts[c.sale()].in(f.lang)}
	a.Safety = f.safety()
	for i := range f.matches {
		a.Findings = append(a.Findings, f.warningFinding(&f.matches[i]))
	}
	for i := range c.notices {
		a.Findings = append(a.Findings, f.noticeFinding(&c.notices[i]))
	}
	slices.SortStableFunc(a.Findings, func(x, y Finding) int { return cmp.Compare(rank(x), rank(y)) })
	a.Headline = f.headline(a)
	return a
}

func rank(x Finding) int {
	switch x.Kind {
	case "recall", "warning":
		if x.Match == "possible" {
			return severity["possible"]
		}
		return severity[x.Kind] + 4 - warning.Level(x.Level).Rank()
	case "notice":
		return severity["notice"]
	}
	return severity[x.Code]
}

func findingKind(code string) string {
	switch code {
	case "many_scanners", "far_apart":
		return "scan"
	case "sold_twice", "duty_free_sold":
		return "sale"
	}
	return "code"
}

// codeFindings lists what is odd about the code, its scans and its sale.
func (f *facts) codeFindings() []string {
	c := f.chain
	var out []string
	add := func(when bool, code string) {
		if when {
			out = append(out, code)
		}
	}
	unit := c.askedLevel == gs1.Unit
	add(f.asked.GTIN == "", "code_unknown")
	add(f.asked.GTIN != "" && c.product == nil, "product_unknown")
	if c.product != nil {
		add(f.asked.Lot != "" && c.lot == nil && !c.knownUnit(), "lot_unknown")
		add(unit && !c.knownUnit(), "unit_unknown")
	}
	add(c.void(), "void")
	add(c.lotMismatch, "lot_mismatch")
	add(c.soldTwice, "sold_twice")
	if unit && c.knownUnit() {
		add(f.seen.visitors >= manyScanners && f.seen.cities >= manyCities || f.seen.afterSale >= manyScannersAfterSale, "many_scanners")
		add(f.seen.near, "far_apart")
	}
	if c.dormant() {
		many := f.seen.visitors >= manyBeforeActivation
		add(many, "scanned_unlabelled")
		add(!many, "not_activated")
	}
	add(c.sale() == SaleSoldDutyFree, "duty_free_sold")
	add(c.lot != nil && c.lot.Expires != "" && c.lot.Expires < f.now.In(hainan).Format(time.DateOnly), "expired")
	return out
}

// hainan is the civil time of the province: China has one time zone and no daylight saving.
var hainan = time.FixedZone("Asia/Shanghai", 8*60*60)

func (f *facts) authenticity(codes []string) Authenticity {
	c := f.chain
	status := AuthIssued
	switch {
	case slices.Contains(codes, "void"):
		status = AuthVoid
	case slices.ContainsFunc(codes, func(code string) bool {
		return code == "lot_mismatch" || code == "sold_twice" || code == "many_scanners" || code == "far_apart"
	}):
		status = AuthSuspicious
	case c.product == nil && !c.knownUnit():
		status = AuthUnknownProduct
	case slices.Contains(codes, "unit_unknown") || slices.Contains(codes, "lot_unknown"):
		status = AuthUnknownUnit
	}
	return Authenticity{Status: status, Text: authTexts[status].in(f.lang)}
}

func (f *facts) safety() Safety {
	s := Safety{Status: SafeNoneKnown, AsOf: f.now}
	switch {
	case !f.confirmed:
		s.Status = SafeUnconfirmed
	case len(f.matches) > 0:
		s.Status = SafeWarning
		worst := f.worst()
		s.Level = string(worst.Warning.Level)
		if worst.Warning.Recall && worst.Certain {
			s.Status = SafeRecalled
		}
	}
	s.Text = safetyTexts[s.Status].in(f.lang)
	if f.asked.GTIN == "" {
		s.Text = nothingToCheck.in(f.lang)
	}
	if s.Status == SafeWarning && !f.worst().Certain {
		s.Text = checkPackage.in(f.lang)
	}
	return s
}

// worst is the match that decides: a certain one before a possible one, else the worst by level.
func (f *facts) worst() *warning.Match {
	if i := slices.IndexFunc(f.matches, func(m warning.Match) bool { return m.Certain }); i >= 0 {
		return &f.matches[i]
	}
	return &f.matches[0]
}

func (f *facts) warningFinding(m *warning.Match) Finding {
	w := m.Warning
	x := Finding{
		Kind: "warning", Code: "warning", Level: string(w.Level), Match: "certain", No: w.No,
		Title: w.Title.In(f.lang), Text: w.Summary.In(f.lang), Todo: w.Advice.In(f.lang),
	}
	if w.Recall {
		x.Kind, x.Code = "recall", "recall"
	}
	if !m.Certain {
		x.Match = "possible"
		x.Text = checkPackage.in(f.lang)
		if m.Why == warning.WhyLotLike {
			x.Text = lotAlike.in(f.lang)
		}
		if p := f.chain.product; p != nil && p.LotHint.In(f.lang) != "" {
			x.Text += " " + p.LotHint.In(f.lang)
		}
	}
	return x
}

func (f *facts) noticeFinding(n *notice.Notice) Finding {
	return Finding{Kind: "notice", Code: "foreign_notice", Match: "possible", No: n.ID, Title: n.Title, Text: noticeText.in(f.lang)}
}

func (f *facts) headline(a *Answer) Headline {
	h := Headline{Status: HeadCodeValid}
	switch {
	case a.Safety.Status == SafeRecalled:
		h.Status = HeadRecalled
	case a.Safety.Status == SafeWarning:
		h.Status = HeadWarning
	case a.Safety.Status == SafeUnconfirmed:
		h.Status = HeadUnconfirmed
	case a.Authenticity.Status == AuthVoid:
		h.Status = HeadVoid
	case a.Authenticity.Status == AuthSuspicious:
		h.Status = HeadSuspicious
	case a.Authenticity.Status != AuthIssued:
		h.Status = HeadUnknown
	}
	t := headlines[h.Status]
	h.Title, h.Todo = t.title.in(f.lang), t.todo.in(f.lang)
	if h.Status != HeadWarning && h.Status != HeadRecalled {
		return h
	}
	h.Level = a.Safety.Level
	worst := f.worst()
	if !worst.Certain {
		h.Title, h.Todo = possibleHead.in(f.lang), possibleTodo.in(f.lang)
		return h
	}
	if h.Status == HeadWarning {
		if f.lang == lang.En {
			h.Title = "A " + levelNames[h.Level].en + " safety warning is in force"
			if h.Level == "orange" {
				h.Title = "An orange safety warning is in force"
			}
		} else {
			h.Title = "有" + levelNames[h.Level].zh + "风险预警"
		}
	}
	if advice := worst.Warning.Advice.In(f.lang); advice != "" {
		h.Todo = advice
	}
	return h
}
