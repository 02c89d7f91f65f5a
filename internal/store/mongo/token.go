package mongo

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/store"
)

// position is a place in the feed's index.
type position struct {
	stamp uint64
	id    string
}

// seen is a delivery that the token remembers: the stamp and a hash of ID, revision and stamp.
type seen struct {
	stamp uint64
	hash  uint64
}

// token is where a follower of the feed is. The zero token is the beginning.
type token struct {
	epoch uint64 // of the feed; see collection

	base uint64 // the newest tombstone that was removed before the follower began
	from uint64 // polls ask for this stamp and later
	last uint64 // the newest stamp delivered
	seen []seen // deliveries, oldest stamp first

	checked      int64    // when the last recheck began, or the follower first caught up; UTC milliseconds
	older, newer uint64   // the next recheck covers (older, newer]
	at           position // the recheck under way has come this far
	end          uint64   // and goes up to here; 0: none is under way
}

func (ch change) seen() seen {
	h := sha256.New()
	b := binary.BigEndian.AppendUint64(nil, ch.stamp)
	b = binary.BigEndian.AppendUint64(b, uint64(ch.rev))
	h.Write(append(b, ch.id...)) // never fails
	return seen{stamp: ch.stamp, hash: binary.BigEndian.Uint64(h.Sum(nil))}
}

func (s seen) compare(o seen) int {
	return cmp.Or(cmp.Compare(s.stamp, o.stamp), cmp.Compare(s.hash, o.hash))
}

func (t *token) has(ch change) bool {
	_, ok := slices.BinarySearchFunc(t.seen, ch.seen(), seen.compare)
	return ok
}

func (t *token) add(ch change) {
	s := ch.seen()
	if i, ok := slices.BinarySearchFunc(t.seen, s, seen.compare); !ok {
		t.seen = slices.Insert(t.seen, i, s)
	}
}

// seenSince counts remembered deliveries with this stamp or later.
func (t *token) seenSince(stamp uint64) int {
	i, _ := slices.BinarySearchFunc(t.seen, seen{stamp: stamp}, seen.compare)
	return len(t.seen) - i
}

// clone gives a token that changes apart from t.
func (t *token) clone() *token {
	c := *t
	c.seen = slices.Clone(t.seen)
	return &c
}

// trim moves the start of polls up to overlap before the newest stamp, and drops the oldest deliveries over maxSeen. Those of the
// newest stamp are never dropped, or the polls would begin beyond it or deliver it for ever; a shard gives no stamp twice, so they are few.
func (t *token) trim() {
	t.from = max(t.from, before(t.last, overlap))
	drop := max(0, len(t.seen)-maxSeen)
	for drop > 0 && t.seen[drop-1].stamp >= t.last {
		drop--
	}
	if drop == 0 {
		return
	}
	t.from = max(t.from, t.seen[drop-1].stamp+1)
	t.seen = slices.Clone(t.seen[drop:])
}

// tokenVersion is the first byte of an encoded token.
const tokenVersion = 2

// maxTokenSeen bounds what a token read back may hold.
const maxTokenSeen = 4 * maxSeen

var tokenEncoding = base64.RawURLEncoding.Strict()

// encode is unique: equal tokens have equal text.
func (t *token) encode() string {
	b := []byte{tokenVersion}
	for _, v := range []uint64{t.epoch, t.base, t.from, t.last, uint64(t.checked), t.older, t.newer, t.end, t.at.stamp, uint64(len(t.at.id))} {
		b = binary.AppendUvarint(b, v)
	}
	b = append(b, t.at.id...)
	b = binary.AppendUvarint(b, uint64(len(t.seen)))
	prev := uint64(0)
	for _, s := range t.seen {
		// Seconds and ordinals apart: mostly one byte each.
		sec, ord := s.stamp>>32, s.stamp&0xFFFFFFFF
		if sec == prev>>32 {
			ord -= prev & 0xFFFFFFFF
		}
		b = binary.AppendUvarint(b, sec-prev>>32)
		b = binary.AppendUvarint(b, ord)
		b = binary.BigEndian.AppendUint64(b, s.hash)
		prev = s.stamp
	}
	return tokenEncoding.EncodeToString(b)
}

// decodeToken gives the zero token for "". ErrBadCursor.
func decodeToken(s string) (*token, error) {
	t := &token{}
	if s == "" {
		return t, nil
	}
	raw, err := tokenEncoding.DecodeString(s)
	if err != nil || len(raw) == 0 || raw[0] != tokenVersion {
		return nil, fmt.Errorf("mongo: feed token: %w", store.ErrBadCursor)
	}
	r := tokenReader{b: raw[1:], ok: true}
	t.epoch = r.uvarint()
	t.base, t.from, t.last, t.checked = r.uvarint(), r.uvarint(), r.uvarint(), int64(r.uvarint())
	t.older, t.newer, t.end, t.at.stamp = r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()
	t.at.id = r.text(uint64(maxID))
	t.seen = r.seen()
	// A second text for the same token would not be ours.
	if !r.ok || len(r.b) > 0 || t.encode() != s {
		return nil, fmt.Errorf("mongo: feed token: %w", store.ErrBadCursor)
	}
	return t, nil
}

// tokenReader reads a token's fields; after the first that is not there, ok is false and all are zero.
type tokenReader struct {
	b  []byte
	ok bool
}

func (r *tokenReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || !r.ok {
		r.ok = false
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *tokenReader) text(longest uint64) string {
	n := r.uvarint()
	if !r.ok || n > longest || n > uint64(len(r.b)) || !utf8.Valid(r.b[:n]) {
		r.ok = false
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *tokenReader) seen() []seen {
	n := r.uvarint()
	if !r.ok || n > maxTokenSeen {
		r.ok = false
		return nil
	}
	var out []seen
	prev := uint64(0)
	for range n {
		sec, ord := r.uvarint(), r.uvarint()
		if !r.ok || len(r.b) < 8 || sec > 0xFFFFFFFF || ord > 0xFFFFFFFF {
			r.ok = false
			return nil
		}
		if sec == 0 {
			ord += prev & 0xFFFFFFFF
		}
		s := seen{stamp: (prev>>32+sec)<<32 | ord&0xFFFFFFFF, hash: binary.BigEndian.Uint64(r.b)}
		r.b = r.b[8:]
		if len(out) > 0 && out[len(out)-1].compare(s) >= 0 {
			r.ok = false
			return nil
		}
		out, prev = append(out, s), s.stamp
	}
	return out
}
