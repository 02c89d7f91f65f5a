package mongo

import "sync"

// wakes are the channels that were handed out, by collection.
type wakes struct {
	mu sync.Mutex
	by map[string][]chan struct{}
}

// maxFollowers bounds the channels of a collection.
const maxFollowers = 64

// Wake gives a new channel that gets a value soon after this process wrote to coll's feed. A value that nobody took yet stands
// for any number of writes. The engine keeps the channel, so a follower asks once; from the 65th on followers share one.
func (e *Engine) Wake(coll string) <-chan struct{} {
	e.wakes.mu.Lock()
	defer e.wakes.mu.Unlock()
	if e.wakes.by == nil {
		e.wakes.by = map[string][]chan struct{}{}
	}
	if all := e.wakes.by[coll]; len(all) == maxFollowers {
		return all[maxFollowers-1]
	}
	ch := make(chan struct{}, 1)
	e.wakes.by[coll] = append(e.wakes.by[coll], ch)
	return ch
}

func (e *Engine) wake(c *collection) {
	if !c.feed {
		return
	}
	e.wakes.mu.Lock()
	defer e.wakes.mu.Unlock()
	for _, ch := range e.wakes.by[c.name] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
