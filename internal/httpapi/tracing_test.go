package httpapi

import (
	"slices"
	"testing"
)

// Officers ask for the whole graph, sellers for what their firm may see of it, with a test key in its test tenant; nobody else asks.
func TestWhoseViewOfTheGraph(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{
		"/v1/trace/6901234567892/L24A1/descendants", "/v1/trace/6901234567892/L24A1/ancestors", "/v1/trace/6901234567892/L24A1/contradictions",
		"/v1/trace/6901234567892/units/A1/descendants",
		"/v1/trace/6901234567892/units/A1/ancestors", "/v1/trace/6901234567892/units/A1/contradictions",
		"/v1/containers/106141412345678908/descendants", "/v1/containers/106141412345678908/ancestors",
	} {
		b.fakes.viewers, b.fakes.sandbox.viewers = nil, nil
		for as, status := range map[string]int{asSeller: 200, asTest: 200, "Bearer " + viewerToken: 200, "Bearer " + adminToken: 403, "": 401} {
			req := request("GET", path, "")
			if as != "" {
				req.Header.Set("Authorization", as)
			}
			if resp := b.do(t, req); resp.StatusCode != status {
				t.Errorf("%s as %q: %d, want %d: %s", path, as, resp.StatusCode, status, readBody(t, resp))
			}
		}
		slices.Sort(b.fakes.viewers)
		if !slices.Equal(b.fakes.viewers, []string{"", seller.ID}) || !slices.Equal(b.fakes.sandbox.viewers, []string{seller.ID}) {
			t.Errorf("%s: views of %q, in the test tenant of %q", path, b.fakes.viewers, b.fakes.sandbox.viewers)
		}
	}
	for path, status := range map[string]int{
		"/v1/trace/6901234567893/L24A1/descendants":                           400, // check digit
		"/v1/trace/6901234567892/L24A1/descendants?at=yesterday":              400,
		"/v1/trace/6901234567892/L24A1/descendants?at=0001-01-01T00:00:01Z":   400,
		"/v1/trace/6901234567892/L24A1/descendants?from=2026-01-01T00:00:00Z": 400,
		"/v1/containers/12/descendants":                                       400,
	} {
		if resp := b.do(t, request("GET", path, "", "Authorization", asOfficer)); resp.StatusCode != status {
			t.Errorf("%s: %d, want %d: %s", path, resp.StatusCode, status, readBody(t, resp))
		}
	}
}
