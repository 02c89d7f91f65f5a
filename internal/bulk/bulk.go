// Package bulk takes in sellers' spreadsheets: products, lots, codes of the official duty-free label, and trace events, as CSV or XLSX.
//
// Rows go where the API's requests go, through the same calls of internal/trace and with the rights of the firm; there is no second way. A row
// with something wrong is refused and named by row and column, and the others are taken. A file may be imported again and again: what is there
// already, word for word, is counted and not written. A dry run says what would happen, and writes nothing.
//
// An import is a job (internal/job) over a file that is kept until the job ends (internal/blob). It does 500 rows at a step and stores
// its place after each; a process that is killed anywhere leaves it to another, which does at most one step again. What was new in such a
// step counts as unchanged then.
package bulk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
)

const (
	// JobKind is the kind of the jobs.
	JobKind = "import_sheet"
	// Purpose is that of the files.
	Purpose = "imports"
	// MaxProblems is how many problems of one import are kept; all are counted.
	MaxProblems = 10_000
	// MaxWaiting is how many imports of a firm, in production or in its test tenant, may wait to be run: their files are kept until then.
	MaxWaiting = 20
	// problemsPerDoc bounds the size of a stored document.
	problemsPerDoc = 100
)

// Deps are what the service works with. All are mandatory.
type Deps struct {
	Engine store.Engine
	Blobs  blob.Store
	Jobs   *job.Service
	Firms  *firm.Service
	// World gives the goods that a firm's rows are put into: tenant is "" for production, else the firm whose test tenant it is.
	World func(ctx context.Context, tenant string) (*trace.Service, error)
	Now   clock.Now
	Token func() string // IDs of imports; at least 80 random bits, of a-z and 0-9
}

// Service takes spreadsheets in.
type Service struct {
	deps     Deps
	files    *store.Collection[fileDoc]
	problems *store.Collection[problemsDoc]
	blobs    *blob.Sweeper
}

// fileDoc says whose a file is, so that one that was left behind is known for it. Its ID is the import's.
type fileDoc struct {
	Owner   job.Owner `json:"owner"`
	Expires time.Time `json:"expires"`
}

// problemsDoc is a part of the problems of an import. Its ID is the import's and its number, so that a step that is done again writes it again.
type problemsDoc struct {
	Problems []Problem `json:"problems"`
	Expires  time.Time `json:"expires"`
}

// keep is how long after its beginning traces of an import are kept: longer than its job.
const keep = 60 * 24 * time.Hour

// Open declares the collections and registers the runner of the jobs.
func Open(ctx context.Context, d Deps) (*Service, error) {
	s := &Service{deps: d}
	var err error
	s.files, err = store.Open(ctx, d.Engine, store.Def[fileDoc]{Name: "import_files", Expires: func(v *fileDoc) time.Time { return v.Expires }})
	if err != nil {
		return nil, err
	}
	s.problems, err = store.Open(ctx, d.Engine, store.Def[problemsDoc]{Name: "import_problems", Expires: func(v *problemsDoc) time.Time { return v.Expires }})
	if err != nil {
		return nil, err
	}
	s.blobs = &blob.Sweeper{Store: d.Blobs, Purpose: Purpose, Now: d.Now, Known: s.needs}
	d.Jobs.Register(JobKind, s.run)
	return s, nil
}

// Order asks for an import.
type Order struct {
	Firm   string
	Tenant string // "" production, else the firm's ID: its test tenant
	Kind   Kind
	DryRun bool
	// IdempotencyKey makes a repeated request the same import; "": every request is one of its own.
	IdempotencyKey string
}

func (o *Order) owner() job.Owner { return job.Firm(o.Firm, o.Tenant) }

// input is a job's.
type input struct {
	Firm   string   `json:"firm"`
	Tenant string   `json:"tenant,omitempty"`
	Kind   Kind     `json:"kind"`
	DryRun bool     `json:"dry_run,omitempty"`
	File   blob.Ref `json:"file"`
}

// Import is an import as its firm sees it.
type Import struct {
	Job    job.Job
	Kind   Kind
	DryRun bool
	Outcome
}

// Outcome is what came of an import, or has come of it so far.
type Outcome struct {
	Tally
	// Complete says that the file was read to its end. What stopped it is among the problems.
	Complete bool `json:"complete"`
	Kept     int  `json:"kept"` // problems that can be read
	Docs     int  `json:"docs"` // in which they are
}

// cursor is a job's place: the last row that is done, and what came of the rows up to it.
type cursor struct {
	Row   int  `json:"row"`
	Ended bool `json:"ended"` // nothing of the file is left to do
	Outcome
}

