package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What the server is held to in a flood.
const (
	floodFactor      = 10
	floodP99         = time.Second
	floodRecovery    = 0.9
	floodRest        = 5 * time.Second // between the flood and the measurement after it
	floodConnections = 512             // of the proxy that the flood comes through
	floodKeys        = 40
)

// BenchmarkFlood starts the program on one core, finds the rate that it sustains (closed loop), sends ten times that rate whatever becomes of it
// (open loop, FLOOD_SECONDS long, 60 by default; latency counts from when a request was due), rests for 5 s and measures again. Requests come from
// all over the Internet through one trusted proxy. It fails if an accepted request takes 1 s or more at the 99th percentile, if a refused one gets
// anything but 429 or 503 with Retry-After, or if less than 0.9 of the rate comes back.
func BenchmarkFlood(b *testing.B) {
	seconds := 60
	if v := os.Getenv("FLOOD_SECONDS"); v != "" {
		n, err := strconv.Atoi(v)
		check(b, err)
		seconds = n
	}
	bin := filepath.Join(b.TempDir(), "api")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-tags", "disable_grpc_modules", "-ldflags=-s", "-o", bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, run := range []struct {
		name     string
		workers  int
		requests func(keys []string) []template
	}{{"sessions", 4, wrongLogins}, {"events", 64, newEvents}} {
		b.Run(run.name, func(b *testing.B) {
			s := startFlooded(b, bin)
			l := &flood{addr: s.addr, requests: run.requests(s.keys)}
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the other core is the server's
			l.closed(b, run.workers, 2*time.Second)         // caches, pools
			before := l.closed(b, run.workers, 5*time.Second)
			quiet := s.memory(b, "VmRSS")
			got := l.open(b, floodFactor*before, time.Duration(seconds)*time.Second)
			peak := s.memory(b, "VmHWM")
			<-time.NewTimer(floodRest).C
			after := l.closed(b, run.workers, 5*time.Second)
			got.report(b, seconds)
			b.ReportMetric(before, "before/s")
			b.ReportMetric(after/before, "after-of-before")
			b.ReportMetric(quiet, "MB-before")
			b.ReportMetric(peak, "MB-peak")
			if after/before < floodRecovery {
				b.Errorf("%.0f/s before the flood, %.0f/s after it", before, after)
			}
		})
	}
}

// flooded is the program on one core of its own.
type flooded struct {
	addr string
	keys []string
	pid  int
}

func startFlooded(b *testing.B, bin string) *flooded {
	b.Helper()
	dir := b.TempDir()
	s := &flooded{}
	getenv := func(k string) string {
		return map[string]string{"DATA_DIR": dir, "ADDR": "127.0.0.1:0", "DEMO": demoOff}[k]
	}
	for i := range floodKeys {
		var out bytes.Buffer
		args := []string{"key", "add", "maker", "-label", fmt.Sprintf("erp-%d", i), "-name", "酒厂", "-prefixes", "690123456"}
		check(b, run(b.Context(), args, getenv, strings.NewReader(""), &out, io.Discard))
		s.keys = append(s.keys, regexp.MustCompile(`hk_\S+`).FindString(out.String()))
	}
	args := []string{bin, "-data-dir", dir, "-addr", "127.0.0.1:0", "-demo", demoOff, "-trusted-proxies", "127.0.0.1"}
	if taskset, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		args = append([]string{taskset, "-c", "0"}, args...)
	}
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), args[0], args[1:]...) // it is asked to end, see below
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out := newWatched()
	logs, err := os.Create(filepath.Join(dir, "log"))
	check(b, err)
	cmd.Stdout, cmd.Stderr = out, logs
	check(b, cmd.Start())
	s.pid = cmd.Process.Pid
	b.Cleanup(func() {
		check(b, cmd.Process.Signal(os.Interrupt))
		check(b, cmd.Wait())
		check(b, logs.Close())
	})
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	m, err := out.wait(ctx, `is at http://(\S+)`)
	check(b, err)
	s.addr = m[1]
	return s
}

// memory reads one of the program's memory figures, in MB; 0 where there is no /proc.
func (s *flooded) memory(b *testing.B, which string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	check(b, err)
	m := regexp.MustCompile(which + `:\s+(\d+) kB`).FindSubmatch(status)
	kb, err := strconv.Atoi(string(m[1]))
	check(b, err)
	return float64(kb) / 1024
}

// template is a request in which each # stands for a random digit, so that making one costs next to nothing: the core that makes them has
// to be faster than the one that answers.
type template struct {
	text   []byte
	digits []int // where
}

