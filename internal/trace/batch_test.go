package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// serials reads a part of a batch.
func (b *bundle) serials(batch Batch, part Span) []string {
	b.t.Helper()
	var out []string
	must(b.t, b.EachUnit(b.t.Context(), batch, part, func(position int64, u Unit) error {
		if want := part.First + int64(len(out)); position != want {
			b.t.Errorf("position %d, want %d", position, want)
		}
		out = append(out, u.Serial)
		return nil
	}))
	return out
}

// lotUnits counts what is stored of a lot.
func (b *bundle) lotUnits() int {
	b.t.Helper()
	n, err := b.units.Count(b.t.Context(), store.Query{Index: byLot, Eq: store.K(string(gtinA), "L1")}, 100_000)
	must(b.t, err)
	return n
}

// However often the filling of a batch is cut off, and wherever it begins again, exactly its codes are there.
func TestABatchIsFilledOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	plan, err := b.PlanBatch(ctx, b.maker, gtinA, "L1", 3500, "key-0001")
	must(t, err)
	again, err := b.PlanBatch(ctx, b.maker, gtinA, "L1", 3500, "key-0001")
	must(t, err)
	if again.ID != plan.ID || plan.Complete || len(plan.ID) != 26 {
		t.Fatalf("planned %+v, then %+v", plan, again)
	}
	cut := errors.New("cut")
	stops := 0
	for _, from := range []int64{0, 0, 1000, 2000} { // from where the last durable step was, or before it
		_, err := b.FillBatch(ctx, plan.ID, from, func(int64) error { stops++; return cut })
		if !errors.Is(err, cut) {
			t.Fatalf("from %d: %v", from, err)
		}
	}
	if _, _, err := b.StartPrint(ctx, b.maker, Print{Batch: plan.ID, Format: "pdf", By: "k"}, 1, 0); fault.CodeOf(err) != "batch_incomplete" {
		t.Errorf("printing a part: %v", err)
	}
	var steps []int64
	done, err := b.FillBatch(ctx, plan.ID, 3000, func(n int64) error { steps = append(steps, n); return nil })
	must(t, err)
	if !done.Complete || stops != 4 || !slices.Equal(steps, []int64{3500}) {
		t.Fatalf("%+v after %d stops, steps %v", done, stops, steps)
	}
	_, err = b.FillBatch(ctx, plan.ID, 0, func(int64) error { return cut }) // a job that runs again after its end
	must(t, err)
	got := b.serials(done, Span{1, 3500})
	if n := b.lotUnits(); n != 3501 || len(got) != 3500 { // and the one of goods
		t.Errorf("%d units stored, %d read", n, len(got))
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 3500 {
		t.Error("a serial is there twice")
	}
	if part := b.serials(done, Span{1000, 2001}); len(part) != 1002 {
		t.Errorf("%d units over the bounds of pages", len(part))
	}
}

