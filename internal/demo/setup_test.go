package demo

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

var officer = warning.Author{ID: "demo", Name: "演示员", Authority: "demo-authority", May: warning.Anything}

// noon is the present of the tests: 2026-11-24 12:00 in Hainan.
var noon = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

func now() time.Time { return noon }

// bundle is all services over one SQLite file.
type bundle struct {
	Services
	bodies *authority.Service
}

type noExposures struct{}

func (noExposures) RecordExposure(context.Context, string, gs1.Ref, time.Time) error { return nil }

func setup(t testing.TB) *bundle {
	t.Helper()
	dir := t.TempDir()
	eng, err := sqlite.Open(t.Context(), filepath.Join(dir, "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	return open(t, eng, box)
}

// open is what a process does when it starts on a store.
func open(t testing.TB, eng store.Engine, box *secret.Box) *bundle {
	t.Helper()
	ctx := t.Context()
	b := &bundle{}
	b.Engine = eng
	var err error
	b.Firms, err = firm.Open(ctx, eng, now)
	must(t, err)
	bodies, err := authority.Open(ctx, eng, authority.Options{Now: now, Mono: func() time.Duration { return 0 }})
	must(t, err)
	_, err = bodies.Seed(ctx)
	must(t, err)
	b.Authorities, b.bodies = bodies, bodies
	b.Warnings, err = warning.Open(ctx, eng, warning.Options{Now: now, Mono: func() time.Duration { return 0 }})
	must(t, err)
	notices, err := notice.Open(ctx, eng, now)
	must(t, err)
	b.Trace, err = trace.Open(ctx, trace.Deps{
		Engine: eng, Firms: b.Firms, Warnings: b.Warnings.Matcher(), Notices: notices, Exposures: noExposures{}, Hasher: box, Now: now,
	})
	must(t, err)
	return b
}

func (b *bundle) load(t testing.TB) Summary {
	t.Helper()
	sum, err := Load(t.Context(), b.Services, officer, now, nil)
	must(t, err)
	return sum
}

// loadedBundle is a bundle with the data, and the world that they tell with the serials that were issued.
type loadedBundle struct {
	*bundle
	sum   Summary
	world *world
}

func loaded(t *testing.T) *loadedBundle {
	t.Helper()
	b := setup(t)
	sum := b.load(t)
	w, err := newWorld(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	must(t, err)
	for _, l := range w.lots {
		switch {
		case l.seller == "":
		case l.coded == codedByMaker:
			l.refs = l.ownSerials()
		default: // issuing again gives the same
			units, err := b.Trace.IssueCodes(t.Context(), w.firms[l.coder()], l.GTIN, l.Lot.Lot, l.units, issueKey)
			must(t, err)
			for _, u := range units {
				l.refs = append(l.refs, u.Ref())
			}
		}
	}
	return &loadedBundle{b, sum, w}
}

// look answers a scan without recording it.
func (b *bundle) look(t testing.TB, ref gs1.Ref) *trace.Answer {
	t.Helper()
	a, err := b.Trace.Scan(t.Context(), trace.ScanRequest{Ref: ref, Lang: lang.ZhHans, Preview: true})
	must(t, err)
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
