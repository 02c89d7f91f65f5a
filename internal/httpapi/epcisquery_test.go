package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/epcis"
)

// The answer is an EPCIS document that a decoder reads, in the form that was asked for, with the next page in a link that can be followed.
func TestEPCISQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "application/ld+json": "application/ld+json",
		"application/ld+json, application/json;q=0.5": "application/ld+json",
	} {
		resp := b.do(t, request("GET", "/epcis/events?perPage=1&EQ_bizStep=commissioning", "", "Authorization", asSeller, "Accept", accept))
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != want || resp.Header.Get("GS1-EPCIS-Version") != "2.0.0" {
			t.Fatalf("Accept %q: %d %v", accept, resp.StatusCode, resp.Header)
		}
		doc, err := epcis.DecodeDocument([]byte(readBody(t, resp)), epcis.Limits{})
		if err != nil || !doc.Query || len(doc.Events) != 1 || doc.Events[0].BizStep.Word() != "commissioning" {
			t.Errorf("%+v, %v", doc, err)
		}
		link, ok := strings.CutSuffix(strings.TrimPrefix(resp.Header.Get("Link"), "<"), `>; rel="next"`)
		u, err := url.Parse(link)
		if err != nil || !ok || u.Path != "/epcis/events" || u.Query().Get("nextPageToken") != "sealed-token" || u.Query().Get("EQ_bizStep") != "commissioning" {
			t.Errorf("the link %q", resp.Header.Get("Link"))
		}
	}
}

// What cannot be meant is refused and never ignored.
func TestEPCISQueryRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, want := range map[string]string{
		"/epcis/events?EQ_bizstep=shipping":                                 "EQ_bizstep unknown_parameter",
		"/epcis/events?EQ_bizTransaction_nonsense=urn:x:y":                  "EQ_bizTransaction_nonsense unknown_term",
		"/epcis/events?EQ_bizTransaction_po=urn:x:y&EQ_bizTransaction_po=u": "EQ_bizTransaction_po repeated",
		"/epcis/events?EQ_bizStep=transforming":                             "EQ_bizStep unknown_term",
		"/epcis/events?MATCH_anyEPC=urn:epc:id:sgtin:690123456.0789":        "MATCH_anyEPC epc_syntax",
		"/epcis/events?MATCH_anyEPC=urn:epc:idpat:sgtin:690123456.*.A":      "MATCH_anyEPC epc_pattern",
		"/epcis/events?GE_eventTime=9999-12-31T23:59:59Z":                   "GE_eventTime time_out_of_range",
		"/epcis/events?orderDirection=ASC":                                  "orderDirection needs_order",
		"/epcis/bizSteps/shipping/events?EQ_nothing=1":                      "EQ_nothing unknown_parameter",
	} {
		resp := b.do(t, request("GET", path, "", "Authorization", asSeller))
		p := readProblem(t, resp)
		if resp.StatusCode != 400 || len(p.Errors) == 0 || p.Errors[0].Parameter+" "+p.Errors[0].Code != want {
			t.Errorf("%s: %d %+v, want %s", path, resp.StatusCode, p, want)
		}
	}
	for path, want := range map[string]int{
		"/epcis/bizSteps/transforming":           404,
		"/epcis/eventTypes/QuantityEvent/events": 404,
		"/epcis/epcs/urn:epc:id:sgtin:1/events":  404,
	} {
		if resp := b.do(t, request("GET", path, "", "Authorization", asSeller)); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	for _, h := range [][2]string{{"Accept", "application/xml"}, {"GS1-EPCIS-Version", "1.2"}, {"GS1-EPC-Format", "Always_EPC_URN"}} {
		resp := b.do(t, request("GET", "/epcis/events", "", "Authorization", asSeller, h[0], h[1]))
		if p := readProblem(t, resp); resp.StatusCode != 406 || p.Code != "not_acceptable" {
			t.Errorf("%v: %d %+v", h, resp.StatusCode, p)
		}
	}
}

// A firm asks as itself, an officer for all.
func TestEPCISReaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for as, want := range map[string]string{asSeller: seller.ID, "Bearer " + viewerToken: ""} {
		if resp := b.do(t, request("GET", "/epcis/epcs/https:%2F%2Fid.gs1.org%2F01%2F06901234567892%2F21%2FA%252F1/events", "", "Authorization", as)); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, readBody(t, resp))
		}
		got := ""
		if f := b.fakes.reader.Firm; f != nil {
			got = f.ID
		}
		if got != want {
			t.Errorf("%s asks as %q", want, got)
		}
		l := b.fakes.query.Lookups()
		if len(l) != 1 || l[0].Values[0] != "https://id.gs1.org/01/06901234567892/21/A%2F1" {
			t.Errorf("%+v", l)
		}
	}
}

// Every path says what it can do.
func TestEPCISOptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, allow := range map[string]string{
		"/epcis": "GET, HEAD, OPTIONS", "/epcis/capture": "GET, HEAD, POST, OPTIONS", "/epcis/events": "GET, HEAD, POST, OPTIONS",
		"/epcis/bizSteps/shipping/events": "GET, HEAD, OPTIONS", "/epcis/events/urn:uuid:1": "GET, HEAD, OPTIONS",
	} {
		resp, err := b.app.Test(request(http.MethodOptions, path, "")) // the contract has the first alone
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 204 || resp.Header.Get("Allow") != allow || resp.Header.Get("GS1-EPCIS-Capture-Limit") == "" || resp.Header.Get("GS1-CBV-Version") != "2.0.0" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
}

// A large document, or one that is to proceed, goes to the job as it came; its state is where Location says.
func TestEPCISCaptures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	small := string(readExample(t, "captureDocument").Request.Body)
	for name, tt := range map[string]struct {
		body, behaviour string
		kept            int64
	}{
		"small": {small, "", 0}, "proceed": {small, "proceed", int64(len(small))},
		"large": {small + strings.Repeat(" ", maxWholeBody), "rollback", int64(len(small)) + maxWholeBody},
	} {
		b.fakes.set(func(f *fakes) { f.received = 0 })
		headers := []string{"Authorization", asSeller}
		if tt.behaviour != "" {
			headers = append(headers, headerBehaviour, tt.behaviour)
		}
		resp := b.do(t, request("POST", "/epcis/capture", tt.body, headers...))
		body := readBody(t, resp)
		if resp.StatusCode != 202 || resp.Header.Get("Location") != "/epcis/capture/"+captureDone.ID || b.fakes.received != tt.kept {
			t.Errorf("%s: %d %s, %d bytes kept", name, resp.StatusCode, body, b.fakes.received)
		}
	}
	resp := b.do(t, request("POST", "/epcis/capture", small, "Authorization", asSeller, headerBehaviour, "ignore"))
	if p := readProblem(t, resp); resp.StatusCode != 400 || p.Errors[0].Parameter != headerBehaviour {
		t.Errorf("another behaviour: %d %+v", resp.StatusCode, p)
	}
	if resp := b.do(t, request("GET", "/epcis/capture/00", "", "Authorization", asSeller)); resp.StatusCode != 404 {
		t.Errorf("no such capture: %d", resp.StatusCode)
	}
}
