package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

const (
	asSeller  = "Bearer " + sellerToken
	asOfficer = "Bearer " + officerToken
	asViewer  = "Bearer " + viewerToken
	asDevice  = "Bearer " + deviceToken
)

// Requests that nobody should send, and what each is told.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	const product = "/v1/products/06901234567892"
	good := `{"name":{"en":"Tea"},"category":"tea_coffee"}`
	tests := []struct {
		name                 string
		method, target, body string
		headers              []string
		status               int
		code                 string
		fields               []string // pointer or parameter, a space, code
	}{
		{name: "no such path", method: "GET", target: "/v1/nothing", status: 404, code: "no_such_path"},
		{name: "a path with a slash more", method: "GET", target: "/healthz/", status: 404, code: "no_such_path"},
		{name: "a path in another case", method: "GET", target: "/V1/warnings", status: 404, code: "no_such_path"},
		{name: "dots in the path", method: "GET", target: "/v1/../v1/../../etc/passwd", status: 404, code: "no_such_path"},
		{name: "no part of the API reference", method: "GET", target: "/docs/nothing.js", status: 404, code: "no_such_path"},
		{name: "out of the API reference", method: "GET", target: "/docs/../../etc/passwd", status: 404, code: "no_such_path"},
		{name: "wrong method", method: "DELETE", target: "/v1/warnings", status: 405, code: "method_not_allowed"},
		{name: "wrong method on a scan", method: "POST", target: "/01/06901234567892", status: 405, code: "method_not_allowed"},
		{name: "unknown query parameter", method: "GET", target: "/v1/warnings?lefel=red", status: 400, code: "invalid_parameter", fields: []string{"lefel unknown_parameter"}},
		{name: "repeated query parameter", method: "GET", target: "/v1/warnings?level=red&level=blue", status: 400, code: "invalid_parameter", fields: []string{"level repeated"}},
		{name: "value outside the vocabulary", method: "GET", target: "/v1/warnings?level=purple", status: 400, code: "invalid_parameter", fields: []string{"level not_allowed"}},
		{name: "limit too large", method: "GET", target: "/v1/warnings?limit=101", status: 400, code: "invalid_parameter", fields: []string{"limit too_large"}},
		{name: "limit no number", method: "GET", target: "/v1/warnings?limit=ten", status: 400, code: "invalid_parameter", fields: []string{"limit malformed"}},
		{name: "a day that does not exist", method: "GET", target: "/v1/warnings?from=2026-02-30", status: 400, code: "invalid_parameter", fields: []string{"from syntax"}},
		{name: "query with a broken escape", method: "GET", target: "/v1/warnings?q=%zz", status: 400, code: "malformed"},
		{name: "query that is not UTF-8", method: "GET", target: "/v1/warnings?q=%ff%fe", status: 400, code: "invalid_parameter", fields: []string{"q malformed"}},
		{name: "cursor with a quote", method: "GET", target: "/v1/warnings?cursor=a'b", status: 400, code: "invalid_parameter", fields: []string{"cursor syntax"}},
		{name: "GTIN too short", method: "GET", target: "/v1/products/123", status: 400, code: "invalid_parameter", fields: []string{"gtin syntax", "gtin too_short"}},
		{name: "GTIN with a wrong check digit", method: "GET", target: "/v1/products/06901234567893", status: 400, code: "gtin_check_digit"},
		{name: "lot with a line break", method: "GET", target: product + "/lots/L%0AX", status: 400, code: "invalid_parameter", fields: []string{"lot syntax"}},
		{name: "lot that is not UTF-8", method: "GET", target: product + "/lots/%ff", status: 400, code: "invalid_parameter", fields: []string{"lot malformed"}},
		{name: "a body on a GET", method: "GET", target: product, body: `{}`, status: 400, code: "body_unexpected"},
		{name: "no credentials", method: "PUT", target: product, body: good, status: 401, code: "credentials_missing"},
		{name: "credentials of another kind", method: "PUT", target: product, body: good, headers: []string{"Authorization", asOfficer}, status: 403, code: "wrong_credentials"},
		{name: "a seller at a device's door", method: "GET", target: "/v1/device/alerts", headers: []string{"Authorization", asSeller}, status: 403, code: "wrong_credentials"},
		{name: "credentials that end", method: "PUT", target: product, body: good, headers: []string{"Authorization", "Bearer hk_gone_0123456789"}, status: 401, code: "unauthenticated"},
		{name: "credentials of nobody", method: "PUT", target: product, body: good, headers: []string{"Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."}, status: 401, code: "unauthenticated"},
		{name: "basic credentials", method: "PUT", target: product, body: good, headers: []string{"Authorization", "Basic YTpi"}, status: 401, code: "credentials_missing"},
		{name: "a token of a megabyte", method: "PUT", target: product, body: good, headers: []string{"Authorization", "Bearer hk_" + strings.Repeat("a", 5000)}, status: 401, code: "credentials_missing"},
		{name: "HEAD is no way around credentials", method: "HEAD", target: "/v1/device/holdings", status: 401},
		{name: "no body", method: "PUT", target: product, headers: []string{"Authorization", asSeller, "Content-Type", "application/json"}, status: 400, code: "body_missing"},
		{name: "no media type", method: "PUT", target: product, body: good, headers: []string{"Authorization", asSeller, "Content-Type", ""}, status: 415, code: "media_type"},
		{name: "a form", method: "PUT", target: product, body: "name=x", headers: []string{"Authorization", asSeller, "Content-Type", "application/x-www-form-urlencoded"}, status: 415, code: "media_type"},
		{name: "another charset", method: "PUT", target: product, body: good, headers: []string{"Authorization", asSeller, "Content-Type", "application/json; charset=gbk"}, status: 415, code: "media_type"},
		{name: "compressed", method: "PUT", target: product, body: good, headers: []string{"Authorization", asSeller, "Content-Encoding", "gzip"}, status: 415, code: "content_encoding"},
		{name: "not JSON", method: "PUT", target: product, body: `{"name":`, headers: []string{"Authorization", asSeller}, status: 400, code: "malformed_json"},
		{name: "two JSON values", method: "PUT", target: product, body: good + good, headers: []string{"Authorization", asSeller}, status: 400, code: "malformed_json"},
		{name: "not UTF-8", method: "PUT", target: product, body: "{\"name\":{\"en\":\"\xff\"}}", headers: []string{"Authorization", asSeller}, status: 400, code: "malformed_json"},
		{name: "deep nesting", method: "PUT", target: product, body: strings.Repeat("[", 30000) + strings.Repeat("]", 30000), headers: []string{"Authorization", asSeller}, status: 400, code: "json_too_complex"},
		{name: "an array", method: "PUT", target: product, body: `[1]`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{" wrong_type"}},
		{name: "null", method: "PUT", target: product, body: `null`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{" wrong_type"}},
		{name: "a member in another case", method: "PUT", target: product, body: `{"Name":{"en":"Tea"},"category":"tea_coffee"}`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{" unknown_member", "/name required"}},
		{name: "a member that the server sets", method: "PUT", target: product, body: `{"name":{"en":"Tea"},"category":"tea_coffee","firm":"other"}`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{" unknown_member"}},
		{name: "many broken rules", method: "PUT", target: product, body: `{"name":{"en":5},"category":"guns","origin":"fr"}`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{"/category not_allowed", "/name/en wrong_type", "/origin syntax"}},
		{name: "a date that is none", method: "PUT", target: product + "/lots/L1", body: `{"produced":"2026-13-45"}`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{"/produced syntax"}},
		{name: "a number that is none", method: "POST", target: product + "/lots/L1/codes", body: `{"count":1.5}`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{"/count wrong_type"}},
		{name: "a number beyond all bounds", method: "POST", target: product + "/lots/L1/codes", body: `{"count":1e400}`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: nil},
		{name: "a list item deep inside", method: "PUT", target: product + "/lots/L1/foreign-codes", body: `{"codes":[{"scheme":"udi","code":"1"},{"scheme":"U D I","code":""}]}`, headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{"/codes/1/code too_short", "/codes/1/scheme syntax"}},
		{name: "an idempotency key with a newline", method: "POST", target: product + "/lots/L1/codes", body: `{"count":1}`, headers: []string{"Authorization", asSeller, "Idempotency-Key", "ab cd ef gh"}, status: 400, code: "invalid_parameter", fields: []string{"Idempotency-Key syntax"}},
		{name: "EPCIS that is not JSON", method: "POST", target: "/epcis/events", body: `<xml/>`, headers: []string{"Authorization", asSeller}, status: 400},
		{name: "EPCIS as XML", method: "POST", target: "/epcis/events", body: `<xml/>`, headers: []string{"Authorization", asSeller, "Content-Type", "application/xml"}, status: 415, code: "media_type"},
		{name: "EPCIS of the year 9999", method: "POST", target: "/epcis/events", body: strings.Replace(exampleBody(t, "captureEvent"), `"eventTime": "2026`, `"eventTime": "9999`, 1), headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{"/eventTime time_out_of_range"}},
		{name: "an EPCIS event of 30,000 levels", method: "POST", target: "/epcis/events", body: strings.Repeat("[", 30000) + strings.Repeat("]", 30000), headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{strings.Repeat("/0", 32) + " json_depth"}},
		{name: "an EPCIS document of 30,000 levels", method: "POST", target: "/epcis/capture", body: strings.Repeat(`{"a":`, 30000) + "1" + strings.Repeat("}", 30000), headers: []string{"Authorization", asSeller}, status: 422, code: "invalid", fields: []string{strings.Repeat("/a", 32) + " json_depth"}},
		{name: "EPCIS of another type", method: "POST", target: "/epcis/capture", body: `{"type":"EPCISDocument"}`, headers: []string{"Authorization", asSeller}, status: 422},
		{name: "a viewer drafts", method: "POST", target: "/v1/warnings/" + warningNo + "/lift", body: `{"reason":{"zh-Hans":"好","en":"ok"}}`, headers: []string{"Authorization", asViewer}, status: 403, code: "not_permitted"},
		{name: "an edit without If-Match", method: "PUT", target: "/v1/warnings/" + draftNo, body: `{}`, headers: []string{"Authorization", asOfficer}, status: 400, code: "invalid_parameter", fields: []string{"If-Match required"}},
		{name: "drafts for everybody", method: "GET", target: "/v1/warnings?status=draft", status: 401, code: "credentials_missing"},
		{name: "a draft for everybody", method: "GET", target: "/v1/warnings/" + draftNo, status: 404, code: "warning_unknown"},
		{name: "drafts with a filter", method: "GET", target: "/v1/warnings?status=draft&level=red", headers: []string{"Authorization", asOfficer}, status: 400, code: "invalid_parameter", fields: []string{"status exclusive"}},
		{name: "a receipt without its secret", method: "GET", target: "/v1/complaints/TS-20260302-K7M2QPX", status: 401, code: "credentials_missing"},
		{name: "a receipt with a wrong secret", method: "GET", target: "/v1/complaints/TS-20260302-K7M2QPX", headers: []string{"Haisu-Receipt-Secret", "1"}, status: 404, code: "receipt_unknown"},
		{name: "a session that ended, where one is optional", method: "GET", target: "/v1/warnings", headers: []string{"Authorization", "Bearer hs_gone"}, status: 401, code: "unauthenticated"},
		{name: "a scan of nonsense", method: "GET", target: "/01/hello", status: 400},
		{name: "a scan with a wrong check digit", method: "GET", target: "/01/06901234567893", status: 400, code: "gtin_check_digit"},
		{name: "a scan with a script in the serial", method: "GET", target: "/01/06901234567892/21/%3Cscript%3Ealert(1)%3C%2Fscript%3E", status: 400},
		{name: "a scan as an image", method: "GET", target: "/01/06901234567892", headers: []string{"Accept", "image/png"}, status: 406, code: "not_acceptable"},
		{name: "a code of no length", method: "GET", target: "/v1/resolve?code=", status: 400, code: "invalid_parameter"},
		{name: "no code", method: "GET", target: "/v1/resolve", status: 400, code: "invalid_parameter", fields: []string{"code required"}},
		{name: "a symbol of a serial that was never issued", method: "GET", target: "/v1/codes/06901234567892/NONE.png", status: 404, code: "unit_not_found"},
		{name: "a symbol as large as a house", method: "GET", target: "/v1/codes/06901234567892/" + serialGiven + ".png?size=99999", status: 400, code: "invalid_parameter", fields: []string{"size too_large"}},
		{name: "another device's holding", method: "DELETE", target: "/v1/device/holdings/someone-elses", headers: []string{"Authorization", asDevice}, status: 404, code: "holding_not_found"},
		{name: "a draft that was changed", method: "PUT", target: "/v1/warnings/" + draftNo, body: exampleBody(t, "updateWarning"), headers: []string{"Authorization", asOfficer, "If-Match", `"draft-2"`}, status: 412, code: "draft_changed"},
		{name: "an entity tag of something else", method: "PUT", target: "/v1/warnings/" + draftNo, body: exampleBody(t, "updateWarning"), headers: []string{"Authorization", asOfficer, "If-Match", `"rev-3"`}, status: 412, code: "warning_changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			resp := b.do(t, request(tt.method, tt.target, tt.body, tt.headers...))
			if resp.StatusCode != tt.status {
				t.Fatalf("got %d, want %d: %s", resp.StatusCode, tt.status, readBody(t, resp))
			}
			if tt.method == http.MethodHead {
				return
			}
			p := readProblem(t, resp)
			if tt.code != "" && p.Code != tt.code {
				t.Errorf("code %q, want %q (%s)", p.Code, tt.code, p.Detail)
			}
			if p.Status != tt.status || p.Type != problemBase+p.Code || p.RequestID != resp.Header.Get("X-Request-Id") {
				t.Errorf("problem %+v", p)
			}
			if tt.fields != nil {
				if got := fieldsOf(p); !slices.Equal(got, tt.fields) {
					t.Errorf("errors\ngot  %q\nwant %q", got, tt.fields)
				}
			}
		})
	}
}