func TestBatchesBelongToTheirFirm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	other := b.firm(firm.Firm{ID: "other", Name: lang.ZhEn("", "Other"), Kind: firm.Importer})
	units, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", 5, "second")
	must(t, err)
	id := units[0].Batch
	if got, err := b.Batch(ctx, b.maker, id); err != nil || !got.Complete || got.Count != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	b.clock.Advance(time.Second)
	for name, err := range map[string]error{
		"plan":  refused2(b.PlanBatch(ctx, other, gtinA, "L1", 20_000, "")),
		"batch": refused2(b.Batch(ctx, other, id)),
		"print": refused3(b.StartPrint(ctx, other, Print{Batch: id}, 1, 0)),
		"list":  refused3(b.PrintsOf(ctx, other, id, "", 10)),
		"part":  refused3(b.Part(ctx, other, id, 1, 0)),
		"void":  refused3(b.VoidUnit(ctx, other, gtinA, units[0].Serial, Voiding{Reason: "x"})),
	} {
		if k := fault.KindOf(err); k != fault.NotFound && (name != "plan" || k != fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, _, err := b.Batches(ctx, b.maker, "", 10)
	must(t, err)
	if len(list) != 2 {
		t.Errorf("%d batches", len(list))
	}
	if list, _, err := b.Batches(ctx, other, "", 10); err != nil || len(list) != 0 {
		t.Errorf("another firm sees %v, %v", list, err)
	}
	for _, r := range [][2]int64{{0, 1}, {-1, 0}, {6, 0}, {1, 6}, {5, 2}, {1, -1}, {2, 1 << 62}} {
		if _, _, err := b.Part(ctx, b.maker, id, r[0], r[1]); fault.CodeOf(err) != "batch_range" {
			t.Errorf("from %d, %d of 5: %v", r[0], r[1], err)
		}
	}
	for _, n := range []int64{0, -5, MaxBatch + 1} {
		if _, err := b.PlanBatch(ctx, b.maker, gtinA, "L1", n, ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d codes: %v", n, err)
		}
	}
}

func refused2[A any](_ A, err error) error         { return err }
func refused3[A, B any](_ A, _ B, err error) error { return err }

// A second label of a unit needs a reason, and each printing is on record.
func TestPrintingAgainNeedsAReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	units, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", 100, "second")
	must(t, err)
	id := units[0].Batch
	for _, c := range []struct {
		from, count  int64
		reason, code string
	}{
		{1, 24, "", ""}, {25, 24, "", ""}, {24, 1, "", "reprint_reason"}, {20, 10, "", "reprint_reason"}, {20, 10, "spoilt", ""}, {60, 10, "", ""},
		{49, 11, "", ""}, {1, 0, "", "reprint_reason"}, {70, 0, "", ""},
	} {
		b.clock.Advance(time.Second)
		_, p, err := b.StartPrint(ctx, b.maker, Print{Batch: id, Format: "pdf", By: "seller:maker/k", Reason: c.reason}, c.from, c.count)
		if code := fault.CodeOf(err); err != nil && code != c.code || err == nil && c.code != "" {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil && p.Again != (c.reason != "") {
			t.Errorf("%+v: again is %v", c, p.Again)
		}
	}
	got, err := b.Batch(ctx, b.maker, id)
	must(t, err)
	if got.Prints != 6 || !slices.Equal(got.Printed, []Span{{1, 100}}) {
		t.Errorf("%d prints of %v", got.Prints, got.Printed)
	}
	list, next, err := b.PrintsOf(ctx, b.maker, id, "", 4)
	must(t, err)
	if len(list) != 4 || next == "" || list[0].Span != (Span{70, 100}) || list[3].Reason != "spoilt" || !list[3].Again {
		t.Errorf("%+v", list)
	}
}

// What a batch remembers of printings is bounded, and errs on the side of asking for a reason.
func TestSpansAreBounded(t *testing.T) {
	t.Parallel()
	var spans []Span
	printed := map[int64]bool{}
	for i := range int64(1000) {
		at := (i * 7919 % 1000) * 1000
		spans = add(spans, Span{at + 1, at + 1 + i%500})
		for n := at + 1; n <= at+1+i%500; n++ {
			printed[n] = true
		}
		if len(spans) > maxSpans {
			t.Fatalf("%d spans", len(spans))
		}
	}
	for i := 1; i < len(spans); i++ {
		if spans[i].First <= spans[i-1].Last+1 {
			t.Fatalf("%v is not apart from %v", spans[i], spans[i-1])
		}
	}
	for n := range printed {
		if !overlaps(spans, Span{n, n}) {
			t.Fatalf("position %d was printed, and is not known to be", n)
		}
	}
}

// A code that is void is void for good, for its first reason, and a scan says so.
func TestVoiding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	units, err := b.IssueCodes(ctx, b.maker, gtinA, "L1", 250, "second")
	must(t, err)
	u := units[100]
	before, after, err := b.VoidUnit(ctx, b.maker, gtinA, u.Serial, Voiding{At: b.clock.Now(), By: "k", Reason: " torn "})
	must(t, err)
	if before.State != UnitIssued || after.State != UnitVoid || after.Voided.Reason != "torn" {
		t.Fatalf("%+v, then %+v", before, after)
	}
	steps := 0
	part := Span{51, 250}
	for range 2 { // a job that runs twice
		must(t, b.VoidBatch(ctx, u.Batch, part, Voiding{At: b.clock.Now(), By: "k", Reason: "burnt"}, func(int64) error { steps++; return nil }))
	}
	batch, err := b.Batch(ctx, b.maker, u.Batch)
	must(t, err)
	must(t, b.EachUnit(ctx, batch, Span{1, 250}, func(n int64, v Unit) error {
		want := "burnt"
		if v.Serial == u.Serial {
			want = "torn"
		}
		if (v.State == UnitVoid) != (n >= part.First) || v.State == UnitVoid && v.Voided.Reason != want {
			t.Errorf("unit %d: %s %+v", n, v.State, v.Voided)
		}
		return nil
	}))
	if a := b.scan(units[60].Ref(), "v", ""); a.Authenticity.Status != AuthVoid || a.Headline.Status != HeadVoid {
		t.Errorf("%+v", a.Headline)
	}
	if steps != 4 {
		t.Errorf("%d steps", steps)
	}
}

