package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"firebase.google.com/go/v4/messaging"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the examples of mobile-contract anew")

const contract = "../mobile-contract"

var sentAt = time.Date(2026, 3, 2, 1, 30, 0, 0, time.UTC)

func redAlert() Alert {
	return Alert{
		WarningNo: "HN-2026-0017", Revision: 1, Level: LevelRed, Kind: KindAlert,
		Title: map[string]string{
			"zh": "红色预警：某品牌婴儿配方奶粉检出阪崎肠杆菌",
			"en": "Red warning: Cronobacter found in infant formula",
		},
		Body: map[string]string{
			"zh": "请立即停止食用批号 L2409A 的产品，凭小票到购买门店全额退款。婴儿出现发热、拒奶时请尽快就医。",
			"en": "Stop feeding lot L2409A now. Take it back to the shop for a full refund. See a doctor if the baby has a fever or will not feed.",
		},
		ReasonCode: "holds_lot", Link: "https://haisu.example/w/HN-2026-0017", AlertID: "01jn8m2q6c4vd0",
	}
}

// examples are messages as they go to FCM, without a token, kept beside the contract for the authors of apps.
func examples() map[string]struct {
	alert  Alert
	target Target
} {
	type example = struct {
		alert  Alert
		target Target
	}
	with := func(change func(*Alert)) Alert {
		a := redAlert()
		change(&a)
		return a
	}
	return map[string]example{
		"android-red-alert-zh": {redAlert(), Target{Platform: PlatformAndroid, Lang: "zh-CN"}},
		"ios-red-alert-en":     {redAlert(), Target{Platform: PlatformIOS, Lang: "en-GB"}},
		"web-red-alert-en":     {redAlert(), Target{Platform: PlatformWeb, Lang: "ko"}},
		"ios-orange-update-zh": {with(func(a *Alert) {
			a.Level, a.Kind, a.Revision = LevelOrange, KindUpdate, 2
			a.Title["zh"], a.Body["zh"] = "预警降为橙色：某品牌婴儿配方奶粉", "受影响批号增至 L2409A、L2409B。请停止食用，凭小票全额退款。"
		}), Target{Platform: PlatformIOS, Lang: "zh-Hant-HK"}},
		"android-lift-zh": {with(func(a *Alert) {
			a.Kind, a.Revision, a.Level = KindLift, 3, LevelYellow
			a.Title["zh"], a.Body["zh"] = "预警解除：某品牌婴儿配方奶粉", "受影响批号已全部召回，其他批号可正常食用。"
		}), Target{Platform: PlatformAndroid}},
		"web-retract-zh": {with(func(a *Alert) {
			a.Kind, a.Revision, a.WarningNo = KindRetract, 2, "琼市监预警〔2026〕17号"
			a.Title["zh"], a.Body["zh"] = "更正：此前的红色预警有误", "经复检，批号 L2409A 未检出阪崎肠杆菌。对由此造成的不便，我们深表歉意。"
		}), Target{Platform: PlatformWeb, Lang: "zh"}},
		"ios-exercise-zh": {with(func(a *Alert) {
			a.Exercise, a.AlertID = true, ""
		}), Target{Platform: PlatformIOS, Lang: "zh"}},
		"android-advice-en": {with(func(a *Alert) {
			a.Level, a.ReasonCode = LevelNone, "follows_product"
			a.Title["en"], a.Body["en"] = "Advice: keep sunscreen below 30 °C", "Sunscreen left in a hot car may lose its effect."
		}), Target{Platform: PlatformAndroid, Lang: "en"}},
	}
}

