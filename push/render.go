package push

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"firebase.google.com/go/v4/messaging"
)

// MaxPayload is FCM's limit in bytes on what a message carries. [Render] holds the whole message to it, token excepted, which is
// stricter than FCM: it counts only the notification and the data.
const MaxPayload = 4096

// A title longer than this is cut: every platform shows less of it.
const (
	maxTitleChars = 100
	maxTitleBytes = 600
)

// manner is how loudly and for how long a message is delivered.
type manner struct {
	channel      string        // Android notification channel; the app creates one for each
	sound        string        // sound file in the app, without extension; "default"; or "" for none
	high         bool          // wakes the phone at once
	interruption string        // APNs interruption level
	ttl          time.Duration // how long FCM keeps it for a phone that is off; at most 28 days
}

const day = 24 * time.Hour

// manners by level. A red warning is kept as long as FCM can: a phone that was off during a holiday must still be told.
// APNs' "critical" needs an entitlement that Apple grants to few, so red is "time-sensitive", which passes Focus modes.
var manners = map[string]manner{
	LevelRed:    {"warning_red", "warning_red", true, "time-sensitive", 28 * day},
	LevelOrange: {"warning_orange", "warning_orange", true, "time-sensitive", 14 * day},
	LevelYellow: {"warning_yellow", "default", true, "active", 7 * day},
	LevelBlue:   {"warning_blue", "", false, "passive", 3 * day},
	LevelNone:   {"advice", "", false, "passive", day},
}

// mannerOf adapts the level's manner to the kind: good news does not ring, and a correction must be noticed by everyone who
// was told but is no alarm.
func mannerOf(a Alert) (manner, bool) {
	m, ok := manners[a.Level]
	switch a.Kind {
	case KindAlert, KindUpdate:
	case KindLift:
		m.channel, m.sound, m.high, m.interruption = "warning_lifted", "", false, "passive"
	case KindRetract:
		m.channel, m.sound, m.high, m.interruption, m.ttl = "warning_correction", "default", true, "active", 28*day
	default:
		return manner{}, false
	}
	if a.Exercise {
		// A drill that arrives days later would be taken for the real thing or for a joke.
		m.channel, m.sound, m.ttl = "exercise", "default", time.Hour
	}
	return m, ok
}

// Render makes the FCM message for one target. It is a pure function: now is only used for APNs' expiry, which is a point in
// time. The message carries the fields of the target's platform alone and has at most MaxPayload bytes; the body is cut to
// fit. The error is a *Error with outcome InvalidPayload.
func Render(a Alert, t Target, now time.Time) (*messaging.Message, error) {
	d := newRendered(a, now).draft(t)
	if d.err != nil {
		return nil, d.err
	}
	d.message.Token = t.Token
	return d.message, nil
}

// render makes the message for a platform in exactly the language given, without a token.
func render(a Alert, platform, lang string, now time.Time) (*messaging.Message, error) {
	how, ok := mannerOf(a)
	switch {
	case !ok:
		return nil, notRendered("level", fmt.Sprintf("level %q with kind %q", a.Level, a.Kind))
	case a.WarningNo == "":
		return nil, notRendered("warning_no", "the warning has no number")
	case a.Revision < 1:
		return nil, notRendered("revision", "revisions count from 1")
	case !absolute(a.Link):
		return nil, notRendered("link", "the link is not an absolute URL")
	}
	m := &messaging.Message{
		Data: data(a),
		Notification: &messaging.Notification{
			Title: cut(mark(a.Title[lang], lang, a.Exercise), maxTitleChars, maxTitleBytes),
		},
		FCMOptions: &messaging.FCMOptions{AnalyticsLabel: label(a)},
	}
	topic := topicOf(a)
	switch platform {
	case PlatformAndroid:
		m.Android = android(how, topic)
	case PlatformIOS:
		m.APNS = apns(how, topic, now)
	case PlatformWeb:
		m.Webpush = webpush(a, how, topic, lang)
	default:
		return nil, notRendered("platform", fmt.Sprintf("platform %q", platform))
	}
	return fit(m, a.Body[lang])
}

// fit sets as much of the body as there is room for.
func fit(m *messaging.Message, body string) (*messaging.Message, error) {
	m.Notification.Body = "x" // an empty body would be left out, with its name
	b, err := json.Marshal(m)
	if err != nil {
		return nil, &Error{Outcome: InvalidPayload, Code: CodeNotRendered, Err: err}
	}
	room := MaxPayload - (len(b) - 1)
	if room < len(ellipsis) {
		return nil, notRendered("data", fmt.Sprintf("no room for a body: number, reason, link and title take %d of %d bytes", len(b), MaxPayload))
	}
	m.Notification.Body = cut(body, MaxPayload, room)
	return m, nil
}

// data is what the app reads; mobile-contract/push-payload.schema.json describes it. FCM allows strings only, and names that
// are not its own ("from", "message_type", "notification", "google.…", "gcm.…").
func data(a Alert) map[string]string {
	d := map[string]string{
		"warning_no": a.WarningNo,
		"revision":   strconv.Itoa(a.Revision),
		"level":      a.Level,
		"kind":       a.Kind,
		"link":       a.Link,
	}
	if a.ReasonCode != "" {
		d["reason_code"] = a.ReasonCode
	}
	if a.AlertID != "" {
		d["alert_id"] = a.AlertID
	}
	if a.Exercise {
		d["exercise"] = "true"
	}
	return d
}

