package httpapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// cost is what bounds how much may be done at once: what an operation takes most of.
type cost int

// The costs, in the order in which they are shed when memory runs short: the first goes first. Scans are the last: they are what the
// product is for.
const (
	costSearch  cost = iota // a search by words
	costBulk                // the work of thousands in one request
	costCapture             // one EPCIS event
	costHash                // hashing a password: a whole core for a moment, and 19 MiB
	costWrite
	costRead
	costScan
	costNone // probes: neither gated nor shed
)

var costNames = [...]string{"search", "bulk", "capture", "hash", "write", "read", "scan", "none"}

func (c cost) String() string { return costNames[c] }

// room is the size of one gate: how many requests work at once, how many may wait, and how long.
type room struct {
	slots, waiting int
	patience       time.Duration
}

// rooms are the gates of a process with that many cores. Patience and the time that the work itself takes stay well below a second, so
// that whoever is let in is answered within one.
func rooms(cores int) [costNone]room {
	const patience = 400 * time.Millisecond
	return [costNone]room{
		costSearch:  {slots: 2 * cores, waiting: 64, patience: patience},
		costBulk:    {slots: max(2, cores), waiting: 32, patience: patience},
		costCapture: {slots: 32, waiting: 256, patience: patience},
		costHash:    {slots: min(max(1, cores-1), 4), waiting: 64, patience: patience},
		costWrite:   {slots: 64, waiting: 256, patience: patience},
		costRead:    {slots: 64, waiting: 512, patience: patience},
		costScan:    {slots: 512, waiting: 1024, patience: patience},
	}
}

// gate lets so many requests in at once, a few more wait, and turns away the others at once. It shares both places fairly among the networks
// that requests come from:
//
//   - Waiting networks take turns, whatever number of requests each of them has waiting.
//   - When the waiting room is full, a newcomer takes the place of the last request of the network that has most waiting, if that one would
//     still have at least as many; the displaced one is turned away.
//   - No network works in more than three quarters of the places (of more than one), so that a newcomer need not wait for the long work
//     of another to end.
//   - A request that would not get its turn in time, going by how long work took of late and by whose turn it is, is turned away at once.
//
// It is safe for concurrent use.
type gate struct {
	room
	each  int // places of one network
	timer func(time.Duration) (<-chan time.Time, func() bool)

	mu      sync.Mutex
	running int
	waiting int
	parties map[rateID]*party
	turn    *party // whose turn is next among those that wait; they form a ring
	lines   int    // number of parties in the ring
	held    []int  // held[n] is how many parties have n requests waiting; held[0] means nothing
	most    int    // the largest n with held[n] > 0
	hold    int64  // how long work takes, as a moving average in nanoseconds
	pace    pace
	pressed bool // somebody had to wait or was turned away since the pace was adjusted

	refusing atomic.Int64 // when somebody was turned away last, in Unix nanoseconds
	idle     *party       // parties to be used again, linked by next
}

// party is one network at a gate.
type party struct {
	id         rateID
	running    int
	queue      []*waiter
	prev, next *party
}

// waiter waits for its turn; turn gets true when it comes, and false when the place is taken away.
type waiter struct{ turn chan bool }

func newGate(r room) *gate {
	g := &gate{
		room: r, each: max(1, r.slots*3/4), parties: map[rateID]*party{}, held: make([]int, r.waiting+2),
		timer: func(d time.Duration) (<-chan time.Time, func() bool) { t := time.NewTimer(d); return t.C, t.Stop },
	}
	return g
}

// ticket is a place at work, to be given back with leave.
type ticket struct {
	gate  *gate
	party *party
	since time.Time
}

// enter waits for a place at work. It gives false if there is none to be had in time.
func (g *gate) enter(ctx context.Context, id rateID) (ticket, bool) {
	now := time.Now()
	g.mu.Lock()
	p := g.partyOf(id)
	if g.pace.rate > 0 {
		g.call(now)
	}
	// Whoever waits now has its share of the places, or waits for the pace, which is then behind.
	if g.open(p.running) && g.pace.may(now.UnixNano(), g.slots) {
		p.running++
		g.running++
		g.mu.Unlock()
		return ticket{g, p, now}, true
	}
	g.pressed = true
	if !g.admits(p) {
		g.refusing.Store(now.UnixNano())
		g.drop(p)
		g.mu.Unlock()
		return ticket{}, false
	}
	w := &waiter{turn: make(chan bool, 1)}
	g.line(p, w)
	g.mu.Unlock()

	late, stop := g.timer(g.patience)
	defer stop()
	select {
	case ok := <-w.turn:
		return g.turned(p, ok)
	case <-late:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case ok := <-w.turn: // it came in the same instant
		return g.turned(p, ok)
	default:
	}
	g.unline(p, w)
	g.drop(p)
	return ticket{}, false
}

func (g *gate) turned(p *party, in bool) (ticket, bool) {
	if !in {
		return ticket{}, false
	}
	return ticket{g, p, time.Now()}, true
}

