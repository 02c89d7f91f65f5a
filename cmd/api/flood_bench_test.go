//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
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
	"syscall"
	"testing"
	"time"
)

// What the server is held to in a flood.
const (
	floodFactor   = 10
	floodP99      = time.Second
	floodRecovery = 0.9
	floodRest     = 5 * time.Second // between the flood and the measurement after it
	// floodWarming is how long the rate is let settle: into an empty store it is higher for some seconds than the one that the program sustains, while
	// what follows the events, such as the log, has not much to do yet and the trees of the store are small.
	floodWarming     = 15 * time.Second
	floodConnections = 2048 // of the proxy that the flood comes through
	floodKeys        = 40
)

// BenchmarkFlood starts the program on one core, finds the rate that it sustains (closed loop), sends ten times that rate whatever becomes of it
// (open loop, FLOOD_SECONDS long, 60 by default; latency counts from when a request was due), rests for 5 s and measures again. Requests come from
// all over the Internet through one trusted proxy. It fails if an accepted request takes 1 s or more at the 99th percentile, if a refused one gets
// anything but 429 or 503 with Retry-After, or if less than 0.9 of the rate comes back, by what the machine does of something else before and after: it has
// other guests.
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
			requests, d := run.requests(s.keys), time.Duration(seconds)*time.Second
			closed(b, s, requests, run.workers, floodWarming)
			machine := hashing()
			before := closed(b, s, requests, run.workers, 5*time.Second)
			machine += hashing()
			quiet := s.memory(b, "VmRSS")
			got := flooding(b, s, requests, floodFactor*before, d)
			peak := s.memory(b, "VmHWM")
			<-time.NewTimer(floodRest).C
			slower := machine
			machine = hashing()
			after := closed(b, s, requests, run.workers, 5*time.Second)
			machine += hashing()
			slower /= machine
			got.report(b, d)
			b.ReportMetric(before, "before/s")
			b.ReportMetric(after/before, "after-of-before")
			b.ReportMetric(slower, "slower-machine")
			b.ReportMetric(quiet, "MB-before")
			b.ReportMetric(peak, "MB-peak")
			if slower*after/before < floodRecovery {
				b.Errorf("%.0f/s before the flood, %.0f/s after it, on a machine that was %.2f times as fast before", before, after, slower)
			}
		})
	}
}

// hashing is how much one core hashes in a second: how fast the machine is at the moment.
func hashing() (blocks float64) {
	var block [64 << 10]byte
	for begin := time.Now(); time.Since(begin) < time.Second; blocks++ {
		h := sha256.Sum256(block[:])
		copy(block[:], h[:])
	}
	return blocks
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
	return []template{newTemplate("/v1/sessions", "", `{"login":"officer######","password":"not the password","code":"123456"}`)}
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

// flood makes requests on one thread, with epoll and without ever sleeping: on a machine whose other core is the server's, anything more would measure
// itself.
type flood struct {
	addr     string
	requests []template
	rand     *rand.Rand
	epoll    int
	most     int // connections
	conns    []*floodConn
	idle     []*floodConn
	events   []syscall.EpollEvent
	buf      []byte // of a request
}

// floodConn is a connection with at most one request under way.
type floodConn struct {
	fd  int
	at  int // index in conns
	due time.Time
	in  []byte // of the answer so far
	n   int
}

// tally is what became of requests.
type tally struct {
	sent, accepted, refused, other, lost int
	latencies                            []time.Duration // of accepted ones
	odd                                  string          // such as, of others
}

func newFlood(b *testing.B, addr string, requests []template, connections int) *flood {
	b.Helper()
	f := &flood{addr: addr, requests: requests, rand: rand.New(rand.NewPCG(rand.Uint64(), 1)), events: make([]syscall.EpollEvent, connections)}
	var err error
	f.epoll, err = syscall.EpollCreate1(0)
	check(b, err)
	f.most = connections
	return f
}

// ready says whether there is a connection for a request, and opens one if need be.
func (f *flood) ready(b *testing.B) bool {
	b.Helper()
	if len(f.idle) == 0 && len(f.conns) < f.most {
		c := &floodConn{at: len(f.conns), in: make([]byte, 8<<10)}
		f.conns = append(f.conns, c)
		f.connect(b, c)
	}
	return len(f.idle) > 0
}

func (f *flood) connect(b *testing.B, c *floodConn) {
	b.Helper()
	to, err := net.ResolveTCPAddr("tcp4", f.addr)
	check(b, err)
	c.fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check(b, err)
	check(b, syscall.Connect(c.fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}))
	check(b, syscall.SetNonblock(c.fd, true))
	check(b, syscall.EpollCtl(f.epoll, syscall.EPOLL_CTL_ADD, c.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.at)}))
	f.idle = append(f.idle, c)
}

func (f *flood) close(b *testing.B) {
	b.Helper()
	for _, c := range f.conns {
		check(b, syscall.Close(c.fd))
	}
	check(b, syscall.Close(f.epoll))
}

// send sends a request that was due at a time on an idle connection.
func (f *flood) send(b *testing.B, due time.Time) {
	b.Helper()
	c := f.idle[len(f.idle)-1]
	f.idle = f.idle[:len(f.idle)-1]
	f.buf = f.requests[f.rand.IntN(len(f.requests))].write(f.buf, f.rand)
	c.due, c.n = due, 0
	n, err := syscall.Write(c.fd, f.buf)
	check(b, err)
	if n < len(f.buf) {
		b.Fatal("a request of some hundred bytes does not fit into the buffer of a socket")
	}
}

