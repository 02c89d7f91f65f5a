package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/clock"
)

// GuardConfig is what a Guard works with. The zero value is complete.
type GuardConfig struct {
	Limits         *Limits        // nil: DefaultLimits
	Connections    *Connections   // nil: DefaultConnections
	TrustedProxies []netip.Prefix // their connections are those of many clients, and are counted in all only
	Cores          int            // to do work on; default GOMAXPROCS
	Meter          Meter          // nil: this process
	Exchange       Exchange       // nil: there are no other replicas
	// Hash makes the keyed hash of a text for a purpose, the same on all replicas. It is needed with Exchange.
	Hash    func(purpose, text string) string
	Log     *slog.Logger         // nil: nothing is logged
	Metrics *prometheus.Registry // nil: a registry of its own
	Now     clock.Now            // default time.Now
}

// Guard keeps the server standing under more load than it can bear: rate limits, gates, load shedding and bounds on connections. It is safe for
// concurrent use. A server whose Deps have none makes one of its own, which knows of no other replicas and bounds no connections.
type Guard struct {
	classes *classes
	gates   [costNone]*gate
	shed    *shedder
	late    lateness
	cores   int
	conns   *connTable
	swap    *swapper // nil: there are no other replicas
	log     *slog.Logger

	refused *prometheus.CounterVec
	spared  atomic.Int64 // refusals since the last one that was logged
	logged  atomic.Int64 // when that was, in Unix nanoseconds
}

// NewGuard makes a guard. It fails if Exchange is given without Hash, or if the metrics are registered already.
func NewGuard(cfg GuardConfig) (*Guard, error) {
	if cfg.Limits == nil {
		l := DefaultLimits()
		cfg.Limits = &l
	}
	if cfg.Connections == nil {
		n := DefaultConnections()
		cfg.Connections = &n
	}
	if cfg.Cores <= 0 {
		cfg.Cores = runtime.GOMAXPROCS(0)
	}
	if cfg.Meter == nil {
		cfg.Meter = newProcessMeter()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	var hash func(purpose string, id rateID) string
	if cfg.Exchange != nil {
		if cfg.Hash == nil {
			return nil, errors.New("an exchange of counts needs a hash")
		}
		hash = func(purpose string, id rateID) string { return cfg.Hash("rate."+purpose, string(id[:])) }
	}
	g := &Guard{
		classes: newClasses(cfg.Limits, cfg.Now, hash), shed: newShedder(cfg.Meter), log: cfg.Log, cores: cfg.Cores,
		conns: newConnTable(*cfg.Connections, cfg.TrustedProxies, time.Now),
	}
	for c, r := range rooms(cfg.Cores) {
		g.gates[c] = newGate(r)
	}
	if cfg.Exchange != nil {
		g.swap = newSwapper(cfg.Exchange, g.classes.limiters(), cfg.Log)
	}
	return g, g.register(cfg.Metrics)
}

func (g *Guard) register(r prometheus.Registerer) error {
	g.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "haisu_http_refused_total", Help: "Requests and connections turned away, by what was short.",
	}, []string{"reason"})
	all := []prometheus.Collector{g.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "haisu_http_connections", Help: "Open connections.",
	}, func() float64 { return float64(g.conns.open.Load()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "haisu_http_body_bytes", Help: "Bytes of request bodies that are being read or worked on.",
	}, func() float64 { return float64(g.shed.bodies.Load()) })}
	for c, gt := range g.gates {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "haisu_http_waiting", Help: "Requests that wait for their turn, by what they cost.",
			ConstLabels: prometheus.Labels{"cost": cost(c).String()},
		}, func() float64 {
			gt.mu.Lock()
			defer gt.mu.Unlock()
			return float64(gt.waiting)
		}))
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	g.conns.refused = g.refused.WithLabelValues("connections")
	return nil
}

// Run exchanges counts with other replicas and measures how late requests are noticed, until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return g.late.run(ctx, g.adjust) })
	if g.swap != nil {
		all.Go(func() error { return g.swap.run(ctx) })
	}
	return all.Wait()
}

// adjust lets every gate but that of scans begin less work if requests are noticed late, and more if they are not.
func (g *Guard) adjust(late time.Duration) {
	now := time.Now()
	if !g.late.crowded(now, g.cores) {
		late = 0
	}
	for _, gt := range g.gates[:costScan] {
		gt.adjust(now, late)
	}
}

// visit is a request's stay: what it took and has to give back.
type visit struct {
	guard  *Guard
	client rateID
	cost   cost
	ticket ticket
	owner  rateID // of the body,
	bytes  int64  // and what is reserved for it
}

// leave gives back everything. It may be called again.
func (v *visit) leave() {
	v.pause()
	if v.bytes > 0 {
		v.guard.shed.release(v.owner, v.bytes)
		v.bytes = 0
	}
}

// pause gives the place at work back while the client is waited for, so that slow clients keep nobody from working.
func (v *visit) pause() {
	v.ticket.leave()
	v.ticket = ticket{}
}

// resume gets a place at work.
func (v *visit) resume(ctx context.Context) error {
	if v.cost >= costNone {
		return nil
	}
	t, ok := v.guard.gates[v.cost].enter(ctx, v.client)
	if !ok {
		if late := v.guard.late.probe(time.Now()); late > 0 {
			v.guard.adjust(late)
		}
		return v.guard.overloaded("gate_" + v.cost.String())
	}
	v.ticket = t
	return nil
}

// enter is the first check of a request, and the cheapest: before its credentials are looked at and its body is read, it is counted against its
// address, and needs memory and a place at work. What it took is given back by leave, which must be called in any case.
func (s *server) enter(ctx context.Context, c *fiber.Ctx, cl *class, k cost, v *visit) error {
	a := s.clientAddr(c)
	if err := s.admitRate(c, cl, a); err != nil {
		return err
	}
	v.guard, v.client, v.cost = s.guard, networkID(a), k
	if !s.guard.shed.allows(k, time.Now()) {
		return s.guard.overloaded("memory")
	}
	return v.resume(ctx)
}

// overloaded is the refusal of a request that the server has no room for.
func (g *Guard) overloaded(reason string) error {
	g.refused.WithLabelValues(reason).Inc()
	return busy()
}

// overshared is the refusal of a body for which there is room, but not for one more of this caller.
func (g *Guard) overshared() error {
	g.refused.WithLabelValues("body_share").Inc()
	return &httpError{
		status: http.StatusTooManyRequests, code: "rate_limited", detail: "too much of yours is being sent at once; wait until some of it has been answered",
		retry: time.Duration(1+rand.IntN(3)) * time.Second, shed: true,
	}
}

// busy words it. Those who are refused together should not come back together.
func busy() *httpError {
	wait := 1 + rand.IntN(3)
	return &httpError{
		status: http.StatusServiceUnavailable, code: "overloaded", detail: "the server is busy; wait " + strconv.Itoa(wait) + " s",
		retry: time.Duration(wait) * time.Second, shed: true,
	}
}

// due says whether the next refusal is one to be logged.
func (g *Guard) due(now time.Time) bool {
	return now.UnixNano()-g.logged.Load() >= int64(100*time.Millisecond)
}

// sparing says whether a refusal gets no line in the log: in a flood the lines would cost more than the refusals. One refusal in a tenth of a
// second is logged, with the number of those that were not.
func (g *Guard) sparing(now time.Time) (spare bool, spared int64) {
	last := g.logged.Load()
	if !g.due(now) || !g.logged.CompareAndSwap(last, now.UnixNano()) {
		g.spared.Add(1)
		return true, 0
	}
	return false, g.spared.Swap(0)
}
