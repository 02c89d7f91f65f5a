package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

// At red and orange every publication waits for a second operator, at yellow and blue none does.
func TestFourEyes(t *testing.T) {
	t.Parallel()
	done := map[string]int{"publishWarning": 200, "amendWarning": 201, "liftWarning": 201, "retractWarning": 201}
	steps := map[string]string{"publishWarning": stepPublish, "amendWarning": stepAmend, "liftWarning": stepLift, "retractWarning": stepRetract}
	for op, status := range done {
		for _, level := range []warning.Level{warning.Blue, warning.Yellow, warning.Orange, warning.Red} {
			b := setup(t)
			b.fakes.levels[steps[op]] = level
			resp := b.do(t, readExample(t, op).Request.http())
			wait := level == warning.Orange || level == warning.Red
			want := status
			if wait {
				want = 202
			}
			if resp.StatusCode != want || (resp.Header.Get("Location") == "/v1/approvals/"+pending.ID) != wait {
				t.Errorf("%s at %s: %d %v", op, level, resp.StatusCode, resp.Header)
			}
			f := b.fakes
			if (len(f.asked) == 1) != wait || (len(f.seen) == 0) != wait {
				t.Errorf("%s at %s: asked %d, published %d", op, level, len(f.asked), len(f.seen))
			}
		}
	}
}

// The answer shows what waits: what would be published, and of what it is the next step.
func TestWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fakes.levels[stepLift] = warning.Red
	resp := b.do(t, request("POST", "/v1/warnings/"+warningNo+"/lift", `{"reason":{"zh-Hans":"复检合格","en":"The re-test passed"}}`, "Authorization", asOfficer, "If-Match", `"rev-2"`))
	var got struct {
		Step     string          `json:"step"`
		Warning  string          `json:"warning"`
		Revision int64           `json:"revision"`
		Level    warning.Level   `json:"level"`
		State    string          `json:"state"`
		Content  warning.Content `json:"content"`
		Reason   lang.Text       `json:"message_reason"`
	}
	if err := json.Unmarshal([]byte(readBody(t, resp)), &got); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 202 || got.Step != "lift" || got.Warning != warningNo || got.Revision != 2 || got.Level != warning.Red || got.State != "pending" ||
		got.Content.Title[lang.En] != content.Title[lang.En] || got.Reason[lang.ZhHans] != "复检合格" {
		t.Errorf("%d %+v", resp.StatusCode, got)
	}
	entries := b.fakes.trail.all()
	if last := entries[len(entries)-1]; last.Phase != phaseDone || last.Why != "复检合格" || !strings.Contains(string(last.After), pending.ID) {
		t.Errorf("trail %+v", last)
	}
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const target = "/v1/approvals/ap_5q8t1w4z7c0f3j6m9p2s5v8y-1/decision"
	resp := b.do(t, request("POST", target, `{"approve":true}`, "Authorization", asOfficer))
	if p := readProblem(t, resp); resp.StatusCode != 403 || p.Code != "four_eyes" {
		t.Errorf("who asked decides: %d %+v", resp.StatusCode, p)
	}
	resp = b.do(t, request("POST", target, `{"approve":false}`, "Authorization", "Bearer "+secondToken))
	if p := readProblem(t, resp); resp.StatusCode != 422 || len(fieldsOf(p)) != 1 || fieldsOf(p)[0] != "/reason required" {
		t.Errorf("a rejection without a reason: %d %+v", resp.StatusCode, p)
	}
	resp = b.do(t, request("POST", target, `{"approve":false,"reason":"范围过大"}`, "Authorization", "Bearer "+secondToken))
	body := readBody(t, resp)
	entries := b.fakes.trail.all()
	last := entries[len(entries)-1]
	if resp.StatusCode != 200 || !strings.Contains(body, `"rejected"`) || last.Why != "范围过大" || !strings.Contains(string(last.Before), "pending") || !strings.Contains(string(last.After), "rejected") {
		t.Errorf("%d %s, trail %+v", resp.StatusCode, body, last)
	}
}
