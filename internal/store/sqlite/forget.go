package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/haisu-trace/haisu/internal/store"
)

// emptyLogWait is how long EmptyLog waits for readers of an older state, in milliseconds. Writers of all processes wait as long.
const emptyLogWait = 50

// EmptyLog ends what the write-ahead log still has of documents that were deleted or replaced: it moves the log into the database file and
// cuts it to nothing. What it had of them in the database file was overwritten in the same transaction (secure_delete), so afterwards they
// are in neither.
//
// Most of it is moved while writers go on; they wait for the last part, for 50 ms at most and for what they wrote meanwhile to be moved.
// store.ErrUnavailable if a reader of an older state, such as a backup, does not end in that time: try again later. Close does the same if no
// other process has the file open.
//
// What it cannot promise: when SQLite moves records between pages, because one grew or because pages that ran empty are merged, it leaves a copy
// in the unused part of the old page until that part is used again; and neither file systems nor flash memory overwrite in place. So whatever must
// be forgotten for certain is encrypted, and the keys of the installation are rotated.
func (e *Engine) EmptyLog(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.RLock()
	if e.closed {
		e.mu.RUnlock()
		return errClosed
	}
	e.snapshots.Add(1) // under the lock, so before Close waits
	e.mu.RUnlock()
	defer e.snapshots.Done()
	info, err := os.Stat(e.path + "-wal")
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	c, err := dial(e.dsn + "?_synchronous=FULL&_error_rc=1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, step := range []string{"PRAGMA wal_checkpoint(PASSIVE)", fmt.Sprintf("PRAGMA busy_timeout=%d", emptyLogWait)} {
		if _, err := c.one(step); err != nil {
			return err
		}
	}
	row, err := c.one("PRAGMA wal_checkpoint(TRUNCATE)")
	if err == nil && row[0] != int64(0) {
		err = fmt.Errorf("%w: a reader holds the write-ahead log", store.ErrUnavailable)
	}
	return err
}
