package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/access/audit"
)

// checkTrail holds what was done to the audit trail: who, what, from where, also reads of personal data, which end with erasure.
func (p *program) checkTrail(case1, secret string, officer map[string]string) {
	t := p.t
	t.Helper()
	auditor := bearer(p.loginAs("wu.ping", "auditor"))
	p.do(nil, "GET", "/v1/audit", officer, nil, 403)
	p.do(nil, "GET", "/v1/cases/"+case1, officer, nil, 200)
	for filter, want := range map[string]string{
		"action=publishWarning":                       "operator:chen.yu",
		"action=decideApproval":                       "operator:lin.mei",
		"action=getCase&subject=case/" + case1:        "operator:chen.yu",
		"actor=operator:wu.ping&action=createSession": "operator:wu.ping",
	} {
		list := p.do(nil, "GET", "/v1/audit?"+filter, auditor, nil, 200).json(t)
		wantAt(t, list, want, "items", 0, "actor")
		if !strings.Contains(fmt.Sprint(list["items"]), "from:127.0.0.1") { // the attempt has it, and the outcome names the attempt
			t.Errorf("%s: from where? %v", filter, list["items"])
		}
	}
	day := func(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format(time.RFC3339) }
	export := p.do(nil, "GET", "/v1/audit/export?from="+day(-1)+"&to="+day(1), auditor, nil, 200)
	r, err := audit.CheckExport(bytes.NewReader(export.body), nil)
	if err != nil || r.Break != nil || r.Entries < 20 {
		t.Errorf("the export: %+v, %v", r, err)
	}
	if out := p.command("", "verify"); !strings.Contains(out, "in order") {
		t.Errorf("verify says %s", out)
	}
	filer := map[string]string{"Haisu-Receipt-Secret": secret}
	if body := p.do(nil, "GET", "/v1/complaints/"+case1+"/export", filer, nil, 200).body; !strings.Contains(string(body), "138 0000 0000") {
		t.Errorf("the export of a case lacks the phone number: %s", body)
	}
	p.do(nil, "DELETE", "/v1/complaints/"+case1, filer, nil, 204)
	if body := p.do(nil, "GET", "/v1/cases/"+case1, officer, nil, 200).body; strings.Contains(string(body), "138 0000 0000") {
		t.Errorf("an erased case: %s", body)
	}
}
