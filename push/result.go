package push

import (
	"strconv"
	"strings"
	"time"
)

// Outcome says what became of one message, and so what the caller has to do.
type Outcome int

// The outcomes. The zero value is Unknown, so that a result nobody filled in is never taken for a success.
const (
	// Unknown: the request was written, but no answer that can be read came back. The message may have been delivered; a
	// repetition replaces it on the device, since all messages about one warning share a tag.
	Unknown Outcome = iota
	// Accepted: FCM took the message and gave it an ID. That is not yet delivery.
	Accepted
	// Unregistered: the token is dead. Delete it, if it is still the device's token.
	Unregistered
	// InvalidPayload: the message breaks a rule of FCM or cannot be rendered. Never a reason to delete a token; sending the
	// same again fails again.
	InvalidPayload
	// BadToken: the text is no token, or one of another Firebase project. It will not work, but may be ours to mend
	// (credentials of the wrong project), so it is kept and counted.
	BadToken
	// Quota: too much was sent, by the project or to this device. Wait RetryAfter.
	Quota
	// Unavailable: FCM cannot be reached or cannot serve, and did not take the message. Wait RetryAfter if it is set, else back
	// off exponentially.
	Unavailable
	// Misconfigured: the credentials, the project or its APNs key are wrong. No message will pass until an operator acts.
	Misconfigured
)

var outcomeNames = [...]string{
	Unknown: "unknown", Accepted: "accepted", Unregistered: "unregistered", InvalidPayload: "invalid_payload",
	BadToken: "bad_token", Quota: "quota", Unavailable: "unavailable", Misconfigured: "misconfigured",
}

// String is the stable lower_snake_case name, for logs, metrics and stored deliveries.
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return "outcome_" + strconv.Itoa(int(o))
	}
	return outcomeNames[o]
}

// Result is what became of the message to one target.
type Result struct {
	Outcome   Outcome
	MessageID string // set exactly when Accepted: "projects/{project}/messages/{id}"
	// RetryAfter is how long to wait before this target may be tried again, counted from the return of Send's request. Zero
	// means that the service named no time.
	RetryAfter time.Duration
	Err        error // nil exactly when Accepted; otherwise a *Error
}

// Error is why a message was not accepted. Its text never contains the token.
type Error struct {
	Outcome Outcome
	Status  int    // HTTP status; 0 when there was no response
	Code    string // FCM's error code, else the canonical status of the answer, else one of the Code constants
	Reason  string // google.rpc.ErrorInfo's reason, such as RATE_LIMIT_EXCEEDED
	Field   string // the first field that FCM or Render objects to
	Detail  string // for a person
	Err     error  // the cause below HTTP, if any
}

// Codes of errors that FCM did not name.
const (
	CodeNotSent      = "not_sent"      // no request was made: the context had ended, or the service asked for a pause
	CodeUnreachable  = "unreachable"   // no request was written: name resolution, connection, TLS
	CodeNoAnswer     = "no_answer"     // the request was written, and the connection broke or the time was up
	CodeBadAnswer    = "bad_answer"    // the answer was not FCM's
	CodeNoCredential = "no_credential" //nolint:gosec // G101: an error code; no access token could be had
	CodeNotRendered  = "not_rendered"  // the alert or the target cannot be made into a message
)

// Error gives the text for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("push: ")
	b.WriteString(e.Outcome.String())
	if e.Status != 0 {
		b.WriteString(", HTTP ")
		b.WriteString(strconv.Itoa(e.Status))
	}
	for _, s := range []string{e.Code, e.Reason, e.Field, e.Detail} {
		if s != "" {
			b.WriteString(": ")
			b.WriteString(s)
		}
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// failed is the result for an error.
func failed(e *Error, retryAfter time.Duration) Result {
	return Result{Outcome: e.Outcome, RetryAfter: retryAfter, Err: e}
}
