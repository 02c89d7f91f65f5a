package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/trace"
)

// PutProduct writes the record of the seller's firm.
func (s *server) PutProduct(ctx context.Context, req PutProductRequestObject) (PutProductResponseObject, error) {
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	in := req.Body
	p, created, err := s.tenant(callFrom(ctx)).Catalogue.PutProduct(ctx, f, trace.Product{
		GTIN: g, Name: in.Name, Brand: in.Brand, Category: string(in.Category), Origin: in.Origin, Net: in.Net,
		Description: in.Description, LotHint: in.LotHint,
	})
	if err != nil {
		return nil, err
	}
	if created {
		return PutProduct201JSONResponse(p), nil
	}
	return PutProduct200JSONResponse(p), nil
}

// GetProduct reads the public view of a product.
func (s *server) GetProduct(ctx context.Context, req GetProductRequestObject) (GetProductResponseObject, error) {
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	v, err := s.tenant(callFrom(ctx)).Catalogue.Product(ctx, g)
	if err != nil {
		return nil, err
	}
	return GetProduct200JSONResponse(*v), nil
}

// PutLot writes the record of the seller's firm.
func (s *server) PutLot(ctx context.Context, req PutLotRequestObject) (PutLotResponseObject, error) {
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	in := req.Body
	l, created, err := s.tenant(callFrom(ctx)).Catalogue.PutLot(ctx, f, trace.Lot{
		GTIN: g, Lot: req.Lot, Produced: in.Produced, Expires: in.Expires, Quantity: in.Quantity,
		Declaration: in.Declaration, Inspection: in.Inspection,
	})
	if err != nil {
		return nil, err
	}
	if created {
		return PutLot201JSONResponse(l), nil
	}
	return PutLot200JSONResponse(l), nil
}

// GetLot reads the public view of a lot.
func (s *server) GetLot(ctx context.Context, req GetLotRequestObject) (GetLotResponseObject, error) {
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	v, err := s.tenant(callFrom(ctx)).Catalogue.Lot(ctx, g, req.Lot)
	if err != nil {
		return nil, err
	}
	return GetLot200JSONResponse(*v), nil
}
