package fcmtest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Drop says when a connection is broken instead of answering.
type Drop int

// The moments.
const (
	Never Drop = iota
	BeforeAccepting
	AfterAccepting // the message is taken, and the client never learns it
)

// Reply is one answer of the fake.
type Reply struct {
	Status     int
	Body       string          // as is; if empty and Status is 200, the ID of the accepted message
	RetryAfter string          // the header as is: seconds or an HTTP date
	Latency    time.Duration   // before the answer
	Until      <-chan struct{} // nil, or closed to release the answer
	Drop       Drop
}

// After is the reply with latency.
func (r Reply) After(d time.Duration) Reply {
	r.Latency = d
	return r
}

// HeldUntil is the reply, given once released is closed.
func (r Reply) HeldUntil(released <-chan struct{}) Reply {
	r.Until = released
	return r
}

// accepts reports whether the message is taken with this reply.
func (r Reply) accepts() bool { return r.Status == http.StatusOK && r.Drop != BeforeAccepting }

// wait passes the reply's time; false means that the client has gone.
func (r Reply) wait(ctx context.Context) bool {
	if r.Latency > 0 {
		t := time.NewTimer(r.Latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
	}
	if r.Until != nil {
		select {
		case <-r.Until:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Accept takes the message.
func Accept() Reply { return Reply{Status: http.StatusOK} }

// Unregistered is FCM's answer for a token whose app was removed.
func Unregistered() Reply {
	return failure(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.", fcmError("UNREGISTERED"))
}

// InvalidPayload is FCM's answer to a message with a field that breaks a rule.
func InvalidPayload(field, description string) Reply {
	return failure(http.StatusBadRequest, "INVALID_ARGUMENT", description,
		fcmError("INVALID_ARGUMENT"), violation(field, description))
}

// InvalidToken is FCM's answer to a text that is no token. FCM names the field sometimes only, so this one does not.
func InvalidToken() Reply {
	return failure(http.StatusBadRequest, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token",
		fcmError("INVALID_ARGUMENT"))
}

// UnknownField is the API front end's answer to JSON that is not the message's schema: no FcmError.
func UnknownField(field, description string) Reply {
	return failure(http.StatusBadRequest, "INVALID_ARGUMENT", description, violation(field, description))
}

// SenderMismatch is FCM's answer for a token of another project.
func SenderMismatch() Reply {
	return failure(http.StatusForbidden, "PERMISSION_DENIED", "SenderId mismatch", fcmError("SENDER_ID_MISMATCH"))
}

// ThirdPartyAuth is FCM's answer when it may not reach APNs or a web push service in the project's name.
func ThirdPartyAuth() Reply {
	return failure(http.StatusUnauthorized, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service", fcmError("THIRD_PARTY_AUTH_ERROR"))
}

// Unauthenticated is Google's answer to a missing or stale access token: no FcmError.
func Unauthenticated() Reply {
	return failure(http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials.",
		detail{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_EXPIRED", "domain": "googleapis.com"})
}

// PermissionDenied is Google's answer to an account that may not send, or a project without the API: no FcmError.
func PermissionDenied() Reply {
	return failure(http.StatusForbidden, "PERMISSION_DENIED", "Firebase Cloud Messaging API has not been used in project before or it is disabled.",
		detail{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com"})
}

// NotFound is the answer for a project or method that does not exist: a 404 that is not UNREGISTERED.
func NotFound() Reply {
	return failure(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.")
}

// QuotaExceeded is FCM's answer when messages come too fast. An empty retryAfter leaves the header out.
func QuotaExceeded(retryAfter string) Reply {
	r := failure(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "Quota exceeded.", fcmError("QUOTA_EXCEEDED"))
	r.RetryAfter = retryAfter
	return r
}

// DeviceQuota is FCM's answer when messages come too fast for one device.
func DeviceQuota() Reply {
	return failure(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "Device message rate exceeded.", fcmError("QUOTA_EXCEEDED"),
		detail{
			"@type":      "type.googleapis.com/google.rpc.QuotaFailure",
			"violations": []detail{{"subject": "device:1", "description": "Device message rate exceeded"}},
		})
}

// ProjectQuota is the API front end's answer when the project's requests a minute are used up: no FcmError.
func ProjectQuota(retryAfter string) Reply {
	r := failure(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED",
		"Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute' of service 'fcm.googleapis.com'.",
		detail{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com",
			"metadata": detail{"service": "fcm.googleapis.com", "quota_limit": "MessagesPerMinutePerProject", "quota_limit_value": "600000"},
		})
	r.RetryAfter = retryAfter
	return r
}

// Unavailable is FCM's answer when it is overloaded.
func Unavailable(retryAfter string) Reply {
	r := failure(http.StatusServiceUnavailable, "UNAVAILABLE", "The service is currently unavailable.", fcmError("UNAVAILABLE"))
	r.RetryAfter = retryAfter
	return r
}

// Internal is FCM's answer when it fails.
func Internal() Reply {
	return failure(http.StatusInternalServerError, "INTERNAL", "Internal error encountered.", fcmError("INTERNAL"))
}

// Raw is any status with any body: what a proxy, or a broken server, may answer.
func Raw(status int, body string) Reply { return Reply{Status: status, Body: body} }

// Dropped breaks the connection instead of answering.
func Dropped(when Drop) Reply { return Reply{Status: http.StatusOK, Drop: when} }

type detail map[string]any

func fcmError(code string) detail {
	return detail{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
}

func violation(field, description string) detail {
	return detail{
		"@type":           "type.googleapis.com/google.rpc.BadRequest",
		"fieldViolations": []detail{{"field": field, "description": description}},
	}
}

// failure is an error in the form of google.rpc.Status.
func failure(status int, canonical, message string, details ...detail) Reply {
	e := detail{"code": status, "message": message, "status": canonical}
	if len(details) > 0 {
		e["details"] = details
	}
	b, err := json.Marshal(detail{"error": e})
	if err != nil { // cannot happen for strings and numbers
		return Reply{Status: http.StatusInternalServerError, Body: err.Error()}
	}
	return Reply{Status: status, Body: string(b)}
}
