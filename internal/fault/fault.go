// Package fault is the one error type of the domain.
//
// Domain packages return a *Error for everything a caller can act on; any other error is internal and its text never leaves
// the process. The translation to RFC 9457 problem documents is in one place, internal/httpapi.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error; each kind has exactly one HTTP status.
type Kind int

// The kinds, with the HTTP status that each becomes.
const (
	Internal        Kind = iota // 500; the default for errors that are not a *Error
	Malformed                   // 400: the request cannot be read
	Unauthenticated             // 401
	Forbidden                   // 403
	NotFound                    // 404
	Conflict                    // 409
	TooLarge                    // 413
	Unsupported                 // 415
	Invalid                     // 422: readable, but breaks a rule
	TooMany                     // 429, with Retry
	Unavailable                 // 503, with Retry
)

// Field is one broken rule: where, a stable code, and a sentence for a person.
type Field struct {
	Pointer string `json:"pointer"` // RFC 6901, relative to the request body
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Error is an error that a client may see. Code is stable and lower_snake_case. Err is the cause, for logs only.
type Error struct {
	Kind   Kind
	Code   string
	Detail string
	Fields []Field
	Retry  time.Duration
	Err    error
}

// Error gives the text for logs: code, detail and cause.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Detail
	for _, f := range e.Fields {
		s += fmt.Sprintf("; %s %s: %s", f.Pointer, f.Code, f.Detail)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind.
func New(k Kind, code, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Because is e with a cause, which goes to the log and not to the client.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// InvalidFields is an Invalid error that lists every broken rule. Code is "invalid".
func InvalidFields(fields ...Field) *Error {
	return &Error{Kind: Invalid, Code: "invalid", Detail: "the request breaks a rule; see errors", Fields: fields}
}

// KindOf is the kind of the first *Error in err's chain, else Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf is the code of the first *Error in err's chain, else "internal".
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return "internal"
}
