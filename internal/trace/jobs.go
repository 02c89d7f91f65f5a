package trace

import (
	"context"

	"github.com/haisu-trace/haisu/internal/job"
)

// The kinds of jobs of this package.
const (
	IssueJob = "issue_codes"
	VoidJob  = "void_codes"
)

// IssueOrder is the input of an IssueJob: a planned batch.
type IssueOrder struct {
	Batch string `json:"batch"`
}

// VoidOrder is the input of a VoidJob.
type VoidOrder struct {
	Batch  string `json:"batch"`
	Part   Span   `json:"part"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// IssueResult is what an IssueJob gives.
type IssueResult struct {
	Batch string `json:"batch"`
	Count int64  `json:"count"`
}

// VoidResult is what a VoidJob gives.
type VoidResult struct {
	Batch string `json:"batch"`
	Span
}

// Runners are the runners of this package's jobs, by kind. They work with production, or with the test tenant that the job's owner has.
func Runners(production *Service, tenants *Sandboxes) map[string]job.Runner {
	on := func(work func(*Service, context.Context, *job.Run) (any, error)) job.Runner {
		return func(ctx context.Context, r *job.Run) (any, error) {
			s := production
			if firm := r.Job.Owner.Tenant; firm != "" {
				var err error
				if s, err = tenants.Of(ctx, firm); err != nil {
					return nil, err
				}
			}
			return work(s, ctx, r)
		}
	}
	return map[string]job.Runner{IssueJob: on((*Service).runIssue), VoidJob: on((*Service).runVoid), CaptureJobKind: on((*Service).runCapture)}
}

func (s *Service) runIssue(ctx context.Context, r *job.Run) (any, error) {
	var in IssueOrder
	if err := r.Input(&in); err != nil {
		return nil, err
	}
	from := int64(0)
	if err := r.Cursor(&from); err != nil {
		return nil, err
	}
	b, err := s.batch(ctx, in.Batch)
	if err != nil {
		return nil, err
	}
	b, err = s.FillBatch(ctx, in.Batch, from, every(codesPerStep, b.Count, func(done int64) error { return r.Progress(ctx, done, b.Count, done) }))
	if err != nil {
		return nil, err
	}
	return IssueResult{Batch: b.ID, Count: b.Count}, nil
}

func (s *Service) runVoid(ctx context.Context, r *job.Run) (any, error) {
	var in VoidOrder
	if err := r.Input(&in); err != nil {
		return nil, err
	}
	done := int64(0)
	if err := r.Cursor(&done); err != nil {
		return nil, err
	}
	total := in.Part.Last - in.Part.First + 1
	rest := Span{First: in.Part.First + done, Last: in.Part.Last}
	before := done
	step := every(voidsPerStep, total-before, func(n int64) error { return r.Progress(ctx, before+n, total, before+n) })
	if err := s.VoidBatch(ctx, in.Batch, rest, Voiding{At: r.Job.Created, By: in.By, Reason: in.Reason}, step); err != nil {
		return nil, err
	}
	return VoidResult{Batch: in.Batch, Span: in.Part}, nil
}

// How much is done between two steps of a job, which are written each: some tenths of a second's work.
const (
	codesPerStep = 5000
	voidsPerStep = 1000
)

// every calls step once so much more is done, and at the end.
func every(n, total int64, step func(done int64) error) func(done int64) error {
	last := int64(0)
	return func(done int64) error {
		if done < total && done-last < n {
			return nil
		}
		last = done
		return step(done)
	}
}
