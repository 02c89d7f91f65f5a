package warning

import (
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// Scope says which goods a warning is about: a unit is affected if any clause matches it.
type Scope struct {
	Clauses []Clause `json:"clauses"`
}

// Clause is a conjunction: goods of one of the GTINs that also meet every condition that is set.
//
// Conditions are fields that are empty when unset, so a later version adds a condition (a seller, a place, 'descendants only')
// as a field and a test in judge, and messages published before stay as they are. A clause without a GTIN is refused in
// this version: nothing yet confirms that 'everything' was meant.
type Clause struct {
	GTINs []string `json:"gtins"`          // 14 digits each
	Lots  []string `json:"lots,omitempty"` // as printed on the package
	// Both ends belong to the range. When both are digits only, serials of digits are compared as numbers of any length, and other
	// serials are outside. Else both ends have the same length, and exactly the serials of that length are compared, byte by byte
	// in ASCII order, case included: so 'MCJF-1000031' to 'MCJF-1005100' holds what people mean by it and 'MCJF-10001' not.
	SerialFrom string `json:"serial_from,omitempty"`
	SerialTo   string `json:"serial_to,omitempty"`
	// Production days, YYYY-MM-DD, both inclusive; one of them may be empty for 'any time before' or 'ever since'.
	ProducedFrom string `json:"produced_from,omitempty"`
	ProducedTo   string `json:"produced_to,omitempty"`
}

// Subject is what is known of the goods at hand. Empty fields are unknown.
//
// Ancestors are the units, lots and products that the goods were made from or packed in. An ancestor that only generalises the
// subject or another ancestor (the lot of a listed unit, the product of a listed lot) is taken to describe the same goods less
// exactly, so it cannot make uncertain what the finer one rules out.
type Subject struct {
	GTIN        gs1.GTIN
	Lot, Serial string
	Produced    string // YYYY-MM-DD; any other text counts as unknown
	Ancestors   []gs1.Ref
}

// The values of Match.Why: what the match rests on, or what is missing to be certain.
const (
	WhyProduct         = "product"          // certain: the whole product is affected
	WhyLot             = "lot"              // certain: this lot is named
	WhySerial          = "serial"           // certain: the serial is in the range
	WhyProduced        = "produced"         // certain: made in the affected days
	WhyLotLike         = "lot_like"         // possible: a named lot reads like this one, apart from spaces, case, separators and O for 0
	WhyLotUnknown      = "lot_unknown"      // possible: the warning names lots and this one's is not known
	WhySerialUnknown   = "serial_unknown"   // possible: the warning names serials and this one's is not known
	WhyProducedUnknown = "produced_unknown" // possible: the warning names production days and this one's is not known
)

// verdict is the outcome of one condition or clause.
type verdict uint8

const (
	no verdict = iota
	possible
	certain
)

// serialRange is a compiled range; see Clause.
type serialRange struct {
	from, to string
	numeric  bool
}

func newSerialRange(from, to string) serialRange {
	r := serialRange{from: from, to: to, numeric: allDigits(from) && allDigits(to)}
	if r.numeric {
		r.from, r.to = trimZeros(from), trimZeros(to)
	}
	return r
}

// valid says whether the ends can be compared and are in order.
func (r serialRange) valid() bool {
	if r.numeric {
		return compareNumbers(r.from, r.to) <= 0
	}
	return len(r.from) == len(r.to) && r.from <= r.to
}

func (r serialRange) holds(serial string) bool {
	if r.numeric {
		if !allDigits(serial) {
			return false
		}
		n := trimZeros(serial)
		return compareNumbers(r.from, n) <= 0 && compareNumbers(n, r.to) <= 0
	}
	return len(serial) == len(r.from) && r.from <= serial && serial <= r.to
}

// compareNumbers compares decimal numbers without leading zeros, of any length.
func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func trimZeros(s string) string { return strings.TrimLeft(s, "0") }

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// predicate is a clause made ready for matching, without its GTINs.
type predicate struct {
	folded           []uint64            // hashes of the folded lots, sorted: nearly every lot that is not meant is ruled out here
	lots, foldedLots map[string]struct{} // asked only when a hash is found; nil when the clause has no lots
	serials          *serialRange
	madeFrom, madeTo string // inclusive; "" is open
}

func compile(c *Clause) *predicate {
	p := &predicate{madeFrom: c.ProducedFrom, madeTo: c.ProducedTo}
	if len(c.Lots) > 0 {
		p.lots, p.foldedLots = make(map[string]struct{}, len(c.Lots)), make(map[string]struct{}, len(c.Lots))
		for _, l := range c.Lots {
			folded := gs1.FoldLot(l)
			p.lots[l], p.foldedLots[folded] = struct{}{}, struct{}{}
			p.folded = append(p.folded, hashText([]byte(folded)))
		}
		slices.Sort(p.folded)
		p.folded = slices.Compact(p.folded)
	}
	if c.SerialFrom != "" {
		r := newSerialRange(c.SerialFrom, c.SerialTo)
		p.serials = &r
	}
	return p
}

// hashText is FNV-1a. Texts that collide on purpose cost time and change no answer.
func hashText(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// lotBit is one of 64 bits, the same for all lots that fold alike.
func lotBit(lot string) uint64 {
	var buf [64]byte
	return 1 << (hashText(foldLot(buf[:0], lot)) >> 58)
}

// foldLot is gs1.FoldLot into a buffer, which a lot of ASCII characters, as every GS1 lot is, does not outgrow.
func foldLot(buf []byte, lot string) []byte {
	if folded, ok := foldASCII(buf, lot); ok {
		return folded
	}
	return []byte(gs1.FoldLot(lot))
}

// judgeLot decides the condition on lots. It does not allocate for a lot of ASCII characters, which every GS1 lot is.
func (p *predicate) judgeLot(lot string) (verdict, string) {
	if lot == "" {
		return possible, WhyLotUnknown
	}
	var buf [64]byte
	folded := foldLot(buf[:0], lot)
	if _, found := slices.BinarySearch(p.folded, hashText(folded)); !found {
		return no, ""
	}
	if _, exact := p.lots[lot]; exact {
		return certain, WhyLot
	}
	if _, alike := p.foldedLots[string(folded)]; alike {
		return possible, WhyLotLike
	}
	return no, ""
}

// foldASCII is gs1.FoldLot for short ASCII texts, into a buffer; false for any other text.
func foldASCII(dst []byte, s string) ([]byte, bool) {
	if len(s) > cap(dst) {
		return nil, false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return nil, false
		case c == 'O', c == 'o':
			dst = append(dst, '0')
		case c >= 'a' && c <= 'z':
			dst = append(dst, c-'a'+'A')
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			dst = append(dst, c)
		}
	}
	return dst, true
}

// known is one identity to be judged.
type known struct {
	lot, serial, produced string
}

// judge decides whether goods, of a GTIN that the clause has, meet its conditions: no if any condition fails, certain if all
// are known to hold. why is what the answer rests on: the finest condition that holds or the first that is uncertain.
func (p *predicate) judge(k known) (v verdict, why string) {
	v, why = certain, WhyProduct
	if p.madeFrom != "" || p.madeTo != "" {
		switch {
		case !isDay(k.produced):
			v, why = possible, WhyProducedUnknown
		case k.produced < p.madeFrom, p.madeTo != "" && k.produced > p.madeTo:
			return no, ""
		default:
			why = WhyProduced
		}
	}
	if p.lots != nil {
		lot, because := p.judgeLot(k.lot)
		if lot == no {
			return no, ""
		}
		v, why = both(v, why, lot, because)
	}
	if p.serials != nil {
		switch {
		case k.serial == "":
			v, why = both(v, why, possible, WhySerialUnknown)
		case !p.serials.holds(k.serial):
			return no, ""
		default:
			v, why = both(v, why, certain, WhySerial)
		}
	}
	return v, why
}

// both joins two conditions that are not no.
func both(v verdict, why string, w verdict, because string) (verdict, string) {
	if v == certain {
		return w, because
	}
	return v, why
}

// isDay says whether s has the form of a calendar day. Whether there is such a day was asked when it was stored.
func isDay(s string) bool {
	return len(s) == 10 && s[4] == '-' && s[7] == '-' && allDigits(s[:4]) && allDigits(s[5:7]) && allDigits(s[8:])
}

// Affects says whether a scope covers the goods, and whether that is certain or only possible on what is known. It is the
// one definition of 'affected': the Matcher gives the same answers faster.
func Affects(sc *Scope, s Subject) (affected, sure bool) {
	best := no
	for i := range sc.Clauses {
		c := &sc.Clauses[i]
		var p *predicate
		for at := -1; at < len(s.Ancestors); at++ {
			r := s.ref(at)
			if r.GTIN == "" || !slices.Contains(c.GTINs, string(r.GTIN)) {
				continue
			}
			if p == nil { // most clauses are about other products
				p = compile(c)
			}
			v, _ := p.judge(s.known(at))
			if v == possible && s.generalised(at) {
				continue
			}
			best = max(best, v)
		}
	}
	return best != no, best == certain
}

// ref gives ancestor number at, the subject itself for -1.
func (s *Subject) ref(at int) gs1.Ref {
	if at < 0 {
		return gs1.Ref{GTIN: s.GTIN, Lot: s.Lot, Serial: s.Serial}
	}
	return s.Ancestors[at]
}

func (s *Subject) known(at int) known {
	r := s.ref(at)
	k := known{lot: r.Lot, serial: r.Serial}
	if at < 0 {
		k.produced = s.Produced
	}
	return k
}

// generalised says whether ancestor number at only describes less exactly what another ref of the subject describes. A certain
// match of the general ref is one of the finer ref too, so this has to be asked of possible matches only.
func (s *Subject) generalised(at int) bool {
	if at < 0 {
		return false
	}
	coarse := s.Ancestors[at]
	for i := -1; i < len(s.Ancestors); i++ {
		if fine := s.ref(i); i != at && (finer(fine, coarse) || i < 0 && fine == coarse) {
			return true
		}
	}
	return false
}

// finer says whether a names the same goods as b, and more of them is said.
func finer(a, b gs1.Ref) bool {
	return a.GTIN == b.GTIN && a != b && (b.Lot == "" || a.Lot == b.Lot) && (b.Serial == "" || a.Serial == b.Serial)
}
