package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/casefile"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
)

// trailFake keeps entries, and how attempts ended, in the order in which they came.
type trailFake struct {
	mu      sync.Mutex
	entries []audit.Entry
	beginErr, endErr,
	recordErr error
}

func (t *trailFake) add(e audit.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, e)
}

func (t *trailFake) all() []audit.Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.entries)
}

func (t *trailFake) Begin(_ context.Context, e audit.Entry) (Act, error) {
	if t.beginErr != nil {
		return nil, t.beginErr
	}
	e.Phase = "attempt"
	t.add(e)
	return &actFake{t, e}, nil
}

func (t *trailFake) Record(_ context.Context, e audit.Entry) error {
	if t.recordErr != nil {
		return t.recordErr
	}
	t.add(e)
	return nil
}

type actFake struct {
	trail *trailFake
	e     audit.Entry
}

func (a *actFake) Done(ctx context.Context, c audit.Change) error {
	if a.trail.endErr != nil {
		return a.trail.endErr
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e := a.e
	e.Phase, e.Subject, e.Why = phaseDone, c.Subject, c.Why
	if c.Before != nil {
		e.Before = mustJSON(c.Before)
	}
	if c.After != nil {
		e.After = mustJSON(c.After)
	}
	a.trail.add(e)
	return nil
}

func (a *actFake) Failed(ctx context.Context, outcome string) error {
	if a.trail.endErr != nil {
		return a.trail.endErr
	}
	e := a.e
	e.Phase, e.Outcome = "failed", outcome
	a.trail.add(e)
	return ctx.Err()
}

// sandboxFake is the seller's test tenant: what it answers says so.
type sandboxFake struct{ *fakes }

// of gives it to its own firm alone.
func (f *sandboxFake) of(_ context.Context, firm string) (Tenant, error) {
	if firm != seller.ID {
		return Tenant{}, fmt.Errorf("the test tenant of %s", firm)
	}
	return Tenant{Scanner: f, Catalogue: f, Codes: f, Capture: f, Events: f, Links: f, Graph: f, Documents: documentsFake{f.fakes}}, nil
}

func (f *sandboxFake) Product(ctx context.Context, g gs1.GTIN) (*trace.ProductView, error) {
	v := productView
	v.Name = lang.ZhEn("测试", "Test")
	return &v, f.note(func() { f.codes = append(f.codes, g.String()) })
}

func (f *fakes) CSRF(token string) string {
	if token == officerToken {
		return csrfToken
	}
	return "of:" + token[:min(len(token), 10)]
}

func (f *fakes) Sessions(_ context.Context, _, current string) ([]access.SessionInfo, error) {
	return []access.SessionInfo{{
		ID: newSession.ID, Agent: "Firefox", Network: "203.0.113.0/24", Started: now, LastSeen: now, Expires: newSession.Expires, Current: current == officerToken,
	}}, f.fail()
}

func (f *fakes) EndSession(_ context.Context, _, id string) error {
	if id != newSession.ID {
		return fault.New(fault.NotFound, "not_found", "there is no such thing here")
	}
	return f.fail()
}

func (f *fakes) EndSessions(_ context.Context, login, except string) (int, error) {
	return 2, f.note(func() { f.loggedOut = append(f.loggedOut, login+" but "+except) })
}

func (f *fakes) SetPassword(_ context.Context, _, old, _, _ string) error {
	if old != "correct horse battery" {
		return fault.New(fault.Unauthenticated, "login_failed", "login, password or one-time code is wrong, or the code was used already")
	}
	return f.fail()
}

func (f *fakes) NewRecoveryCodes(context.Context, string, string, string) ([]string, error) {
	return []string{"k7m2-q9t4", "v6x8-z0b3"}, f.fail()
}

func (f *fakes) AwaitIdentity(_ context.Context, _, password, _, _, state string) error {
	if password != "correct horse battery" {
		return fault.New(fault.Unauthenticated, "login_failed", "login, password or one-time code is wrong, or the code was used already")
	}
	return f.note(func() { f.awaited = state })
}

func (f *fakes) EndIdentities(context.Context, string) (int, error) { return 1, f.fail() }

func (f *fakes) IdentityAwaited(_ context.Context, state string) (string, error) {
	login := ""
	err := f.note(func() {
		if state == f.awaited {
			login = "lin.mei"
		}
	})
	return login, err
}

func (f *fakes) LinkIdentity(_ context.Context, login string, id access.Identity) error {
	return f.note(func() { f.linked = append(f.linked, login+" "+id.Subject) })
}

func (f *fakes) LinkOwner(_ context.Context, token string) (login, firm string, err error) {
	if token != link.Token {
		return "", "", fault.New(fault.NotFound, "not_found", "there is no such thing here")
	}
	return "lin.mei", seller.ID, f.fail()
}

func (f *fakes) StartEnrolment(_ context.Context, r access.StartRequest) (access.Enrolment, error) {
	if r.Token != link.Token {
		return access.Enrolment{}, fault.New(fault.NotFound, "not_found", "there is no such thing here")
	}
	return access.Enrolment{Login: "lin.mei", TOTPSecret: "JBSWY3DPEHPK3PXP", OtpauthURL: "otpauth://totp/Haisu:lin.mei?secret=JBSWY3DPEHPK3PXP&issuer=Haisu"}, f.fail()
}

func (f *fakes) ConfirmEnrolment(context.Context, string, string) (access.Enrolment, error) {
	return access.Enrolment{Login: "lin.mei", RecoveryCodes: []string{"k7m2-q9t4", "v6x8-z0b3"}}, f.fail()
}

type operatorsFake struct{ *fakes }

func (f operatorsFake) Readmit(ctx context.Context, login, by string) (access.Link, error) {
	if _, err := f.Operator(ctx, login); err != nil {
		return access.Link{}, err
	}
	return link, f.note(func() { f.readmitted = append(f.readmitted, login+" by "+by) })
}

func (f operatorsFake) InviteOperator(_ context.Context, n access.NewOperator) (access.Link, error) {
	if n.By == "" {
		return access.Link{}, errors.New("nobody invites the operator")
	}
	return link, f.fail()
}

func (f operatorsFake) ConfirmOperator(_ context.Context, login string, revision int64, by string) (before, after access.Operator, err error) {
	after, err = f.Operator(context.Background(), login)
	switch {
	case err != nil:
		return before, after, err
	case revision != operatorGiven.Revision:
		return before, after, fault.New(fault.Conflict, "operator_changed", "the operator was changed meanwhile; read it again")
	}
	before = after
	before.Proposed = []string{"not " + by}
	after.Revision++
	return before, after, f.fail()
}

func (f operatorsFake) Operators(context.Context, string, int) ([]access.Operator, string, error) {
	return []access.Operator{operatorGiven}, "", f.fail()
}

func (f operatorsFake) Operator(_ context.Context, login string) (access.Operator, error) {
	if login != operatorGiven.Login {
		return access.Operator{}, fault.New(fault.NotFound, "operator_unknown", "there is no operator %s", login)
	}
	return operatorGiven, f.fail()
}

func (f operatorsFake) ChangeOperator(_ context.Context, _ string, revision int64, c access.OperatorChange) (before, after access.Operator, err error) {
	if c.By == "" {
		return before, after, errors.New("nobody changes the operator")
	}
	if revision != operatorGiven.Revision {
		return before, after, fault.New(fault.Conflict, "operator_changed", "the operator was changed meanwhile; read it again")
	}
	after = operatorGiven
	after.Name, after.Authority, after.Roles, after.Level, after.Disabled = *c.Name, *c.Authority, *c.Roles, *c.Level, *c.Disabled
	after.Revision++
	return operatorGiven, after, f.fail()
}

type providerFake struct{ *fakes }

func (f providerFake) Begin(context.Context) (authURL, stateCookie string, err error) {
	return "https://id.example/authorize?state=s1", "sealed", f.fail()
}

func (f providerFake) Finish(_ context.Context, query url.Values, stateCookie string) (access.Identity, error) {
	if query.Get("state") != "s1" || stateCookie != "sealed" {
		return access.Identity{}, fault.New(fault.Unauthenticated, "login_failed", "the identity provider did not say who this is")
	}
	return access.Identity{Issuer: "https://id.example", Subject: "248289761001"}, f.fail()
}

func (f *fakes) LoginIdentity(_ context.Context, _ access.Identity, c access.Client) (access.Session, error) {
	return newSession, f.note(func() { f.logins = append(f.logins, access.LoginRequest{Client: c}) })
}

type authoritiesFake struct{ *fakes }

func (f authoritiesFake) Get(_ context.Context, id string) (authority.Authority, error) {
	if id != market.ID {
		return authority.Authority{}, fault.New(fault.NotFound, "authority_unknown", "there is no authority %s", id)
	}
	return market, f.fail()
}

func (f authoritiesFake) List(context.Context, string, int) ([]authority.Authority, string, error) {
	return []authority.Authority{market}, "", f.fail()
}

func (f authoritiesFake) Competent(_ context.Context, q authority.Query) (authority.Authority, error) {
	if q.On.IsZero() || q.Matter == "" {
		return authority.Authority{}, fault.New(fault.NotFound, "authority_unknown", "nobody")
	}
	return market, f.fail()
}

func (f authoritiesFake) Put(_ context.Context, a authority.Authority, revision int64) (before, after authority.Authority, err error) {
	if revision != 0 {
		if revision != market.Revision {
			return before, after, fault.New(fault.Conflict, "authority_changed", "the authority was changed meanwhile")
		}
		before = market
	}
	a.Revision = revision + 1
	return before, a, f.fail()
}

// mergedAway is a body that authorityNow succeeded.
const mergedAway = "hn-aic"

func (f *fakes) ActingID(_ context.Context, id string) (string, error) {
	switch id {
	case mergedAway:
		return authorityNow, nil
	case authorityNow:
		return id, nil
	}
	return "", fault.New(fault.NotFound, "authority_unknown", "there is no authority %s", id)
}

func (f firmsFake) List(context.Context, string, string, int) ([]firm.Firm, string, error) {
	return []firm.Firm{seller}, "", f.fail()
}

func (f firmsFake) Put(context.Context, firm.Firm) error { return f.fail() }

func (f *fakes) InviteFirm(context.Context, string, string) (access.Link, error) {
	return link, f.fail()
}

func (f *fakes) AcceptInvitation(_ context.Context, token, _ string) (access.AcceptedInvitation, error) {
	if token != link.Token {
		return access.AcceptedInvitation{}, fault.New(fault.NotFound, "not_found", "there is no such thing here")
	}
	test := keyGiven
	test.ID, test.Prefix, test.Test = "3x6z9b2d", "hk_test_3x6z9b2d", true
	return access.AcceptedInvitation{Firm: seller.ID, Live: keyGiven, Test: test, LiveKey: sellerToken, TestKey: testToken}, f.fail()
}

func (f *fakes) AddKey(_ context.Context, n access.NewKey) (access.Key, string, error) {
	k := keyGiven
	k.Label, k.Scopes, k.Test, k.CreatedBy = n.Label, n.Scopes, n.Test, n.By
	return k, sellerToken, f.note(func() { f.given = append(f.given, n) })
}

func (f *fakes) Keys(context.Context, string) ([]access.Key, error) {
	return []access.Key{keyGiven}, f.fail()
}

func (f *fakes) RotateKey(_ context.Context, _, _ string, overlap time.Duration, _ string) (access.Key, string, error) {
	k := keyGiven
	k.ID, k.Prefix = "9b2d5f8h", "hk_9b2d5f8h"
	return k, "hk_9b2d5f8h_0123456789abcdefghjkmnpqrstvwxyz", f.note(func() { f.keys = append(f.keys, overlap.String()) })
}

func (f *fakes) EndKey(context.Context, string, string, string) (access.Key, error) {
	k := keyGiven
	k.Revoked = now
	return k, f.fail()
}

type approvalsFake struct{ *fakes }

func (f approvalsFake) Get(_ context.Context, id string) (approval.Request, error) {
	if id != pending.ID {
		return approval.Request{}, fault.New(fault.NotFound, "approval_unknown", "there is no request for approval %q", id)
	}
	return pending, f.fail()
}

func (f approvalsFake) List(context.Context, string, string, string, int) ([]approval.Request, string, error) {
	return []approval.Request{pending}, "", f.fail()
}

func (f approvalsFake) Decide(_ context.Context, _, by, _ string, approve bool, reason string) (approval.Request, error) {
	r := pending
	if by == r.By {
		return r, fault.New(fault.Forbidden, "four_eyes", "this needs the approval of another operator")
	}
	if !approve && reason == "" {
		return r, fault.InvalidFields(fault.Field{Pointer: "/reason", Code: "required", Detail: "say why it is rejected"})
	}
	r.State, r.DecidedBy, r.Decided, r.Reason = "rejected", by, now, reason
	if approve {
		r.State, r.Result = "done", draftNo+"/1"
	}
	return r, f.fail()
}

func (f approvalsFake) Withdraw(context.Context, string, string) (approval.Request, error) {
	r := pending
	r.State = "withdrawn"
	return r, f.fail()
}

type auditFake struct{ *fakes }

func (f auditFake) List(context.Context, audit.Filter, string, int) ([]audit.Entry, string, error) {
	return []audit.Entry{auditEntry}, "", f.fail()
}

func (f auditFake) Export(_ context.Context, w io.Writer, _, _ time.Time) error {
	if _, err := io.WriteString(w, `{"seq":41}`+"\n"); err != nil {
		return err
	}
	return f.fail()
}

func (f auditFake) Checkpoint(context.Context) (audit.Checkpoint, error) {
	return audit.Checkpoint{Seq: 41, Hash: "5f0c1f9e2f5c4ad59d7e0b3f6f3c2a11", MAC: "9a7b5c3d1e", At: now}, f.fail()
}

type casesFake struct{ *fakes }

func (f casesFake) Authority(_ context.Context, no string) (string, error) {
	if no != receipt.No {
		return "", fault.New(fault.NotFound, "receipt_unknown", "there is no complaint with this number and secret")
	}
	return mergedAway, f.fail()
}

func (f casesFake) Read(context.Context, string) (casefile.Record, error) {
	return caseRecord, f.fail()
}

func (f casesFake) Queue(context.Context, string, string, string, int) ([]casefile.View, string, error) {
	return []casefile.View{complaintView}, "", f.fail()
}

type deviceDataFake struct{ *fakes }

func (f deviceDataFake) Export(context.Context, string, string, int) (consumer.Export, error) {
	e := deviceExport
	e.Alerts = slices.Clone(e.Alerts)
	return e, f.fail()
}

func (f deviceDataFake) Erase(context.Context, string) error { return f.fail() }

type caseDataFake struct{ *fakes }

func (f caseDataFake) Export(ctx context.Context, no, secret string) (casefile.Record, error) {
	if _, err := f.Status(ctx, no, secret); err != nil {
		return casefile.Record{}, err
	}
	return caseRecord, nil
}

func (f caseDataFake) Erase(ctx context.Context, no, secret string) error {
	_, err := f.Status(ctx, no, secret)
	return err
}
