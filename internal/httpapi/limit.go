package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/clock"
)

// Rate is a token bucket: Burst requests at once, and one more Every.
type Rate struct {
	Every time.Duration
	Burst int
}

// The number of buckets at which full ones are first dropped, and the most that there may ever be: about 20 MB.
const (
	sweepBuckets = 10_000
	maxBuckets   = 100_000
)

// limiter counts requests by key, in this process only. It is safe for concurrent use.
type limiter struct {
	limit Rate
	now   clock.Now

	mu      sync.Mutex
	buckets map[string]bucket
	sweepAt int // number of buckets at which to sweep next
}

// bucket was full, or will be, at the time full. That one instant is all the state that a token bucket needs.
type bucket struct{ full time.Time }

func newLimiter(l Rate, now clock.Now) *limiter {
	if l.Burst <= 0 || l.Every <= 0 {
		return nil
	}
	return &limiter{limit: l, now: now, buckets: map[string]bucket{}, sweepAt: sweepBuckets}
}

// take asks for one request of key. left is what remains of the burst, reset when it is whole again, and wait how long until
// the next request would be granted when this one is not.
func (l *limiter) take(key string) (ok bool, left int, reset, wait time.Duration) {
	now := l.now()
	whole := time.Duration(l.limit.Burst) * l.limit.Every
	l.mu.Lock()
	defer l.mu.Unlock()
	debt := min(max(l.buckets[key].full.Sub(now), 0), whole) // min: the clock may have been set back
	after := debt + l.limit.Every
	if after > whole {
		return false, 0, debt, after - whole
	}
	if len(l.buckets) >= l.sweepAt {
		l.sweep(now)
	}
	l.buckets[key] = bucket{full: now.Add(after)}
	return true, int((whole - after) / l.limit.Every), after, 0
}

// sweep drops full buckets, which say nothing. If an attacker still holds too many, any tenth may go: forgetting is generous, but
// memory is bounded. The next sweep comes when there are twice as many, so that a request pays for a constant share of it.
func (l *limiter) sweep(now time.Time) {
	for k, b := range l.buckets {
		if !b.full.After(now) {
			delete(l.buckets, k)
		}
	}
	if len(l.buckets) >= maxBuckets {
		for k := range l.buckets {
			if len(l.buckets) <= maxBuckets*9/10 {
				break
			}
			delete(l.buckets, k)
		}
	}
	l.sweepAt = min(max(sweepBuckets, 2*len(l.buckets)), maxBuckets)
}

// admitRate counts the request against a limiter, which may be nil, and tells the client where it stands.
func (s *server) admitRate(c *fiber.Ctx, l *limiter) error {
	if l == nil {
		return nil
	}
	ok, left, reset, wait := l.take(rateKey(s.clientAddr(c)))
	c.Set("RateLimit-Limit", strconv.Itoa(l.limit.Burst))
	c.Set("RateLimit-Remaining", strconv.Itoa(left))
	c.Set("RateLimit-Reset", strconv.Itoa(seconds(reset)))
	if ok {
		return nil
	}
	r := refuse(http.StatusTooManyRequests, "rate_limited", "too many requests; wait %d s", seconds(wait))
	r.retry = wait
	return r
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
