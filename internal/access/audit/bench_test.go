package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

const benchCallers = 64

// hammer has benchCallers goroutines do n things and gives the time that it took.
func hammer(b *testing.B, n int, do func(i int64) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	begun := time.Now()
	for range benchCallers {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

// BenchmarkAppend compares the trail with a bare insert of the same entries into the same kind of store, one document each, with the same index
// entries and no chain: 64 callers, and one alone. 'ratio' is the trail's rate divided by the bare one's. Both take turns.
func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	eng, err := sqlite.Open(context.Background(), filepath.Join(dir, "t.db"))
	must(b, err)
	defer func() { must(b, eng.Close()) }()
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(b, err)
	s, err := Open(context.Background(), Deps{Engine: eng, Keys: box, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	must(b, err)
	defer func() { must(b, s.Close()) }()
	bare, err := store.Open(context.Background(), eng, store.Def[wire]{Name: "bare", Indexes: bareIndexes})
	must(b, err)
	var bareID atomic.Int64
	append1 := func(i int64) error { return s.Record(context.Background(), benchEntry(i)) }
	insert1 := func(i int64) error {
		w, err := s.prepare(context.Background(), benchEntry(i))
		if err != nil {
			return err
		}
		w.Seq, w.At = bareID.Add(1), time.Now().UTC().Format(timeLayout)
		return bare.Insert(context.Background(), fmt.Sprintf("%012d", w.Seq), w)
	}
	var trail, plain, aloneTrail, alonePlain time.Duration
	alone := 0
	for left := b.N; left > 0; left -= 2000 {
		n := min(left, 2000)
		plain += hammer(b, n, insert1)
		trail += hammer(b, n, append1)
		for i := range min(n, 50) {
			begun := time.Now()
			must(b, insert1(int64(i)))
			alonePlain += time.Since(begun)
			begun = time.Now()
			must(b, append1(int64(i)))
			aloneTrail += time.Since(begun)
			alone++
		}
	}
	b.ReportMetric(float64(b.N)/trail.Seconds(), "appends/s")
	b.ReportMetric(float64(b.N)/plain.Seconds(), "bare/s")
	b.ReportMetric(plain.Seconds()/trail.Seconds(), "ratio")
	b.ReportMetric(aloneTrail.Seconds()/float64(alone)*1e3, "alone-ms")
	b.ReportMetric(alonePlain.Seconds()/float64(alone)*1e3, "alone-bare-ms")
	b.ReportMetric(float64(s.Stats().Entries)/float64(s.Stats().Batches), "entries/batch")
	b.ReportMetric(0, "ns/op")
	begun := time.Now()
	r, err := s.Verify(context.Background(), nil, nil)
	must(b, err)
	if r.Break != nil || r.Entries != int64(b.N+alone) {
		b.Fatalf("got %+v, %v", r, r.Break)
	}
	b.ReportMetric(float64(r.Entries)/time.Since(begun).Seconds(), "verified/s")
}

func benchEntry(i int64) Entry {
	return Entry{
		Actor: fmt.Sprintf("operator:%d", i%20), Authority: "hn-amr", Action: "case.read", Subject: fmt.Sprintf("case/%d", i), RequestID: "8z4q1w6r2t9y5v7x",
		After: json.RawMessage(`{"kind":"complaint","status":"accepted","texts":{"what":"bm90IHJlYWxseSBzZWFsZWQ"},"revision":7}`),
	}
}

var bareIndexes = func() []store.Index[wire] {
	var out []store.Index[wire]
	for name, key := range map[string]func(w *wire) store.Key{
		"time": func(*wire) store.Key { return store.K() }, "actor": func(w *wire) store.Key { return store.K(w.Actor) },
		"subject": func(w *wire) store.Key { return store.K(w.Subject) }, "action": func(w *wire) store.Key { return store.K(w.Action) },
	} {
		out = append(out, store.Index[wire]{Name: name, Version: "1", Keys: func(id string, w *wire) ([]store.Key, store.Key) {
			return []store.Key{key(w)}, store.K(w.At, id)
		}})
	}
	return out
}()
