package sqlite

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/haisu-trace/haisu/internal/store"
)

// entry is an index entry with the number that stands for the index's name in the database.
type entry struct {
	ix      int64
	eq, ord []byte
}

func (a entry) compare(b entry) int {
	return cmp.Or(cmp.Compare(a.ix, b.ix), bytes.Compare(a.eq, b.eq), bytes.Compare(a.ord, b.ord))
}

// numbered gives a record's entries sorted and without duplicates.
func (c *collection) numbered(entries []store.Entry) ([]entry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	out := make([]entry, len(entries))
	for i, e := range entries {
		ix, err := c.index(e.Index)
		if err != nil {
			return nil, err
		}
		out[i] = entry{ix: ix, eq: nonNil(e.Eq), ord: nonNil(e.Order)}
	}
	if len(out) == 1 {
		return out, nil
	}
	slices.SortFunc(out, entry.compare)
	return slices.CompactFunc(out, func(a, b entry) bool { return a.compare(b) == 0 }), nil
}

// nonNil makes an empty key an empty blob; a nil one would be bound as NULL.
func nonNil(k store.Key) []byte {
	if k == nil {
		return []byte{}
	}
	return k
}

// encodeEntries packs sorted entries for the copy that is kept beside a document, so that replacing and deleting know which
// index rows are the document's without reading its body. nil if there are none.
func encodeEntries(entries []entry) []byte {
	if len(entries) == 0 {
		return nil
	}
	n := 0
	for _, e := range entries {
		n += 3*binary.MaxVarintLen16 + len(e.eq) + len(e.ord)
	}
	out := make([]byte, 0, n)
	for _, e := range entries {
		out = binary.AppendUvarint(out, uint64(e.ix))
		out = binary.AppendUvarint(out, uint64(len(e.eq)))
		out = append(out, e.eq...)
		out = binary.AppendUvarint(out, uint64(len(e.ord)))
		out = append(out, e.ord...)
	}
	return out
}

var errEntries = errors.New("sqlite: the copy of a document's index entries is damaged")

func decodeEntries(b []byte) ([]entry, error) {
	var out []entry
	for len(b) > 0 {
		ix, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errEntries
		}
		e := entry{ix: int64(ix)}
		b = b[n:]
		for _, field := range []*[]byte{&e.eq, &e.ord} {
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return nil, errEntries
			}
			*field = b[n : n+int(size) : n+int(size)]
			b = b[n+int(size):]
		}
		out = append(out, e)
	}
	return out, nil
}

// diff walks two sorted lists and gives what only the first and only the second has.
func diff(before, after []entry) (gone, added []entry) {
	for len(before) > 0 && len(after) > 0 {
		switch d := before[0].compare(after[0]); {
		case d < 0:
			gone, before = append(gone, before[0]), before[1:]
		case d > 0:
			added, after = append(added, after[0]), after[1:]
		default:
			before, after = before[1:], after[1:]
		}
	}
	return append(gone, before...), append(added, after...)
}
