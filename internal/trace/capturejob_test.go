package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/blob/disk"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/store"
)

// jobbing is a trace service with a queue. Jobs run when run is called.
type jobbing struct {
	*bundle
	jobs  *job.Service
	blobs blob.Store
}

func setupJobs(t testing.TB) *jobbing {
	t.Helper()
	b := &jobbing{bundle: setup(t)}
	var err error
	b.blobs, err = disk.Open(t.Context(), filepath.Join(t.TempDir(), "blobs"), time.Now)
	must(t, err)
	b.process("one")
	return b
}

// process gives the bundle a queue as another process has it.
func (b *jobbing) process(name string) {
	b.t.Helper()
	leases, err := store.OpenLeases(b.t.Context(), b.engine, name, time.Minute, time.Now)
	must(b.t, err)
	b.jobs, err = job.Open(b.t.Context(), job.Deps{Engine: b.engine, Leases: leases, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	must(b.t, err)
	b.deps.Blobs, b.deps.Jobs = b.blobs, b.jobs
}

// run runs jobs until the capture has ended. A run that is put back is not the last one; any other error is the test's.
func (b *jobbing) run(id string) CaptureJob {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.t.Context())
	defer stop()
	var got CaptureJob
	b.jobs.Register(CaptureJobKind, func(ctx context.Context, r *job.Run) (any, error) {
		result, err := b.runCapture(ctx, r)
		if ctx.Err() != nil || errors.Is(err, job.ErrTakenOver) {
			return result, err
		}
		defer stop()
		now, failed := b.CaptureJob(ctx, b.maker.ID, id)
		if got = now; err != nil || failed != nil {
			b.t.Errorf("the job broke off: %v", errors.Join(err, failed))
		}
		return result, err
	})
	must(b.t, b.jobs.Run(ctx))
	return got
}

func (b *jobbing) send(doc, behaviour string) CaptureJob {
	b.t.Helper()
	got, err := b.CaptureLarge(b.t.Context(), b.maker, strings.NewReader(doc), behaviour)
	must(b.t, err)
	return got
}

// large is a document of n events; bad says which are wrong.
func large(n int, bad ...int) string { return largeOf("J", n, bad...) }

// largeOf is one whose units' serials begin with a text.
func largeOf(serials string, n int, bad ...int) string {
	var out strings.Builder
	out.WriteString(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0",` +
		`"creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[`)
	for i := range n {
		at := "2026-01-01T00:00:00Z"
		for _, b := range bad {
			if b == i {
				at = "9999-12-31T23:59:59Z"
			}
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(observed(at, "OBSERVE", "shipping", fmt.Sprintf(`"https://id.gs1.org/01/%s/21/%s%d"`, gtinA, serials, i)))
	}
	out.WriteString("]}}")
	return out.String()
}

// shown counts the events that a query finds.
func (b *jobbing) shown() int {
	b.t.Helper()
	ids, _ := b.pages(Reader{}, nil)
	return len(ids)
}

func (b *jobbing) blobsLeft() int {
	b.t.Helper()
	left, err := b.blobs.List(b.t.Context(), blobPurpose, "", 10)
	must(b.t, err)
	return len(left)
}

func TestLargeCapture(t *testing.T) {
	t.Parallel()
	b := setupJobs(t)
	doc := large(1000)
	sent := b.send(doc, Rollback)
	if !sent.Running || !sent.Success || b.shown() != 0 {
		t.Fatalf("%+v", sent)
	}
	if again := b.send(doc, Rollback); again.ID != sent.ID {
		t.Errorf("the same document is another capture: %s and %s", again.ID, sent.ID)
	}
	got := b.run(sent.ID)
	if got.Running || !got.Success || got.Total != 1000 || got.Stored != 1000 || got.Done != 1000 || got.Finished.IsZero() {
		t.Errorf("%+v", got)
	}
	if n := b.shown(); n != 1000 || b.blobsLeft() != 0 {
		t.Errorf("%d events show, %d documents are kept", n, b.blobsLeft())
	}
	if again := b.send(doc, Rollback); again.Running || again.Stored != 1000 || b.blobsLeft() != 0 {
		t.Errorf("sent again when it was done: %+v", again)
	}
	if _, err := b.CaptureJob(t.Context(), "another-firm", sent.ID); fault.CodeOf(err) != "capture_not_found" {
		t.Errorf("another firm: %v", err)
	}
	jobs, _, err := b.CaptureJobs(t.Context(), b.maker.ID, "", 10)
	if err != nil || len(jobs) != 1 || jobs[0].ID != sent.ID {
		t.Errorf("%+v, %v", jobs, err)
	}
}

// One bad event in a thousand: rollback stores none, proceed stores the others; both name the one.
func TestOneBadInAThousand(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]int{Rollback: 0, Proceed: 999} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			b := setupJobs(t)
			sent := b.send(large(1000, 412), behaviour)
			got := b.run(sent.ID)
			if got.Running || got.Success || got.Stored != want || got.Failed != 1 || len(got.Errors) != 1 || got.Total != 1000 {
				t.Fatalf("%+v", got)
			}
			if e := got.Errors[0]; e.Pointer != "/epcisBody/eventList/412/eventTime" || e.Code != "time_out_of_range" || e.Status != 422 {
				t.Errorf("%+v", e)
			}
			if n := b.shown(); n != want {
				t.Errorf("%d events show", n)
			}
			if b.blobsLeft() != 0 {
				t.Error("the document is kept")
			}
		})
	}
}

