package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/linkset"
	"github.com/haisu-trace/haisu/internal/trace"
)

var someLinks = []linkset.Link{
	{Type: "gs1:pip", Href: "https://manatee.example/zh?a=1#top", Title: lang.ZhEn("产品介绍", "About it"), Lang: "zh-Hans", Media: "text/html"},
	{Type: "gs1:pip", Href: "https://manatee.example/en", Lang: "en", Media: "text/html"},
	{Type: "gs1:faqs", Href: "https://manatee.example/faq.html", Media: "text/html"},
	{Type: "gs1:faqs", Href: "https://manatee.example/faq.json", Media: "application/json"},
	{Type: "gs1:hasRetailers", Href: "https://manatee.example/shops"},
}

func (f *fakes) PutLinks(_ context.Context, by firm.Firm, ref gs1.Ref, links []linkset.Link) (trace.LinkSet, error) {
	return trace.LinkSet{GTIN: ref.GTIN, Lot: ref.Lot, Serial: ref.Serial, Firm: by.ID, Links: links, Updated: now}, f.note(func() {})
}

func (f *fakes) Links(context.Context, gs1.Ref) ([]linkset.Link, error) {
	return someLinks, f.note(func() {})
}

func TestResolver(t *testing.T) {
	t.Parallel()
	const path = "/01/06901234567892/10/L1"
	for name, c := range map[string]struct {
		query, accept, language string
		status                  int
		location                string
		contains, lacks         string
		scans                   int
	}{
		"by language":               {query: "?linkType=gs1:pip", language: "en-GB", status: 307, location: "https://manatee.example/en"},
		"another language":          {query: "?linkType=gs1:pip", language: "zh-CN", status: 307, location: "https://manatee.example/zh?a=1#top"},
		"the query is passed on":    {query: "?17=271231&linkType=https://gs1.org/voc/pip&x=%20", language: "zh", status: 307, location: "https://manatee.example/zh?a=1&17=271231&x=%20#top"},
		"no language wanted":        {query: "?linkType=gs1:pip", status: 300, contains: "manatee.example/en", lacks: "shops"},
		"a language of neither":     {query: "?linkType=gs1:pip", language: "fr", status: 300, contains: "manatee.example/zh"},
		"by media type":             {query: "?linkType=gs1:faqs", accept: "application/json", status: 307, location: "https://manatee.example/faq.json"},
		"any media type":            {query: "?linkType=gs1:faqs", accept: "*/*", status: 300, contains: "faq.html"},
		"the only one":              {query: "?linkType=gs1:hasRetailers", language: "fr", accept: "image/png", status: 307, location: "https://manatee.example/shops"},
		"none of the type":          {query: "?linkType=gs1:support", status: 404, contains: "link_type_missing"},
		"no type at all":            {query: "?linkType=%22%3E%3Cscript%3E", status: 404, contains: "link_type_missing", lacks: "script"},
		"the set":                   {query: "?linkType=linkset", status: 200, contains: `"https://ref.gs1.org/voc/defaultLink":[{"href":"https://haisu.example/01/06901234567892/10/L1"`},
		"the set, by its old name":  {query: "?linkType=all", status: 200, contains: `"hreflang":["zh-Hans"]`, lacks: "und"},
		"the set, by media type":    {accept: linkset.MediaType, status: 200, contains: `{"linkset":[{"anchor":"https://haisu.example/01/06901234567892/10/L1"`},
		"whatever is accepted":      {accept: "*/*", status: 200, contains: `"headline"`, scans: 1},
		"the default":               {query: "?linkType=gs1:defaultLink", accept: "application/json", status: 200, contains: `"headline"`, scans: 1},
		"recalls are told here":     {query: "?linkType=gs1:recallStatus", accept: "application/json", status: 200, contains: `"headline"`, scans: 1},
		"none but what is asked of": {query: "?linkType=", accept: "application/json", status: 200, contains: `"headline"`, scans: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			req := httptest.NewRequest(http.MethodGet, path+c.query, nil)
			for h, v := range map[string]string{"Accept": c.accept, "Accept-Language": c.language} {
				if v != "" {
					req.Header.Set(h, v)
				}
			}
			resp := b.do(t, req)
			body := readBody(t, resp)
			if resp.StatusCode != c.status || resp.Header.Get("Location") != c.location {
				t.Fatalf("%d %q: %s", resp.StatusCode, resp.Header.Get("Location"), body)
			}
			if !strings.Contains(body, c.contains) || c.lacks != "" && strings.Contains(body, c.lacks) {
				t.Errorf("%s", body)
			}
			if want := `<https://haisu.example/01/06901234567892/10/L1?linkType=linkset>; rel="linkset"; type="application/linkset+json"`; resp.Header.Get("Link") != want && c.status < 400 {
				t.Errorf("Link: %q", resp.Header.Get("Link"))
			}
			if n := len(b.fakes.scans); n != c.scans {
				t.Errorf("%d scans, want %d", n, c.scans)
			}
		})
	}
}
