package capalert

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
)

// maxProblems bounds what is said about one message.
const maxProblems = 100

// rule is one line of a complex type of the schema: how often an element may stand, and what may stand in it. Elements stand in the order of
// their rules.
type rule struct {
	name     string
	min, max int                 // max 0: any number
	broken   func(string) string // says what is wrong with the text; nil: any text
	kids     []rule              // nil: text only
}

var (
	named = []rule{{name: "valueName", min: 1, max: 1, broken: blank}, {name: "value", min: 1, max: 1}}

	alert11 = alertRules(V11)
	alert12 = alertRules(V12)
)

func alertRules(version string) []rule {
	return []rule{
		{name: "identifier", min: 1, max: 1, broken: name},
		{name: "sender", min: 1, max: 1, broken: name},
		{name: "sent", min: 1, max: 1, broken: dateTime},
		{name: "status", min: 1, max: 1, broken: oneOf(Actual, "Exercise", "System", "Test", "Draft")},
		{name: "msgType", min: 1, max: 1, broken: oneOf(MsgAlert, MsgUpdate, MsgCancel, "Ack", "Error")},
		{name: "source", max: 1},
		{name: "scope", min: 1, max: 1, broken: oneOf(Public, "Restricted", "Private")},
		{name: "restriction", max: 1},
		{name: "addresses", max: 1},
		{name: "code"},
		{name: "note", max: 1},
		{name: "references", max: 1, broken: references},
		{name: "incidents", max: 1},
		{name: "info", kids: infoRules(version)},
	}
}

func infoRules(version string) []rule {
	responses := []string{"Shelter", "Evacuate", "Prepare", "Execute", "Monitor", "Assess", "None"}
	mime := 0
	if version == V12 {
		responses, mime = append(responses, "Avoid", "AllClear"), 1
	}
	return []rule{
		{name: "language", max: 1, broken: language},
		{name: "category", min: 1, broken: oneOf("Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other")},
		{name: "event", min: 1, max: 1, broken: blank},
		{name: "responseType", broken: oneOf(responses...)},
		{name: "urgency", min: 1, max: 1, broken: oneOf("Immediate", "Expected", "Future", "Past", "Unknown")},
		{name: "severity", min: 1, max: 1, broken: oneOf("Extreme", "Severe", "Moderate", "Minor", "Unknown")},
		{name: "certainty", min: 1, max: 1, broken: oneOf("Observed", "Likely", "Possible", "Unlikely", "Unknown")},
		{name: "audience", max: 1},
		{name: "eventCode", kids: named},
		{name: "effective", max: 1, broken: dateTime},
		{name: "onset", max: 1, broken: dateTime},
		{name: "expires", max: 1, broken: dateTime},
		{name: "senderName", max: 1},
		{name: "headline", max: 1},
		{name: "description", max: 1},
		{name: "instruction", max: 1},
		{name: "web", max: 1},
		{name: "contact", max: 1},
		{name: "parameter", kids: named},
		{name: "resource", kids: []rule{
			{name: "resourceDesc", min: 1, max: 1}, {name: "mimeType", min: mime, max: 1}, {name: "size", max: 1, broken: integer},
			{name: "uri", max: 1}, {name: "derefUri", max: 1}, {name: "digest", max: 1},
		}},
		{name: "area", kids: []rule{
			{name: "areaDesc", min: 1, max: 1, broken: blank}, {name: "polygon", broken: polygon}, {name: "circle", broken: circle},
			{name: "geocode", kids: named}, {name: "altitude", max: 1, broken: decimal}, {name: "ceiling", max: 1, broken: decimal},
		}},
	}
}

// Decode reads one message, in UTF-8 or the encoding that it declares. What breaks the standard is refused: Malformed (cap_syntax, cap_doctype,
// cap_not_cap) with the line; TooLarge (cap_too_large); or Invalid with a pointer, a code and the line for each broken rule, the first 100.
func Decode(r io.Reader) (*Alert, error) {
	root, space, err := read(r)
	if err != nil {
		return nil, err
	}
	version, rules := namespaces[space], alert12
	if version == V11 {
		rules = alert11
	}
	c := &checker{}
	c.children(root, rules, "/alert")
	c.together(root)
	if c.bad != nil {
		return nil, fault.InvalidFields(c.bad...)
	}
	return newAlert(version, root), nil
}

// checker collects what is wrong with a message.
type checker struct{ bad []fault.Field }

func (c *checker) say(line int, pointer, code, format string, args ...any) {
	if len(c.bad) < maxProblems {
		c.bad = append(c.bad, fault.Field{Pointer: pointer, Code: code, Detail: fmt.Sprintf("line %d: %s", line, fmt.Sprintf(format, args...))})
	}
}

