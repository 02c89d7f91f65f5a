package push

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	// quotaWait is how long FCM asks to wait after a 429 that has no Retry-After.
	quotaWait = time.Minute
	// maxWait bounds Retry-After, so that a broken answer does not silence warnings for good.
	maxWait = 24 * time.Hour
	// maxDetail bounds what of the service's own words goes into an error, in bytes.
	maxDetail = 300
)

// The types of the details of an error answer (google.rpc, and FCM's own).
const (
	typeFcmError     = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
	typeErrorInfo    = "type.googleapis.com/google.rpc.ErrorInfo"
	typeBadRequest   = "type.googleapis.com/google.rpc.BadRequest"
	typeQuotaFailure = "type.googleapis.com/google.rpc.QuotaFailure"
	typeRetryInfo    = "type.googleapis.com/google.rpc.RetryInfo"
)

// answer is what an error answer says, as far as it can be read.
type answer struct {
	status  string // canonical, such as INVALID_ARGUMENT
	fcm     string // FcmError.errorCode; the only word that is trusted with the death of a token
	reason  string // ErrorInfo.reason
	field   string // first field violation
	subject string // first quota violation's subject
	detail  string
	retry   time.Duration // RetryInfo
}

// read takes an error answer apart. A detail of a shape not expected is skipped and spoils no other.
func read(body []byte) answer {
	var doc struct {
		Error struct {
			Status  string            `json:"status"`
			Message string            `json:"message"`
			Details []json.RawMessage `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return answer{}
	}
	a := answer{status: doc.Error.Status, detail: doc.Error.Message}
	for _, raw := range doc.Error.Details {
		var d struct {
			Type            string `json:"@type"`
			ErrorCode       string `json:"errorCode"`
			Reason          string `json:"reason"`
			RetryDelay      string `json:"retryDelay"`
			FieldViolations []struct {
				Field string `json:"field"`
			} `json:"fieldViolations"`
			Violations []struct {
				Subject string `json:"subject"`
			} `json:"violations"`
		}
		if json.Unmarshal(raw, &d) != nil {
			continue
		}
		switch {
		case d.Type == typeFcmError:
			a.fcm = d.ErrorCode
		case d.Type == typeErrorInfo:
			a.reason = d.Reason
		case d.Type == typeBadRequest && len(d.FieldViolations) > 0:
			a.field = d.FieldViolations[0].Field
		case d.Type == typeQuotaFailure && len(d.Violations) > 0:
			a.subject = d.Violations[0].Subject
		case d.Type == typeRetryInfo:
			if wait, err := time.ParseDuration(d.RetryDelay); err == nil {
				a.retry = min(max(wait, 0), maxWait)
			}
		}
	}
	return a
}

// verdict is a result, and whether it concerns every message of the project.
type verdict struct {
	result   Result
	everyone bool
}

// verdict classifies what came back. now is when it did.
func (e *exchange) verdict(now time.Time, token string) verdict {
	switch e.status {
	case 0:
		return verdict{result: e.unanswered()}
	case http.StatusOK:
		return verdict{result: e.accepted()}
	}
	a := read(e.body)
	err := &Error{
		Outcome: a.outcome(e.status), Status: e.status, Code: cmp.Or(a.fcm, a.status, CodeBadAnswer),
		Reason: a.reason, Field: a.field, Detail: clip(strings.ReplaceAll(a.detail, token, "(token)")),
	}
	wait, named := retryAfter(e.header, now)
	if !named && a.retry > 0 {
		wait, named = a.retry, true
	}
	if err.Outcome == Quota && wait <= 0 {
		wait = quotaWait
	}
	return verdict{failed(err, wait), a.everyone(e.status, err.Outcome, named) && wait > 0}
}

// unanswered is the result when no answer came. If the body was never handed to a connection, the service has not seen the
// message; otherwise nobody can tell.
func (e *exchange) unanswered() Result {
	err := &Error{Outcome: Unknown, Code: CodeNoAnswer, Err: e.err}
	var refusal *oauth2.RetrieveError
	switch _, noToken := errors.AsType[tokenError](e.err); {
	case errors.As(e.err, &refusal) && refusal.Response != nil && refusal.Response.StatusCode < http.StatusInternalServerError:
		// The token server knows the credentials and says no. Its text may quote what it was sent, so it is left out.
		err.Outcome, err.Code, err.Reason = Misconfigured, CodeNoCredential, refusal.ErrorCode
		err.Detail, err.Err = "the token server answered "+strconv.Itoa(refusal.Response.StatusCode), nil
	case noToken:
		err.Outcome, err.Code = Unavailable, CodeNoCredential
	case !e.sent.Load():
		err.Outcome, err.Code = Unavailable, CodeUnreachable
	}
	return failed(err, 0)
}

// accepted is the result of a 200, which must name the message.
func (e *exchange) accepted() Result {
	var doc struct {
		Name string `json:"name"`
	}
	err := e.err
	if err == nil {
		err = json.Unmarshal(e.body, &doc)
	}
	if err != nil || doc.Name == "" {
		return failed(&Error{Outcome: Unknown, Status: e.status, Code: CodeBadAnswer, Detail: "200 without a message name", Err: err}, 0)
	}
	return Result{Outcome: Accepted, MessageID: doc.Name}
}

// outcome goes by FCM's own code where there is one, else by the HTTP status.
func (a answer) outcome(status int) Outcome {
	switch a.fcm {
	case "UNREGISTERED":
		return Unregistered
	case "SENDER_ID_MISMATCH":
		return BadToken
	case "THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR":
		return Misconfigured
	case "QUOTA_EXCEEDED":
		return Quota
	case "UNAVAILABLE", "INTERNAL":
		return Unavailable
	case "INVALID_ARGUMENT":
		// FCM often refuses a malformed token without naming a field, but names the field it dislikes in a message.
		if a.field == "" || a.field == "message.token" {
			return BadToken
		}
		return InvalidPayload
	}
	switch {
	case a.field == "message.token":
		return BadToken
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
		return InvalidPayload
	case status == http.StatusTooManyRequests:
		return Quota
	case status == http.StatusRequestTimeout, status == http.StatusInternalServerError, status == http.StatusServiceUnavailable:
		return Unavailable
	case status >= http.StatusMultipleChoices && status < http.StatusInternalServerError:
		// 401, 403 and 404 without FCM's code: credentials, an API not enabled, a wrong project, a server that is not FCM.
		return Misconfigured
	default:
		return Unknown // a gateway's 502 or 504: what lies behind may have taken the message
	}
}

// everyone tells the project's limits from one device's.
func (a answer) everyone(status int, o Outcome, named bool) bool {
	if strings.HasPrefix(a.subject, "device") || strings.HasPrefix(a.subject, "topic") {
		return false
	}
	switch o {
	case Quota:
		return named || a.fcm == "" || a.reason != "" || strings.HasPrefix(a.subject, "project")
	case Unavailable:
		return named && status == http.StatusServiceUnavailable
	default:
		return false
	}
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds, or a date, which is taken relative to the answer's own
// Date, so that a clock that is wrong here does no harm. It reports whether the header named a time.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if s == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(s, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxWait), true
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxWait), true
}

func clip(s string) string { return cut(s, maxDetail, maxDetail) }