// poll takes the answers that are there.
func (f *flood) poll(b *testing.B, t *tally) {
	b.Helper()
	n, err := syscall.EpollWait(f.epoll, f.events, 0)
	if errors.Is(err, syscall.EINTR) {
		return
	}
	check(b, err)
	for _, e := range f.events[:n] {
		f.receive(b, f.conns[e.Fd], t)
	}
}

func (f *flood) receive(b *testing.B, c *floodConn, t *tally) {
	b.Helper()
	n, err := syscall.Read(c.fd, c.in[c.n:])
	if errors.Is(err, syscall.EAGAIN) {
		return
	}
	if n <= 0 { // the server has closed the connection
		check(b, syscall.Close(c.fd))
		if i := slices.Index(f.idle, c); i >= 0 {
			f.idle = slices.Delete(f.idle, i, i+1)
		} else {
			t.other++
			t.odd = fmt.Sprintf("connection ended, %v", err)
		}
		f.connect(b, c)
		return
	}
	c.n += n
	status, retry, whole := answerOf(c.in[:c.n])
	if !whole {
		return
	}
	f.idle = append(f.idle, c)
	switch {
	case status < 300 || status == 401: // a wrong password is work done
		t.accepted++
		t.latencies = append(t.latencies, time.Since(c.due))
	case (status == 429 || status == 503) && retry:
		t.refused++
	default:
		t.other++
		t.odd = fmt.Sprintf("status %d", status)
	}
}

// answerOf reads an answer: its status, whether it says when to come again, and whether it is there to its end.
func answerOf(in []byte) (status int, retry, whole bool) {
	head, body, ok := bytes.Cut(in, []byte("\r\n\r\n"))
	if !ok || len(head) < len("HTTP/1.1 200") {
		return 0, false, false
	}
	_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	n, err := strconv.Atoi(string(length))
	if err != nil || len(body) < n {
		return 0, false, false
	}
	status, err = strconv.Atoi(string(head[9:12]))
	return status, bytes.Contains(head, []byte("\r\nRetry-After: ")), err == nil
}

// closed keeps so many connections busy and gives how many requests were accepted in a second.
func closed(b *testing.B, s *flooded, requests []template, connections int, d time.Duration) float64 {
	b.Helper()
	f := newFlood(b, s.addr, requests, connections)
	defer f.close(b)
	var t tally
	begin := time.Now()
	for now := begin; now.Sub(begin) < d; now = time.Now() {
		for f.ready(b) {
			f.send(b, now)
		}
		f.poll(b, &t)
	}
	if t.other > 0 || t.refused > t.accepted/20 {
		b.Errorf("%d of %d requests were refused, and %d got another answer, such as: %s", t.refused, t.accepted+t.refused, t.other, t.odd)
	}
	return float64(t.accepted) / d.Seconds()
}

// flooding sends at a rate, whatever becomes of the requests. A request that is due is counted from then on, even if every connection is busy.
func flooding(b *testing.B, s *flooded, requests []template, rate float64, d time.Duration) *tally {
	b.Helper()
	f := newFlood(b, s.addr, requests, floodConnections)
	defer f.close(b)
	t := &tally{latencies: make([]time.Duration, 0, 1<<20)}
	for range min(floodConnections, int(rate/10)) { // a proxy has its connections already
		c := &floodConn{at: len(f.conns), in: make([]byte, 8<<10)}
		f.conns = append(f.conns, c)
		f.connect(b, c)
	}
	total := int(rate * d.Seconds())
	begin := time.Now()
	dueAt := func(i int) time.Time { return begin.Add(time.Duration(float64(i) / rate * 1e9)) }
	for t.sent < total || len(f.idle) < len(f.conns) {
		elapsed := time.Since(begin)
		for want := min(int(rate*elapsed.Seconds()), total); t.sent < want && f.ready(b); t.sent++ {
			f.send(b, dueAt(t.sent))
		}
		f.poll(b, t)
		if elapsed > d+5*time.Second {
			t.lost = total - t.sent + len(f.conns) - len(f.idle)
			break
		}
	}
	t.sent = total
	return t
}

func (t *tally) report(b *testing.B, d time.Duration) {
	b.Helper()
	slices.Sort(t.latencies)
	if len(t.latencies) == 0 {
		b.Fatalf("nothing was accepted of %d requests; such as: %s", t.sent, t.odd)
	}
	p99 := t.latencies[len(t.latencies)*99/100]
	b.ReportMetric(float64(t.sent)/d.Seconds(), "offered/s")
	b.ReportMetric(float64(t.accepted)/d.Seconds(), "accepted/s")
	b.ReportMetric(100*float64(t.refused)/float64(t.sent), "%refused")
	b.ReportMetric(p99.Seconds()*1e3, "p99-ms")
	b.ReportMetric(0, "ns/op")
	if p99 >= floodP99 {
		b.Errorf("the 99th percentile of %d accepted requests is %v", t.accepted, p99)
	}
	if t.other+t.lost > 0 {
		b.Errorf("%d requests of %d got another answer, %d none within 5 s; such as: %s", t.other, t.sent, t.lost, t.odd)
	}
}
