package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

type forgetful struct{ Text string }

const canary = "CANARY-of-what-was-deleted"

// canaries counts them in the files of a database, byte by byte.
func canaries(t *testing.T, path string) (in map[string]int) {
	t.Helper()
	in = map[string]int{}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		raw, err := os.ReadFile(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		if n := bytes.Count(raw, []byte(canary)); n > 0 {
			in["t.db"+suffix] = n
		}
	}
	return in
}

// forget writes canaries among documents that stay, short ones and some that span pages, and deletes and replaces all of them. They are few
// among many, or pages would run empty and be merged; see EmptyLog for what that leaves.
func forget(t *testing.T, eng *Engine) {
	t.Helper()
	ctx := t.Context()
	c, err := store.Open(ctx, eng, store.Def[forgetful]{Name: "things", Feed: true, Indexes: []store.Index[forgetful]{{
		Name: "text", Version: "1", Keys: func(_ string, d *forgetful) ([]store.Key, store.Key) {
			return []store.Key{store.K(d.Text[:min(len(d.Text), 40)])}, nil
		},
	}}})
	must(t, err)
	var items []store.Item[forgetful]
	for i := range 2000 {
		text := fmt.Sprintf("a document that stays -%d", i)
		if i%10 == 0 {
			text = canary
		}
		if i%100 == 0 {
			text = strings.Repeat(text, 400)
		}
		items = append(items, store.Item[forgetful]{ID: fmt.Sprint(i), V: forgetful{text}})
	}
	_, err = c.InsertMany(ctx, items)
	must(t, err)
	if len(canaries(t, eng.path)) == 0 {
		t.Fatal("the search finds nothing, wherever it looks")
	}
	for i, it := range items {
		if i%10 != 0 {
			continue
		}
		if i%20 == 0 {
			must(t, c.Delete(ctx, it.ID))
			continue
		}
		_, err := c.Update(ctx, it.ID, func(d *forgetful) error { d.Text = "erased"; return nil })
		must(t, err)
	}
}

// What was deleted or replaced is in no byte of any file once the log is emptied, and before that it is; without secure_delete it stays.
func TestTheFilesForget(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	eng := open(t, path)
	forget(t, eng)
	if n := canaries(t, path)["t.db-wal"]; n == 0 {
		t.Error("the log had forgotten already: nothing is tested")
	}
	must(t, eng.EmptyLog(t.Context()))
	if left := canaries(t, path); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	must(t, eng.EmptyLog(t.Context())) // of an empty log

	path = filepath.Join(t.TempDir(), "t.db")
	eng = open(t, path, func(e *Engine) { e.deletes = "OFF" })
	forget(t, eng)
	must(t, eng.EmptyLog(t.Context()))
	if canaries(t, path)["t.db"] == 0 {
		t.Error("secure_delete makes no difference here: nothing is tested")
	}
}

func TestTheFilesForgetAtClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	eng := open(t, path)
	forget(t, eng)
	must(t, eng.Close())
	if left := canaries(t, path); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := eng.EmptyLog(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

// A backup that is under way keeps its state, and the log; afterwards it can be emptied.
func TestEmptyLogLetsABackupRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	eng := open(t, path)
	forget(t, eng)
	must(t, eng.Snapshot(t.Context(), func(r store.SnapshotReader) error {
		must(t, eng.Delete(t.Context(), "things", "1", 0))
		if err := eng.EmptyLog(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("under a snapshot: %v", err)
		}
		recs, err := r.All(t.Context(), "things", "", 1)
		if len(recs) != 1 || recs[0].ID != "1" {
			t.Errorf("the snapshot has %v", recs)
		}
		return err
	}))
	must(t, eng.EmptyLog(t.Context()))
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("the log: %v, %v", info, err)
	}
}

// Writers and readers of two handles go on while the log is emptied again and again, and lose nothing.
func TestEmptyLogUnderWrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	engines := []*Engine{open(t, path), open(t, path)}
	var wg sync.WaitGroup
	for n, eng := range engines {
		c, err := store.Open(t.Context(), eng, store.Def[forgetful]{Name: "things"})
		must(t, err)
		for w := range 4 {
			wg.Go(func() {
				for i := range 50 {
					id := fmt.Sprint(n, w, i)
					if err := c.Insert(t.Context(), id, forgetful{id}); err != nil {
						t.Errorf("insert: %v", err)
					}
					if d, err := c.Get(t.Context(), id); err != nil || d.V.Text != id {
						t.Errorf("read: %v", err)
					}
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for emptied := false; !emptied; {
		select {
		case <-done:
			emptied = true
		default:
		}
		if err := engines[0].EmptyLog(t.Context()); err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	must(t, engines[0].EmptyLog(t.Context()))
	recs, err := engines[1].All(t.Context(), "things", "", store.MaxBatch)
	must(t, err)
	if len(recs) != 400 {
		t.Errorf("%d documents", len(recs))
	}
}
