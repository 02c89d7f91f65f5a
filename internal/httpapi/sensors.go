package httpapi

import (
	"context"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
)

// PutProductLimits sets what a product bears on its way.
func (s *server) PutProductLimits(ctx context.Context, req PutProductLimitsRequestObject) (PutProductLimitsResponseObject, error) {
	k := callFrom(ctx)
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	var before, after coldchain.Limits
	if k.principal.Kind == access.KindOperator {
		class, err := s.classOf(ctx, g)
		if err != nil {
			return nil, err
		}
		if err := allow(ctx, access.Target{Class: class}); err != nil {
			return nil, err
		}
		before, after, err = s.deps.Services.Cold.SetByAuthority(ctx, k.principal.Authority, g, *req.Body)
		if err != nil {
			return nil, err
		}
	} else {
		f, err := s.sellerFirm(ctx)
		if err != nil {
			return nil, err
		}
		if before, after, err = s.deps.Services.Cold.SetByFirm(ctx, f, g, *req.Body); err != nil {
			return nil, err
		}
	}
	changed(ctx, "product/"+g.String()+"/limits", before, after)
	return PutProductLimits200JSONResponse(after), nil
}

// classOf is the class of a product; that of one which nobody has registered is every class, so that only who is competent for all may speak of it.
func (s *server) classOf(ctx context.Context, g gs1.GTIN) (string, error) {
	v, err := s.tenant(callFrom(ctx)).Catalogue.Product(ctx, g)
	switch {
	case err == nil:
		return v.Category, nil
	case fault.KindOf(err) == fault.NotFound:
		return access.AllClasses, nil
	}
	return "", err
}

// GetProductLimits reads what a product bears.
func (s *server) GetProductLimits(ctx context.Context, req GetProductLimitsRequestObject) (GetProductLimitsResponseObject, error) {
	g, err := gs1.ParseGTINLenient(req.Gtin)
	if err != nil {
		return nil, err
	}
	l, err := s.deps.Services.Cold.Limits(ctx, g)
	if err != nil {
		return nil, err
	}
	return GetProductLimits200JSONResponse(l), nil
}

// TakeReadings stores what the firm's loggers measured.
func (s *server) TakeReadings(ctx context.Context, req TakeReadingsRequestObject) (TakeReadingsResponseObject, error) {
	batch := make([]coldchain.Reading, len(req.Body.Readings))
	for i := range req.Body.Readings {
		in := &req.Body.Readings[i]
		batch[i] = coldchain.Reading{Logger: in.Logger, Time: in.Time, Quantity: in.Quantity, Value: in.Value, UOM: string(in.Uom)}
	}
	t, err := s.deps.Services.Cold.Take(ctx, callFrom(ctx).principal.Firm, batch)
	if err != nil {
		return nil, err
	}
	return TakeReadings200JSONResponse(t), nil
}

// ListSensorWindows lists the days of one of the firm's loggers.
func (s *server) ListSensorWindows(ctx context.Context, req ListSensorWindowsRequestObject) (ListSensorWindowsResponseObject, error) {
	days, next, err := s.deps.Services.Cold.Windows(ctx, callFrom(ctx).principal.Firm, req.Params.Logger, req.Params.Cursor, req.Params.Limit)
	if err != nil {
		return nil, err
	}
	return ListSensorWindows200JSONResponse{Items: days, Next: next}, nil
}

// PutSensorBinding says what one of the firm's loggers is with.
func (s *server) PutSensorBinding(ctx context.Context, req PutSensorBindingRequestObject) (PutSensorBindingResponseObject, error) {
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.deps.Services.Cold.Bind(ctx, f, req.Body.Logger, req.Body.Thing, req.Body.From, req.Body.To)
	if err != nil {
		return nil, err
	}
	return PutSensorBinding200JSONResponse(bindingBody(&b)), nil
}

// ListSensorBindings lists what the firm's loggers were with.
func (s *server) ListSensorBindings(ctx context.Context, req ListSensorBindingsRequestObject) (ListSensorBindingsResponseObject, error) {
	list, next, err := s.deps.Services.Cold.Bindings(ctx, callFrom(ctx).principal.Firm, req.Params.Logger, req.Params.Cursor, req.Params.Limit)
	if err != nil {
		return nil, err
	}
	out := ListSensorBindings200JSONResponse{Items: make([]SensorBinding, len(list)), Next: next}
	for i := range list {
		out.Items[i] = bindingBody(&list[i])
	}
	return out, nil
}

func bindingBody(b *coldchain.Binding) SensorBinding {
	return SensorBinding{Logger: b.Logger, Thing: b.Thing, From: b.From, To: b.To, Vouched: b.Vouched, Event: b.Event, Withdrawn: b.Withdrawn}
}

// ListExcursions lists when goods were outside of their limits.
func (s *server) ListExcursions(ctx context.Context, req ListExcursionsRequestObject) (ListExcursionsResponseObject, error) {
	var g gs1.GTIN
	if req.Params.Gtin != "" {
		var err error
		if g, err = gs1.ParseGTINLenient(req.Params.Gtin); err != nil {
			return nil, err
		}
	}
	list, next, err := s.deps.Services.Cold.Excursions(ctx, viewer(ctx), g, req.Params.Cursor, req.Params.Limit)
	if err != nil {
		return nil, err
	}
	out := ListExcursions200JSONResponse{Items: make([]Excursion, len(list)), Next: next}
	for i := range list {
		x := &list[i]
		out.Items[i] = Excursion{
			Firm: x.Firm, Logger: x.Logger, Thing: x.Thing, Gtin: x.GTIN.String(), Quantity: x.Quantity, From: x.From, To: x.To, Minutes: int(x.To.Sub(x.From) / time.Minute),
			Ongoing: x.Ongoing, Peak: x.Peak, Limit: x.Limit, LimitsBy: x.By, AllowedMinutes: x.Allowed,
		}
	}
	return out, nil
}
