package trace

import (
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

// chainMaxAge bounds how long a change made by another replica may be unseen in a chain. A unit's chain is made from its lot's,
// and that from the product's, so of a unit's lot it may be unseen for twice, and of its product for three times as long.
const chainMaxAge = 2 * time.Second

// The sizes of the caches: chains in KiB, roughly, the scans of units in entries. A unit that shares what was rendered for its lot
// takes half a KiB, one with a history of its own a few.
const (
	chainKiB      = 16384
	recentEntries = 16384
	maxTouched    = 65536
)

// chainCache keeps what was read from the store: chains by node. A chain is dropped at once when this process writes anything
// that it was made from, and after chainMaxAge in any case.
type chainCache struct {
	chains *otter.Cache[string, *chain]

	mu      sync.RWMutex
	seq     uint64
	touched map[string]uint64 // node → the sequence number of its last change
	floor   uint64            // chains that began before are stale: touched was emptied then
}

func newChainCache() *chainCache {
	return &chainCache{
		chains: otter.Must(&otter.Options[string, *chain]{
			MaximumWeight: chainKiB, Weigher: func(_ string, c *chain) uint32 { return c.weight() },
			ExpiryCalculator: otter.ExpiryWriting[string, *chain](chainMaxAge),
		}),
		touched: map[string]uint64{},
	}
}

// begin gives the number that a chain about to be read will carry: every change from now on is later.
func (c *chainCache) begin() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.seq
}

// touch says that nodes changed. It is called after the write is durable.
func (c *chainCache) touch(nodes ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	if len(c.touched)+len(nodes) > maxTouched {
		clear(c.touched)
		c.floor = c.seq
	}
	for _, n := range nodes {
		c.touched[n] = c.seq
	}
}

// fresh says whether nothing that ch was made from has changed since.
func (c *chainCache) fresh(ch *chain) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if ch.seq < c.floor {
		return false
	}
	for _, n := range ch.deps {
		if c.touched[n] > ch.seq {
			return false
		}
	}
	return true
}

func (c *chainCache) get(key string) *chain {
	ch, ok := c.chains.GetIfPresent(key)
	if !ok || !c.fresh(ch) {
		return nil
	}
	return ch
}

func (c *chainCache) put(key string, ch *chain) { c.chains.Set(key, ch) }
