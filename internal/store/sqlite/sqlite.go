// Package sqlite keeps the collections of internal/store in one SQLite file: the engine that needs nothing installed.
//
// One goroutine owns the only connection that writes. It takes all writes that wait, runs them in one IMMEDIATE transaction,
// commits (one fsync for many callers) and only then answers. Reads use connections of their own and never wait for writes.
//
// Several processes of one host may open the same file: SQLite's locks make their transactions take turns, so there is one
// writer at a time, and the order of sequence numbers is the order of commits. A file on a network file system is not supported.
package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

var _ store.Engine = (*Engine)(nil)

const (
	// defaultBusy is how long a write waits for another process's transaction before it fails with store.ErrUnavailable.
	defaultBusy = 5 * time.Second
	// Page caches, per connection. The inner pages of the ID index and the table of 1,000,000 documents of 500 bytes are about 2 MiB: with them
	// cached, a random read costs two reads of leaf pages, which the kernel's page cache serves. The writer also keeps the pages that
	// a group changes. SQLite takes the memory page by page, so a small database costs little. Memory mapping would make such random
	// reads twice as fast, but it turns a failing disk into a SIGBUS that kills the process, where a read now fails with
	// store.ErrUnavailable.
	readerCacheKiB = 2048
	writerCacheKiB = 4096
	// checkpointPages is how much WAL (4 KiB each) is gathered before a commit moves it to the database file: large enough that a
	// page written many times is moved once, small enough that the move takes a fraction of a second and the file stays at 64 MiB. A snapshot makes
	// it grow; journal_size_limit brings it back to that afterwards.
	checkpointPages = 16000
	pageSize        = 4096 // SQLite's default, in bytes
)

// Engine is an open database file. It is safe for concurrent use.
type Engine struct {
	path    string // absolute
	dsn     string
	busy    time.Duration
	now     clock.Now
	sync    string        // the writer's PRAGMA synchronous; FULL but in the test of the durability checker
	deletes string        // the writer's PRAGMA secure_delete; ON but in the test of the search for what was deleted
	reading chan struct{} // one element for each read under way
	writer  *writer

	mu     sync.RWMutex
	closed bool
	idle   []*conn // reading connections
	colls  map[string]*collection
	wakes  map[string][]chan struct{}

	snapshots sync.WaitGroup
}

// Option changes a default of Open.
type Option func(*Engine)

// WithClock gives the time that decides expiry; the default is time.Now.
func WithClock(now clock.Now) Option { return func(e *Engine) { e.now = now } }

// WithBusyTimeout sets how long a write waits for another process's transaction; the default is 5 s.
func WithBusyTimeout(d time.Duration) Option { return func(e *Engine) { e.busy = d } }

// Open opens the database file at path and creates it if there is none; its directory must exist. It fails if the file is in a format
// that this program does not know, or if SQLite does not grant WAL with synchronous=FULL.
func Open(ctx context.Context, path string, opts ...Option) (*Engine, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	e := &Engine{
		path: abs,
		dsn:  (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String(),
		busy: defaultBusy,
		now:  time.Now,
		sync: "FULL", deletes: "ON",
		colls: map[string]*collection{},
		wakes: map[string][]chan struct{}{},
	}
	for _, o := range opts {
		o(e)
	}
	_, statErr := os.Stat(abs)
	if errors.Is(statErr, fs.ErrNotExist) {
		// SQLite would let others read it, and gives its other files the mode of this one.
		f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("%w: open %s: %w", store.ErrUnavailable, path, err)
		}
	}
	c, err := e.dialWriter()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		if err := syncDir(filepath.Dir(abs)); err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), c.close())
		}
	}
	e.reading = make(chan struct{}, min(max(4, 2*runtime.GOMAXPROCS(0)), 16))
	e.writer = newWriter(c, e.busy, e.now, e.wake)
	if err := e.writer.do(ctx, 1, initialise); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), e.Close())
	}
	return e, nil
}

func (e *Engine) dialWriter() (*conn, error) {
	q := url.Values{
		"_busy_timeout": {fmt.Sprint(e.busy.Milliseconds())},
		"_journal_mode": {"WAL"},
		"_synchronous":  {e.sync},
		"_dqs":          {"0"},
		"_error_rc":     {"1"},
		"_pragma": {fmt.Sprintf("cache_size(-%d)", writerCacheKiB), fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages),
			fmt.Sprintf("journal_size_limit(%d)", checkpointPages*pageSize), "secure_delete(" + e.deletes + ")",
		},
	}
	c, err := dial(e.dsn + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	want := map[string]driver.Value{"journal_mode": "wal", "synchronous": int64(2), "secure_delete": int64(1)}
	if e.sync == "OFF" {
		want["synchronous"] = int64(0)
	}
	if e.deletes == "OFF" {
		want["secure_delete"] = int64(0)
	}
	for pragma, value := range want {
		row, err := c.one("PRAGMA " + pragma)
		if err == nil && (len(row) != 1 || row[0] != value) {
			err = fmt.Errorf("sqlite: %s is %v and not %v", pragma, row, value)
		}
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	// From here on the writer's own loop waits for the lock; see writer.begin.
	if _, err := c.do("PRAGMA busy_timeout=0"); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (e *Engine) dialReader() (*conn, error) {
	q := url.Values{
		"_busy_timeout": {fmt.Sprint(e.busy.Milliseconds())},
		"_dqs":          {"0"},
		"_error_rc":     {"1"},
		"_query_only":   {"1"},
		"_pragma":       {fmt.Sprintf("cache_size(-%d)", readerCacheKiB)},
	}
	return dial(e.dsn + "?" + q.Encode())
}

// syncDir makes a new file's directory entry durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

var errClosed = fmt.Errorf("%w: sqlite: closed", store.ErrUnavailable)

// read lends a reading connection to f. Every statement sees a state at least as new as every write that returned before.
func (e *Engine) read(ctx context.Context, f func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case e.reading <- struct{}{}:
	default:
		select {
		case e.reading <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-e.reading }()
	c, err := e.takeReader()
	if err != nil {
		return err
	}
	defer e.giveReader(c)
	return f(c)
}

// takeReader gives the connection that was used last: its page cache is the warmest, and under little load the others are
// never dialled.
func (e *Engine) takeReader() (*conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	if n := len(e.idle); n > 0 {
		c := e.idle[n-1]
		e.idle = e.idle[:n-1]
		return c, nil
	}
	return e.dialReader()
}

func (e *Engine) giveReader(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, c)
}

// Ping commits a write.
func (e *Engine) Ping(ctx context.Context) error {
	return e.writer.do(ctx, 1, func(t *tx) error {
		_, err := t.c.do("UPDATE haisu_meta SET v = v + 1 WHERE k = 'ping'")
		return err
	})
}

// Close waits for writes, reads and snapshots under way and closes the file. Calls that come later fail with store.ErrUnavailable.
func (e *Engine) Close() error {
	err := e.writer.close()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.snapshots.Wait()
	for range cap(e.reading) {
		e.reading <- struct{}{}
	}
	defer func() {
		for range cap(e.reading) {
			<-e.reading
		}
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.idle {
		err = errors.Join(err, c.close())
	}
	e.idle = nil
	return err
}
