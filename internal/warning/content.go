package warning

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// Content is what an officer writes and the public reads.
type Content struct {
	Level      Level     `json:"level"`
	Regime     string    `json:"regime"`   // a code of Regimes
	Hazard     string    `json:"hazard"`   // a code of Hazards
	Category   string    `json:"category"` // a code of Categories
	Recall     bool      `json:"recall,omitempty"`
	Title      lang.Text `json:"title"`
	Advice     lang.Text `json:"advice"` // what to do now
	Summary    lang.Text `json:"summary,omitempty"`
	ShortText  lang.Text `json:"short_text,omitempty"` // for SMS
	Scope      Scope     `json:"scope"`
	Issuer     lang.Text `json:"issuer,omitempty"` // the issuing body as it is shown
	DocumentNo string    `json:"document_no,omitempty"`
	LegalBasis string    `json:"legal_basis,omitempty"`
}

// Bounds of a content. Together they keep a message below the store's 1 MiB.
const (
	MaxTitle     = 120  // characters in each language
	MaxAdvice    = 1000 // characters in each language
	MaxSummary   = 4000 // characters in each language
	MaxShortText = 70   // characters in each language: one Chinese SMS
	MaxIssuer    = 120  // characters in each language
	MaxReference = 200  // characters of document number and legal basis
	MaxReason    = 2000 // characters in each language
	MaxClauses   = 100
	MaxGTINs     = 2000 // over all clauses
	MaxLots      = 4000 // over all clauses
	MaxLotText   = 40   // characters of one lot
)

// checker gathers the broken rules of one content.
type checker struct {
	prefix string
	fields []fault.Field
}

