package backup

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// loaded is a store with documents of about 600 bytes, half of which is noise, as hashes and tokens are.
func loaded(b *testing.B, n int) (eng *sqlite.Engine, box *secret.Box, things *store.Collection[thing]) {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	eng, err := sqlite.Open(b.Context(), filepath.Join(dir, "t.db"))
	must(err)
	b.Cleanup(func() { must(eng.Close()) })
	box, err = secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(err)
	def := thingDef
	def.Expires = nil
	things, err = store.Open(b.Context(), eng, def)
	must(err)
	r := rand.New(rand.NewPCG(1, 2))
	items := make([]store.Item[thing], n)
	for i := range items {
		items[i] = store.Item[thing]{ID: fmt.Sprintf("thing/%s/%07d", noise(r, 6), i), V: thing{Name: fmt.Sprintf("some words that come again and again %200d", i), Noise: noise(r, 300)}}
	}
	_, err = things.InsertMany(b.Context(), items)
	must(err)
	return eng, box, things
}

const benchDocs = 100_000

func BenchmarkBackup(b *testing.B) {
	eng, box, _ := loaded(b, benchDocs)
	dir := b.TempDir()
	var bytes int64
	for b.Loop() {
		data, _, err := Write(b.Context(), eng, box, Options{Dir: dir, KeysDir: dir, Now: time.Now})
		if err != nil {
			b.Fatal(err)
		}
		_, bytes = data.Manifest.Totals()
		b.ReportMetric(float64(bytes)/float64(data.Size), "ratio")
	}
	b.SetBytes(bytes)
}

func BenchmarkRestore(b *testing.B) {
	eng, box, _ := loaded(b, benchDocs)
	dir := b.TempDir()
	data, _, err := Write(b.Context(), eng, box, Options{Dir: dir, KeysDir: dir, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		to, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "t.db"))
		if err != nil {
			b.Fatal(err)
		}
		v, err := Verify(b.Context(), box, Files{Data: data.Path}, nil)
		if err == nil {
			err = v.Restore(b.Context(), to, nil)
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := to.Close(); err != nil {
			b.Fatal(err)
		}
	}
	_, bytes := data.Manifest.Totals()
	b.SetBytes(bytes)
}

// BenchmarkWriterBesideBackup has 16 writers insert, alone and beside backups.
func BenchmarkWriterBesideBackup(b *testing.B) {
	for name, beside := range map[string]bool{"alone": false, "beside": true} {
		b.Run(name, func(b *testing.B) {
			eng, box, things := loaded(b, benchDocs)
			dir := b.TempDir()
			ctx, stop := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			if beside {
				wg.Go(func() {
					for ctx.Err() == nil {
						if _, _, err := Write(ctx, eng, box, Options{Dir: dir, KeysDir: dir, Now: time.Now}); err != nil && ctx.Err() == nil {
							b.Error(err)
							return
						}
					}
				})
			}
			var mu sync.Mutex
			var took []time.Duration
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				r := rand.New(rand.NewPCG(rand.Uint64(), 0))
				for pb.Next() {
					id, v := "new/"+noise(r, 20), thing{Noise: noise(r, 300)}
					start := time.Now()
					if err := things.Insert(b.Context(), id, v); err != nil {
						b.Error(err)
					}
					d := time.Since(start)
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
				}
			})
			stop()
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
