// Package blobtest is the suite that every engine of internal/blob passes.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/fault"
)

// Engine is a store under test.
type Engine struct {
	blob.Store
	// Damage overwrites the stored bytes of a key behind the store's back.
	Damage func(key string, data []byte)
	// Clean says what a failed Put must not have left: anything under a key, or under a temporary name.
	Clean func() error
}

// Run runs the suite. open gives an empty store.
func Run(t *testing.T, open func(t *testing.T) Engine) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Engine){
		"PutOpen": putOpen, "SameBytes": sameBytes, "Limit": limit, "BrokenReader": brokenReader, "Cancelled": cancelled, "Damage": damage,
		"NotFound": notFound, "Delete": deletes, "BadNames": badNames, "List": list, "Concurrent": concurrent, "Spool": spool, "Sweep": sweep,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var doc = blob.Space{Purpose: "documents", Record: "d1"}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s blob.Store, space blob.Space, data []byte) blob.Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), space, bytes.NewReader(data), int64(len(data))+1)
	must(t, err)
	sum := sha256.Sum256(data)
	if want := (blob.Ref{Space: space, Hash: hex.EncodeToString(sum[:]), Size: int64(len(data))}); ref != want {
		t.Fatalf("put as %+v, want %+v", ref, want)
	}
	return ref
}

func get(ctx context.Context, s blob.Store, ref blob.Ref) ([]byte, error) {
	r, err := s.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func putOpen(t *testing.T, e Engine) {
	for _, size := range []int{0, 1, 1000, 32 << 10, 3<<20 + 7} {
		data := bytes.Repeat([]byte{byte(size), 1, 2, 3, 4, 5, 6}, size/7+1)[:size]
		ref := put(t, e, doc, data)
		got, err := get(t.Context(), e, ref)
		must(t, err)
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d others", size, len(got))
		}
		r, err := e.Open(t.Context(), ref)
		must(t, err)
		must(t, iotest.TestReader(r, data)) // whatever sizes are asked for
		must(t, r.Close())
	}
}

func sameBytes(t *testing.T, e Engine) {
	a := put(t, e, doc, []byte("same"))
	put(t, e, doc, []byte("same"))
	other := put(t, e, blob.Space{Purpose: "documents", Record: "d2"}, []byte("same"))
	must(t, e.Delete(t.Context(), a))
	if _, err := get(t.Context(), e, a); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a deleted blob gives %v", err)
	}
	if got, err := get(t.Context(), e, other); err != nil || string(got) != "same" {
		t.Errorf("another record's blob gives %q, %v", got, err)
	}
}

func empty(t *testing.T, e Engine) {
	t.Helper()
	must(t, e.Clean())
	if all, err := e.List(t.Context(), doc.Purpose, "", 10); err != nil || len(all) != 0 {
		t.Errorf("%v is left, %v", all, err)
	}
}

func limit(t *testing.T, e Engine) {
	data := bytes.Repeat([]byte("x"), 100_000)
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(data), "by bytes": iotest.OneByteReader(bytes.NewReader(data)), "with the end": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		_, err := e.Put(t.Context(), doc, r, int64(len(data))-1)
		if fault.KindOf(err) != fault.TooLarge || fault.CodeOf(err) != "file_too_large" {
			t.Errorf("%s: one byte too many gives %v", name, err)
		}
	}
	empty(t, e)
	for _, bad := range []int64{0, -1, blob.MaxSize + 1} {
		if _, err := e.Put(t.Context(), doc, bytes.NewReader(nil), bad); err == nil {
			t.Errorf("a limit of %d was accepted", bad)
		}
	}
	if _, err := e.Put(t.Context(), doc, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Errorf("just large enough gives %v", err)
	}
}

func brokenReader(t *testing.T, e Engine) {
	broken := errors.New("the client went away")
	_, err := e.Put(t.Context(), doc, io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken)), 100)
	if !errors.Is(err, broken) || fault.KindOf(err) == fault.Unavailable {
		t.Errorf("a broken reader gives %v", err)
	}
	empty(t, e)
}

func cancelled(t *testing.T, e Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) { cancel(); return 1, nil }), strings.NewReader("more"))
	if _, err := e.Put(ctx, doc, r, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Put gives %v", err)
	}
	empty(t, e)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func damage(t *testing.T, e Engine) {
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	ref := put(t, e, doc, data)
	for _, at := range []int{0, 50_000, len(data) - 1} {
		bad := bytes.Clone(data)
		bad[at] ^= 1
		e.Damage(ref.Key(), bad)
		got, err := get(t.Context(), e, ref)
		if !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("a wrong byte at %d gives %v", at, err)
		}
		if len(got) >= len(data) {
			t.Errorf("a wrong byte at %d: all %d bytes were given", at, len(got))
		}
	}
	for _, bad := range [][]byte{data[:len(data)-1], append(bytes.Clone(data), 'x'), nil} {
		e.Damage(ref.Key(), bad)
		if _, err := get(t.Context(), e, ref); !errors.Is(err, blob.ErrCorrupt) && !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%d bytes instead of %d give %v", len(bad), len(data), err)
		}
	}
	put(t, e, doc, data) // the same bytes again mend it
	got, err := get(t.Context(), e, ref)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("put again, it gives %d bytes, %v", len(got), err)
	}
}

func notFound(t *testing.T, e Engine) {
	ref := put(t, e, doc, []byte("here"))
	gone := ref
	gone.Hash = strings.Repeat("0", 64)
	elsewhere := ref
	elsewhere.Record = "d2"
	longer := ref
	longer.Size++
	for _, r := range []blob.Ref{gone, elsewhere, longer} {
		if _, err := get(t.Context(), e, r); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%+v gives %v", r, err)
		}
	}
}

