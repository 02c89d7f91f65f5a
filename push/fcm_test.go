package push_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/push"
	"github.com/haisu-trace/haisu/push/fcmtest"
)

// bundle is a fake FCM and a real client of it.
type bundle struct {
	fake   *fcmtest.Server
	sender *push.FCM
}

func setup(t testing.TB, o fcmtest.Options, change func(*push.Config)) bundle {
	t.Helper()
	fake, err := fcmtest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := push.Config{Project: fake.Project, Endpoint: fake.URL, RootCAs: fake.RootCAs(), PerMinute: 60_000_000}
	if o.Authorize {
		c.CredentialsFile = keyFile(t, fake)
	}
	if change != nil {
		change(&c)
	}
	sender, err := push.NewFCM(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	return bundle{fake, sender}
}

func keyFile(t testing.TB, fake *fcmtest.Server) string {
	t.Helper()
	b, err := fake.ServiceAccount()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func alert() push.Alert {
	return push.Alert{
		WarningNo: "HN-2026-0017", Revision: 1, Level: push.LevelRed, Kind: push.KindAlert,
		Title:      map[string]string{"zh": "红色预警", "en": "Red warning"},
		Body:       map[string]string{"zh": "请立即停止食用。", "en": "Stop eating it now."},
		ReasonCode: "holds_lot", Link: "https://haisu.example/w/HN-2026-0017",
	}
}

func targets(n int) []push.Target {
	platforms := []string{push.PlatformAndroid, push.PlatformIOS, push.PlatformWeb}
	list := make([]push.Target, n)
	for i := range list {
		list[i] = push.Target{Token: fmt.Sprintf("token-%05d", i), Platform: platforms[i%3], Lang: []string{"zh", "en"}[i%2]}
	}
	return list
}

func one(token string) []push.Target {
	return []push.Target{{Token: token, Platform: push.PlatformAndroid, Lang: "zh"}}
}

func TestSendReachesEveryTargetOnce(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]fcmtest.Options{
		"HTTP/1.1": {}, "HTTP/2 over TLS": {TLS: true}, "HTTP/1.1 over TLS": {TLS: true, HTTP1: true}, "with a service account": {Authorize: true},
		"with a service account over TLS": {TLS: true, Authorize: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, o, func(c *push.Config) { c.InFlight = 16 })
			list := targets(300)
			results := b.sender.Send(t.Context(), alert(), list)
			took := map[string]string{}
			for _, a := range b.fake.Accepted() {
				if _, again := took[a.Token]; again {
					t.Errorf("%s was sent twice", a.Token)
				}
				took[a.Token] = a.MessageID
			}
			for i, r := range results {
				if r.Outcome != push.Accepted || r.Err != nil || r.MessageID == "" || took[list[i].Token] != r.MessageID {
					t.Fatalf("%s: %+v, the service has %q", list[i].Token, r, took[list[i].Token])
				}
			}
			if len(took) != len(list) {
				t.Errorf("%d accepted", len(took))
			}
			if n := b.fake.Connections(); n > 20 { // a few to find the protocol out, one for the access token
				t.Errorf("%d connections for 16 requests at a time", n)
			}
			if o.Authorize && b.fake.Grants() != 1 {
				t.Errorf("%d access tokens for one send", b.fake.Grants())
			}
		})
	}
}

func TestHTTP2SharesConnections(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{TLS: true}, func(c *push.Config) { c.InFlight = 300 })
	for _, r := range b.sender.Send(t.Context(), alert(), targets(3000)) {
		if r.Outcome != push.Accepted {
			t.Fatal(r.Err)
		}
	}
	// Three carry them; while the first are being opened the transport may begin and drop a few more.
	if n := b.fake.Connections(); n > 30 {
		t.Errorf("%d connections", n)
	}
}

func TestEachTargetGetsItsLanguageAndPlatform(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, nil)
	list := targets(6)
	b.sender.Send(t.Context(), alert(), list)
	for _, a := range b.fake.Accepted() {
		for i, want := range list {
			if want.Token != a.Token {
				continue
			}
			title := []string{`"title":"红色预警"`, `"title":"Red warning"`}[i%2]
			part := []string{`"android":{`, `"apns":{`, `"webpush":{`}[i%3]
			if m := string(a.Message); !strings.Contains(m, title) || !strings.Contains(m, part) {
				t.Errorf("%+v got %s", want, m)
			}
		}
	}
}

