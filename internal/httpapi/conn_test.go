package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
)

// guarded serves a server whose connections are bounded.
func guarded(t testing.TB, c Connections, change ...func(*Deps)) (addr string, b *bundle, g *Guard) {
	t.Helper()
	d := DefaultConnections()
	for dst, v := range map[*int]int{&d.All: c.All, &d.Address: c.Address, &d.Network: c.Network, &d.BodyRate: c.BodyRate} {
		if v != 0 {
			*dst = v
		}
	}
	for dst, v := range map[*time.Duration]time.Duration{&d.Header: c.Header, &d.Idle: c.Idle, &d.Write: c.Write, &d.BodyGrace: c.BodyGrace} {
		if v != 0 {
			*dst = v
		}
	}
	b = setup(t, append([]func(*Deps){func(deps *Deps) {
		var err error
		if g, err = NewGuard(GuardConfig{Connections: &d, Limits: &Limits{}}); err != nil {
			t.Fatal(err)
		}
		deps.Guard = g
	}}, change...)...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.app.Listener(g.Listener(ln)) }()
	t.Cleanup(func() {
		if err := b.app.ShutdownWithTimeout(5 * time.Second); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String(), b, g
}

// client is a connection that a test writes to by hand.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{c, bufio.NewReader(c)}
}

func (c *client) send(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func (c *client) receive(t testing.TB) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

// ended says whether the server has closed the connection, and waits until it does.
func (c *client) ended() bool {
	_, err := c.r.ReadByte()
	var timeout net.Error
	return err != nil && (!errors.As(err, &timeout) || !timeout.Timeout())
}

const askHealth = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

// A header that trickles in is not waited for longer than Header, however busy its sender looks.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	addr, _, _ := guarded(t, Connections{Header: 150 * time.Millisecond})
	for _, start := range []string{"G", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "} {
		c := dial(t, addr)
		begin := time.Now()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // a byte every 10 ms
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			_, _ = io.WriteString(c, start)
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					if _, err := io.WriteString(c, "a"); err != nil {
						return
					}
				}
			}
		})
		resp := c.receive(t)
		contracttest.Check(t, request("GET", "/healthz", ""), resp)
		if p := readProblem(t, resp); resp.StatusCode != 408 || p.Code != "request_timeout" {
			t.Errorf("%q: %d %+v", start, resp.StatusCode, p)
		}
		if !c.ended() {
			t.Errorf("%q: the connection is kept", start)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%q: it took %v", start, took)
		}
		close(stop)
		wg.Wait()
	}
}

// A connection that was opened ahead of time ends without a word: its owner would take one for the answer to what it asks next.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	addr, _, g := guarded(t, Connections{Header: 50 * time.Millisecond})
	c := dial(t, addr)
	if b, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("it was told %q, %v", b, err)
	}
	for g.conns.open.Load() > 0 {
		runtime.Gosched() // the server notices soon
	}
}

// A body that trickles in is given up, whether its length is known or not, and takes no place at work from others meanwhile.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	addr, _, g := guarded(t, Connections{BodyGrace: 100 * time.Millisecond, BodyRate: 1 << 20})
	head := "POST /epcis/capture HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: " + asSeller + "\r\n"
	for name, sent := range map[string]string{
		"announced": head + "Content-Length: 1000000\r\n\r\n" + strings.Repeat(" ", prefetched+100),
		"in chunks": head + "Transfer-Encoding: chunked\r\n\r\n5\r\n     \r\n",
	} {
		c := dial(t, addr)
		c.send(t, sent)
		resp := c.receive(t)
		if p := readProblem(t, resp); resp.StatusCode != 408 || p.Code != "request_timeout" {
			t.Errorf("%s: %d %+v", name, resp.StatusCode, p)
		}
		if !c.ended() {
			t.Errorf("%s: the connection is kept", name)
		}
	}
	if n := g.shed.bodies.Load(); n != 0 {
		t.Errorf("%d bytes are still reserved", n)
	}
	// While a hundred such bodies are awaited, more than there are places, others work.
	for range 40 {
		dial(t, addr).send(t, head+"Content-Length: 100000\r\n\r\n"+strings.Repeat(" ", prefetched+100))
	}
	c := dial(t, addr)
	e := string(readExample(t, "captureDocument").Request.Body)
	c.send(t, head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(e), e))
	if resp := c.receive(t); resp.StatusCode != 202 {
		t.Errorf("%d %s", resp.StatusCode, readBody(t, resp))
	}
}

