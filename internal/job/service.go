package job

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// Runner does a job, from r's cursor on. It is handed a context that ends when the process does, when the job was cancelled, and when
// another process has taken it over, and stops then. What it returns is the job's result, as JSON, or the error that ends it: a fault's code and
// detail go to the owner, any other error becomes "internal" and goes to the log. Unavailable is tried again.
type Runner func(ctx context.Context, r *Run) (result any, err error)

// Deps are what the service works with.
type Deps struct {
	Engine  store.Engine
	Leases  *store.Leases
	Now     clock.Now
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: none are kept
	Workers int                   // jobs that this process runs at once; 0: DefaultWorkers
}

// DefaultWorkers is how many jobs a process runs at once.
const DefaultWorkers = 2

// Service is the queue and its workers. Any number of processes may have one over one store.
type Service struct {
	Deps
	jobs    *store.Collection[Job]
	metrics *metrics
	wake    chan struct{} // something may be done now

	mu      sync.Mutex
	runners map[string]Runner
	started bool
	active  map[string]*Run // by job
	last    store.Key       // the owner who was served last
	watched map[string]bool // leases of others' jobs that are looked at
}

// Open declares the collection, and registers the metrics. A process that only asks for jobs needs no more.
func Open(ctx context.Context, deps Deps) (*Service, error) {
	jobs, err := store.Open(ctx, deps.Engine, def)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	if deps.Workers <= 0 {
		deps.Workers = DefaultWorkers
	}
	return &Service{
		Deps: deps, jobs: jobs, metrics: m, wake: make(chan struct{}, 1),
		runners: map[string]Runner{}, active: map[string]*Run{}, watched: map[string]bool{},
	}, nil
}

// Register names the runner of a kind ([a-z_]+). It panics for a kind that has one already, and after Run began: both are mistakes of the
// program.
func (s *Service) Register(kind string, run Runner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.runners[kind] != nil || run == nil || !kindName(kind) {
		panic("job: the kind " + kind + " cannot be registered now, or twice")
	}
	s.runners[kind] = run
}

