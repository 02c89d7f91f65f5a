package push_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/push"
)

func TestLogWritesOneLinePerTargetAndNoToken(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	sender := push.NewLog(slog.New(slog.NewJSONHandler(&out, nil)), newClock().now)
	list := append(one("a-secret-token"), push.Target{Token: "other-secret", Platform: "pager"})
	results := sender.Send(t.Context(), alert(), list)
	if results[0].Outcome != push.Accepted || !strings.HasPrefix(results[0].MessageID, "log/") || results[0].Err != nil {
		t.Errorf("%+v", results[0])
	}
	if results[1].Outcome != push.InvalidPayload || results[1].Err == nil {
		t.Errorf("%+v", results[1])
	}
	text := out.String()
	if strings.Contains(text, "secret") {
		t.Errorf("a token is in the log: %s", text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{
		"msg": "push", "warning_no": "HN-2026-0017", "revision": 1.0, "level": "red", "title": "红色预警", "reason_code": "holds_lot",
	} {
		if line[k] != want {
			t.Errorf("%s: %v, want %v", k, line[k], want)
		}
	}
}

func TestLogStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sender := push.NewLog(slog.New(slog.DiscardHandler), newClock().now)
	if r := sender.Send(ctx, alert(), one("tok"))[0]; r.Outcome != push.Unavailable || r.Err == nil {
		t.Errorf("%+v", r)
	}
}
