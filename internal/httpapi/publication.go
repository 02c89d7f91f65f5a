package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval/press"
	"github.com/haisu-trace/haisu/internal/warning"
)

func warningSubject(no string) string { return "warning/" + no }

// author is the officer who acts. The domain asks May about what is really written.
func author(ctx context.Context) warning.Author {
	p := callFrom(ctx).principal
	return warning.Author{
		ID: p.ID, Name: p.Name, Authority: p.Authority,
		May: func(action, class string, g warning.Grade) error {
			return access.Allow(&p, access.Action(action), access.Target{Authority: p.Authority, Class: class, Level: g.Level, Recall: g.Recall})
		},
	}
}

// outcome is what came of a publication: the message, or the request that waits for another operator. Just one of the two is set.
func outcome(ctx context.Context, no string, o press.Outcome, err error) (*WarningMessage, *AwaitsApprovalJSONResponse, error) {
	if err != nil {
		return nil, nil, precondition(err)
	}
	if o.Message != nil {
		body := messageBody(o.Message)
		changed(ctx, warningSubject(no), nil, body)
		return &body, nil, nil
	}
	body, err := approvalBody(o.Asked)
	if err != nil {
		return nil, nil, err
	}
	changed(ctx, warningSubject(no), nil, approvalFactsOf(o.Asked))
	return nil, &AwaitsApprovalJSONResponse{Body: body, Headers: AwaitsApprovalResponseHeaders{Location: "/v1/approvals/" + o.Asked.ID}}, nil
}
