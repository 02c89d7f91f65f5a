package httpapi

import (
	"context"
	"net/netip"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
)

// CreateSession logs an operator in.
func (s *server) CreateSession(ctx context.Context, req CreateSessionRequestObject) (CreateSessionResponseObject, error) {
	in := req.Body
	if in.Cookie && (s.cookie == "" || s.deps.Services.CSRF == nil) {
		return nil, fault.InvalidFields(fault.Field{Pointer: "/cookie", Code: "no_cookies", Detail: "sessions in cookies need https"})
	}
	v, err := s.deps.Services.Sessions.Login(ctx, access.LoginRequest{
		Login: in.Login, Password: in.Password, Code: in.Code, Client: whereFrom(ctx, in.Device),
	})
	if err != nil {
		return nil, err
	}
	if err := s.loggedIn(ctx, &v); err != nil {
		return nil, err
	}
	out := CreateSession201JSONResponse{
		Token: v.Token, Id: v.ID, Csrf: v.CSRF, Device: v.Device, Expires: v.Expires, IdleExpires: v.IdleExpires, Operator: operatorBody(&v.Operator),
	}
	if in.Cookie && s.keepSession(ctx, v.Token, v.Expires) {
		out.Token = "" // a page's script has no use for it but to lose it
	}
	return out, nil
}

// loggedIn keeps a log-in in the audit trail. A session that cannot be kept there is ended.
func (s *server) loggedIn(ctx context.Context, v *access.Session) error {
	o := &v.Operator
	err := s.recordAs(ctx, actorOf(o), o.Authority, "operator/"+o.ID)
	if err == nil {
		return nil
	}
	if lerr := s.deps.Services.Sessions.Logout(context.WithoutCancel(ctx), v.Token); lerr != nil {
		s.deps.Log.WarnContext(ctx, "a session that is not in the audit trail goes on until it expires", "request_id", callFrom(ctx).id, "error", lerr)
	}
	return err
}

// whereFrom is where a log-in comes from.
func whereFrom(ctx context.Context, device string) access.Client {
	k := callFrom(ctx)
	return access.Client{Network: networkOf(k.addr), Device: device, Agent: k.agent}
}

// networkOf is what counts as one network for the limits of log-ins: an IPv4 /24 or an IPv6 /48.
func networkOf(a netip.Addr) string {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// DeleteSession ends the session whose token the request carries.
func (s *server) DeleteSession(ctx context.Context, _ DeleteSessionRequestObject) (DeleteSessionResponseObject, error) {
	if err := s.deps.Services.Sessions.Logout(ctx, callFrom(ctx).token); err != nil {
		return nil, err
	}
	s.dropSession(ctx)
	return DeleteSession204Response{}, nil
}

func operatorBody(p *access.Principal) Operator {
	return Operator{Login: p.ID, Name: p.Name, Roles: p.Roles, Authority: p.Authority, Classes: p.Classes, Level: p.Level}
}
