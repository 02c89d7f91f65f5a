package trace

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// witness remembers which collections were read or written, and how often each was written.
type witness struct {
	store.Engine
	mu      sync.Mutex
	touched map[string]int
}

func (w *witness) saw(coll string, writes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touched[coll] += writes
}

func (w *witness) Declare(ctx context.Context, spec store.Spec) ([]string, error) {
	w.saw(spec.Name, 0)
	return w.Engine.Declare(ctx, spec)
}

func (w *witness) Get(ctx context.Context, coll string, ids []string) ([]store.Record, error) {
	w.saw(coll, 0)
	return w.Engine.Get(ctx, coll, ids)
}

func (w *witness) Scan(ctx context.Context, coll string, s store.Scan, keysOnly bool) ([]store.Hit, error) {
	w.saw(coll, 0)
	return w.Engine.Scan(ctx, coll, s, keysOnly)
}

func (w *witness) Count(ctx context.Context, coll string, s store.Scan, limit int) (int, error) {
	w.saw(coll, 0)
	return w.Engine.Count(ctx, coll, s, limit)
}

func (w *witness) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	w.saw(coll, len(recs))
	return w.Engine.Insert(ctx, coll, recs)
}

func (w *witness) Replace(ctx context.Context, coll string, rec store.Record) error {
	w.saw(coll, 1)
	return w.Engine.Replace(ctx, coll, rec)
}

func (w *witness) Delete(ctx context.Context, coll, id string, rev int64) error {
	w.saw(coll, 1)
	return w.Engine.Delete(ctx, coll, id, rev)
}

func (w *witness) Add(ctx context.Context, coll, id string, deltas map[string]int64) error {
	w.saw(coll, 1)
	return w.Engine.Add(ctx, coll, id, deltas)
}

func (w *witness) All(ctx context.Context, coll, after string, limit int) ([]store.Record, error) {
	w.saw(coll, 0)
	return w.Engine.All(ctx, coll, after, limit)
}

// sandboxed is a production and a firm's test tenant over one engine; w sees what the tenant does.
func sandboxed(t *testing.T) (production, sandbox *bundle, w *witness) {
	t.Helper()
	production, tenants, w := tenanted(t)
	sandbox = production.tenant(tenants)
	return production, sandbox, w
}

// tenant is the test tenant of b's maker.
func (b *bundle) tenant(tenants *Sandboxes) *bundle {
	b.t.Helper()
	own := *b
	var err error
	own.Service, err = tenants.Of(b.t.Context(), b.maker.ID)
	must(b.t, err)
	return &own
}

func tenanted(t *testing.T) (production *bundle, tenants *Sandboxes, w *witness) {
	t.Helper()
	b := setup(t)
	box, err := secret.OpenFile(filepath.Join(t.TempDir(), "keys.json"), true)
	must(t, err)
	notices, err := notice.Open(t.Context(), b.engine, b.clock.Now)
	must(t, err)
	w = &witness{Engine: b.engine, touched: map[string]int{}}
	deps := Deps{
		Engine: b.engine, Firms: b.firms, Warnings: b.warnings, Notices: notices, Exposures: b.exposures, Hasher: box, Now: b.clock.Now,
	}
	b.Service, err = Open(t.Context(), deps)
	must(t, err)
	deps.Engine = w
	tenants, err = OpenSandboxes(t.Context(), deps)
	must(t, err)
	return b, tenants, w
}

const inspecting = `{"type":"ObjectEvent","eventTime":"2026-11-20T08:00:00Z","eventTimeZoneOffset":"+08:00","action":"OBSERVE","bizStep":"inspecting","epcList":["https://id.gs1.org/01/06901234567892/21/MADE-1"]}`

// Everything that a test tenant does stays in collections of its own, and is neither seen in production nor told to anybody.
func TestTheSandboxTouchesNothingOfProduction(t *testing.T) {
	t.Parallel()
	production, sandbox, w := sandboxed(t)
	ctx := t.Context()
	unit := sandbox.goods()
	sandbox.capture(sandbox.maker, inspecting)
	if _, err := sandbox.PutForeignCodes(ctx, sandbox.maker, gtinA, "L1", []ForeignCode{{Scheme: "brand", Code: "TEST-1", Serial: unit.Serial}}); err != nil {
		t.Fatal(err)
	}
	a, err := sandbox.Scan(ctx, ScanRequest{Ref: unit.Ref(), Lang: lang.En, Device: "hd-1", Place: "Haikou"})
	must(t, err)
	if !a.Scan.Recorded || !a.Scan.First || a.Authenticity.Status != AuthIssued {
		t.Fatalf("the sandbox does not work: %+v", a)
	}
	_, err = sandbox.Resolve(ctx, "TEST-1", ScanRequest{Lang: lang.En})
	must(t, err)
	_, err = sandbox.Recover(ctx)
	must(t, err)

	writes := 0
	for coll, n := range w.touched {
		if !strings.HasPrefix(coll, tenantPrefix) {
			t.Errorf("the sandbox touched %s", coll)
		}
		writes += n
	}
	if writes == 0 {
		t.Fatal("nothing was written: the witness is blind")
	}
	if n := len(sandbox.exposures.refs); n != 0 {
		t.Errorf("a test scan has an audience of %d", n)
	}
	for _, coll := range []string{"products", "lots", "units", "foreign_codes", "events", "epcis_raw", "captures", "scans"} {
		recs, err := production.engine.All(ctx, coll, "", 1)
		must(t, err)
		if len(recs) != 0 {
			t.Errorf("%s of production holds a document", coll)
		}
	}
	if p := production.scan(unit.Ref(), "v", ""); p.Authenticity.Status != AuthUnknownProduct {
		t.Errorf("production knows a unit of the sandbox: %+v", p)
	}
}