// One key cannot have all the memory for bodies, however many of its bodies are under way and however slowly they come: it is told to wait before
// more of it is read, and another firm gets in. Nor can all together have more than there is.
func TestBodiesAreShared(t *testing.T) {
	t.Parallel()
	memory := &gauge{}
	memory.limit.Store(bodyShare * minBodies) // so that there is the least for bodies, sixteen of the largest
	addr, b, g := guarded(t, Connections{}, func(d *Deps) { d.Guard.shed.meter = memory })
	firms := make([]string, 6)
	b.fakes.set(func(f *fakes) {
		for i := range firms {
			p := sellerPrincipal
			p.ID, p.Firm = fmt.Sprintf("key%d", i), fmt.Sprintf("firm-%d", i)
			token := fmt.Sprintf("hk_%s_0123456789abcdefghjkmnpqrstvwxyz", p.ID)
			f.principals[token], firms[i] = p, "Bearer "+token
		}
		second := f.principals[firms[0][len("Bearer "):]]
		second.ID = "another"
		f.principals["hk_another_0123456789abcdefghjkmnpqrstvwxyz"] = second
	})
	const largest = 1 << 20
	begin := func(key string) *client {
		c := dial(t, addr)
		c.send(t, post("/epcis/events", key, largest, false)+strings.Repeat(" ", prefetched+1))
		return c
	}
	taken := func(bodies int64) {
		t.Helper()
		for begin := time.Now(); g.shed.bodies.Load() != bodies*largest; runtime.Gosched() { // the server notices soon
			if time.Since(begin) > 20*time.Second {
				t.Fatalf("%d bytes are reserved and not %d bodies", g.shed.bodies.Load(), bodies)
			}
		}
	}
	refused := func(c *client, status int, code string) {
		t.Helper()
		resp := c.receive(t)
		contracttest.Check(t, request("POST", "/epcis/events", ""), resp)
		if p := readProblem(t, resp); resp.StatusCode != status || p.Code != code || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%d %+v, Retry-After %q", resp.StatusCode, p, resp.Header.Get("Retry-After"))
		}
		if !c.ended() {
			t.Error("the rest of the body is awaited")
		}
	}
	// Each gets half of what is left to it and the others: eight, four, two, one; and one is left for the next.
	own, all := begin(firms[0]), int64(1)
	taken(all)
	for i, more := range []int{7, 4, 2, 1, 1} {
		for range more {
			begin(firms[i])
			all++
			taken(all)
		}
		if i == 0 {
			refused(begin(firms[0]), 429, "rate_limited")
			refused(begin("Bearer hk_another_0123456789abcdefghjkmnpqrstvwxyz"), 429, "rate_limited") // the same firm's other key
		}
	}
	refused(begin(firms[5]), 503, "overloaded")
	// What has been answered makes room.
	own.send(t, strings.Repeat(" ", largest-prefetched-1))
	if resp := own.receive(t); resp.StatusCode != 400 {
		t.Errorf("%d %s", resp.StatusCode, readBody(t, resp))
	}
	taken(15)
	begin(firms[5])
	taken(16)
}

