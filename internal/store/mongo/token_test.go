package mongo

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

func randomToken(r *rand.Rand, n int) *token {
	t := &token{
		epoch: r.Uint64(), base: r.Uint64(), from: r.Uint64(), last: r.Uint64(), checked: r.Int64(), older: r.Uint64(), newer: r.Uint64(),
		end: r.Uint64(), at: position{stamp: r.Uint64(), id: "海/" + fmt.Sprint(r.Uint32())},
	}
	sec := uint64(r.Uint32() >> 1)
	for i := range n {
		sec += uint64(r.IntN(2))
		t.add(change{stamp: sec<<32 | uint64(r.Uint32N(1000)), id: fmt.Sprint(i), rev: 1})
	}
	return t
}

func TestTokenRoundTrip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	tokens := []*token{{}, {from: math.MaxUint64, last: math.MaxUint64, checked: math.MinInt64, seen: []seen{{stamp: math.MaxUint64, hash: math.MaxUint64}}}}
	for range 50 {
		tokens = append(tokens, randomToken(r, r.IntN(40)))
	}
	for _, want := range tokens {
		got, err := decodeToken(want.encode())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	}
	if got, err := decodeToken(""); err != nil || !reflect.DeepEqual(got, &token{}) {
		t.Errorf("the empty text gives %+v, %v", got, err)
	}
}

func TestFullTokenIsSmall(t *testing.T) {
	t.Parallel()
	full := randomToken(rand.New(rand.NewPCG(3, 4)), maxSeen)
	if n := len(full.encode()); n > 40<<10 {
		t.Errorf("a full token has %d bytes", n)
	}
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	good := randomToken(rand.New(rand.NewPCG(5, 6)), 3).encode()
	bad := []string{"!", "A", "AA", "AQ", "-1", "\x00", good[:len(good)-1], good + "AA", "AQ" + good[2:], strings.Repeat("A", 100)}
	// More deliveries than fit.
	bad = append(bad, tokenEncoding.EncodeToString(append([]byte{tokenVersion, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F)))
	// A number that is longer than need be.
	bad = append(bad, tokenEncoding.EncodeToString([]byte{tokenVersion, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
	for _, s := range bad {
		if got, err := decodeToken(s); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("token %.20q gives %+v, %v", s, got, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	f.Add("")
	f.Add("AQ")
	f.Add(randomToken(r, 0).encode())
	f.Add(randomToken(r, 5).encode())
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := decodeToken(s)
		if err != nil {
			if !errors.Is(err, store.ErrBadCursor) {
				t.Errorf("%v", err)
			}
			return
		}
		if s != "" && tok.encode() != s {
			t.Errorf("%q comes back as %q", s, tok.encode())
		}
	})
}
