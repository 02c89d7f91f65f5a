package push

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const date = "Mon, 02 Mar 2026 01:30:00 GMT"
	for _, c := range []struct {
		header, date string
		want         time.Duration
		named        bool
	}{
		{"", "", 0, false},
		{"0", "", 0, true},
		{" 120 ", "", 2 * time.Minute, true},
		{"Mon, 02 Mar 2026 01:31:30 GMT", "", 90 * time.Second, true},
		{"Mon, 02 Mar 2026 01:29:00 GMT", "", 0, true},
		// The server's clock is an hour ahead, and says so.
		{"Mon, 02 Mar 2026 02:30:20 GMT", "Mon, 02 Mar 2026 02:30:00 GMT", 20 * time.Second, true},
		{"Mon, 02 Mar 2026 01:30:20 GMT", "nonsense", 20 * time.Second, true},
		{"4000000000", "", maxWait, true},
		{"Sat, 01 Jan 2200 00:00:00 GMT", "", maxWait, true},
		{"99999999999999999999", "", 0, false},
		{"-5", "", 0, false},
		{"1.5", "", 0, false},
		{"soon", "", 0, false},
	} {
		now, err := http.ParseTime(date)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set("Retry-After", c.header)
		h.Set("Date", c.date)
		if got, named := retryAfter(h, now); got != c.want || named != c.named {
			t.Errorf("%q at %q: %v %t, want %v %t", c.header, c.date, got, named, c.want, c.named)
		}
	}
}

func TestRetryInfoInTheBody(t *testing.T) {
	t.Parallel()
	e := exchange{status: 429, body: []byte(`{"error":{"status":"RESOURCE_EXHAUSTED","details":[
		{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3.5s"}]}}`)}
	v := e.verdict(sentAt, "tok")
	if v.result.Outcome != Quota || v.result.RetryAfter != 3500*time.Millisecond || !v.everyone {
		t.Errorf("%+v", v)
	}
}

// FuzzVerdict holds what matters most whatever comes back: a token dies only by FCM's own word, and an acceptance has an ID.
func FuzzVerdict(f *testing.F) {
	f.Add(404, "", `{"error":{"details":[{"@type":"`+typeFcmError+`","errorCode":"UNREGISTERED"}]}}`)
	f.Add(429, "17", `{"error":{"details":[{"@type":"`+typeQuotaFailure+`","violations":[{"subject":"device:1"}]}]}}`)
	f.Add(200, "", `{"name":"projects/p/messages/1"}`)
	f.Add(503, "Mon, 02 Mar 2026 01:31:30 GMT", `{"error":[]}`)
	f.Fuzz(func(t *testing.T, status int, after, body string) {
		e := exchange{status: status, header: http.Header{"Retry-After": {after}}, body: []byte(body)}
		r := e.verdict(sentAt, "token").result
		if (r.Outcome == Accepted) != (r.Err == nil) || (r.MessageID != "") != (r.Outcome == Accepted) {
			t.Errorf("%+v", r)
		}
		if r.Outcome == Accepted && status != http.StatusOK {
			t.Errorf("%d accepted", status)
		}
		if r.Outcome == Unregistered && (!strings.Contains(body, "UNREGISTERED") && !strings.Contains(body, `\u`) || status == http.StatusOK) {
			t.Errorf("a token dies of %d %s", status, body)
		}
		if r.RetryAfter < 0 || r.RetryAfter > maxWait {
			t.Errorf("wait %v", r.RetryAfter)
		}
	})
}
