package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/haisu-trace/haisu/internal/store"
)

// head is the end of the chain: the last batch and its last entry. Of an empty trail it is position 0, entry 0 and the genesis.
type head struct {
	position, seq int64
	hash          digest
}

func (b *batch) head() (*head, error) {
	hash, ok := parseDigest(b.Entries[len(b.Entries)-1].Hash)
	if !ok {
		return nil, fmt.Errorf("audit: batch %d has no hash at its end; run 'api verify'", b.Position)
	}
	return &head{b.Position, b.Last, hash}, nil
}

// headOf reads the end of the chain off the record of its last batch. One that cannot be read stops the trail: to go on without it would hide
// where it was damaged.
func headOf(r store.Record) (*head, error) {
	b, err := parseBatch(r.Body)
	if err != nil {
		return nil, fmt.Errorf("audit: the last batch, %s, cannot be read; run 'api verify': %w", r.ID, err)
	}
	return b.head()
}

// findHead finds the end of the chain from nothing. The index may lag behind or have been tampered with, the IDs decide.
func (s *Service) findHead() (*head, error) {
	h := &head{hash: s.genesis}
	position, err := s.lastIndexed()
	if err != nil {
		return nil, err
	}
	if position > 0 {
		recs, err := s.get([]string{batchID(position)})
		switch {
		case err != nil:
			return nil, err
		case len(recs) == 1:
			if h, err = headOf(recs[0]); err != nil {
				return nil, err
			}
		}
	}
	return s.ahead(*h)
}

func (s *Service) lastIndexed() (position int64, err error) {
	err = s.call(func(ctx context.Context) error {
		position, err = s.newest(ctx)
		return err
	})
	return position, err
}

// newest is the highest position in the index; 0 for none.
func (s *Service) newest(ctx context.Context) (int64, error) {
	keys, _, err := s.batches.Keys(ctx, store.Query{Index: byPosition, Eq: store.K(), Desc: true, Limit: 1})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	position, ok := parseBatchID(keys[0].ID)
	if !ok {
		return 0, errors.New("audit: the index names a batch that is none; run 'api verify'")
	}
	return position, nil
}

// near is how many batches of others are read one after the other before the index is asked.
const near = 8

// follow finds the end of the chain from where it was a moment ago, when the next position turned out to be taken.
func (s *Service) follow(h head) (*head, error) {
	next, full, err := s.step(h)
	if err != nil || !full {
		return next, err
	}
	return s.findHead()
}

// ahead goes on from h by IDs as far as there are batches.
func (s *Service) ahead(h head) (*head, error) {
	for {
		next, full, err := s.step(h)
		if err != nil || !full {
			return next, err
		}
		h = *next
	}
}

// step reads the batches after h, up to near of them; full says that there may be more.
func (s *Service) step(h head) (next *head, full bool, err error) {
	ids := make([]string, near)
	for i := range ids {
		ids[i] = batchID(h.position + 1 + int64(i))
	}
	recs, err := s.get(ids)
	if err != nil {
		return nil, false, err
	}
	found := make(map[string]store.Record, len(recs))
	for _, r := range recs {
		found[r.ID] = r
	}
	last, n := store.Record{}, 0
	for ; n < near; n++ {
		r, ok := found[ids[n]]
		if !ok {
			break
		}
		last = r
	}
	if n == 0 {
		return &h, false, nil
	}
	next, err = headOf(last)
	return next, n == near, err
}
