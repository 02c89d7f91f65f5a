package epcis

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

// statuses are those that the table promises, by code.
func statuses() map[string]int {
	out := map[string]int{}
	for _, c := range Rules {
		for _, r := range c.Rules {
			out[r.Code] = r.Status
		}
	}
	return out
}

var statusOf = map[fault.Kind]int{fault.Malformed: 400, fault.Conflict: 409, fault.TooLarge: 413, fault.Invalid: 422}

// audit checks that a refusal of data can be followed up: each reason has a code of the table, with its status, a sentence, and the pointer of a value
// that is there, or of a member that should be.
func audit(t testing.TB, data []byte, err error) (codes []string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || len(f.Fields) == 0 {
		t.Fatalf("refused without a reason: %v\n%.300s", err, data)
	}
	if f.Kind != fault.Invalid && (len(f.Fields) != 1 || f.Fields[0].Code != f.Code) {
		t.Errorf("%v has more than one reason, or not the code of it", err)
	}
	var root any
	// Where a name stands twice, nobody can say where its pointer leads.
	_, strict := parse(data, Limits{Bytes: 1 << 30, Values: 1 << 30, Depth: 1 << 20, List: 1 << 30, Text: 1 << 30}.withDefaults())
	readable := strict == nil && json.Unmarshal(data, &root) == nil
	table := statuses()
	for _, field := range f.Fields {
		codes = append(codes, field.Code)
		if want, ok := table[field.Code]; !ok || want != statusOf[f.Kind] {
			t.Errorf("%s: the table has status %d, this is %v\n%.300s", field.Code, want, err, data)
		}
		if field.Detail == "" || field.Pointer != "" && field.Pointer[0] != '/' || len(field.Pointer) > maxPointer {
			t.Errorf("%+v", field)
		}
		if readable && !leads(root, field.Pointer) {
			t.Errorf("%s: there is nothing at %s\n%.300s", field.Code, field.Pointer, data)
		}
	}
	return codes
}

