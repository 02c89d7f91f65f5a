package httpapi

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
)

// Rate is a token bucket: Burst requests at once, and one more Every. The zero Rate is no limit.
type Rate struct {
	Every time.Duration
	Burst int
}

// maxBuckets is how many keys one limiter remembers: some 3 MB.
const maxBuckets = 1 << 15

// The bounds of what one limiter tells other replicas, and hears from them, at a time.
const (
	maxHeavy   = 64
	maxPending = 4096
)

// maxBursts is how many bursts a key may owe. Alone a replica grants one; the others are for what replicas granted before they heard of one another.
const maxBursts = 4

// limiter counts requests by key. It is safe for concurrent use.
//
// Memory is bounded, so under attack something must be forgotten, and what is forgotten is chosen so that it helps nobody: the key that owes
// least, which is the one whose bucket is nearest to full anyway. Three things follow, and a test holds them:
//
//   - No key is ever refused for what other keys do. A key that was forgotten begins anew with a full bucket; a newcomer always gets in.
//   - A flood of light keys cannot wash out a heavy one: light keys push out one another. To push out a key that owes n requests, an
//     attacker must spend n requests on each of maxBuckets other keys, and those keys count against wider networks too.
//   - A limiter never holds more than maxBuckets keys.
type limiter struct {
	limit Rate
	every int64 // nanoseconds, as all times here
	whole int64 // what a bucket that was used up owes
	most  int64 // the most that a key may owe, with what other replicas granted
	now   clock.Now
	cap   int
	hash  func(rateID) string // the name of a key among replicas; nil: there are no others

	mu      sync.Mutex
	at      map[rateID]int32 // index into buckets
	buckets []bucket
	free    []int32
	heap    []int32             // indices of buckets in use; the one that is full first is on top
	pending map[string]owedFrom // what other replicas granted, by hash, until the key is seen here
}

// bucket was full, or will be, at the time full. That one instant is all the state that a token bucket needs.
type bucket struct {
	id     rateID
	full   int64
	pos    int32  // in the heap
	recent uint32 // granted here since the last exchange
	name   string // hash of id, once it was needed
}

// owedFrom is a debt as it was at a time.
type owedFrom struct{ debt, at int64 }

func newLimiter(l Rate, now clock.Now, hash func(rateID) string) *limiter {
	if l.Burst <= 0 || l.Every <= 0 {
		return nil
	}
	whole := int64(l.Every) * int64(l.Burst)
	return &limiter{
		limit: l, every: int64(l.Every), whole: whole, most: maxBursts * whole, now: now, cap: maxBuckets, hash: hash,
		at: map[rateID]int32{}, pending: map[string]owedFrom{},
	}
}

// grant is the answer to one request: what remains of the burst, when the bucket is whole again, and, for a refused one, how long until the next
// would be granted.
type grant struct {
	ok          bool
	limit, left int
	reset, wait time.Duration
}

// take asks for one request of a key.
func (l *limiter) take(id rateID) grant {
	now := l.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	i, known := l.at[id]
	var owed int64
	if known {
		owed = l.owed(l.buckets[i].full, now)
		if l.buckets[i].full > now+owed { // the clock was set back
			l.set(i, now+owed)
		}
	}
	if len(l.pending) > 0 {
		if more := l.claim(i, known, id, now); more > 0 {
			owed = min(owed+more, l.most)
			if known {
				l.set(i, now+owed)
			}
		}
	}
	after := owed + l.every
	if after > l.whole {
		if !known && owed > 0 {
			l.insert(id, now, now+owed)
		}
		return grant{limit: l.limit.Burst, reset: time.Duration(owed), wait: time.Duration(after - l.whole)}
	}
	if !known {
		i = l.insert(id, now, now+after)
	} else {
		l.set(i, now+after)
	}
	l.buckets[i].recent++
	return grant{ok: true, limit: l.limit.Burst, left: int((l.whole - after) / l.every), reset: time.Duration(after)}
}

// refund gives back what take granted for a request that was refused elsewhere.
func (l *limiter) refund(id rateID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.at[id]; ok {
		b := &l.buckets[i]
		b.recent -= min(b.recent, 1)
		l.set(i, b.full-l.every)
	}
}

// owed is a debt at now. It is bounded, because the clock may have been set back.
func (l *limiter) owed(full, now int64) int64 { return min(max(full-now, 0), l.most) }

func (l *limiter) set(i int32, full int64) {
	l.buckets[i].full = full
	l.down(int(l.buckets[i].pos))
	l.up(int(l.buckets[i].pos))
}

