package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/privacy"
)

// The limits of an entry, in bytes.
const (
	MaxState = 64 << 10 // Before, After: each, as canonical JSON
	MaxText  = 512      // every other text but Why
	MaxWhy   = 4000
)

// timeLayout is RFC 3339 in UTC with milliseconds, always of one length.
const timeLayout = "2006-01-02T15:04:05.000Z"

// wire is an entry as it is hashed, stored and exported. Its canonical form is that of encoding/json: members in the order of their names, no
// white space, numbers as they were written, and <, >, &, U+2028 and U+2029 escaped inside strings. Apart from these escapes, and from numbers,
// which RFC 8785 rounds to doubles, that is RFC 8785. A reader need not know it: hashes are over the bytes as they are.
type wire struct {
	Action       string          `json:"action"`
	Actor        string          `json:"actor"`
	After        json.RawMessage `json:"after,omitempty"`
	AfterDigest  *Digest         `json:"after_digest,omitempty"`
	At           string          `json:"at"`
	Attempt      int64           `json:"attempt,omitempty"`
	Authority    string          `json:"authority,omitempty"`
	Before       json.RawMessage `json:"before,omitempty"`
	BeforeDigest *Digest         `json:"before_digest,omitempty"`
	From         privacy.Sealed  `json:"from,omitempty"`       // with the key of this month:
	FromMonth    string          `json:"from_month,omitempty"` // YYYY-MM
	Outcome      string          `json:"outcome,omitempty"`
	Phase        string          `json:"phase"`
	Request      string          `json:"request,omitempty"`
	Seq          int64           `json:"seq"`
	Subject      string          `json:"subject,omitempty"`
	Why          string          `json:"why,omitempty"`
}

// prepare checks, cuts and seals what a caller gives. Seq and At are still open.
func (s *Service) prepare(ctx context.Context, e Entry) (wire, error) {
	if e.Actor == "" || e.Action == "" {
		return wire{}, fmt.Errorf("audit: an entry needs an actor and an action; this has %q and %q", e.Actor, e.Action)
	}
	w := wire{
		Action: cut(e.Action, MaxText), Actor: cut(e.Actor, MaxText), Attempt: e.Attempt, Authority: cut(e.Authority, MaxText),
		Outcome: cut(e.Outcome, MaxText), Phase: e.Phase, Request: cut(e.RequestID, MaxText), Subject: cut(e.Subject, MaxText), Why: cut(e.Why, MaxWhy),
	}
	var err error
	if w.Before, w.BeforeDigest, err = bounded(e.Before); err != nil {
		return wire{}, fmt.Errorf("audit: before: %w", err)
	}
	if w.After, w.AfterDigest, err = bounded(e.After); err != nil {
		return wire{}, fmt.Errorf("audit: after: %w", err)
	}
	w.FromMonth, w.From, err = s.sealAddress(ctx, cut(e.From, MaxText))
	return w, err
}

func (w *wire) entry(hash string) (Entry, error) {
	at, err := time.Parse(timeLayout, w.At)
	if err != nil {
		return Entry{}, fmt.Errorf("audit: time of entry %d: %w", w.Seq, err)
	}
	return Entry{
		Seq: w.Seq, At: at, Actor: w.Actor, Authority: w.Authority, Action: w.Action, Subject: w.Subject, Phase: w.Phase, Outcome: w.Outcome,
		Why: w.Why, RequestID: w.Request, From: w.address(), Attempt: w.Attempt, Before: w.Before, After: w.After,
		BeforeDigest: w.BeforeDigest, AfterDigest: w.AfterDigest, Hash: hash,
	}, nil
}

// bounded gives a document in canonical form, or its digest if that is too long. No document, and null, is neither.
func bounded(doc json.RawMessage) (json.RawMessage, *Digest, error) {
	if len(doc) == 0 {
		return nil, nil, nil
	}
	c, err := canonical(doc)
	if err != nil {
		return nil, nil, err
	}
	if string(c) == "null" {
		return nil, nil, nil
	}
	if len(c) > MaxState {
		sum := sha256.Sum256(c)
		return nil, &Digest{Bytes: len(c), SHA256: hex.EncodeToString(sum[:])}, nil
	}
	return c, nil, nil
}

// canonical gives the canonical form of a JSON text: see wire. Of members with the same name the last counts.
func canonical(doc []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return json.Marshal(v)
}

// state gives any value of a caller as a document.
func state(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}

// cut shortens a text to n bytes, between characters, and shows that it did. What is not UTF-8 becomes U+FFFD.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