// leave gives the place to whoever is next. The ticket of nobody may be given back.
func (t ticket) leave() {
	g := t.gate
	if g == nil {
		return
	}
	now := time.Now()
	held := int64(now.Sub(t.since))
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hold == 0 {
		g.hold = held
	}
	g.hold += (held - g.hold) / 16
	g.running--
	t.party.running--
	g.call(now)
	g.drop(t.party)
}

// call lets in as many as there are places for, at the pace.
func (g *gate) call(now time.Time) {
	for g.running < g.slots && g.waiting > 0 && g.callNext(now.UnixNano()) {
		continue
	}
}

// adjust sets the pace by how late the process is, if anybody was pressed for room.
func (g *gate) adjust(now time.Time, late time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.pressed {
		late = 0
	}
	g.pressed = false
	g.pace.adjust(now.UnixNano(), late, float64(g.slots))
}

// open says whether there is a place for one more request of a network that works in so many.
func (g *gate) open(running int) bool {
	return g.running < g.slots && running < g.each && (g.pace.rate == 0 || g.waiting == 0)
}

// shut says whether enter would turn a request away at once, as far as that can be said cheaply. It is for times in which many are turned away, and
// says no in others.
func (g *gate) shut(id rateID, now time.Time) bool {
	if now.UnixNano()-g.refusing.Load() > int64(probeEvery) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pace.rate > 0 {
		g.call(now)
	}
	running, waits := 0, 0
	if p := g.parties[id]; p != nil {
		running, waits = p.running, len(p.queue)
	}
	if g.open(running) && g.pace.has(now.UnixNano(), g.slots) || g.hopeful(waits) && (g.waiting < g.room.waiting || waits+2 <= g.most) {
		return false
	}
	g.pressed = true
	return true
}

// hopeful says whether one more request of a network with so many waiting would get its turn in time.
func (g *gate) hopeful(waits int) bool {
	if g.room.waiting == 0 {
		return false
	}
	lines := g.lines
	if waits == 0 {
		lines++
	}
	// Its turn comes once in so many; and no later than after all that wait.
	turns := min((waits+1)*lines, g.waiting+1)
	if g.hold*int64(turns) > int64(g.patience)*int64(g.slots) || g.pace.rate > 0 && float64(turns) > g.patience.Seconds()*g.pace.rate {
		return false
	}
	return true
}

// admits says whether one more request of p may wait, and makes room for it by displacing another.
func (g *gate) admits(p *party) bool {
	if !g.hopeful(len(p.queue)) {
		return false
	}
	if g.waiting < g.room.waiting {
		return true
	}
	if len(p.queue)+2 > g.most {
		return false
	}
	victim := g.turn
	for len(victim.queue) < g.most {
		victim = victim.next
	}
	w := victim.queue[len(victim.queue)-1]
	g.unline(victim, w)
	g.drop(victim)
	w.turn <- false
	return true
}

// callNext lets in the next request whose network has a place left. It gives false if there is none.
func (g *gate) callNext(now int64) bool {
	p := g.turn
	for range g.lines {
		if p.running < g.each {
			if !g.pace.may(now, g.slots) {
				return false
			}
			w := p.queue[0]
			g.turn = p.next
			g.unline(p, w)
			p.running++
			g.running++
			w.turn <- true
			return true
		}
		p = p.next
	}
	return false
}

func (g *gate) partyOf(id rateID) *party {
	p := g.parties[id]
	if p == nil {
		if p = g.idle; p != nil {
			g.idle = p.next
			*p = party{id: id, queue: p.queue[:0]}
		} else {
			p = &party{id: id}
		}
		g.parties[id] = p
	}
	return p
}

// drop forgets a party that has nothing here any more.
func (g *gate) drop(p *party) {
	if p.running == 0 && len(p.queue) == 0 && g.parties[p.id] == p {
		delete(g.parties, p.id)
		p.next, g.idle = g.idle, p
	}
}

// line puts w at the end of p's queue.
func (g *gate) line(p *party, w *waiter) {
	if len(p.queue) == 0 {
		if g.turn == nil {
			p.prev, p.next, g.turn = p, p, p
		} else { // the end of the ring is before the one whose turn it is
			p.prev, p.next = g.turn.prev, g.turn
			p.prev.next, p.next.prev = p, p
		}
		g.lines++
	}
	g.count(p, 1)
	p.queue = append(p.queue, w)
}

// unline takes w out of p's queue.
func (g *gate) unline(p *party, w *waiter) {
	for i, other := range p.queue {
		if other != w {
			continue
		}
		g.count(p, -1)
		copy(p.queue[i:], p.queue[i+1:])
		p.queue[len(p.queue)-1] = nil
		p.queue = p.queue[:len(p.queue)-1]
		break
	}
	if len(p.queue) > 0 || p.next == nil {
		return
	}
	if g.turn == p {
		g.turn = p.next
	}
	if g.turn == p {
		g.turn = nil
	}
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = nil, nil
	g.lines--
}

// count keeps held and most in step when p's queue is about to change by one.
func (g *gate) count(p *party, by int) {
	n := len(p.queue)
	g.held[n]--
	g.held[n+by]++
	g.waiting += by
	if n+by > g.most {
		g.most = n + by
	}
	for g.most > 0 && g.held[g.most] == 0 {
		g.most--
	}
}
