package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
)

// FileComplaint files a complaint.
func (s *server) FileComplaint(ctx context.Context, req FileComplaintRequestObject) (FileComplaintResponseObject, error) {
	r, err := s.deps.Services.Complaints.File(ctx, *req.Body, req.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	r.Clocks = append([]deadline.Clock{}, r.Clocks...) // a list, if only an empty one
	return FileComplaint201JSONResponse{Body: r, Headers: FileComplaint201ResponseHeaders{Location: "/v1/complaints/" + r.No}}, nil
}

// GetComplaint tells a filer what became of a complaint.
func (s *server) GetComplaint(ctx context.Context, req GetComplaintRequestObject) (GetComplaintResponseObject, error) {
	v, err := s.deps.Services.Complaints.Status(ctx, req.Receipt, callFrom(ctx).receipt)
	if err != nil {
		return nil, err
	}
	v.Clocks = append([]deadline.Clock{}, v.Clocks...)
	return GetComplaint200JSONResponse(v), nil
}
