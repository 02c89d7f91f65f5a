package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Names of what is no operation of the contract, for metrics and logs.
const (
	opNone    = "none"
	opDocs    = "docs"
	opTile    = "getLedgerTile"
	opMetrics = "metrics"
	opPage    = "page"
)

// metrics of the server.
type metrics struct {
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "haisu_http_request_duration_seconds", Help: "Time from the complete request to the complete response.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"operation", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "haisu_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
	}
	for _, c := range []prometheus.Collector{m.duration, m.inFlight} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID is a trusted proxy's, so that the logs of both can be joined, or a new one.
func (s *server) requestID(c *fiber.Ctx) string {
	if given := c.Get(fiber.HeaderXRequestID); given != "" && s.trusted(peerAddr(c)) && requestIDPattern.MatchString(given) {
		return given
	}
	return s.deps.NewToken()
}

// observe wraps every request: it gives it an ID, a deadline and security headers, turns errors and panics into problems, and writes
// one line and one measurement about it.
func (s *server) observe(c *fiber.Ctx) error {
	start := time.Now() // how long it takes is the machine's matter, not that of the clock that the domain is given
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	k := &call{id: s.requestID(c), operation: opNone}
	c.Locals(callKey{}, k)
	s.secure(c, k.id)
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), callKey{}, k), defaultDeadline)
	defer cancel()
	ctx, span := s.beginSpan(ctx, c)
	c.SetUserContext(ctx)
	var r *httpError
	if err := s.guarded(c); err != nil {
		r = refusalOf(err)
		if err := s.writeProblem(c, r, k.id); err != nil {
			return err
		}
	}
	s.report(c, k, r, time.Since(start))
	endSpan(span, c, k, r)
	return nil
}

// guarded runs the handlers. A panic becomes an error with its stack, for the log.
func (s *server) guarded(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Next()
}

// report writes the request's one line; of many that are refused for want of room only some get one. It names the operation and never the path, the query, the headers or the address: those
// hold receipts, codes, tokens and people.
func (s *server) report(c *fiber.Ctx, k *call, r *httpError, took time.Duration) {
	status := c.Response().StatusCode()
	if k.operation == opNone && r == nil {
		k.operation = opPage // what is no operation and no problem
	}
	s.metrics.duration.WithLabelValues(k.operation, strconv.Itoa(status)).Observe(took.Seconds())
	var spared int64
	if r != nil && r.shed {
		var spare bool
		if spare, spared = s.guard.sparing(time.Now()); spare {
			return
		}
	}
	method := c.Method()
	if !slices.Contains(fiber.DefaultMethods, method) {
		method = "unknown" // whatever the client wrote there
	}
	level, attrs := slog.LevelInfo, make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("request_id", k.id),
		slog.String("method", method),
		slog.String("operation", k.operation),
		slog.Int("status", status),
		slog.Duration("took", took),
		slog.Int("bytes", sentBytes(c)),
		slog.String("actor", k.actor()),
	)
	if r != nil {
		attrs = append(attrs, slog.String("code", r.code))
	}
	if span := oteltrace.SpanContextFromContext(c.UserContext()); span.IsSampled() {
		attrs = append(attrs, slog.String("trace_id", span.TraceID().String()))
	}
	if spared > 0 {
		attrs = append(attrs, slog.Int64("more_refused", spared))
	}
	if r != nil && r.shed {
		level = slog.LevelWarn
	} else if r != nil && status >= http.StatusInternalServerError && status != http.StatusNotImplemented { // an unknown method is the client's mistake
		level = slog.LevelError
		if r.err != nil {
			attrs = append(attrs, slog.String("cause", r.err.Error()))
		}
	}
	s.deps.Log.LogAttrs(c.UserContext(), level, "request", attrs...)
}

// handleError is Fiber's error handler. It sees what never reached observe: requests that cannot be read or are too large.
func (s *server) handleError(c *fiber.Ctx, err error) error {
	k := callOf(c)
	if k.id == "" {
		k = &call{id: s.deps.NewToken(), operation: opNone}
		s.secure(c, k.id)
	}
	r := refusalOf(err)
	werr := s.writeProblem(c, r, k.id)
	s.report(c, k, r, 0)
	return werr
}
