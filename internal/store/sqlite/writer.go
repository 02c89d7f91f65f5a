package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

const (
	queueLen = 1024
	// maxGroup is the largest number of records in one transaction: more would not save much and would make the first caller wait.
	maxGroup = 1024
)

// tx is the transaction under way.
type tx struct {
	c   *conn
	now int64 // UTC milliseconds
	seq int64 // the last feed sequence number given out, valid if fed is not empty
	fed map[string]struct{}
}

// write is one caller's part of a transaction. run may be called twice, the first time in a transaction that is rolled back, so
// it sets its results from scratch. It returns an error only if the database failed it; outcomes like store.ErrExists are results.
type write struct {
	run    func(*tx) error
	weight int
	state  atomic.Int32
	done   chan error
}

// The states of a write. Whoever moves it out of waiting owns it.
const (
	waiting int32 = iota
	taken
	abandoned
)

// writer owns the connection that writes.
type writer struct {
	c       *conn
	busy    time.Duration
	now     clock.Now
	wake    func(coll string)
	queue   chan *write
	taken   atomic.Int64 // how many writes were begun
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
	last    int   // writes in the last group; the loop's own
	err     error // of closing the connection, valid once stopped
}

func newWriter(c *conn, busy time.Duration, now clock.Now, wake func(string)) *writer {
	w := &writer{
		c: c, busy: busy, now: now, wake: wake,
		queue: make(chan *write, queueLen), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	go w.loop()
	return w
}

// do has run executed in a transaction and returns when that is durable. When ctx ends first, the write may or may not happen, and
// what run refers to must not be changed afterwards.
func (w *writer) do(ctx context.Context, weight int, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	op := &write{run: run, weight: weight, done: make(chan error, 1)}
	select {
	case <-w.closing:
		return errClosed
	default:
	}
	select {
	case w.queue <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return errClosed
	}
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		op.state.CompareAndSwap(waiting, abandoned)
		return ctx.Err()
	case <-w.stopped:
	}
	select {
	case err := <-op.done:
		return err
	default:
		return errClosed
	}
}

func (w *writer) close() error {
	w.once.Do(func() { close(w.closing) })
	<-w.stopped
	return w.err
}

func (w *writer) loop() {
	defer close(w.stopped)
	group := make([]*write, 0, 256)
	for {
		var first *write
		select {
		case first = <-w.queue:
		default:
			select {
			case first = <-w.queue:
			case <-w.closing:
				w.drain(group)
				w.err = w.c.close()
				return
			}
			// The callers that the last commit answered are runnable now; let them hand in their next writes, so that one fsync serves them.
			runtime.Gosched()
		}
		w.commitGroup(w.linger(w.gather(group[:0], first)))
	}
}

// The bounds of linger.
const (
	lingerFrom = 4                      // writes in the group before: fewer are no crowd
	lingerTo   = 64                     // writes: more gain little
	lingerFor  = 300 * time.Microsecond // less than a commit costs, whatever the number of its writes
)

// linger waits a moment for more writes when there is a crowd: those whom the last commit answered are about to write again, and a commit
// costs as much for one write as for fifty. Whoever writes alone never waits.
func (w *writer) linger(group []*write) []*write {
	want := min(2*w.last, lingerTo)
	if w.last >= lingerFrom && len(group) > 0 && len(group) < want {
		enough := time.NewTimer(lingerFor)
		defer enough.Stop()
		for len(group) < want {
			select {
			case op := <-w.queue:
				group = w.gather(group, op)
				continue
			case <-enough.C:
			case <-w.closing:
			}
			break
		}
	}
	w.last = len(group)
	return group
}

// drain commits what was queued before closing.
func (w *writer) drain(group []*write) {
	for {
		select {
		case first := <-w.queue:
			w.commitGroup(w.gather(group[:0], first))
		default:
			return
		}
	}
}