// A code is active once a confirmed event says that it is on goods, and not before; a scan hints at it, the more the more people scan it.
func TestActivation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	ctx := t.Context()
	state := func() UnitState {
		s, err := b.StateOf(ctx, u)
		must(t, err)
		return s
	}
	codes := func(a *Answer) (out []string) {
		for _, f := range a.Findings {
			out = append(out, f.Code)
		}
		return out
	}
	if a := b.scan(u.Ref(), "one", ""); state() != UnitIssued || !slices.Equal(codes(a), []string{"not_activated"}) || a.Headline.Status != HeadCodeValid {
		t.Errorf("%s, %v, %+v", state(), codes(a), a.Headline)
	}
	for i := range manyBeforeActivation {
		b.scan(u.Ref(), fmt.Sprint("scanner ", i), "")
	}
	if a := b.scan(u.Ref(), "one", ""); !slices.Equal(codes(a), []string{"scanned_unlabelled"}) {
		t.Errorf("%v", codes(a))
	}
	stranger := b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("", "Stranger"), Kind: firm.Importer})
	event := strings.NewReplacer("EPC", "https://id.gs1.org/01/"+string(gtinA)+"/21/"+u.Serial).Replace(
		`{"type":"ObjectEvent","action":"ADD","bizStep":"commissioning","eventTime":"2026-11-23T08:00:00Z","eventTimeZoneOffset":"+08:00","epcList":["EPC"]}`)
	b.capture(stranger, event)
	if state() != UnitIssued {
		t.Error("a stranger activated it")
	}
	b.capture(b.maker, strings.Replace(event, "08:00:00Z", "09:00:00Z", 1))
	if a := b.scan(u.Ref(), "one", ""); state() != UnitActive || len(codes(a)) != 0 {
		t.Errorf("%s, %v", state(), codes(a))
	}
	_, _, err := b.VoidUnit(ctx, b.maker, gtinA, u.Serial, Voiding{Reason: "x"})
	must(t, err)
	u, err = b.Unit(ctx, gtinA, u.Serial)
	must(t, err)
	if state() != UnitVoid {
		t.Errorf("void is %s", state())
	}
}

// The jobs do what was asked for in the tenant of their owner.
func TestJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	leases, err := store.OpenLeases(ctx, b.engine, "test", time.Minute, time.Now)
	must(t, err)
	jobs, err := job.Open(ctx, job.Deps{Engine: b.engine, Leases: leases, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	ended := make(chan struct{}, 2)
	for kind, run := range Runners(b.Service, nil) {
		jobs.Register(kind, func(ctx context.Context, r *job.Run) (any, error) {
			defer func() { ended <- struct{}{} }()
			return run(ctx, r)
		})
	}
	plan, err := b.PlanBatch(ctx, b.maker, gtinA, "L1", 12_000, "key-0001")
	must(t, err)
	me := job.Firm("maker", "")
	issue, err := jobs.Enqueue(ctx, job.New{ID: "issue." + plan.ID, Kind: IssueJob, Owner: me, Input: IssueOrder{Batch: plan.ID}})
	must(t, err)
	run := func() {
		runCtx, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- jobs.Run(runCtx) }()
		<-ended
		stop()
		must(t, <-done)
	}
	run()
	issue, err = jobs.Get(ctx, me, issue.ID)
	must(t, err)
	if want := fmt.Sprintf(`{"batch":%q,"count":12000}`, plan.ID); issue.State != job.Success || string(issue.Result) != want || issue.Done != 12_000 {
		t.Fatalf("%+v", issue)
	}
	if n := b.lotUnits(); n != 12_001 {
		t.Errorf("%d units", n)
	}
}
