package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/clock"
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
	// A name of its own for each attempt: a capture that ends meanwhile, or the sweep, deletes no document of another attempt.
	space := blob.Space{Purpose: blobPurpose, Record: owner + "-" + clock.Token(tokenSize)}
	ref, err := s.deps.Blobs.Put(ctx, space, r, int64(LargeLimits.Bytes))
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
	}
	if err == nil && (doc.State != captureRunning || doc.Source == nil || *doc.Source != ref) { // it runs, or has run, from another attempt's
		err = s.deps.Blobs.Delete(ctx, ref)
	}
	return doc.job(id), err
}

// captureOf is the capture of a document, whichever attempt put it.
func captureOf(ref blob.Ref) string {
	owner, _, _ := strings.Cut(ref.Record, "-")
	return hashOf(owner, ref.Hash)
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
	return nil, c.carry(ctx)
}
