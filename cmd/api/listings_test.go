package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// A publisher puts a firm on the serious-violation list, notes an appeal and lifts it; the public reads each state and no more than that, another
// role may not, and whoever has the store cannot alter an entry unseen, not even one that has ended.
func TestSeriousViolations(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	publisher, viewer := bearer(p.login("chen.yu")), bearer(p.loginAs("lin.mei", "viewer"))
	p.do(nil, "GET", "/v1/serious-violations/SX-2026-000001", nil, nil, 404)
	decided := time.Now().AddDate(0, 0, -2).Format(time.DateOnly)
	both := func(zh, en string) map[string]any { return map[string]any{"zh-Hans": zh, "en": en} }
	content := map[string]any{
		"name": both("海口某食品有限公司", "A Haikou food company"), "credit_code": "91460000MA5T00001F", "reason": both("掺假", "Adulteration"),
		"legal_basis": "办法第五条", "decision_no": "琼市监列〔2026〕3号", "decided": decided,
	}
	const path = "/v1/serious-violations"
	p.do(nil, "POST", path, nil, content, 401)
	p.do(nil, "POST", path, viewer, content, 403)
	made := p.do(nil, "POST", path, publisher, content, 201)
	no := at(t, made.json(t), "no").(string)
	one := path + "/" + no
	if made.Header.Get("Location") != one {
		t.Errorf("it is at %s", made.Header.Get("Location"))
	}
	wantAt(t, p.do(nil, "POST", path, publisher, content, 200).json(t), no, "no")
	content["legal_basis"] = "another"
	p.do(nil, "POST", path, publisher, content, 409)
	content["credit_code"] = "91460000MA5T00001J"
	p.do(nil, "POST", path, publisher, content, 422)

	wantAt(t, p.do(nil, "GET", path, nil, nil, 200).json(t), no, "items", 0, "no")
	change := map[string]any{"kind": "appealed", "revision": 1, "note": both("复议", "Appeal")}
	p.do(nil, "POST", one+"/changes", viewer, change, 403)
	wantAt(t, p.do(nil, "POST", one+"/changes", publisher, change, 200).json(t), true, "appeal")
	wantAt(t, p.do(nil, "POST", one+"/changes", publisher, change, 200).json(t), 2.0, "revision") // a retry
	lift := map[string]any{"kind": "lifted", "ground": "revoked", "revision": 1, "note": both("撤销", "Revoked")}
	p.do(nil, "POST", one+"/changes", publisher, lift, 409)
	wantAt(t, p.do(nil, "GET", one, nil, nil, 200).json(t), "appealed", "history", 1, "kind")
	lift["revision"] = 2
	p.do(nil, "POST", one+"/changes", publisher, lift, 200)
	if b := p.do(nil, "GET", one, nil, nil, 200).body; string(bytes.TrimSpace(b)) != `{"no":"`+no+`","revision":3,"status":"ended"}` {
		t.Errorf("ended: %s", b)
	}
	if n := len(at(t, p.do(nil, "GET", path, nil, nil, 200).json(t), "items").([]any)); n != 0 {
		t.Errorf("%d are in force", n)
	}

	p.eventually("three leaves", func() bool {
		return at(t, p.do(nil, "GET", "/v1/ledger", nil, nil, 200).json(t), "size").(float64) == 3
	})
	leaves := p.do(nil, "GET", "/v1/ledger/leaves", nil, nil, 200).body
	if !bytes.Contains(leaves, []byte(`\"kind\":\"lifted\"`)) || bytes.Contains(leaves, []byte("海口某食品")) || bytes.Contains(leaves, []byte("chen.yu")) || bytes.Contains(leaves, []byte("91460000MA5T00001F")) {
		t.Errorf("leaves: %s", leaves)
	}
	kept := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(kept, p.do(nil, "GET", "/ledger/checkpoint", nil, nil, 200).body, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	d := trailOf{t, p.env["DATA_DIR"]}
	d.mustSay("it begins with the 3 of the checkpoint", "-against", kept)
	d.alterListing(no+"/1", "掺假", "串货")
	d.mustFail("serious_violation "+no+"/1", "-against", kept)
}

// alterListing changes a word of a stored entry, as whoever has the database can.
func (d trailOf) alterListing(id, from, to string) {
	d.t.Helper()
	cfg, _, err := parse("test", nil, d.getenv, streams{nil, os.Stdout, os.Stderr}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	err = within(d.t.Context(), cfg, os.Stderr, func(a *app) error {
		recs, err := a.engine.Get(d.t.Context(), "serious_violations", []string{id})
		if err != nil || len(recs) != 1 {
			d.t.Fatalf("%d entries, %v", len(recs), err)
		}
		changed := store.Record{ID: id, Rev: recs[0].Rev, Body: bytes.Replace(recs[0].Body, []byte(from), []byte(to), 1)}
		if bytes.Equal(changed.Body, recs[0].Body) {
			d.t.Fatalf("%s is not in %s", from, recs[0].Body)
		}
		return a.engine.Replace(d.t.Context(), "serious_violations", changed)
	})
	if err != nil {
		d.t.Fatal(err)
	}
}
