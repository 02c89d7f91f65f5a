package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/httpapi"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/searchsync"
	"github.com/haisu-trace/haisu/internal/trace"
)

// connections is how many shoppers scan at once.
const connections = 64

// benchServer is the program on a real port, with units to scan.
type benchServer struct {
	addr  string
	paths []string
}

// serveUnits starts the program over a fresh SQLite store with n issued units of one lot that has a chain of five events.
func serveUnits(b *testing.B, n int) *benchServer {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	dir := b.TempDir()
	cfg, err := loadFor(b, nil, map[string]string{"DATA_DIR": dir, "DEMO": demoOff, "ADDR": "127.0.0.1:0"})
	check(b, err)
	a, err := open(ctx, cfg, log)
	check(b, err)
	f := firm.Firm{ID: "maker", Name: lang.ZhEn("酒厂", "Distillery"), Kind: firm.Producer, Prefixes: []string{"690123456"}}
	check(b, a.firms.Put(ctx, f))
	g := gs1.GTIN(gtin)
	_, _, err = a.trace.PutProduct(ctx, f, trace.Product{GTIN: g, Name: lang.ZhEn("白兰地", "Brandy"), Category: "spirits", Origin: "FR"})
	check(b, err)
	_, _, err = a.trace.PutLot(ctx, f, trace.Lot{GTIN: g, Lot: "L1", Produced: "2026-01-01", Expires: "2036-01-01"})
	check(b, err)
	doc, err := epcis.DecodeDocument([]byte(lotChain()), trace.CaptureLimits)
	check(b, err)
	_, err = a.trace.Capture(ctx, f, doc)
	check(b, err)
	tuneGC(os.Getenv)
	s := &benchServer{}
	for i := 0; i < n; i += trace.MaxCodes {
		units, err := a.trace.IssueCodes(ctx, f, g, "L1", min(trace.MaxCodes, n-i), fmt.Sprintf("batch-%d", i))
		check(b, err)
		for _, u := range units {
			s.paths = append(s.paths, u.Ref().Path())
		}
	}
	alerts, err := a.openAlerts(ctx, "http://127.0.0.1")
	check(b, err)
	guard, err := a.openGuard(ctx, &httpapi.Limits{})
	check(b, err)
	app, err := a.server(ctx, "http://127.0.0.1", guard, alerts, searchsync.Finder{}, nil)
	check(b, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	s.addr = ln.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() { _ = app.Listener(guard.Listener(ln)) })
	wg.Go(func() { _ = a.warnings.Matcher().Run(ctx) })
	b.Cleanup(func() {
		cancel()
		check(b, app.Shutdown())
		wg.Wait()
		check(b, a.close())
	})
	return s
}