// A document that is none fails under either behaviour, and may be sent again after it failed.
func TestLargeRefusals(t *testing.T) {
	t.Parallel()
	b := setupJobs(t)
	sent := b.send(`{"type":"EPCISDocument"`, Proceed)
	got := b.run(sent.ID)
	if got.Running || got.Success || len(got.Errors) != 1 || got.Errors[0].Code != "json_syntax" {
		t.Errorf("%+v", got)
	}
	if again := b.send(`{"type":"EPCISDocument"`, Proceed); again.ID != sent.ID || !again.Running {
		t.Errorf("sent again: %+v", again)
	}
	_, err := b.CaptureLarge(t.Context(), b.maker, io.LimitReader(zeros{}, int64(LargeLimits.Bytes)+1), Rollback)
	if fault.KindOf(err) != fault.TooLarge {
		t.Errorf("too large: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var errDead = errors.New("the process died")

// deadAfter is an engine that fails every write from the n-th on, as if the process were gone.
type deadAfter struct {
	store.Engine
	left int
}

func (d *deadAfter) alive() error {
	if d.left--; d.left < 0 {
		return errDead
	}
	return nil
}

func (d *deadAfter) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	return d.Engine.Insert(ctx, coll, recs)
}

func (d *deadAfter) Replace(ctx context.Context, coll string, rec store.Record) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.Engine.Replace(ctx, coll, rec)
}

// Wherever the process dies, another one finishes: all events are there in the end, each once, and under rollback none shows before.
func TestLargeCaptureDiesAnywhere(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{Rollback, Proceed} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			b := setupJobs(t)
			b.atOnce = 4 // three batches, the last one not full
			const n = 10
			for writes := 0; ; writes++ {
				if writes == 100 {
					t.Fatal("the capture never ends")
				}
				before := b.shown()
				sent := b.send(largeOf(fmt.Sprintf("D%d-", writes), n), behaviour)
				err := b.dies(sent.ID, writes)
				if err == nil {
					if got := b.shown() - before; got != n {
						t.Fatalf("%d events show", got)
					}
					t.Logf("%d writes", writes)
					return
				}
				if !errors.Is(err, errDead) {
					t.Fatal(err)
				}
				d, err := b.captures.Get(t.Context(), sent.ID)
				must(t, err)
				if behaviour == Rollback && d.V.State == captureRunning && b.shown() != before {
					t.Fatalf("after %d writes some events show", writes)
				}
				b.process(fmt.Sprintf("after %d", writes))
				if got := b.run(sent.ID); got.Running || !got.Success || got.Stored+got.Known != n || b.shown()-before != n {
					t.Fatalf("after %d writes: %+v, %d show", writes, got, b.shown()-before)
				}
			}
		})
	}
}

// dies captures a document as a process of its own on the same store, that dies after so many writes. Its error says whether it did.
func (b *jobbing) dies(id string, writes int) error {
	b.t.Helper()
	d, err := b.captures.Get(b.t.Context(), id)
	must(b.t, err)
	mortal := &deadAfter{b.engine, 1 << 30}
	deps := b.deps
	deps.Engine = mortal
	dying, err := Open(b.t.Context(), deps)
	must(b.t, err)
	dying.atOnce, mortal.left = b.atOnce, writes
	c := &capturing{s: dying, f: b.maker, id: id, doc: d.V, progress: noProgress}
	return c.run(b.t.Context())
}

