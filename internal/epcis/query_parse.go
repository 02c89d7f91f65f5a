package epcis

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// Param is a parameter as it came, without its escapes.
type Param struct{ Name, Value string }

// BadParam is a parameter that cannot be used.
type BadParam struct{ Name, Code, Detail string }

// The bounds of a query.
const (
	maxQueryValues = 50  // of one parameter
	maxQueryText   = 512 // bytes of one value
	maxPageToken   = 2048
)

// The parameters that say how to answer.
const (
	paramOrderBy   = "orderBy"
	paramDirection = "orderDirection"
	paramPerPage   = "perPage"
	paramPageToken = "nextPageToken"
)

// ParseQuery reads the parameters of a query. Values of one parameter stand side by side, separated by '|'; those that hold no comma, by
// ',' too. Terms are bare words, URNs of CBV 1 or URIs; identifiers are EPC URNs, Digital Links or other URIs, and MATCH_ parameters
// take pure identity patterns. A parameter that is not known, or comes twice, is bad and never ignored. If any is bad there is no query.
func ParseQuery(params []Param) (*Query, []BadParam) {
	r := queryReader{q: &Query{PerPage: DefaultPerPage, print: fingerprint(params)}}
	seen := map[string]bool{}
	for _, p := range params {
		if seen[p.Name] {
			r.bad = append(r.bad, BadParam{p.Name, "repeated", "the parameter is given more than once; separate its values by '|'"})
			continue
		}
		seen[p.Name] = true
		r.name = p.Name
		r.read(p.Value)
	}
	if seen[paramDirection] && !seen[paramOrderBy] {
		r.name = paramDirection
		r.fail("needs_order", "a direction needs orderBy")
	}
	if r.bad != nil {
		return nil, r.bad
	}
	if !seen[paramOrderBy] && r.q.EventTime == (Span{}) && r.q.RecordTime != (Span{}) {
		r.q.ByRecordTime = true // whoever asks for what is new wants it by that time
	}
	return r.q, nil
}

// queryReader reads one query.
type queryReader struct {
	q    *Query
	name string // of the parameter that is being read
	bad  []BadParam
}

func (r *queryReader) fail(code, format string, args ...any) {
	r.bad = append(r.bad, BadParam{r.name, code, fmt.Sprintf(format, args...)})
}

func (r *queryReader) read(value string) {
	if value == "" && r.name != "EXISTS_errorDeclaration" {
		r.fail("empty", "the parameter has no value; leave it out instead")
		return
	}
	switch r.name {
	case "GE_eventTime":
		r.time(value, &r.q.EventTime, false)
	case "LT_eventTime":
		r.time(value, &r.q.EventTime, true)
	case "GE_recordTime":
		r.time(value, &r.q.RecordTime, false)
	case "LT_recordTime":
		r.time(value, &r.q.RecordTime, true)
	case "GE_errorDeclarationTime":
		r.time(value, &r.q.declared, false)
	case "LT_errorDeclarationTime":
		r.time(value, &r.q.declared, true)
	case paramOrderBy:
		r.choice(value, map[string]func(){"eventTime": func() {}, "recordTime": func() { r.q.ByRecordTime = true }})
	case paramDirection:
		r.choice(value, map[string]func(){"DESC": func() {}, "ASC": func() { r.q.Ascending = true }})
	case paramPerPage:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > MaxPerPage {
			r.fail("out_of_range", "a page has 1 to %d events", MaxPerPage)
		}
		r.q.PerPage = n
	case paramPageToken:
		if len(value) > maxPageToken {
			r.fail("too_long", "this is no token of a page")
		}
		r.q.PageToken = value
	case "EXISTS_errorDeclaration":
		r.exists(value)
	default:
		r.condition(value)
	}
}

func (r *queryReader) choice(value string, choices map[string]func()) {
	set, ok := choices[value]
	if !ok {
		r.fail("not_allowed", "%.40q is none of the values that there are", value)
		return
	}
	set()
}

