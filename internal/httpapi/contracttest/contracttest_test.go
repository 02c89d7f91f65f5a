package contracttest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The checker tells what is inside the contract from what is not.
func TestResponse(t *testing.T) {
	t.Parallel()
	const json, problem = "application/json", "application/problem+json"
	good := `{"type":"https://example.org/#internal","title":"x","status":500,"code":"internal","request_id":"0123456789"}`
	tests := []struct {
		name, method, path string
		status             int
		media, body        string
		inside             bool
	}{
		{"health", "GET", "/healthz", 200, json, `{"status":"ok","version":"1"}`, true},
		{"HEAD of health", "HEAD", "/healthz", 200, json, "", true},
		{"a member too many", "GET", "/healthz", 200, json, `{"status":"ok","version":"1","pid":7}`, false},
		{"a member missing", "GET", "/healthz", 200, json, `{"status":"ok"}`, false},
		{"null for a string", "GET", "/healthz", 200, json, `{"status":"ok","version":null}`, false},
		{"an undeclared status", "GET", "/healthz", 418, json, `{}`, false},
		{"an undeclared media type", "GET", "/healthz", 200, "text/plain", "ok", false},
		{"no body", "GET", "/healthz", 200, json, "", false},
		{"a problem", "GET", "/healthz", 500, problem, good, true},
		{"a problem as plain JSON", "GET", "/healthz", 500, json, good, false},
		{"a problem without a code", "GET", "/healthz", 500, problem, `{"type":"x","title":"x","status":500,"request_id":"1"}`, false},
		{"a body where there is none", "DELETE", "/v1/sessions/current", 204, json, `{}`, false},
		{"a header missing", "GET", "/v1/notices", 200, json, `{"items":[]}`, false},
		{"no such path", "GET", "/nothing", 404, problem, good, true},
		{"success at no such path", "GET", "/nothing", 200, json, `{}`, false},
		{"no such method", "PUT", "/healthz", 405, problem, good, true},
		{"no such method in plain text", "PUT", "/healthz", 405, "text/plain", "no", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(tt.method, tt.path, nil)
			err := Load(t).Response(req, tt.status, http.Header{"Content-Type": {tt.media}}, []byte(tt.body))
			if (err == nil) != tt.inside {
				t.Errorf("inside the contract: %v, error %v", err == nil, err)
			}
		})
	}
}
