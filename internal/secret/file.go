package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// file is the keys file. Unknown keys are refused.
type file struct {
	AEAD    json.RawMessage `json:"aead"`             // a Tink keyset of AES-256-GCM keys; the primary seals, all of them open
	MAC     string          `json:"mac"`              // 32 bytes, base64
	Rotated time.Time       `json:"rotated,omitzero"` // when the primary became it
}

// readFile reads a keys file that nobody else may read.
func readFile(path string) (*file, error) {
	info, err := os.Stat(path)
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
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	f := &file{}
	if err := dec.Decode(f); err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	return f, nil
}

func (f *file) handle() (*keyset.Handle, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.AEAD)))
	if err != nil {
		return nil, fmt.Errorf("keys file: aead: %w", err)
	}
	return h, nil
}

func (f *file) setHandle(h *keyset.Handle) error {
	var ks bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&ks)); err != nil {
		return err
	}
	f.AEAD = ks.Bytes()
	return nil
}

// keys makes the file's keys ready for use.
func (f *file) keys() (*keys, error) {
	mac, err := base64.StdEncoding.DecodeString(f.MAC)
	if err != nil || len(mac) < 32 {
		return nil, errors.New("keys file: mac must be at least 32 bytes in base64")
	}
	h, err := f.handle()
	if err != nil {
		return nil, err
	}
	prim, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("keys file: aead: %w", err)
	}
	k := &keys{aead: prim, mac: mac, ids: map[uint32]bool{}}
	for i := range h.Len() {
		e, err := h.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("keys file: aead: %w", err)
		}
		k.ids[e.KeyID()] = true
		if e.IsPrimary() {
			k.primary = e.KeyID()
		}
	}
	return k, nil
}

// createFile writes fresh keys and links them into place, so that of two processes that start at once one wins and the
// other reads the winner's keys.
func createFile(path string) error {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	mac := make([]byte, 32)
	_, _ = rand.Read(mac) // never fails since Go 1.24
	f := &file{MAC: base64.StdEncoding.EncodeToString(mac)}
	if err := f.setHandle(h); err != nil {
		return err
	}
	return f.place(path, func(tmp string) error {
		if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// place writes the file beside path, durably and with mode 0600, and lets put bring it to its name; then that is durable too.
func (f *file) place(path string, put func(tmp string) error) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // it is gone already where put renamed it
	_, err = tmp.Write(append(data, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := put(tmp.Name()); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
