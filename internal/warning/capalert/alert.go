// Package capalert reads messages of the Common Alerting Protocol (OASIS CAP 1.2, and the 1.1 that many senders still write). It does no I/O of
// its own: no entity, schema or stylesheet that a message names is ever fetched.
package capalert

import (
	"strings"
	"time"
)

// The versions that are read.
const (
	V11 = "1.1"
	V12 = "1.2"
)

// The values of Alert.Status and Alert.MsgType that callers ask for (3.2.1).
const (
	Actual = "Actual"
	Public = "Public"

	MsgAlert  = "Alert"
	MsgUpdate = "Update"
	MsgCancel = "Cancel"
)

// Alert is one message (CAP 1.2, 3.2.1). Texts are as they were sent, without the white space around them; what is optional and was left out
// is empty.
type Alert struct {
	Version     string // V11 or V12
	Identifier  string
	Sender      string
	Sent        time.Time // with the sender's offset
	Status      string    // Actual, Exercise, System, Test or Draft
	MsgType     string    // Alert, Update, Cancel, Ack or Error
	Source      string
	Scope       string // Public, Restricted or Private
	Restriction string
	Addresses   []string
	Codes       []string
	Note        string
	References  []Reference // earlier messages that this one is about
	Incidents   []string
	Infos       []Info // one per language, or per event
}

// Reference names a message (3.2.1, references).
type Reference struct {
	Sender, Identifier string
	Sent               time.Time
}

// Reference is how other messages name this one.
func (a *Alert) Reference() Reference { return Reference{a.Sender, a.Identifier, a.Sent} }

// Key is the same for every spelling of the instant, and for no two messages.
func (r Reference) Key() string {
	return r.Sender + "," + r.Identifier + "," + r.Sent.UTC().Format(time.RFC3339)
}

// Info is what a message says in one language (3.2.2).
type Info struct {
	Language     string // BCP 47; en-US where the message says nothing, as the standard wants it
	Categories   []string
	Event        string
	Responses    []string // Shelter, Evacuate, Prepare, Execute, Avoid, Monitor, Assess, AllClear or None
	Urgency      string   // Immediate, Expected, Future, Past or Unknown
	Severity     string   // Extreme, Severe, Moderate, Minor or Unknown
	Certainty    string   // Observed, Likely, Possible, Unlikely or Unknown
	Audience     string
	EventCodes   []Value
	Effective    time.Time // zero: from Alert.Sent on
	Onset        time.Time
	Expires      time.Time
	SenderName   string
	Headline     string
	Description  string
	Instruction  string
	Web, Contact string
	Parameters   []Value
	Resources    []Resource
	Areas        []Area
}

// Value is a value under the sender's own name for it.
type Value struct{ Name, Value string }

// Resource names a file that goes with the message (3.2.3). Content that stands in the message itself is left out.
type Resource struct{ Desc, MimeType, Size, URI, Digest string }

// Area is a place (3.2.4). Polygons and Circles are checked and kept as they were sent.
type Area struct {
	Desc              string
	Polygons, Circles []string
	Geocodes          []Value
	Altitude, Ceiling string
}

// Info gives what the message says in the language whose BCP 47 tag begins with one of the prefixes, tried in order, else its first info; nil
// for a message without any.
func (a *Alert) Info(prefixes ...string) *Info {
	for _, p := range prefixes {
		for i := range a.Infos {
			if strings.HasPrefix(strings.ToLower(a.Infos[i].Language), p) {
				return &a.Infos[i]
			}
		}
	}
	if len(a.Infos) == 0 {
		return nil
	}
	return &a.Infos[0]
}

func newAlert(version string, e *element) *Alert {
	a := &Alert{
		Version: version, Identifier: e.text("identifier"), Sender: e.text("sender"), Sent: e.time("sent"), Status: e.text("status"),
		MsgType: e.text("msgType"), Source: e.text("source"), Scope: e.text("scope"), Restriction: e.text("restriction"),
		Addresses: quoted(e.text("addresses")), Codes: e.texts("code"), Note: e.text("note"), Incidents: quoted(e.text("incidents")),
	}
	for f := range strings.FieldsSeq(e.text("references")) {
		r, _ := parseReference(f) // the rules have passed it
		a.References = append(a.References, r)
	}
	for _, i := range e.all("info") {
		a.Infos = append(a.Infos, newInfo(i))
	}
	return a
}

func newInfo(e *element) Info {
	i := Info{
		Language: e.text("language"), Categories: e.texts("category"), Event: e.text("event"), Responses: e.texts("responseType"),
		Urgency: e.text("urgency"), Severity: e.text("severity"), Certainty: e.text("certainty"), Audience: e.text("audience"),
		EventCodes: e.values("eventCode"), Effective: e.time("effective"), Onset: e.time("onset"), Expires: e.time("expires"),
		SenderName: e.text("senderName"), Headline: e.text("headline"), Description: e.text("description"), Instruction: e.text("instruction"),
		Web: e.text("web"), Contact: e.text("contact"), Parameters: e.values("parameter"),
	}
	if i.Language == "" {
		i.Language = "en-US"
	}
	for _, r := range e.all("resource") {
		i.Resources = append(i.Resources, Resource{r.text("resourceDesc"), r.text("mimeType"), r.text("size"), r.text("uri"), r.text("digest")})
	}
	for _, a := range e.all("area") {
		i.Areas = append(i.Areas, Area{
			Desc: a.text("areaDesc"), Polygons: a.texts("polygon"), Circles: a.texts("circle"), Geocodes: a.values("geocode"),
			Altitude: a.text("altitude"), Ceiling: a.text("ceiling"),
		})
	}
	return i
}

// quoted splits a list whose items are separated by white space, and stand in double quotes where they contain some (3.2.1, addresses).
func quoted(s string) []string {
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		item, rest := s, ""
		if s[0] == '"' {
			item, rest, _ = strings.Cut(s[1:], `"`)
		} else if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
			item, rest = s[:i], s[i:]
		}
		if item != "" {
			out = append(out, item)
		}
		s = rest
	}
	return out
}
