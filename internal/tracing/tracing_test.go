package tracing

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	got, err := ParseHeaders(" a=b%2C, x-key = 1=2 ,")
	if err != nil || !maps.Equal(got, map[string]string{"a": "b,", "x-key": "1=2"}) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"a", "=b", "a=%zz", "a=b%0d%0aHost:c"} {
		if got, err := ParseHeaders(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// A collector that refuses costs a line in the log and nothing else.
func TestCollectorThatRefuses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	p, err := Open(t.Context(), Config{Endpoint: server.URL, Ratio: 1, HTTP: server.Client(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer().Start(t.Context(), "request")
	span.End()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "the collector answers 418") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no client":  {Endpoint: "http://127.0.0.1:1", Log: slog.Default()},
		"no log":     {Endpoint: "http://127.0.0.1:1", HTTP: http.DefaultClient},
		"ratio of 2": {Endpoint: "http://127.0.0.1:1", HTTP: http.DefaultClient, Log: slog.Default(), Ratio: 2},
		"no address": {Endpoint: "http://[", HTTP: http.DefaultClient, Log: slog.Default()},
	} {
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
