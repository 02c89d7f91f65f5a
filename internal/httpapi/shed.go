package httpapi

import (
	"bytes"
	"math"
	"os"
	"path"
	"runtime/debug"
	gauges "runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Meter tells how much memory is in use and how much may be, in bytes. A limit of 0 is none. It is asked ten times a second at most.
type Meter interface {
	Memory() (used, limit uint64)
}

// pressures are the shares of the memory from which on requests are turned away, by what they cost. Between the first and the last there is
// room for the garbage of what is under way.
var pressures = [costNone]float64{
	costSearch: 0.70, costBulk: 0.75, costCapture: 0.80, costHash: 0.80, costWrite: 0.85, costRead: 0.90, costScan: 0.97,
}

const (
	meterEvery = 100 * time.Millisecond
	// bodyShare of the memory may be bodies under way: what is made of a body takes several times as much. minBodies is for those who have
	// little, maxBodies for those who have no limit.
	bodyShare = 16
	minBodies = 16 << 20
	maxBodies = 256 << 20
)

// shedder turns requests away while there is still memory to do so. It is safe for concurrent use.
type shedder struct {
	meter Meter

	asked    atomic.Int64  // when the meter was asked last, in Unix nanoseconds
	pressure atomic.Uint64 // the bits of a float64: the share of memory that is in use
	budget   atomic.Int64  // bytes of bodies that may be under way
	bodies   atomic.Int64  // bytes of bodies that are; written under mu

	mu   sync.Mutex
	held map[rateID]int64 // of them, by caller; those that hold any
}

func newShedder(m Meter) *shedder {
	s := &shedder{meter: m, held: map[rateID]int64{}}
	s.budget.Store(maxBodies)
	return s
}

// allows says whether there is memory for a request of this cost. It asks the meter if nobody has for a while: then one request pays for
// it, some microseconds.
func (s *shedder) allows(c cost, now time.Time) bool {
	asked, at := s.asked.Load(), now.UnixNano()
	if since := at - asked; (since >= int64(meterEvery) || since < 0) && s.asked.CompareAndSwap(asked, at) {
		s.measure()
	}
	if c >= costNone {
		return true
	}
	return math.Float64frombits(s.pressure.Load()) < pressures[c]
}

func (s *shedder) measure() {
	used, limit := s.meter.Memory()
	if limit == 0 {
		s.pressure.Store(0)
		s.budget.Store(maxBodies)
		return
	}
	used += uint64(max(s.bodies.Load(), 0))
	s.pressure.Store(math.Float64bits(float64(used) / float64(limit)))
	s.budget.Store(int64(min(max(limit/bodyShare, minBodies), maxBodies)))
}

// The outcomes of reserve.
type reserved int

const (
	reservedAll   reserved = iota
	reservedShare          // the caller has as much under way as leaves room for others
	reservedNone           // all callers together have
)

// reserve takes n bytes for a body of a caller before they are read; release gives them back. No caller may have more under way than is left
// for others: alone it gets half of the budget, and with every caller that comes the share of each shrinks, so that there is room for the next
// however many they are and whatever one of them sends. (The dynamic threshold of Choudhury and Hahne, "Dynamic queue length thresholds for
// shared-memory packet switches", with a factor of one.)
func (s *shedder) reserve(who rateID, n int64) reserved {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.budget.Load() - s.bodies.Load()
	own := s.held[who]
	switch {
	case n == 0: // nothing to give back either
		return reservedAll
	case n > left:
		return reservedNone
	case own > 0 && own+n > left: // one body is let in wherever it fits
		return reservedShare
	}
	s.held[who] = own + n
	s.bodies.Add(n)
	return reservedAll
}

func (s *shedder) release(who rateID, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[who] -= n; s.held[who] <= 0 {
		delete(s.held, who)
	}
	s.bodies.Add(-n)
}

// processMeter measures this process: what lives on the heap and what the stacks take. Garbage is not counted: the collector sees to it that
// it stays within its limit. The limit is GOMEMLIMIT, or else nine tenths of what the process's control group may have.
type processMeter struct{ limit uint64 }

func newProcessMeter() *processMeter {
	if l := debug.SetMemoryLimit(-1); l > 0 && l < math.MaxInt64 {
		return &processMeter{limit: uint64(l)}
	}
	return &processMeter{limit: groupLimit(os.ReadFile) / 10 * 9}
}

func (m *processMeter) Memory() (used, limit uint64) {
	samples := [...]gauges.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	gauges.Read(samples[:])
	for _, s := range samples {
		if s.Value.Kind() == gauges.KindUint64 {
			used += s.Value.Uint64()
		}
	}
	return used, m.limit
}

// groupLimit is the memory limit of the control group that the process is in (cgroup v2, else v1), in bytes; 0 if there is none. Inside a
// container the group is mostly the root of what can be seen.
func groupLimit(read func(string) ([]byte, error)) uint64 {
	var own string
	if b, err := read("/proc/self/cgroup"); err == nil {
		for line := range bytes.Lines(b) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::"); ok {
				own = name
			}
		}
	}
	for _, file := range []string{
		path.Join("/sys/fs/cgroup", own, "memory.max"), "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
	} {
		b, err := read(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		if err == nil && n > 0 && n < 1<<60 { // v1 writes a huge number, v2 'max', for none
			return n
		}
	}
	return 0
}
