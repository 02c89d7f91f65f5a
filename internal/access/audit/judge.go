package audit

import (
	"fmt"
	"slices"

	"github.com/haisu-trace/haisu/internal/store"
)

// judge checks a batch that stands where the next is expected, and goes on past it if it is in order.
func (c *checker) judge(r store.Record) *Break {
	broken := func(f finding) *Break {
		return &Break{Kind: f.kind, Seq: f.seq, To: f.to, Batch: c.position, Detail: f.detail}
	}
	b, err := parseBatch(r.Body)
	if err != nil {
		return broken(finding{Changed, c.seq, 0, "the batch is not as it was written: " + err.Error()})
	}
	if r.Rev != 1 || !r.Expires.IsZero() {
		return broken(finding{Changed, c.seq, 0, fmt.Sprintf("the batch was replaced: its revision is %d", r.Rev)})
	}
	wires, err := b.decode()
	if err != nil {
		return broken(finding{Changed, c.seq, 0, err.Error()})
	}
	genuine := b.genuine(c.service.keys)
	if f, bad := c.header(b, genuine); bad {
		return broken(f)
	}
	prev := c.hash
	for i, l := range b.Entries {
		prev = link(prev, l.Entry)
		if wires[i].Seq != b.First+int64(i) || l.Hash != prev.String() {
			return broken(deviation(wires, i, b.First))
		}
	}
	switch end := b.First + int64(len(wires)) - 1; {
	case end < b.Last:
		return broken(finding{Removed, end + 1, b.Last, "the end of the batch is missing"})
	case end > b.Last:
		return broken(finding{Inserted, b.Last + 1, 0, "the batch has more entries than it was written with"})
	case !genuine:
		return broken(finding{WrongMAC, c.seq, 0, "its hashes are right, but the batch was not made with the keys of this installation"})
	}
	if a := c.against; a != nil && a.Seq >= b.First && a.Seq <= b.Last && a.Hash != b.Entries[a.Seq-b.First].Hash {
		return diverged(a.Seq, c.position)
	}
	c.position, c.seq, c.hash = c.position+1, b.Last+1, prev
	c.report.Batches++
	return nil
}

// finding is what is wrong with a batch.
type finding struct {
	kind    Kind
	seq, to int64
	detail  string
}

// header checks where a batch says that it stands.
func (c *checker) header(b *batch, genuine bool) (finding, bool) {
	follows := b.First == c.seq && b.Prev == c.hash.String()
	switch {
	case b.Position == c.position && follows:
		return finding{}, false
	case !genuine:
		if prev, ok := parseDigest(b.Prev); ok && b.Position == c.position && b.First == c.seq && b.Entries[0].Hash == link(prev, b.Entries[0].Entry).String() {
			return finding{WrongMAC, c.seq, 0, "the batch continues another trail, and was not made with the keys of this installation"}, true
		}
		return finding{Changed, c.seq, 0, "the head of the batch is not as it was written"}, true
	case b.Position < c.position:
		return finding{Inserted, c.seq, 0, fmt.Sprintf("a copy of batch %d stands here", b.Position)}, true
	case b.Position > c.position:
		return finding{Reordered, c.seq, 0, fmt.Sprintf("batch %d stands here", b.Position)}, true
	}
	f := finding{Removed, c.seq, 0, "the batch follows another one than stands before it: what stood there was replaced"}
	if b.First > c.seq {
		f.to = b.First - 1
	}
	return f, true
}

// deviation says what was done to a run of entries, the i-th of which is the first that is not right.
func deviation(wires []wire, i int, first int64) finding {
	seq := first + int64(i)
	numbers := make([]int64, len(wires))
	for j := range wires {
		numbers[j] = wires[j].Seq
	}
	sorted := slices.Sorted(slices.Values(numbers))
	twice := len(slices.Compact(slices.Clone(sorted))) < len(sorted)
	switch {
	case numbers[i] > seq && slices.IsSorted(numbers):
		return finding{Removed, seq, numbers[i] - 1, fmt.Sprintf("entry %d follows", numbers[i])}
	case twice:
		return finding{Inserted, seq, 0, "two entries have one number"}
	case numbers[i] != seq && sorted[0] == first && sorted[len(sorted)-1] == first+int64(len(sorted))-1:
		return finding{Reordered, seq, 0, fmt.Sprintf("entry %d stands here", numbers[i])}
	case numbers[i] != seq:
		return finding{Changed, seq, 0, fmt.Sprintf("the entry has number %d", numbers[i])}
	}
	return finding{Changed, seq, 0, "the entry does not have its hash"}
}
