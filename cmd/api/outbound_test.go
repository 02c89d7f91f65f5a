package main

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/outbound"
)

// clientMaker is how a program comes by an HTTP client or transport that nobody has looked at.
var clientMaker = regexp.MustCompile(`http\.(Client|Transport)\{|http\.Default(Client|Transport)|http\.(Get|Head|Post|PostForm)\(`)

// Every HTTP client of the program is made where an allow-list holds it. Who adds one adds it here too, and says by what it is held.
func TestEveryClientIsHeld(t *testing.T) {
	t.Parallel()
	held := []string{
		"internal/outbound/outbound.go", // the allow-list itself
		"cmd/api/outbound.go",           // held there
		"cmd/api/tracing.go",            // by config.hold
		"internal/blob/s3/s3.go",        // by outbound.Guard, to the host of the bucket
		"push/wire.go",                  // by push.Config.Wrap, which openAlerts sets
		"search/meili/meili.go",         // by meili.Config.Client, which openSearch sets
	}
	var found []string
	for _, root := range []string{"cmd", "internal", "push", "search"} {
		err := fs.WalkDir(os.DirFS("../.."), root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
				return err
			}
			text, err := os.ReadFile(filepath.Join("../..", path))
			if clientMaker.Match(text) {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(held)
	slices.Sort(found)
	if !slices.Equal(found, held) {
		t.Errorf("clients are made in %v, and held in %v", found, held)
	}
}

// What a setting names is reached, and what OUTBOUND_ALLOW adds; nothing else is, and no redirect is followed there.
func TestClientsReachWhatSettingsName(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(away.Close)
	named := httptest.NewServer(http.RedirectHandler(away.URL, http.StatusFound))
	t.Cleanup(named.Close)
	c := &config{MeiliURL: named.URL, FCMEndpoint: named.URL}
	get := func(client *http.Client, url string) (int, error) {
		resp, err := client.Get(url)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	clients := func() map[string]*http.Client {
		meili, err := c.meiliClient()
		if err != nil {
			t.Fatal(err)
		}
		wrap, err := c.fcmWrap()
		if err != nil {
			t.Fatal(err)
		}
		stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return map[string]*http.Client{"Meilisearch": meili, "FCM": {Transport: wrap(http.DefaultTransport), CheckRedirect: stay}}
	}
	for name, client := range clients() {
		if status, err := get(client, named.URL); err != nil || status != http.StatusFound {
			t.Errorf("%s: the host that its setting names: %d, %v", name, status, err)
		}
		if _, err := get(client, away.URL); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: another host: %v", name, err)
		}
	}
	var err error
	if c.Outbound, err = outboundHosts(" " + strings.TrimPrefix(away.URL, "http://") + ", *.example.com"); err != nil {
		t.Fatal(err)
	}
	for name, client := range clients() {
		if status, err := get(client, away.URL); err != nil || status != http.StatusNotFound {
			t.Errorf("%s: a host of OUTBOUND_ALLOW: %d, %v", name, status, err)
		}
	}
	if _, err := outboundHosts("*.com"); err == nil {
		t.Error("everything below a top-level domain was accepted")
	}
}

// The hosts that credentials name are those of their token servers.
func TestHostsOfCredentials(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(file, []byte(`{"type":"external_account","token_url":"https://sts.example.com/v1/token"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts, err := (&config{Credentials: file}).fcmHosts()
	if err != nil || !slices.Contains(hosts, "sts.example.com") || !slices.Contains(hosts, "fcm.googleapis.com") {
		t.Errorf("%v, %v", hosts, err)
	}
}