// TestFailures walks every answer FCM gives. Each must cost exactly one POST, whatever the SDK would do by itself.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply      fcmtest.Reply
		outcome    push.Outcome
		code       string
		reason     string
		field      string
		status     int
		retryAfter time.Duration
	}{
		"unregistered":          {reply: fcmtest.Unregistered(), outcome: push.Unregistered, code: "UNREGISTERED", status: 404},
		"a 404 of another kind": {reply: fcmtest.NotFound(), outcome: push.Misconfigured, code: "NOT_FOUND", status: 404},
		"a proxy's 404":         {reply: fcmtest.Raw(404, "<html>UNREGISTERED</html>"), outcome: push.Misconfigured, code: push.CodeBadAnswer, status: 404},
		"invalid payload": {
			reply: fcmtest.InvalidPayload("message.android.ttl", "Illegal duration format"), outcome: push.InvalidPayload,
			code: "INVALID_ARGUMENT", field: "message.android.ttl", status: 400,
		},
		"unknown field": {
			reply: fcmtest.UnknownField("message", "Unknown name \"x\""), outcome: push.InvalidPayload,
			code: "INVALID_ARGUMENT", field: "message", status: 400,
		},
		"invalid token": {reply: fcmtest.InvalidToken(), outcome: push.BadToken, code: "INVALID_ARGUMENT", status: 400},
		"invalid token, named": {
			reply: fcmtest.InvalidPayload("message.token", "Invalid registration token"), outcome: push.BadToken,
			code: "INVALID_ARGUMENT", field: "message.token", status: 400,
		},
		"sender mismatch":   {reply: fcmtest.SenderMismatch(), outcome: push.BadToken, code: "SENDER_ID_MISMATCH", status: 403},
		"third party auth":  {reply: fcmtest.ThirdPartyAuth(), outcome: push.Misconfigured, code: "THIRD_PARTY_AUTH_ERROR", status: 401},
		"unauthenticated":   {reply: fcmtest.Unauthenticated(), outcome: push.Misconfigured, code: "UNAUTHENTICATED", reason: "ACCESS_TOKEN_EXPIRED", status: 401},
		"permission denied": {reply: fcmtest.PermissionDenied(), outcome: push.Misconfigured, code: "PERMISSION_DENIED", reason: "SERVICE_DISABLED", status: 403},
		"quota": {
			reply: fcmtest.QuotaExceeded("37"), outcome: push.Quota, code: "QUOTA_EXCEEDED", status: 429, retryAfter: 37 * time.Second,
		},
		"quota without a time": {
			reply: fcmtest.QuotaExceeded(""), outcome: push.Quota, code: "QUOTA_EXCEEDED", status: 429, retryAfter: time.Minute,
		},
		"device quota": {reply: fcmtest.DeviceQuota(), outcome: push.Quota, code: "QUOTA_EXCEEDED", status: 429, retryAfter: time.Minute},
		"project quota": {
			reply: fcmtest.ProjectQuota("5"), outcome: push.Quota, code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMIT_EXCEEDED",
			status: 429, retryAfter: 5 * time.Second,
		},
		"a proxy's 429":              {reply: fcmtest.Raw(429, ""), outcome: push.Quota, code: push.CodeBadAnswer, status: 429, retryAfter: time.Minute},
		"unavailable":                {reply: fcmtest.Unavailable("12"), outcome: push.Unavailable, code: "UNAVAILABLE", status: 503, retryAfter: 12 * time.Second},
		"unavailable without a time": {reply: fcmtest.Unavailable(""), outcome: push.Unavailable, code: "UNAVAILABLE", status: 503},
		"internal":                   {reply: fcmtest.Internal(), outcome: push.Unavailable, code: "INTERNAL", status: 500},
		"gateway timeout":            {reply: fcmtest.Raw(504, "upstream"), outcome: push.Unknown, code: push.CodeBadAnswer, status: 504},
		"a success that is not JSON": {reply: fcmtest.Raw(200, "<html>"), outcome: push.Unknown, code: push.CodeBadAnswer, status: 200},
		"a success without a name":   {reply: fcmtest.Raw(200, "{}"), outcome: push.Unknown, code: push.CodeBadAnswer, status: 200},
		"details of another shape": {
			reply:   fcmtest.Raw(404, `{"error":{"status":"NOT_FOUND","details":["x",{"@type":7},{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}`),
			outcome: push.Unregistered, code: "UNREGISTERED", status: 404,
		},
		"dropped before": {reply: fcmtest.Dropped(fcmtest.BeforeAccepting), outcome: push.Unknown, code: push.CodeNoAnswer},
		"dropped after":  {reply: fcmtest.Dropped(fcmtest.AfterAccepting), outcome: push.Unknown, code: push.CodeNoAnswer},
	} {
		for _, tls := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls=%t", name, tls), func(t *testing.T) {
				t.Parallel()
				b := setup(t, fcmtest.Options{TLS: tls}, nil)
				b.fake.Script("good", fcmtest.Accept())
				if r := b.sender.Send(t.Context(), alert(), one("good"))[0]; r.Outcome != push.Accepted {
					t.Fatal(r.Err) // and the connection is warm, which is when a transport is tempted to start over
				}
				b.fake.Script("tok", c.reply)
				r := b.sender.Send(t.Context(), alert(), one("tok"))[0]
				e, ok := errors.AsType[*push.Error](fmt.Errorf("wrapped: %w", r.Err))
				if !ok {
					t.Fatalf("error %v", r.Err)
				}
				if r.Outcome != c.outcome || r.RetryAfter != c.retryAfter || r.MessageID != "" {
					t.Errorf("result %v after %v, want %v after %v", r.Outcome, r.RetryAfter, c.outcome, c.retryAfter)
				}
				got := push.Error{Outcome: e.Outcome, Status: e.Status, Code: e.Code, Reason: e.Reason, Field: e.Field}
				want := push.Error{Outcome: c.outcome, Status: c.status, Code: c.code, Reason: c.reason, Field: c.field}
				if got != want {
					t.Errorf("error %+v, want %+v", got, want)
				}
				if n := b.fake.Posts("tok"); n != 1 {
					t.Errorf("%d POSTs", n)
				}
			})
		}
	}
}

