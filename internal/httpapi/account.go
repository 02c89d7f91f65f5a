package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/access"
)

// GetSelf says who the operator is and what the operator may do.
func (s *server) GetSelf(ctx context.Context, _ GetSelfRequestObject) (GetSelfResponseObject, error) {
	k := callFrom(ctx)
	out := GetSelf200JSONResponse{Operator: operatorBody(&k.principal)}
	if s.deps.Services.CSRF != nil {
		out.Csrf = s.deps.Services.CSRF.CSRF(k.token)
	}
	return out, nil
}

// ListOwnSessions lists where the operator is logged in.
func (s *server) ListOwnSessions(ctx context.Context, _ ListOwnSessionsRequestObject) (ListOwnSessionsResponseObject, error) {
	k := callFrom(ctx)
	sessions, err := s.deps.Services.Account.Sessions(ctx, k.principal.ID, k.token)
	if err != nil {
		return nil, err
	}
	out := ListOwnSessions200JSONResponse{Items: make([]SessionInfo, len(sessions))}
	for i := range sessions {
		v := &sessions[i]
		out.Items[i] = SessionInfo{
			Id: v.ID, Agent: v.Agent, Network: v.Network, Started: v.Started, LastSeen: v.LastSeen, Expires: v.Expires, Current: v.Current,
		}
	}
	return out, nil
}

// EndOwnSession ends one of the operator's sessions.
func (s *server) EndOwnSession(ctx context.Context, req EndOwnSessionRequestObject) (EndOwnSessionResponseObject, error) {
	if err := s.deps.Services.Account.EndSession(ctx, callFrom(ctx).principal.ID, req.Id); err != nil {
		return nil, err
	}
	return EndOwnSession204Response{}, nil
}

// ended is what the audit trail keeps of ended sessions.
type ended struct {
	Sessions int `json:"sessions"`
}

// EndOtherSessions ends all of the operator's sessions but the one that asks.
func (s *server) EndOtherSessions(ctx context.Context, _ EndOtherSessionsRequestObject) (EndOtherSessionsResponseObject, error) {
	k := callFrom(ctx)
	n, err := s.deps.Services.Account.EndSessions(ctx, k.principal.ID, k.token)
	if err != nil {
		return nil, err
	}
	changed(ctx, "operator/"+k.principal.ID, nil, ended{n})
	return EndOtherSessions200JSONResponse{Ended: n}, nil
}

// PutPassword changes the operator's password.
func (s *server) PutPassword(ctx context.Context, req PutPasswordRequestObject) (PutPasswordResponseObject, error) {
	k := callFrom(ctx)
	err := s.deps.Services.Credentials.SetPassword(ctx, k.principal.ID, req.Body.Old, req.Body.New, k.token)
	if err != nil {
		return nil, err
	}
	return PutPassword204Response{}, nil
}

// NewRecoveryCodes gives the operator new recovery codes.
func (s *server) NewRecoveryCodes(ctx context.Context, req NewRecoveryCodesRequestObject) (NewRecoveryCodesResponseObject, error) {
	once(ctx)
	k := callFrom(ctx)
	codes, err := s.deps.Services.Credentials.NewRecoveryCodes(ctx, k.principal.ID, req.Body.Code, k.token)
	if err != nil {
		return nil, err
	}
	return NewRecoveryCodes201JSONResponse{RecoveryCodes: codes}, nil
}

// AwaitIdentity begins to link an identity at the provider.
func (s *server) AwaitIdentity(ctx context.Context, req AwaitIdentityRequestObject) (AwaitIdentityResponseObject, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	to, state, err := p.Begin(ctx)
	if err != nil {
		return nil, err
	}
	k := callFrom(ctx)
	if err := s.deps.Services.Credentials.AwaitIdentity(ctx, k.principal.ID, req.Body.Password, req.Body.Code, k.token, state); err != nil {
		return nil, err
	}
	k.cookie = s.stateCookie(state, s.deps.Now().Add(stateTerm))
	return AwaitIdentity201JSONResponse{Url: to}, nil
}

// EndIdentities ends what was linked.
func (s *server) EndIdentities(ctx context.Context, _ EndIdentitiesRequestObject) (EndIdentitiesResponseObject, error) {
	k := callFrom(ctx)
	n, err := s.deps.Services.Credentials.EndIdentities(ctx, k.principal.ID)
	if err != nil {
		return nil, err
	}
	changed(ctx, "operator/"+k.principal.ID, identitiesLinked{n}, identitiesLinked{0})
	return EndIdentities204Response{}, nil
}

// identitiesLinked is what the audit trail keeps of identities at providers: how many, and none of them.
type identitiesLinked struct {
	Identities int `json:"identities"`
}

// StartEnrolment takes the one-time link of a new operator.
func (s *server) StartEnrolment(ctx context.Context, req StartEnrolmentRequestObject) (StartEnrolmentResponseObject, error) {
	in := req.Body
	e, err := s.oneTime().StartEnrolment(ctx, access.StartRequest{
		Token: in.Token, Password: in.Password, Login: in.Login, Name: in.Name, Authority: in.Authority, SecondFactor: in.SecondFactor,
	})
	if err != nil {
		return nil, err
	}
	return StartEnrolment201JSONResponse{Login: e.Login, TotpSecret: e.TOTPSecret, OtpauthUrl: e.OtpauthURL}, nil
}

// ConfirmEnrolment completes an enrolment with a second factor.
func (s *server) ConfirmEnrolment(ctx context.Context, req ConfirmEnrolmentRequestObject) (ConfirmEnrolmentResponseObject, error) {
	e, err := s.oneTime().ConfirmEnrolment(ctx, req.Body.Token, req.Body.Code)
	if err != nil {
		return nil, err
	}
	return ConfirmEnrolment201JSONResponse{RecoveryCodes: e.RecoveryCodes}, nil
}

// oneTime is what one-time links open.
func (s *server) oneTime() OneTimeLinks {
	v := &s.deps.Services
	return OneTimeLinks{Trail: v.Trail, Enrolments: v.Enrolments, Invitations: v.Invitations, Log: s.deps.Log}
}
