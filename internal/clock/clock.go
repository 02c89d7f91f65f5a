// Package clock has the time and identifier sources that the rest of the program is given, so that tests can fix them.
package clock

import (
	"crypto/rand"
	"encoding/base32"
	"time"
)

// Now tells the time. Production uses time.Now.
type Now func() time.Time

// Millis tells the time in UTC milliseconds, as documents hold it. What it tells is of no use for measuring how long something takes: the monotonic
// reading is cut off with the rest.
func (n Now) Millis() Now {
	return func() time.Time { return n().UTC().Truncate(time.Millisecond) }
}

// Token gives n random bytes as lower-case base32 without padding: 16 characters for 10 bytes.
func Token(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return Encode(b)
}

// Encode gives bytes as lower-case base32 without padding.
func Encode(b []byte) string { return encoding.EncodeToString(b) }

// encoding is Crockford's alphabet: no i, l, o, u, so that it survives being read aloud.
var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
