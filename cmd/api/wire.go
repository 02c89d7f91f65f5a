package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/access/approval/press"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/alert"
	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/bulk"
	"github.com/haisu-trace/haisu/internal/casefile"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/firm/listing"
	"github.com/haisu-trace/haisu/internal/httpapi"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/searchsync"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/mongo"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
	"github.com/haisu-trace/haisu/push"
	"github.com/haisu-trace/haisu/search"
	"github.com/haisu-trace/haisu/search/bleve"
	"github.com/haisu-trace/haisu/search/meili"
)

// app is the program put together. close undoes what open did, the last first.
type app struct {
	cfg       *config
	log       *slog.Logger
	database  database         // as it was opened
	engine    store.Engine     // the same, perhaps with spans
	tracer    oteltrace.Tracer // nil: there are no spans
	leases    *store.Leases
	blobs     blob.Store
	jobs      *job.Service
	box       *secret.Box
	vault     *privacy.Vault
	firms     *firm.Service
	listings  *listing.Service
	bodies    *authority.Service
	access    *access.Service
	trail     *audit.Service
	approvals *approval.Service
	sandboxes *trace.Sandboxes
	documents *blob.Sweeper
	papers    *blob.Sweeper
	warnings  *warning.Service
	notices   *notice.Service
	consumers *consumer.Service
	trace     *trace.Service
	cold      *coldchain.Service
	imports   *bulk.Service
	ledger    *ledger.Service
	cases     *casefile.Service
	metrics   *prometheus.Registry
	closers   []func() error
}

// open opens the store and the domain. Search and push are for serve alone.
func open(ctx context.Context, cfg *config, log *slog.Logger) (_ *app, err error) {
	a := &app{cfg: cfg, log: log, metrics: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	if a.box, err = secret.OpenFile(cfg.KeysFile, cfg.MongoURI == ""); err != nil {
		return nil, fmt.Errorf("KEYS_FILE: %w", err)
	}
	if a.database, err = openStore(ctx, cfg); err != nil {
		return nil, err
	}
	a.engine = a.database
	a.closers = append(a.closers, a.database.Close)
	if err := a.openTracing(ctx); err != nil {
		return nil, err
	}
	if err := a.openWork(ctx); err != nil {
		return nil, err
	}
	if a.vault, err = privacy.Open(ctx, a.engine, a.box, time.Now); err != nil {
		return nil, err
	}
	if a.firms, err = firm.Open(ctx, a.engine, time.Now); err != nil {
		return nil, err
	}
	if a.listings, err = listing.Open(ctx, a.engine, listing.Options{Firms: a.firms}); err != nil {
		return nil, err
	}
	if a.bodies, err = authority.Open(ctx, a.engine, authority.Options{Log: log}); err != nil {
		return nil, err
	}
	if _, err = a.bodies.Seed(ctx); err != nil {
		return nil, err
	}
	who := access.Options{Hasher: a.box, Vault: a.vault, Now: time.Now, Authorities: a.bodies, Firms: a.firms, Log: log, Told: a.tellFailures}
	if a.access, err = access.Open(ctx, a.engine, who); err != nil {
		return nil, err
	}
	if a.trail, err = audit.Open(ctx, audit.Deps{Engine: a.engine, Keys: a.box, Vault: a.vault, Now: time.Now, Log: log}); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.trail.Close)
	if a.warnings, err = warning.Open(ctx, a.engine, warning.Options{Authorities: a.bodies, Log: log}); err != nil {
		return nil, err
	}
	if a.notices, err = notice.Open(ctx, a.engine, time.Now); err != nil {
		return nil, err
	}
	if a.consumers, err = consumer.Open(ctx, consumer.Deps{Engine: a.engine, Hasher: a.box, Vault: a.vault, Now: time.Now}); err != nil {
		return nil, err
	}
	if a.approvals, err = approval.Open(ctx, a.engine, approval.Options{
		Carry: press.Carry(a.warnings, rights(a.access)), Authorities: a.bodies, Log: log,
	}); err != nil {
		return nil, err
	}
	if a.ledger, err = a.openLedger(ctx); err != nil {
		return nil, err
	}
	if a.cold, err = coldchain.Open(ctx, coldchain.Deps{Engine: a.engine, Now: time.Now, Log: log}); err != nil {
		return nil, err
	}
	world := trace.Deps{
		Engine: a.engine, Firms: a.firms, Warnings: a.warnings.Matcher(), Notices: a.notices, Exposures: a.consumers, Leaves: a.ledger, Cold: a.cold,
		Hasher: a.box, Sealer: a.box, Blobs: a.blobs, Jobs: a.jobs, Log: log, Now: time.Now,
	}
	if a.trace, err = trace.Open(ctx, world); err != nil {
		return nil, err
	}
	if err = errors.Join(
		a.ledger.Follow(a.trace.EventLog()), a.ledger.Follow(a.warnings.MessageLog(a.engine)), a.ledger.Follow(a.listings.EntryLog(a.engine)),
	); err != nil {
		return nil, err
	}
	if a.sandboxes, err = trace.OpenSandboxes(ctx, world); err != nil {
		return nil, err
	}
	a.documents, a.papers = trace.NewDocumentSweep(a.trace, a.sandboxes), trace.NewPaperSweep(a.trace, a.sandboxes)
	if a.imports, err = bulk.Open(ctx, bulk.Deps{
		Engine: a.engine, Blobs: a.blobs, Jobs: a.jobs, Firms: a.firms, World: a.world, Now: time.Now, Token: func() string { return clock.Token(16) },
	}); err != nil {
		return nil, err
	}
	for kind, run := range trace.Runners(a.trace, a.sandboxes) {
		a.jobs.Register(kind, run)
	}
	if a.cases, err = casefile.Open(ctx, casefile.Deps{Engine: a.engine, Hasher: a.box, Vault: a.vault, Authorities: complaints{a.bodies}, Now: time.Now, Log: log}); err != nil {
		return nil, err
	}
	return a, nil
}

