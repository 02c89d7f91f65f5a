package httpapi

import (
	"cmp"
	"context"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
)

// GetLotDescendants says where a lot went.
func (s *server) GetLotDescendants(ctx context.Context, req GetLotDescendantsRequestObject) (GetLotDescendantsResponseObject, error) {
	start, err := lotStart(req.Gtin, req.Lot)
	if err != nil {
		return nil, err
	}
	w, err := s.descendants(ctx, start, req.Params.At)
	if err != nil {
		return nil, err
	}
	return GetLotDescendants200JSONResponse(*w), nil
}

// GetUnitDescendants says where a unit went.
func (s *server) GetUnitDescendants(ctx context.Context, req GetUnitDescendantsRequestObject) (GetUnitDescendantsResponseObject, error) {
	start, err := unitStart(req.Gtin, req.Serial)
	if err != nil {
		return nil, err
	}
	w, err := s.descendants(ctx, start, req.Params.At)
	if err != nil {
		return nil, err
	}
	return GetUnitDescendants200JSONResponse(*w), nil
}

// GetContainerDescendants says where what was in a container went.
func (s *server) GetContainerDescendants(ctx context.Context, req GetContainerDescendantsRequestObject) (GetContainerDescendantsResponseObject, error) {
	w, err := s.descendants(ctx, trace.Start{SSCC: req.Sscc}, req.Params.At)
	if err != nil {
		return nil, err
	}
	return GetContainerDescendants200JSONResponse(*w), nil
}

// GetLotAncestors says what a lot was made of.
func (s *server) GetLotAncestors(ctx context.Context, req GetLotAncestorsRequestObject) (GetLotAncestorsResponseObject, error) {
	start, err := lotStart(req.Gtin, req.Lot)
	if err != nil {
		return nil, err
	}
	l, err := s.ancestors(ctx, start, req.Params.At)
	if err != nil {
		return nil, err
	}
	return GetLotAncestors200JSONResponse(*l), nil
}

// GetUnitAncestors says what a unit was made of.
func (s *server) GetUnitAncestors(ctx context.Context, req GetUnitAncestorsRequestObject) (GetUnitAncestorsResponseObject, error) {
	start, err := unitStart(req.Gtin, req.Serial)
	if err != nil {
		return nil, err
	}
	l, err := s.ancestors(ctx, start, req.Params.At)
	if err != nil {
		return nil, err
	}
	return GetUnitAncestors200JSONResponse(*l), nil
}

// GetContainerAncestors says what is in a container, and what that was made of.
func (s *server) GetContainerAncestors(ctx context.Context, req GetContainerAncestorsRequestObject) (GetContainerAncestorsResponseObject, error) {
	l, err := s.ancestors(ctx, trace.Start{SSCC: req.Sscc}, req.Params.At)
	if err != nil {
		return nil, err
	}
	return GetContainerAncestors200JSONResponse(*l), nil
}

// GetLotContradictions lists what cannot be in what was reported of a lot.
func (s *server) GetLotContradictions(ctx context.Context, req GetLotContradictionsRequestObject) (GetLotContradictionsResponseObject, error) {
	start, err := lotStart(req.Gtin, req.Lot)
	if err != nil {
		return nil, err
	}
	list, more, err := s.tenant(callFrom(ctx)).Graph.Contradictions(ctx, start.Ref, lang.Pick(req.Params.AcceptLanguage), viewer(ctx))
	if err != nil {
		return nil, err
	}
	return GetLotContradictions200JSONResponse{Items: append([]trace.Contradiction{}, list...), More: more}, nil
}

// GetUnitContradictions lists what cannot be in what was reported of a unit.
func (s *server) GetUnitContradictions(ctx context.Context, req GetUnitContradictionsRequestObject) (GetUnitContradictionsResponseObject, error) {
	start, err := unitStart(req.Gtin, req.Serial)
	if err != nil {
		return nil, err
	}
	list, more, err := s.tenant(callFrom(ctx)).Graph.Contradictions(ctx, start.Ref, lang.Pick(req.Params.AcceptLanguage), viewer(ctx))
	if err != nil {
		return nil, err
	}
	return GetUnitContradictions200JSONResponse{Items: append([]trace.Contradiction{}, list...), More: more}, nil
}

// ListAnomalies lists what is odd about the scans of goods.
func (s *server) ListAnomalies(ctx context.Context, req ListAnomaliesRequestObject) (ListAnomaliesResponseObject, error) {
	p := req.Params
	var g gs1.GTIN
	if p.Gtin != "" {
		var err error
		if g, err = gs1.ParseGTINLenient(p.Gtin); err != nil {
			return nil, err
		}
	}
	graph := s.tenant(callFrom(ctx)).Graph
	list, next, err := graph.Anomalies(ctx, g, lang.Pick(p.AcceptLanguage), viewer(ctx), p.Cursor, cmp.Or(p.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	return ListAnomalies200JSONResponse{Items: append([]trace.Anomaly{}, list...), Next: next}, nil
}

func (s *server) descendants(ctx context.Context, start trace.Start, at time.Time) (*trace.Whereabouts, error) {
	at, err := s.eventTime(at)
	if err != nil {
		return nil, err
	}
	return s.tenant(callFrom(ctx)).Graph.Whereabouts(ctx, start, at, viewer(ctx))
}

func (s *server) ancestors(ctx context.Context, start trace.Start, at time.Time) (*trace.Lineage, error) {
	at, err := s.eventTime(at)
	if err != nil {
		return nil, err
	}
	return s.tenant(callFrom(ctx)).Graph.Ancestors(ctx, start, at, viewer(ctx))
}

// viewer is the firm whose view is asked for; "" is an officer's, who sees all.
func viewer(ctx context.Context) string {
	if p := callFrom(ctx).principal; p.Kind == access.KindSeller {
		return p.Firm
	}
	return ""
}

// eventTime is a moment up to which events count; zero is the present. Events of the year 10000 cannot be had.
func (s *server) eventTime(at time.Time) (time.Time, error) {
	if at.IsZero() {
		return s.deps.Now().UTC(), nil
	}
	if at.Year() < 1900 || at.Year() > 9999 {
		return at, fault.New(fault.Malformed, "invalid_parameter", "`at` is outside of the years 1900 to 9999")
	}
	return at.UTC(), nil
}

func lotStart(gtin, lot string) (trace.Start, error) {
	g, err := gs1.ParseGTINLenient(gtin)
	return trace.Start{Ref: gs1.Ref{GTIN: g, Lot: lot}}, err
}

func unitStart(gtin, serial string) (trace.Start, error) {
	g, err := gs1.ParseGTINLenient(gtin)
	return trace.Start{Ref: gs1.Ref{GTIN: g, Serial: serial}}, err
}
