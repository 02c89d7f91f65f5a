package trace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// eager is the tracker as plainly as it can be said: an event moves, there and then, whatever is inside what it names.
type eager struct {
	in   map[string]string
	spot map[string]spot
}

func (m *eager) contents(n string, seen map[string]bool) []string {
	if seen[n] {
		return nil
	}
	seen[n] = true
	out := []string{n}
	for child, parent := range m.in {
		if parent == n {
			out = append(out, m.contents(child, seen)...)
		}
	}
	return out
}

func (m *eager) move(n string, to spot) {
	for _, x := range m.contents(n, map[string]bool{}) {
		m.spot[x] = to
	}
}

func (m *eager) happen(kind uint8, parent string, things []string, to spot) {
	for _, n := range things {
		if kind == takenOut && m.in[n] == parent || kind == seenThere && to.state > stateTransit {
			delete(m.in, n)
		}
		if kind == putIn {
			m.in[n] = parent
		}
		m.move(n, to)
	}
	if parent == "" {
		return
	}
	m.move(parent, to)
	if kind == emptiedOut {
		for n, p := range m.in {
			if p == parent {
				delete(m.in, n)
			}
		}
	}
}

// Whatever happens in whatever order of telling, the tracker finds each unit where moving everything eagerly puts it.
func TestTrackerAgreesWithMovingEverything(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		k, m := newTracker(), &eager{in: map[string]string{}, spot: map[string]spot{}}
		lot := k.lot(lotKey{gtinA, "L"})
		body := func(n string) int32 {
			if strings.HasPrefix(n, "u") {
				return k.unitOf(lot, n)
			}
			i, _ := k.boxOf(n, k.tracked)
			return i
		}
		// Boxes go into boxes of a higher number only: reality has no circles.
		rank := map[string]int{"u0": 0, "u1": 0, "u2": 0, "u3": 0, "b1": 1, "b2": 2, "b3": 3}
		names := []string{"u0", "u1", "u2", "u3", "b1", "b2", "b3"}
		for at := range int64(40) {
			h := happening{at: at + 1, doc: uint64(at), firm: int32(r.IntN(3)), place: int32(r.IntN(5)), state: uint8(r.IntN(5)), kind: uint8(r.IntN(4)), parent: -1, role: 's'}
			parent := ""
			if h.kind != seenThere {
				parent = names[4+r.IntN(3)]
				h.parent = body(parent)
				h.state = stateHere
			}
			var things []string
			if h.kind != emptiedOut {
				for _, n := range names {
					if (parent == "" || rank[n] < rank[parent]) && r.IntN(3) == 0 {
						things = append(things, n)
						h.bodies = append(h.bodies, body(n))
					}
				}
				if len(things) == 0 {
					continue
				}
			}
			k.what = append(k.what, h)
			m.happen(h.kind, parent, things, spot{h.at, h.firm, h.place, h.state})
		}
		r.Shuffle(len(k.what), func(i, j int) { k.what[i], k.what[j] = k.what[j], k.what[i] })
		k.replay()
		for _, n := range names {
			want, known := m.spot[n]
			if !known {
				want.at = never
			}
			if got := k.where(body(n)); got != want {
				t.Fatalf("seed %d: %s is at %+v, eagerly at %+v", seed, n, got, want)
			}
		}
	}
}

func TestLinesAreReadBack(t *testing.T) {
	t.Parallel()
	want := []move{
		{Doc: "f|urn:uuid:1", At: -62135596800000, Firm: "f", Role: "s", Serials: `A"<b>%/ B`},
		{Doc: "f|ni:///sha-256;ab?ver=CBV2.0|3", N: 2, At: 1, Firm: "f", Place: "https://id.gs1.org/414/6901234560015", Step: "packing", Action: "ADD", Role: "c", Parent: sscc(1), Amounts: "12.5KGM 3EA", Mixed: true, Declares: true},
	}
	var text []byte
	for i := range want {
		text = want[i].append(text)
	}
	var got []move
	for m, err := range moves(string(text)) {
		must(t, err)
		got = append(got, m)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	for _, bad := range []string{"x", "1^2", "1^0^0^^f^^^^s^^^", "1^0^0^d^f^^^^^^^", "!^0^0^d^f^^^^s^^^"} {
		for _, err := range moves(bad) {
			if err == nil {
				t.Errorf("%q was read", bad)
			}
		}
	}
	// What the separators are must not be possible in what stands between them.
	for _, c := range []string{fieldEnd, lineEnd, " "} {
		if _, err := gs1.ParseEPC("urn:x:a" + c + "b"); err == nil {
			t.Errorf("%q may stand in an identifier", c)
		}
		if gs1.ValidSerial("a"+c+"b") == nil || gs1.ValidLot("a"+c+"b") == nil {
			t.Errorf("%q may stand in a serial or lot", c)
		}
	}
}

func TestPagesOverflowAndStayWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := lotKey{gtinA, "L/1"}
	var ms []move
	for i := range 900 {
		ms = append(ms, move{Doc: fmt.Sprintf("maker|urn:uuid:%d", i), At: int64(i), Firm: "maker", Role: "s", Serials: fmt.Sprintf("S%0100d", i)})
	}
	for chunk := range slices.Chunk(ms, 7) {
		must(t, b.addMoves(t.Context(), k, 3, chunk))
		must(t, b.addMoves(t.Context(), k, 3, chunk)) // a retry
	}
	w, err := b.Whereabouts(t.Context(), Start{Ref: gs1.Ref{GTIN: gtinA, Lot: "L/1"}}, b.clock.Now(), "")
	must(t, err)
	if w.Units != 900 {
		t.Errorf("%d units", w.Units)
	}
	n, err := b.flows.Count(t.Context(), lotQuery(k), 1000)
	must(t, err)
	if n < 2 || n > 5 {
		t.Errorf("%d pages", n)
	}
}