// A steady client of any size gets through: the deadline moves with what arrives.
func TestSteadyBodies(t *testing.T) {
	t.Parallel()
	table := newConnTable(Connections{BodyGrace: time.Second, BodyRate: 1000}, nil, func() time.Time { return now })
	for _, n := range []int{20_000, -1} {
		conn := &deadlineNotes{}
		got, err := table.collectBody(conn, &pieces{conn: conn, left: 20_000, each: 700}, n, 20_000)
		if err != nil || len(got) != 20_000 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if first, last := conn.set[0], conn.set[len(conn.set)-1]; !first.Equal(now.Add(time.Second)) || last.Before(now.Add(19*time.Second)) {
			t.Errorf("deadlines from %v to %v", first, last)
		}
	}
	for name, c := range map[string]struct{ n, limit, sent int }{
		"a chunk too much": {-1, 5000, 5001}, "cut off": {6000, 6000, 5000},
	} {
		conn := &deadlineNotes{}
		if got, err := table.collectBody(conn, &pieces{conn: conn, left: c.sent, each: 900, cut: c.n > 0}, c.n, c.limit); err == nil {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}

// deadlineNotes is a connection that notes its deadlines.
type deadlineNotes struct {
	net.Conn
	set []time.Time
}

func (d *deadlineNotes) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// pieces gives a body piece by piece.
type pieces struct {
	conn       *deadlineNotes
	left, each int
	cut        bool
}

func (s *pieces) Read(p []byte) (int, error) {
	if s.left == 0 {
		if s.cut {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, io.EOF
	}
	n := min(len(p), s.each, s.left)
	s.left -= n
	return n, nil
}

// A connection that was refused a body is of use again if the body is small, and is closed if it is not.
func TestConnectionsAfterARefusal(t *testing.T) {
	t.Parallel()
	addr, _, _ := guarded(t, Connections{})
	c := dial(t, addr)
	for range 2 {
		c.send(t, "POST /epcis/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nGET /"+askHealth)
		if resp := c.receive(t); resp.StatusCode != 401 {
			t.Fatalf("%d", resp.StatusCode)
		}
		if resp := c.receive(t); resp.StatusCode != 200 {
			t.Fatalf("%d", resp.StatusCode)
		}
	}
	for name, sent := range map[string]string{
		"large":     post("/epcis/capture", "", 100<<10, true),
		"in chunks": "POST /epcis/capture HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
		"of a GET":  "GET /v1/warnings HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n" + askHealth,
		"to a page": "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		c := dial(t, addr)
		c.send(t, sent)
		resp := c.receive(t)
		if resp.StatusCode < 400 || !resp.Close || !c.ended() {
			t.Errorf("%s: %d, to be closed: %v", name, resp.StatusCode, resp.Close)
		}
	}
}

// One address has so many connections, and no more; the others are told to come back.
func TestConnectionsOfAnAddress(t *testing.T) {
	t.Parallel()
	addr, _, g := guarded(t, Connections{Address: 3})
	var cs []*client
	for range 3 {
		c := dial(t, addr)
		c.send(t, askHealth)
		if resp := c.receive(t); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		cs = append(cs, c)
	}
	resp := dial(t, addr).receive(t)
	contracttest.Check(t, request("GET", "/nothing", ""), fill(resp))
	if p := readProblem(t, resp); resp.StatusCode != 503 || p.Code != "overloaded" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
	_ = cs[0].Close()
	for g.conns.open.Load() == 3 {
		runtime.Gosched() // the server notices soon
	}
	c := dial(t, addr)
	c.send(t, askHealth)
	if resp := c.receive(t); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// fill gives an answer of the listener the ID that a request would have had.
func fill(resp *http.Response) *http.Response {
	resp.Header.Set("X-Request-Id", "-")
	return resp
}

// When there are too many in all, those make room that wait for a request, of the network that has most; working ones stay.
func TestConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	at := now
	table := newConnTable(Connections{All: 6, Address: 10, Network: 10}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, func() time.Time { return at })
	table.refused = prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})
	add := func(ip string) (*guardedConn, *pretended) {
		p := &pretended{addr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		return table.add(p), p
	}
	busy, _ := add("203.0.113.1")
	busy.phase.Store(phaseWorking)
	idle, idleConn := add("203.0.113.2")
	idle.become(phaseIdle)
	slow, slowConn := add("203.0.113.3")
	lone, loneConn := add("198.51.100.1")
	lone.become(phaseIdle)
	proxy, _ := add("10.0.0.1")
	proxy.phase.Store(phaseWorking)
	fresh, freshConn := add("192.0.2.1")
	if slow == nil || fresh == nil || !proxy.proxy || table.open.Load() != 6 {
		t.Fatal("not everybody got in")
	}
	at = at.Add(evictAfter / 2)
	if c, _ := add("192.0.2.2"); c == nil || !idleConn.closed || !loneConn.closed || slowConn.closed || freshConn.closed {
		t.Error("idle ones make room, and those that are at their request do not yet")
	}
	for i := range 3 {
		if c, _ := add(fmt.Sprintf("192.0.2.%d", 10+i)); (c == nil) != (i > 0) {
			t.Errorf("%d: %v", i, c)
		}
	}
	at = at.Add(evictAfter)
	if c, _ := add("192.0.2.20"); c == nil || !slowConn.closed {
		t.Error("a slow request makes room")
	}
	if err := busy.Close(); err != nil {
		t.Error(err)
	}
	_ = busy.Close()
	_ = idle.Close()
	if n := table.networks[networkID(netip.MustParseAddr("203.0.113.1"))]; n != 0 {
		t.Errorf("%d connections of a network that has none", n)
	}
}

// pretended is a connection that is only counted.
type pretended struct {
	net.Conn
	addr   net.Addr
	closed bool
}

func (p *pretended) RemoteAddr() net.Addr             { return p.addr }
func (p *pretended) Close() error                     { p.closed = true; return nil }
func (p *pretended) SetWriteDeadline(time.Time) error { return nil }
func (p *pretended) Write(b []byte) (int, error)      { return len(b), nil }

// Idle connections end, and a client that does not read its answer is given up.
func TestIdleAndDeafClients(t *testing.T) {
	t.Parallel()
	addr, _, g := guarded(t, Connections{Idle: 50 * time.Millisecond, Write: 50 * time.Millisecond})
	c := dial(t, addr)
	c.send(t, askHealth)
	c.receive(t)
	if !c.ended() {
		t.Error("an idle connection is kept")
	}
	deaf := dial(t, addr)
	if tcp, ok := deaf.Conn.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
	ask := strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 50)
	for { // until the server has given up
		if _, err := io.WriteString(deaf, ask); err != nil {
			break
		}
	}
	for g.conns.open.Load() > 0 {
		runtime.Gosched() // the server notices soon
	}
}
