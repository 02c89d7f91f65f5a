package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// bundle is an engine on a file of its own, with the collection of childSpec, which here keeps a feed.
type bundle struct {
	*testing.T
	*Engine
	ctx   context.Context
	clock *clocktest.Clock
}

func setup(t *testing.T, opts ...Option) *bundle {
	t.Helper()
	c := storetest.NewClock()
	b := &bundle{T: t, ctx: t.Context(), clock: c}
	b.Engine = open(t, filepath.Join(t.TempDir(), "t.db"), append(opts, WithClock(c.Now))...)
	spec := childSpec
	spec.Feed = true
	if _, err := b.Declare(b.ctx, spec); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) insert(ctx context.Context, id string, size int) error {
	errs, err := b.Insert(ctx, "docs", []store.Record{{
		ID: id, Rev: 1, Body: []byte(strings.Repeat(" ", size)), Entries: []store.Entry{{Index: "a", Eq: store.K("x"), Order: store.K(id)}},
	}})
	return errors.Join(append(errs, err)...)
}

func (b *bundle) want(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error is %v, want %v", err, want)
	}
}

func (b *bundle) has(ids ...string) int {
	b.Helper()
	recs, err := b.Get(b.ctx, "docs", ids)
	b.want(err, nil)
	return len(recs)
}

// block takes the write lock as another process would, until unblock is called.
func (b *bundle) block() (unblock func()) {
	b.Helper()
	c, err := dial(b.dsn)
	b.want(err, nil)
	_, err = c.do("BEGIN IMMEDIATE")
	b.want(err, nil)
	return func() {
		b.Helper()
		_, err := c.do("ROLLBACK")
		b.want(errors.Join(err, c.close()), nil)
	}
}

// TestPragmas reads the settings that durability rests on back from the writer.
func TestPragmas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for pragma, want := range map[string]driver.Value{"journal_mode": "wal", "synchronous": int64(2), "wal_autocheckpoint": int64(checkpointPages)} {
		err := b.writer.do(b.ctx, 1, func(x *tx) error {
			row, err := x.c.one("PRAGMA " + pragma)
			if err == nil && row[0] != want {
				err = fmt.Errorf("%s is %v, want %v", pragma, row[0], want)
			}
			return err
		})
		b.want(err, nil)
	}
	err := b.read(b.ctx, func(c *conn) error {
		_, err := c.do("DELETE FROM d_docs")
		return err
	})
	b.want(err, store.ErrUnavailable) // read only
}

func TestOpenRefusesWeakerSync(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), filepath.Join(t.TempDir(), "t.db"), func(e *Engine) { e.sync = "NORMAL" })
	if err == nil || !strings.Contains(err.Error(), "synchronous") {
		t.Fatalf("Open with synchronous=NORMAL gives %v", err)
	}
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Open(t.Context(), filepath.Join(dir, "none", "t.db"))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open in a directory that is not there gives %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(t.Context(), filepath.Join(dir, "text")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open of a file that is no database gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = Open(ctx, filepath.Join(dir, "t.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("Open of a cancelled context gives %v", err)
	}
}

func TestOpenRefusesOtherFormat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(b.writer.do(b.ctx, 1, func(x *tx) error {
		_, err := x.c.do("UPDATE haisu_meta SET v = ? WHERE k = 'format'", int64(format+1))
		return err
	}), nil)
	if _, err := Open(b.ctx, b.path); err == nil || !strings.Contains(err.Error(), "format") {
		t.Fatalf("Open of a newer format gives %v", err)
	}
}

func TestOddPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a?b=c #1 100%41 海")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "t?mode=memory.db")
	open(t, path)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
}

// The directory may be one that others can enter.
func TestFilesAreForTheirOwner(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes here")
	}
	b := setup(t)
	b.want(b.insert(b.ctx, "1", 10), nil)
	files, err := filepath.Glob(b.path + "*")
	b.want(err, nil)
	if len(files) < 3 { // the database, its log and the log's index
		t.Fatal(files)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		b.want(err, nil)
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %04o", name, mode)
		}
	}
}

func TestBusyIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t, WithBusyTimeout(30*time.Millisecond))
	b.want(b.insert(b.ctx, "before", 1), nil)
	unblock := b.block()
	b.want(b.insert(b.ctx, "during", 1), store.ErrUnavailable)
	b.want(b.Ping(b.ctx), store.ErrUnavailable)
	if n := b.has("before", "during"); n != 1 {
		t.Errorf("%d documents while the lock is held, want 1: reads do not wait", n)
	}
	unblock()
	b.want(b.insert(b.ctx, "after", 1), nil)
	if n := b.has("before", "during", "after"); n != 2 {
		t.Errorf("%d documents, want 2: a write that failed must not happen later", n)
	}
}