func newTemplate(path, header, body string) template {
	t := template{text: fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: haisu\r\nX-Forwarded-For: 1##.1##.1##.1##\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		path, header, len(body), body)}
	for i, c := range t.text {
		if c == '#' {
			t.digits = append(t.digits, i)
		}
	}
	return t
}

// write makes a request in w, which it overwrites.
func (t *template) write(w []byte, r *rand.Rand) []byte {
	w = append(w[:0], t.text...)
	var x uint64
	for n, i := range t.digits {
		if n%16 == 0 {
			x = r.Uint64()
		}
		w[i] = byte('0' + x%10)
		x /= 10
	}
	return w
}

// wrongLogins are log-ins with a wrong password: one costs as much as with a right one, whose code would work only once.
func wrongLogins([]string) []template {
	return []template{newTemplate("/v1/sessions", "", `{"login":"officer######","password":"not the password","totp":"123456"}`)}
}

// newEvents are new events, with each of the keys.
func newEvents(keys []string) (out []template) {
	for _, key := range keys {
		out = append(out, newTemplate("/epcis/events", "Authorization: Bearer "+key+"\r\n",
			`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"ObjectEvent","action":"OBSERVE",`+
				`"bizStep":"storing","eventTime":"2026-01-02T00:00:00Z","eventTimeZoneOffset":"+08:00",`+
				`"epcList":["https://id.gs1.org/01/`+gtin+`/21/################"]}`))
	}
	return out
}

// flood makes requests on connections of its own.
type flood struct {
	addr     string
	requests []template
}

// tally is what became of requests.
type tally struct {
	sent, accepted, refused, other, lost, broken int
	latencies                                    []time.Duration // of accepted ones
	odd                                          string          // the first answer that is neither
}

// closed keeps so many workers busy and gives how many requests were accepted in a second.
func (l *flood) closed(b *testing.B, workers int, d time.Duration) float64 {
	b.Helper()
	end := time.Now().Add(d)
	var n, refused atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			c := &floodConn{from: l, rand: rand.New(rand.NewPCG(rand.Uint64(), 1))}
			defer c.close()
			for time.Now().Before(end) {
				status, _, err := c.do()
				if err != nil {
					b.Error(err)
					return
				}
				if accepted(status) {
					n.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if refused.Load() > n.Load()/20 {
		b.Errorf("%d requests of %d workers were refused", refused.Load(), workers)
	}
	return float64(n.Load()) / d.Seconds()
}

// open sends at a rate, whatever becomes of the requests. A request that is due is counted from then on, even if every connection is busy.
func (l *flood) open(b *testing.B, rate float64, d time.Duration) *tally {
	b.Helper()
	due := make(chan time.Time, 1<<16)
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := &tally{}
	for range floodConnections {
		wg.Go(func() {
			c := &floodConn{from: l, rand: rand.New(rand.NewPCG(rand.Uint64(), 2))}
			defer c.close()
			var t tally
			for at := range due {
				t.note(c, at)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(&t)
		})
	}
	begin, sent, lost := time.Now(), 0, 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for now := range tick.C {
		elapsed := min(now.Sub(begin), d)
		for want := int(rate * elapsed.Seconds()); sent < want; sent++ {
			select {
			case due <- begin.Add(time.Duration(float64(sent) / rate * 1e9)):
			default:
				lost++
			}
		}
		if elapsed >= d {
			break
		}
	}
	close(due)
	wg.Wait()
	total.sent, total.lost = sent, lost
	return total
}

func (t *tally) note(c *floodConn, due time.Time) {
	status, retry, err := c.do()
	switch {
	case err != nil:
		t.broken++
		t.odd = err.Error()
	case accepted(status):
		t.accepted++
		t.latencies = append(t.latencies, time.Since(due))
	case (status == 429 || status == 503) && retry:
		t.refused++
	default:
		t.other++
		t.odd = fmt.Sprintf("status %d", status)
	}
}

// accepted counts a wrong password too: it is work done.
func accepted(status int) bool { return status < 300 || status == 401 }

func (t *tally) add(o *tally) {
	t.accepted += o.accepted
	t.refused += o.refused
	t.other += o.other
	t.broken += o.broken
	t.latencies = append(t.latencies, o.latencies...)
	if t.odd == "" {
		t.odd = o.odd
	}
}

func (t *tally) report(b *testing.B, seconds int) {
	b.Helper()
	slices.Sort(t.latencies)
	if len(t.latencies) == 0 {
		b.Fatalf("nothing was accepted of %d requests; such as: %s", t.sent, t.odd)
	}
	p99 := t.latencies[len(t.latencies)*99/100]
	b.ReportMetric(float64(t.sent)/float64(seconds), "offered/s")
	b.ReportMetric(float64(t.accepted)/float64(seconds), "accepted/s")
	b.ReportMetric(100*float64(t.refused)/float64(t.sent), "%refused")
	b.ReportMetric(p99.Seconds()*1e3, "p99-ms")
	b.ReportMetric(0, "ns/op")
	if p99 >= floodP99 {
		b.Errorf("the 99th percentile of %d accepted requests is %v", t.accepted, p99)
	}
	if t.other+t.broken+t.lost > 0 {
		b.Errorf("%d requests of %d got another answer, %d none, %d could not be sent; such as: %s", t.other, t.sent, t.broken, t.lost, t.odd)
	}
}

// floodConn is a connection that is opened again when it ends.
type floodConn struct {
	from *flood
	rand *rand.Rand
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

func (c *floodConn) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// do makes one request and gives its status, and whether the answer says when to come again.
func (c *floodConn) do() (status int, retry bool, err error) {
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.from.addr); err != nil {
			return 0, false, err
		}
		c.r = bufio.NewReaderSize(c.conn, 4<<10)
	}
	c.buf = c.from.requests[c.rand.IntN(len(c.from.requests))].write(c.buf, c.rand)
	if _, err = c.conn.Write(c.buf); err != nil {
		return 0, false, err
	}
	length, closing := 0, false
	for line := []byte("x"); len(line) > 0; {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case status == 0:
			status, err = strconv.Atoi(string(line[len("HTTP/1.1 "):][:3]))
		case string(name) == "Content-Length":
			length, err = strconv.Atoi(string(value))
		case string(name) == "Retry-After":
			retry = true
		case string(name) == "Connection":
			closing = string(value) == "close"
		}
		if err != nil {
			return 0, false, err
		}
	}
	if _, err = c.r.Discard(length); err == nil && closing {
		c.close()
	}
	return status, retry, err
}