// children holds the children of an element to the rules.
func (c *checker) children(e *element, rules []rule, pointer string) {
	if e.content != "" {
		c.say(e.line, pointer, "cap_text", "there is text between the elements of <%s>", e.name)
	}
	at := 0 // the rule that was met last
	seen := make([]int, len(rules))
	for _, k := range e.kids {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.name == k.name })
		if i < 0 {
			c.say(k.line, pointer+"/"+clip(k.name), "cap_unknown_element", "<%s> has no place in <%s>", clip(k.name), e.name)
			continue
		}
		r := &rules[i]
		seen[i]++
		where := pointer + "/" + k.name
		if r.max != 1 {
			where += "/" + strconv.Itoa(seen[i]-1)
		}
		switch {
		case i < at:
			c.say(k.line, where, "cap_order", "<%s> stands after <%s> and belongs before it", k.name, rules[at].name)
		case r.max > 0 && seen[i] > r.max:
			c.say(k.line, where, "cap_repeated", "<%s> stands there twice", k.name)
		}
		at = max(at, i)
		c.one(k, r, where)
	}
	for i, r := range rules {
		if seen[i] < r.min {
			c.say(e.line, pointer+"/"+r.name, "cap_missing", "<%s> has no <%s>", e.name, r.name)
		}
	}
}

func (c *checker) one(e *element, r *rule, pointer string) {
	if r.kids != nil {
		c.children(e, r.kids, pointer)
		return
	}
	if len(e.kids) > 0 {
		c.say(e.line, pointer, "cap_unknown_element", "<%s> holds text and no elements", e.name)
		return
	}
	if r.broken == nil {
		return
	}
	if why := r.broken(e.content); why != "" {
		c.say(e.line, pointer, "cap_value", "<%s> %s", e.name, why)
	}
}

// together checks what no single element can break (3.2.1).
func (c *checker) together(alert *element) {
	for _, r := range []struct{ element, value, needs string }{
		{"msgType", MsgUpdate, "references"}, {"msgType", MsgCancel, "references"}, {"msgType", "Ack", "references"}, {"msgType", "Error", "references"},
		{"scope", "Restricted", "restriction"}, {"scope", "Private", "addresses"},
	} {
		if alert.text(r.element) == r.value && len(alert.all(r.needs)) == 0 {
			c.say(alert.line, "/alert/"+r.needs, "cap_missing", "a message with the %s %s has <%s>", r.element, r.value, r.needs)
		}
	}
}

// clip keeps what a sender wrote from filling the answer.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func blank(s string) string {
	if s == "" {
		return "is empty"
	}
	return ""
}

// name is an identifier or a sender: references would be torn apart by spaces and commas in them.
func name(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.ContainsAny(s, " \t\r\n,<&"):
		return "contains a space, a comma, < or &"
	}
	return ""
}

func oneOf(words ...string) func(string) string {
	return func(s string) string {
		if slices.Contains(words, s) {
			return ""
		}
		return fmt.Sprintf("is %q and not one of %s", clip(s), strings.Join(words, ", "))
	}
}

// dateTimes have an offset that is written out: UTC is -00:00, never Z (3.3.2).
var dateTimes = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d$`)

func parseTime(s string) (time.Time, error) {
	if !dateTimes.MatchString(s) {
		return time.Time{}, fmt.Errorf("%q is no dateTime of CAP", clip(s))
	}
	return time.Parse(time.RFC3339, s)
}

func dateTime(s string) string {
	if _, err := parseTime(s); err != nil {
		return fmt.Sprintf("is %q and not a time such as 2026-05-24T16:49:00+08:00", clip(s))
	}
	return ""
}

func parseReference(s string) (Reference, bool) {
	parts := strings.Split(s, ",")
	if len(parts) != 3 || name(parts[0]) != "" || name(parts[1]) != "" {
		return Reference{}, false
	}
	t, err := parseTime(parts[2])
	return Reference{parts[0], parts[1], t}, err == nil
}

func references(s string) string {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return "is empty"
	}
	for _, f := range fields {
		if _, ok := parseReference(f); !ok {
			return fmt.Sprintf("has %q, which is not sender,identifier,sent", clip(f))
		}
	}
	return ""
}

var languages = regexp.MustCompile(`^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$`)

func language(s string) string {
	if !languages.MatchString(s) {
		return fmt.Sprintf("is %q and not a language tag", clip(s))
	}
	return ""
}

func integer(s string) string {
	if _, err := strconv.ParseInt(s, 10, 64); err != nil {
		return fmt.Sprintf("is %q and not an integer", clip(s))
	}
	return ""
}

var decimals = regexp.MustCompile(`^[-+]?(\d+(\.\d*)?|\.\d+)$`)

func decimal(s string) string {
	if !decimals.MatchString(s) {
		return fmt.Sprintf("is %q and not a decimal number", clip(s))
	}
	return ""
}

// point says whether s is a WGS 84 coordinate pair (3.3.3): latitude, longitude.
func point(s string) bool {
	lat, lon, ok := strings.Cut(s, ",")
	return ok && within(lat, 90) && within(lon, 180)
}

func within(s string, bound float64) bool {
	if !decimals.MatchString(s) {
		return false
	}
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && f >= -bound && f <= bound
}

func polygon(s string) string {
	points := strings.Fields(s)
	for _, p := range points {
		if !point(p) {
			return fmt.Sprintf("has %q, which is not latitude,longitude", clip(p))
		}
	}
	switch {
	case len(points) < 4:
		return "has fewer than four points"
	case points[0] != points[len(points)-1]:
		return "does not end where it begins"
	}
	return ""
}

func circle(s string) string {
	parts := strings.Fields(s)
	if len(parts) != 2 || !point(parts[0]) || !decimals.MatchString(parts[1]) || strings.HasPrefix(parts[1], "-") {
		return fmt.Sprintf("is %q and not latitude,longitude and a radius in km", clip(s))
	}
	return ""
}
