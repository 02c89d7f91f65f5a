package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

func TestAJobIsRunToItsEnd(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	b.Register("count", l.count)
	j := b.enqueue(New{Kind: "count", Owner: firmA, Input: 3})
	if j.State != Queued || j.ID == "" {
		t.Fatalf("a new job is %+v", j)
	}
	b.clock.Advance(time.Minute)
	b.drain(b.Service)
	j = b.is(j.ID, Success)
	if j.Done != 3 || j.Total != 3 || string(j.Result) != `"counted to 3"` || j.Attempts != 1 || !j.Expires.Equal(j.Finished.Add(Keep)) {
		t.Errorf("the job ended as %+v", j)
	}
	l.whole(t, j.ID, 3, 0)
	if n := b.leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
	b.clock.Advance(Keep)
	if _, err := b.Sweep(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	_, err := b.Get(t.Context(), firmA, j.ID)
	b.fails(err, "job_not_found")
}

// leases counts the stored leases.
func (b *bundle) leases() int {
	b.t.Helper()
	recs, err := b.disk.All(b.t.Context(), store.LeaseCollection, "", 100)
	b.ok(err)
	return len(recs)
}

func TestTheSameRequestIsTheSameJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	first := b.enqueue(New{Kind: "count", Owner: firmA, Input: map[string]any{"to": "<3>"}, IdempotencyKey: "k"})
	again := b.enqueue(New{Kind: "count", Owner: firmA, Input: json.RawMessage(`{ "to": "<3>" }`), IdempotencyKey: "k"})
	if again.ID != first.ID {
		t.Errorf("one key made %s and %s", first.ID, again.ID)
	}
	_, err := b.Enqueue(ctx, New{Kind: "count", Owner: firmA, Input: 4, IdempotencyKey: "k"})
	b.fails(err, "idempotency_key_reused")
	for _, other := range []New{{Kind: "count", Owner: firmB}, {Kind: "count", Owner: Firm("a", "test")}, {Kind: "other", Owner: firmA}} {
		other.IdempotencyKey = "k"
		if j := b.enqueue(other); j.ID == first.ID {
			t.Errorf("%+v has the job of another", other)
		}
	}
	b.enqueue(New{ID: "daily/1", Kind: "count", Owner: firmA, Input: 1})
	if j := b.enqueue(New{ID: "daily/1", Kind: "count", Owner: firmA, Input: 2}); string(j.Input) != "1" {
		t.Errorf("the job was replaced by %+v", j)
	}
	_, err = b.Enqueue(ctx, New{ID: "daily/1", Kind: "count", Owner: firmB})
	b.fails(err, "job_exists")
	_, err = b.Enqueue(ctx, New{Kind: "count", Owner: firmA, Input: strings.Repeat("x", MaxInput)})
	b.fails(err, "job_too_large")
	for _, bad := range []New{{Kind: "Count", Owner: firmA}, {Kind: "count"}, {ID: "a", Kind: "count", Owner: firmA, IdempotencyKey: "k"}} {
		if _, err := b.Enqueue(ctx, bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func TestNobodySeesAnothersJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	j := b.enqueue(New{Kind: "count", Owner: firmA, Input: 1})
	for _, other := range []Owner{firmB, Firm("a", "test"), Authority("a"), {}} {
		_, err := b.Get(ctx, other, j.ID)
		b.fails(err, "job_not_found")
		_, err = b.Cancel(ctx, other, j.ID)
		b.fails(err, "job_not_found")
		if all, _, err := b.List(ctx, other, "", "", 10); err != nil || len(all) != 0 {
			t.Errorf("%v lists %v, %v", other, all, err)
		}
	}
	for _, id := range []string{"", strings.Repeat("x", 600), "none"} {
		_, err := b.Get(ctx, firmA, id)
		b.fails(err, "job_not_found")
	}
}

func TestListGivesPagesTheNewestFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	for i := range 7 {
		j := b.enqueue(New{ID: fmt.Sprint("j", i), Kind: []string{"even", "odd"}[i%2], Owner: firmA})
		b.clock.Advance(time.Second)
		if i%2 == 0 {
			want = append([]string{j.ID}, want...)
		}
	}
	var got []string
	cursor := ""
	for {
		page, next, err := b.List(t.Context(), firmA, "even", cursor, 3)
		b.ok(err)
		for _, j := range page {
			got = append(got, j.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if _, _, err := b.List(t.Context(), firmA, "", "nonsense", 3); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("a bad cursor gives %v", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	ctx := t.Context()
	waits := b.enqueue(New{Kind: "count", Owner: firmA, Input: 3})
	j, err := b.Cancel(ctx, firmA, waits.ID)
	if err != nil || j.State != Cancelled {
		t.Fatalf("a waiting job is %s, %v", j.State, err)
	}
	if _, err := b.Cancel(ctx, firmA, waits.ID); err != nil {
		t.Errorf("cancelling twice: %v", err)
	}
	other := b.process("two", b.disk)
	for name, by := range map[string]*Service{"here": b.Service, "elsewhere": other} {
		runs := b.enqueue(New{Kind: "count_" + name, Owner: firmA, Input: 3})
		b.Register("count_"+name, func(ctx context.Context, r *Run) (any, error) {
			if _, err := by.Cancel(ctx, firmA, r.Job.ID); err != nil {
				return nil, err
			}
			return l.count(ctx, r)
		})
		b.drain(b.Service)
		if j := b.is(runs.ID, Cancelled); j.Done != 0 || j.Expires.IsZero() || j.Failure != nil {
			t.Errorf("cancelled %s: %+v", name, j)
		}
	}
	// A runner that does not ask is stopped by its context, when the lease is renewed.
	deaf := b.enqueue(New{Kind: "deaf", Owner: firmA})
	b.Register("deaf", func(ctx context.Context, r *Run) (any, error) {
		if _, err := other.Cancel(ctx, firmA, r.Job.ID); err != nil {
			return nil, err
		}
		r.check(ctx)
		<-ctx.Done()
		return nil, errors.New("whatever")
	})
	b.drain(b.Service)
	b.is(deaf.ID, Cancelled)
	// Work that is done is done.
	late := b.enqueue(New{Kind: "late", Owner: firmA})
	b.Register("late", func(ctx context.Context, r *Run) (any, error) {
		_, err := other.Cancel(ctx, firmA, r.Job.ID)
		return 1, err
	})
	b.drain(b.Service)
	b.is(late.ID, Success)
	_, err = b.Cancel(ctx, firmA, late.ID)
	b.fails(err, "job_ended")
}

func TestWhatErrorsMakeOfAJob(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run  Runner
		code string
	}{
		"fault":  {func(context.Context, *Run) (any, error) { return nil, fault.New(fault.Invalid, "no_rows", "no rows") }, "no_rows"},
		"other":  {func(context.Context, *Run) (any, error) { return nil, errors.New("secret") }, "internal"},
		"panic":  {func(context.Context, *Run) (any, error) { panic("secret") }, "internal"},
		"result": {func(context.Context, *Run) (any, error) { return strings.Repeat("x", MaxResult), nil }, "result_too_large"},
		"cyclic": {func(context.Context, *Run) (any, error) { return func() {}, nil }, "internal"},
		"cursor": {func(ctx context.Context, r *Run) (any, error) {
			return nil, r.Progress(ctx, 1, 1, strings.Repeat("x", MaxCursor))
		}, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.Register("k", c.run)
			j := b.enqueue(New{Kind: "k", Owner: firmA})
			b.drain(b.Service)
			if j := b.is(j.ID, Failed); j.Failure.Code != c.code || strings.Contains(j.Failure.Detail, "secret") {
				t.Errorf("failure is %+v", j.Failure)
			}
		})
	}
}

func TestWhatIsUnavailableIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tries, progress := 0, true
	b.Register("k", func(ctx context.Context, r *Run) (any, error) {
		tries++
		if tries == MaxTries-1 && progress { // which begins the counting anew
			if err := r.Progress(ctx, 1, 2, nil); err != nil {
				return nil, err
			}
		}
		return nil, fmt.Errorf("wrapped: %w", fault.New(fault.Unavailable, "files_unavailable", "later"))
	})
	j := b.enqueue(New{Kind: "k", Owner: firmA})
	began := b.clock.Now()
	for range 100 {
		b.drain(b.Service)
		if b.get(j.ID).State == Failed {
			break
		}
		if b.one(b.Service) {
			t.Fatal("it is tried again at once")
		}
		b.clock.Advance(b.get(j.ID).Due.Sub(b.clock.Now()))
	}
	got := b.is(j.ID, Failed)
	if tries != 2*MaxTries-2 || got.Failure.Code != "files_unavailable" || got.Attempts != tries {
		t.Errorf("%d tries, %+v", tries, got)
	}
	if took := b.clock.Now().Sub(began); took < 10*time.Minute || took > 20*time.Minute {
		t.Errorf("it was given up after %v", took)
	}
}

func TestOwnersTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var order []string
	b.Register("k", func(_ context.Context, r *Run) (any, error) {
		order = append(order, r.Job.Owner.ID)
		return "done", nil
	})
	for range 100 {
		b.enqueue(New{Kind: "k", Owner: firmB})
	}
	for _, o := range []string{"a", "c", "d"} {
		b.enqueue(New{Kind: "k", Owner: Firm(o, "")})
		b.enqueue(New{Kind: "k", Owner: Firm(o, "")})
	}
	for range 12 {
		b.one(b.Service)
	}
	want := "a b c d a b c d b b b b"
	if got := strings.ReplaceAll(strings.Join(order, " "), "firm/", ""); got != want {
		t.Errorf("served %s, want %s", got, want)
	}
}

func TestAnotherProcessGoesOnFromTheCursor(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	b.Register("count", l.count)
	j := b.enqueue(New{Kind: "count", Owner: firmA, Input: 5})
	dying := storetest.NewMortal(b.disk)
	one := b.process("dying", dying)
	one.Register("count", func(ctx context.Context, r *Run) (any, error) {
		dying.DieAt(3, true)
		return l.count(ctx, r)
	})
	b.one(one)
	b.drain(b.Service) // sees the lease for the first time
	b.clock.Advance(term - time.Second)
	b.drain(b.Service)
	b.is(j.ID, Running)
	b.clock.Advance(time.Second)
	b.drain(b.Service)
	if got := b.is(j.ID, Success); got.Crashes != 1 || got.Attempts != 2 {
		t.Errorf("the job is %+v", got)
	}
	l.whole(t, j.ID, 5, 0)
	if len(b.watched) != 0 && b.recover(t.Context()) == nil && len(b.watched) != 0 {
		t.Errorf("%v are watched for good", b.watched)
	}
}

func TestAJobThatKillsItsProcessIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.enqueue(New{Kind: "k", Owner: firmA})
	b.Register("k", func(context.Context, *Run) (any, error) { return "done", nil })
	for i := range MaxCrashes {
		dying := storetest.NewMortal(b.disk)
		p := b.process(fmt.Sprint("p", i), dying)
		p.Register("k", func(context.Context, *Run) (any, error) {
			dying.DieAt(1, false)
			return "done", nil
		})
		b.ok(p.recover(t.Context()))
		b.clock.Advance(term)
		b.ok(p.recover(t.Context()))
		if !b.one(p) {
			t.Fatalf("process %d finds nothing to do", i)
		}
	}
	b.drain(b.Service)
	b.clock.Advance(term)
	b.drain(b.Service)
	if got := b.is(j.ID, Failed); got.Failure.Code != CodeCrashed || got.Attempts != MaxCrashes {
		t.Errorf("the job is %+v", got)
	}
	if n := b.leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

// A process that was only slow finds out at its next step that another has the job, and changes nothing.
func TestTheFenceKeepsASlowProcessOut(t *testing.T) {
	t.Parallel()
	b, l := setup(t), newLedger()
	fast := b.process("fast", b.disk)
	fast.Register("count", l.count)
	var late error
	b.Register("count", func(ctx context.Context, r *Run) (any, error) {
		b.ok(r.Progress(ctx, 1, 3, 1))
		b.ok(fast.recover(ctx))
		b.clock.Advance(term)
		b.drain(fast)
		late = r.Progress(ctx, 2, 3, 99)
		r.check(ctx)
		if !errors.Is(context.Cause(ctx), ErrTakenOver) {
			t.Errorf("its context ends with %v", context.Cause(ctx))
		}
		return "late", nil
	})
	j := b.enqueue(New{Kind: "count", Owner: firmA, Input: 3})
	b.one(b.Service)
	if !errors.Is(late, ErrTakenOver) {
		t.Errorf("the slow one's progress gives %v", late)
	}
	if got := b.is(j.ID, Success); string(got.Result) != `"counted to 3"` || got.Done != 3 {
		t.Errorf("the job is %+v", got)
	}
	if got := b.get(j.ID).Cursor; string(got) != "3" {
		t.Errorf("the cursor is %s", got)
	}
}
