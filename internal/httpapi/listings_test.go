package httpapi

import (
	"strings"
	"testing"
)

// Of a listing that has ended the public learns that alone, and nobody learns from one in force who published it.
func TestWhatAListingTells(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ended := readBody(t, b.do(t, request("GET", "/v1/serious-violations/"+endedListing, "")))
	if want := `{"no":"` + endedListing + `","revision":1,"status":"ended"}`; strings.TrimSpace(ended) != want {
		t.Errorf("got %s, want %s", ended, want)
	}
	resp := b.do(t, request("GET", "/v1/serious-violations/"+listedFirm.No, ""))
	if s := readBody(t, resp); strings.Contains(s, listedFirm.By) || strings.Contains(s, listedFirm.ByName) || !strings.Contains(s, listedFirm.CreditCode) {
		t.Errorf("in force: %s", s)
	}
	tag := resp.Header.Get("ETag")
	if again := b.do(t, request("GET", "/v1/serious-violations/"+listedFirm.No, "", "If-None-Match", tag)); tag == "" || again.StatusCode != 304 {
		t.Errorf("ETag %q: %d", tag, again.StatusCode)
	}
}
