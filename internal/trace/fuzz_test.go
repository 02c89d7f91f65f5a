package trace

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// plainHasher stands for the keyed one; fuzzing has no secrets.
type plainHasher struct{}

func (plainHasher) Hash(purpose, token string) string { return purpose + ":" + token }

// memoryBundle is setup on a store in memory, with a unit U1 of lot L1 that its maker has commissioned.
func memoryBundle(t *testing.T) *bundle {
	t.Helper()
	ctx := t.Context()
	b := &bundle{t: t, warnings: &fakeWarnings{}, exposures: &fakeExposures{}, clock: clocktest.New(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC))}
	eng := newMemory()
	var err error
	b.firms, err = firm.Open(ctx, eng, b.clock.Now)
	must(t, err)
	notices, err := notice.Open(ctx, eng, b.clock.Now)
	must(t, err)
	b.Service, err = Open(ctx, Deps{
		Engine: eng, Firms: b.firms, Warnings: b.warnings, Notices: notices, Exposures: b.exposures, Hasher: plainHasher{}, Now: b.clock.Now,
	})
	must(t, err)
	b.maker = b.firm(firm.Firm{ID: "maker", Name: lang.ZhEn("酒厂", "Distillery"), Kind: firm.Producer, Prefixes: []string{"690123456"}})
	b.goods()
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"ilmd":{"cbvmda:lotNumber":"L1"},"epcList":["`+unitOf("U1")+`"]`))
	return b
}

const epcisHead = `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0",` +
	`"creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[`

// FuzzCapture takes a document the whole way, decoded, captured, stored and scanned, once from a stranger and once from the maker. Nothing fails
// without a reason for the client; a document that is sent again adds nothing; and a stranger changes nothing of what a shopper
// is told about a maker's unit.
func FuzzCapture(f *testing.F) {
	unit := unitOf("U1")
	for _, events := range []string{
		event("ObjectEvent", "OBSERVE", "retail_selling", "2026-01-05T00:00:00Z", `"epcList":["`+unit+`"]`),
		event("ObjectEvent", "DELETE", "decommissioning", "2026-01-05T00:00:00Z", `"epcList":["`+unit+`"]`),
		event("ObjectEvent", "ADD", "commissioning", "2026-01-05T00:00:00Z", `"ilmd":{"cbvmda:lotNumber":"L2"},"epcList":["`+unit+`"]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-02T00:00:00Z", `"parentID":"`+sscc(1)+`","childEPCs":["`+unit+`"]`) + "," +
			event("AggregationEvent", "DELETE", "unpacking", "2026-01-03T00:00:00Z", `"parentID":"`+sscc(1)+`","childEPCs":[]`),
		`{"type":"TransformationEvent","eventTime":"2026-01-04T00:00:00Z","eventTimeZoneOffset":"+00:00","inputEPCList":["` + unit + `"],"outputEPCList":["` + unitOf("U2") + `"]}`,
		event("ObjectEvent", "OBSERVE", "shipping", "2026-01-05T00:00:00Z", `"epcList":["`+unit+`"],"sourceList":[{"type":"owning_party","source":"urn:epc:id:pgln:4012345.00000"}]`),
	} {
		f.Add([]byte(epcisHead + events + "]}}"))
	}
	files, err := filepath.Glob("../../../shared/data/epcis/valid/*.jsonld")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files { // none where the real data is not beside the project
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := epcis.DecodeDocument(data, CaptureLimits)
		if err != nil {
			return
		}
		b := memoryBundle(t)
		stranger, _ := b.stranger()
		before := b.told("U1")
		b.captureTwice(stranger, doc)
		if after := b.told("U1"); !maps.Equal(before, after) {
			t.Errorf("a stranger's word changes what is told from %v to %v", before, after)
		}
		b = memoryBundle(t)
		b.captureTwice(b.maker, doc)
		b.told("U1")
	})
}

// captureTwice captures a document, and then again.
func (b *bundle) captureTwice(f firm.Firm, doc *epcis.Document) {
	b.t.Helper()
	first, err := b.Capture(b.t.Context(), f, doc)
	if err != nil {
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind == fault.Internal {
			b.t.Fatalf("as %s: %v", f.ID, err)
		}
		return
	}
	again, err := b.Capture(b.t.Context(), f, doc)
	if err != nil {
		b.t.Fatalf("as %s, the second time: %v", f.ID, err)
	}
	if slices.ContainsFunc(again.Events, func(c Captured) bool { return c.Status != "known" }) || len(again.Events) != len(first.Events) {
		b.t.Errorf("as %s: %+v, the second time %+v", f.ID, first, again)
	}
	b.clock.Advance(recoverAfter + time.Second)
	if n, err := b.Recover(b.t.Context()); n != 0 || err != nil {
		b.t.Errorf("left unfinished: %d, %v", n, err)
	}
}

// told is what the scan of a unit of product A says that a shopper acts on.
func (b *bundle) told(serial string) map[string]string {
	b.t.Helper()
	a := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1", Serial: serial}, "visitor", "")
	said := map[string]string{"headline": a.Headline.Status, "authenticity": a.Authenticity.Status, "safety": a.Safety.Status, "sale": a.Sale.Status}
	for _, f := range a.Findings {
		said["finding "+f.Code] = f.Kind
	}
	return said
}