func TestErrorsKeepTheTokenSecret(t *testing.T) {
	t.Parallel()
	const token = "dQw4w9WgXcQ:APA91b"
	b := setup(t, fcmtest.Options{}, nil)
	b.fake.Script(token, fcmtest.InvalidPayload("message.token", "no such token: "+token))
	r := b.sender.Send(t.Context(), alert(), one(token))[0]
	if r.Outcome != push.BadToken || strings.Contains(r.Err.Error(), token) || !strings.Contains(r.Err.Error(), "no such token") {
		t.Error(r.Err)
	}
}

func TestRetryAfterHoldsTheWholeProjectBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply fcmtest.Reply
		holds time.Duration // 0: nobody else
		why   push.Outcome
	}{
		"project quota":          {fcmtest.ProjectQuota("30"), 30 * time.Second, push.Quota},
		"project quota, no time": {fcmtest.ProjectQuota(""), time.Minute, push.Quota},
		"unavailable":            {fcmtest.Unavailable("10"), 10 * time.Second, push.Unavailable},
		"unavailable, no time":   {fcmtest.Unavailable(""), 0, 0},
		"one device's quota":     {fcmtest.DeviceQuota(), 0, 0},
		"internal":               {fcmtest.Internal(), 0, 0},
		"unregistered":           {fcmtest.Unregistered(), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			b := setup(t, fcmtest.Options{}, func(c *push.Config) { c.Now = clock.now })
			b.fake.Script("first", c.reply)
			b.sender.Send(t.Context(), alert(), one("first"))

			r := b.sender.Send(t.Context(), alert(), one("second"))[0]
			if c.holds == 0 {
				if r.Outcome != push.Accepted {
					t.Fatal(r.Err)
				}
				return
			}
			e, _ := errors.AsType[*push.Error](r.Err)
			if r.Outcome != c.why || r.RetryAfter != c.holds || e.Code != push.CodeNotSent || b.fake.Posts("second") != 0 {
				t.Fatalf("%+v, %d POSTs", r, b.fake.Posts("second"))
			}
			clock.advance(c.holds - time.Millisecond)
			if r := b.sender.Send(t.Context(), alert(), one("second"))[0]; r.RetryAfter != time.Millisecond || b.fake.Posts("second") != 0 {
				t.Fatalf("early: %+v", r)
			}
			clock.advance(time.Millisecond)
			if r := b.sender.Send(t.Context(), alert(), one("second"))[0]; r.Outcome != push.Accepted {
				t.Fatal(r.Err)
			}
		})
	}
}

