package sqlite

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	list := func(names ...string) []entry {
		var out []entry
		for _, n := range names {
			out = append(out, entry{ix: int64(n[0] - '0'), eq: []byte(n[1:2]), ord: []byte(n[2:])})
		}
		return out
	}
	for _, c := range []struct{ old, new, gone, added []entry }{
		{nil, nil, nil, nil},
		{nil, list("1ax"), nil, list("1ax")},
		{list("1ax"), nil, list("1ax"), nil},
		{list("1ax", "1bx"), list("1ax", "1bx"), nil, nil},
		{list("1ax", "1bx", "2ax"), list("1bx", "1cx", "2ay"), list("1ax", "2ax"), list("1cx", "2ay")},
	} {
		gone, added := diff(c.old, c.new)
		if !reflect.DeepEqual(gone, c.gone) || !reflect.DeepEqual(added, c.added) {
			t.Errorf("diff(%v, %v) is %v, %v; want %v, %v", c.old, c.new, gone, added, c.gone, c.added)
		}
	}
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte{}, int64(1), []byte("eq"), []byte("ord"))
	f.Add([]byte{1, 200, 'x'}, int64(300), []byte{}, []byte{0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, int64(1), []byte{}, bytes.Repeat([]byte("o"), 1000))
	f.Fuzz(func(t *testing.T, raw []byte, ix int64, eq, ord []byte) {
		if entries, err := decodeEntries(raw); err == nil && len(entries) > len(raw)/3 {
			t.Fatalf("%d entries in %d bytes", len(entries), len(raw))
		}
		if ix < 0 {
			return
		}
		in := []entry{{ix, eq, ord}, {ix, ord, eq}, {ix, []byte{}, []byte{}}}
		out, err := decodeEntries(encodeEntries(in))
		if err != nil || !slices.EqualFunc(in, out, func(a, b entry) bool { return a.compare(b) == 0 }) {
			t.Fatalf("%v became %v, %v", in, out, err)
		}
		if _, err := decodeEntries(append(encodeEntries(in), 0x80)); err == nil {
			t.Fatal("a cut number was accepted")
		}
	})
}
