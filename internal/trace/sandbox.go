package trace

import (
	"context"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/haisu-trace/haisu/internal/store"
)

const (
	// tenantPrefix begins the names of the collections of test tenants.
	tenantPrefix = "tenant_"
	// nobody is the name of a part that no firm has: IDs of firms have two characters at least.
	nobody = "0"
	// openTenants is how many tenants a process keeps open. The one used least is dropped for the next; opening costs two reads per collection.
	openTenants = 64
	// openTenantTimeout bounds the opening of a tenant, which does not end with the request that began it: others may wait for it.
	openTenantTimeout = 5 * time.Second
)

// tenantSizes are those of a tenant's caches: it serves one firm's trials.
var tenantSizes = cacheSizes{chainKiB: 256, recent: 512, captures: 512}

// Sandboxes are the firms' test tenants, one for each. A tenant is a trace.Service like any other, but
//
//   - its collections are a part of their own (store.Part), so nothing that is written to it is ever seen by production or by another
//     firm's tenant, or the other way round;
//   - its serials and hashes come from keys of its own, so no code of a tenant is ever one of production's or of another's;
//   - it tells nobody who scanned what, so no test has an audience; foreign notices and loggers are left out, and nothing gets into the public
//     log.
//
// Firms and the warnings in force are production's, and only read. Sandboxes are safe for concurrent use.
type Sandboxes struct {
	production Deps
	engine     store.Engine
	captures   *store.Collection[captureDoc]
	papers     *store.Collection[Paper]
	cleaning   chan struct{}
	open       *otter.Cache[string, *Service]
}

// OpenSandboxes declares the collections of the test tenants, from the dependencies of production, and rebuilds indexes that changed. A
// tenant is opened when it is first asked for.
func OpenSandboxes(ctx context.Context, production Deps) (*Sandboxes, error) {
	x := &Sandboxes{production: production, engine: store.Prefixed(production.Engine, tenantPrefix)}
	var err error
	// All tenants' captures are one collection, whose IDs and documents name the firm: so unfinished ones are found whoever's they are.
	if x.captures, err = store.Open(ctx, x.engine, captureDef); err != nil {
		return nil, fmt.Errorf("trace: test tenants: %w", err)
	}
	// Nor do documents know a part: their files are swept by what is in the one collection.
	if x.papers, err = store.Open(ctx, x.engine, paperDef); err != nil {
		return nil, fmt.Errorf("trace: test tenants: %w", err)
	}
	x.cleaning = make(chan struct{}, 1)
	if _, err = x.service(ctx, nobody); err != nil { // rebuilds now what some firm's first request would wait for
		return nil, err
	}
	x.open = otter.Must(&otter.Options[string, *Service]{MaximumSize: openTenants})
	return x, nil
}

// Of gives the test tenant of a firm, which must be a registered one.
func (x *Sandboxes) Of(ctx context.Context, firm string) (*Service, error) {
	return x.open.Get(ctx, firm, otter.LoaderFunc[string, *Service](func(ctx context.Context, firm string) (*Service, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTenantTimeout)
		defer cancel()
		return x.service(ctx, firm)
	}))
}

func (x *Sandboxes) service(ctx context.Context, firm string) (*Service, error) {
	d := x.production
	part, err := store.Part(x.engine, firm)
	if err != nil {
		return nil, fmt.Errorf("trace: the test tenant of %s: %w", firm, err)
	}
	d.Engine, d.captures, d.papers, d.cleaning, d.sizes, d.tenant = part, x.captures, x.papers, x.cleaning, tenantSizes, firm
	d.Hasher = tenantHasher{d.Hasher, "tenant/" + firm + "/"}
	if d.Sealer != nil {
		d.Sealer = tenantSealer{d.Sealer, "tenant/" + firm + "/"}
	}
	d.Notices, d.Exposures, d.Leaves, d.Cold = nil, nil, nil, nil
	d.Unattended = true
	s, err := Open(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("the test tenant of %s: %w", firm, err)
	}
	// What has expired is not given out without them either, and goes when there is no room; so a tenant that is dropped leaves nothing running.
	s.chains.chains.StopAllGoroutines()
	s.recent.byRef.StopAllGoroutines()
	return s, nil
}

// Recover completes the tenants' captures whose process died after they were decided, as Service.Recover does.
func (x *Sandboxes) Recover(ctx context.Context) (int, error) {
	return recoverCaptures(ctx, x.captures, x.production.Now, func(d store.Doc[captureDoc]) error {
		s, err := x.Of(ctx, d.V.Firm)
		if err != nil {
			return err
		}
		return s.complete(ctx, d)
	})
}

// RunRecovery calls Recover at once and then every recoverAfter, until ctx ends.
func (x *Sandboxes) RunRecovery(ctx context.Context) error {
	return runRecovery(ctx, x.production.Log, x.Recover)
}

// tenantHasher has keys of its own.
type tenantHasher struct {
	Hasher
	scope string
}

func (h tenantHasher) Hash(purpose, token string) string {
	return h.Hasher.Hash(h.scope+purpose, token)
}

// tenantSealer keeps the tokens of a tenant apart from those of others.
type tenantSealer struct {
	Sealer
	scope string
}

func (h tenantSealer) Seal(purpose string, plain []byte) (string, error) {
	return h.Sealer.Seal(h.scope+purpose, plain)
}

func (h tenantSealer) Open(purpose, sealed string) ([]byte, error) {
	return h.Sealer.Open(h.scope+purpose, sealed)
}
