package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// An export is JSON lines, each ended by a line feed:
//
//	{"audit_trail":1,"first":1,"prev":"<64 hexadecimal digits>"}
//	{"hash":"<64 hexadecimal digits>","entry":{…}}
//	…
//	{"checkpoint":{"seq":…,"hash":"…","at":"…","mac":"…"}}
//
// The rule by which anybody can check it, in any language: begin with the 32 bytes of prev. For each line with an entry, the entry is
// the bytes from offset 83 to before the last '}'; its SHA-256, taken over the 32 bytes of the hash before and these bytes, is the line's hash.
// The member seq of the entries counts from first without a gap. The checkpoint names the last. CheckExport does just that.
type exportHead struct {
	Trail int    `json:"audit_trail"` // version of the format
	First int64  `json:"first"`
	Prev  string `json:"prev"`
}

type exportEnd struct {
	Checkpoint Checkpoint `json:"checkpoint"`
}

// Export writes entries as JSON lines, the oldest first. It gives whole batches, from the first to the last that was written from 'from' on and
// before 'to' (zero times: from the beginning, to the end), and all between them: a batch of a replica whose clock was wrong is given
// too, so that the chain has no gap. It judges nothing and gives what is stored: CheckExport and Verify are for that.
func (s *Service) Export(ctx context.Context, w io.Writer, from, to time.Time) error {
	lo, hi, err := s.span(ctx, from, to)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	ex := &exporter{out: out}
	if err := s.walk(ctx, lo, hi, ex.batch); err != nil {
		return err
	}
	if !ex.begun {
		c, err := s.Checkpoint(ctx)
		if err != nil {
			return err
		}
		if err := ex.begin(c.Seq+1, c.Hash); err != nil {
			return err
		}
	}
	if err := ex.line(exportEnd{s.checkpoint(ex.seq, ex.hash)}); err != nil {
		return err
	}
	return out.Flush()
}

// exporter writes lines; seq and hash are of the last entry.
type exporter struct {
	out   *bufio.Writer
	begun bool
	seq   int64
	hash  string
}

func (ex *exporter) begin(first int64, prev string) error {
	ex.begun, ex.seq, ex.hash = true, first-1, prev
	return ex.line(exportHead{version, first, prev})
}

func (ex *exporter) batch(b *batch) error {
	if !ex.begun {
		if err := ex.begin(b.First, b.Prev); err != nil {
			return err
		}
	}
	for _, l := range b.Entries {
		if err := ex.line(l); err != nil {
			return err
		}
		ex.hash = l.Hash
	}
	ex.seq = b.Last
	return nil
}

func (ex *exporter) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	_, err = ex.out.Write(append(text, '\n'))
	return err
}

// span gives the positions of the first and the last batch of a time. An open end is as high as can be; nothing is 1 to 0.
func (s *Service) span(ctx context.Context, from, to time.Time) (lo, hi int64, err error) {
	if from.IsZero() && to.IsZero() {
		return 1, math.MaxInt64, nil
	}
	// Clocks of replicas differ, so the first by time need not be the first by position.
	lo, hi = math.MaxInt64, 0
	q := store.Query{Index: byTime, Eq: store.K(), Limit: store.MaxBatch}
	q.From, q.To = timeRange(from, to)
	for {
		keys, next, err := s.batches.Keys(ctx, q)
		if err != nil {
			return 0, 0, fmt.Errorf("audit: export: %w", err)
		}
		for _, k := range keys {
			if position, ok := parseBatchID(k.ID); ok {
				lo, hi = min(lo, position), max(hi, position)
			}
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	if hi == 0 {
		return 1, 0, nil
	}
	if to.IsZero() {
		hi = math.MaxInt64
	}
	return lo, hi, nil
}

// timeRange is a range of orders of batches: [from, to), open where a time is zero.
func timeRange(from, to time.Time) (lo, hi store.Key) {
	if !from.IsZero() {
		lo = store.K(from)
	}
	if !to.IsZero() {
		hi = store.K(to)
	}
	return lo, hi
}

// walk reads the batches from lo to hi. Those that are missing are left out.
func (s *Service) walk(ctx context.Context, lo, hi int64, f func(*batch) error) error {
	next, after := lo, batchID(lo-1)
	for {
		recs, err := s.raw.All(ctx, collection, after, verifyPage)
		if err != nil {
			return fmt.Errorf("audit: export: %w", err)
		}
		if len(recs) == 0 {
			return nil
		}
		for _, r := range recs {
			after = r.ID
			position, ok := parseBatchID(r.ID)
			if !ok {
				continue
			}
			if err := s.passed(ctx, next, min(position-1, hi), f); err != nil {
				return err
			}
			if position > hi {
				return nil
			}
			if err := give(r, f); err != nil {
				return err
			}
			next = position + 1
		}
	}
}

// passed gives the batches from lo to hi that a walk over a sharded database went past before they were written, up to one that is missing.
func (s *Service) passed(ctx context.Context, lo, hi int64, f func(*batch) error) error {
	for ; lo <= hi; lo++ {
		recs, err := s.raw.Get(ctx, collection, []string{batchID(lo)})
		if err != nil {
			return fmt.Errorf("audit: export: %w", err)
		}
		if len(recs) == 0 {
			return nil
		}
		if err := give(recs[0], f); err != nil {
			return err
		}
	}
	return nil
}

func give(r store.Record, f func(*batch) error) error {
	var b batch
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return fmt.Errorf("audit: export: batch %s cannot be read; run 'api verify': %w", r.ID, err)
	}
	return f(&b)
}
