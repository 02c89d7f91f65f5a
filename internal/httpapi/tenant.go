package httpapi

import (
	"net/http"
	"slices"

	"github.com/haisu-trace/haisu/internal/access"
)

// Tenant is one world of goods: what is written to one is never read from another.
type Tenant struct {
	Scanner   Scanner
	Catalogue Catalogue
	Codes     Codes
	Capture   Capture
	Graph     Graph
}

// tenant chooses the world of a request: the test tenants' for a seller's key that is for them, else the real one. It is the one place
// where that is decided.
func (s *server) tenant(k *call) Tenant {
	v := &s.deps.Services
	if k.principal.Test {
		return v.Sandbox
	}
	return Tenant{Scanner: v.Scanner, Catalogue: v.Catalogue, Codes: v.Codes, Capture: v.Capture, Graph: v.Graph}
}

// testActions are the actions that have a test tenant to be done on, and the reading of the firm's own record.
var testActions = []access.Action{access.PublicRead, access.CatalogueWrite, access.CodesIssue, access.EventsCapture, access.TraceRead, access.FirmRead}

// permitTest holds test keys to what has a test tenant: a key that lies about in a test system must not give out live keys.
func (s *server) permitTest(op *operation, k *call) error {
	switch {
	case !k.principal.Test:
		return nil
	case !slices.Contains(testActions, op.permission):
		return refuse(http.StatusForbidden, "test_key", "a key to the test tenant is not for this; use a live key")
	case s.deps.Services.Sandbox.Scanner == nil:
		return &httpError{status: http.StatusServiceUnavailable, code: "no_test_tenant", detail: "there are no test tenants here now", retry: retryUnavailable}
	}
	return nil
}