func android(how manner, topic string) *messaging.AndroidConfig {
	c := &messaging.AndroidConfig{
		CollapseKey: topic,
		Priority:    "normal",
		TTL:         &how.ttl,
		Notification: &messaging.AndroidNotification{
			ChannelID: how.channel,
			Tag:       topic, // an update replaces what the drawer shows, whatever became of the collapse key
			Sound:     how.sound,
			Priority:  messaging.PriorityDefault,
		},
	}
	if how.high {
		c.Priority = "high"
		c.Notification.Priority = messaging.PriorityHigh
	}
	return c
}

func apns(how manner, topic string, now time.Time) *messaging.APNSConfig {
	priority := "5"
	if how.high {
		priority = "10"
	}
	sound := how.sound
	if sound != "" && sound != "default" {
		sound += ".caf"
	}
	return &messaging.APNSConfig{
		Headers: map[string]string{
			"apns-push-type":   "alert",
			"apns-priority":    priority,
			"apns-collapse-id": topic, // at most 64 bytes
			"apns-expiration":  strconv.FormatInt(now.Add(how.ttl).Unix(), 10),
		},
		Payload: &messaging.APNSPayload{Aps: &messaging.Aps{
			Sound:      sound,
			ThreadID:   topic,
			Category:   how.channel,
			CustomData: map[string]any{"interruption-level": how.interruption},
		}},
	}
}

func webpush(a Alert, how manner, topic, lang string) *messaging.WebpushConfig {
	urgency := "normal" // RFC 8030, section 5.3
	if how.high {
		urgency = "high"
	}
	c := &messaging.WebpushConfig{
		Headers: map[string]string{
			"TTL":     strconv.FormatInt(int64(how.ttl/time.Second), 10),
			"Urgency": urgency,
			"Topic":   topic, // RFC 8030, section 5.4: at most 32 characters of the URL-safe base64 alphabet
		},
		Notification: &messaging.WebpushNotification{
			Tag:                topic,
			Renotify:           how.high,
			RequireInteraction: how.channel == manners[LevelRed].channel, // stays until it is read
			Silent:             how.sound == "",
			Language:           lang,
		},
	}
	if strings.HasPrefix(a.Link, "https://") { // FCM refuses any other; the service worker still has data.link
		c.FCMOptions = &messaging.WebpushFCMOptions{Link: a.Link}
	}
	return c
}

var topicPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// topicOf is what messages about one warning are collapsed by, on every platform: the warning's number, or a hash of it where
// a platform could not take it. A drill never collapses with the real thing.
func topicOf(a Alert) string {
	key := a.WarningNo
	if a.Exercise {
		key = "x-" + key
	}
	if topicPattern.MatchString(key) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:24]) // 32 characters
}

// label is the analytics label: few distinct ones, since FCM keeps at most 100 a day.
func label(a Alert) string {
	l := a.Level + "_" + a.Kind
	if a.Exercise {
		return "exercise_" + l
	}
	return l
}

// mark puts the drill's mark before the title, unless the author did.
func mark(title, lang string, exercise bool) string {
	m := "[EXERCISE] "
	if base(lang) == "zh" {
		m = "【演练】"
	}
	if !exercise || strings.HasPrefix(title, strings.TrimSpace(m)) {
		return title
	}
	return m + title
}

func absolute(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme != "" && u.Host != ""
}

var errNoText = notRendered("title", "no language has both a title and a body")

func notRendered(field, detail string) *Error {
	return &Error{Outcome: InvalidPayload, Code: CodeNotRendered, Field: field, Detail: detail}
}

// rendered makes the messages of one alert, once per language and platform. It is not safe for concurrent use.
type rendered struct {
	alert Alert
	keys  []string
	now   time.Time
	made  map[[2]string]draft
}

// draft is a message without a token, or why there is none.
type draft struct {
	message *messaging.Message
	request []byte // the request's JSON as far as the token's value, which comes last
	err     error
}

// payload is the request's JSON for a token.
func (d draft) payload(token string) []byte {
	b := make([]byte, 0, len(d.request)+len(token)+8)
	b = append(b, d.request...)
	b = appendJSON(b, token)
	return append(b, "}}"...)
}

// newDraft prepares the request of a message that has no token.
func newDraft(m *messaging.Message, err error) draft {
	if err != nil {
		return draft{err: err}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return draft{err: &Error{Outcome: InvalidPayload, Code: CodeNotRendered, Err: err}}
	}
	request := append([]byte(`{"message":`), b[:len(b)-1]...) // the message's closing brace comes back with the payload
	return draft{message: m, request: append(request, `,"token":`...)}
}

func newRendered(a Alert, now time.Time) *rendered {
	return &rendered{alert: a, keys: languages(a), now: now, made: map[[2]string]draft{}}
}

// draft gives the message for a target, to be copied and given the target's token.
func (r *rendered) draft(t Target) draft {
	if len(r.keys) == 0 {
		return draft{err: errNoText}
	}
	if t.Token == "" {
		return draft{err: notRendered("token", "the token is empty")}
	}
	lang := choose(t.Lang, r.keys)
	key := [2]string{t.Platform, lang}
	d, ok := r.made[key]
	if !ok {
		d = newDraft(render(r.alert, t.Platform, lang, r.now))
		r.made[key] = d
	}
	return d
}
