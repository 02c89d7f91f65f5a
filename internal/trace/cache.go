package trace

import (
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

// chainMaxAge bounds how long a change made by another replica may be unseen in a chain. A unit's chain is made from its lot's,
// and that from the product's, so of a unit's lot it may be unseen for twice, and of its product for three times as long.
const chainMaxAge = 2 * time.Second

// pendingMaxAge is chainMaxAge for a chain with an event that waits for its leaf in the transparency log: what it says will change
// very soon.
const pendingMaxAge = 400 * time.Millisecond

// cacheSizes are those of a service's caches. A unit that shares what was rendered for its lot takes half a KiB of the chains, one with a
// history of its own a few.
type cacheSizes struct {
	chainKiB uint64 // of the chains, roughly
	recent   int    // units whose scans are known
	captures int    // captures known to be complete
}

var productionSizes = cacheSizes{chainKiB: 16384, recent: 16384, captures: 16384}

// maxTouched is how many changed nodes are remembered.
const maxTouched = 65536

// chainCache keeps what was read from the store: chains by node. A chain is dropped at once when this process writes anything
// that it was made from, and after chainMaxAge in any case.
type chainCache struct {
	chains *otter.Cache[string, *chain]

	mu      sync.RWMutex
	seq     uint64
	touched map[string]uint64 // node → the sequence number of its last change
	floor   uint64            // chains that began before are stale: touched was emptied then
}

func newChainCache(kib uint64) *chainCache {
	return &chainCache{
		chains: otter.Must(&otter.Options[string, *chain]{
			MaximumWeight: kib, Weigher: func(_ string, c *chain) uint32 { return c.weight() },
			ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, *chain]) time.Duration {
				if e.Value.pending {
					return pendingMaxAge
				}
				return chainMaxAge
			}),
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
