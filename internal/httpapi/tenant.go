package httpapi

import (
	"context"
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
	Links     Links
	Events    Events
	Documents Documents
}

// tenant gives the world of a request: the firm's test tenant for a seller's key that is for it, which permitTest has opened, else the real
// one.
func (s *server) tenant(k *call) Tenant {
	if k.principal.Test {
		return k.sandbox
	}
	v := &s.deps.Services
	return Tenant{Scanner: v.Scanner, Catalogue: v.Catalogue, Codes: v.Codes, Capture: v.Capture, Events: v.Events, Links: v.Links, Graph: v.Graph, Documents: v.Documents}
}

// testActions are the actions that have a test tenant to be done on, and the reading of the firm's own record.
var testActions = []access.Action{
	access.PublicRead, access.CatalogueWrite, access.ImportSelf, access.CodesIssue, access.CodesRead, access.CodesPrint, access.CodesVoid, access.EventsCapture,
	access.EventsRead, access.TraceRead,
	access.DocumentWrite, access.DocumentRead, access.DocumentFile,
	access.FirmRead, access.JobSelf,
}

// permitTest holds test keys to what has a test tenant, since a key that lies about in a test system must not give out live keys, and opens
// the tenant of the key's firm. It is the one place where that is decided: a test key that has not passed here has no world at all.
func (s *server) permitTest(ctx context.Context, op *operation, k *call) (err error) {
	switch {
	case !k.principal.Test:
		return nil
	case !slices.Contains(testActions, op.permission):
		return refuse(http.StatusForbidden, "test_key", "a key to the test tenant is not for this; use a live key")
	case s.deps.Services.Sandbox == nil:
		return &httpError{status: http.StatusServiceUnavailable, code: "no_test_tenant", detail: "there are no test tenants here now", retry: retryUnavailable}
	}
	k.sandbox, err = s.deps.Services.Sandbox(ctx, k.principal.Firm)
	return err
}
