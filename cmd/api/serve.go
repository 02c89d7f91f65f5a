package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/access/approval/press"
	"github.com/haisu-trace/haisu/internal/alert"
	"github.com/haisu-trace/haisu/internal/blob/disk"
	"github.com/haisu-trace/haisu/internal/httpapi"
	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/searchsync"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/web"
)

// drainTimeout is how long requests under way may take when the program is asked to end.
const drainTimeout = 20 * time.Second

// gcPercent lets the heap grow to three times what lives before it is collected. What lives is small (the caches are bounded, at
// some 20 MB), a scan leaves 20 KB behind, and half as many collections are worth a few percent of a core. GOGC overrules it.
const gcPercent = 200

func tuneGC(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// runServe serves until ctx ends.
func runServe(ctx context.Context, args []string, getenv func(string) string, io streams) (err error) {
	cfg, rest, err := parse("serve", args, getenv, io, nil)
	if err != nil {
		return err
	}
	if err := want(rest, 0, "no argument"); err != nil {
		return err
	}
	tuneGC(getenv)
	log := newLogger(cfg, io.err)
	a, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("ADDR: %w", err)
	}
	publicURL := cfg.PublicURL
	if publicURL == "" {
		publicURL = "http://" + ln.Addr().String()
	}
	demo, err := a.prepareDemo(ctx, io.out)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	index, sync, err := a.openSearch(ctx)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	alerts, err := a.openAlerts(ctx, publicURL)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	guard, err := a.openGuard(ctx, nil)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	server, err := a.server(ctx, publicURL, guard, alerts, searchsync.Finder{Index: index}, demo)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	first, open, err := a.access.FirstLink(ctx)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	printStart(io.out, publicURL, demo)
	if open {
		printFirst(io.out, publicURL, first)
	}
	log.Info("serving", "addr", ln.Addr().String(), "public_url", publicURL, "version", version())
	holders, err := a.openHolders()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	return a.work(ctx, server, guard, ln, alerts, sync, holders)
}

// work serves and runs the background work until ctx ends or any of it fails.
func (a *app) work(ctx context.Context, server *fiber.App, guard *httpapi.Guard, ln net.Listener, alerts *alert.Service, sync *searchsync.Syncer, holders *ledger.Holders) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{
		a.warnings.Matcher().Run, a.warnings.Run, alerts.Run, sync.Run, a.trace.RunRecovery, a.sandboxes.RunRecovery, a.approvals.Run, a.access.Run, a.bodies.Run, a.jobs.Run, a.sweep, guard.Run, a.ledger.Run, holders.Run,
		func(ctx context.Context) error { return a.box.Run(ctx, a.log) },
		func(ctx context.Context) error { return a.trace.RunFlow(ctx, a.leases) },
		func(ctx context.Context) error { return a.cold.Run(ctx, a.leases, a.trace.ColdGraph()) },
	} {
		g.Go(func() error { return run(ctx) })
	}
	g.Go(func() error {
		err := server.Listener(guard.Listener(ln))
		if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	})
	g.Go(func() error {
		<-ctx.Done()
		a.log.Info("draining")
		err := server.ShutdownWithTimeout(drainTimeout)
		// A server that had not begun to listen yet does not know that it is to end; without its listener it cannot begin.
		if cerr := ln.Close(); !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
		return err
	})
	return g.Wait()
}

