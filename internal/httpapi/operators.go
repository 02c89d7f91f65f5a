package httpapi

import (
	"cmp"
	"context"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/warning"
)

// revisionTag begins the entity tags of what has nothing but a revision.
const revisionTag = "rev-"

// operatorFacts are what the audit trail keeps of an operator: no name, which could not be erased from there.
type operatorFacts struct {
	Login        string        `json:"login"`
	Authority    string        `json:"authority"`
	Roles        []access.Role `json:"roles"`
	Level        warning.Level `json:"level,omitempty"`
	SecondFactor bool          `json:"second_factor"`
	Disabled     bool          `json:"disabled"`
	Renamed      bool          `json:"renamed,omitempty"` // another name than before
	ProposedBy   []string      `json:"proposed_by,omitempty"`
}

func factsOf(o *access.Operator) operatorFacts {
	return operatorFacts{
		Login: o.Login, Authority: o.Authority, Roles: o.Roles, Level: o.Level, SecondFactor: o.SecondFactor, Disabled: o.Disabled,
		ProposedBy: o.Proposed,
	}
}

func operatorRecord(o *access.Operator) OperatorRecord {
	return OperatorRecord{
		Login: o.Login, Name: o.Name, Authority: o.Authority, Roles: append([]Role{}, o.Roles...), Level: o.Level,
		SecondFactor: o.SecondFactor, Enrolled: o.Enrolled, Disabled: o.Disabled, ProposedBy: o.Proposed, Created: o.Created, LastLogin: o.LastLogin,
	}
}

// ListOperators lists operators.
func (s *server) ListOperators(ctx context.Context, req ListOperatorsRequestObject) (ListOperatorsResponseObject, error) {
	operators, next, err := s.deps.Services.Operators.Operators(ctx, req.Params.Cursor, cmp.Or(req.Params.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListOperators200JSONResponse{Items: make([]OperatorRecord, len(operators)), Next: next}
	for i := range operators {
		out.Items[i] = operatorRecord(&operators[i])
	}
	return out, nil
}

// InviteOperator adds an operator and gives the one-time link to enrol with.
func (s *server) InviteOperator(ctx context.Context, req InviteOperatorRequestObject) (InviteOperatorResponseObject, error) {
	once(ctx)
	in := req.Body
	l, err := s.deps.Services.Operators.InviteOperator(ctx, access.NewOperator{
		Login: in.Login, Name: in.Name, Authority: in.Authority, Roles: in.Roles, Level: in.Level, By: callFrom(ctx).principal.ID,
	})
	if err != nil {
		return nil, err
	}
	changed(ctx, "operator/"+in.Login, nil, operatorFacts{Login: in.Login, Authority: in.Authority, Roles: in.Roles, Level: in.Level})
	return InviteOperator201JSONResponse{
		Body: linkBody(l), Headers: InviteOperator201ResponseHeaders{Location: "/v1/operators/" + in.Login},
	}, nil
}

// ReadmitOperator gives the one-time link to a new password and second factor.
func (s *server) ReadmitOperator(ctx context.Context, req ReadmitOperatorRequestObject) (ReadmitOperatorResponseObject, error) {
	once(ctx)
	l, err := s.deps.Services.Operators.Readmit(ctx, req.Login, callFrom(ctx).principal.ID)
	if err != nil {
		return nil, err
	}
	return ReadmitOperator201JSONResponse(linkBody(l)), nil
}

// ConfirmOperator stands for what another administrator did.
func (s *server) ConfirmOperator(ctx context.Context, req ConfirmOperatorRequestObject) (ConfirmOperatorResponseObject, error) {
	seen, err := seenRevision(req.Params.IfMatch, revisionTag)
	if err != nil {
		return nil, err
	}
	before, after, err := s.deps.Services.Operators.ConfirmOperator(ctx, req.Login, seen, callFrom(ctx).principal.ID)
	if err != nil {
		return nil, precondition(err)
	}
	changed(ctx, "operator/"+req.Login, factsOf(&before), factsOf(&after))
	return ConfirmOperator200JSONResponse{
		Body: operatorRecord(&after), Headers: ConfirmOperator200ResponseHeaders{ETag: entityTagOf(revisionTag, after.Revision)},
	}, nil
}

func linkBody(l access.Link) Link { return Link{Token: l.Token, Expires: l.Expires} }

// GetOperator reads an operator.
func (s *server) GetOperator(ctx context.Context, req GetOperatorRequestObject) (GetOperatorResponseObject, error) {
	o, err := s.deps.Services.Operators.Operator(ctx, req.Login)
	if err != nil {
		return nil, err
	}
	callFrom(ctx).etag = entityTagOf(revisionTag, o.Revision)
	return GetOperator200JSONResponse(operatorRecord(&o)), nil
}

// ChangeOperator replaces what administrators decide of an operator.
func (s *server) ChangeOperator(ctx context.Context, req ChangeOperatorRequestObject) (ChangeOperatorResponseObject, error) {
	seen, err := seenRevision(req.Params.IfMatch, revisionTag)
	if err != nil {
		return nil, err
	}
	in := req.Body
	before, after, err := s.deps.Services.Operators.ChangeOperator(ctx, req.Login, seen, access.OperatorChange{
		By: callFrom(ctx).principal.ID, Name: &in.Name, Authority: &in.Authority, Roles: &in.Roles, Level: &in.Level, Disabled: &in.Disabled,
	})
	if err != nil {
		return nil, precondition(err)
	}
	facts := factsOf(&after)
	facts.Renamed = after.Name != before.Name
	changed(ctx, "operator/"+req.Login, factsOf(&before), facts)
	return ChangeOperator200JSONResponse{
		Body: operatorRecord(&after), Headers: ChangeOperator200ResponseHeaders{ETag: entityTagOf(revisionTag, after.Revision)},
	}, nil
}

// EndOperatorSessions logs an operator out everywhere. NotFound for one that there is not.
func (s *server) EndOperatorSessions(ctx context.Context, req EndOperatorSessionsRequestObject) (EndOperatorSessionsResponseObject, error) {
	if _, err := s.deps.Services.Operators.Operator(ctx, req.Login); err != nil {
		return nil, err
	}
	n, err := s.deps.Services.Account.EndSessions(ctx, req.Login, "")
	if err != nil {
		return nil, err
	}
	changed(ctx, "operator/"+req.Login, nil, ended{n})
	return EndOperatorSessions200JSONResponse{Ended: n}, nil
}