// gather takes first and whatever else waits.
func (w *writer) gather(group []*write, first *write) []*write {
	weight := 0
	for op := first; ; {
		if op.state.CompareAndSwap(waiting, taken) {
			w.taken.Add(1)
			group = append(group, op)
			weight += op.weight
		}
		if weight >= maxGroup {
			return group
		}
		select {
		case op = <-w.queue:
		default:
			return group
		}
	}
}

// commitGroup runs a group in one transaction. Should a statement fail, each write runs again in a transaction of its own, so that
// only the one at fault fails.
func (w *writer) commitGroup(group []*write) {
	if len(group) == 0 {
		return
	}
	failed, err := w.transact(group)
	if failed && len(group) > 1 {
		for _, op := range group {
			_, err := w.transact([]*write{op})
			op.done <- err
		}
		return
	}
	for _, op := range group {
		op.done <- err
	}
}

// transact runs writes in one transaction. failed says that a write's statement failed and the transaction was rolled back.
func (w *writer) transact(group []*write) (failed bool, err error) {
	if err := w.begin(); err != nil {
		return false, err
	}
	t := &tx{c: w.c, now: w.now().UnixMilli()}
	for _, op := range group {
		if err := op.run(t); err != nil {
			return true, errors.Join(err, w.rollback())
		}
	}
	err = t.saveSeq()
	if err == nil {
		_, err = w.c.do("COMMIT")
	}
	if err != nil {
		return false, errors.Join(err, w.rollback())
	}
	for coll := range t.fed {
		w.wake(coll)
	}
	return false, nil
}

// begin waits for the lock by short random pauses and not by SQLite's busy handler, whose pauses grow to 100 ms: against another
// process that commits without a break, many short tries find the gap sooner.
func (w *writer) begin() error {
	deadline := time.Time{}
	for {
		_, err := w.c.do("BEGIN IMMEDIATE")
		if err == nil || !busy(err) {
			return err
		}
		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(w.busy)
		}
		if now.After(deadline) {
			return fmt.Errorf("no write lock for %v: %w", w.busy, err)
		}
		time.Sleep(50*time.Microsecond + rand.N(time.Millisecond)) //nolint:forbidigo // the lock is another process's, so there is no signal; 100 µs to a few ms
	}
}

// rollback ends the transaction. Some errors (a full disk) have ended it already; ROLLBACK then fails with SQLITE_ERROR, which
// says no more than that.
func (w *writer) rollback() error {
	if _, err := w.c.do("ROLLBACK"); errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return nil
}

// nextSeq gives the next number of the feed of coll. Only one transaction at a time, of all processes, is between reading the last number
// and committing the next, so a number that becomes visible is greater than all that were visible before: a reader that has seen
// n can miss nothing by asking for what is greater than n.
func (t *tx) nextSeq(coll string) (int64, error) {
	last, err := t.lastSeq()
	if err != nil {
		return 0, err
	}
	if t.fed == nil {
		t.fed = map[string]struct{}{}
	}
	t.fed[coll] = struct{}{}
	t.seq = last + 1
	return t.seq, nil
}

// lastSeq gives the last number given out.
func (t *tx) lastSeq() (int64, error) {
	if len(t.fed) > 0 {
		return t.seq, nil
	}
	row, err := t.c.one("SELECT v FROM haisu_meta WHERE k = 'seq'")
	if err != nil {
		return 0, err
	}
	return row[0].(int64), nil
}

// raiseSeq makes every number given out from now on greater than n.
func (t *tx) raiseSeq(n int64) error {
	t.seq = max(t.seq, n) // which saveSeq will store, if numbers were given out already
	_, err := t.c.do("UPDATE haisu_meta SET v = max(v, ?) WHERE k = 'seq'", n)
	return err
}

func (t *tx) saveSeq() error {
	if len(t.fed) == 0 {
		return nil
	}
	_, err := t.c.do("UPDATE haisu_meta SET v = ? WHERE k = 'seq'", t.seq)
	return err
}
