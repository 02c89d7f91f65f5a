package check

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is what a signed checkpoint says (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   int64
	Root   []byte
}

// ParseKey reads a verifier key of golang.org/x/mod/sumdb/note, 'origin+hash+key', as it is served.
func ParseKey(vkey string) (ed25519.PublicKey, error) {
	if _, err := note.NewVerifier(vkey); err != nil {
		return nil, fmt.Errorf("%q is no verifier key: %w", vkey, err)
	}
	_, rest, _ := strings.Cut(vkey, "+")
	_, text, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(text)
	const algEd25519 = 1
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algEd25519 {
		return nil, fmt.Errorf("%q is no Ed25519 verifier key", vkey)
	}
	return raw[1:], nil
}

// ParseCheckpoint reads a checkpoint that a key has signed, whatever its origin: after a restore the log has another.
func ParseCheckpoint(msg []byte, key ed25519.PublicKey) (Checkpoint, error) {
	origin, _, _ := strings.Cut(string(msg), "\n")
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("no checkpoint: %w", err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("no checkpoint: origin %q: %w", origin, err)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("no checkpoint that this key signed: %w", err)
	}
	lines := strings.SplitN(n.Text, "\n", 4)
	if len(lines) < 4 {
		return Checkpoint{}, errors.New("no checkpoint: it has fewer than three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("no checkpoint: size %q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(hash{}) {
		return Checkpoint{}, fmt.Errorf("no checkpoint: root %q", lines[2])
	}
	return Checkpoint{lines[0], size, root}, nil
}
