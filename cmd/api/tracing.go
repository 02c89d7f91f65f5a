package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/store/traced"
	"github.com/haisu-trace/haisu/internal/tracing"
)

// collectorTimeout bounds sending one batch of spans.
const collectorTimeout = 10 * time.Second

// openTracing sends spans where the settings name a collector.
func (a *app) openTracing(ctx context.Context) error {
	if a.cfg.Collector == "" {
		return nil
	}
	u, err := url.Parse(a.cfg.Collector)
	if err != nil {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	held, err := a.cfg.hold(http.DefaultTransport, u.Host)
	if err != nil {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	p, err := tracing.Open(ctx, tracing.Config{
		Endpoint: a.cfg.Collector, Headers: a.cfg.CollectorHeaders, Ratio: a.cfg.TraceRatio, Version: version(), Log: a.log,
		HTTP: &http.Client{
			Transport: held, Timeout: collectorTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, p.Close)
	a.tracer = p.Tracer()
	a.engine = traced.Engine(a.database, a.tracer)
	return nil
}

// ratio reads a number from 0 to 1.
func ratio(v string) (float64, error) {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, errors.New("want a number from 0 to 1")
	}
	return f, nil
}