// A cancellation stops a capture up to its decision, and none after it, whether it is met by the progress or by the end of the context.
func TestACancellationAfterTheDecisionComesTooLate(t *testing.T) {
	t.Parallel()
	for _, abrupt := range []bool{false, true} {
		for late, want := range map[bool]int{false: 0, true: 10} {
			b := setupJobs(t)
			b.atOnce = 4
			sent := b.send(large(10), Rollback)
			d, err := b.captures.Get(t.Context(), sent.ID)
			must(t, err)
			ctx, stop := context.WithCancelCause(t.Context())
			c := &capturing{s: b.Service, f: b.maker, id: sent.ID, doc: d.V}
			c.progress = func(context.Context, int, int) error {
				switch {
				case c.doc.Decided != late:
					return nil
				case abrupt:
					stop(job.ErrCancelled)
					return nil
				}
				return job.ErrCancelled
			}
			err = c.carry(ctx)
			if late != (err == nil) || b.shown() != want || (c.doc.State == captureDone) != late {
				t.Errorf("abrupt %v, late %v: %v, %d events show, %+v", abrupt, late, err, b.shown(), c.doc)
			}
			stop(nil)
		}
	}
}

// What a job gave up ends, forward if it was decided; a job that was never asked for is asked for.
func TestCapturesThatNoJobIsAt(t *testing.T) {
	t.Parallel()
	b := setupJobs(t)
	sent := b.send(large(300), Rollback)
	d, err := b.captures.Get(t.Context(), sent.ID)
	must(t, err)
	if _, err := b.jobs.Cancel(t.Context(), job.Firm(b.maker.ID, ""), jobID(sent.ID, &d.V)); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(time.Minute)
	if n, err := b.Recover(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	got, err := b.CaptureJob(t.Context(), b.maker.ID, sent.ID)
	if err != nil || got.Running || got.Success || got.Errors[0].Code != "job_cancelled" || b.shown() != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	// The process died between the capture and its job.
	b.process("two")
	again := b.send(large(300), Rollback)
	d, err = b.captures.Get(t.Context(), again.ID)
	must(t, err)
	d.V.Attempt++ // nobody asked for this one
	must(t, b.captures.Replace(t.Context(), d))
	b.clock.Advance(time.Minute)
	if _, err := b.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.jobs.Get(t.Context(), job.Firm(b.maker.ID, ""), jobID(again.ID, &d.V)); err != nil {
		t.Error(err)
	}
}

// A capture that is sent again has a document of its own: what ends the failed one deletes no other.
func TestTheEndOfAFailedCaptureLeavesTheNextOneItsDocument(t *testing.T) {
	t.Parallel()
	b := setupJobs(t)
	doc := large(3)
	sent := b.send(doc, Rollback)
	d, err := b.captures.Get(t.Context(), sent.ID)
	must(t, err)
	first := *d.V.Source
	_, err = b.captures.Update(t.Context(), sent.ID, func(d *captureDoc) error { d.State = captureFailed; return nil })
	must(t, err)
	b.send(doc, Rollback)
	must(t, b.blobs.Delete(t.Context(), first)) // what the first one's job does at last
	if got := b.run(sent.ID); !got.Success || got.Stored != 3 || b.blobsLeft() != 0 {
		t.Errorf("%+v, %d documents are left", got, b.blobsLeft())
	}
}

// A document whose capture was never stored, or has ended, is deleted in the end; one that waits for its job is not, in a test tenant either.
func TestDocumentsThatWereLeftBehindAreSwept(t *testing.T) {
	t.Parallel()
	b := setupJobs(t)
	tenants, err := OpenSandboxes(t.Context(), b.deps)
	must(t, err)
	tenant, err := tenants.Of(t.Context(), b.maker.ID)
	must(t, err)
	for _, s := range []*Service{b.Service, tenant} {
		_, err := s.CaptureLarge(t.Context(), b.maker, strings.NewReader(large(2)), Rollback)
		must(t, err)
	}
	running, err := b.blobs.List(t.Context(), blobPurpose, "", 10)
	must(t, err)
	owner, _, _ := strings.Cut(running[0].Record, "-")
	_, err = b.blobs.Put(t.Context(), blob.Space{Purpose: blobPurpose, Record: "left"}, strings.NewReader("{}"), 10)
	must(t, err)
	// An attempt of a capture that runs from another's.
	_, err = b.blobs.Put(t.Context(), blob.Space{Purpose: blobPurpose, Record: owner + "-died"}, strings.NewReader(large(2)), 1<<20)
	must(t, err)
	sweep := NewDocumentSweep(b.Service, tenants)
	for _, late := range []time.Duration{0, blob.Orphaned + time.Hour} {
		b.clock.Advance(time.Since(b.clock.Now())) // files have the time of the machine
		b.clock.Advance(late)
		n, err := sweep.Sweep(t.Context(), 1)
		must(t, err)
		if want := map[bool]int{false: 0, true: 2}[late > 0]; n != want || b.blobsLeft() != 4-want {
			t.Errorf("after %s %d were deleted, and %d are left", late, n, b.blobsLeft())
		}
	}
}
