// Package audit keeps the audit trail.
package audit

import (
	"encoding/json"
	"time"
)

// Entry is one entry of the trail.
type Entry struct {
	Seq       int64
	At        time.Time
	Actor     string // "operator:chen.yu", "seller:firm/key", "command:…"
	Authority string
	Action    string
	Subject   string
	Phase     string // attempt, done, failed, read
	Outcome   string
	Why       string
	RequestID string
	From      string // network address
	Attempt   int64  // Seq of the attempt
	Before    json.RawMessage
	After     json.RawMessage

	BeforeDigest, AfterDigest *Digest // instead of a Before or After that is too large

	Hash string // hexadecimal
}

// Digest stands for a document that is too large.
type Digest struct {
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Change is what an act did.
type Change struct {
	Subject, Why  string
	Before, After any
}

// Filter selects entries; what is empty selects all.
type Filter struct {
	Actor, Subject, Action string
	From, To               time.Time
}

// Checkpoint is the end of the chain at a time.
type Checkpoint struct {
	Seq  int64
	Hash string
	MAC  string
	At   time.Time
}
