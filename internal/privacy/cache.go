package privacy

import (
	"sync"
	"time"
)

const (
	// cacheFor is how long an unwrapped data key is used without a look at the store: so long may an erasure by another replica be unseen, and
	// no longer. The promise is 2 s; the rest is for clocks and pauses.
	cacheFor = time.Second
	// cacheSize is how many data keys are kept, of some 800 bytes each.
	cacheSize = 4096
)

// cache keeps data keys that were used within the last second. It has two generations: when the young one holds half of what is allowed it
// becomes the old one, which is dropped. Since nothing is kept for longer than a second, no finer order of use is worth its cost.
type cache struct {
	mu         sync.Mutex
	young, old map[string]cached
	half       int
}

type cached struct {
	key   *key
	until time.Time
}

func newCache(size int) *cache {
	return &cache{young: map[string]cached{}, half: max(size/2, 1)}
}

// get gives the key of a record if it may still be used, else nil.
func (c *cache) get(record string, now time.Time) *key {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[record]
	if !ok {
		e = c.old[record]
	}
	if e.key == nil || !now.Before(e.until) {
		return nil
	}
	return e.key
}

func (c *cache) put(record string, k *key, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[string]cached, c.half)
	}
	c.young[record] = cached{k, until}
}

func (c *cache) drop(record string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, record)
	delete(c.old, record)
}
