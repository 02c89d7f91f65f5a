package warning

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// gtin makes product number i with its check digit.
func gtin(i int) gs1.GTIN {
	body := fmt.Sprintf("0%012d", 690000000000+i)
	return gs1.GTIN(body + string(gs1.CheckDigit(body)))
}

func TestAffects(t *testing.T) {
	t.Parallel()
	a, b := string(gtin(1)), string(gtin(2))
	lots := Clause{GTINs: []string{a}, Lots: []string{"L-2026/01", "AB0"}}
	serials := Clause{GTINs: []string{a}, SerialFrom: "0099", SerialTo: "101"}
	days := Clause{GTINs: []string{a}, ProducedFrom: "2026-01-10", ProducedTo: "2026-01-20"}
	all := Clause{GTINs: []string{a, b}}
	for _, tc := range []struct {
		name           string
		clause         Clause
		subject        Subject
		affected, sure bool
	}{
		{"whole product", all, Subject{GTIN: gtin(2)}, true, true},
		{"another product", all, Subject{GTIN: gtin(3)}, false, false},
		{"exact lot", lots, Subject{GTIN: gtin(1), Lot: "L-2026/01"}, true, true},
		{"lot reads alike", lots, Subject{GTIN: gtin(1), Lot: "l2026 o1"}, true, false},
		{"lot reads alike, full width", lots, Subject{GTIN: gtin(1), Lot: "ＡＢＯ"}, true, false},
		{"unknown lot", lots, Subject{GTIN: gtin(1)}, true, false},
		{"another lot", lots, Subject{GTIN: gtin(1), Lot: "L-2026/02"}, false, false},
		{"serial in range, as a number", serials, Subject{GTIN: gtin(1), Serial: "100"}, true, true},
		{"serial at the end, with zeros", serials, Subject{GTIN: gtin(1), Serial: "000101"}, true, true},
		{"serial after the end", serials, Subject{GTIN: gtin(1), Serial: "102"}, false, false},
		{"serial with letters against numbers", serials, Subject{GTIN: gtin(1), Serial: "100A"}, false, false},
		{"unknown serial", serials, Subject{GTIN: gtin(1), Lot: "L"}, true, false},
		{"first day", days, Subject{GTIN: gtin(1), Produced: "2026-01-10"}, true, true},
		{"last day", days, Subject{GTIN: gtin(1), Produced: "2026-01-20"}, true, true},
		{"day after", days, Subject{GTIN: gtin(1), Produced: "2026-01-21"}, false, false},
		{"day before", days, Subject{GTIN: gtin(1), Produced: "2026-01-09"}, false, false},
		{"unknown day", days, Subject{GTIN: gtin(1)}, true, false},
		{"month only is unknown", days, Subject{GTIN: gtin(1), Produced: "2026-01"}, true, false},
		{"open end", Clause{GTINs: []string{a}, ProducedFrom: "2026-01-10"}, Subject{GTIN: gtin(1), Produced: "2031-01-01"}, true, true},
		{"open start", Clause{GTINs: []string{a}, ProducedTo: "2026-01-10"}, Subject{GTIN: gtin(1), Produced: "1999-01-01"}, true, true},
		{"one condition fails", Clause{GTINs: []string{a}, Lots: []string{"A"}, ProducedTo: "2026-01-10"},
			Subject{GTIN: gtin(1), Lot: "A", Produced: "2026-02-01"}, false, false},
		{"one condition unknown", Clause{GTINs: []string{a}, Lots: []string{"A"}, ProducedTo: "2026-01-10"},
			Subject{GTIN: gtin(1), Lot: "A"}, true, false},
		{"an ancestor lot", lots, Subject{GTIN: gtin(9), Ancestors: []gs1.Ref{{GTIN: gtin(1), Lot: "AB0"}}}, true, true},
		{"an ancestor of unknown lot", lots, Subject{GTIN: gtin(9), Ancestors: []gs1.Ref{{GTIN: gtin(1)}}}, true, false},
		{"the product of an ancestor whose lot is another", lots,
			Subject{GTIN: gtin(9), Ancestors: []gs1.Ref{{GTIN: gtin(1)}, {GTIN: gtin(1), Lot: "XX"}}}, false, false},
		{"the lot of a unit whose serial is outside", serials,
			Subject{GTIN: gtin(1), Lot: "A", Serial: "500", Ancestors: []gs1.Ref{{GTIN: gtin(1), Lot: "A"}, {GTIN: gtin(1)}}}, false, false},
		{"another lot of the product as an ancestor", serials,
			Subject{GTIN: gtin(1), Lot: "A", Serial: "500", Ancestors: []gs1.Ref{{GTIN: gtin(1), Lot: "B"}}}, true, false},
		{"the subject among its ancestors", days,
			Subject{GTIN: gtin(1), Lot: "A", Produced: "2030-01-01", Ancestors: []gs1.Ref{{GTIN: gtin(1), Lot: "A"}}}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			affected, sure := Affects(&Scope{Clauses: []Clause{tc.clause}}, tc.subject)
			if affected != tc.affected || sure != tc.sure {
				t.Fatalf("affected %v, certain %v; want %v, %v", affected, sure, tc.affected, tc.sure)
			}
		})
	}
}

