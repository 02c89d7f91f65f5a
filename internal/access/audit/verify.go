package audit

import (
	"context"
	"fmt"

	"github.com/haisu-trace/haisu/internal/store"
)

// verifyPage is how many batches Verify holds at once: with store.MaxBody each, 16 MiB at most.
const verifyPage = 16

// Verify reads the whole trail and checks every stored byte of its batches: their numbers, hashes and MACs, and that none was replaced. The report
// names the first break; an error means that the check could not be made. With a checkpoint it also checks that the trail still
// has the checkpoint's entry. progress, which may be nil, is told how many of how many entries were checked, now and then. Memory is bounded,
// and the trail may be written meanwhile.
//
// What is not checked: index entries, which lists are made from. One that was removed hides an entry from List, neither from Verify nor Export.
func (s *Service) Verify(ctx context.Context, against *Checkpoint, progress func(done, total int64)) (Report, error) {
	c := &checker{service: s, against: against, position: 1, seq: 1, hash: s.genesis, report: Report{First: 1}}
	if against != nil && !against.genuine(s.keys) {
		c.report.Break = &Break{Kind: ForeignCheckpoint, Seq: against.Seq, Detail: "the checkpoint was not made with the keys of this installation"}
		c.report.Last = s.checkpoint(0, s.genesis.String())
		return c.report, nil
	}
	total, err := s.Checkpoint(ctx)
	if err != nil {
		total.Seq = 0 // what is wrong with the end will be found
	}
	if against != nil && against.Seq == 0 && against.Hash != s.genesis.String() {
		c.report.Break = diverged(0, 0)
	}
	for after := ""; c.report.Break == nil; {
		recs, err := s.raw.All(ctx, collection, after, verifyPage)
		if err != nil {
			return c.report, fmt.Errorf("audit: read the trail: %w", err)
		}
		if len(recs) == 0 {
			c.report.Break = c.end()
			break
		}
		for _, r := range recs {
			after = r.ID
			if c.report.Break, err = c.next(ctx, r); err != nil || c.report.Break != nil {
				break
			}
		}
		if err != nil {
			return c.report, err
		}
		if progress != nil {
			progress(c.seq-1, max(total.Seq, c.seq-1))
		}
	}
	c.report.Entries = c.seq - 1
	c.report.Last = s.checkpoint(c.seq-1, c.hash.String())
	return c.report, nil
}

// checker is a check under way. position, seq and hash are of what should come next, and stand before it.
type checker struct {
	service  *Service
	against  *Checkpoint
	position int64
	seq      int64
	hash     digest
	report   Report
}

func diverged(seq, batch int64) *Break {
	return &Break{Kind: Diverged, Seq: seq, Batch: batch, Detail: "the entry has another hash than in the checkpoint: the trail was written anew"}
}

func (c *checker) end() *Break {
	if c.against == nil || c.against.Seq < c.seq {
		return nil
	}
	return &Break{
		Kind: Truncated, Seq: c.seq, To: c.against.Seq, Batch: c.position,
		Detail: fmt.Sprintf("the trail ends with entry %d; when the checkpoint was made it had %d", c.seq-1, c.against.Seq),
	}
}

// next checks the next document in the order of IDs.
func (c *checker) next(ctx context.Context, r store.Record) (*Break, error) {
	position, ok := parseBatchID(r.ID)
	for ok && position > c.position {
		// A batch is written only after the one before it is durable; but in a sharded database a walk may have passed that place before.
		recs, err := c.service.raw.Get(ctx, collection, []string{batchID(c.position)})
		if err != nil {
			return nil, fmt.Errorf("audit: read batch %d: %w", c.position, err)
		}
		if len(recs) == 0 {
			return c.missing(r), nil
		}
		if b := c.judge(recs[0]); b != nil {
			return b, nil
		}
	}
	if !ok || position < c.position {
		return &Break{Kind: Inserted, Seq: c.seq, Detail: fmt.Sprintf("the document %q is no batch of the trail", r.ID)}, nil
	}
	return c.judge(r), nil
}

// missing tells that there is a batch and none at the place before it.
func (c *checker) missing(r store.Record) *Break {
	brk := &Break{Kind: Removed, Seq: c.seq, Batch: c.position, Detail: "the batch is missing"}
	if b, err := parseBatch(r.Body); err == nil && b.First > c.seq && b.genuine(c.service.keys) {
		brk.To = b.First - 1
	}
	return brk
}
