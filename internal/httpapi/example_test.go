package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
	contract "github.com/haisu-trace/haisu/mobile-contract"
)

var update = flag.Bool("update", false, "write the responses of mobile-contract/examples anew")

const examplesDir = "../../mobile-contract/examples"

// example is one golden file: a request, and the response that it is answered with.
type example struct {
	Request  exampleRequest  `json:"request"`
	Response exampleResponse `json:"response"`
}

type exampleRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// exampleResponse has no Body where there is none or where it is no JSON.
type exampleResponse struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

func readExample(t *testing.T, operation string) example {
	t.Helper()
	b, err := contract.Examples.ReadFile("examples/" + operation + ".json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var e example
	if err := d.Decode(&e); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return e
}

// http makes the request. A form is in the example as a text.
func (r exampleRequest) http() *http.Request {
	body := []byte(r.Body)
	if strings.HasPrefix(r.Headers["Content-Type"], "multipart/form-data") {
		var text string
		if err := json.Unmarshal(r.Body, &text); err != nil {
			panic(err) // the file of the example is no example
		}
		body = []byte(text)
	}
	req := httptest.NewRequest(r.Method, r.Path, bytes.NewReader(body))
	for name, v := range r.Headers {
		req.Header.Set(name, v)
	}
	return req
}

// goldenHeaders are the response headers that examples show.
var goldenHeaders = []string{"Content-Type", "Content-Language", "Cache-Control", "ETag", "Location", "Vary"}

// Each operation answers its example's request with its example's response.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, op := range operationIDs(t) {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			e := readExample(t, op)
			b := setup(t)
			req := e.Request.http()
			if got := contracttest.Load(t).Operation(req); got != op {
				t.Fatalf("the request is one of operation %q", got)
			}
			if err := contracttest.Load(t).Request(e.Request.http()); err != nil {
				t.Errorf("the request is outside the contract: %v", err)
			}
			resp := b.do(t, req)
			got := exampleResponse{Status: resp.StatusCode, Headers: map[string]string{}}
			for _, name := range goldenHeaders {
				if v := resp.Header.Get(name); v != "" {
					got.Headers[name] = v
				}
			}
			body := readBody(t, resp)
			if media := resp.Header.Get("Content-Type"); strings.HasPrefix(media, "application/json") || strings.Contains(media, "+json") {
				got.Body = json.RawMessage(body)
			} else {
				delete(got.Headers, "ETag") // of the contract itself, or of what an encoder made
			}
			if *update {
				e.Response = got
				writeExample(t, op, e)
				return
			}
			if e.Response.Status != got.Status || !maps.Equal(e.Response.Headers, got.Headers) {
				t.Errorf("got  %d %v\nwant %d %v\n%s", got.Status, got.Headers, e.Response.Status, e.Response.Headers, body)
			}
			if a, b := decodeAny(t, got.Body), decodeAny(t, e.Response.Body); !reflect.DeepEqual(a, b) {
				t.Errorf("body\ngot  %s\nwant %s", got.Body, e.Response.Body)
			}
		})
	}
}

func decodeAny(t *testing.T, b []byte) any {
	t.Helper()
	if len(b) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func writeExample(t *testing.T, op string, e example) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(e); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(examplesDir, op+".json"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func operationIDs(t testing.TB) []string {
	t.Helper()
	var ids []string
	for _, item := range contracttest.Load(t).Doc.Paths.Map() {
		for _, op := range item.Operations() {
			ids = append(ids, op.OperationID)
		}
	}
	slices.Sort(ids)
	return ids
}
