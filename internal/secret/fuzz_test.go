package secret_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/haisu-trace/haisu/internal/secret"
)

// FuzzKeysFile reads keys files: one is refused, or what it seals it opens again.
func FuzzKeysFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "keys.json")
	if _, err := secret.OpenFile(path, true); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range [][]byte{
		whole, bytes.Replace(whole, []byte("ENABLED"), []byte("DISABLED"), 1), bytes.Replace(whole, []byte(`"primaryKeyId"`), []byte(`"primaryKeyID"`), 1), whole[:len(whole)/2],
		[]byte(`{"aead":{},"mac":""}`), []byte(`{"aead":{"primaryKeyId":1,"key":[]},"mac":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`), []byte(`null`), nil,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		box, err := secret.OpenFile(path, false)
		if err != nil {
			return
		}
		sealed, err := box.Seal("purpose", []byte("plain"))
		if err != nil {
			return // the primary is of a kind that cannot seal
		}
		if plain, err := box.Open("purpose", sealed); err != nil || string(plain) != "plain" {
			t.Errorf("sealed, then opened: %q, %v", plain, err)
		}
		if _, err := box.Open("another", sealed); err == nil {
			t.Error("opened for another purpose")
		}
		if box.Hash("a", "b") == box.Hash("a", "c") {
			t.Error("two tokens have one hash")
		}
	})
}