// time reads an end of a span. A space is the plus sign of an offset that was not escaped: nothing else can be meant.
func (r *queryReader) time(value string, s *Span, end bool) {
	t, code, bad := parseTime(strings.ReplaceAll(value, " ", "+"))
	switch {
	case bad != "":
		r.fail(code, "%.60q is no time: %s", value, bad)
	case end:
		s.To = t.Time
	default:
		s.From = t.Time
	}
}

func (r *queryReader) exists(value string) {
	switch value {
	case "", "true", "false":
	default:
		r.fail("not_allowed", "the value is true or false")
	}
	r.q.conditions = append(r.q.conditions, condition{of: func(e *Event, _ func(gs1.EPC, string) bool) bool {
		return (e.ErrorDeclaration != nil) == (value != "false")
	}})
}

// condition reads a parameter of the table.
func (r *queryReader) condition(value string) {
	p, ok := queryParams[r.name]
	if !ok {
		if p, ok = r.typed(); !ok {
			return
		}
	}
	c := condition{aspect: p.aspect, of: p.of}
	sep := func(ch rune) bool { return ch == '|' || ch == ',' && (p.terms != nil || p.words != nil) }
	values := strings.FieldsFunc(value, sep)
	if len(values) == 0 || len(values) > maxQueryValues {
		r.fail("too_many", "a parameter has 1 to %d values", maxQueryValues)
		return
	}
	for _, v := range values {
		r.value(&c, p, v)
	}
	r.q.conditions = append(r.q.conditions, c)
}

// value reads one value of a condition.
func (r *queryReader) value(c *condition, p queryParam, v string) {
	if len(v) > maxQueryText {
		r.fail("too_long", "a value has at most %d bytes", maxQueryText)
		return
	}
	d := &decoder{report: report{max: 1}}
	n := &node{kind: isString, text: v}
	switch {
	case p.words != nil:
		if !p.words[v] {
			r.fail("not_allowed", "%.40q is none of the values that there are", v)
		}
		c.values = append(c.values, v)
		return
	case p.terms != nil:
		c.values = append(c.values, string(d.term(n, nil, p.terms)))
	case p.verbatim:
		c.values = append(c.values, v)
	case p.pattern && strings.HasPrefix(v, idpat):
		pt, ok := parsePattern(v)
		if !ok {
			r.fail("epc_pattern", "%.80q is no pattern that can be asked for: leave open the serial, or reference and serial", v)
		}
		c.patterns = append(c.patterns, pt)
	default:
		id := d.identifier(n, nil)
		if p.within && id.EPC.Key().AI == locationKey && id.EPC.Qualifier().AI == "" {
			c.patterns = append(c.patterns, pattern{ai: locationKey, key: id.EPC.Key().Value})
		}
		c.values = append(c.values, id.String())
	}
	for _, f := range d.fields {
		r.fail(f.Code, "%s", f.Detail)
	}
}

// locationKey is the AI of a GLN that names a place.
const locationKey = "414"

// typed finds EQ_bizTransaction_TYPE, EQ_source_TYPE and EQ_destination_TYPE.
func (r *queryReader) typed() (queryParam, bool) {
	for _, k := range []struct {
		prefix string
		types  *vocabulary
		of     func(Term) eventValues
		aspect Aspect
	}{
		{"EQ_bizTransaction_", bizTransactionTypes, inTransactions, ATransaction},
		{"EQ_source_", sourceDestTypes, inSources, noAspect},
		{"EQ_destination_", sourceDestTypes, inDestinations, noAspect},
	} {
		name, ok := strings.CutPrefix(r.name, k.prefix)
		if !ok {
			continue
		}
		d := &decoder{report: report{max: 1}}
		t := d.term(&node{kind: isString, text: name}, nil, k.types)
		for _, f := range d.fields {
			r.fail(f.Code, "%s", f.Detail)
			return queryParam{}, false
		}
		return queryParam{of: k.of(t), aspect: k.aspect}, true
	}
	r.fail("unknown_parameter", "there is no such parameter")
	return queryParam{}, false
}
