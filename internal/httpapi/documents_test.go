package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/trace"
)

func TestDocumentsAreTakenIn(t *testing.T) { //nolint:tparallel // the cases look at what the one server was asked, in turn
	t.Parallel()
	b := setup(t)
	const text = "%PDF-1.7 %%EOF"
	good := []string{"gtin", "6901234567892", "kind", "lab_report", "issuer", " SGS ", "public", "true"}
	for _, tt := range []struct { //nolint:paralleltest // likewise
		name, token string
		fields      []string
		status      int
		code        string
	}{
		{"a form", sellerToken, good, 201, ""},
		{"an officer's", officerToken, good, 403, ""},
		{"a number with a wrong check digit", sellerToken, []string{"gtin", "6901234567893"}, 422, ""},
		{"no number", sellerToken, []string{"kind", "lab_report"}, 422, ""},
		{"an unknown field", sellerToken, append([]string{"firm", "another"}, good...), 422, "invalid"},
		{"neither public nor not", sellerToken, []string{"public", "1"}, 422, "invalid"},
		{"a field twice", sellerToken, append([]string{"kind", "certificate"}, good...), 400, "form_repeated"},
		{"many fields", sellerToken, strings.Split(strings.Repeat("a,b,", 11), ",")[:22], 400, "form_repeated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.fakes.set(func(f *fakes) { f.papers = nil })
			form, media := formOf(t, text, tt.fields...)
			body, err := io.ReadAll(form)
			if err != nil {
				t.Fatal(err)
			}
			resp := b.do(t, request(http.MethodPost, "/v1/documents", string(body), "Authorization", "Bearer "+tt.token, "Content-Type", media))
			if resp.StatusCode/100 != tt.status/100 || tt.code != "" && readProblem(t, resp).Code != tt.code {
				t.Fatalf("%d", resp.StatusCode)
			}
			b.fakes.set(func(f *fakes) {
				if tt.status != 201 {
					if len(f.papers) > 0 {
						t.Errorf("taken in: %+v", f.papers)
					}
					return
				}
				p := f.papers[0]
				if p.GTIN != formulaGTIN || p.Issuer != "SGS" || p.Kind != trace.PaperLab || !p.Public || p.Firm != seller.ID || p.File.Size != int64(len(text)) {
					t.Errorf("got %+v", p)
				}
			})
		})
	}
}

func TestATestKeyHandsInToItsTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	form, media := formOf(t, "%PDF-1.7 %%EOF", "gtin", "6901234567892", "kind", "lab_report", "issuer", "SGS")
	body, err := io.ReadAll(form)
	if err != nil {
		t.Fatal(err)
	}
	resp := b.do(t, request(http.MethodPost, "/v1/documents", string(body), "Authorization", "Bearer "+testToken, "Content-Type", media))
	if resp.StatusCode != http.StatusCreated || len(b.fakes.papers) != 0 || len(b.fakes.sandbox.papers) != 1 {
		t.Errorf("%d, %+v", resp.StatusCode, b.fakes.papers)
	}
}

// A file is to be saved, and is never a page of this site, whatever is in it.
func TestDocumentsAreServedAsDownloads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, op := range []string{"getDocumentFile", "getPublicDocument"} {
		resp := b.do(t, readExample(t, op).Request.http())
		h := resp.Header
		if resp.StatusCode != 200 || h.Get("Content-Disposition") != `attachment; filename="`+documentID+`.pdf"` || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasSuffix(h.Get("Content-Security-Policy"), "; sandbox") || h.Get("Cache-Control") != "no-store" || readBody(t, resp) != documentText {
			t.Errorf("%s: %d %v", op, resp.StatusCode, h)
		}
	}
}

// Verifying needs competence for the product's class, and keeps whose officer it was.
func TestDecisionsOnDocuments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, readExample(t, "decideDocument").Request.http())
	if text := readBody(t, resp); resp.StatusCode != 200 || !strings.Contains(text, `"authority":"`+authorityNow+`"`) || strings.Contains(text, officerPrincipal.ID) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	kept := b.fakes.trail.all()
	if e := kept[len(kept)-1]; e.Action != "decideDocument" || e.Subject != "document/"+documentID || e.Actor != "operator:"+officerPrincipal.ID {
		t.Errorf("the trail has %+v", e)
	}
}
