// Package approval keeps what waits for a second operator.
package approval

import (
	"encoding/json"
	"time"

	"github.com/haisu-trace/haisu/internal/warning"
)

// Request is what one operator asks another to approve.
type Request struct {
	ID, Action, Subject string
	Level               warning.Level
	Class, Authority    string
	Revision            int64
	Body                json.RawMessage
	By, ByName          string
	Requested, Expires  time.Time
	State               string // pending, approved, done, failed, rejected, withdrawn, expired
	DecidedBy           string
	DecidedName         string
	Decided             time.Time
	Reason              string
	Result              string // done: what came of it
	Failure             string // failed: the code of the fault
}