// TestCallerGivesUp cancels a write that waits behind one that is held up.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, WithBusyTimeout(time.Minute))
	unblock := b.block()
	ctx, cancel := context.WithCancel(b.ctx)
	before := b.writer.taken.Load()
	results := make(chan error, 2)
	go func() { results <- b.insert(ctx, "under way", 1) }()
	for b.writer.taken.Load() == before {
		runtime.Gosched()
	}
	go func() { results <- b.insert(ctx, "waiting", 1) }()
	for len(b.writer.queue) == 0 {
		runtime.Gosched()
	}
	cancel()
	b.want(<-results, context.Canceled)
	b.want(<-results, context.Canceled)
	unblock()
	b.want(b.insert(b.ctx, "next", 1), nil)
	if n := b.has("next"); n != 1 {
		t.Error("the next write is not there")
	}
	if n := b.has("waiting"); n != 0 {
		t.Error("a write happened that its caller had given up before it began")
	}
}

// TestCloseCommitsWhatWaits closes while one write is held up and another waits behind it.
func TestCloseCommitsWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, WithBusyTimeout(time.Minute))
	unblock := b.block()
	before := b.writer.taken.Load()
	results := make(chan error, 2)
	go func() { results <- b.insert(b.ctx, "under way", 1) }()
	for b.writer.taken.Load() == before {
		runtime.Gosched()
	}
	go func() { results <- b.insert(b.ctx, "waiting", 1) }()
	for len(b.writer.queue) == 0 {
		runtime.Gosched()
	}
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	<-b.writer.closing
	b.want(b.insert(b.ctx, "late", 1), store.ErrUnavailable)
	unblock()
	b.want(errors.Join(<-results, <-results, <-closed), nil)
	b.Engine = open(t, b.path)
	if _, err := b.Declare(b.ctx, childSpec); err != nil {
		t.Fatal(err)
	}
	if n := b.has("under way", "waiting", "late"); n != 2 {
		t.Fatalf("%d documents, want 2", n)
	}
}

// TestGroupIsolation puts a write whose statement fails into a group: it alone must fail.
func TestGroupIsolation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	errAtFault := errors.New("at fault")
	group := make([]*write, 5)
	for i := range group {
		group[i] = &write{done: make(chan error, 1), run: func(x *tx) error {
			if i == 3 {
				return errAtFault
			}
			_, err := x.c.do("INSERT INTO d_docs (id, rev, seq, body) VALUES (?, 1, ?, x'20')", fmt.Sprint("d", i), int64(i+1))
			return err
		}}
	}
	c, err := b.dialWriter()
	b.want(err, nil)
	(&writer{c: c, busy: time.Minute, now: time.Now, wake: b.wake}).commitGroup(group)
	b.want(c.close(), nil)
	for i, op := range group {
		want := error(nil)
		if i == 3 {
			want = errAtFault
		}
		if err := <-op.done; !errors.Is(err, want) {
			t.Errorf("write %d gives %v, want %v", i, err, want)
		}
	}
	if n := b.has("d0", "d1", "d2", "d3", "d4"); n != 4 {
		t.Errorf("%d documents are there, want 4", n)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limit := func(pages int64) {
		b.want(b.writer.do(b.ctx, 1, func(x *tx) error {
			_, err := x.c.one(fmt.Sprintf("PRAGMA max_page_count=%d", pages))
			return err
		}), nil)
	}
	b.want(b.insert(b.ctx, "before", 10), nil)
	limit(40)
	b.want(b.insert(b.ctx, "large", 200_000), store.ErrUnavailable)
	b.want(b.insert(b.ctx, "small", 10), nil)
	limit(1 << 30)
	b.want(b.insert(b.ctx, "large", 200_000), nil)
	if n := b.has("before", "large", "small"); n != 3 {
		t.Errorf("%d documents, want 3", n)
	}
}

func TestAddToDocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, body := range []string{`null`, `[]`, `"x"`, `{"a":1.5}`, `{"a":{"b":1}}`} {
		id := fmt.Sprint("d", i)
		_, err := b.Insert(b.ctx, "docs", []store.Record{{ID: id, Rev: 1, Body: []byte(body)}})
		b.want(err, nil)
		if err := b.Add(b.ctx, "docs", id, map[string]int64{"a": 1}); err == nil {
			t.Errorf("Add to %s was accepted", body)
		}
		recs, err := b.Get(b.ctx, "docs", []string{id})
		b.want(err, nil)
		if string(recs[0].Body) != body || recs[0].Rev != 1 {
			t.Errorf("the document is now %s in revision %d", recs[0].Body, recs[0].Rev)
		}
	}
	_, err := b.Insert(b.ctx, "docs", []store.Record{{
		ID: "indexed", Rev: 1, Body: []byte(`{}`), Entries: []store.Entry{{Index: "a", Eq: store.K("x")}},
	}})
	b.want(err, nil)
	if err := b.Add(b.ctx, "docs", "indexed", map[string]int64{"a": 1}); err == nil {
		t.Error("Add to a document with index entries was accepted")
	}
}

