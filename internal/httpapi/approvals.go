package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/warning"
)

// ListApprovals lists what waits for a second operator of the authority, or did.
func (s *server) ListApprovals(ctx context.Context, req ListApprovalsRequestObject) (ListApprovalsResponseObject, error) {
	p := req.Params
	found, next, err := s.deps.Services.Approvals.List(ctx, callFrom(ctx).principal.Authority, string(p.State), p.Cursor, cmp.Or(p.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListApprovals200JSONResponse{Items: make([]Approval, len(found)), Next: next}
	for i := range found {
		if out.Items[i], err = approvalBody(&found[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// GetApproval reads a request for approval.
func (s *server) GetApproval(ctx context.Context, req GetApprovalRequestObject) (GetApprovalResponseObject, error) {
	r, err := s.approval(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	body, err := approvalBody(&r)
	if err != nil {
		return nil, err
	}
	return GetApproval200JSONResponse(body), nil
}

// approval gives a request on which the caller may do the operation's action. NotFound for one of another authority.
func (s *server) approval(ctx context.Context, id string) (approval.Request, error) {
	r, err := s.deps.Services.Approvals.Get(ctx, id)
	if err != nil {
		return approval.Request{}, unseen(err)
	}
	has, err := s.acting(ctx, r.Authority)
	if err != nil {
		return approval.Request{}, err
	}
	t := access.Target{Authority: has, Class: r.Class}
	if callFrom(ctx).permission == access.ApprovalDecide {
		t.Level = r.Level
	}
	return r, allow(ctx, t)
}

// DecideApproval approves or rejects what another operator asks for.
func (s *server) DecideApproval(ctx context.Context, req DecideApprovalRequestObject) (DecideApprovalResponseObject, error) {
	before, err := s.approval(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	in, k := req.Body, callFrom(ctx)
	r, err := s.deps.Services.Approvals.Decide(ctx, req.Id, k.principal.ID, k.principal.Name, in.Approve, in.Reason)
	if err != nil {
		return nil, precondition(err)
	}
	k.change.Why = cmp.Or(k.change.Why, in.Reason)
	changed(ctx, "approval/"+r.ID, approvalFactsOf(&before), approvalFactsOf(&r))
	body, err := approvalBody(&r)
	if err != nil {
		return nil, err
	}
	return DecideApproval200JSONResponse(body), nil
}

// WithdrawApproval takes back what the operator asked for.
func (s *server) WithdrawApproval(ctx context.Context, req WithdrawApprovalRequestObject) (WithdrawApprovalResponseObject, error) {
	before, err := s.approval(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Services.Approvals.Withdraw(ctx, req.Id, callFrom(ctx).principal.ID)
	if err != nil {
		return nil, err
	}
	changed(ctx, "approval/"+req.Id, approvalFactsOf(&before), approvalFactsOf(&r))
	return WithdrawApproval204Response{}, nil
}

// approvalFacts are what the audit trail keeps of a request. What is to be published stands in the request, which does not change.
type approvalFacts struct {
	ID        string        `json:"id"`
	Action    string        `json:"action"`
	Subject   string        `json:"subject"`
	Revision  int64         `json:"revision"`
	Level     warning.Level `json:"level"`
	Class     string        `json:"class"`
	By        string        `json:"by"`
	State     string        `json:"state"`
	DecidedBy string        `json:"decided_by,omitempty"`
	Result    string        `json:"result,omitempty"`
	Failure   string        `json:"failure,omitempty"`
}

func approvalFactsOf(r *approval.Request) approvalFacts {
	return approvalFacts{
		ID: r.ID, Action: r.Action, Subject: r.Subject, Revision: r.Revision, Level: r.Level, Class: r.Class, By: r.By, State: r.State,
		DecidedBy: r.DecidedBy, Result: r.Result, Failure: r.Failure,
	}
}

// order is what the body of a request for approval has: see package press.
type order struct {
	Content WarningContent `json:"content"`
	Reason  WarningReason  `json:"reason"`
}

func approvalBody(r *approval.Request) (Approval, error) {
	var o order
	if err := json.Unmarshal(r.Body, &o); err != nil {
		return Approval{}, fmt.Errorf("approval %s: %w", r.ID, err)
	}
	return Approval{
		Id: r.ID, Step: ApprovalStep(strings.TrimPrefix(r.Action, "warning.")), Warning: r.Subject, Revision: r.Revision, Level: r.Level,
		Category: Category(r.Class), Content: o.Content, MessageReason: o.Reason, Authority: r.Authority, By: r.By, ByName: r.ByName,
		Requested: r.Requested, Expires: r.Expires, State: ApprovalState(r.State), DecidedBy: r.DecidedBy, DecidedName: r.DecidedName,
		Decided: r.Decided, Reason: r.Reason, Result: r.Result, Failure: r.Failure,
	}, nil
}
