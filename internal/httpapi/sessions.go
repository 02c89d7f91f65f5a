package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/access"
)

// CreateSession logs an officer in.
func (s *server) CreateSession(ctx context.Context, req CreateSessionRequestObject) (CreateSessionResponseObject, error) {
	v, err := s.deps.Services.Sessions.Login(ctx, access.LoginRequest{
		Login: req.Body.Login, Password: req.Body.Password, Code: req.Body.Totp, Client: access.Client{Network: callFrom(ctx).network},
	})
	if err != nil {
		return nil, err
	}
	return CreateSession201JSONResponse{
		Token: v.Token, Expires: v.Expires,
		Operator: Operator{
			Login: v.Operator.ID, Name: v.Operator.Name, Roles: rolesBody(v.Operator.Roles), Authority: v.Operator.Authority,
		},
	}, nil
}

// DeleteSession ends the session whose token the request carries.
func (s *server) DeleteSession(ctx context.Context, _ DeleteSessionRequestObject) (DeleteSessionResponseObject, error) {
	if err := s.deps.Services.Sessions.Logout(ctx, callFrom(ctx).token); err != nil {
		return nil, err
	}
	return DeleteSession204Response{}, nil
}

func rolesBody(roles []access.Role) []Role {
	out := make([]Role, len(roles))
	for i, r := range roles {
		out[i] = Role(r)
	}
	return out
}