// TestForgottenTombstones deletes, waits longer than the feed remembers, and deletes more.
func TestForgottenTombstones(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(b.insert(b.ctx, "kept one", 1), nil)
	b.want(b.insert(b.ctx, "kept two", 1), nil)
	b.want(b.insert(b.ctx, "first", 1), nil)
	_, before, err := b.Changes(b.ctx, "docs", "", 10)
	b.want(err, nil)
	b.want(b.Delete(b.ctx, "docs", "first", 0), nil)
	_, after, err := b.Changes(b.ctx, "docs", before, 10)
	b.want(err, nil)

	churn := func() {
		b.Helper()
		recs := make([]store.Record, purgeEvery)
		errs := make([]error, purgeEvery)
		for i := range recs {
			recs[i] = store.Record{ID: fmt.Sprint("d", i), Rev: 1, Body: []byte(`1`)}
		}
		_, err := b.Insert(b.ctx, "docs", recs)
		b.want(err, nil)
		var wg sync.WaitGroup // so that they share commits
		for i := range recs {
			wg.Go(func() { errs[i] = b.Delete(b.ctx, "docs", recs[i].ID, 1) })
		}
		wg.Wait()
		b.want(errors.Join(errs...), nil)
	}
	b.clock.Advance(tombstoneAge - time.Minute)
	churn()
	if _, _, err = b.Changes(b.ctx, "docs", before, 10); err != nil {
		t.Fatalf("a token that is not too old gives %v", err)
	}
	b.clock.Advance(2 * time.Minute)
	churn()
	_, _, err = b.Changes(b.ctx, "docs", before, 10)
	b.want(err, store.ErrBadCursor)
	_, _, err = b.Changes(b.ctx, "docs", after, 10)
	b.want(err, nil)
	// Who begins now does not need what is forgotten, on any page, until more is.
	_, fresh, err := b.Changes(b.ctx, "docs", "", 1)
	b.want(err, nil)
	page, _, err := b.Changes(b.ctx, "docs", fresh, 1)
	b.want(err, nil)
	if len(page) != 1 || page[0].Record.ID != "kept two" {
		t.Errorf("the second page of a new follower: %+v", page)
	}
	b.clock.Advance(tombstoneAge + time.Minute)
	churn()
	_, _, err = b.Changes(b.ctx, "docs", fresh, 1)
	b.want(err, store.ErrBadCursor)
}

// TestPlans has SQLite explain the statements: every one must seek in an index, and none may sort.
func TestPlans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, err := b.collection("docs")
	b.want(err, nil)
	texts := map[string]int{c.find: 1, c.getOne: 1, c.get(8): 8, c.all: 3, c.expired: 1, c.sweep: 2, c.update: 6, c.remove: 1, c.dropEntry: 4}
	pos := &store.Position{Order: store.K(1), ID: "d"}
	for _, desc := range []bool{false, true} {
		for _, s := range []store.Scan{
			{}, {From: store.K(1)}, {To: store.K(2)}, {From: store.K(1), To: store.K(2)}, {After: pos}, {After: pos, From: store.K(1), To: store.K(2)},
		} {
			s.Index, s.Eq, s.Desc, s.Limit = "a", store.K("x"), desc, 10
			for _, keysOnly := range []bool{false, true} {
				text, args, err := c.scan(s, keysOnly, 1)
				b.want(err, nil)
				texts[text] = len(args)
			}
		}
	}
	b.want(b.read(b.ctx, func(db *conn) error {
		for text, n := range texts {
			err := db.each("EXPLAIN QUERY PLAN "+text, named(make([]driver.Value, n)...), func(r []driver.Value) error {
				if step := r[3].(string); strings.Contains(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
					t.Errorf("%s: %s", text, step)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		return nil
	}), nil)
}

func TestWakeIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var last <-chan struct{}
	for range 2 * maxFollowers {
		last = b.Wake("docs")
	}
	if n := len(b.wakes["docs"]); n != maxFollowers {
		t.Fatalf("%d channels are kept, want %d", n, maxFollowers)
	}
	b.want(b.insert(b.ctx, "d", 1), nil)
	select {
	case <-last:
	case <-time.After(time.Minute):
		t.Fatal("the last follower is not woken")
	}
}

// TestRestoreInAGroup has a restore begin in a transaction that has given out places of a feed already: those that it gives out later must
// be beyond the restored feed's first.
func TestRestoreInAGroup(t *testing.T) {
	t.Parallel()
	e := open(t, filepath.Join(t.TempDir(), "t.db"))
	err := e.writer.do(t.Context(), 1, func(tx *tx) error {
		if _, err := tx.nextSeq("docs"); err != nil {
			return err
		}
		first, outcome, err := beginRestore(tx, "r")
		if err := errors.Join(outcome, err); err != nil {
			return err
		}
		if seq, err := tx.nextSeq("docs"); err != nil || seq <= first {
			return fmt.Errorf("place %d after the restore's first, %d: %w", seq, first, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = e.writer.do(t.Context(), 1, func(tx *tx) error {
		last, err := tx.lastSeq()
		if err == nil && last < feedEpoch {
			err = fmt.Errorf("the last place is %d", last)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