func TestRetryAfterAsDate(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, nil)
	b.fake.Script("tok", fcmtest.Unavailable(time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat)))
	r := b.sender.Send(t.Context(), alert(), one("tok"))[0]
	if r.RetryAfter < 85*time.Second || r.RetryAfter > 90*time.Second {
		t.Errorf("%v", r.RetryAfter)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, nil)
	b.fake.Close()
	r := b.sender.Send(t.Context(), alert(), one("tok"))[0]
	if e, _ := errors.AsType[*push.Error](r.Err); r.Outcome != push.Unavailable || e.Code != push.CodeUnreachable {
		t.Errorf("%+v", r)
	}
}

func TestUntrustedCertificateSendsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{TLS: true}, func(c *push.Config) { c.RootCAs = nil })
	r := b.sender.Send(t.Context(), alert(), one("tok"))[0]
	if e, _ := errors.AsType[*push.Error](r.Err); r.Outcome != push.Unavailable || e.Code != push.CodeUnreachable || b.fake.Requests() != 0 {
		t.Errorf("%+v, %d requests", r, b.fake.Requests())
	}
}

// refusing lets no request to one path through.
type refusing struct {
	next   http.RoundTripper
	suffix string
}

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, r.suffix) {
		return nil, errNotAllowed
	}
	return r.next.RoundTrip(req)
}

var errNotAllowed = errors.New("not in the allow-list")

func TestWrapHoldsMessagesAndTokens(t *testing.T) {
	t.Parallel()
	for suffix, outcome := range map[string]push.Outcome{"messages:send": push.Unavailable, "token": push.Unavailable, "(none)": push.Accepted} {
		b := setup(t, fcmtest.Options{Authorize: true}, func(c *push.Config) {
			c.Wrap = func(next http.RoundTripper) http.RoundTripper { return refusing{next, suffix} }
		})
		r := b.sender.Send(t.Context(), alert(), one("tok"))[0]
		sent := 0
		if outcome == push.Accepted {
			sent = 1
		}
		if r.Outcome != outcome || b.fake.Requests() != sent || suffix == "messages:send" && !errors.Is(r.Err, errNotAllowed) {
			t.Errorf("%s refused: %v, %v, %d requests", suffix, r.Outcome, r.Err, b.fake.Requests())
		}
	}
}

func TestTimeoutLeavesTheOutcomeOpen(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, func(c *push.Config) { c.Timeout = 50 * time.Millisecond })
	release := make(chan struct{})
	defer close(release)
	b.fake.Script("slow", fcmtest.Accept().HeldUntil(release))
	r := b.sender.Send(t.Context(), alert(), one("slow"))[0]
	if e, _ := errors.AsType[*push.Error](r.Err); r.Outcome != push.Unknown || e.Code != push.CodeNoAnswer || !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("%+v", r)
	}
}

func TestCanceledSendDecidesEveryTarget(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, func(c *push.Config) { c.InFlight = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	b.fake.ScriptAll(fcmtest.Accept().HeldUntil(release))
	done := make(chan []push.Result)
	go func() { done <- b.sender.Send(ctx, alert(), targets(50)) }()
	awaitRequests(t, b.fake, 2)
	cancel()
	counts := map[string]int{}
	for _, r := range <-done {
		e, ok := errors.AsType[*push.Error](r.Err)
		if !ok || !errors.Is(r.Err, context.Canceled) {
			t.Fatalf("%+v", r)
		}
		counts[r.Outcome.String()+" "+e.Code]++
	}
	if counts["unknown no_answer"] != 2 || counts["unavailable not_sent"] != 48 {
		t.Error(counts)
	}
}

func TestInFlightIsBoundedAcrossSends(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, func(c *push.Config) { c.InFlight = 4 })
	release := make(chan struct{})
	b.fake.ScriptAll(fcmtest.Accept().HeldUntil(release))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { b.sender.Send(t.Context(), alert(), targets(20)) })
	}
	awaitRequests(t, b.fake, 4)
	if n := b.fake.Requests(); n != 4 {
		t.Errorf("%d requests at once", n)
	}
	close(release)
	wg.Wait()
	if n := len(b.fake.Accepted()); n != 60 {
		t.Errorf("%d accepted", n)
	}
}

func TestRateIsHeld(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, func(c *push.Config) { c.PerMinute = 60 }) // one a second, after a burst of one
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var accepted, held int
	for _, r := range b.sender.Send(ctx, alert(), targets(10)) {
		switch r.Outcome {
		case push.Accepted:
			accepted++
		case push.Unavailable:
			held++
		}
	}
	if accepted != 1 || held != 9 || b.fake.Requests() != 1 {
		t.Errorf("%d accepted, %d held, %d requests", accepted, held, b.fake.Requests())
	}
}

func TestUnrenderableCostsNoRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, fcmtest.Options{}, nil)
	list := append(one("tok"), push.Target{Token: "", Platform: push.PlatformIOS}, push.Target{Token: "tok", Platform: "pager"})
	results := b.sender.Send(t.Context(), alert(), list)
	if results[0].Outcome != push.Accepted || results[1].Outcome != push.InvalidPayload || results[2].Outcome != push.InvalidPayload {
		t.Errorf("%+v", results)
	}
	if b.fake.Requests() != 1 {
		t.Errorf("%d requests", b.fake.Requests())
	}
	if got := b.sender.Send(t.Context(), alert(), nil); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply   fcmtest.Reply
		outcome push.Outcome
	}{
		"refused":     {fcmtest.Raw(400, `{"error":"invalid_grant","error_description":"Invalid grant: account not found"}`), push.Misconfigured},
		"unavailable": {fcmtest.Raw(503, `{}`), push.Unavailable},
		"malformed":   {fcmtest.Raw(200, `<html>`), push.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fcmtest.Options{Authorize: true}, nil)
			b.fake.RefuseTokens(c.reply)
			r := b.sender.Send(t.Context(), alert(), one("tok"))[0]
			if e, _ := errors.AsType[*push.Error](r.Err); r.Outcome != c.outcome || e.Code != push.CodeNoCredential || b.fake.Requests() != 0 {
				t.Errorf("%v %v, %d requests", r.Outcome, r.Err, b.fake.Requests())
			}
		})
	}
	t.Run("revoked", func(t *testing.T) {
		t.Parallel()
		b := setup(t, fcmtest.Options{Authorize: true}, nil)
		if r := b.sender.Send(t.Context(), alert(), one("tok"))[0]; r.Outcome != push.Accepted {
			t.Fatal(r.Err)
		}
		b.fake.Revoke()
		r := b.sender.Send(t.Context(), alert(), one("tok"))[0]
		if r.Outcome != push.Misconfigured {
			t.Errorf("%+v", r)
		}
	})
}

func TestNewFCMRefusesBadSettings(t *testing.T) {
	t.Parallel()
	fake, err := fcmtest.New(fcmtest.Options{Authorize: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	key := keyFile(t, fake)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"type":"gdch_service_account"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config  push.Config
		setting string
	}{
		"no project":        {push.Config{Endpoint: fake.URL}, "FIREBASE_PROJECT"},
		"a path as project": {push.Config{Project: "../../evil", Endpoint: fake.URL}, "FIREBASE_PROJECT"},
		"no URL":            {push.Config{Project: fake.Project, Endpoint: "localhost:80"}, "FCM_ENDPOINT"},
		"another scheme":    {push.Config{Project: fake.Project, Endpoint: "ftp://h/"}, "FCM_ENDPOINT"},
		"a query":           {push.Config{Project: fake.Project, Endpoint: "http://h/?a=b"}, "FCM_ENDPOINT"},
		"no file":           {push.Config{Project: fake.Project, CredentialsFile: filepath.Join(t.TempDir(), "none")}, "GOOGLE_APPLICATION_CREDENTIALS"},
		"another type":      {push.Config{Project: fake.Project, CredentialsFile: broken}, "GOOGLE_APPLICATION_CREDENTIALS"},
		"in the clear":      {push.Config{Project: fake.Project, CredentialsFile: key, Endpoint: "http://fcm.example"}, "GOOGLE_APPLICATION_CREDENTIALS"},
		"negative":          {push.Config{Project: fake.Project, Endpoint: fake.URL, InFlight: -1}, "negative"},
	} {
		if _, err := push.NewFCM(t.Context(), c.config); err == nil || !strings.Contains(err.Error(), c.setting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{"", "/", "/v1", "/v1/"} {
		s, err := push.NewFCM(t.Context(), push.Config{Project: fake.Project, CredentialsFile: key, Endpoint: fake.URL + path})
		if err != nil {
			t.Fatal(err)
		}
		if r := s.Send(t.Context(), alert(), one("tok"))[0]; r.Outcome != push.Accepted {
			t.Errorf("%q: %v", path, r.Err)
		}
		s.Close()
	}
}

// awaitRequests waits until n requests have come to the fake.
func awaitRequests(t *testing.T, fake *fcmtest.Server, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for fake.Requests() < n {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the test ended first")
		}
	}
}

// clock is a time that only moves when told.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 2, 1, 30, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
