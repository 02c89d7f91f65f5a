package httpapi

import (
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gauge is a Meter that tests set.
type gauge struct {
	used, limit atomic.Uint64
	asked       atomic.Int64
}

func (g *gauge) Memory() (used, limit uint64) {
	g.asked.Add(1)
	return g.used.Load(), g.limit.Load()
}

// The fuller the memory, the more is turned away: searches first, scans last, and probes never.
func TestShedding(t *testing.T) {
	t.Parallel()
	g := &gauge{}
	g.limit.Store(1000)
	s := newShedder(g)
	at := time.Unix(1_700_000_000, 0)
	var order []string
	for used := uint64(0); used <= 1500; used += 10 {
		g.used.Store(used)
		at = at.Add(meterEvery)
		for c := costSearch; c <= costNone; c++ {
			if !s.allows(c, at) && !slices.Contains(order, c.String()) {
				order = append(order, c.String())
			}
		}
	}
	if want := []string{"search", "bulk", "capture", "hash", "write", "read", "scan"}; !slices.Equal(order, want) {
		t.Errorf("shed in the order %v", order)
	}
	g.used.Store(0)
	if s.allows(costScan, at.Add(meterEvery-1)) {
		t.Error("the meter is asked too often")
	}
	if !s.allows(costSearch, at.Add(meterEvery)) {
		t.Error("what was shed does not come back")
	}
	if !s.allows(costSearch, at.Add(-time.Hour)) || g.asked.Load() < 3 {
		t.Error("a clock that is set back stops the meter")
	}
}

// Bodies count before the collector sees them, and have a budget of their own.
func TestBodyBudget(t *testing.T) {
	t.Parallel()
	g := &gauge{}
	s := newShedder(g)
	who := rateID{1}
	fills := func(budget int64) {
		t.Helper()
		if s.reserve(who, budget+1) != reservedNone || s.reserve(who, budget) != reservedAll || s.reserve(rateID{2}, 1) != reservedNone {
			t.Errorf("the budget is not %d", budget)
		}
	}
	fills(maxBodies) // without a limit
	s.release(who, maxBodies)
	g.limit.Store(64 * minBodies)
	s.allows(costScan, time.Unix(1, 0))
	fills(4 * minBodies) // a sixteenth of the memory
	g.used.Store(61 * minBodies)
	if s.allows(costScan, time.Unix(2, 0)) {
		t.Error("bodies under way do not count")
	}
	s.release(who, 4*minBodies)
	if !s.allows(costScan, time.Unix(3, 0)) || s.bodies.Load() != 0 || len(s.held) != 0 {
		t.Error("bodies that were released count")
	}
	g.limit.Store(1 << 20)
	g.used.Store(0)
	s.allows(costScan, time.Unix(4, 0))
	fills(minBodies) // there is always room for a few
}

// One caller gets half of the budget; so many callers that each send without end get the same, and the next one still gets in.
func TestBodySharing(t *testing.T) {
	t.Parallel()
	for _, callers := range []int{1, 2, 3, 7, 15} {
		s := newShedder(&gauge{})
		const piece = maxBodies / 1024
		for going := true; going; {
			going = false
			for who := range callers {
				going = s.reserve(rateID{byte(who)}, piece) == reservedAll || going
			}
		}
		fair := int64(maxBodies / (callers + 1))
		for who := range callers {
			id := rateID{byte(who)}
			if got := s.held[id]; got < fair-2*piece || got > fair+2*piece {
				t.Errorf("%d callers: %d has %d, a fair share is %d", callers, who, got, fair)
			}
			if s.reserve(id, piece) != reservedShare {
				t.Errorf("%d callers: one more of %d's", callers, who)
			}
		}
		if s.reserve(rateID{255}, fair-2*int64(callers)*piece) != reservedAll {
			t.Errorf("%d callers leave no room for another", callers)
		}
	}
}

// Over HTTP: what is shed gets 503 with Retry-After, scans and probes are still answered.
func TestSheddingOverHTTP(t *testing.T) {
	t.Parallel()
	g := &gauge{}
	g.limit.Store(1000)
	b := setup(t, withGuard(t, GuardConfig{Meter: g}))
	g.used.Store(920)
	for target, want := range map[string]int{
		"/01/06901234567892": 200, "/healthz": 200, "/v1/warnings": 503, "/v1/warnings?q=x": 503, "/nothing": 503, "/docs": 503,
	} {
		resp := b.do200(t, target)
		if resp.StatusCode != want || (want == 503) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("%s: %d, Retry-After %q", target, resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	resp := b.do(t, request("PUT", "/v1/products/06901234567892", "not even JSON", "Authorization", asSeller))
	if p := readProblem(t, resp); resp.StatusCode != 503 || p.Code != "overloaded" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
}

// withGuard gives the server a guard.
func withGuard(t testing.TB, cfg GuardConfig) func(*Deps) {
	t.Helper()
	return func(d *Deps) {
		g, err := NewGuard(cfg)
		if err != nil {
			t.Fatal(err)
		}
		d.Guard = g
	}
}

func TestGroupLimit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"nothing", nil, 0},
		{"own group", map[string]string{"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "134217728\n", "/sys/fs/cgroup/memory.max": "1"}, 134217728},
		{"container", map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "268435456\n"}, 268435456},
		{"no limit", map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"version 1", map[string]string{"/proc/self/cgroup": "4:memory:/x\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 536870912},
		{"version 1 without", map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		{"nonsense", map[string]string{"/sys/fs/cgroup/memory.max": "-1\n"}, 0},
	}
	for _, tt := range tests {
		got := groupLimit(func(path string) ([]byte, error) {
			if v, ok := tt.files[path]; ok {
				return []byte(v), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestProcessMeter(t *testing.T) {
	t.Parallel()
	runtime.GC()
	used, _ := newProcessMeter().Memory()
	if used < 1<<20 || used > math.MaxInt32 {
		t.Errorf("this process uses %d bytes", used)
	}
}

// In a flood the log has a line now and then, which says how many it stands for.
func TestRefusalsAreLoggedSparingly(t *testing.T) {
	t.Parallel()
	g, err := NewGuard(GuardConfig{})
	if err != nil {
		t.Fatal(err)
	}
	at, lines, total := time.Unix(1_700_000_000, 0), 0, int64(0)
	for range 1000 {
		if spare, spared := g.sparing(at); !spare {
			lines++
			total += 1 + spared
		}
		at = at.Add(time.Millisecond)
	}
	if lines != 10 || total != 901 {
		t.Errorf("%d lines about %d refusals", lines, total)
	}
	b := setup(t, func(d *Deps) { d.Limits = &Limits{Read: Bounds{Address: Rate{Every: time.Hour, Burst: 1}}} })
	for range 3 {
		b.do(t, request("GET", "/v1/warnings", ""))
	}
	if log := b.log.String(); strings.Count(log, "rate_limited") != 1 || strings.Count(log, "ERROR") > 0 {
		t.Error(log)
	}
	if got := fmt.Sprint(costScan, costNone); got != "scan none" {
		t.Error(got)
	}
}
