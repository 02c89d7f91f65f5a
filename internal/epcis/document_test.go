package epcis

import (
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

const documentHead = `"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-07-22T10:30:00Z",`

func TestDocumentHeaders(t *testing.T) {
	t.Parallel()
	doc := decode(t, []byte(`{"@context":"https://ref.gs1.org/standards/epcis/epcis-context.jsonld","id":"urn:x:doc","sender":"urn:x:a",`+
		`"receiver":"urn:x:b","instanceIdentifier":"1",`+documentHead+`"epcisHeader":{"epcisMasterData":{}},"epcisBody":{"eventList":[]}}`))
	if doc.Query || doc.ID != "urn:x:doc" || doc.Sender != "urn:x:a" || doc.Receiver != "urn:x:b" || doc.SchemaVersion != "2.0" ||
		doc.Created.Text != "2026-07-22T10:30:00Z" || len(doc.Events) != 0 {
		t.Errorf("%+v", doc)
	}
	for body, want := range map[string][]place{
		`[]`:                     {{"", "wrong_type"}},
		`{"type":"ObjectEvent"}`: {{"/type", "unknown_type"}},
		`{"@context":[],"x":1,` + documentHead + `"epcisBody":{"eventList":[]}}`: {{"/x", "unknown_field"}},
		`{` + documentHead + `"epcisBody":{"eventList":[]}}`:                     {{"/@context", "missing"}},
		`{"@context":[],"type":"EPCISDocument","epcisBody":{}}`: {
			{"/schemaVersion", "missing"}, {"/creationDate", "missing"}, {"/epcisBody/eventList", "missing"},
		},
		`{"@context":[],"type":"EPCISQueryDocument","epcisBody":{"queryResults":{"x":1}}}`: {
			{"/epcisBody/queryResults/x", "unknown_field"}, {"/epcisBody/queryResults/resultsBody", "missing"},
		},
		`{"@context":[],"type":"EPCISDocument","schemaVersion":"1.2","creationDate":"now","epcisBody":[]}`: {
			{"/schemaVersion", "unsupported_version"}, {"/creationDate", "bad_time"}, {"/epcisBody", "wrong_type"},
		},
		`{"@context":[],` + documentHead + `"epcisBody":{"eventList":[7]}}`: {{"/epcisBody/eventList/0", "wrong_type"}},
	} {
		_, err := DecodeDocument([]byte(body), Limits{})
		refusedAt(t, err, fault.Invalid, want...)
	}
	_, err := DecodeEvent([]byte(`{"eventTime":"2026-07-22T06:45:00Z","eventTimeZoneOffset":"+08:00",`+objectEvent+`}`), Limits{})
	refusedAt(t, err, fault.Invalid, place{"/@context", "missing"})
}

func TestContexts(t *testing.T) {
	t.Parallel()
	for context, want := range map[string][]place{
		`7`:                  {{"/@context", "wrong_type"}},
		`[[]]`:               {{"/@context/0", "wrong_type"}},
		`["no URI"]`:         {{"/@context/0", "bad_uri"}},
		`{"a":1}`:            {{"/@context/a", "wrong_type"}},
		`{"a":"no URI"}`:     {{"/@context/a", "bad_uri"}},
		`{"https":"urn:x:"}`: {{"/@context/https", "reserved_prefix"}},
		`{"a":"urn:x:` + strings.Repeat("y", 600) + `"}`: {{"/@context/a", "too_long"}},
		`{"a":"a:x"}`:                        {{"/@context/a", "bad_uri"}},
		`{"a":"b:x","b":"a:y"}`:              {{"/@context/a", "bad_uri"}},
		`[{"a":"urn:x:{b}"},{"c":"urn:y:"}]`: {{"/@context/0/a", "bad_uri"}},
	} {
		body := `{"@context":` + context + `,` + documentHead + `"epcisBody":{"eventList":[]}}`
		_, err := DecodeDocument([]byte(body), Limits{})
		refusedAt(t, err, fault.Invalid, want...)
	}
}

// TestContextsMerge reads an extension through contexts of the document, of the event, and through a prefix of a prefix.
func TestContextsMerge(t *testing.T) {
	t.Parallel()
	const members = `"eventTime":"2026-07-22T06:45:00+08:00","eventTimeZoneOffset":"+08:00",` + objectEvent + `,"ex:a":1`
	want := decodeEvent(t, objectEvent+`,"ex:a":1`).HashID()
	for name, c := range map[string]struct{ outer, own string }{
		"document":           {`["https://example.com/c",{"ex":"https://ns.example.com/x/"}]`, ``},
		"event":              {`"https://example.com/c"`, `{"ex":"https://ns.example.com/x/"}`},
		"event wins":         {`{"ex":"urn:wrong:"}`, `[ {"ex":"https://ns.example.com/x/"} ]`},
		"prefix of a prefix": {`{"ex":"ns:x/","ns":"https://ns.example.com/"}`, ``},
		"term with @id":      {`{"ex":{"@id":"https://ns.example.com/x/"},"ex:a":{"@type":"xsd:integer"},"@version":1.1}`, ``},
		"empty document's":   {`[]`, `{"ex":"https://ns.example.com/x/"}`},
	} {
		own := ""
		if c.own != "" {
			own = `"@context":` + c.own + `,`
		}
		body := `{"@context":` + c.outer + `,` + documentHead + `"epcisBody":{"eventList":[{` + own + members + `}]}}`
		e, err := DecodeEvent([]byte(body), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.HashID() != want {
			t.Errorf("%s: %s", name, e.PreHash())
		}
		standsAlone(t, name, e)
	}
}

func TestContextsTogetherAreBounded(t *testing.T) {
	t.Parallel()
	own := `{"ex":"urn:x:` + strings.Repeat("y", 60) + `"}`
	body := `{"@context":` + own + `,` + documentHead + `"epcisBody":{"eventList":[{"@context":` + own +
		`,"eventTime":"2026-07-22T06:45:00Z","eventTimeZoneOffset":"+08:00",` + objectEvent + `}]}}`
	_, err := DecodeEvent([]byte(body), Limits{Context: 100})
	refusedAt(t, err, fault.Invalid, place{"/epcisBody/eventList/0/@context", "too_long"})
}

// TestIgnoredFieldsStayIgnored checks that an event taken out of its document keeps the list of what is left out of the hash.
func TestIgnoredFieldsStayIgnored(t *testing.T) {
	t.Parallel()
	const head = `{"@context":{"ex":"https://ns.example.com/x/","n":"urn:n:"},` + documentHead
	const members = `"eventTime":"2026-07-22T06:45:00+08:00","eventTimeZoneOffset":"+08:00",` + objectEvent
	want := decodeEvent(t, objectEvent).HashID()
	for name, body := range map[string]string{
		"document":  head + `"ex:ignoreFields":["ex:a","n:b"],"epcisBody":{"eventList":[{` + members + `,"ex:a":1,"n:b":2}]}}`,
		"event":     head + `"epcisBody":{"eventList":[{` + members + `,"n:ignoreFields":["ex:a"],"ex:a":1}]}}`,
		"two lists": head + `"epcisBody":{"eventList":[{` + members + `,"n:ignoreFields":["ex:a"],"ex:a":1,"ex:ignoreFields":["n:b"],"n:b":1}]}}`,
		"unused":    head + `"ex:ignoreFields":["ex:a"],"epcisBody":{"eventList":[{` + members + `}]}}`,
	} {
		e, err := DecodeEvent([]byte(body), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if e.HashID() != want {
			t.Errorf("%s: %s", name, e.PreHash())
		}
		standsAlone(t, name, e)
		if name == "unused" && strings.Contains(string(e.Raw), "ignoreFields") {
			t.Errorf("the list was added to an event that it does not concern: %s", e.Raw)
		}
	}
}

func TestExtensionsAreFound(t *testing.T) {
	t.Parallel()
	e := decodeEvent(t, objectEvent+`,"ex:declaration":[ "5300" , 1 ],"ilmd":{"cbvmda:lotNumber":"L1"}`)
	if v, ok := e.Extension("https://ns.example.com/x/", "declaration"); !ok || string(v) != `["5300",1]` {
		t.Errorf("%s %v", v, ok)
	}
	if v, ok := e.MasterData("urn:epcglobal:cbv:mda:", "lotNumber"); !ok || string(v) != `"L1"` {
		t.Errorf("%s %v", v, ok)
	}
	if _, ok := e.Extension("https://ns.example.com/x/", "other"); ok {
		t.Error("found what is not there")
	}
}

func TestTermsAreBare(t *testing.T) {
	t.Parallel()
	for term, word := range map[Term]string{
		"https://ref.gs1.org/cbv/Disp-retail_sold": "retail_sold", "https://gs1.org/voc/Temperature": "Temperature",
		"https://example.com/disp/opened": "https://example.com/disp/opened", "": "",
	} {
		if got := term.Word(); got != word {
			t.Errorf("%s: %q", term, got)
		}
	}
}

func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`{"b": [3, 1], "a": null, "\ud83d\ude00": 1, "\ufb33": true}`:    "{\"a\":null,\"b\":[3,1],\"😀\":1,\"\ufb33\":true}",
		`[1.50, -0.0, 1e21, 1e-7, 100, 0.000001, 123456789012345680000]`: `[1.5,0,1e+21,1e-7,100,0.000001,123456789012345680000]`,
		`"\u001f\u0008\n\"\\\/é"`:                                        `"\u001f\b\n\"\\/é"`,
	} {
		n, err := parse([]byte(src), Limits{}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendCanonical(nil, &n)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	a := decodeEvent(t, objectEvent+`,"ex:a":1.0`)
	b := decodeEvent(t, `"ex:a" : 1 ,`+objectEvent)
	if string(a.Canonical()) != string(b.Canonical()) {
		t.Errorf("%s\n%s", a.Canonical(), b.Canonical())
	}
}