func TestRenderMatchesTheExamples(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	files, err := filepath.Glob(filepath.Join(contract, "push-examples", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !*update && len(files) != len(examples()) {
		t.Errorf("%d files for %d examples", len(files), len(examples()))
	}
	for name, e := range examples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e.target.Token = "left out"
			m, err := Render(e.alert, e.target, sentAt)
			if err != nil {
				t.Fatal(err)
			}
			m.Token = ""
			got := indented(t, m)
			file := filepath.Join(contract, "push-examples", name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s (go test -update writes it anew):\n%s", file, got)
			}
			var published struct {
				Data any `json:"data"`
			}
			if err := json.Unmarshal(want, &published); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(published.Data); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	good := map[string]any{
		"warning_no": "1", "revision": "1", "level": "red", "kind": "alert", "link": "https://haisu.example/",
	}
	if err := schema.Validate(good); err != nil {
		t.Fatal(err)
	}
	for field, bad := range map[string]any{
		"revision": "0", "level": "Red", "kind": "cancel", "exercise": "false", "warning_no": "", "token": "x", "reason_code": "Why", "link": 1,
	} {
		d := maps.Clone(good)
		d[field] = bad
		if schema.Validate(d) == nil {
			t.Errorf("%s: %v passes", field, bad)
		}
	}
}

func TestRenderWholeMessage(t *testing.T) {
	t.Parallel()
	got, err := Render(redAlert(), Target{Token: "tok", Platform: PlatformAndroid, Lang: "en"}, sentAt)
	if err != nil {
		t.Fatal(err)
	}
	ttl := 28 * 24 * time.Hour
	want := &messaging.Message{
		Token: "tok",
		Data: map[string]string{
			"warning_no": "HN-2026-0017", "revision": "1", "level": "red", "kind": "alert",
			"reason_code": "holds_lot", "alert_id": "01jn8m2q6c4vd0", "link": "https://haisu.example/w/HN-2026-0017",
		},
		Notification: &messaging.Notification{
			Title: "Red warning: Cronobacter found in infant formula",
			Body:  "Stop feeding lot L2409A now. Take it back to the shop for a full refund. See a doctor if the baby has a fever or will not feed.",
		},
		Android: &messaging.AndroidConfig{
			CollapseKey: "HN-2026-0017", Priority: "high", TTL: &ttl,
			Notification: &messaging.AndroidNotification{
				ChannelID: "warning_red", Tag: "HN-2026-0017", Sound: "warning_red", Priority: messaging.PriorityHigh,
			},
		},
		FCMOptions: &messaging.FCMOptions{AnalyticsLabel: "red_alert"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %s", indented(t, got), indented(t, want))
	}
}

func TestMannerByLevelAndKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		level, kind  string
		exercise     bool
		channel      string
		high         bool
		interruption string
		sound        string
		ttl          time.Duration
	}{
		{LevelRed, KindAlert, false, "warning_red", true, "time-sensitive", "warning_red", 28 * day},
		{LevelOrange, KindUpdate, false, "warning_orange", true, "time-sensitive", "warning_orange", 14 * day},
		{LevelYellow, KindAlert, false, "warning_yellow", true, "active", "default", 7 * day},
		{LevelBlue, KindAlert, false, "warning_blue", false, "passive", "", 3 * day},
		{LevelNone, KindAlert, false, "advice", false, "passive", "", day},
		{LevelRed, KindLift, false, "warning_lifted", false, "passive", "", 28 * day},
		{LevelBlue, KindRetract, false, "warning_correction", true, "active", "default", 28 * day},
		{LevelRed, KindAlert, true, "exercise", true, "time-sensitive", "default", time.Hour},
	} {
		m, ok := mannerOf(Alert{Level: c.level, Kind: c.kind, Exercise: c.exercise})
		want := manner{c.channel, c.sound, c.high, c.interruption, c.ttl}
		if !ok || m != want {
			t.Errorf("%s %s: %+v, want %+v", c.level, c.kind, m, want)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*Alert, *Target){
		"level":      func(a *Alert, _ *Target) { a.Level = "purple" },
		"warning_no": func(a *Alert, _ *Target) { a.WarningNo = "" },
		"revision":   func(a *Alert, _ *Target) { a.Revision = 0 },
		"link":       func(a *Alert, _ *Target) { a.Link = "/w/1" },
		"title":      func(a *Alert, _ *Target) { a.Body = map[string]string{"fr": "sans titre"} },
		"platform":   func(_ *Alert, to *Target) { to.Platform = "pager" },
		"token":      func(_ *Alert, to *Target) { to.Token = "" },
		"data":       func(a *Alert, _ *Target) { a.Link = "https://haisu.example/" + strings.Repeat("x", 4000) },
	} {
		a, to := redAlert(), Target{Token: "t", Platform: PlatformIOS, Lang: "zh"}
		change(&a, &to)
		m, err := Render(a, to, sentAt)
		e, ok := errors.AsType[*Error](err)
		if m != nil || !ok || e.Outcome != InvalidPayload || e.Field != field {
			t.Errorf("%s: message %v, error %v", field, m, err)
		}
	}
	a := redAlert()
	a.Kind = "cancel"
	if _, err := Render(a, Target{Token: "t", Platform: PlatformIOS}, sentAt); err == nil {
		t.Error("an unknown kind is rendered")
	}
}

func TestBodyIsCutToFit(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"Chinese": "海", "combining": "e\u0301", "family": "👨‍👩‍👧", "escaped": "<", "flags": "🇨🇳", "quote": "“",
	} {
		for _, platform := range []string{PlatformAndroid, PlatformIOS, PlatformWeb} {
			a := redAlert()
			a.Body = map[string]string{"zh": strings.Repeat(unit, 5000)}
			m, err := Render(a, Target{Token: "t", Platform: platform}, sentAt)
			if err != nil {
				t.Fatal(err)
			}
			m.Token = ""
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(b); n > MaxPayload || n < MaxPayload-2*len(unit)*6 {
				t.Errorf("%s on %s: %d bytes", name, platform, n)
			}
			body, cut := strings.CutSuffix(m.Notification.Body, ellipsis)
			if !cut || strings.ReplaceAll(body, unit, "") != "" || body == "" {
				t.Errorf("%s on %s: cut inside a character: …%q", name, platform, body[max(0, len(body)-30):])
			}
		}
	}
}

func TestExerciseIsMarkedAndApart(t *testing.T) {
	t.Parallel()
	a := redAlert()
	genuine := topicOf(a)
	a.Exercise = true
	if topicOf(a) == genuine {
		t.Error("a drill would replace the real warning of the same number")
	}
	a.Title["zh"] = "【演练】已有标记"
	for lang, want := range map[string]string{"zh": "【演练】已有标记", "en": "[EXERCISE] Red warning: Cronobacter found in infant formula"} {
		m, err := Render(a, Target{Token: "t", Platform: PlatformAndroid, Lang: lang}, sentAt)
		if err != nil {
			t.Fatal(err)
		}
		if m.Notification.Title != want || m.Data["exercise"] != "true" || m.Android.Notification.ChannelID != "exercise" {
			t.Errorf("%s: %s", lang, indented(t, m))
		}
	}
}

func TestTopicFitsEveryPlatform(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, no := range []string{"HN-2026-0017", "琼市监预警〔2026〕17号", "琼市监预警〔2026〕18号", strings.Repeat("9", 33), "a b"} {
		topic := topicOf(Alert{WarningNo: no})
		if !topicPattern.MatchString(topic) {
			t.Errorf("%s: %q", no, topic)
		}
		if other, ok := seen[topic]; ok {
			t.Errorf("%s and %s collapse", no, other)
		}
		seen[topic] = no
	}
}

func FuzzCut(f *testing.F) {
	f.Add("请立即停止食用", 3, 12)
	f.Add("e\u0301e\u0301", 1, 5)
	f.Add("\xff<&>\u2028", 10, 9)
	f.Fuzz(func(t *testing.T, s string, chars, size int) {
		if chars < 1 || chars > 1<<16 || size < 0 || size > 1<<16 || len(s) > 1<<12 {
			t.Skip()
		}
		got := cut(s, chars, size)
		if !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
		if n := jsonLen(got); n > size {
			t.Errorf("%d bytes of at most %d: %q", n, size, got)
		}
		b, err := json.Marshal(got)
		if err != nil || len(b)-2 != jsonLen(got) {
			t.Errorf("jsonLen(%q) = %d, JSON %s, %v", got, jsonLen(got), b, err)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in          string
		chars, size int
		want        string
	}{
		{"请立即停止食用", 7, 100, "请立即停止食用"},
		{"请立即停止食用", 4, 100, "请立即…"},
		{"请立即停止食用", 100, 12, "请立即…"},
		{"请立即停止食用", 100, 11, "请立…"},
		{"stop now please", 6, 100, "stop…"},
		{"e\u0301e\u0301e\u0301", 2, 100, "e\u0301…"},
		{"👨‍👩‍👧👨‍👩‍👧", 100, 24, "👨‍👩‍👧…"},
		{"🇨🇳🇨🇳🇨🇳", 2, 100, "🇨🇳…"},
		{"海", 1, 2, ""},
		{"a\xffb", 5, 100, "a\uFFFDb"},
		{"", 1, 0, ""},
	} {
		if got := cut(c.in, c.chars, c.size); got != c.want {
			t.Errorf("cut(%q, %d, %d) = %q, want %q", c.in, c.chars, c.size, got, c.want)
		}
	}
}

func TestLanguageFallsBack(t *testing.T) {
	t.Parallel()
	both, regional := []string{"en", "zh"}, []string{"en-GB", "zh-Hans", "zh-Hant"}
	for _, c := range []struct {
		lang string
		keys []string
		want string
	}{
		{"zh-CN", both, "zh"}, {"zh_TW", both, "zh"}, {"", both, "zh"}, {"EN-us", both, "en"},
		{"ko", both, "en"}, {"zh", []string{"en"}, "en"}, {"en", []string{"zh"}, "zh"}, {"ja", []string{"zh"}, "zh"},
		{"zh-hant", regional, "zh-Hant"}, {"zh", regional, "zh-Hans"}, {"en", regional, "en-GB"}, {"de", []string{"fr", "ru"}, "fr"},
	} {
		if got := choose(c.lang, c.keys); got != c.want {
			t.Errorf("choose(%q, %v) = %q, want %q", c.lang, c.keys, got, c.want)
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(filepath.Join(contract, "push-payload.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
