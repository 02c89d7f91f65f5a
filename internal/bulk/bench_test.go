package bulk

import (
	"runtime"
	"strings"
	"testing"
)

// BenchmarkImport imports 100,000 lots durably into SQLite, and the same file again, which changes nothing. heap-MB is the most that the heap held
// beyond what it held before, looked at after every tenth step.
func BenchmarkImport(b *testing.B) {
	const rows = 100_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	file := lotsCSV(rows)
	for b.Loop() {
		b.StopTimer()
		s := setup(b)
		s.goods()
		b.StartTimer()
		for _, again := range []bool{false, true} {
			before, peak, steps := heap(), uint64(0), 0
			o, err := Load(b.Context(), s.world, s.firm, Lots, false, strings.NewReader(file), int64(len(file)), func(_ []Problem, _ Tally, _, _ int64) {
				if steps++; steps%10 == 0 {
					if now := heap(); now > before {
						peak = max(peak, now-before)
					}
				}
			})
			if err != nil || !again && o.New != rows || again && o.Unchanged != rows {
				b.Fatal(o, err)
			}
			b.ReportMetric(float64(peak)/(1<<20), map[bool]string{false: "heap-MB", true: "again-heap-MB"}[again])
		}
	}
	b.ReportMetric(2*rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
