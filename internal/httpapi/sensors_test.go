package httpapi

import (
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
)

// Readings arrive as they were sent: value, unit, quantity and moment; and a reading that breaks a rule is told by its place.
func TestReadingsAreHandedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path = "/v1/sensors/readings"
	body := `{"readings":[{"logger":"urn:x:1","time":"2026-03-02T01:00:00.250+08:00","quantity":"temperature","value":-18.05,"uom":"FAH"}]}`
	if resp := b.do(t, request("POST", path, body, "Authorization", asSeller)); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, readBody(t, resp))
	}
	want := coldchain.Reading{
		Logger: "urn:x:1", Time: time.Date(2026, 3, 1, 17, 0, 0, 250e6, time.UTC), Quantity: coldchain.Temperature, Value: -18.05, UOM: "FAH",
	}
	if got := b.fakes.readings; len(got) != 1 || !got[0].Time.Equal(want.Time) || got[0].Value != want.Value || got[0].Logger != want.Logger || got[0].UOM != want.UOM {
		t.Errorf("%+v", got)
	}
	for body, code := range map[string]string{
		`{"readings":[]}`: "too_few",
		`{"readings":[{"logger":"a b","time":"2026-03-02T01:00:00Z","quantity":"temperature","value":1,"uom":"CEL"}]}`:   "syntax",
		`{"readings":[{"logger":"a","time":"2026-03-02T01:00:00Z","quantity":"temperature","value":1e999,"uom":"CEL"}]}`: "",
		`{"readings":[{"logger":"a","time":"2026-03-02T01:00:00Z","quantity":"temperature","value":"NaN","uom":"CEL"}]}`: "wrong_type",
		`{"readings":[{"logger":"a","time":"2026-03-02T01:00:00Z","quantity":"temperature","value":1,"uom":"°C"}]}`:      "not_allowed",
		`{"readings":[{"logger":"a","time":"9999-03-02T01:00:00Z","quantity":"temperature","value":1,"uom":"CEL"}]}`:     "time_in_future",
	} {
		resp := b.do(t, request("POST", path, body, "Authorization", asSeller))
		p := readProblem(t, resp)
		if resp.StatusCode != 422 && resp.StatusCode != 400 || code != "" && (len(p.Errors) != 1 || p.Errors[0].Code != code) {
			t.Errorf("%s: %d %+v", body, resp.StatusCode, p)
		}
	}
}

// Officers see every firm's excursions, a firm its own.
func TestWhoseExcursions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for as, want := range map[string]string{asSeller: seller.ID, "Bearer " + officerToken: ""} {
		if resp := b.do(t, request("GET", "/v1/sensors/excursions", "", "Authorization", as)); resp.StatusCode != 200 {
			t.Fatalf("%d", resp.StatusCode)
		}
		if got := b.fakes.viewers[len(b.fakes.viewers)-1]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
