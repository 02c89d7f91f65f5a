package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

const aPDF = "%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\n%%EOF\n"

// handIn sends a form with a file.
func (p *program) handIn(who, fields map[string]string, file []byte, want int) reply {
	p.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k, v := range fields {
		if err := w.WriteField(k, v); err != nil {
			p.t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", `../../证明".html`)
	if err == nil {
		_, err = part.Write(file)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	headers := maps.Clone(who)
	headers["Content-Type"] = w.FormDataContentType()
	return p.do(nil, "POST", "/v1/documents", headers, b.String(), want)
}

// A seller hands documents in, an officer decides on them, and a shopper sees who stands behind what, and no more than is public.
func TestDocuments(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	maker := bearer(p.sellerKey("maker", "-kind", "producer", "-prefixes", "690123456"))
	rival := bearer(p.sellerKey("rival", "-kind", "importer"))
	officer, viewer := bearer(p.login("chen.yu")), bearer(p.loginAs("lin.mei", "viewer"))
	p.do(nil, "PUT", "/v1/products/"+gtin, maker, spirits, 201)
	p.do(nil, "PUT", "/v1/products/"+gtin+"/lots/L1", maker, map[string]any{"produced": "2026-01-15"}, 201)

	fields := map[string]string{
		"gtin": gtin, "lot": "L1", "kind": "inspection_certificate", "number": "460000126000123", "issuer": "海口海关", "issued": "2026-01-29", "public": "true",
	}
	with := func(name, value string) map[string]string {
		m := maps.Clone(fields)
		m[name] = value
		return m
	}
	made := p.handIn(maker, fields, []byte(aPDF), 201)
	doc := made.json(t)
	id := at(t, doc, "id").(string)
	if made.Header.Get("Location") != "/v1/documents/"+id {
		t.Errorf("it is at %s", made.Header.Get("Location"))
	}
	sum := sha256.Sum256([]byte(aPDF))
	wantAt(t, doc, hex.EncodeToString(sum[:]), "sha256")
	wantAt(t, doc, "unverified", "state")
	p.handIn(maker, fields, []byte(aPDF), 200)
	p.handIn(maker, with("number", "1"), []byte(aPDF), 409)
	p.handIn(maker, with("lot", "L9"), []byte(aPDF), 404)
	p.handIn(maker, with("kind", "letter"), []byte(aPDF), 422)
	p.handIn(maker, with("public", "yes"), []byte(aPDF), 422)
	p.handIn(maker, with("gtin", "06901234567899"), []byte(aPDF), 400)
	p.handIn(maker, with("firm", "rival"), []byte(aPDF), 422)
	p.handIn(maker, fields, []byte("<html><script>alert(1)</script>"), 415)
	p.handIn(maker, fields, bytes.Repeat([]byte("%PDF-"), 1<<21+1), 413)
	p.handIn(rival, fields, []byte(aPDF), 404) // it has no record of the lot
	p.handIn(officer, fields, []byte(aPDF), 403)

	// What the firm keeps to itself: a picture, made anew.
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 9, 9))); err != nil {
		t.Fatal(err)
	}
	private := with("public", "false")
	private["kind"], private["lot"] = "customs_declaration", ""
	delete(private, "lot")
	secret := at(t, p.handIn(maker, private, append(picture.Bytes(), "20.0458N 110.1999E"...), 201).json(t), "id").(string)

	// Others, and who may see what.
	for _, path := range []string{"/v1/documents/" + id, "/v1/documents/" + id + "/file"} {
		p.do(nil, "GET", path, rival, nil, 404)
		p.do(nil, "GET", path, nil, nil, 401)
		p.do(nil, "GET", path, maker, nil, 200)
		p.do(nil, "GET", path, viewer, nil, 200)
	}
	p.do(nil, "DELETE", "/v1/documents/"+id, rival, nil, 404)
	if n := len(at(t, p.do(nil, "GET", "/v1/documents", rival, nil, 200).json(t), "items").([]any)); n != 0 {
		t.Errorf("a rival sees %d documents", n)
	}
	if n := len(at(t, p.do(nil, "GET", "/v1/documents", officer, nil, 200).json(t), "items").([]any)); n != 2 {
		t.Errorf("%d documents wait for an officer", n)
	}
	public := "/v1/products/" + gtin + "/documents/"
	p.do(nil, "GET", public+secret, nil, nil, 404)
	if b := p.do(nil, "GET", "/v1/documents/"+secret+"/file", officer, nil, 200).body; bytes.Contains(b, []byte("110.1999E")) || !bytes.HasPrefix(b, []byte("\x89PNG")) {
		t.Error("the picture was not made anew")
	}
	unit := "/01/" + gtin + "/10/L1"
	a := p.do(nil, "GET", unit, inEnglish, nil, 200).json(t)
	wantAt(t, a, "claimed", "lot", "documents", 0, "fact", "status")
	wantAt(t, a, nil, "product", "documents", 0, "file")

	// The decision.
	decision := "/v1/documents/" + id + "/decision"
	p.do(nil, "PUT", decision, viewer, map[string]any{"state": "verified", "seen": "unverified"}, 403)
	p.do(nil, "PUT", decision, maker, map[string]any{"state": "verified", "seen": "unverified"}, 403)
	p.do(nil, "PUT", decision, officer, map[string]any{"state": "refused", "seen": "unverified"}, 422)
	decided := p.do(nil, "PUT", decision, officer, map[string]any{"state": "verified", "seen": "unverified"}, 200).json(t)
	wantAt(t, decided, "hn-amr", "decision", "authority")
	p.do(nil, "PUT", decision, officer, map[string]any{"state": "refused", "seen": "unverified", "reason": "forged"}, 409)
	a = p.do(nil, "GET", unit, inEnglish, nil, 200).json(t)
	wantAt(t, a, "verified", "lot", "documents", 0, "fact", "status")
	wantAt(t, a, "verified", "lot", "documents", 0, "state")
	page := string(p.do(nil, "GET", unit, map[string]string{"Accept": "text/html", "Accept-Language": "zh-CN"}, nil, 200).body)
	for _, want := range []string{"检验检疫证明", "460000126000123", public + id} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}

	// The file, by the link that the resolver gives.
	set := string(p.do(nil, "GET", unit+"?linkType=linkset", nil, nil, 200).body)
	if !strings.Contains(set, "https://ref.gs1.org/voc/certificationInfo") || !strings.Contains(set, p.base+public+id) || strings.Contains(set, secret) {
		t.Errorf("the link set is %s", set)
	}
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	led := p.do(stay, "GET", unit+"?linkType=gs1:certificationInfo&from=wechat", nil, nil, 307).Header.Get("Location")
	if led != p.base+public+id+"?from=wechat" {
		t.Errorf("it leads to %s", led)
	}
	file := p.do(nil, "GET", led, nil, nil, 200)
	if string(file.body) != aPDF || file.Header.Get("Content-Type") != "application/pdf" || file.Header.Get("X-Content-Type-Options") != "nosniff" ||
		file.Header.Get("Content-Disposition") != `attachment; filename="`+id+`.pdf"` || !strings.HasSuffix(file.Header.Get("Content-Security-Policy"), "; sandbox") {
		t.Errorf("the file comes as %v", file.Header)
	}
	head := p.head(public + id)
	if head.StatusCode != 200 || head.ContentLength != int64(len(aPDF)) {
		t.Errorf("HEAD gives %d, %d bytes", head.StatusCode, head.ContentLength)
	}

	// Another product's path does not lead to it; and what is refused is nobody's.
	p.do(nil, "PUT", decision, officer, map[string]any{"state": "refused", "seen": "verified", "reason": "印章系伪造"}, 200)
	p.do(nil, "GET", public+id, nil, nil, 404)
	if items := at(t, p.do(nil, "GET", strings.TrimSuffix(public, "/")+"?lot=L1", nil, nil, 200).json(t), "items").([]any); len(items) != 0 {
		t.Errorf("what was refused is listed: %v", items)
	}
	p.do(nil, "GET", unit+"?linkType=gs1:certificationInfo", nil, nil, 404)
	wantAt(t, p.do(nil, "GET", "/v1/documents/"+id, maker, nil, 200).json(t), "印章系伪造", "decision", "reason")

	// The firm takes it back.
	p.do(nil, "DELETE", "/v1/documents/"+id, maker, nil, 204)
	p.do(nil, "DELETE", "/v1/documents/"+id, maker, nil, 404)
	p.do(nil, "GET", "/v1/documents/"+id+"/file", officer, nil, 404)

	// The trail has who handed in, read, decided and withdrew, and what was decided on.
	auditor := bearer(p.loginAs("wu.ping", "auditor"))
	for action, want := range map[string]string{
		"createDocument": "seller:maker/", "getDocumentFile": "operator:chen.yu", "decideDocument": "operator:chen.yu", "withdrawDocument": "seller:maker/",
	} {
		subject := id
		if action == "getDocumentFile" {
			subject = secret
		}
		list := p.do(nil, "GET", "/v1/audit?action="+action+"&subject=document/"+subject, auditor, nil, 200).json(t)
		if who, _ := at(t, list, "items", 0, "actor").(string); !strings.HasPrefix(who, want) {
			t.Errorf("%s: %v", action, list)
		}
		if what := fmt.Sprint(list); action == "withdrawDocument" && !strings.Contains(what, hex.EncodeToString(sum[:])) {
			t.Errorf("the trail has not the hash of what was withdrawn: %s", what)
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	out := p.command("", "verify")
	if !strings.Contains(out, "the audit trail is in order") {
		t.Error(out)
	}
}

// What a firm hands in with its test key is seen with that alone, and waits for no officer.
func TestDocumentsOfATestTenant(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	officer := bearer(p.login("chen.yu"))
	live, test := p.onboard(bearer(p.loginAs("xu.jing", "registrar")), "maker", map[string]any{
		"name": map[string]any{"zh-Hans": "酒厂", "en": "Distillery"}, "kind": "producer", "country": "FR", "prefixes": []any{"690123456"},
	})
	for _, key := range []map[string]string{live, test} {
		p.do(nil, "PUT", "/v1/products/"+gtin, key, spirits, 201)
	}
	fields := map[string]string{"gtin": gtin, "kind": "certificate", "issuer": "SGS", "public": "true"}
	tried := at(t, p.handIn(test, fields, []byte(aPDF), 201).json(t), "id").(string)
	file := "/v1/products/" + gtin + "/documents/" + tried
	p.do(nil, "GET", file, test, nil, 200)
	for _, key := range []map[string]string{test, live} {
		set := p.do(nil, "GET", "/01/"+gtin+"?linkType=linkset", key, nil, 200)
		if linked := bytes.Contains(set.body, []byte(tried)); linked != (key["Authorization"] == test["Authorization"]) {
			t.Errorf("it is linked: %v", linked)
		}
	}
	for _, other := range []map[string]string{live, nil} {
		p.do(nil, "GET", file, other, nil, 404)
	}
	p.do(nil, "GET", "/v1/documents/"+tried, live, nil, 404)
	p.do(nil, "GET", "/v1/documents/"+tried, officer, nil, 404)
	p.do(nil, "PUT", "/v1/documents/"+tried+"/decision", officer, map[string]any{"state": "verified", "seen": "unverified"}, 404)
	if id := at(t, p.handIn(live, fields, []byte(aPDF), 201).json(t), "id"); id == tried {
		t.Error("production and the test tenant have one document")
	}
	p.do(nil, "DELETE", "/v1/documents/"+tried, test, nil, 204)
	if n := len(at(t, p.do(nil, "GET", "/v1/products/"+gtin+"/documents", nil, nil, 200).json(t), "items").([]any)); n != 1 {
		t.Errorf("the public sees %d documents", n)
	}
}

// head sends a HEAD request, whose answer has no body to hold to the contract.
func (p *program) head(path string) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodHead, p.base+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		p.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		p.t.Fatal(err)
	}
	return resp
}