// leads says whether a pointer leads to a value, or to a place in an object where a member may be.
func leads(v any, pointer string) bool {
	if pointer == "" {
		return true
	}
	step, rest, more := strings.Cut(pointer[1:], "/")
	if more {
		rest = "/" + rest
	}
	switch v := v.(type) {
	case []any:
		i, err := strconv.Atoi(step)
		return err == nil && i < len(v) && leads(v[i], rest)
	case map[string]any:
		kid, there := v[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
		return there && leads(kid, rest) || !there && rest == ""
	}
	return false
}

// raised has a body, or members of an event, for each code that reading raises.
func raised() map[string][]byte {
	epc := func(s string) []byte {
		return event(`"type":"ObjectEvent","action":"ADD","epcList":["` + s + `"]`)
	}
	out := map[string][]byte{
		"json_utf8":           []byte("{\"a\":\"\xff\"}"),
		"json_syntax":         []byte(`{"a":`),
		"json_escape":         []byte(`{"a":"\x"}`),
		"duplicate_member":    []byte(`{"a":1,"a":2}`),
		"number_precision":    []byte(`{"a":1e999}`),
		"body_too_large":      bytes.Repeat([]byte(" "), 9<<20),
		"too_many_values":     []byte("[" + strings.Repeat("["+strings.Repeat("1,", 8000)+"1],", 51) + "1]"),
		"too_many_events":     []byte(`{"@context":[],` + documentHead + `"epcisBody":{"eventList":[` + strings.Repeat("{},", 1000) + `{}]}}`),
		"json_depth":          []byte(strings.Repeat("[", 33) + strings.Repeat("]", 33)),
		"too_many":            []byte("[" + strings.Repeat("1,", 10_000) + "1]"),
		"text_too_long":       event(objectEvent + `,"ex:a":"` + strings.Repeat("x", 9000) + `"`),
		"too_long":            event(objectEvent + `,"eventID":"urn:x:` + strings.Repeat("1", 400) + `"`),
		"event_too_large":     event(objectEvent + `,"ex:a":[` + strings.Repeat(`"`+strings.Repeat("x", 8000)+`",`, 66) + `1]`),
		"not_one_event":       []byte(`{"@context":[],` + documentHead + `"epcisBody":{"eventList":[]}}`),
		"unsupported_version": []byte(`{"@context":[],"type":"EPCISDocument","schemaVersion":"1.2","creationDate":"2026-07-22T10:30:00Z","epcisBody":{"eventList":[]}}`),
		"reserved_prefix":     []byte(`{"@context":{"urn":"https://example.com/"},` + objectEvent + `}`),
		"bad_time":            []byte(`{"@context":[],"eventTime":"noon","eventTimeZoneOffset":"+08:00",` + objectEvent + `}`),
		"time_out_of_range":   []byte(`{"@context":[],"eventTime":"9999-12-31T23:59:59Z","eventTimeZoneOffset":"+08:00",` + objectEvent + `}`),
		"bad_offset":          []byte(`{"@context":[],"eventTime":"2026-01-01T00:00:00Z","eventTimeZoneOffset":"8",` + objectEvent + `}`),
		"epc_syntax":          epc("bottle"), "epc_scheme": epc("urn:epc:id:foo:1"), "epc_pattern": epc("urn:epc:idpat:sgtin:0614141.*.*"),
		"epc_prefix": epc("urn:epc:id:sgtin:0614141.1.2017"), "code_too_long": epc("urn:x:" + strings.Repeat("1", 2048)),
		"gtin_length": epc("https://id.gs1.org/01/123"), "gtin_digits": epc("https://id.gs1.org/01/1234567890123a"),
		"gtin_zero": epc("https://id.gs1.org/01/00000000000000"), "gtin_check_digit": epc("https://id.gs1.org/01/09521141012346"),
		"element_check_digit": epc("https://id.gs1.org/00/340123451111111112"), "element_value": epc("https://id.gs1.org/00/34"),
		"link_syntax": epc("https://id.gs1.org/8010/é"), "link_escape": epc("https://id.gs1.org/01/09521141012345/21/%zz"),
		"link_no_key": epc("https://id.gs1.org/foo"), "link_qualifiers": epc("https://id.gs1.org/01/09521141012345/21/1/10/2"),
		"link_attribute": epc("https://id.gs1.org/01/09521141012345?10=2"),
	}
	const sensor = `"type":"ObjectEvent","action":"OBSERVE","sensorElementList":[{"sensorReport":[`
	for code, members := range map[string]string{
		"missing": `"action":"ADD"`, "unknown_type": `"type":"Event"`, "unknown_field": objectEvent + `,"bizstep":"shipping"`,
		"not_allowed": objectEvent + `,"parentID":` + crate, "wrong_type": objectEvent + `,"bizStep":1`,
		"not_a_number": sensor + `{"type":"Count","value":"1"}]}]`, "empty": objectEvent + `,"bizStep":""`,
		"white_space": objectEvent + `,"bizStep":" shipping"`, "bad_action": `"type":"ObjectEvent","action":"add","epcList":[` + bottle1 + `]`,
		"nothing_named":   `"type":"ObjectEvent","action":"ADD","epcList":[]`,
		"contradiction":   objectEvent + `,"persistentDisposition":{"set":["recalled"],"unset":["recalled"]}`,
		"duplicate":       `"type":"ObjectEvent","action":"ADD","epcList":[` + bottle1 + `,` + bottle1 + `]`,
		"not_an_instance": `"type":"AggregationEvent","action":"DELETE","parentID":` + lot,
		"not_a_class":     `"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + bottle1 + `}]`,
		"out_of_range":    `"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"quantity":-1}]`,
		"not_whole":       `"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"quantity":0.5}]`,
		"bad_date":        objectEvent + `,"certificationInfo":[{"gs1:certificationStartDate":"soon"}]`,
		"unknown_term":    objectEvent + `,"bizStep":"flying"`, "bad_uri": objectEvent + `,"bizStep":"my term: x"`,
		"undeclared_prefix": objectEvent + `,"nope:x":1`, "no_namespace": objectEvent + `,"ex:a":{"b":1}`,
		"no_extension": `"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"ex:a":1}]`,
		"bad_unit":     `"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"quantity":1,"uom":"kilo"}]`,
		"bad_hex":      sensor + `{"type":"ex:a","hexBinaryValue":"F"}]}]`, "incomplete": sensor + `{"type":"Count","percRank":1}]}]`,
	} {
		out[code] = event(members)
	}
	return out
}

