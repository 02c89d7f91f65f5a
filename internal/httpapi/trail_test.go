package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/audit"
)

// line is what a test compares of an entry.
type line struct{ phase, actor, action, subject, outcome string }

func lines(entries []audit.Entry) []line {
	out := make([]line, len(entries))
	for i, e := range entries {
		out[i] = line{e.Phase, e.Actor, e.Action, e.Subject, e.Outcome}
	}
	return out
}

func TestWritesAreTraced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, readExample(t, "updateWarning").Request.http())
	got := b.fakes.trail.all()
	want := []line{
		{"attempt", "operator:chen.yu", "updateWarning", "warning/" + draftNo, ""},
		{"done", "operator:chen.yu", "updateWarning", "warning/" + draftNo, ""},
	}
	if !slices.Equal(lines(got), want) {
		t.Fatalf("got %+v", lines(got))
	}
	if e := got[0]; e.Authority != authorityNow || e.From != "0.0.0.0" || e.RequestID == "" || e.Before != nil || e.After != nil {
		t.Errorf("attempt %+v", e)
	}
	e := got[1]
	if !strings.Contains(string(e.Before), `"revision":3`) || !strings.Contains(string(e.After), `"revision":4`) {
		t.Errorf("before %s, after %s", e.Before, e.After)
	}
	for _, name := range []string{"陈宇", "nonce"} {
		if strings.Contains(string(e.Before)+string(e.After), name) {
			t.Errorf("the trail holds %q", name)
		}
	}
}

// byLink are the operations by which one-time links are used.
var byLink = []string{"startEnrolment", "confirmEnrolment", "acceptInvitation"}

// What the table traces leaves an entry, and what it does not leaves none, but for those log-ins and links that make somebody an actor.
func TestWhatIsTraced(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn
	t.Parallel()
	becoming := []string{"createSession", "finishOidc"}
	eachOperation(t, func(t *testing.T, method, path string, o *openapi3.Operation) {
		op, err := newOperation(method, path, o)
		if err != nil {
			t.Fatal(err)
		}
		b := setup(t)
		resp := b.do(t, readExample(t, op.id).Request.http())
		_, _ = io.Copy(io.Discard, resp.Body)
		var phases []string
		for _, e := range b.fakes.trail.all() {
			phases = append(phases, e.Phase)
			if e.Action != op.id || e.Actor == "" || strings.HasPrefix(e.Actor, "anyone") || e.Subject == "" {
				t.Errorf("entry %+v", e)
			}
		}
		want := map[access.Trace][]string{access.Writes: {"attempt", "done"}, access.Reads: {"read"}}[op.trace]
		switch {
		case slices.Contains(becoming, op.id):
			want = []string{"done"}
		case slices.Contains(byLink, op.id):
			want = []string{"attempt", "done"}
		}
		if !slices.Equal(phases, want) {
			t.Errorf("the trail has %q, want %q", phases, want)
		}
	})
}

func TestFailuresAreTraced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, request("PUT", "/v1/warnings/"+draftNo, exampleBody(t, "updateWarning"), "Authorization", asOfficer, "If-Match", `"draft-2"`))
	got := lines(b.fakes.trail.all())
	if resp.StatusCode != 412 || len(got) != 2 || got[1].phase != "failed" || got[1].outcome != "draft_changed" {
		t.Errorf("%d %+v", resp.StatusCode, got)
	}
	// What never got so far is no attempt.
	b = setup(t)
	b.do(t, request("PUT", "/v1/warnings/"+draftNo, `{}`, "Authorization", asOfficer, "If-Match", `"draft-3"`))
	b.do(t, request("PUT", "/v1/warnings/"+draftNo, exampleBody(t, "updateWarning"), "Authorization", asViewer, "If-Match", `"draft-3"`))
	if got := b.fakes.trail.all(); len(got) != 0 {
		t.Errorf("the trail has %+v", lines(got))
	}
}

var errTrailDown = errors.New("the trail is down")

// What cannot be kept is not done, and not told.
func TestNothingWithoutTheTrail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		op    string
		spoil func(*fakes, *Deps)
		done  bool // the write took place before the trail failed
	}{
		{"an attempt", "putPassword", func(f *fakes, _ *Deps) { f.trail.beginErr = errTrailDown }, false},
		{"an end", "endOtherSessions", func(f *fakes, _ *Deps) { f.trail.endErr = errTrailDown }, true},
		{"a read", "getCase", func(f *fakes, _ *Deps) { f.trail.recordErr = errTrailDown }, false},
		{"a stream", "exportAudit", func(f *fakes, _ *Deps) { f.trail.recordErr = errTrailDown }, false},
		{"a log-in", "createSession", func(f *fakes, _ *Deps) { f.trail.recordErr = errTrailDown }, true},
		{"no trail, a write", "endOtherSessions", func(_ *fakes, d *Deps) { d.Services.Trail = nil }, false},
		{"no trail, a read", "getCase", func(_ *fakes, d *Deps) { d.Services.Trail = nil }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakes()
			b := setup(t, func(d *Deps) { d.Services = f.services(); tt.spoil(f, d) })
			resp := b.do(t, readExample(t, tt.op).Request.http())
			body := readBody(t, resp)
			if resp.StatusCode != 503 || !strings.Contains(body, "audit_unavailable") || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Set-Cookie") != "" {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			for _, canary := range []string{"王女士", "138 0000", officerToken, `"seq"`} {
				if strings.Contains(body, canary) {
					t.Errorf("the answer tells %q", canary)
				}
			}
			if (len(f.loggedOut) > 0) != tt.done {
				t.Errorf("the write took place: %v", f.loggedOut)
			}
		})
	}
}

