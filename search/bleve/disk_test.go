package bleve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/search"
	"github.com/haisu-trace/haisu/search/bleve"
	"github.com/haisu-trace/haisu/search/searchtest"
)

func doc(i int) search.Document {
	return search.Document{
		ID: fmt.Sprintf("d%04d", i), Kind: "warning", Version: 1,
		Title: map[string]string{"zh-Hans": fmt.Sprintf("婴幼儿配方奶粉 第%d批", i), "en": "Infant formula"},
	}
}

func docs(n int) []search.Document {
	out := make([]search.Document, n)
	for i := range out {
		out[i] = doc(i)
	}
	return out
}

func rebuild(t *testing.T, ix *bleve.Index, n int) {
	t.Helper()
	if err := ix.Rebuild(t.Context(), searchtest.Docs(docs(n))); err != nil {
		t.Fatal(err)
	}
}

func total(t *testing.T, ix *bleve.Index) int {
	t.Helper()
	r, err := ix.Search(t.Context(), search.Query{Text: "奶粉"})
	if err != nil {
		t.Fatal(err)
	}
	return r.Total
}

func closeIt(t *testing.T, ix *bleve.Index) {
	t.Helper()
	if err := ix.Close(); err != nil {
		t.Error(err)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "search")
	ix := openAt(t, dir)
	rebuild(t, ix, 30)
	if err := ix.Put(t.Context(), []search.Document{doc(100)}); err != nil {
		t.Fatal(err)
	}
	closeIt(t, ix)
	ix = openAt(t, dir)
	if err := ix.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := total(t, ix); n != 31 {
		t.Errorf("%d documents after reopening, want 31", n)
	}
	older := doc(100)
	older.Version, older.Title = 0, map[string]string{"zh-Hans": "旧"}
	if err := ix.Put(t.Context(), []search.Document{older}); err != nil {
		t.Fatal(err)
	}
	if n := total(t, ix); n != 31 {
		t.Error("versions were forgotten")
	}
	rebuild(t, ix, 5)
	closeIt(t, ix)
	if n := len(generations(t, dir)); n != 1 {
		t.Errorf("%d generations on the disk, want 1", n)
	}
}

func generations(t *testing.T, dir string) []string {
	t.Helper()
	out, err := filepath.Glob(filepath.Join(dir, "gen-*"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDamage damages the folder in every way that a disk, a backup or a person does, and starts on it.
func TestDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]damage{
		"nothing but the record is left":    {"gen-*", os.RemoveAll},
		"the record is gone":                {"index.db", os.RemoveAll},
		"the record is rubbish":             {"index.db", rubbish},
		"the record is cut":                 {"index.db", cut},
		"the meta file is gone":             {"gen-*/index_meta.json", os.RemoveAll},
		"the meta file is rubbish":          {"gen-*/index_meta.json", rubbish},
		"the root is gone":                  {"gen-*/store/root.bolt", os.RemoveAll},
		"the root is rubbish":               {"gen-*/store/root.bolt", rubbish},
		"the root is cut":                   {"gen-*/store/root.bolt", cut},
		"the segments are gone":             {"gen-*/store/*.zap", os.RemoveAll},
		"the segments are rubbish":          {"gen-*/store/*.zap", rubbish},
		"the segments are cut":              {"gen-*/store/*.zap", cut},
		"the segments are empty":            {"gen-*/store/*.zap", func(path string) error { return os.Truncate(path, 0) }},
		"one byte of the segments is wrong": {"gen-*/store/*.zap", flip},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "search")
			ix := openAt(t, dir)
			rebuild(t, ix, 150)
			closeIt(t, ix)
			damage.do(t, dir)
			ix = openAt(t, dir)
			if ix.Private() != nil {
				t.Errorf("a damaged folder is not used again: %v", ix.Private())
			}
			if err := ix.Ready(t.Context()); !errors.Is(err, search.ErrNeedsRebuild) {
				t.Fatalf("ready: %v, want ErrNeedsRebuild", err)
			}
			rebuild(t, ix, 20)
			if n := total(t, ix); n != 20 {
				t.Errorf("%d documents after the rebuild, want 20", n)
			}
			closeIt(t, ix)
			ix = openAt(t, dir)
			if err := ix.Ready(t.Context()); err != nil {
				t.Errorf("the repair does not last: %v", err)
			}
			closeIt(t, ix)
		})
	}
}

// damage is done to the files of a pattern.
type damage struct {
	files string
	to    func(path string) error
}

func (d damage) do(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, d.files))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing to damage: %v", err)
	}
	for _, f := range files {
		if err := d.to(f); err != nil {
			t.Fatal(err)
		}
	}
}

func rubbish(path string) error {
	return change(path, func(b []byte) []byte { return bytes.Repeat([]byte("\xde\xad\xbe\xef"), len(b)/4+1) })
}

func cut(path string) error {
	return change(path, func(b []byte) []byte { return b[:len(b)/3] })
}

func flip(path string) error {
	return change(path, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
}

func change(path string, f func([]byte) []byte) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, f(b), 0o600)
}

func TestSecondProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "search")
	first := openAt(t, dir)
	rebuild(t, first, 10)
	second := openAt(t, dir)
	if second.Private() == nil {
		t.Fatal("two indexes have one folder")
	}
	if err := second.Ready(t.Context()); !errors.Is(err, search.ErrNeedsRebuild) {
		t.Errorf("ready: %v", err)
	}
	rebuild(t, second, 3)
	if a, b := total(t, first), total(t, second); a != 10 || b != 3 {
		t.Errorf("the indexes have %d and %d documents, want 10 and 3", a, b)
	}
	closeIt(t, second)
	closeIt(t, first)
	third := openAt(t, dir)
	if third.Private() != nil || total(t, third) != 10 {
		t.Errorf("the folder is not free again: %v", third.Private())
	}
	closeIt(t, third)
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ix := openAt(t, filepath.Join(file, "search"))
	if ix.Private() == nil {
		t.Error("an index in a file")
	}
	rebuild(t, ix, 2)
	if n := total(t, ix); n != 2 {
		t.Errorf("%d documents", n)
	}
	closeIt(t, ix)
	if err := ix.Put(t.Context(), docs(1)); !errors.Is(err, search.ErrUnavailable) {
		t.Errorf("put after close: %v", err)
	}
	closeIt(t, ix)
}

func TestSearchesGoOnDuringRebuilds(t *testing.T) {
	t.Parallel()
	ix := openAt(t, filepath.Join(t.TempDir(), "search"))
	rebuild(t, ix, 50)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				r, err := ix.Search(t.Context(), search.Query{Text: "奶粉"})
				if err != nil || r.Total != 50 {
					t.Errorf("total %d, %v", r.Total, err)
					return
				}
			}
		})
	}
	for range 5 {
		rebuild(t, ix, 50)
	}
	cancel()
	wg.Wait()
	closeIt(t, ix)
}

// TestFilesArePrivate: warnings are public, drafts that an indexer may hold are not.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "search")
	ix := openAt(t, dir)
	rebuild(t, ix, 1)
	defer closeIt(t, ix)
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&fs.ModePerm != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
}

func TestUnavailableHasACode(t *testing.T) {
	t.Parallel()
	ix := openAt(t, "")
	defer closeIt(t, ix)
	err := ix.Ready(t.Context())
	if fault.CodeOf(err) != "search_unavailable" || !strings.Contains(err.Error(), "no complete index") {
		t.Errorf("ready: %v", err)
	}
}
