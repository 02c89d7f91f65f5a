package httpapi

import (
	"context"
	"net/url"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/job"
)

// owner is whose jobs a caller's are: the firm's, in its own tenant, or the authority's.
func owner(k *call) job.Owner {
	if k.principal.Kind == access.KindOperator {
		return job.Authority(k.principal.Authority)
	}
	tenant := ""
	if k.principal.Test {
		tenant = k.principal.Firm
	}
	return job.Firm(k.principal.Firm, tenant)
}

// ListJobs lists the caller's jobs.
func (s *server) ListJobs(ctx context.Context, req ListJobsRequestObject) (ListJobsResponseObject, error) {
	jobs, next, err := s.deps.Services.Jobs.List(ctx, owner(callFrom(ctx)), req.Params.Kind, req.Params.Cursor, req.Params.Limit)
	if err != nil {
		return nil, err
	}
	out := ListJobs200JSONResponse{Items: make([]Job, len(jobs)), Next: next}
	for i := range jobs {
		out.Items[i] = jobBody(&jobs[i])
	}
	return out, nil
}

// GetJob says where one of the caller's jobs stands.
func (s *server) GetJob(ctx context.Context, req GetJobRequestObject) (GetJobResponseObject, error) {
	j, err := s.deps.Services.Jobs.Get(ctx, owner(callFrom(ctx)), req.Job)
	if err != nil {
		return nil, err
	}
	return GetJob200JSONResponse(jobBody(&j)), nil
}

// CancelJob asks for the end of one of the caller's jobs.
func (s *server) CancelJob(ctx context.Context, req CancelJobRequestObject) (CancelJobResponseObject, error) {
	j, err := s.deps.Services.Jobs.Cancel(ctx, owner(callFrom(ctx)), req.Job)
	if err != nil {
		return nil, err
	}
	return CancelJob202JSONResponse(jobBody(&j)), nil
}

// jobBody shows a job, without what only its runner needs.
func jobBody(j *job.Job) Job {
	out := Job{
		Id: j.ID, Kind: j.Kind, State: JobState(j.State), Created: j.Created, Started: j.Started, Finished: j.Finished,
		Done: j.Done, Total: j.Total, Cancelling: j.Cancel && !j.State.Ended(), Result: j.Result,
	}
	if j.Failure != nil {
		out.Failure = JobFailure{Code: j.Failure.Code, Detail: j.Failure.Detail}
	}
	return out
}

// jobPlace is where a job is followed.
func jobPlace(j *job.Job) string { return "/v1/jobs/" + url.PathEscape(j.ID) }