// world gives the goods of production, or of a firm's test tenant.
func (a *app) world(ctx context.Context, tenant string) (*trace.Service, error) {
	if tenant == "" {
		return a.trace, nil
	}
	return a.sandboxes.Of(ctx, tenant)
}

// sqliteFile is the name of the store in DATA_DIR.
const sqliteFile = "haisu.db"

// database is what both engines are.
type database interface {
	store.Engine
	store.Archive
}

func openStore(ctx context.Context, cfg *config) (database, error) {
	if cfg.MongoURI != "" {
		uri, err := connstring.ParseAndValidate(cfg.MongoURI)
		if err != nil {
			return nil, fmt.Errorf("MONGODB_URI: %w", err)
		}
		eng, err := mongo.Open(ctx, cfg.MongoURI, cmp.Or(uri.Database, "haisu"))
		if err != nil {
			return nil, fmt.Errorf("MONGODB_URI: %w", err)
		}
		return eng, nil
	}
	eng, err := sqlite.Open(ctx, filepath.Join(cfg.DataDir, sqliteFile))
	if err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	return eng, nil
}

// openWork opens what background work rests on: leases, files and jobs. Whoever has work for jobs registers it after.
func (a *app) openWork(ctx context.Context) error {
	var err error
	if a.leases, err = a.openLeases(ctx, leaseTerm); err != nil {
		return err
	}
	if a.blobs, err = openBlobs(ctx, a.cfg); err != nil {
		return err
	}
	a.jobs, err = job.Open(ctx, job.Deps{Engine: a.engine, Leases: a.leases, Now: time.Now, Log: a.log, Metrics: a.metrics})
	return err
}

