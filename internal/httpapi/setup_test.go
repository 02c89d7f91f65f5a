package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
	"github.com/haisu-trace/haisu/internal/trace"
)

// bundle is a server over fakes, with what a test looks at.
type bundle struct {
	app   *fiber.App
	fakes *fakes
	log   *syncBuffer
	clock *clocktest.Clock
}

// setup builds a server. change may alter its dependencies first.
func setup(t testing.TB, change ...func(*Deps)) *bundle {
	t.Helper()
	b := &bundle{fakes: newFakes(), log: &syncBuffer{}, clock: clocktest.New(now)}
	var tokens atomic.Int64
	deps := Deps{
		Version: "0.1.0", PublicURL: "https://haisu.example", Services: b.fakes.services(),
		Page: page{},
		Log:  slog.New(slog.NewJSONHandler(b.log, nil)), Now: b.clock.Now,
		NewToken: func() string { return "t" + strings.Repeat("0", 14) + strconv.FormatInt(tokens.Add(1)%10, 10) },
	}
	for _, f := range change {
		f(&deps)
	}
	app, err := New(deps)
	if err != nil {
		t.Fatal(err)
	}
	b.app = app
	return b
}

// do sends a request and checks the response against the contract.
func (b *bundle) do(t testing.TB, req *http.Request) *http.Response {
	t.Helper()
	resp, err := b.app.Test(req, -1)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	contracttest.Check(t, req, resp)
	return resp
}

// request makes a request with headers given as name, value, name, value, …
func request(method, target, body string, headers ...string) *http.Request {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

func readBody(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readProblem(t testing.TB, resp *http.Response) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(readBody(t, resp)), &p); err != nil {
		t.Fatalf("no problem document: %v", err)
	}
	return p
}

// page renders just enough to tell what was rendered.
type page struct{}

func (page) RenderScan(w io.Writer, lang string, a *trace.Answer) error {
	_, err := io.WriteString(w, "<title>"+lang+" "+a.Headline.Status+"</title>")
	return err
}

func (page) RenderProblem(w io.Writer, lang string, status int, code, _, _ string) error {
	_, err := io.WriteString(w, "<title>"+lang+" "+strconv.Itoa(status)+" "+code+"</title>")
	return err
}

func (page) ContentSecurityPolicy() string {
	return "default-src 'none'; img-src 'self'; frame-ancestors 'none'"
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
