package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

const benchWriters = 64

// scanRecord is like the record of one scan: one small body, one index entry under the scanned unit.
func scanRecord(i int64) store.Record {
	unit := fmt.Sprintf("06901234567892/%016x", uint64(i)*0x9E3779B97F4A7C15)
	at := 1_790_000_000_000 + i
	return store.Record{
		ID:      fmt.Sprintf("%013d/%016x", at, uint64(i)*0xBF58476D1CE4E5B9),
		Rev:     1,
		Body:    fmt.Appendf(nil, `{"unit":"%s","at":%d,"place":"460200","channel":"wechat","verdict":"issued","first":true}`, unit, at),
		Entries: []store.Entry{{Index: "by_unit", Eq: store.K(unit), Order: store.K(at)}},
	}
}

// hammer has benchWriters goroutines write the records and gives the time that it took.
func hammer(b *testing.B, recs []store.Record, write func(store.Record) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range benchWriters {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(recs)) {
					return
				}
				if err := write(recs[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// BenchmarkInsert compares the engine with the least that could do the job: a loop that takes the waiting rows and writes them in one
// transaction, on the same driver with the same durability, one table for the rows and one for their index entries. 'ratio' is the engine's
// rate divided by the loop's. Both take turns, so that a disk that is busy with something else slows both.
func BenchmarkInsert(b *testing.B) {
	const turn = 2000
	bare := newBareLoop(b)
	e := open(b, filepath.Join(b.TempDir(), "engine.db"))
	spec := store.Spec{Name: "scans", Indexes: map[string]string{"by_unit": "1"}}
	if _, err := e.Declare(context.Background(), spec); err != nil {
		b.Fatal(err)
	}
	recs := make([]store.Record, b.N)
	for i := range recs {
		recs[i] = scanRecord(int64(i))
	}
	var bareTime, engineTime time.Duration
	for part := range slices.Chunk(recs, turn) {
		bareTime += hammer(b, part, bare.write)
		engineTime += hammer(b, part, func(r store.Record) error {
			errs, err := e.Insert(context.Background(), "scans", []store.Record{r})
			if err != nil {
				return err
			}
			return errs[0]
		})
	}
	b.ReportMetric(float64(b.N)/engineTime.Seconds(), "inserts/s")
	b.ReportMetric(float64(b.N)/bareTime.Seconds(), "bare/s")
	b.ReportMetric(bareTime.Seconds()/engineTime.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// bareLoop is the loop that the engine is compared with.
type bareLoop struct {
	c     *conn
	queue chan bareWrite
}

type bareWrite struct {
	rec  store.Record
	done chan error
}

func newBareLoop(b *testing.B) *bareLoop {
	b.Helper()
	c, err := (&Engine{dsn: "file:" + filepath.Join(b.TempDir(), "bare.db"), sync: "FULL", busy: defaultBusy}).dialWriter()
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{
		"CREATE TABLE rows (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
		"CREATE TABLE keys (eq BLOB, ord BLOB, id TEXT, PRIMARY KEY (eq, ord, id)) WITHOUT ROWID",
	} {
		if _, err := c.do(text); err != nil {
			b.Fatal(err)
		}
	}
	l := &bareLoop{c: c, queue: make(chan bareWrite, benchWriters)}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		l.run()
	}()
	b.Cleanup(func() {
		close(l.queue)
		<-stopped
		if err := c.close(); err != nil {
			b.Error(err)
		}
	})
	return l
}

func (l *bareLoop) write(r store.Record) error {
	w := bareWrite{r, make(chan error, 1)}
	l.queue <- w
	return <-w.done
}

func (l *bareLoop) run() {
	for first := range l.queue {
		group := []bareWrite{first}
		for len(l.queue) > 0 {
			group = append(group, <-l.queue)
		}
		err := l.commit(group)
		for _, w := range group {
			w.done <- err
		}
	}
}

func (l *bareLoop) commit(group []bareWrite) error {
	if _, err := l.c.do("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, w := range group {
		if _, err := l.c.do("INSERT INTO rows VALUES (?, ?)", w.rec.ID, w.rec.Body); err != nil {
			return err
		}
		en := w.rec.Entries[0]
		if _, err := l.c.do("INSERT INTO keys VALUES (?, ?, ?)", []byte(en.Eq), []byte(en.Order), w.rec.ID); err != nil {
			return err
		}
	}
	_, err := l.c.do("COMMIT")
	return err
}