func exampleBody(t *testing.T, op string) string { return string(readExample(t, op).Request.Body) }

// fieldsOf writes each error of a problem as its place and its code, sorted.
func fieldsOf(p problem) []string {
	var out []string
	for _, e := range p.Errors {
		at := e.Parameter
		if e.Pointer != nil {
			at = *e.Pointer
		}
		out = append(out, at+" "+e.Code)
	}
	slices.Sort(out)
	return out
}

// Each kind of fault has its status, and what the log may know stays out of the answer.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind       fault.Kind
		status     int
		retryAfter string
	}{
		{fault.Malformed, 400, ""},
		{fault.Forbidden, 403, ""},
		{fault.NotFound, 404, ""},
		{fault.Conflict, 409, ""},
		{fault.TooLarge, 413, ""},
		{fault.Unsupported, 415, ""},
		{fault.Invalid, 422, ""},
		{fault.Unavailable, 503, "2"},
		{fault.Internal, 500, ""},
	}
	for _, tt := range tests {
		b := setup(t)
		b.fakes.set(func(f *fakes) {
			f.err = fault.New(tt.kind, "some_code", "a detail").Because(errCause)
		})
		// A request whose contract has every one of these statuses; TooMany is in TestRateLimit.
		resp := b.do(t, request("PUT", "/v1/products/06901234567892/lots/L1/foreign-codes", `{"codes":[{"scheme":"udi","code":"1"}]}`, "Authorization", asSeller))
		body := readBody(t, resp)
		if resp.StatusCode != tt.status || resp.Header.Get("Retry-After") != tt.retryAfter {
			t.Errorf("%d: got %d, Retry-After %q", tt.kind, resp.StatusCode, resp.Header.Get("Retry-After"))
		}
		if strings.Contains(body, "the cause") || tt.kind == fault.Internal && (strings.Contains(body, "some_code") || strings.Contains(body, "a detail")) {
			t.Errorf("%d: the answer tells too much: %s", tt.kind, body)
		}
		if tt.status >= 500 && !strings.Contains(b.log.String(), "the cause") {
			t.Errorf("%d: the log lacks the cause: %s", tt.kind, b.log)
		}
	}
}
