package trace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/store"
)

// A document that is too large to be captured while its sender waits is kept as it came, and its capture is a job.
//
// Rollback: every event is checked; then their texts are stored, which takes their IDs, and the plan of what is new; then the capture document
// decides, in one write, and what was planned is rolled forward. Nothing shows before the last of it is there, and a process that dies
// leaves a capture that is begun again before the decision, and finished after it. Proceed: each event stands for itself, and the capture document
// says how far it came, with what was refused so far.

// CaptureJobKind is the kind of the jobs that capture documents.
const CaptureJobKind = "capture"

// The purpose of the documents that wait for their capture.
const blobPurpose = "captures"

// LargeLimits bound a document that is captured by a job (GS1-EPCIS-Capture-Limit and GS1-EPCIS-Capture-File-Size-Limit).
var LargeLimits = epcis.Limits{Bytes: 64 << 20, Events: 20_000, EventBytes: 512 << 10}

// captureBatch is how many events are worked on at once: it bounds the memory that a job takes.
const captureBatch = 200

// maxWaiting is how many captures of a firm may wait for their job, each with a document of up to LargeLimits.Bytes.
const maxWaiting = 50

// maxCaptureErrors is how many refusals a capture lists.
const maxCaptureErrors = 100

// Jobs asks for work that outlasts a request; see job.Service.
type Jobs interface {
	Enqueue(ctx context.Context, n job.New) (job.Job, error)
	Get(ctx context.Context, o job.Owner, id string) (job.Job, error)
	Room(ctx context.Context, o job.Owner, kind string, most int) error
}

// planDoc lists the texts that a decided capture rolls forward, a batch of them; its ID is the capture's and the batch's number. It stays behind
// the capture, whose events whoever follows them finds by it; see EventLog.
type planDoc struct {
	Raws []string `json:"raws"`
}

var planDef = store.Def[planDoc]{Name: "capture_plans"}

func planID(capture string, batch int) string { return fmt.Sprintf("%s|%d", capture, batch) }

// CaptureLarge keeps a document, durably before it returns, and asks for its capture. The same document of the same firm is the same capture: one
// that is running or was done is not begun again, one that failed is. TooLarge, TooMany (jobs_waiting), Unavailable, and the errors of r.
func (s *Service) CaptureLarge(ctx context.Context, f firm.Firm, r io.Reader, behaviour string) (CaptureJob, error) {
	if s.deps.Blobs == nil || s.deps.Jobs == nil {
		return CaptureJob{}, fault.New(fault.Unavailable, "unavailable", "large documents cannot be taken now")
	}
	if err := s.deps.Jobs.Room(ctx, job.Firm(f.ID, s.deps.tenant), CaptureJobKind, maxWaiting); err != nil {
		return CaptureJob{}, err
	}
	owner := hashOf(s.deps.tenant, f.ID, behaviour)
	ref, err := s.deps.Blobs.Put(ctx, blob.Space{Purpose: blobPurpose, Record: owner}, r, int64(LargeLimits.Bytes))
	if err != nil {
		return CaptureJob{}, err
	}
	id := captureOf(ref)
	now := s.now()
	doc := captureDoc{Firm: f.ID, State: captureRunning, Behaviour: behaviour, Created: now, Source: &ref, Attempt: 1}
	err = s.captures.Insert(ctx, id, doc)
	if errors.Is(err, store.ErrExists) {
		var d store.Doc[captureDoc]
		d, err = s.captures.Update(ctx, id, func(d *captureDoc) error {
			if d.State == captureFailed {
				*d = captureDoc{Firm: f.ID, State: captureRunning, Behaviour: behaviour, Created: now, Source: &ref, Attempt: d.Attempt + 1}
			}
			return nil
		})
		doc = d.V
	}
	if err != nil {
		return CaptureJob{}, err
	}
	if doc.State == captureRunning {
		err = s.enqueue(ctx, id, &doc)
	} else {
		err = s.deps.Blobs.Delete(ctx, ref)
	}
	return doc.job(id), err
}

// captureOf is the capture of a document.
func captureOf(ref blob.Ref) string { return hashOf(ref.Record, ref.Hash) }

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%s\n", p) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// captureInput is the input of a job.
type captureInput struct {
	Capture string `json:"capture"`
}

func (s *Service) enqueue(ctx context.Context, id string, d *captureDoc) error {
	_, err := s.deps.Jobs.Enqueue(ctx, job.New{
		ID: jobID(id, d), Kind: CaptureJobKind, Owner: job.Firm(d.Firm, s.deps.tenant), Input: captureInput{id},
	})
	return err
}

// jobID can stand in a path, as the contract wants of the ID of a job.
func jobID(id string, d *captureDoc) string { return fmt.Sprintf("capture:%s:%d", id, d.Attempt) }

// runCapture is the runner of the jobs.
func (s *Service) runCapture(ctx context.Context, r *job.Run) (any, error) {
	var in captureInput
	if err := r.Input(&in); err != nil {
		return nil, err
	}
	d, err := s.captures.Get(ctx, in.Capture)
	if err != nil || d.V.State != captureRunning {
		return nil, err
	}
	f, err := s.firmOf(ctx, d.V.Firm)
	if err != nil {
		return nil, err
	}
	c := &capturing{s: s, f: f, id: d.ID, doc: d.V, progress: func(ctx context.Context, done, total int) error {
		return r.Progress(ctx, int64(done), int64(total), nil)
	}}
	return nil, c.run(ctx)
}

// capturing is one attempt at the capture of a large document.
type capturing struct {
	s        *Service
	f        firm.Firm
	id       string
	doc      captureDoc
	frame    *epcis.Document
	progress func(ctx context.Context, done, total int) error
}

