package privacy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Sealed is the type of the stored fields that the map calls encrypted: what Seal made, or nothing. It refuses to be written as anything
// else, so a text that was forgotten to be sealed does not reach the store.
type Sealed string

// MarshalText gives the sealed text, and fails for what Seal did not make.
func (s Sealed) MarshalText() ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	if _, err := decode(string(s)); err != nil {
		return nil, fmt.Errorf("privacy: a field of a sealed type is not to be written: %w", err)
	}
	return []byte(s), nil
}

// A sealed text is "s1." and, in unpadded base64, the tag of the data key, a nonce of 12 bytes, the text under AES-256-GCM, and its 16 bytes
// of authentication.
const (
	sealedPrefix = "s1."
	keyBytes     = 32
	keyTag       = 4
	overhead     = 12 + 16
)

var errNotSealed = errors.New("privacy: this is no sealed text")

func decode(s string) ([]byte, error) {
	rest, ok := strings.CutPrefix(s, sealedPrefix)
	if !ok {
		return nil, errNotSealed
	}
	b, err := base64.RawStdEncoding.DecodeString(rest)
	if err != nil || len(b) < keyTag+overhead {
		return nil, errNotSealed
	}
	return b, nil
}

// key is a data key ready for use.
type key struct {
	aead cipher.AEAD
	tag  [keyTag]byte
}

func newKey() []byte {
	b := make([]byte, keyBytes)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return b
}

func parseKey(plain []byte) (*key, error) {
	if len(plain) != keyBytes {
		return nil, fmt.Errorf("privacy: a data key of %d bytes", len(plain))
	}
	block, err := aes.NewCipher(plain)
	if err != nil {
		return nil, fmt.Errorf("privacy: data key: %w", err)
	}
	k := &key{}
	if k.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("privacy: data key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("haisu data key tag\x00"), plain...))
	copy(k.tag[:], sum[:])
	return k, nil
}

// bound binds a text to its place. Records and fields have no control characters.
func bound(record, field string) []byte { return []byte(record + "\x00" + field) }

func (k *key) seal(record, field string, plain []byte) string {
	b := make([]byte, keyTag, keyTag+overhead+len(plain))
	copy(b, k.tag[:])
	b = k.aead.Seal(b, nil, plain, bound(record, field)) //nolint:gosec // no nonce is given: this AEAD draws a random one and puts it in front
	return sealedPrefix + base64.RawStdEncoding.EncodeToString(b)
}

// open decrypts. What was sealed with an earlier key of the record is erased: its time was over, and then the record was used again.
func (k *key) open(record, field, sealed string) ([]byte, error) {
	b, err := decode(sealed)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", record, field, err)
	}
	if !bytes.Equal(b[:keyTag], k.tag[:]) {
		return nil, ErrErased
	}
	plain, err := k.aead.Open(nil, nil, b[keyTag:], bound(record, field))
	if err != nil {
		return nil, fmt.Errorf("privacy: %s %s does not open: %w", record, field, err)
	}
	return plain, nil
}
