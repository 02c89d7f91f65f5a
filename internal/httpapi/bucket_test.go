package httpapi

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
)

func keyOf(n int) rateID {
	var id rateID
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func TestLimiterForgetsWhatIsFull(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(now)
	l := newLimiter(Rate{Every: time.Second, Burst: 1}, clk.Now, func(id rateID) string { return string(id[:]) })
	for i := range 10_000 {
		l.take(keyOf(i))
	}
	clk.Advance(time.Second)
	l.heavy(time.Second) // as each second
	l.take(keyOf(-1))
	if len(l.at) != 1 || cap(l.buckets) > 1024 {
		t.Errorf("%d keys, room for %d", len(l.at), cap(l.buckets))
	}
	for i := range 3 * maxBuckets {
		l.take(keyOf(i))
		if len(l.at) > maxBuckets {
			t.Fatalf("%d keys", len(l.at))
		}
	}
	if l.take(keyOf(3*maxBuckets - 1)).ok {
		t.Error("the newest key is forgotten")
	}
	checkHeap(t, l)
}

func TestRefund(t *testing.T) {
	t.Parallel()
	l := newLimiter(Rate{Every: time.Second, Burst: 2}, clocktest.New(now).Now, nil)
	l.take(keyOf(1))
	l.take(keyOf(1))
	l.refund(keyOf(1))
	l.refund(keyOf(2)) // who has nothing
	if !l.take(keyOf(1)).ok || l.take(keyOf(1)).ok {
		t.Error("a refund is worth one request")
	}
	checkHeap(t, l)
}

// A clock that is set back must not lock anybody out for longer than the burst takes.
func TestLimiterWithAClockSetBack(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(now)
	l := newLimiter(Rate{Every: time.Second, Burst: 2}, clk.Now, nil)
	l.take(keyOf(1))
	clk.Advance(-time.Hour)
	if g := l.take(keyOf(1)); g.ok || g.wait > 7*time.Second {
		t.Errorf("%+v", g)
	}
	clk.Advance(7 * time.Second)
	if !l.take(keyOf(1)).ok {
		t.Error("still locked out")
	}
}

func checkHeap(t *testing.T, l *limiter) {
	t.Helper()
	if len(l.heap) != len(l.at) || len(l.heap)+len(l.free) != len(l.buckets) {
		t.Fatalf("%d in the heap, %d by key, %d free, %d in all", len(l.heap), len(l.at), len(l.free), len(l.buckets))
	}
	for pos, i := range l.heap {
		b := l.buckets[i]
		if l.at[b.id] != i || int(b.pos) != pos || pos > 0 && l.less(pos, (pos-1)/2) {
			t.Fatalf("the heap is broken at %d", pos)
		}
	}
}

// The properties that limiter promises, under random attacks that hold many more keys than it remembers. Honest clients keep to the rate, a heavy
// one tries ten times as much, and the attacker's keys come and go, some of them many times.
func TestLimiterUnderAttack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			clk := clocktest.New(now)
			rate := Rate{Every: time.Duration(1+r.IntN(2000)) * time.Millisecond, Burst: 1 + r.IntN(50)}
			l := newLimiter(rate, clk.Now, nil)
			l.cap = 64 + r.IntN(200)
			const honest, heavy = 5, 6
			repeat := 1 + r.IntN(3) // how many requests an attacker's key makes
			granted, steps := 0, 4000
			for step := range steps {
				for range r.IntN(12) { // many more keys than are remembered
					l.take(keyOf(1000 + r.IntN(50*l.cap)/repeat))
				}
				for range 10 {
					if l.take(keyOf(heavy)).ok {
						granted++
					}
				}
				if key := step % honest; !l.take(keyOf(key)).ok {
					t.Fatalf("step %d: an honest client was refused", step)
				}
				if len(l.at) > l.cap {
					t.Fatalf("%d keys of %d", len(l.at), l.cap)
				}
				clk.Advance(rate.Every / honest) // so each honest client asks once per Every
			}
			checkHeap(t, l)
			// Until it owes more than the attacker's keys, the heavy one may be forgotten; that is a matter of a few requests.
			fair := rate.Burst + steps/honest
			if granted < fair*9/10 || granted > fair+fair/10+10 {
				t.Errorf("the heavy client got %d requests, and should have got some %d", granted, fair)
			}
		})
	}
}

func TestRateIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b                 string
		sameAddress, sameNet bool
	}{
		{"203.0.113.7", "203.0.113.7", true, true},
		{"203.0.113.7", "203.0.113.8", false, true},
		{"203.0.113.7", "203.0.114.7", false, false},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true, true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false, true},
		{"2001:db8:1:2::1", "2001:db8:2:2::1", false, false},
		{"::1", "0.0.0.1", false, false},
	} {
		a, b := netip.MustParseAddr(c.a), netip.MustParseAddr(c.b)
		if got := addressID(a) == addressID(b); got != c.sameAddress {
			t.Errorf("%s and %s: one address: %v", c.a, c.b, got)
		}
		if got := networkID(a) == networkID(b); got != c.sameNet {
			t.Errorf("%s and %s: one network: %v", c.a, c.b, got)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	for name, keys := range map[string]int{"100 keys": 100, "30000 keys": 30_000, "flood": 1 << 30} {
		b.Run(name, func(b *testing.B) {
			l := newLimiter(Rate{Every: 5 * time.Millisecond, Burst: 2000}, time.Now, nil)
			r := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				l.take(keyOf(r.IntN(keys)))
			}
		})
	}
}
