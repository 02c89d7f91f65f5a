// Package secret holds the keys of an installation: what encrypts personal data field by field, and what turns random
// secrets and blind indexes into keyed hashes.
//
// The keys are one file, KEYS_FILE. Whoever has the file and the data has everything; whoever has only one of them has
// nothing. Keep it out of data backups.
package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/haisu-trace/haisu/internal/clock"
)

// Box seals fields and hashes secrets. It is safe for concurrent use.
type Box struct {
	aead tink.AEAD
	mac  []byte
}

// file is the keys file. Unknown keys are refused.
type file struct {
	AEAD json.RawMessage `json:"aead"` // a Tink keyset of AES-256-GCM keys; the primary seals, all of them open
	MAC  string          `json:"mac"`  // 32 bytes, base64
}

// OpenFile reads a keys file. With create, a file that does not exist is made, durable before OpenFile returns. A file that others may read is
// refused.
func OpenFile(path string, create bool) (*Box, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := createFile(path); err != nil {
			return nil, fmt.Errorf("create keys file: %w", err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("keys file %s: mode %04o lets others read it; make it 0600", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	return parse(data)
}

func parse(data []byte) (*Box, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var f file
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	mac, err := base64.StdEncoding.DecodeString(f.MAC)
	if err != nil || len(mac) < 32 {
		return nil, errors.New("keys file: mac must be at least 32 bytes in base64")
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.AEAD)))
	if err != nil {
		return nil, fmt.Errorf("keys file: aead: %w", err)
	}
	prim, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("keys file: aead: %w", err)
	}
	return &Box{aead: prim, mac: mac}, nil
}

// createFile writes fresh keys and links them into place, so that of two processes that start at once one wins and the
// other reads the winner's keys.
func createFile(path string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	var ks bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&ks)); err != nil {
		return err
	}
	mac := make([]byte, 32)
	_, _ = rand.Read(mac) // never fails since Go 1.24
	data, err := json.MarshalIndent(file{AEAD: ks.Bytes(), MAC: base64.StdEncoding.EncodeToString(mac)}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(append(data, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// Seal encrypts a field. Purpose names the field (and record, where it should not be movable); Open needs the same.
func (b *Box) Seal(purpose string, plain []byte) (string, error) {
	c, err := b.aead.Encrypt(plain, []byte(purpose))
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", purpose, err)
	}
	return base64.RawStdEncoding.EncodeToString(c), nil
}

// Open decrypts what Seal made for the same purpose.
func (b *Box) Open(purpose, sealed string) ([]byte, error) {
	c, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", purpose, err)
	}
	p, err := b.aead.Decrypt(c, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", purpose, err)
	}
	return p, nil
}

// Hash is HMAC-SHA-256 over purpose and token, 52 characters of lower-case base32. It is meant for random secrets of 80 bits
// or more and for blind indexes; passwords need a slow hash.
func (b *Box) Hash(purpose, token string) string {
	m := hmac.New(sha256.New, b.mac)
	m.Write([]byte(purpose))
	m.Write([]byte{0})
	m.Write([]byte(token))
	return clock.Encode(m.Sum(nil))
}
