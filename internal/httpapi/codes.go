package httpapi

import (
	"context"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/qr"
	"github.com/haisu-trace/haisu/internal/trace"
)

// IssueCodes issues serials for a lot of the seller's firm.
func (s *server) IssueCodes(ctx context.Context, req IssueCodesRequestObject) (IssueCodesResponseObject, error) {
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	k := callFrom(ctx)
	if req.Body.Count > trace.MaxCodes {
		return s.issueByJob(ctx, f, g, req)
	}
	units, err := s.tenant(k).Codes.IssueCodes(ctx, f, g, req.Lot, req.Body.Count, req.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	out := IssueCodes201JSONResponse{Gtin: g.String(), Lot: req.Lot, Batch: units[0].Batch, Items: make([]IssuedCode, len(units))}
	for i, u := range units {
		symbol := s.link("/v1/codes/%s/%s", u.GTIN, url.PathEscape(u.Serial))
		out.Items[i] = IssuedCode{Serial: u.Serial, Link: u.Ref().Link(s.deps.PublicURL), Png: symbol + ".png", Svg: symbol + ".svg"}
	}
	return out, nil
}

// issueByJob plans a batch and has a job fill it. The job's ID follows from the batch's, so whatever is cut off here is completed by the repetition.
func (s *server) issueByJob(ctx context.Context, f firm.Firm, g gs1.GTIN, req IssueCodesRequestObject) (IssueCodesResponseObject, error) {
	k := callFrom(ctx)
	b, err := s.tenant(k).Codes.PlanBatch(ctx, f, g, req.Lot, int64(req.Body.Count), req.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	j, err := s.deps.Services.Jobs.Enqueue(ctx, job.New{ID: "issue." + b.ID, Kind: trace.IssueJob, Owner: owner(k), Input: trace.IssueOrder{Batch: b.ID}})
	if err != nil {
		return nil, err
	}
	return IssueCodes202JSONResponse{Body: jobBody(&j), Headers: IssueCodes202ResponseHeaders{Location: jobPlace(&j)}}, nil
}

// PutForeignCodes ties codes of other schemes to a lot of the seller's firm.
func (s *server) PutForeignCodes(ctx context.Context, req PutForeignCodesRequestObject) (PutForeignCodesResponseObject, error) {
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	codes := make([]trace.ForeignCode, len(req.Body.Codes))
	for i, in := range req.Body.Codes {
		codes[i] = trace.ForeignCode{Scheme: in.Scheme, Code: in.Code, Serial: in.Serial}
	}
	added, err := s.tenant(callFrom(ctx)).Codes.PutForeignCodes(ctx, f, g, req.Lot, codes)
	if err != nil {
		return nil, err
	}
	return PutForeignCodes200JSONResponse{Added: added}, nil
}

// defaultSymbol is the default of the parameter size in the contract, in pixels.
const defaultSymbol = 512

func (s *server) codePNG(c *fiber.Ctx) error {
	return s.symbol(c, "image/png", func(text string) ([]byte, error) { return qr.PNG(text, c.QueryInt("size", defaultSymbol)) })
}

func (s *server) codeSVG(c *fiber.Ctx) error { return s.symbol(c, "image/svg+xml", qr.SVG) }

// symbol draws the code of an issued unit. Its text is the unit's Digital Link on the public address.
func (s *server) symbol(c *fiber.Ctx, media string, draw func(text string) ([]byte, error)) error {
	g, err := gs1.ParseGTINLenient(c.Params("gtin"))
	if err != nil {
		return err
	}
	serial, err := url.PathUnescape(c.Params("serial"))
	if err != nil {
		return err
	}
	u, err := s.tenant(callOf(c)).Codes.Unit(c.UserContext(), g, serial)
	if err != nil {
		return err
	}
	b, err := draw(u.Ref().Link(s.deps.PublicURL))
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, media)
	return c.Send(b)
}