// Begin keeps the file and asks for its import. TooLarge (file_too_large), Unavailable; TooMany (jobs_waiting); Conflict (idempotency_key_reused) when the key was used
// for another file or kind; whatever file gives.
func (s *Service) Begin(ctx context.Context, o Order, file io.Reader) (Import, error) {
	if !o.Kind.Valid() {
		return Import{}, fault.InvalidFields(fault.Field{Pointer: "/kind", Code: "not_allowed", Detail: "products, lots, codes or events"})
	}
	if err := s.deps.Jobs.Room(ctx, o.owner(), JobKind, MaxWaiting); err != nil {
		return Import{}, err
	}
	id := s.deps.Token()
	if o.IdempotencyKey != "" {
		id = keyed(o)
	}
	// A name of its own for each attempt: an import that ends meanwhile, or the sweep, deletes no file of another attempt.
	ref, err := s.deps.Blobs.Put(ctx, blob.Space{Purpose: Purpose, Record: id + "-" + s.deps.Token()}, file, MaxBytes)
	if err != nil {
		return Import{}, err
	}
	// Stored before the job and after the file: the sweep deletes what has no open job.
	_, err = s.files.Upsert(ctx, id, func(v *fileDoc) error {
		*v = fileDoc{Owner: o.owner(), Expires: s.deps.Now().Add(keep)}
		return nil
	})
	if err != nil {
		return Import{}, err
	}
	in := input{Firm: o.Firm, Tenant: o.Tenant, Kind: o.Kind, DryRun: o.DryRun, File: ref}
	j, err := s.deps.Jobs.Enqueue(ctx, job.New{ID: id, Kind: JobKind, Owner: o.owner(), Input: in})
	if err != nil {
		return Import{}, err
	}
	i, known, err := seen(j)
	if err != nil || known.File == ref {
		return i, err
	}
	if err := s.deps.Blobs.Delete(ctx, ref); err != nil { // the import is of an earlier attempt
		return i, err
	}
	if in.File.Record = known.File.Record; known != in {
		err = fault.New(fault.Conflict, "idempotency_key_reused", "the Idempotency-Key was used for another import")
	}
	return i, err
}

// importOf is the import of a file, whichever attempt put it.
func importOf(ref blob.Ref) string {
	id, _, _ := strings.Cut(ref.Record, "-")
	return id
}

// Get gives an import of the owner. NotFound (import_not_found).
func (s *Service) Get(ctx context.Context, o job.Owner, id string) (Import, error) {
	j, err := s.deps.Jobs.Get(ctx, o, id)
	if fault.KindOf(err) == fault.NotFound || err == nil && j.Kind != JobKind {
		return Import{}, fault.New(fault.NotFound, "import_not_found", "there is no such import")
	}
	if err != nil {
		return Import{}, err
	}
	i, _, err := seen(j)
	return i, err
}

// seen reads a job as an import.
func seen(j job.Job) (Import, input, error) {
	var in input
	var c cursor
	i := Import{Job: j}
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return i, in, fmt.Errorf("import %s: %w", j.ID, err)
	}
	i.Kind, i.DryRun = in.Kind, in.DryRun
	if len(j.Cursor) > 0 {
		if err := json.Unmarshal(j.Cursor, &c); err != nil {
			return i, in, fmt.Errorf("import %s: %w", j.ID, err)
		}
		i.Outcome = c.Outcome
	}
	if len(j.Result) > 0 {
		if err := json.Unmarshal(j.Result, &i.Outcome); err != nil {
			return i, in, fmt.Errorf("import %s: %w", j.ID, err)
		}
	}
	return i, in, nil
}

// Problems gives a page of an import's problems in the order of its rows, limit 1 to 1,000 of them. NotFound, Malformed (bad_cursor).
func (s *Service) Problems(ctx context.Context, o job.Owner, id, from string, limit int) (i Import, page []Problem, next string, err error) {
	if i, err = s.Get(ctx, o, id); err != nil {
		return i, nil, "", err
	}
	doc, skip := 0, 0
	if from != "" {
		a, b, ok := strings.Cut(from, "-")
		x, err1 := strconv.Atoi(a)
		y, err2 := strconv.Atoi(b)
		if !ok || err1 != nil || err2 != nil || x < 0 || y < 0 || y >= problemsPerDoc {
			return i, nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave")
		}
		doc, skip = x, y
	}
	for ; doc < i.Docs; doc, skip = doc+1, 0 {
		d, err := s.problems.Get(ctx, docID(id, doc))
		if err != nil {
			return i, nil, "", fmt.Errorf("problems %d of import %s: %w", doc, id, err)
		}
		for ; skip < len(d.V.Problems); skip++ {
			if len(page) == limit {
				return i, page, fmt.Sprintf("%d-%d", doc, skip), nil
			}
			page = append(page, d.V.Problems[skip])
		}
	}
	return i, page, "", nil
}

func docID(id string, n int) string { return fmt.Sprintf("%s/%06d", id, n) }

// keepProblems stores problems behind those that are kept, up to MaxProblems.
func (s *Service) keepProblems(ctx context.Context, id string, o *Outcome, problems []Problem) error {
	problems = problems[:min(len(problems), MaxProblems-o.Kept)]
	for len(problems) > 0 {
		part := problems[:min(len(problems), problemsPerDoc)]
		_, err := s.problems.Upsert(ctx, docID(id, o.Docs), func(v *problemsDoc) error {
			*v = problemsDoc{Problems: part, Expires: s.deps.Now().Add(keep)}
			return nil
		})
		if err != nil {
			return err
		}
		problems = problems[len(part):]
		o.Docs++
		o.Kept += len(part)
	}
	return nil
}

// Sweep deletes up to limit documents that have expired, and files that no open import needs, a page of them a call.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	files, err := s.files.Sweep(ctx, limit)
	problems, err2 := s.problems.Sweep(ctx, limit)
	blobs, err3 := s.blobs.Sweep(ctx, limit)
	return files + problems + blobs, errors.Join(err, err2, err3)
}

// needs says whether an open import needs a file, which is that of this very attempt.
func (s *Service) needs(ctx context.Context, ref blob.Ref) (bool, error) {
	id := importOf(ref)
	d, err := s.files.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	j, err := s.deps.Jobs.Get(ctx, d.V.Owner, id)
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	if err != nil || j.State.Ended() {
		return false, err
	}
	_, in, err := seen(j)
	return in.File == ref, err
}

// total is never 0 for a file that was opened.
func progress(r *Reader) (done, total int64) {
	done, total = r.table.Progress()
	return done, cmp.Or(total, 1)
}
