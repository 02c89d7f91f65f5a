package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gofiber/fiber/v2"
)

// validate checks the parameters (400) and the body (400 if it is not JSON, 422 if it breaks its schema) against the contract.
// Generated code binds the very value that was checked, so the checker and the decoder cannot disagree about it.
func (op *operation) validate(c *fiber.Ctx) error {
	if err := op.parameters(c); err != nil {
		return err
	}
	if op.body == nil || op.freeForm {
		return nil
	}
	v, err := decodeJSON(c.Request().Body())
	if err != nil {
		return err
	}
	err = op.bodySchema.VisitJSON(v, openapi3.VisitAsRequest(), openapi3.MultiErrors(), openapi3.DisableSchemaErrorDetails())
	if err != nil {
		r := refuse(http.StatusUnprocessableEntity, "invalid", "the request breaks a rule; see errors")
		r.errors = bodyErrors(err)
		return r
	}
	c.Locals(validatedBodyLocalsKey, v)
	return nil
}

// decodeJSON reads exactly one JSON value in UTF-8. Numbers keep their digits.
func decodeJSON(body []byte) (any, error) {
	if len(body) == 0 {
		return nil, refuse(http.StatusBadRequest, "body_missing", "this operation needs a body")
	}
	if !utf8.Valid(body) {
		return nil, refuse(http.StatusBadRequest, "malformed_json", "the body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, &httpError{status: http.StatusBadRequest, code: "malformed_json", detail: "the body is not valid JSON", err: err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse(http.StatusBadRequest, "malformed_json", "something follows the JSON value in the body")
	}
	return v, nil
}

// parameters checks path, query and header parameters. A query parameter that the operation does not know is refused: a misspelt
// filter must not look like an empty one.
func (op *operation) parameters(c *fiber.Ctx) error {
	rawQuery := string(c.Request().URI().QueryString())
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return refuse(http.StatusBadRequest, "malformed", "the query of the URL cannot be read")
	}
	var bad []fieldError
	for name, values := range query {
		if !op.query[name] {
			if op.freeQuery {
				continue
			}
			bad = append(bad, fieldError{Parameter: clip(name, 64), Code: "unknown_parameter", Detail: "this operation has no such parameter"})
		} else if len(values) > 1 {
			bad = append(bad, fieldError{Parameter: name, Code: "repeated", Detail: "the parameter is given more than once"})
		}
	}
	in := &openapi3filter.RequestValidationInput{
		Request:     &http.Request{Method: op.method, URL: &url.URL{RawQuery: rawQuery}, Header: http.Header{}},
		PathParams:  map[string]string{},
		QueryParams: query,
		Options:     &openapi3filter.Options{MultiError: true, SkipSettingDefaults: true},
	}
	for _, p := range op.params {
		if err := op.parameter(c, in, p.Value); err != nil {
			bad = append(bad, parameterErrors(p.Value.Name, err)...)
		}
	}
	if bad == nil {
		return nil
	}
	r := refuse(http.StatusBadRequest, "invalid_parameter", "a parameter breaks a rule; see errors")
	r.errors = bad[:min(len(bad), maxFieldErrors)]
	return r
}

func (op *operation) parameter(c *fiber.Ctx, in *openapi3filter.RequestValidationInput, p *openapi3.Parameter) error {
	switch p.In {
	case openapi3.ParameterInPath:
		v, err := url.PathUnescape(c.Params(p.Name))
		if err != nil {
			return err
		}
		if !utf8.ValidString(v) {
			return errNotUTF8
		}
		in.PathParams[p.Name] = v
	case openapi3.ParameterInHeader:
		if v := c.Get(p.Name); v != "" {
			in.Request.Header.Set(p.Name, v)
		}
	case openapi3.ParameterInQuery:
		if !utf8.ValidString(in.QueryParams.Get(p.Name)) {
			return errNotUTF8
		}
	}
	return openapi3filter.ValidateParameter(c.UserContext(), in, p)
}

var errNotUTF8 = errors.New("not valid UTF-8")

func parameterErrors(name string, err error) []fieldError {
	var out []fieldError
	eachSchemaError(err, func(e *openapi3.SchemaError) {
		out = append(out, fieldError{Parameter: name, Code: schemaCode(e), Detail: schemaDetail(e)})
	})
	if len(out) > 0 {
		return out
	}
	if errors.Is(err, openapi3filter.ErrInvalidRequired) {
		return []fieldError{{Parameter: name, Code: "required", Detail: "the parameter is missing"}}
	}
	return []fieldError{{Parameter: name, Code: "malformed", Detail: "the parameter cannot be read"}}
}

func bodyErrors(err error) []fieldError {
	var out []fieldError
	eachSchemaError(err, func(e *openapi3.SchemaError) {
		if len(out) < maxFieldErrors {
			p := clip(pointerOf(e.JSONPointer()), 1000)
			out = append(out, fieldError{Pointer: &p, Code: schemaCode(e), Detail: schemaDetail(e)})
		}
	})
	return out
}

// pointerOf writes a JSON Pointer (RFC 6901, 3).
func pointerOf(path []string) string {
	var b strings.Builder
	for _, token := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscaper.Replace(token))
	}
	return b.String()
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// eachSchemaError walks the tree of errors that kin-openapi gives.
func eachSchemaError(err error, f func(*openapi3.SchemaError)) {
	switch e := err.(type) { //nolint:errorlint // the tree is walked, not searched
	case openapi3.MultiError:
		for _, one := range e {
			eachSchemaError(one, f)
		}
	case *openapi3.SchemaError:
		f(e)
	case interface{ Unwrap() error }:
		if next := e.Unwrap(); next != nil {
			eachSchemaError(next, f)
		}
	}
}

// schemaCodes gives each keyword of JSON Schema a stable code of ours.
var schemaCodes = map[string]string{
	"required": "required", "properties": "unknown_member", "additionalProperties": "unknown_member", "type": "wrong_type",
	"enum": "not_allowed", "pattern": "syntax", "format": "syntax", "nullable": "wrong_type",
	"minLength": "too_short", "maxLength": "too_long", "minItems": "too_few", "maxItems": "too_many",
	"minimum": "too_small", "maximum": "too_large", "minProperties": "too_few", "maxProperties": "too_many", "uniqueItems": "repeated",
}

func schemaCode(e *openapi3.SchemaError) string {
	if code, ok := schemaCodes[e.SchemaField]; ok {
		return code
	}
	return "invalid"
}

// schemaDetail is kin-openapi's sentence, which by its own rule never holds the value.
func schemaDetail(e *openapi3.SchemaError) string { return clip(e.Reason, 500) }

// clip cuts a text to at most n bytes without splitting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
