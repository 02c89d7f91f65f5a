// Package clocktest has a clock for tests.
package clocktest

import (
	"sync"
	"time"
)

// Clock is a time that tests move. It is safe for concurrent use.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// New makes a clock that stands at t.
func New(t time.Time) *Clock { return &Clock{t: t} }

// Now is a clock.Now.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
