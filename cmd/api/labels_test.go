package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
)

// A seller has more codes issued than a request may, prints labels of some, and withdraws others: through the real program.
func TestCodesByTheThousand(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	seller := bearer(p.sellerKey("haikou-df", "-kind", "duty_free", "-grants", "690123456"))
	p.do(nil, "PUT", "/v1/products/"+gtin, seller, spirits, 201)
	p.do(nil, "PUT", "/v1/products/"+gtin+"/lots/L1", seller, map[string]any{"produced": "2026-01-15", "expires": "2036-01-15", "quantity": 12000}, 201)

	keyed := bearer(strings.TrimPrefix(seller["Authorization"], "Bearer "))
	keyed["Idempotency-Key"] = "order-4711"
	ask := func() string {
		return p.do(nil, "POST", "/v1/products/"+gtin+"/lots/L1/codes", keyed, map[string]any{"count": 12_000}, 202).Header.Get("Location")
	}
	job := ask()
	if again := ask(); again != job {
		t.Fatalf("the repeated request is job %s, after %s", again, job)
	}
	ended := func(job string) map[string]any {
		var j map[string]any
		p.eventually("the end of "+job, func() bool {
			j = p.do(nil, "GET", job, seller, nil, 200).json(t)
			return at(t, j, "state") != "queued" && at(t, j, "state") != "running"
		})
		wantAt(t, j, "success", "state")
		return j
	}
	batch := at(t, ended(job), "result", "batch").(string)
	labels := "/v1/codes/batches/" + batch

	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(p.do(nil, "GET", labels+"/labels.csv", seller, nil, 200).body, []byte("\uFEFF")))).ReadAll()
	if err != nil || len(rows) != 12_001 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	serials := map[string]bool{}
	for i, row := range rows[1:] {
		serials[row[3]] = true
		if row[0] != fmt.Sprint(i+1) || row[4] != p.base+"/01/"+gtin+"/10/L1/21/"+row[3] {
			t.Fatalf("row %d: %v", i+1, row)
		}
	}
	if len(serials) != 12_000 {
		t.Errorf("%d different serials", len(serials))
	}
	p.do(nil, "GET", labels+"/labels.pdf?count=30", seller, nil, 409) // the list was one printing of all
	again := bearer(strings.TrimPrefix(seller["Authorization"], "Bearer "))
	again["Haisu-Reason"] = "%E6%89%93%E6%A0%B7"
	if pdf := p.do(nil, "GET", labels+"/labels.pdf?count=30", again, nil, 200).body; !bytes.HasPrefix(pdf, []byte("%PDF-1.7")) || !bytes.HasSuffix(pdf, []byte("%%EOF\n")) {
		t.Errorf("%d bytes that begin %.20q", len(pdf), pdf)
	}
	prints := p.do(nil, "GET", labels+"/prints", seller, nil, 200).json(t)
	wantAt(t, prints, "打样", "items", 0, "reason")
	wantAt(t, prints, "csv", "items", 1, "format")

	void := p.do(nil, "POST", labels+"/voids", seller, map[string]any{"from": 101, "count": 50, "reason": "整卷受潮"}, 202).Header.Get("Location")
	ended(void)
	for row, want := range map[int]string{100: "issued", 101: "void", 150: "void", 151: "issued"} {
		wantAt(t, p.do(nil, "GET", "/01/"+gtin+"/21/"+rows[row][3], inEnglish, nil, 200).json(t), want, "authenticity", "status")
	}
	p.do(nil, "POST", "/v1/codes/"+gtin+"/"+rows[1][3]+"/void", seller, map[string]any{"reason": "标签破损"}, 200)
	wantAt(t, p.do(nil, "GET", "/v1/codes/"+gtin+"/"+rows[1][3]+"/state", seller, nil, 200).json(t), "标签破损", "voided", "reason")
}