// insert remembers a new key. It forgets two keys that owe nothing, if there are, and the one that owes least if there is no room.
func (l *limiter) insert(id rateID, now, full int64) int32 {
	for range 2 {
		if len(l.heap) > 0 && l.buckets[l.heap[0]].full <= now {
			l.forgetTop()
		}
	}
	if len(l.heap) >= l.cap {
		l.forgetTop()
	}
	var i int32
	if n := len(l.free); n > 0 {
		i, l.free = l.free[n-1], l.free[:n-1]
	} else {
		i = int32(len(l.buckets))
		l.buckets = append(l.buckets, bucket{})
	}
	l.buckets[i] = bucket{id: id, full: full, pos: int32(len(l.heap))}
	l.heap = append(l.heap, i)
	l.at[id] = i
	l.up(len(l.heap) - 1)
	return i
}

func (l *limiter) forgetTop() {
	i := l.heap[0]
	last := len(l.heap) - 1
	l.swap(0, last)
	l.heap = l.heap[:last]
	l.down(0)
	delete(l.at, l.buckets[i].id)
	l.buckets[i] = bucket{}
	l.free = append(l.free, i)
}

func (l *limiter) swap(a, b int) {
	l.heap[a], l.heap[b] = l.heap[b], l.heap[a]
	l.buckets[l.heap[a]].pos, l.buckets[l.heap[b]].pos = int32(a), int32(b)
}

func (l *limiter) less(a, b int) bool { return l.buckets[l.heap[a]].full < l.buckets[l.heap[b]].full }

func (l *limiter) up(i int) {
	for i > 0 && l.less(i, (i-1)/2) {
		l.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (l *limiter) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(l.heap); child++ {
			if l.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		l.swap(i, least)
		i = least
	}
}

// claim gives what other replicas granted this key since it was last seen here. Both debts shrank meanwhile.
func (l *limiter) claim(i int32, known bool, id rateID, now int64) int64 {
	var name string
	if known {
		if l.buckets[i].name == "" {
			l.buckets[i].name = l.hash(id)
		}
		name = l.buckets[i].name
	} else {
		name = l.hash(id)
	}
	p, ok := l.pending[name]
	if !ok {
		return 0
	}
	delete(l.pending, name)
	return max(p.debt-max(now-p.at, 0), 0)
}

// heavy gives how many requests were granted here since the last call, by hash, for those keys that used their limit most. Keys that owe less
// than a sixteenth of their burst, and used less than a sixteenth of their rate since, are left out.
func (l *limiter) heavy(since time.Duration) map[string]uint32 {
	now := l.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	var most []int32
	for _, i := range l.heap {
		b := &l.buckets[i]
		if b.recent == 0 {
			continue
		}
		if l.owed(b.full, now) >= l.whole/16 || l.used(i) >= int64(since)/16 {
			most = append(most, i)
		} else {
			b.recent = 0
		}
	}
	if len(most) > maxHeavy {
		slices.SortFunc(most, func(a, b int32) int { return cmp.Compare(l.buckets[b].full+l.used(b), l.buckets[a].full+l.used(a)) })
	}
	var out map[string]uint32
	for n, i := range most {
		b := &l.buckets[i]
		if n < maxHeavy {
			if out == nil {
				out = make(map[string]uint32, min(len(most), maxHeavy))
			}
			if b.name == "" {
				b.name = l.hash(b.id)
			}
			out[b.name] = b.recent
		}
		b.recent = 0
	}
	l.shrink()
	return out
}

// used is what was granted of late, as time.
func (l *limiter) used(i int32) int64 { return int64(l.buckets[i].recent) * l.every }

// hear notes that another replica granted n requests to the key with this hash.
func (l *limiter) hear(name string, n uint32) {
	now := l.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pending[name]
	if p.at == 0 && len(l.pending) >= maxPending {
		return
	}
	debt := max(p.debt-max(now-p.at, 0), 0) + min(int64(n), maxBursts*int64(l.limit.Burst))*l.every
	l.pending[name] = owedFrom{debt: min(debt, l.most), at: now}
}

// fade drops what other replicas granted and what is paid back by now.
func (l *limiter) fade() {
	now := l.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, p := range l.pending {
		if p.debt <= now-p.at {
			delete(l.pending, name)
		}
	}
}

// shrink gives memory back that a flood took.
func (l *limiter) shrink() {
	now := l.now().UnixNano()
	for len(l.heap) > 0 && l.buckets[l.heap[0]].full <= now {
		l.forgetTop()
	}
	n := len(l.heap)
	if cap(l.buckets) <= 1024 || cap(l.buckets) < 8*n {
		return
	}
	at, buckets := make(map[rateID]int32, n), make([]bucket, n)
	for pos, i := range l.heap {
		buckets[pos] = l.buckets[i]
		at[buckets[pos].id] = int32(pos)
		l.heap[pos] = int32(pos)
	}
	l.at, l.buckets, l.free, l.heap = at, buckets, nil, slices.Clip(slices.Clone(l.heap))
}
