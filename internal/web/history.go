package web

import (
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
)

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

// logView says how the steps stand in the transparency log.
type logView struct{ Text, Proof string }

type scansView struct {
	Text, Places string
	FirstAt      moment
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
