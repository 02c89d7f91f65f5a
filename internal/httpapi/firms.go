package httpapi

import (
	"cmp"
	"context"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
)

// ListFirms lists firms; for a seller, its own.
func (s *server) ListFirms(ctx context.Context, req ListFirmsRequestObject) (ListFirmsResponseObject, error) {
	if callFrom(ctx).principal.Kind == access.KindSeller {
		f, err := s.sellerFirm(ctx)
		if err != nil {
			return nil, err
		}
		return ListFirms200JSONResponse{Items: []Firm{f}}, nil
	}
	found, next, err := s.deps.Services.Registry.List(ctx, string(req.Params.Kind), req.Params.Cursor, cmp.Or(req.Params.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	return ListFirms200JSONResponse{Items: append([]Firm{}, found...), Next: next}, nil
}

// GetFirm reads a firm. Another firm than the seller's is NotFound, whether or not there is one.
func (s *server) GetFirm(ctx context.Context, req GetFirmRequestObject) (GetFirmResponseObject, error) {
	if err := allow(ctx, access.Target{Firm: req.Id}); err != nil {
		return nil, err
	}
	f, err := s.deps.Services.Firms.Get(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	return GetFirm200JSONResponse(f), nil
}

// PutFirm makes or replaces a firm.
func (s *server) PutFirm(ctx context.Context, req PutFirmRequestObject) (PutFirmResponseObject, error) {
	in := req.Body
	before, err := s.deps.Services.Firms.Get(ctx, req.Id)
	known := err == nil
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, err
	}
	if err := s.deps.Services.Registry.Put(ctx, firm.Firm{
		ID: req.Id, Name: in.Name, Kind: string(in.Kind), Country: in.Country, GLNs: in.Glns, Prefixes: in.Prefixes, Grants: in.Grants,
		Agent: in.Agent, Platform: in.Platform,
	}); err != nil {
		return nil, err
	}
	after, err := s.deps.Services.Firms.Get(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	if !known {
		changed(ctx, "firm/"+req.Id, nil, after)
		return PutFirm201JSONResponse(after), nil
	}
	changed(ctx, "firm/"+req.Id, before, after)
	return PutFirm200JSONResponse(after), nil
}

// InviteFirm gives the one-time link with which a firm gets its first keys.
func (s *server) InviteFirm(ctx context.Context, req InviteFirmRequestObject) (InviteFirmResponseObject, error) {
	if _, err := s.deps.Services.Firms.Get(ctx, req.Id); err != nil {
		return nil, err
	}
	once(ctx)
	l, err := s.deps.Services.Invitations.InviteFirm(ctx, req.Id, actorOf(&callFrom(ctx).principal))
	if err != nil {
		return nil, err
	}
	return InviteFirm201JSONResponse(linkBody(l)), nil
}

// AcceptInvitation gives a firm its first keys.
func (s *server) AcceptInvitation(ctx context.Context, req AcceptInvitationRequestObject) (AcceptInvitationResponseObject, error) {
	a, err := s.oneTime().AcceptInvitation(ctx, req.Body.Token, req.Body.Label)
	if err != nil {
		return nil, err
	}
	return AcceptInvitation201JSONResponse{
		Firm: a.Firm, Live: GivenKey{Key: keyBody(&a.Live), Secret: a.LiveKey}, Test: GivenKey{Key: keyBody(&a.Test), Secret: a.TestKey},
	}, nil
}