// secretMembers are the members of answers that are shown once.
var secretMembers = []string{"token", "secret", "totp_secret", "recovery_codes"}

// A secret that is shown once is never lost between a write that took place and a trail that failed: where nothing but the end cannot be kept, the
// answer goes out. A log-in, which is kept after it, is void instead. Every other write is told to be tried again.
func TestSecretsAreNotLostWithTheTrail(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn
	t.Parallel()
	eachOperation(t, func(t *testing.T, method, path string, o *openapi3.Operation) {
		op, err := newOperation(method, path, o)
		if err != nil {
			t.Fatal(err)
		}
		ex := readExample(t, op.id)
		answer, _ := decodeAny(t, ex.Response.Body).(map[string]any)
		secret := slices.ContainsFunc(secretMembers, func(m string) bool { _, ok := answer[m]; return ok }) || op.id == "acceptInvitation"
		if kept := op.trace == access.Writes || op.id == "createSession" || slices.Contains(byLink, op.id); !kept {
			return
		}
		b := setup(t)
		b.fakes.trail.endErr = errTrailDown
		resp := b.do(t, ex.Request.http())
		want := http.StatusServiceUnavailable
		if secret {
			want = ex.Response.Status
		}
		if body := readBody(t, resp); resp.StatusCode != want {
			t.Errorf("the end is lost: %d %s", resp.StatusCode, body)
		}
		b = setup(t)
		b.fakes.trail.beginErr, b.fakes.trail.recordErr = errTrailDown, errTrailDown
		if resp := b.do(t, ex.Request.http()); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("the beginning is lost: %d %s", resp.StatusCode, readBody(t, resp))
		}
	})
}

// A failure that cannot be kept is still the failure that it is: nothing was done.
func TestAFailureWhoseEndIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fakes.trail.endErr = errTrailDown
	resp := b.do(t, request("PUT", "/v1/warnings/"+draftNo, exampleBody(t, "updateWarning"), "Authorization", asOfficer, "If-Match", `"draft-2"`))
	if resp.StatusCode != 412 || !strings.Contains(b.log.String(), errTrailDown.Error()) {
		t.Errorf("%d %s", resp.StatusCode, b.log)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	const word = "%E5%B2%97" // one character
	for _, tt := range []struct {
		header, why string
		status      int
	}{
		{"", "", 200},
		{"%E5%B2%97%E4%BD%8D%20%31", "岗位 1", 200},
		{"plain+text%2C+really", "plain+text,+really", 200},
		{strings.Repeat(word, 500), strings.Repeat("岗", 500), 200},
		{strings.Repeat(word, 501), "", 400},
		{"%ff", "", 400},
		{"%zz", "", 400},
		{"a%0Ab", "", 400},
		{"not encoded", "", 400},
	} {
		b := setup(t)
		req := request("DELETE", "/v1/operator/sessions", "", "Authorization", asOfficer)
		if tt.header != "" {
			req.Header.Set(reasonHeader, tt.header)
		}
		resp := b.do(t, req)
		got := b.fakes.trail.all()
		if resp.StatusCode != tt.status || tt.status == 200 && (len(got) != 2 || got[0].Why != tt.why || got[1].Why != tt.why) || tt.status != 200 && len(got) != 0 {
			t.Errorf("%.40q: %d %+v", tt.header, resp.StatusCode, got)
		}
	}
	// The reason that the public reads is the trail's, if there is no other.
	b := setup(t)
	b.do(t, readExample(t, "liftWarning").Request.http())
	if got := b.fakes.trail.all(); len(got) != 2 || got[1].Why != readReason(t) {
		t.Errorf("%+v", got)
	}
}

func readReason(t *testing.T) string {
	t.Helper()
	m, _ := decodeAny(t, readExample(t, "liftWarning").Request.Body).(map[string]any)
	r, _ := m["reason"].(map[string]any)
	s, _ := r["zh-Hans"].(string)
	if s == "" {
		t.Fatal("the example has no reason")
	}
	return s
}

// concrete is an act of a type of its own, as a service has it.
type concrete struct{ actFake }

func TestTrailOf(t *testing.T) {
	t.Parallel()
	tr := TrailOf(func(context.Context, audit.Entry) (*concrete, error) { return nil, errTrailDown }, (&trailFake{}).Record)
	act, err := tr.Begin(t.Context(), audit.Entry{})
	if !errors.Is(err, errTrailDown) || act != nil {
		t.Errorf("%v %v", act, err)
	}
	tr = TrailOf(func(context.Context, audit.Entry) (*concrete, error) { return &concrete{}, nil }, (&trailFake{}).Record)
	if act, err := tr.Begin(t.Context(), audit.Entry{}); err != nil || act == nil {
		t.Errorf("%v %v", act, err)
	}
}

// An export that breaks off is seen to be broken off, and its times are bounded.
func TestExportOfTheTrail(t *testing.T) {
	t.Parallel()
	addr, b := listen(t)
	ask := func(query string) (int, string, error) {
		req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/v1/audit/export?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+auditorToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	const month = "from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z"
	if status, body, err := ask(month); status != 200 || body != "{\"seq\":41}\n" || err != nil {
		t.Errorf("%d %q %v", status, body, err)
	}
	b.fakes.set(func(f *fakes) { f.err = errCause })
	if status, body, err := ask(month); status != 200 || err == nil {
		t.Errorf("a broken export looks whole: %d %q", status, body)
	}
	for _, query := range []string{
		"from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:01Z", "from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from=yesterday&to=2026-03-01T00:00:00Z",
		"from=2026-03-01T00:00:00Z",
	} {
		if status, _, _ := ask(query); status != 400 {
			t.Errorf("%s: %d", query, status)
		}
	}
}
