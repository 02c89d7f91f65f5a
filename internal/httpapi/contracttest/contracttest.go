// Package contracttest holds responses of the server to the contract, mobile-contract/openapi.yaml. It is for tests.
package contracttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	contract "github.com/haisu-trace/haisu/mobile-contract"
)

// loaded is the contract and a router for it, made once.
var loaded = sync.OnceValues(func() (*Contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPI)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &Contract{Doc: doc, router: router}, nil
})

// Contract is the contract, ready to check against.
type Contract struct {
	Doc    *openapi3.T
	router routers.Router
}

// Load gives the contract.
func Load(t testing.TB) *Contract {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatalf("contract: %v", err)
	}
	return c
}

// Check fails the test if the contract does not allow resp as an answer to req: an undeclared status, header or media type, a body
// outside its schema, a problem without a code, a missing request ID. It reads the body and puts it back.
func Check(t testing.TB, req *http.Request, resp *http.Response) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the response: %v", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := Load(t).Response(req, resp.StatusCode, resp.Header, body); err != nil {
		t.Errorf("%s %s: %d is outside the contract: %v\n%s", req.Method, req.URL.Path, resp.StatusCode, err, clip(body))
	}
	if resp.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: no X-Request-Id", req.Method, req.URL.Path)
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 2000)] }

// Operation is the ID of the operation that a request means; "" if it means none.
func (c *Contract) Operation(req *http.Request) string {
	route, _, err := c.route(req)
	if err != nil {
		return ""
	}
	return route.Operation.OperationID
}

// route ignores scheme and host: the contract's server is '/'.
func (c *Contract) route(req *http.Request) (*routers.Route, map[string]string, error) {
	r := &http.Request{Method: req.Method, URL: &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}, Header: req.Header}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	return c.router.FindRoute(r)
}

// Request says whether the contract allows a request. Credentials are not looked at.
func (c *Contract) Request(req *http.Request) error {
	route, params, err := c.route(req)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
		Request: req, Route: route, PathParams: params,
		Options: &openapi3filter.Options{MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
}

// Response says whether the contract allows a response. Outside the contract's paths and methods only problems are allowed.
func (c *Contract) Response(req *http.Request, status int, header http.Header, body []byte) error {
	route, params, err := c.route(req)
	if err != nil || isGlobal(status) {
		return c.globalProblem(status, header, body)
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: route, PathParams: params},
		Status:                 status, Header: header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	declared := route.Operation.Responses.Status(status)
	if declared == nil {
		return fmt.Errorf("the status is not declared for %s", route.Operation.OperationID)
	}
	if err := checkMedia(declared.Value, header, body, req.Method); err != nil {
		return err
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type")) // checked above
	if req.Method == http.MethodHead || media != "application/json" && !strings.HasSuffix(media, "+json") {
		in.Options.ExcludeResponseBody = true
	}
	in.SetBodyBytes(body)
	return openapi3filter.ValidateResponse(context.Background(), in)
}

// checkMedia wants a declared media type, or no body where none is declared.
func checkMedia(r *openapi3.Response, header http.Header, body []byte, method string) error {
	if len(r.Content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("a body where none is declared")
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("media type: %w", err)
	}
	if r.Content[media] == nil {
		return fmt.Errorf("the media type %s is not declared", media)
	}
	if len(body) == 0 && method != http.MethodHead {
		return fmt.Errorf("no body")
	}
	return nil
}

// isGlobal says whether a status may come from anywhere, for requests that no operation saw.
func isGlobal(status int) bool {
	return slices.Contains([]int{
		http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusRequestTimeout, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusRequestURITooLong, http.StatusTooManyRequests,
	}, status)
}

// globalProblem checks a problem that belongs to no operation.
func (c *Contract) globalProblem(status int, header http.Header, body []byte) error {
	if status < http.StatusBadRequest {
		return fmt.Errorf("success for what is not in the contract")
	}
	declared := c.Doc.Components.Responses["Internal"].Value
	if err := checkMedia(declared, header, body, ""); err != nil {
		return err
	}
	v, err := decode(body)
	if err != nil {
		return err
	}
	return c.Doc.Components.Schemas["Problem"].Value.VisitJSON(v, openapi3.MultiErrors())
}

func decode(body []byte) (any, error) {
	var v any
	err := json.Unmarshal(body, &v)
	return v, err
}
