package warning

import (
	"maps"
	"slices"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// shards divides the snapshot so that a publication copies a few hundred entries and not all of them.
const shards = 256

// filterBits is the size of the filter in front of the shards: at 100,000 GTINs under warning it stops nine look-ups in ten of others.
const filterBits = 1 << 20

// snapshot is every warning in force by GTIN. It is immutable; a publication makes a new one that shares all shards but those
// of its GTINs.
type snapshot struct {
	// filter has a bit set for every GTIN in byGTIN, and for some more: bits are never cleared. It is small enough to stay in the
	// processor's cache, which the maps are not.
	filter *[filterBits / 64]uint64
	byGTIN [shards]map[uint64][]entry
}

// newSnapshot is empty.
func newSnapshot() *snapshot { return &snapshot{filter: new([filterBits / 64]uint64)} }

// entry is one clause of one warning, under one of its GTINs.
type entry struct {
	msg *Message
	// lotMask has the lotBit of every lot of the clause, 0 when it has none. It rules most other lots out before the clause itself, which is
	// rarely in the processor's cache, is looked at.
	lotMask uint64
	*predicate
}

// gtinKey packs the 14 digits into an integer: as a map key it needs no second memory access to compare. false for what is no GTIN.
func gtinKey(g gs1.GTIN) (uint64, bool) {
	if len(g) != 14 {
		return 0, false
	}
	var k uint64
	for i := range len(g) {
		d := g[i] - '0'
		if d > 9 {
			return 0, false
		}
		k = k*10 + uint64(d)
	}
	return k, true
}

// spread mixes neighbouring numbers (Fibonacci hashing): its upper bits choose shard and filter bit.
func spread(key uint64) uint64 { return key * 0x9E3779B97F4A7C15 }

func shardOf(key uint64) int { return int(spread(key) >> 56) }

func filterBit(key uint64) (word int, mask uint64) {
	bit := spread(key) >> 44 // the upper 20 bits: log2(filterBits)
	return int(bit / 64), 1 << (bit % 64)
}

func (s *snapshot) find(g gs1.GTIN) []entry {
	k, ok := gtinKey(g)
	if !ok {
		return nil
	}
	if word, mask := filterBit(k); s.filter[word]&mask == 0 {
		return nil
	}
	return s.byGTIN[shardOf(k)][k]
}

// edit is a snapshot under construction.
type edit struct {
	*snapshot
	owned       [shards]bool // copied already, so it may be written
	ownedFilter bool
}

func (s *snapshot) edit() *edit {
	c := *s
	return &edit{snapshot: &c}
}

func (e *edit) shard(i int) map[uint64][]entry {
	if !e.owned[i] {
		e.owned[i] = true
		e.byGTIN[i] = maps.Clone(e.byGTIN[i])
		if e.byGTIN[i] == nil {
			e.byGTIN[i] = map[uint64][]entry{}
		}
	}
	return e.byGTIN[i]
}

func (e *edit) setFilter(key uint64) {
	word, mask := filterBit(key)
	if e.filter[word]&mask != 0 {
		return
	}
	if !e.ownedFilter {
		e.ownedFilter = true
		c := *e.filter
		e.filter = &c
	}
	e.filter[word] |= mask
}

// add puts a message in. The list of a GTIN is copied, because the snapshot before shares it.
func (e *edit) add(m *Message) {
	for i := range m.Scope.Clauses {
		c := &m.Scope.Clauses[i]
		p := compile(c)
		var mask uint64
		for _, l := range c.Lots {
			mask |= lotBit(l)
		}
		for _, g := range c.GTINs {
			k, ok := gtinKey(gs1.GTIN(g))
			if !ok {
				continue
			}
			e.setFilter(k)
			sh := e.shard(shardOf(k))
			list := sh[k]
			sh[k] = append(slices.Clip(list), entry{m, mask, p})
		}
	}
}

// remove takes a message out.
func (e *edit) remove(m *Message) {
	for _, g := range m.Scope.GTINs() {
		k, ok := gtinKey(gs1.GTIN(g))
		if !ok {
			continue
		}
		sh := e.shard(shardOf(k))
		var kept []entry
		for _, en := range sh[k] {
			if en.msg != m {
				kept = append(kept, en)
			}
		}
		if kept == nil {
			delete(sh, k)
		} else {
			sh[k] = kept
		}
	}
}