// openSearch opens the index, and what keeps it in step with the store.
func (a *app) openSearch(ctx context.Context) (search.Engine, *searchsync.Syncer, error) {
	var index search.Engine
	name := "meilisearch"
	if a.cfg.MeiliURL != "" {
		client, err := a.cfg.meiliClient()
		if err != nil {
			return nil, nil, fmt.Errorf("MEILISEARCH_URL: %w", err)
		}
		ix, err := meili.New(meili.Config{URL: a.cfg.MeiliURL, APIKey: a.cfg.MeiliKey, Client: client})
		if err != nil {
			return nil, nil, fmt.Errorf("MEILISEARCH_URL: %w", err)
		}
		index = ix
	} else {
		ix, err := bleve.Open(filepath.Join(a.cfg.DataDir, "search"))
		if err != nil {
			return nil, nil, fmt.Errorf("DATA_DIR: %w", err)
		}
		index, name = ix, "bleve"
		if a.cfg.MongoURI != "" {
			// Every replica has an index of its own, in a DATA_DIR of its own.
			host, err := os.Hostname()
			if err != nil {
				return nil, nil, fmt.Errorf("the name of this machine: %w", err)
			}
			name = "bleve/" + host
		}
		if why := ix.Private(); why != nil {
			a.log.Warn("the search index in DATA_DIR cannot be had; this process builds a temporary one of its own", "error", why)
			name = "bleve-private/" + clock.Token(5)
		}
	}
	a.closers = append(a.closers, index.Close)
	sync, err := searchsync.Open(ctx, a.engine, index, name, time.Now, a.log, searchsync.Warnings(a.warnings), searchsync.Notices(a.notices))
	return index, sync, err
}

// openAlerts opens the fan-out with FCM, or with the log where no project is set.
func (a *app) openAlerts(ctx context.Context, publicURL string) (*alert.Service, error) {
	var sender push.Sender = push.NewLog(a.log, time.Now)
	if a.cfg.FirebaseProj != "" {
		wrap, err := a.cfg.fcmWrap()
		if err != nil {
			return nil, err
		}
		fcm, err := push.NewFCM(ctx, push.Config{
			Project: a.cfg.FirebaseProj, CredentialsFile: a.cfg.Credentials, Endpoint: a.cfg.FCMEndpoint, Wrap: wrap,
		})
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, func() error { fcm.Close(); return nil })
		sender = fcm
	}
	return alert.Open(ctx, alert.Deps{
		Engine: a.engine, Warnings: a.warnings, InForce: a.warnings.Matcher(), Consumers: a.consumers, Graph: a.trace,
		Sender: pusher{sender, publicURL}, Leases: a.leases, Now: time.Now, Log: a.log,
	})
}

// openLeases opens leases of a term, under the name of this process.
func (a *app) openLeases(ctx context.Context, term time.Duration) (*store.Leases, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("the name of this machine: %w", err)
	}
	return store.OpenLeases(ctx, a.engine, fmt.Sprintf("%s/%d", host, os.Getpid()), term, time.Now)
}

// openGuard opens what keeps the server standing under load. limits nil are the default ones.
func (a *app) openGuard(ctx context.Context, limits *httpapi.Limits) (*httpapi.Guard, error) {
	exchange, err := httpapi.OpenExchange(ctx, a.engine, time.Now)
	if err != nil {
		return nil, err
	}
	return httpapi.NewGuard(httpapi.GuardConfig{
		Limits: limits, TrustedProxies: a.cfg.TrustedProxies, Exchange: exchange, Hash: a.box.Hash, Log: a.log, Metrics: a.metrics,
	})
}

// leaseTerm is how long a dead process's work waits for another. Alerts renew it per chunk, which takes a few seconds at most, and jobs every 5 s.
const leaseTerm = 20 * time.Second

func (a *app) close() error {
	var all []error
	for _, c := range slices.Backward(a.closers) {
		all = append(all, c())
	}
	a.closers = nil
	return errors.Join(all...)
}
