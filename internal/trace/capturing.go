package trace

import (
	"context"
	"errors"
	"io"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/store"
)

// capturing is one attempt at the capture of a large document.
type capturing struct {
	s        *Service
	f        firm.Firm
	id       string
	doc      captureDoc
	frame    *epcis.Document
	progress func(ctx context.Context, done, total int) error
}

// carry runs the attempt. A cancellation that comes after the decision comes too late: what is planned is carried out at once, since whoever follows the
// events waits for it.
func (c *capturing) carry(ctx context.Context) error {
	err := c.run(ctx)
	if err != nil && c.doc.Decided && c.doc.State == captureRunning && (errors.Is(err, job.ErrCancelled) || errors.Is(context.Cause(ctx), job.ErrCancelled)) {
		c.progress = noProgress
		return c.forward(context.WithoutCancel(ctx))
	}
	return err
}

func noProgress(context.Context, int, int) error { return nil }

func (c *capturing) run(ctx context.Context) error {
	if c.doc.Decided {
		return c.forward(ctx)
	}
	err := c.read(ctx, func(r io.Reader) (err error) {
		c.frame, c.doc.Total, err = epcis.ReadFrame(r, LargeLimits)
		return err
	})
	switch {
	case faulty(err):
		return c.fail(ctx, refusalsOf(err))
	case err != nil:
		return err
	case c.doc.Total == 0:
		return c.fail(ctx, refusalsOf(errNoEvents(c.frame)))
	case c.doc.Behaviour == Proceed:
		return c.proceed(ctx)
	}
	if done, err := c.check(ctx); err != nil || done {
		return err
	}
	if done, err := c.plan(ctx); err != nil || done {
		return err
	}
	return c.forward(ctx)
}

// faulty says whether an error is the document's fault, and not one of the machine.
func faulty(err error) bool {
	switch fault.KindOf(err) {
	case fault.Malformed, fault.Invalid, fault.TooLarge, fault.Conflict:
		return true
	}
	return false
}

