package httpapi

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/bulk"
)

// formOf writes a form of fields given as name, value, and then the file.
func formOf(t *testing.T, file string, fields ...string) (body io.Reader, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "批次.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, w.FormDataContentType()
}

func TestImportsAreStreamed(t *testing.T) { //nolint:tparallel // the cases look at what the one server was asked, in turn
	t.Parallel()
	addr, b := listen(t)
	// Whoever was refused in the middle of a body has lost the connection; a client that keeps it for the next request races with its end.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	big := strings.Repeat("06901234567892,L24A1\n", 300_000) // 6 MB: more than the buffers of any layer
	form, formType := formOf(t, big, "kind", "lots", "dry_run", "true")
	twice, twiceType := formOf(t, "x", "kind", "lots", "other", "1")
	for _, tt := range []struct { //nolint:paralleltest // likewise
		name, target, media string
		body                io.Reader
		status              int
		order               bulk.Order
	}{
		{"a form", "/v1/imports", formType, form, 202, bulk.Order{Firm: seller.ID, Kind: bulk.Lots, DryRun: true}},
		{"a body of known length", "/v1/imports?kind=products", typeCSV, strings.NewReader(big), 202, bulk.Order{Firm: seller.ID, Kind: bulk.Products}},
		{"a body in chunks, as GB18030", "/v1/imports?kind=events", typeCSV + "; charset=gb18030", io.MultiReader(strings.NewReader(big)), 202, bulk.Order{Firm: seller.ID, Kind: bulk.Events}},
		{"no kind", "/v1/imports", typeCSV, strings.NewReader("gtin,lot\n"), 422, bulk.Order{}},
		{"an unknown field", "/v1/imports", twiceType, twice, 422, bulk.Order{}},
		{"JSON", "/v1/imports?kind=lots", "application/json", strings.NewReader("{}"), 415, bulk.Order{}},
		{"nothing", "/v1/imports?kind=lots", typeCSV, nil, 400, bulk.Order{}},
		{"nothing, as a form", "/v1/imports?kind=lots", formType, nil, 400, bulk.Order{}},
		{"too large", "/v1/imports?kind=lots", typeCSV, io.LimitReader(zeros{}, 70<<20), 413, bulk.Order{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.fakes.set(func(f *fakes) { f.orders, f.files = nil, nil })
			req, err := http.NewRequest(http.MethodPost, "http://"+addr+tt.target, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", asSeller)
			req.Header.Set("Content-Type", tt.media)
			resp, err := client.Do(req)
			if err != nil {
				if tt.status == 413 { // the connection is closed on whoever goes on sending
					return
				}
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != tt.status {
				t.Fatalf("%d %s", resp.StatusCode, readBody(t, resp))
			}
			b.fakes.set(func(f *fakes) {
				if tt.status == 202 && (!slices.Equal(f.orders, []bulk.Order{tt.order}) || f.files[0] != big) || tt.status != 202 && len(f.orders) > 0 {
					t.Errorf("asked for %+v", f.orders)
				}
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

func TestATestKeyImportsIntoItsTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req := request(http.MethodPost, "/v1/imports?kind=lots", "gtin,lot\n", "Authorization", "Bearer "+testToken, "Content-Type", typeCSV)
	if resp := b.do(t, req); resp.StatusCode != http.StatusAccepted || len(b.fakes.orders) != 1 || b.fakes.orders[0].Tenant != seller.ID {
		t.Errorf("%d %+v", resp.StatusCode, b.fakes.orders)
	}
}
