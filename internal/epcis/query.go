package epcis

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// Query is a SimpleEventQuery (EPCIS 2.0, section 8.2.7.1). An event is found if every condition holds, and a condition holds
// if any of its values does. Among the parameters it has no reading of master data: WD_ takes the places inside a GLN for those with
// an extension of it.
type Query struct {
	EventTime  Span
	RecordTime Span
	// ByRecordTime orders by record time and not by event time; Ascending from the oldest and not from the newest.
	ByRecordTime, Ascending bool
	PerPage                 int    // 1 to MaxPerPage
	PageToken               string // "" is the first page

	declared   Span // error declaration time
	conditions []condition
	print      string
}

// The number of events in a page.
const (
	DefaultPerPage = 30
	MaxPerPage     = 1000
)

// Span is [From, To); a zero end is open.
type Span struct{ From, To time.Time }

func (s Span) holds(t time.Time) bool {
	return (s.From.IsZero() || !t.Before(s.From)) && (s.To.IsZero() || t.Before(s.To))
}

// Aspect is something by which an index may find events.
type Aspect string

// The aspects.
const (
	AnID         Aspect = "id"
	AType        Aspect = "type"
	ABizStep     Aspect = "step"
	ADisposition Aspect = "disp"
	AReadPoint   Aspect = "read"
	ABizLocation Aspect = "loc"
	ATransaction Aspect = "bt"
	AThing       Aspect = "thing" // an EPC or class at any place in the event

	noAspect Aspect = ""
)

// Lookup says that every event that a query finds has one of the values in an aspect.
type Lookup struct {
	Aspect Aspect
	Values []string // canonical; full URIs of terms
}

// condition is one parameter.
type condition struct {
	aspect   Aspect
	values   []string // canonical
	patterns []pattern
	of       eventValues
}

// eventValues calls is with what an event says in some place, until is says yes, and gives whether it did.
type eventValues func(e *Event, is func(gs1.EPC, string) bool) bool

func (c *condition) is(id gs1.EPC, text string) bool {
	return slices.Contains(c.values, text) || slices.ContainsFunc(c.patterns, func(p pattern) bool { return p.matches(id) })
}

// Matches says whether the query finds an event that was recorded at a time.
func (q *Query) Matches(e *Event, recorded time.Time) bool {
	if !q.EventTime.holds(e.Time.Time) || !q.RecordTime.holds(recorded) {
		return false
	}
	if q.declared != (Span{}) && (e.ErrorDeclaration == nil || !q.declared.holds(e.ErrorDeclaration.Time.Time)) {
		return false
	}
	for i := range q.conditions {
		if c := &q.conditions[i]; !c.of(e, c.is) {
			return false
		}
	}
	return true
}

// Lookups gives the conditions by which an index may find the events.
func (q *Query) Lookups() []Lookup {
	var out []Lookup
	for i := range q.conditions {
		if c := &q.conditions[i]; c.aspect != noAspect && len(c.patterns) == 0 {
			out = append(out, Lookup{c.aspect, c.values})
		}
	}
	return out
}

// Restrict adds the condition that events have a value in an aspect, as the resources of the REST binding do: /bizSteps/shipping/events.
func (q *Query) Restrict(a Aspect, value string) []BadParam {
	r := queryReader{q: q, name: string(a)}
	p := resourceParams[a]
	c := condition{aspect: a, of: p.of}
	r.value(&c, p, value)
	q.conditions = append(q.conditions, c)
	q.print = fingerprint([]Param{{"", q.print}, {r.name, value}})
	return r.bad
}

// Fingerprint is the same for queries that find the same in the same order; PerPage and PageToken are no part of it.
func (q *Query) Fingerprint() string { return q.print }

func fingerprint(params []Param) string {
	sorted := slices.Clone(params)
	slices.SortFunc(sorted, func(a, b Param) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	h := sha256.New()
	for _, p := range sorted {
		if p.Name != paramPerPage && p.Name != paramPageToken {
			_, _ = h.Write([]byte(p.Name + "\x00" + p.Value + "\x00")) // a hash takes everything
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
