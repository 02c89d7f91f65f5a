package epcis

import (
	"errors"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

func TestMalformedJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, code, pointer, at string }{
		"nothing":             {``, "json_syntax", "", "(at byte 0)"},
		"cut off":             {`{"a":[1,`, "json_syntax", "/a/1", "(at byte 8)"},
		"trailing comma":      {`[1,]`, "json_syntax", "/1", "(at byte 3)"},
		"no colon":            {`{"a" 1}`, "json_syntax", "", "(at byte 5)"},
		"no comma":            {`{"a":1 "b":2}`, "json_syntax", "", "(at byte 7)"},
		"name without marks":  {`{a:1}`, "json_syntax", "", "(at byte 1)"},
		"something behind":    {`{} x`, "json_syntax", "", "(at byte 3)"},
		"byte order mark":     {"\ufeff{}", "json_syntax", "", "(at byte 0)"},
		"zero in front":       {`{"a":01}`, "json_syntax", "/a", "(at byte 7)"},
		"bare point":          {`{"a":1.}`, "json_syntax", "/a", "(at byte 7)"},
		"bare exponent":       {`{"a":1e}`, "json_syntax", "/a", "(at byte 7)"},
		"control character":   {"{\"a\":\"\n\"}", "json_syntax", "/a", "(at byte 6)"},
		"unknown escape":      {`{"a":"\x"}`, "json_escape", "/a", "(at byte 8)"},
		"half a pair":         {`{"a":"\ud83d"}`, "json_escape", "/a", "(at byte 12)"},
		"NUL":                 {`{"a":"\u0000"}`, "json_escape", "/a", "(at byte 12)"},
		"duplicate":           {`{"a":{"b":1,"b":2}}`, "duplicate_member", "/a/b", "(at byte 18)"},
		"duplicate by escape": {`{"b":1,"\u0062":2}`, "duplicate_member", "/b", "(at byte 18)"},
		"two plain eventIDs":  {`{"eventID":"urn:x:1","eventID":"urn:x:2"}`, "duplicate_member", "/eventID", "(at byte 41)"},
		"not UTF-8":           {"{\"a\":\"\xff\"}", "json_utf8", "", "(at byte 0)"},
		"precision":           {`{"a":0.1000000000000000055511}`, "number_precision", "/a", "(at byte 29)"},
		"huge":                {`{"a":1e999}`, "number_precision", "/a", "(at byte 10)"},
		"tiny":                {`{"a":1e-999}`, "number_precision", "/a", "(at byte 11)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := DecodeDocument([]byte(c.body), Limits{})
			refusedAt(t, err, fault.Malformed, place{c.pointer, c.code})
			if f, _ := errors.AsType[*fault.Error](err); f.Code != c.code || !strings.HasSuffix(f.Detail, c.at) {
				t.Errorf("%s: %s, want %s … %s", f.Code, f.Detail, c.code, c.at)
			}
		})
	}
}

func TestManyMembersAreUnique(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 40 {
		b.WriteString(`,"ex:m` + itoa(i) + `":1`)
	}
	decodeEvent(t, objectEvent+b.String())
	_, err := DecodeEvent(event(objectEvent+b.String()+`,"ex:m7":1`), Limits{})
	refusedAt(t, err, fault.Malformed, place{"/ex:m7", "duplicate_member"})
}

func TestStringsAreDecoded(t *testing.T) {
	t.Parallel()
	n, err := parse([]byte(` "\"\\\/\b\f\n\r\t\u6d77\uD83D\uDE00é" `), Limits{}.withDefaults())
	if err != nil || n.text != "\"\\/\b\f\n\r\t海😀é" {
		t.Errorf("%q, %v", n.text, err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	_, deep := DecodeDocument([]byte(strings.Repeat("[", 40)+strings.Repeat("]", 40)), Limits{})
	refusedAt(t, deep, fault.Invalid, place{strings.Repeat("/0", 32), "json_depth"})
	two := `"type":"ObjectEvent","action":"ADD","epcList":[` + bottle1 + `,` + bottle2 + `]`
	for name, c := range map[string]struct {
		lim  Limits
		kind fault.Kind
		code string
	}{
		"bytes":   {Limits{Bytes: 100}, fault.TooLarge, "body_too_large"},
		"values":  {Limits{Values: 5}, fault.TooLarge, "too_many_values"},
		"list":    {Limits{List: 1}, fault.Invalid, "invalid"},
		"text":    {Limits{Text: 10}, fault.Invalid, "invalid"},
		"context": {Limits{Context: 20}, fault.Invalid, "invalid"},
		"event":   {Limits{EventBytes: 100}, fault.Invalid, "invalid"},
	} {
		_, err := DecodeEvent(event(two), c.lim)
		if fault.KindOf(err) != c.kind || fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := string(event(two))
	doc := `{"@context":[],"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-07-22T10:30:00Z","epcisBody":{"eventList":[` + one + `,` + one + `]}}`
	if _, err := DecodeDocument([]byte(doc), Limits{Events: 1}); fault.CodeOf(err) != "too_many_events" {
		t.Errorf("two events where one is allowed: %v", err)
	}
	_, err := DecodeEvent([]byte(doc), Limits{})
	refusedAt(t, err, fault.Invalid, place{"/epcisBody/eventList", "not_one_event"})
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	members := `"type":"ObjectEvent","action":"ADD","epcList":[` + strings.Repeat(`"x",`, 500) + `"y"]`
	_, err := DecodeEvent(event(members), Limits{})
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || len(f.Fields) != 100 || !strings.Contains(f.Detail, "first 100") {
		t.Errorf("%d fields: %v", len(f.Fields), f.Detail)
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Decimal{
		"0": "0", "-0": "0", "-0.0": "0", "1.0": "1", "1.50": "1.5", "100": "100", "26.10": "26.1", "-477979.89": "-477979.89",
		"1e3": "1000", "1.5E2": "150", "1.234e1": "12.34", "5e-3": "0.005", "-12.5e-1": "-1.25", "0e5": "0", "1e-7": "0.0000001",
	} {
		if got := jsonDecimal(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"0012": "12", "+5": "5", "23.0": "23", "-007.250": "-7.25", "111100001111000011110000": "111100001111000011110000",
		"12E5": "12E5", "1.": "1.", ".5": ".5", "1.2.3": "1.2.3", "2020-11-10": "2020-11-10", " 4711 ": "4711", "": "",
	} {
		if got := canonText(text); got != want {
			t.Errorf("text %q became %q, want %q", text, got, want)
		}
	}
	if Decimal("12.5").Float64() != 12.5 || Decimal("").Float64() != 0 {
		t.Error("Float64")
	}
}

func canonText(s string) string { return text(s, nil) }