// The same order for codes gives other serials in the sandbox, so a test label is never good in a shop.
func TestSandboxCodesAreNotProductions(t *testing.T) {
	t.Parallel()
	production, sandbox, _ := sandboxed(t)
	test, good := sandbox.goods(), production.goods()
	if test.Serial == good.Serial {
		t.Fatal("one serial in both")
	}
	if a := production.scan(test.Ref(), "v", ""); a.Authenticity.Status != AuthUnknownUnit {
		t.Errorf("a test label scans as %s", a.Authenticity.Status)
	}
}

// Warnings in force are production's: a test tenant sees what a shopper would be told of its goods.
func TestTheSandboxKnowsTheWarningsInForce(t *testing.T) {
	t.Parallel()
	_, sandbox, _ := sandboxed(t)
	unit := sandbox.goods()
	sandbox.warnings.messages = []*warning.Message{{No: "HN-2026-000001", Rev: 1, Content: warning.Content{
		Level: warning.Red, Scope: warning.Scope{Clauses: []warning.Clause{{GTINs: []string{string(gtinA)}}}},
	}}}
	a := sandbox.scan(gs1.Ref{GTIN: gtinA, Serial: unit.Serial}, "v", "")
	if a.Safety.Status == "none_known" {
		t.Fatalf("%+v", a.Safety)
	}
}

// twoTenants are those of two firms that may both speak for product A.
func twoTenants(t *testing.T) (tenants *Sandboxes, one, other *bundle) {
	t.Helper()
	b, tenants, _ := tenanted(t)
	rival := *b
	rival.maker = b.firm(firm.Firm{ID: "maker-2", Name: lang.ZhEn("酒行", "Merchant"), Kind: firm.Importer, Grants: []string{"690123456"}})
	return tenants, b.tenant(tenants), rival.tenant(tenants)
}

// What a firm writes to its tenant does not exist in another firm's, and the same order for codes gives other serials.
func TestTenantsAreTheirFirmsOwn(t *testing.T) {
	t.Parallel()
	_, one, other := twoTenants(t)
	ctx := t.Context()
	unit := one.goods()
	one.capture(one.maker, inspecting)
	_, err := one.PutForeignCodes(ctx, one.maker, gtinA, "L1", []ForeignCode{{Scheme: "brand", Code: "TEST-1", Serial: unit.Serial}})
	must(t, err)
	if _, err := other.Product(ctx, gtinA); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the other sees the product: %v", err)
	}
	if a := other.scan(unit.Ref(), "v", ""); a.Authenticity.Status != AuthUnknownProduct {
		t.Errorf("the other's scan says %s", a.Authenticity.Status)
	}
	a, err := other.Resolve(ctx, "TEST-1", ScanRequest{Lang: lang.En})
	must(t, err)
	if a.Level != "none" {
		t.Errorf("the other resolves the code to %+v", a)
	}
	if theirs := other.goods(); theirs.Serial == unit.Serial {
		t.Error("one serial in both")
	}
	if a := other.scan(unit.Ref(), "v", ""); a.Authenticity.Status != AuthUnknownUnit {
		t.Errorf("with the product of its own, the other's scan says %s", a.Authenticity.Status)
	}
	if a := one.scan(unit.Ref(), "w", ""); a.Authenticity.Status != AuthIssued || !a.Scan.First {
		t.Errorf("the other's scans show in the one: %+v", a.Scan)
	}
}

// A capture that died is completed in whichever tenant it is, with nobody having asked for that tenant since.
func TestRecoveryReachesEveryTenant(t *testing.T) {
	t.Parallel()
	tenants, one, other := twoTenants(t)
	ctx := t.Context()
	var units []Unit
	for _, b := range []*bundle{one, other} {
		u := b.goods()
		units = append(units, u)
		b.dies(event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`),
			event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))
	}
	one.clock.Advance(recoverAfter + time.Second)
	tenants.open.InvalidateAll()
	if n, err := tenants.Recover(ctx); n != 2 || err != nil {
		t.Fatalf("%d recovered, %v", n, err)
	}
	for i, b := range []*bundle{one.tenant(tenants), other.tenant(tenants)} {
		if a := b.scan(units[i].Ref(), "v", ""); a.Sale.Status != SaleSold {
			t.Errorf("%s: %+v", b.maker.ID, a.Sale)
		}
	}
}

// However many firms test, a process keeps a bounded number of tenants, each without a goroutine, and one that was dropped comes back as it was.
func TestTenantsAreBounded(t *testing.T) {
	t.Parallel()
	b, tenants, _ := tenanted(t)
	first := b.tenant(tenants)
	unit := first.goods()
	for i := range 3 * openTenants {
		s, err := tenants.Of(t.Context(), fmt.Sprintf("firm-%d", i))
		must(t, err)
		if s.chains.chains.StopAllGoroutines() || s.recent.byRef.StopAllGoroutines() {
			t.Fatal("a tenant's cache had a goroutine")
		}
	}
	tenants.open.CleanUp()
	if n := tenants.open.EstimatedSize(); n > openTenants {
		t.Errorf("%d tenants are open", n)
	}
	if a := b.tenant(tenants).scan(unit.Ref(), "v", ""); a.Authenticity.Status != AuthIssued {
		t.Errorf("%+v", a.Authenticity)
	}
	if _, err := tenants.Of(t.Context(), "no/firm"); err == nil {
		t.Error("a name that is no firm's has a tenant")
	}
}
