package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/trace"
)

// ListBatches lists the batches of codes of the seller's firm.
func (s *server) ListBatches(ctx context.Context, req ListBatchesRequestObject) (ListBatchesResponseObject, error) {
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	batches, next, err := s.tenant(callFrom(ctx)).Codes.Batches(ctx, f, req.Params.Cursor, req.Params.Limit)
	if err != nil {
		return nil, err
	}
	out := ListBatches200JSONResponse{Items: make([]Batch, len(batches)), Next: next}
	for i := range batches {
		out.Items[i] = batchBody(&batches[i])
	}
	return out, nil
}

// GetBatch reads a batch of codes of the seller's firm.
func (s *server) GetBatch(ctx context.Context, req GetBatchRequestObject) (GetBatchResponseObject, error) {
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.tenant(callFrom(ctx)).Codes.Batch(ctx, f, req.Batch)
	if err != nil {
		return nil, err
	}
	return GetBatch200JSONResponse(batchBody(&b)), nil
}

func batchBody(b *trace.Batch) Batch {
	out := Batch{
		Id: b.ID, Gtin: b.GTIN.String(), Lot: b.Lot, Count: int(b.Count), Complete: b.Complete, Created: b.Created,
		Prints: int(b.Prints), Printed: make([]PositionSpan, len(b.Printed)),
	}
	for i, p := range b.Printed {
		out.Printed[i] = spanBody(p)
	}
	return out
}

func spanBody(s trace.Span) PositionSpan { return PositionSpan{First: int(s.First), Last: int(s.Last)} }

// ListPrints lists who had which labels of a batch.
func (s *server) ListPrints(ctx context.Context, req ListPrintsRequestObject) (ListPrintsResponseObject, error) {
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	prints, next, err := s.tenant(callFrom(ctx)).Codes.PrintsOf(ctx, f, req.Batch, req.Params.Cursor, req.Params.Limit)
	if err != nil {
		return nil, err
	}
	out := ListPrints200JSONResponse{Items: make([]Print, len(prints)), Next: next}
	for i, p := range prints {
		out.Items[i] = Print{At: p.At, By: p.By, Format: PrintFormat(p.Format), Positions: spanBody(p.Span), Again: p.Again, Reason: p.Reason}
	}
	return out, nil
}

// VoidBatch has a job withdraw codes of a batch.
func (s *server) VoidBatch(ctx context.Context, req VoidBatchRequestObject) (VoidBatchResponseObject, error) {
	k := callFrom(ctx)
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	b, part, err := s.tenant(k).Codes.Part(ctx, f, req.Batch, int64(max(req.Body.From, 1)), int64(req.Body.Count))
	if err != nil {
		return nil, err
	}
	j, err := s.deps.Services.Jobs.Enqueue(ctx, job.New{
		Kind: trace.VoidJob, Owner: owner(k), IdempotencyKey: req.Params.IdempotencyKey,
		Input: trace.VoidOrder{Batch: b.ID, Part: part, By: actorOf(&k.principal), Reason: req.Body.Reason},
	})
	if err != nil {
		return nil, err
	}
	changed(ctx, "code/"+b.ID, nil, jobBody(&j))
	return VoidBatch202JSONResponse{Body: jobBody(&j), Headers: VoidBatch202ResponseHeaders{Location: jobPlace(&j)}}, nil
}

// VoidCode withdraws the code of a unit.
func (s *server) VoidCode(ctx context.Context, req VoidCodeRequestObject) (VoidCodeResponseObject, error) {
	k := callFrom(ctx)
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	before, u, err := s.tenant(k).Codes.VoidUnit(ctx, f, g, req.Serial, trace.Voiding{At: s.deps.Now(), By: actorOf(&k.principal), Reason: req.Body.Reason})
	if err != nil {
		return nil, err
	}
	changed(ctx, "code/"+g.String()+"/"+u.Serial, before, u)
	return VoidCode200JSONResponse(codeBody(&u, u.State)), nil
}

// GetCodeState says where the code of a unit of the firm stands.
func (s *server) GetCodeState(ctx context.Context, req GetCodeStateRequestObject) (GetCodeStateResponseObject, error) {
	codes := s.tenant(callFrom(ctx)).Codes
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	u, err := codes.Unit(ctx, g, req.Serial)
	if err != nil {
		return nil, err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	if u.Firm != f.ID {
		return nil, trace.ErrNoUnit(g, req.Serial)
	}
	state, err := codes.StateOf(ctx, u)
	if err != nil {
		return nil, err
	}
	return GetCodeState200JSONResponse(codeBody(&u, state)), nil
}

func codeBody(u *trace.Unit, state trace.UnitState) CodeState {
	out := CodeState{Gtin: u.GTIN.String(), Serial: u.Serial, Lot: u.Lot, Batch: u.Batch, State: CodeStateState(state), Issued: u.Issued}
	if u.Voided != nil {
		out.Voided = CodeVoiding{At: u.Voided.At, By: u.Voided.By, Reason: u.Voided.Reason}
	}
	return out
}
