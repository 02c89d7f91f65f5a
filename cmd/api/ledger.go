package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/outbound"
)

// ledgerTerm is how long the log waits for a dead sequencer. Rounds are short, and a sequencer that is slow can do no harm.
const ledgerTerm = 5 * time.Second

// openLedger opens the transparency log, before what it follows.
func (a *app) openLedger(ctx context.Context) (*ledger.Service, error) {
	leases, err := a.openLeases(ctx, ledgerTerm)
	if err != nil {
		return nil, err
	}
	name := "localhost"
	if u, err := url.Parse(a.cfg.PublicURL); err == nil && u.Host != "" {
		name = u.Host
	}
	l, err := ledger.Open(ctx, ledger.Deps{Engine: a.engine, Keys: a.box, Leases: leases, Name: name, Rand: rand.Reader, Now: time.Now, Log: a.log})
	if err != nil {
		return nil, err
	}
	return l, errors.Join(
		a.metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "haisu_ledger_leaves", Help: "Leaves of the transparency log under the newest checkpoint.",
		}, func() float64 { return float64(l.Stats().Size) })),
		a.metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "haisu_ledger_lag_seconds", Help: "For how long something has been waiting for its leaf, at most.",
		}, func() float64 { return l.Stats().Lag.Seconds() })),
		a.metrics.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "haisu_ledger_conflicts_total", Help: "Batches of leaves that another process was faster with.",
		}, func() float64 { return float64(l.Stats().Conflicts) })),
	)
}

// openHolders opens the senders of checkpoints. They reach the addresses of the setting alone.
func (a *app) openHolders() (*ledger.Holders, error) {
	var urls, allow []string
	plain := false
	for _, u := range a.cfg.Witnesses {
		urls, allow = append(urls, u.String()), append(allow, meant(u)...)
		plain = plain || u.Scheme == "http"
	}
	client, err := outbound.New(outbound.Config{Allow: allow, PlainHTTP: plain})
	if err != nil {
		return nil, fmt.Errorf("LEDGER_WITNESS_URLS: %w", err)
	}
	h := a.ledger.Holders(urls, client)
	for i, u := range a.cfg.Witnesses {
		labels := prometheus.Labels{"holder": fmt.Sprintf("%d %s", i+1, u.Host)} // a path may hold a secret
		err = errors.Join(
			a.metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "haisu_ledger_holder_leaves", Help: "Leaves under the checkpoint that an outside holder has.", ConstLabels: labels,
			}, func() float64 { return float64(h.Stats()[i].Size) })),
			a.metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "haisu_ledger_holder_failures", Help: "Failed deliveries to an outside holder since its last success.", ConstLabels: labels,
			}, func() float64 { return float64(h.Stats()[i].Failures) })),
		)
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}
