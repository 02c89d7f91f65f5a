package httpapi

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// A pace slows down while the process is late, never below its least, and ends when it is as fast as without one.
func TestPace(t *testing.T) {
	t.Parallel()
	var p pace
	at := now.UnixNano()
	p.adjust(at, 0, 10)
	step := func(late time.Duration) int {
		begun := 0
		for range int(probeEvery / time.Millisecond) {
			at += int64(time.Millisecond)
			if p.may(at, 32) { // a thousand a second, if it may be so many
				begun++
			}
		}
		p.adjust(at, late, 10)
		return begun
	}
	for range 40 {
		step(0)
	}
	if p.rate != 0 || p.usual < 900 || p.usual > 1100 {
		t.Fatalf("rate %v, usual %v", p.rate, p.usual)
	}
	last := 1 << 20
	for range 5 {
		step(lateAfter + 1)
		if got := int(p.rate); got >= last || got < 10 {
			t.Errorf("rate %d after %d", got, last)
		}
		last = int(p.rate)
	}
	step(0)
	if got := step(0); float64(got) > p.rate/20*1.2+1 || float64(got) < p.rate/20*0.7 {
		t.Errorf("%d begun in a twentieth of a second at %v/s", got, p.rate)
	}
	for range 100 {
		step(lateAfter + 1)
	}
	if p.rate != 10 {
		t.Errorf("the least is %v", p.rate)
	}
	steady := p.rate
	step((lateAfter + earlyAfter) / 2)
	if p.rate != steady {
		t.Errorf("neither late nor early, %v becomes %v", steady, p.rate)
	}
	for n := 0; p.rate > 0; n++ {
		if n > 100 {
			t.Fatalf("still %v/s after 5 s", p.rate)
		}
		step(0)
	}
	step(lateAfter + 1)
	if p.rate == 0 {
		t.Error("no pace")
	}
	if !p.may(at+int64(forgetAfter)+1, 32) || p.rate != 0 {
		t.Error("a pace that nobody adjusts does not end")
	}
}

// A gate with a pace lets in no more than that, those who wait before those who come.
func TestGateKeepsPace(t *testing.T) {
	t.Parallel()
	g := newGate(room{slots: 8, waiting: 8, patience: time.Hour})
	at := time.Now()
	g.pace = pace{rate: 1e-9, tokens: 2, filled: at.UnixNano(), since: at.Add(time.Hour).UnixNano()}
	var in []ticket
	for range 2 {
		tk, ok := g.enter(t.Context(), keyOf(1))
		if !ok {
			t.Fatal("turned away though there is a place and a token")
		}
		in = append(in, tk)
	}
	g.patience = 0
	if _, ok := g.enter(t.Context(), keyOf(1)); ok {
		t.Error("let in beyond the pace")
	}
	if !g.shut(keyOf(2), time.Now()) {
		t.Error("the gate does not look shut")
	}
	g.patience = 1 << 62
	var wg sync.WaitGroup
	wg.Go(func() {
		tk, ok := g.enter(t.Context(), keyOf(3))
		if !ok {
			t.Error("whoever waits is turned away")
		}
		tk.leave()
	})
	for waits := 0; waits == 0; runtime.Gosched() {
		g.mu.Lock()
		waits = g.waiting
		g.mu.Unlock()
	}
	g.mu.Lock()
	g.pace.tokens = 1
	g.mu.Unlock()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := g.enter(gone, keyOf(4)); ok {
		t.Error("a newcomer takes the turn of whoever waits")
	}
	wg.Wait()
	for _, tk := range in {
		tk.leave()
	}
	if g.running != 0 || g.waiting != 0 {
		t.Errorf("running %d, waiting %d", g.running, g.waiting)
	}
}

// The byte through the pipe: what is measured is heard, once per measurement, and a measurement that takes long is told before it ends.
func TestLateness(t *testing.T) {
	t.Parallel()
	var l lateness
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan time.Duration, 8)
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx, func(d time.Duration) { heard <- d }) }()
	for l.w.Load() == nil {
		runtime.Gosched()
	}
	at := time.Now()
	if late := l.probe(at); late != 0 {
		t.Errorf("late by %v before anything is known", late)
	}
	if d := <-heard; d < 0 || d > time.Minute {
		t.Errorf("late by %v", d)
	}
	l.probe(at.Add(probeEvery / 2))
	if len(heard) > 0 || l.sent.Load() != 0 {
		t.Error("measured again too soon")
	}
	l.sent.Store(at.UnixNano()) // as if the byte lay unread
	if late := l.probe(at.Add(3 * probeEvery)); late != 3*probeEvery {
		t.Errorf("late by %v", late)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if late := l.probe(at.Add(time.Hour)); late != 0 {
		t.Errorf("late by %v when nobody listens", late)
	}
	var c lateness
	c.crowded(at, 2)
	for range 40_000 {
		c.probe(at)
	}
	if !c.crowded(at.Add(2*time.Second), 2) || c.crowded(at.Add(4*time.Second), 2) {
		t.Error("20,000 requests turned away in a second are a crowd for two cores, and none are not")
	}
}

// Who is turned away before being routed gets what the gate would have said, word for word.
func TestTurnedAwayAtTheDoor(t *testing.T) {
	t.Parallel()
	for _, hold := range []time.Duration{0, time.Hour} {
		var g *Guard
		b := setup(t, withGuard(t, GuardConfig{Cores: 1, Limits: &Limits{}}), func(d *Deps) { g = d.Guard })
		gate := g.gates[costHash]
		gate.slots, gate.hold = 0, int64(hold)
		if hold == 0 {
			gate.room.waiting = 0
		}
		g.logged.Store(time.Now().Add(time.Hour).UnixNano()) // the log has had its line
		ask := func(accept string) *fasthttp.RequestCtx {
			var rc fasthttp.RequestCtx
			rc.Request.Header.SetMethod("POST")
			rc.Request.SetRequestURI("/v1/sessions")
			rc.Request.Header.SetHost("x")
			rc.Request.Header.Set("Accept", accept)
			b.app.Handler()(&rc)
			return &rc
		}
		at, door := ask(""), ask("") // the first one is refused at the gate itself
		var p, q problem
		if err := json.Unmarshal(at.Response.Body(), &p); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(door.Response.Body(), &q); err != nil {
			t.Fatal(err)
		}
		strip := func(h string) string {
			var out []string
			for line := range strings.SplitSeq(h, "\r\n") {
				if !strings.HasPrefix(line, "Retry-After") && !strings.HasPrefix(line, "X-Request-Id") && !strings.HasPrefix(line, "Content-Length") {
					out = append(out, line)
				}
			}
			return strings.Join(out, "\n")
		}
		if got, want := strip(door.Response.Header.String()), strip(at.Response.Header.String()); got != want || p.Code != q.Code || p.Title != q.Title || p.Type != q.Type || q.RequestID == "" {
			t.Errorf("got\n%s\n%+v\nwant\n%s\n%+v", got, q, want, p)
		}
		if len(door.Response.Header.Peek("Retry-After")) == 0 || door.Response.StatusCode() != 503 {
			t.Errorf("%d", door.Response.StatusCode())
		}
		if g.spared.Load() != 2 {
			t.Errorf("%d refusals have no line", g.spared.Load())
		}
		if html := ask("text/html"); !strings.Contains(string(html.Response.Body()), "<title>") {
			t.Errorf("a person is told %s", html.Response.Body())
		}
	}
}