func (c *checker) add(pointer, code, format string, args ...any) {
	c.fields = append(c.fields, fault.Field{Pointer: c.prefix + pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

func (c *checker) err() error {
	if len(c.fields) == 0 {
		return nil
	}
	return fault.InvalidFields(c.fields...)
}

// Normalized checks a content against every rule and gives it in its canonical form: GTINs with 14 digits and each once, lots
// trimmed, texts without spaces around them. The error is Invalid and lists all that is wrong, with pointers that begin with
// prefix ("" when the content is the request body itself).
func (c *Content) Normalized(prefix string) (Content, error) {
	ch := &checker{prefix: prefix}
	n := c.trimmed()
	ch.term("/level", string(n.Level), Levels)
	ch.term("/regime", n.Regime, Regimes)
	ch.term("/hazard", n.Hazard, Hazards)
	ch.term("/category", n.Category, Categories)
	ch.text("/title", n.Title, MaxTitle, true)
	ch.text("/advice", n.Advice, MaxAdvice, true)
	ch.text("/summary", n.Summary, MaxSummary, false)
	ch.text("/short_text", n.ShortText, MaxShortText, false)
	ch.text("/issuer", n.Issuer, MaxIssuer, false)
	ch.line("/document_no", n.DocumentNo, MaxReference)
	ch.line("/legal_basis", n.LegalBasis, MaxReference)
	n.Scope = ch.scope(n.Scope)
	return n, ch.err()
}

// trimmed is a copy that shares no map or slice with c.
func (c *Content) trimmed() Content {
	n := *c
	for _, t := range []*lang.Text{&n.Title, &n.Advice, &n.Summary, &n.ShortText, &n.Issuer} {
		*t = trimmedText(*t)
	}
	for _, s := range []*string{&n.Regime, &n.Hazard, &n.Category, &n.DocumentNo, &n.LegalBasis} {
		*s = strings.TrimSpace(*s)
	}
	n.Scope.Clauses = slices.Clone(n.Scope.Clauses)
	for i := range n.Scope.Clauses {
		cl := &n.Scope.Clauses[i]
		cl.GTINs, cl.Lots = slices.Clone(cl.GTINs), slices.Clone(cl.Lots)
	}
	return n
}

func trimmedText(t lang.Text) lang.Text {
	out := lang.Text{}
	for tag, s := range t {
		if s = strings.TrimSpace(s); s != "" {
			out[tag] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (c *checker) term(pointer, code string, terms []Term) {
	if code == "" {
		c.add(pointer, "required", "this field is required")
		return
	}
	if named(terms, code) == nil {
		codes := make([]string, len(terms))
		for i, t := range terms {
			codes[i] = t.Code
		}
		c.add(pointer, "unknown_code", "one of: %s", strings.Join(codes, ", "))
	}
}

func (c *checker) text(pointer string, t lang.Text, most int, required bool) {
	if required {
		for _, tag := range []string{lang.ZhHans, lang.En} {
			if t[tag] == "" {
				c.add(pointer+"/"+tag, "required", "this text is required in Chinese and in English")
			}
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(t)) {
		if !lang.Valid(tag) {
			c.add(pointer+"/"+escapePointer(tag), "unknown_language", "texts are in %s and %s", lang.ZhHans, lang.En)
			continue
		}
		if n := utf8.RuneCountInString(t[tag]); n > most {
			c.add(pointer+"/"+tag, "too_long", "%d characters; at most %d", n, most)
		}
		c.characters(pointer+"/"+tag, t[tag], true)
	}
}

func (c *checker) line(pointer, s string, most int) {
	if n := utf8.RuneCountInString(s); n > most {
		c.add(pointer, "too_long", "%d characters; at most %d", n, most)
	}
	c.characters(pointer, s, false)
}

// characters refuses what a text for people never holds: broken UTF-8, control characters (line breaks where multiline), and
// the marks that reverse the direction of writing.
func (c *checker) characters(pointer, s string, multiline bool) {
	if !utf8.ValidString(s) {
		c.add(pointer, "characters", "this text is not valid UTF-8")
		return
	}
	bad := func(r rune) bool {
		if multiline && (r == '\n' || r == '\r' || r == '\t') {
			return false
		}
		return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	}
	if strings.ContainsFunc(s, bad) {
		c.add(pointer, "characters", "this text holds control characters")
	}
}

func (c *checker) scope(sc Scope) Scope {
	if len(sc.Clauses) == 0 {
		c.add("/scope/clauses", "required", "a warning says which goods it is about")
	}
	if len(sc.Clauses) > MaxClauses {
		c.add("/scope/clauses", "too_many", "%d clauses; at most %d", len(sc.Clauses), MaxClauses)
		return sc
	}
	gtins, lots := 0, 0
	for i := range sc.Clauses {
		gtins += len(sc.Clauses[i].GTINs)
		lots += len(sc.Clauses[i].Lots)
	}
	if gtins > MaxGTINs {
		c.add("/scope/clauses", "too_many", "%d GTINs in all clauses; at most %d", gtins, MaxGTINs)
	}
	if lots > MaxLots {
		c.add("/scope/clauses", "too_many", "%d lots in all clauses; at most %d", lots, MaxLots)
	}
	if gtins > MaxGTINs || lots > MaxLots {
		return sc
	}
	for i := range sc.Clauses {
		c.clause("/scope/clauses/"+strconv.Itoa(i), &sc.Clauses[i])
	}
	return sc
}

func (c *checker) clause(at string, cl *Clause) {
	if len(cl.GTINs) == 0 {
		c.add(at+"/gtins", "required", "name the products; a clause about everything is not accepted")
	}
	for j, s := range cl.GTINs {
		g, err := gs1.ParseGTINLenient(s)
		if err != nil {
			c.add(at+"/gtins/"+strconv.Itoa(j), fault.CodeOf(err), "%s", detail(err))
			continue
		}
		cl.GTINs[j] = string(g)
	}
	cl.GTINs = unique(cl.GTINs)
	for j, s := range cl.Lots {
		cl.Lots[j] = strings.TrimSpace(s)
		c.lot(at+"/lots/"+strconv.Itoa(j), cl.Lots[j])
	}
	cl.Lots = unique(cl.Lots)
	c.serials(at, cl)
	c.days(at, cl)
}

// lot accepts a GS1 lot and any text that a maker prints instead; it is matched through gs1.FoldLot.
func (c *checker) lot(pointer, s string) {
	if s == "" || gs1.FoldLot(s) == "" {
		c.add(pointer, "required", "this lot number has no letter or digit")
		return
	}
	c.line(pointer, s, MaxLotText)
}

func (c *checker) serials(at string, cl *Clause) {
	cl.SerialFrom, cl.SerialTo = strings.TrimSpace(cl.SerialFrom), strings.TrimSpace(cl.SerialTo)
	if cl.SerialFrom == "" && cl.SerialTo == "" {
		return
	}
	ok := true
	for _, end := range []struct{ pointer, serial string }{{at + "/serial_from", cl.SerialFrom}, {at + "/serial_to", cl.SerialTo}} {
		if end.serial == "" {
			c.add(end.pointer, "required", "a serial range has both ends; for one serial they are equal")
			ok = false
		} else if err := gs1.ValidSerial(end.serial); err != nil {
			c.add(end.pointer, fault.CodeOf(err), "%s", detail(err))
			ok = false
		}
	}
	if ok && !newSerialRange(cl.SerialFrom, cl.SerialTo).valid() {
		c.add(at+"/serial_to", "range",
			"the last serial must not be before the first; unless both are numbers they must have the same length")
	}
}

func (c *checker) days(at string, cl *Clause) {
	cl.ProducedFrom, cl.ProducedTo = strings.TrimSpace(cl.ProducedFrom), strings.TrimSpace(cl.ProducedTo)
	ok := true
	for _, end := range []struct{ pointer, day string }{{at + "/produced_from", cl.ProducedFrom}, {at + "/produced_to", cl.ProducedTo}} {
		if _, err := time.Parse(time.DateOnly, end.day); err != nil && end.day != "" {
			c.add(end.pointer, "date", "a day of the calendar as YYYY-MM-DD")
			ok = false
		}
	}
	if ok && cl.ProducedFrom != "" && cl.ProducedTo != "" && cl.ProducedFrom > cl.ProducedTo {
		c.add(at+"/produced_to", "range", "the last production day must not be before the first")
	}
}

// detail is the sentence of a fault of package gs1.
func detail(err error) string {
	if e, ok := asFault(err); ok {
		return e.Detail
	}
	return err.Error()
}

// unique drops repetitions and keeps the order; an empty list becomes nil, so that equal contents are deeply equal.
func unique(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

// escapePointer escapes a reference token (RFC 6901, section 3).
func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// GTINs gives every GTIN of the scope once, in the order of the clauses.
func (sc *Scope) GTINs() []string {
	var all []string
	for i := range sc.Clauses {
		all = append(all, sc.Clauses[i].GTINs...)
	}
	return unique(all)
}

// Delta says in what a content differs from the one before it.
type Delta struct {
	Raised, Lowered bool // the level, or the step to or from a recall at the same level
	Scope           bool
	Text            bool // anything else
}

// Any says whether anything differs.
func (d Delta) Any() bool { return d != Delta{} }

// Compare tells what changed from before to after.
func Compare(before, after *Content) Delta {
	was, is := before.severity(), after.severity()
	d := Delta{Raised: is > was, Lowered: is < was, Scope: !reflect.DeepEqual(before.Scope, after.Scope)}
	a, b := *before, *after
	a.Level, a.Recall, a.Scope = b.Level, b.Recall, b.Scope
	d.Text = !reflect.DeepEqual(a, b)
	return d
}

// severity orders contents as findings are shown: a recall before every level.
func (c *Content) severity() int {
	s := c.Level.Rank()
	if c.Recall {
		s += 10
	}
	return s
}