func kindName(k string) bool {
	for _, c := range []byte(k) {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return len(k) >= 1 && len(k) <= 40
}

// New is a job to do.
type New struct {
	// ID names the job where it follows from what is to be done, such as "restock/2026-11-30"; "": a random one. 1 to 128 bytes.
	ID    string
	Kind  string
	Owner Owner
	Input any // becomes JSON, of MaxInput bytes at most; a json.RawMessage is taken as it is
	// IdempotencyKey is the client's word for this request; the same word of the same owner for the same kind is the same job. Not with ID.
	IdempotencyKey string
}

// Enqueue stores a job, which then will be done. The same ID, or idempotency key, gives the job that exists, as it is now.
// fault Conflict: idempotency_key_reused, where the key came with another input; job_exists, where the ID is another owner's or kind's job.
// fault Invalid: job_too_large.
func (s *Service) Enqueue(ctx context.Context, n New) (Job, error) {
	if !kindName(n.Kind) || n.Owner.ID == "" || len(n.ID) > 128 || n.ID != "" && n.IdempotencyKey != "" {
		return Job{}, fmt.Errorf("job: %q of kind %q for %q cannot be", n.ID, n.Kind, n.Owner.ID)
	}
	input, err := encode(n.Input)
	if err != nil {
		return Job{}, fmt.Errorf("job: input: %w", err)
	}
	if len(input) > MaxInput {
		return Job{}, fault.New(fault.Invalid, "job_too_large", "the job is described by %d bytes; at most %d are accepted", len(input), MaxInput)
	}
	now := s.now()
	j := Job{ID: n.ID, Kind: n.Kind, Owner: n.Owner, State: Queued, Created: now, Due: now, Input: input}
	switch {
	case n.IdempotencyKey != "":
		j.ID = keyID(n)
	case n.ID == "":
		j.ID = clock.Token(16)
	}
	err = s.jobs.Insert(ctx, j.ID, j)
	if errors.Is(err, store.ErrExists) {
		return s.existing(ctx, &j, n.IdempotencyKey != "")
	}
	if err != nil {
		return Job{}, err
	}
	s.nudge()
	return j, nil
}

// Room is nil while fewer than most of an owner's jobs of a kind wait to be run. It is for whoever keeps a large input before it asks for the job, so
// that nobody fills the disk; requests of one moment may pass together. fault TooMany (jobs_waiting).
func (s *Service) Room(ctx context.Context, o Owner, kind string, most int) error {
	key := ownerKey(o)
	n, err := s.jobs.Count(ctx, store.Query{Index: byQueue, Eq: store.K(kind), From: key, To: key.After()}, most)
	if err != nil || n < most {
		return err
	}
	return &fault.Error{
		Kind: fault.TooMany, Code: "jobs_waiting", Detail: fmt.Sprintf("%d jobs of this kind wait already; send more when some of them are done", most), Retry: roomRetry,
	}
}

const roomRetry = 30 * time.Second

func (s *Service) existing(ctx context.Context, j *Job, byKey bool) (Job, error) {
	d, err := s.jobs.Get(ctx, j.ID)
	switch {
	case err != nil:
		return Job{}, err
	case d.V.Owner != j.Owner || d.V.Kind != j.Kind:
		return Job{}, fault.New(fault.Conflict, "job_exists", "there is another job of this name")
	case byKey && !bytes.Equal(d.V.Input, j.Input):
		return Job{}, fault.New(fault.Conflict, "idempotency_key_reused", "this idempotency key came with another request before")
	}
	s.nudge() // its first Enqueue may have been another process's
	return d.V, nil
}

// keyID is the ID of the job that a client's key means.
func keyID(n New) string {
	h := sha256.Sum256(store.K(n.Owner.ID, n.Owner.Tenant, n.Kind, n.IdempotencyKey))
	return "k" + clock.Encode(h[:20])
}

// encode gives the compact JSON of v, so that the store's copy of it is the same byte for byte; nil gives none.
func encode(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}

// Get gives a job. fault NotFound (job_not_found): there is none, or it is another's.
func (s *Service) Get(ctx context.Context, o Owner, id string) (Job, error) {
	if id == "" || len(id) > 128 {
		return Job{}, notFound()
	}
	d, err := s.jobs.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && d.V.Owner != o {
		return Job{}, notFound()
	}
	return d.V, err
}

func notFound() error {
	return fault.New(fault.NotFound, "job_not_found", "there is no such job; one that ended is kept for %d days", Keep/(24*time.Hour))
}

// List gives a page of an owner's jobs, the newest first; kind "" is all kinds. store.ErrBadCursor.
func (s *Service) List(ctx context.Context, o Owner, kind, cursor string, limit int) ([]Job, string, error) {
	eq := store.K(o.ID, o.Tenant)
	if kind != "" {
		eq = store.K(o.ID, o.Tenant, kind)
	}
	p, err := s.jobs.Find(ctx, store.Query{Index: byOwner, Eq: eq, Desc: true, Cursor: cursor, Limit: min(limit, 100)})
	if err != nil {
		return nil, "", err
	}
	out := make([]Job, len(p.Items))
	for i := range p.Items {
		out[i] = p.Items[i].V
	}
	return out, p.Next, nil
}

// Cancel ends a job that waits, at once, and one that runs, at its next step, which takes some seconds at most if it runs in another
// process. It gives the job as it is now. Cancelling twice is no error. fault NotFound; Conflict (job_ended): it has succeeded or failed.
func (s *Service) Cancel(ctx context.Context, o Owner, id string) (Job, error) {
	if _, err := s.Get(ctx, o, id); err != nil {
		return Job{}, err
	}
	now := s.now()
	d, err := s.jobs.Update(ctx, id, func(j *Job) error {
		switch j.State {
		case Queued:
			j.Cancel = true
			j.end(Cancelled, now)
		case Running:
			j.Cancel = true
		case Cancelled:
			return errNothingToDo
		case Success, Failed:
			return fault.New(fault.Conflict, "job_ended", "the job has ended with %s", j.State)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errNothingToDo) {
		return Job{}, err
	}
	s.mu.Lock()
	if r := s.active[id]; r != nil {
		r.stop(ErrCancelled)
	}
	s.mu.Unlock()
	return d.V, nil
}

var errNothingToDo = errors.New("job: nothing to do")

// Sweep deletes jobs that ended Keep ago, up to limit.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) { return s.jobs.Sweep(ctx, limit) }

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
