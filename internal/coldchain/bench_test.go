package coldchain

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// Readings of a reading a minute from each of many loggers, in one batch a day, and in one an hour, which writes the day's window anew each time; and the time of a
// bare writer that inserts a full window for each batch. 16 senders.
func BenchmarkTake(b *testing.B) {
	for _, perBatch := range []int{1440, 60} {
		b.Run(fmt.Sprintf("batch=%d", perBatch), func(b *testing.B) {
			s := setupAt(b, noon.Add(24*365*time.Hour))
			var logger atomic.Int64
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					day := dayOfReadings("L" + strconv.FormatInt(logger.Add(1), 10))
					for at := 0; at < len(day); at += perBatch {
						if _, err := s.Take(b.Context(), "maker", day[at:at+perBatch]); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
			took := b.Elapsed()
			b.StopTimer()
			bare := bareWriter(b, b.N*1440/perBatch)
			b.ReportMetric(float64(1440*b.N)/took.Seconds(), "readings/s")
			b.ReportMetric(bare.Seconds()/took.Seconds(), "of-bare")
		})
	}
}

func dayOfReadings(logger string) []Reading {
	day := make([]Reading, 1440)
	for i := range day {
		day[i] = Reading{Logger: logger, Time: noon.Add(time.Duration(i-720) * time.Minute), Quantity: Temperature, Value: 4 + float64(i%37)/10, UOM: "CEL"}
	}
	return day
}

// bareWriter inserts n windows of a day, from 16 writers, and says how long that took.
func bareWriter(b *testing.B, n int) time.Duration {
	b.Helper()
	s := setupAt(b, noon.Add(24*365*time.Hour))
	parts, err := s.sort("maker", dayOfReadings("L"))
	must(b, err)
	var w window
	if _, _, err := w.add(parts[0].key, parts[0].points); err != nil {
		b.Fatal(err)
	}
	windows, err := store.Open(context.Background(), s.engine.Engine, windowDef)
	must(b, err)
	var next atomic.Int64
	done := make(chan error)
	begin := time.Now()
	for range 16 {
		go func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := windows.Insert(context.Background(), "x/"+strconv.FormatInt(i, 10), w); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 16 {
		must(b, <-done)
	}
	return time.Since(begin)
}

// What the worker does for one new reading of a binding of a month with a reading a minute.
func BenchmarkDerive(b *testing.B) {
	s := setupAt(b, noon.Add(40*24*time.Hour))
	s.limit(fridge())
	for day := range 30 {
		batch := dayOfReadings("log-1")
		for i := range batch {
			batch[i].Time = batch[i].Time.Add(time.Duration(day) * 24 * time.Hour)
		}
		s.take(batch...)
	}
	s.bind(maker, lotA, noon.Add(-12*time.Hour), time.Time{})
	s.settle()
	i := 0
	for b.Loop() {
		i++
		s.take(at(30*1440+i, 5))
		s.settle()
	}
}

// What a scan asks of the cold chain when its chain is not remembered.
func BenchmarkLook(b *testing.B) {
	s := setup(b)
	s.limit(fridge())
	s.take(dayOfReadings("log-1")...)
	s.bind(maker, lotA, noon.Add(-12*time.Hour), noon.Add(12*time.Hour))
	s.settle()
	set, err := s.InForce(b.Context(), gtinA)
	must(b, err)
	for b.Loop() {
		if v, err := s.Look(b.Context(), set, []Stay{{Thing: lotA, GTIN: gtinA}}); err != nil || v.State != StateWithin {
			b.Fatal(v.State, err)
		}
	}
}
