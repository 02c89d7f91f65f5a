// Package secret holds the keys of an installation: what wraps the data keys of personal data, and what turns random secrets and
// blind indexes into keyed hashes.
//
// The keys are one file, KEYS_FILE: a Tink keyset, of which one key is the primary that seals and all of them open, and one MAC key that
// never changes, since what it hashed can only be compared. Whoever has the file and the data has everything; whoever has only one
// of them has nothing. Keep it out of data backups.
//
// Keys are rotated in three steps, each a command that may die at any instruction and be repeated: RotateFile makes a new primary,
// privacy.Vault.Rewrap wraps every data key with it, RetireFile drops the keys that nothing is wrapped with any more. Where several
// machines have copies of the file, PrepareFile comes first: it adds a key that only opens, so that the copy is everywhere before any
// machine seals with it. A running process looks at the file every second, and at once when it meets a key that it does not know; no
// signal is needed.
package secret

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/haisu-trace/haisu/internal/clock"
)

// Box seals fields and hashes secrets. It is safe for concurrent use.
type Box struct {
	path string
	keys atomic.Pointer[keys]

	mu   sync.Mutex  // held while the file is read
	seen os.FileInfo // the file as it was when keys were read
}

// keys are what one version of the file holds.
type keys struct {
	aead    tink.AEAD
	mac     []byte
	primary uint32
	ids     map[uint32]bool
}

// OpenFile reads a keys file. With create, a file that does not exist is made, durable before OpenFile returns. A file that others may read is
// refused.
func OpenFile(path string, create bool) (*Box, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && create {
		if err := createFile(path); err != nil {
			return nil, fmt.Errorf("create keys file: %w", err)
		}
	}
	b := &Box{path: path}
	if _, err := b.Reload(); err != nil {
		return nil, err
	}
	return b, nil
}

// Reload reads the file again if it was changed since, and says whether it was. A file that cannot be read, is not whole, or has another MAC
// key is refused; then the keys stay as they were.
func (b *Box) Reload() (changed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	info, err := os.Stat(b.path) // before reading: what is written in between is seen by the next call
	if err != nil {
		return false, fmt.Errorf("keys file: %w", err)
	}
	if b.seen != nil && os.SameFile(b.seen, info) && b.seen.ModTime().Equal(info.ModTime()) && b.seen.Size() == info.Size() {
		return false, nil
	}
	f, err := readFile(b.path)
	if err != nil {
		return false, err
	}
	k, err := f.keys()
	if err != nil {
		return false, err
	}
	if old := b.keys.Load(); old != nil && !hmac.Equal(old.mac, k.mac) {
		return false, errors.New("keys file: another MAC key: no token and no look-up would be recognised any more")
	}
	b.keys.Store(k)
	b.seen = info
	return true, nil
}

// watchEvery bounds how long a rotated file goes unnoticed by a process that only seals.
const watchEvery = time.Second

// Run looks at the file every second until ctx ends. A file that is refused is logged once, and the keys stay as they were.
func (b *Box) Run(ctx context.Context, log *slog.Logger) error {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	last := ""
	for {
		changed, err := b.Reload()
		switch {
		case err == nil:
			last = ""
		case err.Error() != last:
			last = err.Error()
			log.ErrorContext(ctx, "keys file", "error", err)
		}
		if changed {
			log.InfoContext(ctx, "keys file read again", "primary", b.Primary())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Primary is the ID of the key that seals now.
func (b *Box) Primary() uint32 { return b.keys.Load().primary }

// Seal encrypts a field. Purpose names the field (and record, where it should not be movable); Open needs the same.
func (b *Box) Seal(purpose string, plain []byte) (string, error) {
	c, err := b.keys.Load().aead.Encrypt(plain, []byte(purpose))
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", purpose, err)
	}
	return base64.RawStdEncoding.EncodeToString(c), nil
}

// Open decrypts what Seal made for the same purpose. A key that is not known is looked for in the file, which another process may have
// rotated.
func (b *Box) Open(purpose, sealed string) ([]byte, error) {
	c, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", purpose, err)
	}
	k := b.keys.Load()
	if id, ok := prefix(c); ok && !k.ids[id] {
		if _, err := b.Reload(); err != nil {
			return nil, fmt.Errorf("open %s: %w", purpose, err)
		}
		k = b.keys.Load()
	}
	p, err := k.aead.Decrypt(c, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", purpose, err)
	}
	return p, nil
}

// KeyOf is the ID of the key that a text was sealed with; false for what Seal did not make. It says nothing about whether the text opens.
func KeyOf(sealed string) (uint32, bool) {
	c, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil || len(c) < prefixLen+ivLen+tagLen {
		return 0, false
	}
	return prefix(c)
}

// The form of what Tink's AES-GCM makes with an output prefix: 1, the key's ID, the nonce, the text, the tag.
const (
	prefixStart = 1
	prefixLen   = 5
	ivLen       = 12
	tagLen      = 16
)

func prefix(c []byte) (uint32, bool) {
	if len(c) < prefixLen || c[0] != prefixStart {
		return 0, false
	}
	return binary.BigEndian.Uint32(c[1:prefixLen]), true
}

// Hash is HMAC-SHA-256 over purpose and token, 52 characters of lower-case base32. It is meant for random secrets of 80 bits
// or more and for blind indexes; passwords need a slow hash.
func (b *Box) Hash(purpose, token string) string {
	m := hmac.New(sha256.New, b.keys.Load().mac)
	m.Write([]byte(purpose))
	m.Write([]byte{0})
	m.Write([]byte(token))
	return clock.Encode(m.Sum(nil))
}
