package fcmtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// MaxPayload is what a message to a token may carry, in bytes.
const MaxPayload = 4096

// message is what the fake looks at of a message. Names not listed are refused, as FCM's front end refuses them.
type message struct {
	Token        string            `json:"token"`
	Data         map[string]string `json:"data"`
	Notification map[string]string `json:"notification"`
	Android      *struct {
		CollapseKey  string          `json:"collapse_key"`
		Priority     string          `json:"priority"`
		TTL          string          `json:"ttl"`
		Notification json.RawMessage `json:"notification"`
		Data         json.RawMessage `json:"data"`
	} `json:"android"`
	APNS *struct {
		Headers map[string]string `json:"headers"`
		Payload map[string]any    `json:"payload"`
	} `json:"apns"`
	Webpush *struct {
		Headers      map[string]string `json:"headers"`
		Notification json.RawMessage   `json:"notification"`
		FCMOptions   *struct {
			Link string `json:"link"`
		} `json:"fcm_options"`
	} `json:"webpush"`
	FCMOptions *struct {
		AnalyticsLabel string `json:"analytics_label"`
	} `json:"fcm_options"`
}

var (
	ttlPattern   = regexp.MustCompile(`^\d+(\.\d{1,9})?s$`)
	labelPattern = regexp.MustCompile(`^[a-zA-Z0-9-_.~%]{1,50}$`)
)

// check takes a request apart. A refusal is what FCM would answer to it.
func check(body []byte) (token string, raw json.RawMessage, refusal *Reply) {
	var request struct {
		ValidateOnly bool            `json:"validate_only"`
		Message      json.RawMessage `json:"message"`
	}
	if err := strict(body, &request); err != nil {
		return "", nil, new(UnknownField("", err.Error()))
	}
	var m message
	if err := strict(request.Message, &m); err != nil {
		return "", nil, new(UnknownField("message", err.Error()))
	}
	if m.Token == "" {
		return "", nil, new(InvalidPayload("message.token", "Recipient of the message is not set."))
	}
	if field, why := m.broken(); field != "" {
		return m.Token, nil, new(InvalidPayload(field, why))
	}
	return m.Token, request.Message, nil
}

// broken names the first field that breaks a rule of FCM's documentation.
func (m *message) broken() (field, why string) {
	size := 0
	for k, v := range m.Data {
		size += len(k) + len(v)
		if k == "from" || k == "message_type" || k == "notification" || strings.HasPrefix(k, "google") || strings.HasPrefix(k, "gcm") {
			return "message.data", fmt.Sprintf("Invalid data payload key: %s", k)
		}
	}
	for k, v := range m.Notification {
		size += len(k) + len(v)
	}
	if size > MaxPayload {
		return "message", "Message is too big."
	}
	if a := m.Android; a != nil {
		if a.TTL != "" && !ttlPattern.MatchString(a.TTL) {
			return "message.android.ttl", "Illegal duration format"
		}
		if p := strings.ToLower(a.Priority); p != "" && p != "high" && p != "normal" {
			return "message.android.priority", "Invalid value"
		}
	}
	if w := m.Webpush; w != nil && w.FCMOptions != nil && !strings.HasPrefix(w.FCMOptions.Link, "https://") {
		return "message.webpush.fcm_options.link", "Link must be an HTTPS URL"
	}
	if a := m.APNS; a != nil && len(a.Headers["apns-collapse-id"]) > 64 {
		return "message.apns.headers", "apns-collapse-id is longer than 64 bytes"
	}
	if o := m.FCMOptions; o != nil && o.AnalyticsLabel != "" && !labelPattern.MatchString(o.AnalyticsLabel) {
		return "message.fcm_options.analytics_label", "Invalid analytics label"
	}
	return "", ""
}

// strict decodes JSON whose every name it knows.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
