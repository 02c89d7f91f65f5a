package trace

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// BenchmarkVerify checks, as 'api verify' does, a log of 20,000 captured events with 10 EPCs each: all that is stored of each is read and hashed, and
// the tree rebuilt.
func BenchmarkVerify(b *testing.B) {
	const documents, events = 40, 500
	ctx := b.Context()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	s, f, l, public := benchLog(b, func(eng store.Engine) store.Engine { return eng })
	for d := range documents {
		doc, err := epcis.DecodeDocument([]byte(observations(d*events, events, "")), CaptureLimits)
		must(err)
		_, err = s.Capture(ctx, f, doc)
		must(err)
	}
	must(l.CatchUp(ctx))
	for b.Loop() {
		r, err := check.Run(ctx, check.Stored(l), check.Options{Key: public})
		must(err)
		if r.Broken != nil || r.Leaves != documents*events {
			b.Fatalf("%d leaves, %v", r.Leaves, r.Broken)
		}
	}
	b.ReportMetric(float64(b.N*documents*events)/b.Elapsed().Seconds(), "leaves/s")
}

// benchLog is a service on a fresh SQLite store, seen through within, a firm that may observe what the benchmarks have, and the log that follows the
// service.
func benchLog(b *testing.B, within func(eng store.Engine) store.Engine) (*Service, firm.Firm, *ledger.Service, ed25519.PublicKey) {
	b.Helper()
	ctx := b.Context()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	file, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "t.db"))
	must(err)
	b.Cleanup(func() { must(file.Close()) })
	eng := within(file)
	firms, err := firm.Open(ctx, eng, time.Now)
	must(err)
	f := firm.Firm{ID: "maker", Name: lang.ZhEn("酒厂", "Distillery"), Kind: firm.Producer, Prefixes: []string{"690123456"}}
	must(firms.Put(ctx, f))
	s, err := Open(ctx, Deps{Engine: eng, Firms: firms, Warnings: &fakeWarnings{}, Now: time.Now})
	must(err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	leases, err := store.OpenLeases(ctx, eng, "bench", time.Minute, time.Now)
	must(err)
	l, err := ledger.Open(ctx, ledger.Deps{Engine: eng, Keys: logKey{private}, Leases: leases, Name: "log.example", Rand: rand.Reader, Now: time.Now})
	must(err)
	must(l.Follow(s.EventLog()))
	return s, f, l, public
}

// observations is a document of n events from a number on, of ten units each, and with more members, each followed by a comma.
func observations(from, n int, more string) string {
	var w strings.Builder
	w.WriteString(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0",
"creationDate":"2026-03-01T00:00:00Z","epcisBody":{"eventList":[`)
	for i := from; i < from+n; i++ {
		if i > from {
			w.WriteByte(',')
		}
		at := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339)
		fmt.Fprintf(&w, `{"type":"ObjectEvent","action":"OBSERVE","bizStep":"shipping","eventTime":"%s","eventTimeZoneOffset":"+00:00",%s"epcList":[`, at, more)
		for u := range 10 {
			if u > 0 {
				w.WriteByte(',')
			}
			fmt.Fprintf(&w, `"%s"`, unitURI(fmt.Sprintf("S%08d", i*10+u)))
		}
		w.WriteString(`]}`)
	}
	w.WriteString(`]}}`)
	return w.String()
}
