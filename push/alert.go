// Package push tells phones and browsers about warnings, through Firebase Cloud Messaging (FCM) or, where no Firebase
// project is set, into the log.
//
// It knows nothing of warnings, devices or storage: the caller hands it an Alert and the addresses to tell, and gets one
// Result per address that says what to do next. [Render] is a pure function, so what a phone receives can be compared byte
// for byte in tests; [FCM] and [Log] are the two senders.
//
// A sender never repeats a message. Whoever calls it decides when to try again, by the Outcome and RetryAfter of each Result.
package push

import "context"

// The levels of an Alert, most severe first. None is consumer advice, or a notice without a level.
const (
	LevelRed    = "red"
	LevelOrange = "orange"
	LevelYellow = "yellow"
	LevelBlue   = "blue"
	LevelNone   = "none"
)

// The kinds of an Alert. A lift says that the danger is over; a retraction says that the warning was wrong.
const (
	KindAlert   = "alert"
	KindUpdate  = "update"
	KindLift    = "lift"
	KindRetract = "retract"
)

// The platforms of a Target.
const (
	PlatformAndroid = "android"
	PlatformIOS     = "ios"
	PlatformWeb     = "web"
)

// Alert is one revision of a warning, as the devices of one group with the same reason are told of it.
type Alert struct {
	WarningNo  string            // the warning's public number; also what notifications are collapsed by
	Revision   int               // counts from 1
	Level      string            // one of the Level constants
	Kind       string            // one of the Kind constants
	Title      map[string]string // by BCP 47 language tag; at least one language must have both a title and a body
	Body       map[string]string // by the same tags
	ReasonCode string            // why these devices are told; lower_snake_case
	Link       string            // deep link to the warning; an absolute URL
	AlertID    string            // the alert in the device's inbox; empty when the targets do not share one
	Exercise   bool              // a drill: marked in the title, the data and the channel
}

// Target is one address. The token is a secret: whoever knows it and the project's key can write to the phone.
type Target struct {
	Token    string
	Platform string // one of the Platform constants
	Lang     string // BCP 47; empty means Chinese
}

// Sender delivers an alert to targets. Results are in the order of targets and as many. A sender gives every target at
// most one request, returns when all are decided, and after ctx ends decides the rest as not sent.
type Sender interface {
	Send(ctx context.Context, a Alert, targets []Target) []Result
}

var (
	_ Sender = (*FCM)(nil)
	_ Sender = (*Log)(nil)
)
