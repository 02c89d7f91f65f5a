package trace

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/store"
)

// recorder remembers what is inserted, call by call.
type recorder struct {
	store.Engine
	mu    sync.Mutex
	calls [][]store.Record
}

func (r *recorder) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	r.mu.Lock()
	r.calls = append(r.calls, append([]store.Record(nil), recs...))
	r.mu.Unlock()
	return r.Engine.Insert(ctx, coll, recs)
}

// BenchmarkCapture decodes, checks, hashes and captures documents of 100 events with 10 EPCs each, durably, one after the other, while the log follows as it
// does in a server, until every event has its leaf. It compares the time with that of a bare loop over the same driver that inserts the same rows and
// index entries in the same groups, as durably.
func BenchmarkCapture(b *testing.B) {
	const events, turn = 100, 20 // they take turns, so that a disk that is busy with something else slows both
	const more = `"disposition":"in_transit","readPoint":{"id":"https://id.gs1.org/414/6901234000009"},"bizLocation":{"id":"https://id.gs1.org/414/6901234000009"},` +
		`"bizTransactionList":[{"type":"desadv","bizTransaction":"urn:epcglobal:cbv:bt:6901234000009:1"}],`
	ctx := b.Context()
	rec := &recorder{}
	s, f, l, _ := benchLog(b, func(eng store.Engine) store.Engine { rec.Engine = eng; return rec })
	var capture, bare time.Duration
	loop := newBare(b)
	n := (b.N + turn - 1) / turn * turn
	for i := 0; i < n; i += turn {
		var docs [turn][]byte
		for k := range docs {
			docs[k] = []byte(observations((i+k)*events, events, more))
		}
		rec.calls = nil
		begin := time.Now()
		following, stop := context.WithCancel(ctx)
		var log sync.WaitGroup
		log.Go(func() { _ = l.Run(following) })
		for _, data := range docs {
			doc, err := epcis.DecodeDocument(data, CaptureLimits)
			if err == nil {
				_, err = s.Capture(ctx, f, doc)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		stop()
		log.Wait()
		if err := l.CatchUp(ctx); err != nil {
			b.Fatal(err)
		}
		capture += time.Since(begin)
		begin = time.Now()
		for _, group := range rec.calls {
			loop.write(group)
		}
		bare += time.Since(begin)
	}
	b.ReportMetric(float64(n*events)/capture.Seconds(), "events/s")
	b.ReportMetric(float64(n*events)/bare.Seconds(), "bare/s")
	b.ReportMetric(bare.Seconds()/capture.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// bare is the least that could do the writing.
type bare struct {
	b  *testing.B
	db *sql.DB
}

func newBare(b *testing.B) *bare {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { _ = db.Close() })
	for _, ddl := range []string{
		"CREATE TABLE rows (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
		"CREATE TABLE keys (ix TEXT, eq BLOB, ord BLOB, id TEXT, PRIMARY KEY (ix, eq, ord, id)) WITHOUT ROWID",
	} {
		if _, err := db.Exec(ddl); err != nil {
			b.Fatal(err)
		}
	}
	return &bare{b, db}
}

// write commits a group.
func (l *bare) write(group []store.Record) {
	tx, err := l.db.Begin()
	if err != nil {
		l.b.Fatal(err)
	}
	row, err := tx.Prepare("INSERT OR IGNORE INTO rows VALUES (?, ?)")
	if err != nil {
		l.b.Fatal(err)
	}
	key, err := tx.Prepare("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)")
	if err != nil {
		l.b.Fatal(err)
	}
	defer func() { _, _ = row.Close(), key.Close() }()
	for n, r := range group {
		if _, err := row.Exec(fmt.Sprintf("%s/%d", r.ID, n), r.Body); err != nil {
			l.b.Fatal(err)
		}
		for _, e := range r.Entries {
			if _, err := key.Exec(e.Index, []byte(e.Eq), []byte(e.Order), r.ID); err != nil {
				l.b.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		l.b.Fatal(err)
	}
}