func (c *capturing) read(ctx context.Context, f func(io.Reader) error) (err error) {
	r, err := c.s.deps.Blobs.Open(ctx, *c.doc.Source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return f(r)
}

// item is an event of the document, or what is wrong with it.
type item struct {
	at  int
	e   *epcis.Event
	err error
}

// batches calls f with the events from a place on, a batch at a time.
func (c *capturing) batches(ctx context.Context, from int, f func(batch []item) error) error {
	return c.read(ctx, func(r io.Reader) error {
		batch := make([]item, 0, c.s.atOnce)
		err := c.frame.Each(r, LargeLimits, func(i int, e *epcis.Event, err error) error {
			if i < from {
				return nil
			}
			if batch = append(batch, item{i, e, err}); len(batch) < c.s.atOnce {
				return nil
			}
			err = f(batch)
			batch = batch[:0]
			return err
		})
		if err == nil && len(batch) > 0 {
			err = f(batch)
		}
		return err
	})
}

// sifted is what becomes of the events of a batch.
type sifted struct {
	fresh   []placed
	known   int
	refused []CaptureError // of one event there may be several
}

// sift takes out of a batch what cannot be stored, with its reasons, and what is there already.
func (c *capturing) sift(ctx context.Context, v *sieve, batch []item) (out sifted, err error) {
	events := make([]*epcis.Event, 0, len(batch))
	for _, it := range batch {
		if it.err == nil {
			events = append(events, it.e)
		}
	}
	stand, err := v.look(ctx, events)
	if err != nil {
		return out, err
	}
	for _, it := range batch {
		at := c.frame.Pointer(it.at)
		if it.err != nil {
			out.refused = append(out.refused, refusalsOf(it.err)...)
			continue
		}
		stands := stand[0]
		stand = stand[1:]
		switch {
		case stands == isTaken:
			out.refused = append(out.refused, refusal(fault.Conflict, idTaken(at, it.e)))
		case stands == isKnown:
			out.known++
		case !storable(c.f, it.e):
			out.refused = append(out.refused, refusal(fault.Invalid, tooLarge(at)))
		default:
			out.fresh = append(out.fresh, placed{at, it.e})
		}
	}
	return out, nil
}

// check looks at every event and changes nothing. It gives true if the capture has failed.
func (c *capturing) check(ctx context.Context) (failed bool, err error) {
	var bad []CaptureError
	total := 0
	v := c.s.newSieve(c.f)
	err = c.batches(ctx, 0, func(batch []item) error {
		got, err := c.sift(ctx, v, batch)
		if err != nil {
			return err
		}
		total += len(got.refused)
		bad = append(bad, got.refused[:min(len(got.refused), maxCaptureErrors-len(bad))]...)
		return c.progress(ctx, batch[len(batch)-1].at+1, 3*c.doc.Total)
	})
	if err != nil || total == 0 {
		return false, err
	}
	c.doc.Failed = total
	return true, c.fail(ctx, bad)
}

// plan stores the texts of what is new, and decides. It gives true if the capture has failed after all: another one took an ID meanwhile.
func (c *capturing) plan(ctx context.Context) (failed bool, err error) {
	plans, known := 0, 0
	v := c.s.newSieve(c.f)
	var refused []CaptureError
	err = c.batches(ctx, 0, func(batch []item) error {
		got, err := c.sift(ctx, v, batch)
		if err != nil {
			return err
		}
		if refused = got.refused; len(refused) > 0 {
			return errRefused
		}
		known += got.known
		if err := c.s.putRaws(ctx, c.f, got.fresh); err != nil {
			return err
		}
		p := planDoc{}
		for _, it := range got.fresh {
			p.Raws = append(p.Raws, storageID(c.f, it.e))
		}
		// What an attempt before planned may differ in what was known then; this one decides, so this one counts.
		if _, err := c.s.plans.Upsert(ctx, planID(c.id, plans), func(d *planDoc) error { *d = p; return nil }); err != nil {
			return err
		}
		plans++
		return c.progress(ctx, c.doc.Total+batch[len(batch)-1].at+1, 3*c.doc.Total)
	})
	switch {
	case len(refused) > 0:
		return true, c.fail(ctx, refused)
	case fault.KindOf(err) == fault.Conflict:
		return true, c.fail(ctx, refusalsOf(err))
	case err != nil:
		return false, err
	}
	return false, c.update(ctx, func(d *captureDoc) {
		d.Decided, d.Plans, d.Total, d.Known = true, plans, c.doc.Total, known
	})
}

var errRefused = errors.New("trace: an event is refused")

// forward writes what is planned, batch by batch, and completes the capture.
func (c *capturing) forward(ctx context.Context) error {
	stored := 0
	for n := range c.doc.Plans {
		p, err := c.s.plans.Get(ctx, planID(c.id, n))
		if err != nil {
			return err
		}
		events, err := c.s.decodeRaws(ctx, p.V.Raws)
		if err != nil {
			return err
		}
		stored += len(events)
		if n < c.doc.Written {
			continue
		}
		if err := c.s.writeEvents(ctx, c.f, c.id, events, c.doc.Created, func([]store.Item[eventDoc]) {}); err != nil {
			return err
		}
		if err := c.update(ctx, func(d *captureDoc) { d.Written, d.Done = n+1, min(d.Total, (n+1)*c.s.atOnce) }); err != nil {
			return err
		}
		if err := c.progress(ctx, 2*c.doc.Total+c.doc.Done, 3*c.doc.Total); err != nil {
			return err
		}
	}
	return c.finish(ctx, func(d *captureDoc) { d.State, d.Stored, d.Done = captureDone, stored, d.Total })
}

// proceed stores what can be stored, batch by batch.
func (c *capturing) proceed(ctx context.Context) error {
	err := c.batches(ctx, c.doc.Done, func(batch []item) error {
		got, err := c.sift(ctx, c.s.newSieve(c.f), batch)
		if err != nil {
			return err
		}
		if err := c.s.putRaws(ctx, c.f, got.fresh); err != nil {
			return err
		}
		if err := c.s.writeEvents(ctx, c.f, "", eventsOf(got.fresh), c.doc.Created, c.s.touch); err != nil {
			return err
		}
		from, to := batch[0].at, batch[len(batch)-1].at+1
		err = c.update(ctx, func(d *captureDoc) {
			if d.Done != from {
				return // another process was there before
			}
			d.Done, d.Total = to, c.doc.Total
			d.Stored += len(got.fresh)
			d.Known += got.known
			d.Failed += len(got.refused)
			d.Errors = append(d.Errors, got.refused[:min(len(got.refused), maxCaptureErrors-len(d.Errors))]...)
		})
		if err != nil {
			return err
		}
		return c.progress(ctx, to, c.doc.Total)
	})
	if err != nil {
		return err
	}
	return c.finish(ctx, func(d *captureDoc) {
		if d.State = captureDone; d.Failed > 0 {
			d.State = captureFailed
		}
	})
}

// update changes the capture document, which must still be running.
func (c *capturing) update(ctx context.Context, change func(d *captureDoc)) error {
	d, err := c.s.captures.Update(ctx, c.id, func(d *captureDoc) error {
		if d.State != captureRunning {
			return job.ErrTakenOver
		}
		change(d)
		return nil
	})
	if err == nil {
		c.doc = d.V
	}
	return err
}

func (c *capturing) fail(ctx context.Context, bad []CaptureError) error {
	return c.finish(ctx, func(d *captureDoc) {
		d.State, d.Total, d.Failed, d.Errors = captureFailed, c.doc.Total, max(len(bad), c.doc.Failed), bad[:min(len(bad), maxCaptureErrors)]
	})
}

// finish ends the capture, and then lets go of the document.
func (c *capturing) finish(ctx context.Context, change func(d *captureDoc)) error {
	err := c.update(ctx, func(d *captureDoc) {
		change(d)
		d.Finished = c.s.now()
	})
	if err != nil {
		return err
	}
	return c.s.deps.Blobs.Delete(ctx, *c.doc.Source)
}
