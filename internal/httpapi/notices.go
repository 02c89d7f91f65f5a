package httpapi

import (
	"cmp"
	"context"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// ListNotices lists notices from abroad: of a product, found by words, or the newest.
func (s *server) ListNotices(ctx context.Context, req ListNoticesRequestObject) (ListNoticesResponseObject, error) {
	p := req.Params
	var notices []notice.Notice
	var next string
	var err error
	switch {
	case p.Gtin != "":
		var g gs1.GTIN
		if g, err = gs1.ParseGTINLenient(p.Gtin); err != nil {
			return nil, err
		}
		notices, err = s.deps.Services.Notices.Notices(ctx, g)
	case strings.TrimSpace(p.Q) != "":
		notices, next, err = s.searchNotices(ctx, p)
	default:
		notices, next, err = s.deps.Services.Notices.List(ctx, cmp.Or(string(p.Source), notice.SafetyGate), p.Cursor, p.Limit)
	}
	if err != nil {
		return nil, err
	}
	out := ListNotices200JSONResponse{Items: make([]Notice, len(notices)), Next: next}
	for i, n := range notices {
		out.Items[i] = Notice{
			Id: n.ID, Source: NoticeSource(n.Source), Number: n.Number, Title: n.Title, Product: n.Product, Brand: n.Brand,
			Category: n.Category, Risk: n.Risk, Country: n.Country, Gtins: append([]Gtin{}, n.GTINs...), BadBarcodes: n.BadBarcodes,
			Batches: n.Batches, Imported: n.Imported,
		}
	}
	return out, nil
}

func (s *server) searchNotices(ctx context.Context, p ListNoticesParams) ([]notice.Notice, string, error) {
	ids, next, err := s.deps.Services.Finder.FindNotices(ctx, p.Q, p.Cursor, p.Limit)
	if err != nil {
		return nil, "", err
	}
	found, err := s.deps.Services.Notices.GetMany(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	out := make([]notice.Notice, 0, len(ids))
	for _, id := range ids {
		if n, ok := found[id]; ok {
			out = append(out, n)
		}
	}
	return out, next, nil
}
