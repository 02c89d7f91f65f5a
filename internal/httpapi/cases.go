package httpapi

import (
	"cmp"
	"context"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/casefile"
	"github.com/haisu-trace/haisu/internal/casefile/deadline"
)

// ListCases is the queue of the officer's authority.
func (s *server) ListCases(ctx context.Context, req ListCasesRequestObject) (ListCasesResponseObject, error) {
	p := req.Params
	views, next, err := s.deps.Services.Cases.Queue(ctx, callFrom(ctx).principal.Authority, string(p.Status), p.Cursor, cmp.Or(p.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListCases200JSONResponse{Items: make([]Complaint, len(views)), Next: next}
	for i := range views {
		listed(&views[i])
		out.Items[i] = views[i]
	}
	return out, nil
}

// GetCase opens a case for an officer of the authority that has it.
func (s *server) GetCase(ctx context.Context, req GetCaseRequestObject) (GetCaseResponseObject, error) {
	has, err := s.deps.Services.Cases.Authority(ctx, req.No)
	if err != nil {
		return nil, unseen(err)
	}
	if has, err = s.acting(ctx, has); err != nil {
		return nil, err
	}
	if err := allow(ctx, access.Target{Authority: has}); err != nil {
		return nil, err
	}
	r, err := s.deps.Services.Cases.Read(ctx, req.No)
	if err != nil {
		return nil, err
	}
	listed(&r.View)
	return GetCase200JSONResponse(r), nil
}

// ExportComplaint gives a filer everything that is kept of a complaint.
func (s *server) ExportComplaint(ctx context.Context, req ExportComplaintRequestObject) (ExportComplaintResponseObject, error) {
	r, err := s.deps.Services.CaseData.Export(ctx, req.Receipt, callFrom(ctx).receipt)
	if err != nil {
		return nil, err
	}
	listed(&r.View)
	return ExportComplaint200JSONResponse(r), nil
}

// EraseComplaint withdraws a complaint and erases what was filed.
func (s *server) EraseComplaint(ctx context.Context, req EraseComplaintRequestObject) (EraseComplaintResponseObject, error) {
	if err := s.deps.Services.CaseData.Erase(ctx, req.Receipt, callFrom(ctx).receipt); err != nil {
		return nil, err
	}
	return EraseComplaint204Response{}, nil
}

// listed makes lists of what has nothing in it.
func listed(v *casefile.View) {
	v.Clocks = append([]deadline.Clock{}, v.Clocks...)
	v.Timeline = append([]casefile.Entry{}, v.Timeline...)
}

// ExportDevice gives a device a page of what is kept of it.
func (s *server) ExportDevice(ctx context.Context, req ExportDeviceRequestObject) (ExportDeviceResponseObject, error) {
	p := req.Params
	e, err := s.deps.Services.DeviceData.Export(ctx, callFrom(ctx).device, p.Cursor, cmp.Or(p.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	for i := range e.Alerts {
		if r := e.Alerts[i].Reasons; len(r) == 0 || string(r) == "null" {
			e.Alerts[i].Reasons = []byte("[]")
		}
	}
	return ExportDevice200JSONResponse(e), nil
}

// EraseDevice erases a device and what is kept of it.
func (s *server) EraseDevice(ctx context.Context, _ EraseDeviceRequestObject) (EraseDeviceResponseObject, error) {
	if err := s.deps.Services.DeviceData.Erase(ctx, callFrom(ctx).device); err != nil {
		return nil, err
	}
	return EraseDevice204Response{}, nil
}
