package audit

import (
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of the queue.
const (
	maxQueued      = 4096     // entries
	maxQueuedBytes = 16 << 20 // of JSON
)

// item is an entry that waits to be written.
type item struct {
	w     wire
	size  int           // bytes of JSON, at most
	done  chan struct{} // closed once seq, at and err are final
	seq   int64
	at    time.Time
	err   error // the trail was closed before the outcome was known
	state int   // guarded by the queue
}

const (
	waiting = iota
	taken   // it will be written
	dropped // nobody waits for it any more
)

// queue holds the entries that wait. Whoever puts the first one in begins the writing, which ends when none is left: a trail at rest has
// no goroutine.
type queue struct {
	mu     sync.Mutex
	items  []*item
	bytes  int
	closed bool
	idle   chan struct{} // closed when the writing ends; nil while none is under way
}

type counts struct {
	entries, batches, conflicts, recovered, failures, refused atomic.Int64
}

// put adds an item. begin says that the caller has to begin the writing.
func (q *queue) put(it *item) (begin bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, errClosed
	}
	if len(q.items) >= maxQueued || q.bytes+it.size > maxQueuedBytes {
		return false, errFull
	}
	q.items = append(q.items, it)
	q.bytes += it.size
	if q.idle != nil {
		return false, nil
	}
	q.idle = make(chan struct{})
	return true, nil
}

// take adds what waits to a group, in order, as long as it fits into one batch. If nothing waits and the group is empty, the writing has ended.
func (q *queue) take(group []*item) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for _, it := range group {
		size += it.size
	}
	n := 0
	for ; n < len(q.items) && len(group) < maxBatchEntries && size < maxBatchBytes; n++ {
		it := q.items[n]
		if it.state == dropped {
			continue // its bytes are given back already
		}
		it.state = taken
		q.bytes -= it.size
		group = append(group, it)
		size += it.size
	}
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	if len(group) == 0 {
		close(q.idle)
		q.idle = nil
	}
	return group
}

// drop gives up an item, if it is not being written yet. Its place in the queue stays taken until the writing comes to it.
func (q *queue) drop(it *item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.state == waiting {
		it.state = dropped
		q.bytes -= it.size
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// close refuses further items and gives what is closed when the writing ends; nil if none is under way.
func (q *queue) close() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return q.idle
}