func lotChain() string {
	class := "https://id.gs1.org/01/" + gtin + "/10/L1"
	events := ""
	for i, step := range []string{"creating_class_instance", "shipping", "inspecting", "storing", "stocking"} {
		action := "OBSERVE"
		if i == 0 {
			action = "ADD"
		} else {
			events += ","
		}
		events += fmt.Sprintf(`{"type":"ObjectEvent","action":%q,"bizStep":%q,"eventTime":"2026-01-%02dT00:00:00Z","eventTimeZoneOffset":"+08:00","quantityList":[{"epcClass":%q,"quantity":1000}]}`, action, step, i+1, class)
	}
	return `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-03-01T00:00:00Z","epcisBody":{"eventList":[` + events + `]}}`
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// scanAll makes n requests over 64 connections and gives the time that they took. pick chooses the next path.
func scanAll(b *testing.B, addr string, n int, pick func(r *rand.Rand) string) time.Duration {
	b.Helper()
	client := &fasthttp.HostClient{Addr: addr, MaxConns: connections}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	begin := time.Now()
	for c := range connections {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 7))
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			req.Header.Set("Accept", "application/json")
			req.Header.SetCookie("hv", fmt.Sprintf("%016d", c))
			for left.Add(-1) >= 0 {
				req.SetRequestURI("http://" + addr + pick(r))
				if err := client.Do(req, resp); err != nil || resp.StatusCode() != 200 {
					b.Errorf("status %d, %v", resp.StatusCode(), err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

func (s *benchServer) uniform(r *rand.Rand) string { return s.paths[r.IntN(len(s.paths))] }

// zipf gives a chooser by Zipf's law with exponent 1.1: a few units get most scans.
func (s *benchServer) zipf() func(r *rand.Rand) string {
	var sources sync.Map
	return func(r *rand.Rand) string {
		z, ok := sources.Load(r)
		if !ok {
			z, _ = sources.LoadOrStore(r, rand.NewZipf(r, 1.1, 1, uint64(len(s.paths)-1)))
		}
		return s.paths[z.(*rand.Zipf).Uint64()]
	}
}

// sample is one answer's bytes.
func (s *benchServer) sample(b *testing.B) []byte {
	b.Helper()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI("http://" + s.addr + s.paths[0])
	req.Header.Set("Accept", "application/json")
	check(b, fasthttp.Do(req, resp))
	return append([]byte(nil), resp.Body()...)
}

// BenchmarkScan compares a scan by Zipf's law, answered in JSON and durably recorded, with a bare Fiber handler that returns the same bytes and
// with a bare loop that commits the same rows in groups. They take turns, so that whatever else the machine does slows all.
func BenchmarkScan(b *testing.B) {
	s := serveUnits(b, 10_000)
	bareAddr := bareFiber(b, s.sample(b))
	loop, zipf := newBareLoop(b), s.zipf()
	const turn = 4000
	var scan, bare, group time.Duration
	n := max(b.N, turn)
	b.ResetTimer()
	for done := 0; done < n; done += turn {
		scan += scanAll(b, s.addr, turn, zipf)
		bare += scanAll(b, bareAddr, turn, s.uniform)
		group += loop.hammer(b, turn, s.paths)
	}
	rounds := float64((n + turn - 1) / turn * turn)
	b.ReportMetric(rounds/scan.Seconds(), "scans/s")
	b.ReportMetric(rounds/bare.Seconds(), "bare-fiber/s")
	b.ReportMetric(rounds/group.Seconds(), "bare-commit/s")
	b.ReportMetric(bare.Seconds()/scan.Seconds(), "of-fiber")
	b.ReportMetric(group.Seconds()/scan.Seconds(), "of-commit")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkScanScale compares 1,000,000 units with 10,000, scanned by Zipf's law and uniformly. It takes minutes to fill the store.
func BenchmarkScanScale(b *testing.B) {
	small, large := serveUnits(b, 10_000), serveUnits(b, 1_000_000)
	const turn = 4000
	n := max(b.N, 5*turn)
	for name, pick := range map[string][2]func(r *rand.Rand) string{
		"zipf": {small.zipf(), large.zipf()}, "uniform": {small.uniform, large.uniform},
	} {
		b.Run(name, func(b *testing.B) {
			scanAll(b, small.addr, turn, pick[0])
			scanAll(b, large.addr, turn, pick[1])
			var few, many time.Duration
			for done := 0; done < n; done += turn {
				few += scanAll(b, small.addr, turn, pick[0])
				many += scanAll(b, large.addr, turn, pick[1])
			}
			b.ReportMetric(few.Seconds()/many.Seconds(), "large-of-small")
			b.ReportMetric(float64(n)/many.Seconds(), "scans/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// bareFiber is a Fiber handler that returns fixed bytes.
func bareFiber(b *testing.B, body []byte) string {
	b.Helper()
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/01/*", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(body)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	go func() { _ = app.Listener(ln) }()
	b.Cleanup(func() { check(b, app.Shutdown()) })
	return ln.Addr().String()
}

// bareLoop takes the waiting rows and commits them together: the least that makes a scan durable. It writes the rows of one scan: the record and
// its index entry.
type bareLoop struct {
	db    *sql.DB
	queue chan bareRow
}

type bareRow struct {
	id, key, body string
	done          chan error
}

func newBareLoop(b *testing.B) *bareLoop {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	check(b, err)
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		"CREATE TABLE scans (id TEXT PRIMARY KEY, rev INTEGER, body BLOB)",
		"CREATE TABLE scans_index (eq BLOB, ord BLOB, id TEXT, PRIMARY KEY (eq, ord, id)) WITHOUT ROWID",
	} {
		_, err := db.Exec(q)
		check(b, err)
	}
	l := &bareLoop{db: db, queue: make(chan bareRow, connections)}
	stopped := make(chan struct{})
	go func() { defer close(stopped); l.run() }()
	b.Cleanup(func() {
		close(l.queue)
		<-stopped
		check(b, db.Close())
	})
	return l
}

func (l *bareLoop) run() {
	row, err := l.db.Prepare("INSERT INTO scans VALUES (?, 1, ?)")
	if err != nil {
		return
	}
	entry, err := l.db.Prepare("INSERT INTO scans_index VALUES (?, ?, ?)")
	if err != nil {
		return
	}
	for first := range l.queue {
		group := []bareRow{first}
		for len(l.queue) > 0 {
			group = append(group, <-l.queue)
		}
		err := l.commit(group, row, entry)
		for _, r := range group {
			r.done <- err
		}
	}
}

func (l *bareLoop) commit(group []bareRow, row, entry *sql.Stmt) error {
	tx, err := l.db.Begin()
	if err != nil {
		return err
	}
	for _, r := range group {
		if _, err := tx.Stmt(row).Exec(r.id, []byte(r.body)); err != nil {
			return err
		}
		if _, err := tx.Stmt(entry).Exec([]byte(r.key), []byte(r.id), r.id); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (l *bareLoop) hammer(b *testing.B, n int, paths []string) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	begin := time.Now()
	for c := range connections {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 9))
			done := make(chan error, 1)
			for left.Add(-1) >= 0 {
				path := paths[r.IntN(len(paths))]
				l.queue <- bareRow{
					id: fmt.Sprintf("%s#%016x", path, rand.Uint64()), key: path, done: done,
					body: fmt.Sprintf(`{"u":%q,"t":1795000000000,"v":"abcdefghijkl","h":"code_valid"}`, path),
				}
				if err := <-done; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}
