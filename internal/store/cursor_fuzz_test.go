package store

import (
	"errors"
	"testing"
)

// FuzzCursor reads cursors that clients made up, and makes cursors of positions: a cursor is refused, or means exactly one position.
func FuzzCursor(f *testing.F) {
	f.Add("", []byte(K("a", 5)), "id")
	f.Add(encodeCursor(Position{Order: K("a\x00b", 1<<40), ID: "x/\xff"}), []byte{0, 0xff, 0}, "")
	f.Add("IA", []byte{tagString}, "\x00\x01")
	f.Fuzz(func(t *testing.T, cursor string, order []byte, id string) {
		if p, err := decodeCursor(cursor); err != nil {
			if !errors.Is(err, ErrBadCursor) {
				t.Errorf("%q: %v", cursor, err)
			}
		} else if p != nil {
			again, err := decodeCursor(encodeCursor(*p))
			if err != nil || string(again.Order) != string(p.Order) || again.ID != p.ID {
				t.Errorf("%q is %+v, which is written and read as %+v, %v", cursor, p, again, err)
			}
		}
		p, err := decodeCursor(encodeCursor(Position{Order: order, ID: id}))
		if err != nil || string(p.Order) != string(order) || p.ID != id {
			t.Errorf("%q, %q is read as %+v, %v", order, id, p, err)
		}
	})
}
