package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/trace"
)

// keyed is the ID of the import of an idempotency key: the same for the same firm, tenant and key.
func keyed(o Order) string {
	sum := sha256.Sum256([]byte("import\n" + o.Firm + "\n" + o.Tenant + "\n" + o.IdempotencyKey))
	return hex.EncodeToString(sum[:16])
}

// run is the runner of the jobs.
func (s *Service) run(ctx context.Context, r *job.Run) (_ any, err error) {
	var in input
	if err := r.Input(&in); err != nil {
		return nil, err
	}
	at := cursor{}
	if err := r.Cursor(&at); err != nil {
		return nil, err
	}
	f, err := s.deps.Firms.Get(ctx, in.Firm)
	if err != nil {
		return nil, err
	}
	world, err := s.deps.World(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	if !at.Ended { // else only the deleting of the file is left
		file, err := blob.Spool(ctx, s.deps.Blobs, in.File, "")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := s.load(ctx, r, loader{world, f, in.Kind, in.DryRun}, file, in.File.Size, &at); err != nil {
			return nil, err
		}
	}
	// The end is in the cursor, so whoever goes on from here misses nothing. A file that stays is found by Sweep.
	if err := s.deps.Blobs.Delete(ctx, in.File); err != nil {
		return nil, err
	}
	return at.Outcome, nil
}

// load applies a file from the cursor on, and moves it.
func (s *Service) load(ctx context.Context, r *job.Run, l loader, file io.ReaderAt, size int64, at *cursor) error {
	return load(ctx, l, file, size, at, func(problems []Problem, done, total int64) error {
		if err := s.keepProblems(ctx, r.Job.ID, &at.Outcome, problems); err != nil {
			return err
		}
		return r.Progress(ctx, done, total, at)
	})
}

// load applies a file from the row behind the cursor on. After each chunk, and at the end, it calls step with the problems of the chunk
// and how much of the file is done; the cursor is beyond the chunk then. A file that cannot be read to its end is no error: at.Complete says it.
func load(ctx context.Context, l loader, file io.ReaderAt, size int64, at *cursor, step func(problems []Problem, done, total int64) error) (err error) {
	r, problems, err := NewReader(l.kind, file, size)
	if err != nil {
		return err
	}
	if r == nil {
		at.Problems += int64(len(problems))
		at.Ended = true
		return step(problems, size, size)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if at.Row > 0 {
		r.skip(at.Row)
	}
	for {
		rows, ending, err := r.chunk()
		if err != nil {
			return err
		}
		t, problems, err := l.apply(ctx, rows)
		if err != nil {
			return err
		}
		t.Problems += int64(len(ending))
		at.Tally.add(t)
		if n := len(rows); n > 0 {
			at.Row = rows[n-1].Number
		}
		last := len(rows) == 0 || len(ending) > 0
		at.Ended, at.Complete = last, last && len(ending) == 0
		done, total := progress(r)
		if last {
			done = total
		}
		if err := step(append(problems, ending...), done, total); err != nil || last {
			return err
		}
	}
}

// Load applies a file at once, without a job: for commands. each is told of the problems of every chunk, of the tally up to it, and how much of
// the file is done.
func Load(ctx context.Context, world *trace.Service, f firm.Firm, k Kind, dry bool, file io.ReaderAt, size int64, each func(problems []Problem, t Tally, done, total int64)) (Outcome, error) {
	var at cursor
	err := load(ctx, loader{world, f, k, dry}, file, size, &at, func(problems []Problem, done, total int64) error {
		each(problems, at.Tally, done, total)
		return nil
	})
	return at.Outcome, err
}
