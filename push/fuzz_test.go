package push

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzRender makes messages of alerts with any texts: there is one that FCM takes, or an error that says what is wrong with the alert.
func FuzzRender(f *testing.F) {
	f.Add("HN-2026-000017", "red", "alert", "holds_lot", "https://haisu.example/w/1", "红色预警", "请立即停止食用。", "zh-Hans", 1, false)
	f.Add("x\x00", "orange", "update", "", "http://a", "\xff\u2028", "e\u0301", "en", 2, true)
	f.Add("", "", "lift", "r", "not a link", "", "", "", 0, false)
	f.Fuzz(func(t *testing.T, no, level, kind, reason, link, title, body, lang string, revision int, exercise bool) {
		if len(no)+len(reason)+len(link)+len(title)+len(body)+len(lang) > 1<<15 {
			t.Skip()
		}
		a := Alert{
			WarningNo: no, Revision: revision, Level: level, Kind: kind, ReasonCode: reason, Link: link, Exercise: exercise,
			Title: map[string]string{lang: title, "en": "Warning"}, Body: map[string]string{lang: body, "en": "Stop."},
		}
		for _, platform := range []string{PlatformAndroid, PlatformIOS, PlatformWeb} {
			m, err := Render(a, Target{Token: "token", Platform: platform, Lang: lang}, time.Unix(1_800_000_000, 0))
			if err != nil {
				if e, ok := errors.AsType[*Error](err); !ok || e.Outcome != InvalidPayload {
					t.Errorf("%s: %v", platform, err)
				}
				continue
			}
			m.Token = ""
			b, err := json.Marshal(m)
			if err != nil || len(b) > MaxPayload {
				t.Errorf("%s: %d bytes, %v", platform, len(b), err)
			}
			if n := m.Notification; !utf8.ValidString(n.Title) || !utf8.ValidString(n.Body) || n.Title == "" {
				t.Errorf("%s: %q, %q", platform, n.Title, n.Body)
			}
		}
	})
}
