// Package job runs work that takes longer than a request may: imports, exports, printing labels. A job is a document, so it survives every
// process, is seen by its owner while it runs, and is carried on where it stood by whoever is alive.
//
// # Using it
//
// A kind of job has one Runner, registered before Run:
//
//	jobs.Register("labels", func(ctx context.Context, r *job.Run) (any, error) {
//		var in order
//		if err := r.Input(&in); err != nil {
//			return nil, err
//		}
//		at := 0
//		if err := r.Cursor(&at); err != nil { // stays 0 the first time
//			return nil, err
//		}
//		for at < in.Count {
//			n, err := print(ctx, in, at) // doing this part twice must do no harm
//			if err != nil {
//				return nil, err
//			}
//			at += n
//			if err := r.Progress(ctx, int64(at), int64(in.Count), at); err != nil {
//				return nil, err // cancelled, taken over, or to be put back: always hand it on
//			}
//		}
//		return summary{Printed: at}, nil
//	})
//
// and is asked for by
//
//	j, err := jobs.Enqueue(ctx, job.New{Kind: "labels", Owner: job.Firm(firmID, tenant), Input: in, IdempotencyKey: key})
//
// # Guarantees
//
//   - A job that Enqueue acknowledged is run to an end: success, failed or cancelled. It is run by one process at a time, as far as the fence
//     can tell: a process that was taken for dead may do up to one step (the work between two calls of Progress) more.
//   - After a crash, a pause or a deployment the job goes on from the last Progress that returned nil. So a step may be done twice, and must be
//     idempotent: write documents whose IDs follow from the job's ID and the place.
//   - Owners take turns. While others wait, a job that has run for a Slice is put back behind them at its next Progress, with its cursor.
//   - A job whose process dies is tried again, MaxCrashes times at most; one that fails with fault Unavailable, MaxTries times since its last progress,
//     after pauses from 1 s to 5 min. Any other error ends it. A panic ends it, and not the process.
//   - Nobody sees another owner's job, nor a firm the jobs of its test tenant among those of production.
//
// Personal data must not stand in Input, Cursor or Result: put it where internal/privacy keeps it, and name the place.
package job

import (
	"encoding/json"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// State is where a job stands.
type State string

// The states. A job in one of the last three has ended and never changes again.
const (
	Queued    State = "queued"
	Running   State = "running"
	Success   State = "success"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Ended says whether the state is a last one.
func (s State) Ended() bool { return s == Success || s == Failed || s == Cancelled }

// The bounds of a job.
const (
	MaxInput  = 256 << 10 // bytes of JSON
	MaxCursor = 64 << 10
	MaxResult = 256 << 10

	MaxCrashes = 5 // deaths of its process, over the whole job
	MaxTries   = 10
	// Keep is how long a job can be read after its end.
	Keep = 30 * 24 * time.Hour
	// Slice is how long a job runs on while another owner waits.
	Slice = 30 * time.Second
)

// Owner is whom a job belongs to. It may be compared.
type Owner struct {
	ID     string `json:"id"`               // of Firm or Authority
	Tenant string `json:"tenant,omitempty"` // "" production, else the firm's test tenant
}

// Firm is a firm as an owner; tenant is "" in production.
func Firm(id, tenant string) Owner { return Owner{"firm/" + id, tenant} }

// Authority is an authority as an owner.
func Authority(id string) Owner { return Owner{ID: "authority/" + id} }

// Failure says why a job failed, to its owner.
type Failure struct {
	Code   string `json:"code"` // stable
	Detail string `json:"detail"`
}

// The codes of failures that no fault of a runner names.
const (
	CodeInternal       = "internal"         // the log says more
	CodeCrashed        = "job_crashed"      // its process died MaxCrashes times, or could not store its end
	CodeResultTooLarge = "result_too_large" // over MaxResult
)

// Job is one job.
type Job struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Owner    Owner           `json:"owner"`
	State    State           `json:"state"`
	Created  time.Time       `json:"created"`
	Started  time.Time       `json:"started,omitzero"`  // the first time
	Finished time.Time       `json:"finished,omitzero"` // when it ended
	Done     int64           `json:"done"`
	Total    int64           `json:"total"` // 0: not known
	Input    json.RawMessage `json:"input,omitempty"`
	Cursor   json.RawMessage `json:"cursor,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Failure  *Failure        `json:"failure,omitempty"` // of a failed job
	Cancel   bool            `json:"cancel,omitempty"`  // somebody asked for its end; it will be cancelled at its next step
	Attempts int             `json:"attempts"`          // how often it was begun or gone on with
	Expires  time.Time       `json:"expires,omitzero"`  // when it is forgotten

	Fence   int64     `json:"fence"`             // of the lease under which it was written last
	Crashes int       `json:"crashes,omitempty"` // how often its process died
	Tries   int       `json:"tries,omitempty"`   // how often something was unavailable since its last progress
	Due     time.Time `json:"due"`               // when it may be run, while it is queued
}

// The indexes. Open jobs are looked for by kind, since a process takes only kinds that it knows.
const (
	byOwner   = "owner"
	byQueue   = "queue"
	byRunning = "running"
)

var def = store.Def[Job]{
	Name: "jobs",
	Indexes: []store.Index[Job]{
		{Name: byOwner, Version: "1", Keys: func(_ string, j *Job) ([]store.Key, store.Key) {
			return []store.Key{store.K(j.Owner.ID, j.Owner.Tenant), store.K(j.Owner.ID, j.Owner.Tenant, j.Kind)}, store.K(j.Created)
		}},
		{Name: byQueue, Version: "1", Keys: func(_ string, j *Job) ([]store.Key, store.Key) {
			if j.State != Queued {
				return nil, nil
			}
			return []store.Key{store.K(j.Kind)}, store.K(j.Owner.ID, j.Owner.Tenant, j.Due, j.Created)
		}},
		{Name: byRunning, Version: "1", Keys: func(_ string, j *Job) ([]store.Key, store.Key) {
			if j.State != Running {
				return nil, nil
			}
			return []store.Key{store.K(j.Kind)}, store.K(j.Created)
		}},
	},
	Expires: func(j *Job) time.Time { return j.Expires },
}

// end brings a job to its end.
func (j *Job) end(s State, now time.Time) {
	j.State, j.Finished, j.Expires = s, now, now.Add(Keep)
}

// fail brings a job to its end with a failure.
func (j *Job) fail(code, detail string, now time.Time) {
	j.Failure = &Failure{code, detail}
	j.end(Failed, now)
}
