package trace

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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

// sandboxed is a production and a sandbox over one engine; w sees what the sandbox does.
func sandboxed(t *testing.T) (production, sandbox *bundle, w *witness) {
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
	box2 := *b
	box2.Service, err = OpenSandbox(t.Context(), deps)
	must(t, err)
	return b, &box2, w
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
		if !strings.HasPrefix(coll, sandboxPrefix) {
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
