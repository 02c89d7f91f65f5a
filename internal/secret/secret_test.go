package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/secret"
)

func TestFileIsMadeOnceAndReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := secret.OpenFile(path, false); err == nil {
		t.Fatal("a missing file was accepted without create")
	}
	boxes := make([]*secret.Box, 8)
	var wg sync.WaitGroup
	for i := range boxes {
		wg.Go(func() {
			b, err := secret.OpenFile(path, true)
			if err != nil {
				t.Error(err)
			}
			boxes[i] = b
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed, err := boxes[0].Seal("contact.phone", []byte("13800000000"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boxes {
		plain, err := b.Open("contact.phone", sealed)
		if err != nil || string(plain) != "13800000000" {
			t.Fatalf("got %q, %v", plain, err)
		}
		if b.Hash("p", "x") != boxes[0].Hash("p", "x") {
			t.Fatal("processes that start at once have different keys")
		}
	}
	if _, err := boxes[0].Open("contact.email", sealed); err == nil {
		t.Fatal("a field was opened for another purpose")
	}
	if h := boxes[0].Hash("p", "x"); len(h) != 52 || h == boxes[0].Hash("q", "x") {
		t.Fatalf("hash %q does not depend on its purpose", h)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".keys-*"))
	if err != nil || len(left) > 0 {
		t.Fatalf("temporary files left: %v %v", left, err)
	}
}

func TestFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		mode os.FileMode
		want string
	}{
		"readable by others": {`{}`, 0o644, "0600"},
		"unknown key":        {`{"aead":{},"mac":"","extra":1}`, 0o600, "extra"},
		"short mac":          {`{"aead":{},"mac":"AAAA"}`, 0o600, "32 bytes"},
		"no keyset":          {`{"aead":{},"mac":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`, 0o600, "aead"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys.json")
			if err := os.WriteFile(path, []byte(c.data), c.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.OpenFile(path, true); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}