// Each line of the table is raised by a document; what a capture refuses for what is stored is raised in its own tests.
func TestEveryCodeIsRaised(t *testing.T) {
	t.Parallel()
	bodies := raised()
	seen := map[string]bool{}
	for _, c := range Rules {
		for _, r := range c.Rules {
			if seen[r.Code] || r.Means == "" {
				t.Errorf("%s stands twice in the table, or without a meaning", r.Code)
			}
			if seen[r.Code] = true; r.Status == 409 {
				continue
			}
			if r.Code == "capture_too_large" {
				continue // below
			}
			body, ok := bodies[r.Code]
			if !ok {
				t.Errorf("no document raises %s", r.Code)
				continue
			}
			decode := func(b []byte) error { _, err := DecodeEvent(b, Limits{}); return err }
			if r.Code == "too_many_events" {
				decode = func(b []byte) error { _, err := DecodeDocument(b, Limits{}); return err }
			}
			if got := audit(t, body, decode(body)); !slices.Contains(got, r.Code) {
				t.Errorf("%s is not raised, but %v", r.Code, got)
			}
		}
	}
	wide := []byte(`{"@context":[],` + documentHead + `"ex:a":"` + strings.Repeat("x", maxFrame) + `","epcisBody":{"eventList":[]}}`)
	_, _, err := ReadFrame(bytes.NewReader(wide), Limits{})
	if got := audit(t, wide, err); !slices.Contains(got, "capture_too_large") {
		t.Errorf("capture_too_large is not raised, but %v", got)
	}
}

// No code is written in this package that the table does not have.
func TestEveryCodeIsInTheTable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`^"[a-z]+(_[a-z0-9]+)*"$`)
	places := map[string]int{"add": 1, "fail": 1, "exceed": 1, "refused": 2}
	table, found := statuses(), 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "query") {
			continue
		}
		tree, err := goparser.ParseFile(token.NewFileSet(), file, nil, goparser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			at, ok := places[calledName(call.Fun)]
			if !ok || at >= len(call.Args) {
				return true
			}
			lit, ok := call.Args[at].(*ast.BasicLit)
			if !ok || !code.MatchString(lit.Value) {
				return true
			}
			if found++; table[strings.Trim(lit.Value, `"`)] == 0 {
				t.Errorf("%s: %s is not in the table", file, lit.Value)
			}
			return true
		})
	}
	if found < 80 {
		t.Errorf("only %d codes found: the search for them is broken", found)
	}
}

func calledName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// Whatever is wrong with a real document, the refusal says where. Each value of each document is left out, renamed, and replaced by every kind of value.
func TestEveryRefusalSaysWhere(t *testing.T) {
	t.Parallel()
	files := sharedFiles(t, "valid", "*")
	if testing.Short() {
		files = files[:5]
	}
	refusals, raised := 0, map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var root any
		if err := json.Unmarshal(data, &root); err != nil {
			t.Fatal(err)
		}
		spoil(root, func() {
			spoilt, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := DecodeDocument(spoilt, Limits{}); err != nil {
				refusals++
				for _, code := range audit(t, spoilt, err) {
					raised[code] = true
				}
			}
		})
	}
	t.Logf("%d refusals with %d codes", refusals, len(raised))
	if refusals < 100*len(files) || len(raised) < 10 {
		t.Errorf("%d refusals with %d codes: the test tests nothing", refusals, len(raised))
	}
}

// spoil calls f with the value changed in one place, for each place and way, and leaves it as it was.
func spoil(v any, f func()) {
	wrong := []any{nil, 1.0, "", " x", "no:thing", []any{}, map[string]any{"a": 1.0}}
	switch v := v.(type) {
	case map[string]any:
		for key, kid := range v {
			for _, w := range wrong {
				v[key] = w
				f()
			}
			delete(v, key)
			f()
			v["x"+key] = kid
			f()
			delete(v, "x"+key)
			v[key] = kid
			spoil(kid, f)
		}
	case []any:
		for i, kid := range v {
			for _, w := range wrong {
				v[i] = w
				f()
			}
			v[i] = kid
			spoil(kid, f)
		}
	}
}

// A pointer through names that are very long is the pointer of what is around them, so that a hundred refusals fit a document.
func TestPointersAreBounded(t *testing.T) {
	t.Parallel()
	long := `"ex:` + strings.Repeat("n", 600) + `"`
	body := event(objectEvent + `,` + long + `:{` + long + `:{"b":1}}`)
	_, err := DecodeEvent(body, Limits{})
	audit(t, body, err)
	refusedAt(t, err, fault.Invalid, place{"/ex:" + strings.Repeat("n", 600), "no_namespace"})
}
