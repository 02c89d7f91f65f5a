package mongo

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

func TestKeysKeepOrderAcrossLengths(t *testing.T) {
	t.Parallel()
	ordered := []store.Key{
		{}, {0}, {0, 0}, {0, 0, 0}, {0, 1}, {1}, {1, 0}, {1, 0xFF, 0xFF, 0xFF}, {2}, {0x7F, 0xFF}, {0x80}, {0xFE, 0, 0, 0, 0}, {0xFF}, {0xFF, 0xFF},
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := strings.Compare(keys.EncodeToString(a), keys.EncodeToString(b)), cmp.Compare(i, j); got != want {
				t.Errorf("% x and % x compare %d, want %d", []byte(a), []byte(b), got, want)
			}
		}
	}
}

func TestPlaceOrdersByKeyThenID(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var all []store.Position
	for range 400 {
		k := make(store.Key, r.IntN(4))
		for i := range k {
			k[i] = []byte{0, 1, 0x20, 0x7F, 0xFF}[r.IntN(5)]
		}
		all = append(all, store.Position{Order: k, ID: []string{"", " ", "!", "-", "a", "a b", "é", "海\x00"}[r.IntN(8)]})
	}
	byPosition := slices.Clone(all)
	slices.SortFunc(byPosition, func(a, b store.Position) int {
		return cmp.Or(bytes.Compare(a.Order, b.Order), strings.Compare(a.ID, b.ID))
	})
	byPlace := slices.Clone(all)
	slices.SortFunc(byPlace, func(a, b store.Position) int { return strings.Compare(place(a.Order, a.ID), place(b.Order, b.ID)) })
	for i := range all {
		if a, b := byPosition[i], byPlace[i]; !bytes.Equal(a.Order, b.Order) || a.ID != b.ID {
			t.Fatalf("item %d is %v by position and %v by place", i, a, b)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add([]byte("a"), "id", []byte("b"))
	f.Add([]byte{}, "", []byte{0})
	f.Add([]byte{0xFF, 0}, "a b", []byte{0xFF})
	f.Fuzz(func(t *testing.T, order []byte, id string, bound []byte) {
		at, edge := place(order, id), keys.EncodeToString(bound)
		if (bytes.Compare(order, bound) >= 0) != (at >= edge) {
			t.Errorf("% x, %q against % x: the key and its place are on different sides", order, id, bound)
		}
		p, err := parsePlace(at)
		if err != nil || !bytes.Equal(p.Order, order) || p.ID != id {
			t.Errorf("parsePlace(%q) = %v, %v", at, p, err)
		}
	})
}

func TestParsePlaceRefusesGarbage(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "abc", "= x", "a x", "+/ x"} {
		if p, err := parsePlace(s); err == nil {
			t.Errorf("parsePlace(%q) = %v", s, p)
		}
	}
}
