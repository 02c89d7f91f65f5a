package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
)

func TestShape(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat(`{"a":[`, n/2) + strings.Repeat(`]}`, n/2) }
	zeros := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", n), ",") + "]" }
	for _, tt := range []struct {
		name, body string
		ok         bool
	}{
		{"an object", `{"a":{"b":["c",1,true,null]}}`, true},
		{"as deep as may be", nested(maxDepth), true},
		{"deeper", nested(maxDepth + 2), false},
		{"brackets in a text", `{"a":"` + strings.Repeat("[", 1000) + `"}`, true},
		{"brackets after an escaped quote", `{"a":"\"` + strings.Repeat("[", 1000) + `"}`, true},
		{"brackets after a backslash", `{"a":"\\",` + strings.Repeat(`"b":[`, 1000), false},
		{"as many values as may be", zeros(4096), true},
		{"more", zeros(4098), false},
		{"many members", "{" + strings.Repeat(`"a":0,`, 5000) + `"a":0}`, false},
		{"a text that does not end", `{"a":"`, true},
		{"an escape that does not end", `{"a":"\`, true},
		{"more ends than beginnings", strings.Repeat("]", 1000), true},
		{"nothing", "", true},
	} {
		if err := checkShape([]byte(tt.body), defaultMaxBody); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Bodies that the contract leaves to their handler have bounds too.
func TestShapeOfFreeForms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := strings.TrimSuffix(strings.Repeat("["+strings.TrimSuffix(strings.Repeat("0,", 9000), ",")+"],", 10), ",")
	for name, c := range map[string]struct{ body, code string }{
		"deep": {`{"@context":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "json_depth"},
		"wide": {`{"type":"EPCISDocument","x":[` + rows + `]}`, "too_many_values"},
		"long": {`{"type":"EPCISDocument","x":[` + strings.Repeat("0,", 10_000) + `0]}`, "too_many"},
	} {
		for _, target := range []string{"/epcis/events", "/epcis/capture"} {
			p := readProblem(t, b.do(t, request("POST", target, c.body, "Authorization", asSeller)))
			if len(p.Errors) != 1 || p.Errors[0].Code != c.code || p.Status != http.StatusUnprocessableEntity && p.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s to %s: %+v", name, target, p)
			}
		}
	}
}

// What the contract's examples send fits, many times over.
func TestShapeLeavesRoom(t *testing.T) {
	t.Parallel()
	for _, item := range contracttest.Load(t).Doc.Paths.Map() {
		for _, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			o, err := newOperation("POST", "/", op)
			if err != nil {
				t.Fatal(err)
			}
			body := readExample(t, op.OperationID).Request.Body
			many := bytes.Repeat(append(body, ','), min(50, o.maxBody/(len(body)+1)))
			if err := checkShape(append(append([]byte{'['}, many...), ']'), o.maxBody); err != nil {
				t.Errorf("%s: %v", op.OperationID, err)
			}
		}
	}
}

// Whatever the bytes: nothing breaks, and a text that is JSON and within the bounds by a slower count is let through, one beyond them is not.
func FuzzShape(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,{"b":"\"]"}]}`, `[[[[`, `"\`, `{"a":"\\"}`, "[" + strings.Repeat("0,", 70) + "0]", strings.Repeat("[", 40) + strings.Repeat("]", 40)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const maxBody = 64 * bytesPerValue
		err := checkShape(body, maxBody)
		if !json.Valid(body) {
			return
		}
		d := json.NewDecoder(bytes.NewReader(body))
		depth, deepest, values := 0, 0, 0
		for {
			tok, terr := d.Token()
			if terr != nil {
				break
			}
			switch tok {
			case json.Delim('['), json.Delim('{'):
				depth++
				deepest = max(deepest, depth)
			case json.Delim(']'), json.Delim('}'):
				depth--
			}
			values++
		}
		if r, ok := errors.AsType[*httpError](err); ok && r.code != "json_too_complex" {
			t.Errorf("code %s", r.code)
		}
		if deepest > maxDepth && err == nil {
			t.Errorf("%d levels are let through", deepest)
		}
		if deepest <= maxDepth && values <= 64 && err != nil {
			t.Errorf("%d levels and %d tokens: %v", deepest, values, err)
		}
	})
}
