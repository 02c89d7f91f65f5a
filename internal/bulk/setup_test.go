package bulk

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/blob/disk"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// bundle is an import service over a fresh SQLite file and directory.
type bundle struct {
	*Service
	t     testing.TB
	world *trace.Service
	test  *trace.Service
	jobs  *job.Service
	firm  firm.Firm
}

type noWarnings struct{}

func (noWarnings) Confirm(context.Context) bool                                 { return true }
func (noWarnings) Match(dst []warning.Match, _ warning.Subject) []warning.Match { return dst }

type noExposures struct{}

func (noExposures) RecordExposure(context.Context, string, gs1.Ref, time.Time) error { return nil }

func setup(t testing.TB) *bundle {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	eng, err := sqlite.Open(ctx, filepath.Join(dir, "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	firms, err := firm.Open(ctx, eng, time.Now)
	must(t, err)
	deps := trace.Deps{Engine: eng, Firms: firms, Warnings: noWarnings{}, Exposures: noExposures{}, Hasher: box, Now: time.Now}
	b := &bundle{t: t}
	b.world, err = trace.Open(ctx, deps)
	must(t, err)
	sandboxes, err := trace.OpenSandboxes(ctx, deps)
	must(t, err)
	blobs, err := disk.Open(ctx, filepath.Join(dir, "blobs"), time.Now)
	must(t, err)
	leases, err := store.OpenLeases(ctx, eng, "test", 20*time.Second, time.Now)
	must(t, err)
	b.jobs, err = job.Open(ctx, job.Deps{Engine: eng, Leases: leases, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	b.firm = firm.Firm{
		ID: "seller", Name: lang.ZhEn("免税店", "Shop"), Kind: firm.DutyFree, Prefixes: []string{"690123456"}, GLNs: []string{"6901234500004"},
	}
	must(t, firms.Put(ctx, b.firm))
	b.test, err = sandboxes.Of(ctx, b.firm.ID)
	must(t, err)
	b.Service, err = Open(ctx, Deps{
		Engine: eng, Blobs: blobs, Jobs: b.jobs, Firms: firms, Now: time.Now, Token: func() string { return clock.Token(16) },
		World: func(ctx context.Context, tenant string) (*trace.Service, error) {
			if tenant == "" {
				return b.world, nil
			}
			return sandboxes.Of(ctx, tenant)
		},
	})
	must(t, err)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load applies a file and gives what came of it, with its problems as "C3 column code".
func (b *bundle) load(k Kind, dry bool, file string) (Outcome, []string) {
	b.t.Helper()
	var out []string
	o, err := Load(b.t.Context(), b.world, b.firm, k, dry, strings.NewReader(file), int64(len(file)), func(problems []Problem, _ Tally, _, _ int64) {
		for _, p := range problems {
			where := p.Cell
			if where == "" {
				where = fmt.Sprint(p.Row)
			}
			out = append(out, strings.TrimSpace(where+" "+p.Column)+" "+p.Code)
			for _, tag := range []string{lang.ZhHans, lang.En} {
				if s := p.Text(k, tag); s == p.Code || strings.ContainsAny(s, "⟨⟩{}") || tag == lang.ZhHans && s == p.Detail {
					b.t.Errorf("the problem %+v has no text in %s: %q", p, tag, s)
				}
			}
		}
	})
	must(b.t, err)
	return o, out
}

// goods registers a product and a lot.
func (b *bundle) goods() {
	b.t.Helper()
	if o, bad := b.load(Products, false, "gtin,name_zh,category\n06901234567892,白兰地,spirits\n"); o.New != 1 {
		b.t.Fatal(o, bad)
	}
	if o, bad := b.load(Lots, false, "gtin,lot\n06901234567892,L1\n"); o.New != 1 {
		b.t.Fatal(o, bad)
	}
}

// work runs jobs until the import has ended.
func (b *bundle) work(i Import) Import {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.jobs.Run(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !i.Job.State.Ended() {
		<-tick.C
		var err error
		i, err = b.Get(b.t.Context(), i.Job.Owner, i.Job.ID)
		must(b.t, err)
	}
	stop()
	must(b.t, <-done)
	return i
}

func (b *bundle) begin(o Order, file string) Import {
	b.t.Helper()
	if o.Firm == "" {
		o.Firm = b.firm.ID
	}
	i, err := b.Begin(b.t.Context(), o, bytes.NewReader([]byte(file)))
	must(b.t, err)
	return i
}
