package trace

import (
	"context"
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkCaptureMemory captures documents of 1,000 and of 10,000 events as their job does. heap-MB is the most that the heap held beyond what it held
// before, looked at after every batch; it should hardly depend on the number of events.
func BenchmarkCaptureMemory(b *testing.B) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, behaviour := range []string{Rollback, Proceed} {
		for _, n := range []int{1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", behaviour, n), func(b *testing.B) {
				s := setupJobs(b)
				ctx := b.Context()
				peak, round := uint64(0), 0
				for b.Loop() {
					round++
					sent := s.send(largeOf(fmt.Sprintf("R%d-", round), n), behaviour)
					d, err := s.captures.Get(ctx, sent.ID)
					must(b, err)
					before := heap()
					c := &capturing{s: s.Service, f: s.maker, id: sent.ID, doc: d.V, progress: func(context.Context, int, int) error {
						if now := heap(); now > before {
							peak = max(peak, now-before)
						}
						return nil
					}}
					must(b, c.run(ctx))
					if c.doc.Stored != n {
						b.Fatalf("%+v", c.doc)
					}
				}
				b.ReportMetric(float64(peak)/(1<<20), "heap-MB")
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
