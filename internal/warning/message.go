// Package warning has the graded warnings of the public: drafts that officers edit, messages that are published once and never
// change, and the matcher that holds every warning in force against what is scanned.
//
// A warning is a list of immutable messages, "{no}/1", "{no}/2", …, and its state is the fold over them. The insert of a
// message decides: of two officers who act at once one wins, and the other is told what is legal now.
//
// Lift is not retract. Lifted means that the danger is over; retracted that the warning was wrong, with a correction to everyone who
// was told. A lifted warning can still be retracted, but never raised again: if the danger returns that is a new warning with a number of
// its own, because the people who were told 'it is over' are not those who must be told now. After a retraction nothing follows.
package warning

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
)

// MessageKind is what a message does to its warning.
type MessageKind string

// The kinds of messages.
const (
	KindAlert   MessageKind = "alert"   // the first message
	KindUpdate  MessageKind = "update"  // another level, scope or text
	KindLift    MessageKind = "lift"    // all-clear: the danger is over
	KindRetract MessageKind = "retract" // the warning was wrong; Reason is the correction
)

// Status is where a warning stands.
type Status string

// The statuses. A draft is never public.
const (
	StatusDraft     Status = "draft"
	StatusInForce   Status = "in_force"
	StatusLifted    Status = "lifted"
	StatusRetracted Status = "retracted"
)

// Next gives the kinds of message that may follow. None may follow a retraction.
func (s Status) Next() []MessageKind {
	switch s {
	case StatusDraft:
		return []MessageKind{KindAlert}
	case StatusInForce:
		return []MessageKind{KindUpdate, KindLift, KindRetract}
	case StatusLifted:
		return []MessageKind{KindRetract}
	}
	return nil
}

func (s Status) allows(k MessageKind) bool {
	return slices.Contains(s.Next(), k)
}

// After is the status that a message of kind k leaves its warning in.
func (k MessageKind) After() Status {
	switch k {
	case KindLift:
		return StatusLifted
	case KindRetract:
		return StatusRetracted
	}
	return StatusInForce
}

// Message is one published message. All of it but Fanout is immutable.
type Message struct {
	No   string      `json:"no"`
	Rev  int         `json:"rev"` // 1, 2, … without gaps
	Kind MessageKind `json:"kind"`
	Content
	Reason     lang.Text `json:"reason,omitempty"` // why it was updated, lifted or retracted
	By         string    `json:"by"`               // the operator's ID
	ByName     string    `json:"by_name,omitempty"`
	ApprovedBy string    `json:"approved_by,omitempty"` // ID of the other operator who approved it
	Authority  string    `json:"authority"`             // of all messages of a warning the same
	Acting     string    `json:"acting,omitempty"`      // the authority that published it, where it acts for a merged one
	Published  time.Time `json:"published"`
	References string    `json:"references,omitempty"` // ID of the message before
	// Key is what a retry of the same request knows its message by: the caller's idempotency key, or a random nonce.
	Key    string `json:"key"`
	Fanout Fanout `json:"fanout"`
}

// ID is the message's document ID, "{no}/{rev}".
func (m *Message) ID() string { return MessageID(m.No, m.Rev) }

// MessageID is the ID of revision rev of warning no.
func MessageID(no string, rev int) string { return no + "/" + strconv.Itoa(rev) }

// ParseMessageID is the reverse of MessageID.
func ParseMessageID(id string) (no string, rev int, ok bool) {
	no, text, ok := strings.Cut(id, "/")
	if !ok {
		return "", 0, false
	}
	rev, err := strconv.Atoi(text)
	if err != nil || rev < 1 || strconv.Itoa(rev) != text {
		return "", 0, false
	}
	return no, rev, true
}

// The phases of a fan-out.
const (
	FanoutPending   = "pending"   // published, nobody told yet
	FanoutExpanding = "expanding" // the audience is being walked; Cursor is the last device done
	FanoutClosing   = "closing"   // the pass over what came in meanwhile
	FanoutDone      = "done"
)

// Fanout is how far the alerts of a message have come. It lives in the message's own document, so nothing can be published
// without being sent. Only internal/alert writes it, through Service.SetFanout.
type Fanout struct {
	Phase    string          `json:"phase"`
	Cursor   string          `json:"cursor,omitempty"`
	Chunks   int             `json:"chunks,omitempty"`
	Told     int             `json:"told,omitempty"`
	Fence    int64           `json:"fence,omitempty"`   // the lease that wrote last; a writer with a smaller one gives up
	Detail   json.RawMessage `json:"detail,omitempty"`  // the expander's own bookkeeping; opaque here
	Updated  time.Time       `json:"updated,omitzero"`  // of the last write
	Expanded time.Time       `json:"expanded,omitzero"` // when expansion ended and closing began
	Ended    time.Time       `json:"ended,omitzero"`    // when it was done
}

// State is a warning as its messages leave it.
type State struct {
	No        string    `json:"no"`
	Status    Status    `json:"status"`
	Authority string    `json:"authority"`
	Issued    time.Time `json:"issued"`  // of the first message
	Current   Message   `json:"current"` // the last message; after lift or retract its content is that of the warning before
	History   []Message `json:"history"` // oldest first, the current one included
}

// FoldError says which message cannot stand where it stands. It means that stored data were damaged or written by other
// hands: the service never makes such a list.
type FoldError struct {
	No     string
	Rev    int
	Reason string
}

// Error names the message and the rule.
func (e *FoldError) Error() string { return fmt.Sprintf("warning %s/%d: %s", e.No, e.Rev, e.Reason) }

// Fold gives the state that messages, in order of revision, add up to. It is pure; the error is a *FoldError.
func Fold(messages []Message) (State, error) {
	if len(messages) == 0 {
		return State{}, &FoldError{Reason: "no messages"}
	}
	first := &messages[0]
	s := State{No: first.No, Status: StatusDraft, Authority: first.Authority, Issued: first.Published}
	for i := range messages {
		m := &messages[i]
		if reason := s.refuses(m, i); reason != "" {
			return State{}, &FoldError{No: m.No, Rev: m.Rev, Reason: reason}
		}
		s.Status, s.Current = m.Kind.After(), *m
	}
	s.History = messages
	return s, nil
}

// refuses says why m cannot be message number i (from 0) after the state s, "" if it can.
func (s *State) refuses(m *Message, i int) string {
	switch {
	case m.No != s.No:
		return "belongs to another warning"
	case m.Rev != i+1:
		return fmt.Sprintf("revision %d is missing", i+1)
	case !s.Status.allows(m.Kind):
		return fmt.Sprintf("%s cannot follow when %s", m.Kind, s.Status)
	case m.Authority != s.Authority:
		return "published by another authority"
	case i == 0 && m.References != "", i > 0 && m.References != s.Current.ID():
		return fmt.Sprintf("references %q", m.References)
	case i > 0 && (m.Reason[lang.ZhHans] == "" || m.Reason[lang.En] == ""):
		return "has no reason in both languages"
	case m.Published.Before(s.Current.Published):
		return "published before the message that it follows"
	}
	return ""
}
