package trace

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// bundle is a trace service over a fresh SQLite file.
type bundle struct {
	*Service
	t         testing.TB
	engine    *sqlite.Engine
	firms     *firm.Service
	warnings  *fakeWarnings
	exposures *fakeExposures
	clock     *clocktest.Clock
	maker     firm.Firm
}

type fakeWarnings struct {
	messages    []*warning.Message
	unconfirmed bool
}

func (f *fakeWarnings) Confirm(context.Context) bool { return !f.unconfirmed }

func (f *fakeWarnings) Match(dst []warning.Match, s warning.Subject) []warning.Match {
	for _, m := range f.messages {
		if ok, certain := warning.Affects(&m.Scope, s); ok {
			dst = append(dst, warning.Match{Warning: m, Certain: certain})
		}
	}
	return dst
}

type fakeExposures struct {
	mu   sync.Mutex
	refs []gs1.Ref
	err  error
}

func (f *fakeExposures) RecordExposure(_ context.Context, _ string, ref gs1.Ref, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refs = append(f.refs, ref)
	return f.err
}

const (
	gtinA = gs1.GTIN("06901234567892")
	gtinB = gs1.GTIN("06901234567908")
)

func setup(t testing.TB) *bundle {
	t.Helper()
	ctx := t.Context()
	b := &bundle{t: t, warnings: &fakeWarnings{}, exposures: &fakeExposures{}, clock: clocktest.New(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC))}
	dir := t.TempDir()
	eng, err := sqlite.Open(ctx, filepath.Join(dir, "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	b.engine = eng
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	b.firms, err = firm.Open(ctx, eng, b.clock.Now)
	must(t, err)
	notices, err := notice.Open(ctx, eng, b.clock.Now)
	must(t, err)
	b.Service, err = Open(ctx, Deps{
		Engine: eng, Firms: b.firms, Warnings: b.warnings, Notices: notices, Exposures: b.exposures, Hasher: box, Sealer: box, Now: b.clock.Now,
	})
	must(t, err)
	b.maker = b.firm(firm.Firm{ID: "maker", Name: lang.ZhEn("酒厂", "Distillery"), Kind: firm.Producer, Prefixes: []string{"690123456"}})
	return b
}

func (b *bundle) firm(f firm.Firm) firm.Firm {
	b.t.Helper()
	must(b.t, b.firms.Put(b.t.Context(), f))
	return f
}

// goods registers product A with lot L1 and issues one unit of it.
func (b *bundle) goods() Unit {
	b.t.Helper()
	ctx := b.t.Context()
	_, _, err := b.PutProduct(ctx, b.maker, Product{GTIN: gtinA, Name: lang.ZhEn("白兰地", "Brandy"), Category: "spirits", Origin: "FR"})
	must(b.t, err)
	_, _, err = b.PutLot(ctx, b.maker, Lot{GTIN: gtinA, Lot: "L1", Produced: "2026-01-01", Expires: "2030-01-01"})
	must(b.t, err)
	units, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", 1, "first")
	must(b.t, err)
	return units[0]
}

func (b *bundle) scan(ref gs1.Ref, visitor, place string) *Answer {
	b.t.Helper()
	a, err := b.Scan(b.t.Context(), ScanRequest{Ref: ref, Lang: lang.En, Visitor: visitor, Place: place})
	must(b.t, err)
	return a
}

func (b *bundle) capture(f firm.Firm, events string) CaptureResult {
	b.t.Helper()
	doc, err := epcis.DecodeDocument([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[`+events+`]}}`), CaptureLimits)
	must(b.t, err)
	res, err := b.Capture(b.t.Context(), f, doc)
	must(b.t, err)
	return res
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sharedData(t *testing.T, path string) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/data")
	must(t, err)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the real data folder shared/data is not beside the project")
	}
	return filepath.Join(dir, path)
}