func deletes(t *testing.T, e Engine) {
	ref := put(t, e, doc, []byte("x"))
	for range 2 {
		must(t, e.Delete(t.Context(), ref))
	}
	empty(t, e)
	put(t, e, doc, []byte("x"))
	if _, err := get(t.Context(), e, ref); err != nil {
		t.Errorf("put again, it gives %v", err)
	}
}

func badNames(t *testing.T, e Engine) {
	ctx := t.Context()
	for _, s := range []blob.Space{
		{}, {Purpose: "a"}, {Record: "a"}, {Purpose: "..", Record: "a"}, {Purpose: "a", Record: "../b"}, {Purpose: "a/b", Record: "c"}, {Purpose: "A", Record: "b"},
		{Purpose: "a", Record: "b\x00"}, {Purpose: "a", Record: "é"}, {Purpose: ".tmp", Record: "a"}, {Purpose: strings.Repeat("a", 65), Record: "a"},
	} {
		if _, err := e.Put(ctx, s, strings.NewReader("x"), 10); !errors.Is(err, blob.ErrBadName) {
			t.Errorf("put into %+v gives %v", s, err)
		}
	}
	for _, hash := range []string{"", "..", strings.Repeat("g", 64), strings.Repeat("A", 64), strings.Repeat("a", 63), strings.Repeat("../", 21) + "a"} {
		r := blob.Ref{Space: doc, Hash: hash}
		if _, err := e.Open(ctx, r); !errors.Is(err, blob.ErrBadName) {
			t.Errorf("open %q gives %v", hash, err)
		}
		if err := e.Delete(ctx, r); !errors.Is(err, blob.ErrBadName) {
			t.Errorf("delete %q gives %v", hash, err)
		}
	}
	for _, p := range []string{"", "..", ".tmp", "a/b", "/"} {
		if _, err := e.List(ctx, p, "", 10); !errors.Is(err, blob.ErrBadName) {
			t.Errorf("list %q gives %v", p, err)
		}
	}
}

func list(t *testing.T, e Engine) {
	var want []string
	for i := range 23 {
		ref := put(t, e, blob.Space{Purpose: "documents", Record: fmt.Sprint("r", i%3)}, fmt.Appendf(nil, "%d", i/2))
		if !slices.Contains(want, ref.Key()) {
			want = append(want, ref.Key())
		}
		put(t, e, blob.Space{Purpose: "documents2", Record: "r"}, []byte{byte(i)})
	}
	slices.Sort(want)
	for _, page := range []int{1, 4, 1000} {
		var got []string
		after := ""
		for {
			all, err := e.List(t.Context(), "documents", after, page)
			must(t, err)
			for _, b := range all {
				after = b.Key()
				got = append(got, after)
				if b.Size == 0 || time.Since(b.Put).Abs() > time.Hour {
					t.Errorf("listed %+v", b)
				}
			}
			if len(all) < page {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: listed\n%v, want\n%v", page, got, want)
		}
	}
	if all, err := e.List(t.Context(), "none", "", 10); err != nil || len(all) != 0 {
		t.Errorf("a purpose without blobs lists %v, %v", all, err)
	}
}

func concurrent(t *testing.T, e Engine) {
	ctx := t.Context()
	data := bytes.Repeat([]byte("concurrent"), 1000)
	ref := put(t, e, doc, data)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				if i%4 == 3 {
					if err := e.Delete(ctx, ref); err != nil {
						t.Error(err)
					}
					continue
				}
				if _, err := e.Put(ctx, doc, bytes.NewReader(data), 1<<20); err != nil {
					t.Error(err)
				}
				if got, err := get(ctx, e, ref); !errors.Is(err, blob.ErrNotFound) && (err != nil || !bytes.Equal(got, data)) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	put(t, e, doc, data)
	if got, err := get(ctx, e, ref); err != nil || !bytes.Equal(got, data) {
		t.Errorf("at the end %d bytes, %v", len(got), err)
	}
}

func spool(t *testing.T, e Engine) {
	data := []byte("0123456789")
	ref := put(t, e, doc, data)
	f, err := blob.Spool(t.Context(), e, ref, t.TempDir())
	must(t, err)
	got := make([]byte, 3)
	if _, err := f.ReadAt(got, 4); err != nil || string(got) != "456" {
		t.Errorf("read %q, %v", got, err)
	}
	if all, err := io.ReadAll(f); err != nil || !bytes.Equal(all, data) {
		t.Errorf("read %q, %v", all, err)
	}
	must(t, f.Close())
	e.Damage(ref.Key(), []byte("0123456780"))
	if _, err := blob.Spool(t.Context(), e, ref, t.TempDir()); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("a damaged blob gives %v", err)
	}
}

func sweep(t *testing.T, e Engine) {
	kept := put(t, e, doc, []byte("kept"))
	put(t, e, doc, []byte("left behind"))
	known := func(_ context.Context, r blob.Ref) (bool, error) { return r.Key() == kept.Key(), nil }
	if n, _, err := blob.Sweep(t.Context(), e, doc.Purpose, "", time.Now(), known); err != nil || n != 0 {
		t.Errorf("at once, %d were swept, %v", n, err)
	}
	n, next, err := blob.Sweep(t.Context(), e, doc.Purpose, "", time.Now().Add(blob.Orphaned+time.Hour), known)
	if err != nil || n != 1 || next != "" {
		t.Errorf("%d were swept up to %q, %v", n, next, err)
	}
	if all, err := e.List(t.Context(), doc.Purpose, "", 10); err != nil || len(all) != 1 || all[0].Ref != kept {
		t.Errorf("%v is left, %v", all, err)
	}
}
