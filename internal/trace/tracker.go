package trace

import (
	"cmp"
	"hash/maphash"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// The states of goods, by the business step of the last event that concerned them.
const (
	GoodsHere    = "here"       // last seen at the place
	GoodsTransit = "in_transit" // left the place, and nobody has received them yet
	GoodsSold    = "sold"       // at retail
	GoodsUsed    = "used"       // an input of something else
	GoodsEnded   = "ended"      // destroyed, or their code retired
)

var goodsStates = [...]string{GoodsHere, GoodsTransit, GoodsSold, GoodsUsed, GoodsEnded}

const (
	stateHere = iota
	stateTransit
	stateSold
	stateUsed
	stateEnded
)

// stateAfter is what an event makes of the goods that it names in a role.
func stateAfter(step, action, role string) uint8 {
	switch {
	case role == roleInput:
		return stateUsed
	case role == roleSubject && ends(action, step):
		return stateEnded
	case step == "retail_selling" || step == "dispensing":
		return stateSold
	case step == "shipping" || step == "departing" || step == "transporting" || step == "consigning":
		return stateTransit
	}
	return stateHere
}

// never is the time of a spot of which nothing is known.
const never = math.MinInt64

// spot is where goods were last, by whose word.
type spot struct {
	at          int64
	firm, place int32
	state       uint8
}

// latest is the later of two spots; of one moment the second.
func latest(a, b spot) spot {
	if b.at == never || a.at > b.at {
		return a
	}
	return b
}

// body is a unit, a container, or an amount of a lot inside a container.
type body struct {
	spot
	in, gen int32 // the container that it is in and which of its fillings; -1: none
	lot     int32 // -1: a mere container
	amount  float64
	unit    int32 // of measure; -1: a single unit
	counts  bool  // of a mere container: see dealing
}

// vessel is what a body is to what is inside it. A container that is emptied as a whole lets go of one filling.
type vessel struct {
	gen  int32
	left []spot // by filling: where its contents were when they were let go
}

// The kinds of happenings.
const (
	seenThere = iota
	putIn
	takenOut
	emptiedOut
)

// happening is an event as the tracker needs it: what happened to which bodies, in one role.
type happening struct {
	at          int64
	base        uint64 // of the event: what was declared an error does not count
	doc         uint64 // breaks ties between events of one moment
	firm, place int32
	step        int32
	state       uint8
	kind        uint8
	role        byte
	parent      int32 // -1: none
	bodies      []int32
	amounts     []amount // of no container: nobody can say where they are now
	lot         int32    // of the amounts
}

type amount struct {
	n    float64
	unit int32
}

// tracker replays the events of goods in the order in which they happened. It holds numbers in place of names, since it holds a hundred
// thousand bodies.
type tracker struct {
	seed   maphash.Seed
	names  table // firms, places, steps, units of measure
	lots   []lotKey
	lotAt  map[lotKey]int32
	units  []map[string]int32 // by lot: serial → body
	boxes  map[string]int32   // node → body, of containers
	sets   int                // trade items among boxes
	bodies []body
	vessel map[int32]*vessel
	what   []happening
	lines  map[uint64]struct{} // lines and documents that are taken
	wrong  map[uint64]struct{} // events that were declared errors
	hands  map[[2]int32]struct{}
	loose  map[looseKey]*looseSum
	counts dealing
	ofLot  []bool // by lot: whether dealing in it counts
}

// looseKey and looseSum are what was told of amounts.
type looseKey struct {
	lot, firm, place, step, unit int32
	role                         byte
}

type looseSum struct {
	events int
	sum    float64
	last   int64
}

func newTracker() *tracker {
	return &tracker{
		seed: maphash.MakeSeed(), names: table{at: map[string]int32{}}, lotAt: map[lotKey]int32{}, boxes: map[string]int32{}, vessel: map[int32]*vessel{},
		lines: map[uint64]struct{}{}, wrong: map[uint64]struct{}{}, hands: map[[2]int32]struct{}{}, loose: map[looseKey]*looseSum{},
		counts: func(string) bool { return true },
	}
}

// table gives numbers to names.
type table struct {
	at    map[string]int32
	names []string
}

func (t *table) of(name string) int32 {
	i, ok := t.at[name]
	if !ok {
		i = int32(len(t.names))
		name = strings.Clone(name)
		t.at[name] = i
		t.names = append(t.names, name)
	}
	return i
}

// hash stands for a text. The seed is the tracker's own, so nobody can choose texts that collide.
func (k *tracker) hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, p := range parts {
		_, _ = h.WriteString(p) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// take says whether a line or document is a new one.
func (k *tracker) take(parts ...string) bool {
	h := k.hash(parts...)
	if _, have := k.lines[h]; have {
		return false
	}
	k.lines[h] = struct{}{}
	return true
}

func (k *tracker) lot(key lotKey) int32 {
	i, ok := k.lotAt[key]
	if !ok {
		i = int32(len(k.lots))
		k.lotAt[key] = i
		k.lots = append(k.lots, key)
		k.units = append(k.units, map[string]int32{})
		k.ofLot = append(k.ofLot, k.counts(node(gs1.Ref{GTIN: key.GTIN, Lot: key.Lot})))
	}
	return i
}

func (k *tracker) add(b body) int32 {
	k.bodies = append(k.bodies, b)
	return int32(len(k.bodies) - 1)
}

// unitOf is the body of a unit, made if need be.
func (k *tracker) unitOf(lot int32, serial string) int32 {
	i, ok := k.units[lot][serial]
	if ok {
		return i
	}
	if k.sets > 0 { // it may be known as a set or gift box already
		if i, ok = k.boxes[node(gs1.Ref{GTIN: k.lots[lot].GTIN, Serial: serial})]; ok {
			k.bodies[i].lot = lot
		}
	}
	if !ok {
		i = k.add(body{spot: spot{at: never}, in: -1, lot: lot, unit: -1})
	}
	k.units[lot][strings.Clone(serial)] = i // and not the page that it stands on
	return i
}

// boxOf is the body of a container or of a trade item that contains something; fresh if it was not known.
func (k *tracker) boxOf(n string, lotOf func(gs1.Ref) (int32, bool)) (i int32, fresh bool) {
	if i, ok := k.boxes[n]; ok {
		return i, false
	}
	if ref, ok := refOf(n); ok && ref.Serial != "" {
		if lot, tracked := lotOf(ref); tracked {
			i = k.unitOf(lot, ref.Serial)
			k.boxes[n] = i
			return i, true
		}
	}
	if isTradeItem(n) {
		k.sets++
	}
	i = k.add(body{spot: spot{at: never}, in: -1, lot: -1, unit: -1, counts: k.counts(n)})
	k.boxes[strings.Clone(n)] = i
	return i, true
}

// tracked gives the lot of a unit that is followed.
func (k *tracker) tracked(ref gs1.Ref) (int32, bool) {
	for lot, units := range k.units {
		if k.lots[lot].GTIN == ref.GTIN {
			if _, ok := units[ref.Serial]; ok {
				return int32(lot), true
			}
		}
	}
	return 0, false
}

var amountPattern = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?`)

// parseAmount reads a number with its unit of measure, as it is kept in events. What is no number that goods can have counts as none.
func parseAmount(q string) (n float64, unit string) {
	number := amountPattern.FindString(q)
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n > 1e15 {
		n = 0
	}
	return n, q[len(number):]
}

// where is where a body is: the last that is known of it, or of what it is in. Containers that contain each other, as hostile events
// may say, end the search.
func (k *tracker) where(i int32) spot {
	b := &k.bodies[i]
	l := b.spot
	in, gen := b.in, b.gen
	for range maxDepth {
		if in < 0 {
			break
		}
		if v := k.vesselOf(in); gen != v.gen {
			return latest(l, v.left[gen])
		}
		b = &k.bodies[in]
		l = latest(l, b.spot)
		in, gen = b.in, b.gen
	}
	return l
}

func (k *tracker) vesselOf(i int32) *vessel {
	v := k.vessel[i]
	if v == nil {
		v = &vessel{}
		k.vessel[i] = v
	}
	return v
}

// replay lets everything happen, in the order of event times.
func (k *tracker) replay() {
	slices.SortFunc(k.what, func(a, b happening) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind), cmp.Compare(a.doc, b.doc))
	})
	for i := range k.what {
		h := &k.what[i]
		if _, wrong := k.wrong[h.base]; !wrong {
			k.happen(h)
		}
	}
}

func (k *tracker) happen(h *happening) {
	now := spot{at: h.at, firm: h.firm, place: h.place, state: h.state}
	for _, i := range h.bodies {
		k.handed(i, h.firm)
		b := &k.bodies[i]
		switch h.kind {
		case putIn:
			if h.parent == i {
				break
			}
			b.in, b.gen = h.parent, k.vesselOf(h.parent).gen
		case takenOut:
			if b.in == h.parent {
				b.in = -1
			}
		case seenThere:
			if h.state != stateHere && h.state != stateTransit {
				b.in = -1 // sold, used or destroyed by itself
			}
		}
		b.spot = now
	}
	if h.parent >= 0 {
		k.handed(h.parent, h.firm)
		if h.kind == emptiedOut {
			v := k.vesselOf(h.parent)
			v.left = append(v.left, latest(k.where(h.parent), now))
			v.gen++
		}
		k.bodies[h.parent].spot = now
	}
	k.told(h)
}

// handed notes that goods went from one firm to another, where that counts.
func (k *tracker) handed(i, firm int32) {
	counts := k.bodies[i].counts
	if lot := k.bodies[i].lot; lot >= 0 {
		counts = k.ofLot[lot]
	}
	if !counts {
		return
	}
	if before := k.where(i); before.at != never && before.firm != firm {
		k.hands[[2]int32{before.firm, firm}] = struct{}{}
	}
}

// told follows amounts into and out of containers, and adds up what is told of the others.
func (k *tracker) told(h *happening) {
	for _, a := range h.amounts {
		n := a.n
		switch h.kind {
		case putIn:
			k.add(body{
				spot: spot{at: h.at, firm: h.firm, place: h.place, state: h.state},
				in:   h.parent, gen: k.vesselOf(h.parent).gen, lot: h.lot, amount: n, unit: a.unit,
			})
			continue
		case takenOut:
			k.pour(h, a)
			continue
		}
		key := looseKey{h.lot, h.firm, h.place, h.step, a.unit, h.role}
		sum := k.loose[key]
		if sum == nil {
			sum = &looseSum{}
			k.loose[key] = sum
		}
		sum.events++
		sum.sum += n
		sum.last = max(sum.last, h.at)
	}
}

// pour takes an amount out of a container.
func (k *tracker) pour(h *happening, a amount) {
	out := body{spot: spot{at: h.at, firm: h.firm, place: h.place, state: h.state}, in: -1, lot: h.lot, unit: a.unit}
	left := a.n
	for i := range k.bodies {
		b := &k.bodies[i]
		if left <= 0 {
			break
		}
		if b.in != h.parent || b.lot != h.lot || b.unit != a.unit || b.amount <= 0 {
			continue
		}
		n := min(b.amount, left)
		b.amount -= n
		left -= n
		out.amount += n
	}
	if out.amount > 0 {
		k.add(out)
	}
}

// amountsOf reads amounts; those without a number are units told of by their class, and count nothing.
func (k *tracker) amountsOf(joined string) []amount {
	if joined == "" {
		return nil
	}
	var out []amount
	for q := range strings.SplitSeq(joined, " ") {
		if n, unit := parseAmount(q); n > 0 {
			out = append(out, amount{n, k.names.of(unit)})
		}
	}
	return out
}
