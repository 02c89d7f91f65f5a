package trace

import (
	"context"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/store"
)

// Print is one printing of labels of a batch, or rather one handing out of what they are printed from: who had which, and why again.
type Print struct {
	ID     string    `json:"id"`
	Batch  string    `json:"batch"`
	Format string    `json:"format"` // pdf, svg, png or csv
	Span   Span      `json:"span"`   // positions
	Again  bool      `json:"again"`  // some of them had been printed before
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"` // the credentials' name in the audit trail
	At     time.Time `json:"at"`
}

var printDef = store.Def[Print]{Name: "label_prints", Indexes: []store.Index[Print]{{
	Name: byBatch, Version: "1", Keys: func(_ string, p *Print) ([]store.Key, store.Key) {
		return []store.Key{store.K(p.Batch)}, store.K(p.At)
	},
}}}

// maxSpans bounds what a batch remembers of what was printed: beyond it, the smallest gap between two spans counts as printed, too, so that a reason may be asked
// for without need, and is never left out.
const maxSpans = 200

// StartPrint records, durably before it returns, that labels of a part of a batch are handed out. A part of which anything was printed before needs a
// reason: a second label of one unit is what a counterfeiter would want. NotFound, Malformed, Conflict (batch_incomplete, reprint_reason).
func (s *Service) StartPrint(ctx context.Context, f firm.Firm, p Print, from, count int64) (Batch, Print, error) {
	b, part, err := s.Part(ctx, f, p.Batch, from, count)
	if err == nil {
		err = b.Ready()
	}
	if err != nil {
		return b, p, err
	}
	p.Span, p.ID, p.At = part, clock.Token(16), s.now()
	_, err = s.batches.Update(ctx, b.ID, func(b *Batch) error {
		p.Again = overlaps(b.Printed, part)
		if p.Again && p.Reason == "" {
			return fault.New(fault.Conflict, "reprint_reason",
				"labels of positions %d to %d were printed before, at least some of them; say in Haisu-Reason why they are printed again", part.First, part.Last)
		}
		b.Printed = add(b.Printed, part)
		b.Prints++
		return nil
	})
	if err != nil {
		return b, p, err
	}
	// Cut off here, the part counts as printed without a record of it: then nothing was handed out, and the repetition says why it comes again.
	return b, p, s.prints.Insert(ctx, p.ID, p)
}

func overlaps(spans []Span, part Span) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.First <= part.Last && part.First <= s.Last })
}

// add adds a part to spans that are in order and apart.
func add(spans []Span, part Span) []Span {
	var out []Span
	for _, s := range spans {
		if s.First <= part.Last+1 && part.First <= s.Last+1 {
			part = Span{min(s.First, part.First), max(s.Last, part.Last)}
			continue
		}
		out = append(out, s)
	}
	at, _ := slices.BinarySearchFunc(out, part, func(a, b Span) int { return int(a.First - b.First) })
	out = slices.Insert(out, at, part)
	for len(out) > maxSpans {
		least := 1
		for i := 1; i < len(out); i++ {
			if out[i].First-out[i-1].Last < out[least].First-out[least-1].Last {
				least = i
			}
		}
		out[least-1].Last = out[least].Last
		out = slices.Delete(out, least, least+1)
	}
	return out
}

// PrintsOf gives a page of the printings of a firm's batch, the newest first. NotFound, store.ErrBadCursor.
func (s *Service) PrintsOf(ctx context.Context, f firm.Firm, batch, cursor string, limit int) ([]Print, string, error) {
	if _, err := s.Batch(ctx, f, batch); err != nil {
		return nil, "", err
	}
	p, err := s.prints.Find(ctx, store.Query{Index: byBatch, Eq: store.K(batch), Desc: true, Cursor: cursor, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	out := make([]Print, len(p.Items))
	for i := range p.Items {
		out[i] = p.Items[i].V
	}
	return out, p.Next, nil
}
