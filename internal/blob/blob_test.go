package blob_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/blob/disk"
)

func open(t *testing.T) (*disk.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "blobs")
	s, err := disk.Open(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func put(t *testing.T, s blob.Store, record, text string) blob.Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), blob.Space{Purpose: "documents", Record: record}, strings.NewReader(text), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestCopyBringsWhatIsLacking(t *testing.T) {
	t.Parallel()
	src, dir := open(t)
	dst, _ := open(t)
	var refs []blob.Ref
	for i := range 30 {
		refs = append(refs, put(t, src, "r", fmt.Sprint("text ", i)))
	}
	put(t, src, "empty", "")
	put(t, dst, "r", "text 3")
	extra := put(t, dst, "r", "only there")
	bad := refs[7]
	if err := os.WriteFile(filepath.Join(dir, bad.Key()), []byte(strings.Repeat("x", int(bad.Size))), 0o600); err != nil {
		t.Fatal(err)
	}
	n, bytes, err := blob.Copy(t.Context(), dst, src, "documents")
	if n != 29 || bytes == 0 || !errors.Is(err, blob.ErrCorrupt) || !strings.Contains(err.Error(), bad.Key()) {
		t.Errorf("copied %d blobs of %d bytes, %v", n, bytes, err)
	}
	for _, r := range append(refs, extra) {
		f, err := blob.Spool(t.Context(), dst, r, t.TempDir())
		if (err != nil) != (r == bad) {
			t.Errorf("%s: %v", r.Key(), err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
	if n, _, err := blob.Copy(t.Context(), dst, src, "documents"); n != 0 || !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("the second time %d were copied, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := blob.Copy(ctx, dst, src, "documents"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it gives %v", err)
	}
}

// FuzzParseKey reads keys that somebody made up: a key is refused, or is exactly the name of one reference.
func FuzzParseKey(f *testing.F) {
	h := strings.Repeat("ab", 32)
	for _, s := range []string{"documents/ab/" + h + ".d1", "documents/ab/" + h, "documents/aa/" + h + ".d1", "/ab/" + h + ".d", "a/ab/" + h + ".", "..", "", "a/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		r, err := blob.ParseKey(key)
		if err != nil {
			if !errors.Is(err, blob.ErrBadName) {
				t.Errorf("%q: %v", key, err)
			}
			return
		}
		if r.Key() != key || r.Check() != nil {
			t.Errorf("%q is read as %+v, which is %q", key, r, r.Key())
		}
	})
}
