package fcmtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/push/fcmtest"
)

func TestChecksMessagesAsFCMDoes(t *testing.T) {
	t.Parallel()
	s, err := fcmtest.New(fcmtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for body, field := range map[string]string{
		`{"message":{"token":"t","notification":{"title":"a"}}}`:                                              "",
		`{"message":{"token":"t","data":{"k":"` + strings.Repeat("x", 4095) + `"}}}`:                          "",
		`{"message":{"token":"t","data":{"k":"` + strings.Repeat("x", 4096) + `"}}}`:                          `"message"`,
		`{"message":{"notification":{"title":"a"}}}`:                                                          `"message.token"`,
		`{"message":{"token":"t","data":{"from":"x"}}}`:                                                       `"message.data"`,
		`{"message":{"token":"t","data":{"google.x":"x"}}}`:                                                   `"message.data"`,
		`{"message":{"token":"t","data":{"n":1}}}`:                                                            `"message"`,
		`{"message":{"token":"t","unknown":1}}`:                                                               `"message"`,
		`{"message":{"token":"t","android":{"ttl":"1h"}}}`:                                                    `"message.android.ttl"`,
		`{"message":{"token":"t","android":{"priority":"urgent"}}}`:                                           `"message.android.priority"`,
		`{"message":{"token":"t","webpush":{"fcm_options":{"link":"http://h/"}}}}`:                            `"message.webpush.fcm_options.link"`,
		`{"message":{"token":"t","fcm_options":{"analytics_label":"a b"}}}`:                                   `"message.fcm_options.analytics_label"`,
		`{"message":{"token":"t","apns":{"headers":{"apns-collapse-id":"` + strings.Repeat("c", 65) + `"}}}}`: `"message.apns.headers"`,
		`not JSON`: `""`,
	} {
		status, answer := post(t, s.URL+"/v1/projects/"+s.Project+"/messages:send", body)
		switch {
		case field == "" && (status != http.StatusOK || !strings.Contains(answer, `"name":"projects/`)):
			t.Errorf("%.80s: %d %s", body, status, answer)
		case field != "" && (status != http.StatusBadRequest || !strings.Contains(answer, `"field":`+field)):
			t.Errorf("%.80s: %d %s, want %s", body, status, answer, field)
		}
	}
	if n := len(s.Accepted()); n != 2 {
		t.Errorf("%d accepted", n)
	}
}

func TestKnowsOnlyItsProject(t *testing.T) {
	t.Parallel()
	s, err := fcmtest.New(fcmtest.Options{Project: "shop-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, path := range []string{"/v1/projects/other/messages:send", "/v1/projects/shop-1/messages:list", "/batch", "/token"} {
		if status, answer := post(t, s.URL+path, `{"message":{"token":"t"}}`); status != http.StatusNotFound || strings.Contains(answer, "UNREGISTERED") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}

func TestScriptsAnswerInOrderAndTheLastStays(t *testing.T) {
	t.Parallel()
	s, err := fcmtest.New(fcmtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Script("t", fcmtest.Unavailable("1"), fcmtest.Accept(), fcmtest.Unregistered())
	for i, want := range []int{503, 200, 404, 404} {
		if status, _ := post(t, s.URL+"/v1/projects/"+s.Project+"/messages:send", `{"message":{"token":"t"}}`); status != want {
			t.Errorf("request %d: %d, want %d", i, status, want)
		}
	}
	if s.Posts("t") != 4 || s.Requests() != 4 || len(s.Accepted()) != 1 {
		t.Errorf("%d posts, %d requests, %d accepted", s.Posts("t"), s.Requests(), len(s.Accepted()))
	}
}

func TestServiceAccountNeedsAuthorize(t *testing.T) {
	t.Parallel()
	s, err := fcmtest.New(fcmtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.ServiceAccount(); err == nil || s.Grants() != 0 {
		t.Errorf("an account without a token server: %v", err)
	}
}

func TestTokenServerRefusesForgeries(t *testing.T) {
	t.Parallel()
	s, err := fcmtest.New(fcmtest.Options{Authorize: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	const grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
	for _, form := range []string{"", "grant_type=password", grant, grant + "a.b.c", grant + "e30.e30.", "%zz"} {
		if status, answer := post(t, s.URL+"/token", form); status != http.StatusBadRequest {
			t.Errorf("%q: %d %s", form, status, answer)
		}
	}
	if status, _ := post(t, s.URL+"/v1/projects/"+s.Project+"/messages:send", `{"message":{"token":"t"}}`); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	if s.Grants() != 0 || len(s.Accepted()) != 0 {
		t.Errorf("%d grants, %d accepted", s.Grants(), len(s.Accepted()))
	}
}

func post(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