func TestSerialRanges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		from, to string
		valid    bool
		in, out  []string
	}{
		{"1", "1", true, []string{"1", "01"}, []string{"2", "0", "A", ""}},
		{"9", "1000", true, []string{"9", "10", "999", "0999", "1000"}, []string{"8", "1001", "10000"}},
		{"00000000000000000001", "99999999999999999999", true, []string{"99999999999999999998"}, []string{"0"}},
		{"MCJF-1000031", "MCJF-1005100", true, []string{"MCJF-1000031", "MCJF-1004999", "MCJF-1005100"},
			[]string{"MCJF-1000030", "MCJF-1005101", "MCJF-10040", "MCKF-1004999", "mcjf-1004999", "1004999"}},
		{"A9", "B0", true, []string{"A9", "AZ", "Az", "B0"}, []string{"B1", "A8", "A90"}},
		{"000A", "0009", false, nil, nil},
		{"2", "1", false, nil, nil},
		{"A10", "A9", false, nil, nil},
		{"10", "A9", true, []string{"99", "A0"}, []string{"0", "999"}},
	} {
		r := newSerialRange(tc.from, tc.to)
		if r.valid() != tc.valid {
			t.Errorf("%s..%s: valid is %v", tc.from, tc.to, r.valid())
		}
		if !tc.valid {
			continue
		}
		for _, s := range tc.in {
			if !r.holds(s) {
				t.Errorf("%s..%s does not hold %q", tc.from, tc.to, s)
			}
		}
		for _, s := range tc.out {
			if r.holds(s) {
				t.Errorf("%s..%s holds %q", tc.from, tc.to, s)
			}
		}
	}
}

func FuzzFoldASCII(f *testing.F) {
	f.Add("L-2026/01 o")
	f.Add("批号 A0")
	f.Add(strings.Repeat("x", 70))
	f.Fuzz(func(t *testing.T, s string) {
		var buf [64]byte
		got, ok := foldASCII(buf[:0], s)
		if ok && string(got) != gs1.FoldLot(s) {
			t.Fatalf("%q folds to %q, gs1.FoldLot to %q", s, got, gs1.FoldLot(s))
		}
		if s == "" {
			return
		}
		if v, _ := compile(&Clause{Lots: []string{s}}).judgeLot(s); v != certain {
			t.Fatalf("%q does not match itself", s)
		}
		if v, _ := compile(&Clause{Lots: []string{gs1.FoldLot(s)}}).judgeLot(s); v == no {
			t.Fatalf("%q does not match %q", s, gs1.FoldLot(s))
		}
	})
}

// world makes random scopes and subjects that meet often: few products, few lots, lots that read alike.
type world struct{ *rand.Rand }

var someLots = []string{"A-0", "AO", "a 0", "B1", "B-1", "C", "c", "批号1", "D/2"}

func (w world) scope() Scope {
	var sc Scope
	for range 1 + w.IntN(3) {
		c := Clause{}
		for range 1 + w.IntN(3) {
			c.GTINs = append(c.GTINs, string(gtin(w.IntN(6))))
		}
		if w.IntN(2) == 0 {
			n := 1 + w.IntN(3)
			if w.IntN(5) == 0 {
				n = 20
			}
			for i := range n {
				l := someLots[w.IntN(len(someLots))]
				if i > 3 {
					l = fmt.Sprintf("X%d", i)
				}
				c.Lots = append(c.Lots, l)
			}
		}
		switch w.IntN(4) {
		case 0:
			n := w.IntN(50)
			c.SerialFrom, c.SerialTo = fmt.Sprint(n), fmt.Sprint(n+w.IntN(50))
		case 1:
			c.SerialFrom, c.SerialTo = "S10", "S50"
		}
		if w.IntN(3) == 0 {
			c.ProducedFrom = w.day()
			if w.IntN(2) == 0 {
				c.ProducedTo = c.ProducedFrom[:8] + "28"
			}
		}
		sc.Clauses = append(sc.Clauses, c)
	}
	return sc
}

func (w world) day() string { return fmt.Sprintf("2026-%02d-%02d", 1+w.IntN(3), 1+w.IntN(28)) }

func (w world) ref() gs1.Ref {
	r := gs1.Ref{GTIN: gtin(w.IntN(6))}
	if w.IntN(3) > 0 {
		r.Lot = someLots[w.IntN(len(someLots))]
	}
	switch w.IntN(3) {
	case 0:
		r.Serial = fmt.Sprint(w.IntN(100))
	case 1:
		r.Serial = fmt.Sprintf("S%d", 10+w.IntN(89))
	}
	return r
}

func (w world) subject() Subject {
	r := w.ref()
	s := Subject{GTIN: r.GTIN, Lot: r.Lot, Serial: r.Serial}
	if w.IntN(2) == 0 {
		s.Produced = w.day()
	}
	for range w.IntN(5) {
		s.Ancestors = append(s.Ancestors, w.ref())
		if w.IntN(2) == 0 { // and its lot or product beside it, as a graph walk gives
			g := s.Ancestors[len(s.Ancestors)-1]
			g.Serial = ""
			if w.IntN(2) == 0 {
				g.Lot = ""
			}
			s.Ancestors = append(s.Ancestors, g)
		}
	}
	return s
}

// Knowing more never turns 'not affected' into 'affected', and what is certain stays certain.
func TestKnowingMoreOnlyNarrows(t *testing.T) {
	t.Parallel()
	w := world{rand.New(rand.NewPCG(1, 2))}
	for range 20000 {
		sc, s := w.scope(), w.subject()
		s.Ancestors = nil
		less := s
		switch w.IntN(3) {
		case 0:
			less.Lot = ""
		case 1:
			less.Serial = ""
		default:
			less.Produced = ""
		}
		was, wasSure := Affects(&sc, less)
		is, isSure := Affects(&sc, s)
		if is && !was || wasSure && !isSure {
			t.Fatalf("scope %+v: %+v gives %v %v, less is known in %+v: %v %v", sc, s, is, isSure, less, was, wasSure)
		}
	}
}