func (c *capturing) run(ctx context.Context) error {
	if c.doc.Decided {
		return c.forward(ctx)
	}
	err := c.read(ctx, func(r io.Reader) (err error) {
		c.frame, c.doc.Total, err = epcis.ReadFrame(r, LargeLimits)
		return err
	})
	switch {
	case refusal(err):
		return c.fail(ctx, refusalsOf("", err))
	case err != nil:
		return err
	case c.doc.Total == 0:
		return c.fail(ctx, []CaptureError{{Status: 422, Pointer: "/epcisBody/eventList", Code: "empty", Detail: "there is no event to capture"}})
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

// refusal says whether an error is the document's fault, and not one of the machine.
func refusal(err error) bool {
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
		batch := make([]item, 0, captureBatch)
		err := c.frame.Each(r, LargeLimits, func(i int, e *epcis.Event, err error) error {
			if i < from {
				return nil
			}
			if batch = append(batch, item{i, e, err}); len(batch) < captureBatch {
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

// check looks at every event and changes nothing. It gives true if the capture has failed.
func (c *capturing) check(ctx context.Context) (failed bool, err error) {
	var bad []CaptureError
	total := 0
	seen := map[string]string{} // IDs in the document, with the hashes of their events
	err = c.batches(ctx, 0, func(batch []item) error {
		_, refused, err := c.s.siftItems(ctx, c.f, batch, seen, c.pointer)
		if err != nil {
			return err
		}
		total += len(refused)
		bad = append(bad, refused[:min(len(refused), maxCaptureErrors-len(bad))]...)
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
	seen := map[string]string{}
	var refused []CaptureError
	err = c.batches(ctx, 0, func(batch []item) error {
		fresh, bad, err := c.s.siftItems(ctx, c.f, batch, seen, c.pointer)
		if refused = append(refused, bad...); err != nil || len(refused) > 0 {
			return errors.Join(err, errRefused)
		}
		known += len(batch) - len(fresh)
		if err := c.claim(ctx, fresh); err != nil {
			return err
		}
		p := planDoc{}
		for _, it := range fresh {
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
		return true, c.fail(ctx, refusalsOf("", err))
	case err != nil:
		return false, err
	}
	return false, c.update(ctx, func(d *captureDoc) {
		d.Decided, d.Plans, d.Total, d.Known = true, plans, c.doc.Total, known
	})
}

var errRefused = errors.New("trace: an event is refused")

func (c *capturing) claim(ctx context.Context, fresh []item) error {
	raws := make([]store.Item[rawDoc], len(fresh))
	for i, it := range fresh {
		raws[i] = rawItem(c.f, it.e)
	}
	return c.s.putRaws(ctx, raws)
}

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
		if err := c.update(ctx, func(d *captureDoc) { d.Written, d.Done = n+1, min(d.Total, (n+1)*captureBatch) }); err != nil {
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
		fresh, refused, err := c.s.siftItems(ctx, c.f, batch, map[string]string{}, c.pointer)
		if err != nil {
			return err
		}
		if err := c.claim(ctx, fresh); err != nil {
			return err
		}
		events := make([]*epcis.Event, len(fresh))
		for i, it := range fresh {
			events[i] = it.e
		}
		if err := c.s.writeEvents(ctx, c.f, "", events, c.doc.Created, c.s.touch); err != nil {
			return err
		}
		from, to := batch[0].at, batch[len(batch)-1].at+1
		err = c.update(ctx, func(d *captureDoc) {
			if d.Done != from {
				return // another process was there before
			}
			d.Done, d.Total = to, c.doc.Total
			d.Stored += len(fresh)
			d.Known += len(batch) - len(fresh) - len(refused)
			d.Failed += len(refused)
			d.Errors = append(d.Errors, refused[:min(len(refused), maxCaptureErrors-len(d.Errors))]...)
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

func (c *capturing) pointer(i int) string {
	if c.frame.Query {
		return fmt.Sprintf("/epcisBody/queryResults/resultsBody/eventList/%d", i)
	}
	return fmt.Sprintf("/epcisBody/eventList/%d", i)
}

// siftItems takes out of a batch what cannot be stored, with its reasons, and what is there already. seen has the IDs of the batches before.
func (s *Service) siftItems(ctx context.Context, f firm.Firm, batch []item, seen map[string]string, pointer func(int) string) (fresh []item, refused []CaptureError, err error) {
	ids := make([]string, 0, len(batch))
	for _, it := range batch {
		if it.err == nil {
			ids = append(ids, storageID(f, it.e))
		}
	}
	raws, err := s.raws.GetMany(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	stored, err := s.storedEvents(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, it := range batch {
		if it.err != nil {
			refused = append(refused, refusalsOf(pointer(it.at), it.err)...)
			continue
		}
		id := storageID(f, it.e)
		raw, known := raws[id]
		hash, twice := seen[id]
		switch {
		case known && (raw.V.Hash != it.e.HashID() || raw.V.Firm != f.ID) || twice && hash != it.e.HashID():
			refused = append(refused, CaptureError{
				Status: 409, Pointer: pointer(it.at) + "/eventID", Code: "event_id_taken", Detail: "the ID stands for another event: " + it.e.ID(),
			})
		case twice || known && stored[id]:
		case !fits(rawItem(f, it.e).V) || !storable(f, it.e):
			refused = append(refused, CaptureError{
				Status: 422, Pointer: pointer(it.at), Code: "event_too_large", Detail: "the event is too large to be stored; split its lists",
			})
		default:
			fresh = append(fresh, it)
		}
		if !twice {
			seen[id] = it.e.HashID()
		}
	}
	return fresh, refused, nil
}
