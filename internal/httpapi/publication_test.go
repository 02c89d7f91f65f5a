package httpapi

import (
	"context"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/fault"
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
			if (len(f.asked) == 1) != wait || (len(f.seen)+len(f.changes) == 0) != wait {
				t.Errorf("%s at %s: asked %d, published %d", op, level, len(f.asked), len(f.seen)+len(f.changes))
			}
		}
	}
}

// What is asked for is pinned to what was seen: the draft's revision, or the last message.
func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fakes.levels[stepLift] = warning.Red
	b.do(t, request("POST", "/v1/warnings/"+draftNo+"/publication", "", "Authorization", asOfficer))
	b.do(t, request("POST", "/v1/warnings/"+warningNo+"/lift", `{"reason":{"zh-Hans":"复检合格","en":"The re-test passed"}}`, "Authorization", asOfficer, "Idempotency-Key", "lift-0001"))
	a := b.fakes.asked
	if len(a) != 2 {
		t.Fatalf("asked %+v", a)
	}
	if r := a[0]; r.Action != "warning.publish" || r.Subject != "warning/"+draftNo || r.Revision != 3 || r.Level != content.Level || r.Class != content.Category ||
		r.Authority != authorityNow || r.By != "chen.yu" || !strings.Contains(string(r.Body), content.Title[lang.En]) {
		t.Errorf("publish: %+v", r)
	}
	if r := a[1]; r.Action != "warning.lift" || r.Revision != 2 || r.Level != warning.Red || !strings.Contains(string(r.Body), "lift-0001") || !strings.Contains(string(r.Body), "复检合格") {
		t.Errorf("lift: %+v", r)
	}
	stale := b.do(t, request("POST", "/v1/warnings/"+draftNo+"/publication", "", "Authorization", asOfficer, "If-Match", `"draft-2"`))
	if p := readProblem(t, stale); stale.StatusCode != 412 || p.Code != "draft_changed" || len(b.fakes.asked) != 2 {
		t.Errorf("%d %+v", stale.StatusCode, p)
	}
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const target = "/v1/approvals/a-5q8t1w4z7c0f3j6m/decision"
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

// press publishes when May lets it, of two classes.
type press struct {
	WarningPress
	by   warning.Author
	keys []string
	seen []int
}

func (p *press) Amend(_ context.Context, by warning.Author, no string, a warning.Amendment) (warning.Message, error) {
	p.by, p.keys, p.seen = by, append(p.keys, a.Key), append(p.seen, a.Seen)
	for _, class := range []string{"wine", "spirits"} {
		if err := by.May(string(access.WarningPublish), class, warning.Red); err != nil {
			return warning.Message{}, err
		}
	}
	return warning.Message{No: no, Rev: a.Seen + 1}, nil
}

type people map[string]access.Principal

func (p people) Principal(_ context.Context, login string) (access.Principal, error) {
	if v, ok := p[login]; ok {
		return v, nil
	}
	return access.Principal{}, fault.New(fault.NotFound, "operator_unknown", "there is no operator %s", login)
}

// What was approved is carried out only if both still may do it.
func TestCarry(t *testing.T) {
	t.Parallel()
	r := approval.Request{
		ID: "a-1", Action: "warning.amend", Subject: "warning/" + warningNo, Level: warning.Red, Class: "wine", Authority: authorityNow, Revision: 2,
		Body: mustJSON(step{Content: &content, Reason: reason}), By: "chen.yu", ByName: "陈宇", DecidedBy: "wu.min",
	}
	asker, decider := operatorOf("chen.yu", "陈宇", access.Publisher), operatorOf("wu.min", "吴敏", access.Publisher)
	viewer, low, elsewhere, oneClass := decider, decider, decider, decider
	viewer.Roles, low.Level, elsewhere.Authority, oneClass.Classes = []access.Role{access.Viewer}, warning.Yellow, "海口海关", []string{"wine"}
	demoted := asker
	demoted.Level = warning.Orange
	for _, tt := range []struct {
		name string
		who  people
		code string
	}{
		{"both may", people{"chen.yu": asker, "wu.min": decider}, ""},
		{"who asked is gone", people{"wu.min": decider}, "operator_unknown"},
		{"who approved is gone", people{"chen.yu": asker}, "operator_unknown"},
		{"who asked may less now", people{"chen.yu": demoted, "wu.min": decider}, "level_not_permitted"},
		{"who approved publishes no more", people{"chen.yu": asker, "wu.min": viewer}, "not_permitted"},
		{"who approved may not at this level", people{"chen.yu": asker, "wu.min": low}, "level_not_permitted"},
		{"who approved left for another authority", people{"chen.yu": asker, "wu.min": elsewhere}, "not_found"},
		{"who approved is not competent for the other class", people{"chen.yu": asker, "wu.min": oneClass}, "not_competent"},
	} {
		p := &press{}
		got, err := Carry(p, tt.who)(t.Context(), r)
		if tt.code != "" {
			if fault.CodeOf(err) != tt.code {
				t.Errorf("%s: %q %v", tt.name, got, err)
			}
			continue
		}
		if err != nil || got != warningNo+"/3" || p.by.Second != "wu.min" || p.by.ID != "chen.yu" || p.seen[0] != 2 || p.keys[0] != "a-1" {
			t.Errorf("%s: %q %v %+v", tt.name, got, err, p)
		}
	}
	own := r
	own.DecidedBy = r.By
	if _, err := Carry(&press{}, people{"chen.yu": asker})(t.Context(), own); fault.CodeOf(err) != "four_eyes" {
		t.Errorf("one pair of eyes: %v", err)
	}
	for _, bad := range []approval.Request{{ID: "a-2", Action: "warning.burn", Body: []byte(`{}`), By: "chen.yu", DecidedBy: "wu.min"}, {ID: "a-3", Body: []byte(`{`)}} {
		if _, err := Carry(&press{}, people{"chen.yu": asker, "wu.min": decider})(t.Context(), bad); err == nil {
			t.Errorf("carried out: %+v", bad)
		}
	}
}
