package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// The times of the writing.
const (
	waitLimit = 5 * time.Second // how long a caller waits
	callLimit = 5 * time.Second // how long one call of the store may take
	pauseFrom = 5 * time.Millisecond
	pauseTo   = time.Second
)

// errUnavailable is for every caller whose entry is not known to be durable.
var errUnavailable = &fault.Error{
	Kind: fault.Unavailable, Code: "audit_unavailable", Detail: "the audit trail cannot be written now, and nothing is done without it; try again",
	Retry: 2 * time.Second,
}

// The causes of errUnavailable that are the trail's own.
var (
	errFull   = errors.New("audit: the queue is full")
	errClosed = errors.New("audit: closed")
)

// put queues an entry. Unavailable when the queue is full.
func (s *Service) put(w wire) (*item, error) {
	size, err := sizeOf(w)
	if err != nil {
		return nil, err
	}
	it := &item{w: w, size: size, done: make(chan struct{})}
	begin, err := s.queue.put(it)
	if err != nil {
		if errors.Is(err, errFull) {
			s.counts.refused.Add(1)
		}
		return nil, errUnavailable.Because(err)
	}
	if begin {
		go s.write()
	}
	return it, nil
}

// sizeOf is how much room an entry takes in a batch, at most.
func sizeOf(w wire) (int, error) {
	w.Seq, w.At = 1<<62, timeLayout
	b, err := json.Marshal(&w)
	return len(b) + 100, err
}

// wait waits until an item is durable. Unavailable when ctx or waitLimit ends first.
func (s *Service) wait(ctx context.Context, it *item) error {
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	select {
	case <-it.done:
		return it.err
	case <-ctx.Done():
		return errUnavailable.Because(ctx.Err())
	case <-limit.C:
		return errUnavailable.Because(context.DeadlineExceeded)
	}
}

// write writes what waits, a group at a time, until nothing waits.
func (s *Service) write() {
	for {
		// The callers that the last insert answered are runnable now; let them hand in their next entries, so that one insert serves them.
		runtime.Gosched()
		group := s.queue.take(nil)
		if len(group) == 0 {
			return
		}
		group, err := s.writeGroup(group)
		for _, it := range group {
			it.err = err
			close(it.done)
		}
	}
}

// writeGroup writes a group at the end of the chain, together with what comes in while another writer is faster. It gives up only when the
// trail is closed: what is queued is written once the store answers again.
func (s *Service) writeGroup(group []*item) ([]*item, error) {
	for try := 0; ; {
		if s.ctx.Err() != nil {
			return group, errUnavailable.Because(errClosed)
		}
		if s.head == nil {
			h, err := s.findHead()
			if err != nil {
				s.failed(err, &try)
				continue
			}
			s.head = h
		}
		b, err := s.build(group)
		if err != nil {
			return group, err
		}
		won, err := s.insert(b)
		if err != nil {
			return group, err
		}
		if won {
			last := b.Entries[len(b.Entries)-1].Hash
			hash, _ := parseDigest(last) // build made it
			s.head = &head{b.Position, b.Last, hash}
			s.counts.entries.Add(int64(len(group)))
			s.counts.batches.Add(1)
			return group, nil
		}
		s.counts.conflicts.Add(1)
		if s.head, err = s.follow(*s.head); err != nil {
			s.head = nil
			s.failed(err, &try)
		}
		group = s.queue.take(group)
	}
}

// build makes the batch that follows the head. It sets the items' seq and at, which are final if it is this batch that is stored.
func (s *Service) build(group []*item) (*batch, error) {
	h := s.head
	at := s.now().UTC().Truncate(time.Millisecond)
	text := at.Format(timeLayout)
	b := &batch{
		Version: version, Position: h.position + 1, First: h.seq + 1, Last: h.seq + int64(len(group)), Prev: h.hash.String(), Nonce: clock.Token(10),
		Entries: make([]line, len(group)), wires: make([]wire, len(group)),
	}
	prev := h.hash
	for i, it := range group {
		it.seq, it.at = b.First+int64(i), at
		it.w.Seq, it.w.At = it.seq, text
		raw, err := json.Marshal(&it.w)
		if err != nil {
			return nil, fmt.Errorf("audit: encode an entry: %w", err)
		}
		prev = link(prev, raw)
		b.Entries[i], b.wires[i] = line{prev.String(), raw}, it.w
	}
	b.MAC = b.mac(s.keys)
	return b, nil
}

// insert inserts a batch and says whether its position is its own. As long as the answer is unknown it asks again: the batch must
// neither be lost nor be written a second time at another position. An error is final: the batch is not stored, or the trail is closed.
func (s *Service) insert(b *batch) (won bool, err error) {
	id := batchID(b.Position)
	for try := 0; ; {
		err := s.call(func(ctx context.Context) error { return s.batches.Insert(ctx, id, *b) })
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, store.ErrTooLarge):
			return false, err
		case !errors.Is(err, store.ErrExists):
			s.failed(err, &try)
		}
		// Whose is it, if it is there? An earlier try, or a call that the engine repeated, may have been stored though its answer was lost.
		found, ferr := s.ours(id, b.Nonce)
		switch {
		case ferr == nil && found:
			s.counts.recovered.Add(1)
			return true, nil
		case ferr == nil:
			return false, nil
		case errors.Is(err, store.ErrExists) || !errors.Is(ferr, store.ErrNotFound):
			s.failed(ferr, &try)
		}
		if s.ctx.Err() != nil {
			return false, errUnavailable.Because(errClosed)
		}
	}
}

// ours says whether the batch at a position has our nonce. ErrNotFound: there is none yet.
func (s *Service) ours(id, nonce string) (bool, error) {
	recs, err := s.get([]string{id})
	if err != nil {
		return false, err
	}
	if len(recs) == 0 {
		return false, store.ErrNotFound
	}
	b, err := parseBatch(recs[0].Body)
	// What cannot be read is not ours: we wrote what can be.
	return err == nil && b.Nonce == nonce, nil
}

// call calls the store, within callLimit.
func (s *Service) call(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(s.ctx, callLimit)
	defer cancel()
	return f(ctx)
}

// get reads records as they are stored, for the writing.
func (s *Service) get(ids []string) (recs []store.Record, err error) {
	err = s.call(func(ctx context.Context) error {
		recs, err = s.raw.Get(ctx, collection, ids)
		return err
	})
	return recs, err
}

// failed counts and tells a failure of the store, and pauses: longer each time, and until the trail is closed at most.
func (s *Service) failed(err error, try *int) {
	if s.ctx.Err() != nil {
		return
	}
	s.counts.failures.Add(1)
	s.log.Error("the store does not take the audit trail; trying again", "error", err, "try", *try+1)
	d := min(pauseFrom<<min(*try, 10), pauseTo)
	*try++
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-s.ctx.Done():
	case <-t.C:
	}
}
