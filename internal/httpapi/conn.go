package httpapi

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// Connections bounds open connections and how long clients may take. A connection takes some 40 KB. An address is an IPv4 address or an IPv6
// /64, a network an IPv4 /24 or an IPv6 /48. A trusted proxy counts in All alone.
type Connections struct {
	All, Address, Network int

	Header time.Duration // for the header of a request, with the first 8 KiB of its body
	Idle   time.Duration // until the next request
	Write  time.Duration // for an answer
	// A body must arrive at BodyRate bytes a second on the average, once BodyGrace is over.
	BodyGrace time.Duration
	BodyRate  int
}

// DefaultConnections let a shop's visitors in through one address, and four such networks fill the server.
func DefaultConnections() Connections {
	return Connections{
		All: 4096, Address: 512, Network: 1024, Header: 10 * time.Second, Idle: 75 * time.Second, Write: 30 * time.Second,
		BodyGrace: 5 * time.Second, BodyRate: 16 << 10,
	}
}

// The phases of a connection.
const (
	phaseReading = iota // no request has arrived completely
	phaseIdle           // the last request was answered
	phaseWorking
)

// evictAfter is how long a connection may take for its request before it may have to make room for another, and evictMost how many make room at once,
// so that looking for them costs little per connection.
const (
	evictAfter = time.Second
	evictMost  = 64
)

// connTable counts connections. It is safe for concurrent use.
type connTable struct {
	most    Connections
	trusted []netip.Prefix
	now     func() time.Time
	refused prometheus.Counter
	open    atomic.Int64

	mu       sync.Mutex
	conns    map[*guardedConn]struct{}
	address  map[rateID]int
	networks map[rateID]int
}

func newConnTable(most Connections, trusted []netip.Prefix, now func() time.Time) *connTable {
	return &connTable{
		most: most, trusted: trusted, now: now,
		conns: map[*guardedConn]struct{}{}, address: map[rateID]int{}, networks: map[rateID]int{},
	}
}

// guardedConn is a connection that is counted.
type guardedConn struct {
	net.Conn
	table            *connTable
	address, network rateID
	proxy            bool
	phase            atomic.Int32
	since            atomic.Int64 // when the phase began, in Unix nanoseconds
	closed           atomic.Bool
	heard            atomic.Bool  // something has arrived
	lasts            atomic.Int64 // until when the answer under way may take, in Unix nanoseconds, if its client goes on reading; 0: an answer like any other
}

// Read notes that something has arrived.
func (c *guardedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// Write says nothing to whoever has said nothing: a browser opens connections ahead of time, and would take the 408 that ends one for the answer to the
// request that it sends next.
func (c *guardedConn) Write(b []byte) (int, error) {
	if !c.heard.Load() {
		return 0, net.ErrClosed
	}
	if until := c.lasts.Load(); until != 0 {
		if err := c.SetWriteDeadline(earlier(time.Now().Add(c.table.most.Write), time.Unix(0, until))); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// lasting lets the answer under way take until then, as long as its client takes each part of it within the time for an answer.
func lasting(c net.Conn, until time.Time) {
	if gc, ok := c.(*guardedConn); ok {
		gc.lasts.Store(until.UnixNano())
	}
}

func (c *guardedConn) become(phase int32) {
	c.phase.Store(phase)
	c.since.Store(c.table.now().UnixNano())
}

// Close closes the connection and stops counting it.
func (c *guardedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.table.remove(c)
	}
	return c.Conn.Close()
}

// Listener bounds the connections that a listener accepts. Too many from one address or network are closed; when there are too many in all, those
// make room that wait for a request longest, of the networks that have most, and if there are none the newcomer is told to come back.
func (g *Guard) Listener(ln net.Listener) net.Listener { return &guardedListener{ln, g.conns} }

type guardedListener struct {
	net.Listener
	table *connTable
}

func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if gc := l.table.add(c); gc != nil {
			return gc, nil
		}
	}
}

// busyAnswer is what a connection is told that nobody has time for.
var busyAnswer = []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Type: " + typeProblem + "\r\nRetry-After: 2\r\nCache-Control: no-store\r\n" +
	"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nConnection: close\r\n" +
	"Content-Length: " + strconv.Itoa(len(busyBody)) + "\r\n\r\n" + busyBody)

const busyBody = `{"type":"` + problemBase + `overloaded","title":"Service Unavailable","status":503,"code":"overloaded","request_id":"-"}`

// add counts a connection. It closes the connection and gives nil if there are too many.
func (t *connTable) add(c net.Conn) *guardedConn {
	gc := &guardedConn{Conn: c, table: t}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		ip := a.AddrPort().Addr().Unmap()
		gc.address, gc.network = addressID(ip), networkID(ip)
		gc.proxy = slices.ContainsFunc(t.trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	gc.become(phaseReading)
	if !t.count(gc) {
		t.refused.Inc()
		t.dismiss(c)
		return nil
	}
	return gc
}

// count counts a connection if there is room for it.
func (t *connTable) count(c *guardedConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.proxy && (t.address[c.address] >= t.most.Address || t.networks[c.network] >= t.most.Network) {
		return false
	}
	if len(t.conns) >= t.most.All && !t.makeRoom() {
		return false
	}
	t.conns[c] = struct{}{}
	t.address[c.address]++
	t.networks[c.network]++
	t.open.Add(1)
	return true
}

// dismiss answers as far as that is possible without waiting. What fails here is the client's loss.
func (t *connTable) dismiss(c net.Conn) {
	_ = c.SetWriteDeadline(t.now().Add(time.Millisecond))
	_, _ = c.Write(busyAnswer)
	_ = c.Close()
}

func (t *connTable) remove(c *guardedConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(c)
}

func (t *connTable) forget(c *guardedConn) {
	if _, ok := t.conns[c]; !ok {
		return
	}
	delete(t.conns, c)
	t.open.Add(-1)
	fewer(t.address, c.address)
	fewer(t.networks, c.network)
}

func fewer(counts map[rateID]int, id rateID) {
	if counts[id]--; counts[id] <= 0 {
		delete(counts, id)
	}
}

// makeRoom closes some connections that wait for a request, and says whether there were any.
func (t *connTable) makeRoom() bool {
	type candidate struct {
		conn  *guardedConn
		heavy int
		since int64
	}
	var all []candidate
	before := t.now().Add(-evictAfter).UnixNano()
	for c := range t.conns {
		since := c.since.Load()
		if phase := c.phase.Load(); phase == phaseIdle || phase == phaseReading && since < before {
			all = append(all, candidate{c, t.networks[c.network], since})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if a.heavy != b.heavy {
			return b.heavy - a.heavy
		}
		return int(min(max(a.since-b.since, -1), 1))
	})
	for _, v := range all[:min(len(all), evictMost)] {
		t.forget(v.conn)
		_ = v.conn.Conn.Close() // whoever reads from it finds out
	}
	return len(all) > 0
}

// connState is fasthttp's hook.
func connState(c net.Conn, state fasthttp.ConnState) {
	gc, ok := c.(*guardedConn)
	if !ok {
		return
	}
	switch state {
	case fasthttp.StateActive: // the first byte of a request is there, or the connection is new
		gc.become(phaseReading)
	case fasthttp.StateIdle:
		gc.become(phaseIdle)
	}
}

// working notes that the request has arrived.
func working(c net.Conn) {
	if gc, ok := c.(*guardedConn); ok {
		gc.lasts.Store(0)
		gc.phase.Store(phaseWorking)
	}
}