func (a *app) server(ctx context.Context, publicURL string, guard *httpapi.Guard, alerts *alert.Service, finder httpapi.Finder, demo *demonstration) (*fiber.App, error) {
	pages, err := web.New()
	if err != nil {
		return nil, err
	}
	provider, err := a.openProvider(publicURL)
	if err != nil {
		return nil, err
	}
	trail := httpapi.TrailOf(a.trail.Begin, a.trail.Record)
	links := httpapi.OneTimeLinks{Trail: trail, Enrolments: a.access, Invitations: a.access, Log: a.log}
	font, err := a.openLabelFont(ctx)
	if err != nil {
		return nil, err
	}
	return httpapi.New(httpapi.Deps{
		LabelFont: font, Tracer: a.tracer,
		Version: version(), PublicURL: publicURL, Log: a.log, Metrics: a.metrics, TrustedProxies: a.cfg.TrustedProxies, Guard: guard,
		Page: pages, Forms: web.FormPaths,
		Pages: pages.Routes(web.Sources{
			PublicURL: publicURL, Warnings: a.warnings, Finder: finder, Demo: demo.units(), Enroller: links,
		}),
		Services: httpapi.Services{
			Trail: trail, Audit: trailReader{a.trail, a.vault},
			Authenticator: a.access, Sessions: a.access, CSRF: a.access, Account: a.access, Credentials: a.access, Enrolments: a.access,
			Operators: a.access, Provider: provider, Identities: a.access, Keys: a.access, Invitations: a.access,
			Authorities: a.bodies, Bodies: a.bodies, Firms: a.firms, Registry: a.firms,
			Scanner: a.trace, Catalogue: a.trace, Codes: a.trace, Capture: a.trace, Events: a.trace, Links: a.trace, Documents: a.trace, Cold: a.cold, Graph: a.trace, Jobs: a.jobs,
			Sandbox: a.sandbox,
			Desk:    a.warnings, Press: press.NewDesk(a.warnings, a.approvals), Approvals: a.approvals, Warnings: a.warnings, Notices: a.notices, Listings: a.listings,
			Finder: finder, Devices: a.consumers, DeviceData: a.consumers, Holdings: a.consumers, Inbox: alerts,
			Complaints: a.cases, CaseData: a.cases, Cases: a.cases, Imports: a.imports, Ledger: a.ledger, Proofs: a.ledger, Tiles: a.ledger, Ready: a.ready,
		},
	})
}

// sandbox gives a firm's test tenant.
func (a *app) sandbox(ctx context.Context, firm string) (httpapi.Tenant, error) {
	t, err := a.sandboxes.Of(ctx, firm)
	return httpapi.Tenant{Scanner: t, Catalogue: t, Codes: t, Capture: t, Events: t, Links: t, Graph: t, Documents: t}, err
}

// ready is nil when the store takes writes and the warnings in force are known.
func (a *app) ready(ctx context.Context) error {
	if err := a.engine.Ping(ctx); err != nil {
		return err
	}
	if !a.warnings.Matcher().Confirm(ctx) {
		return errors.New("the warnings in force are not confirmed")
	}
	return nil
}

// sweepEvery is how often expired documents are deleted. They are absent for every reader before that.
const sweepEvery = time.Minute

// sweeps delete what is expired, up to a number of documents each.
func (a *app) sweeps() []func(context.Context, int) (int, error) {
	all := []func(context.Context, int) (int, error){a.access.Sweep, a.cases.Sweep, a.consumers.Sweep, a.vault.Sweep, a.jobs.Sweep, a.imports.Sweep, a.documents.Sweep, a.papers.Sweep}
	if d, ok := a.blobs.(*disk.Store); ok {
		all = append(all, d.Sweep)
	}
	return all
}

// sweep deletes expired documents until ctx ends.
func (a *app) sweep(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		for _, sweep := range a.sweeps() {
			if _, err := sweep(ctx, store.MaxBatch); err != nil && ctx.Err() == nil {
				a.log.ErrorContext(ctx, "sweep", "error", err)
			}
		}
		a.emptyLog(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// emptyLog has a store with a write-ahead log of its own forget what was deleted.
func (a *app) emptyLog(ctx context.Context) {
	eng, ok := a.database.(interface {
		EmptyLog(ctx context.Context) error
	})
	if !ok {
		return
	}
	err := eng.EmptyLog(ctx)
	if errors.Is(err, store.ErrUnavailable) {
		a.log.WarnContext(ctx, "what was deleted stays in the write-ahead log for now", "error", err)
	} else if err != nil && ctx.Err() == nil {
		a.log.ErrorContext(ctx, "the write-ahead log cannot be emptied", "error", err)
	}
}
