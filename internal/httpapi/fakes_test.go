package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/access/approval/press"
	"github.com/haisu-trace/haisu/internal/alert"
	"github.com/haisu-trace/haisu/internal/bulk"
	"github.com/haisu-trace/haisu/internal/casefile"
	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// fakes answer from the fixtures, remember what they were asked, and fail with err if it is set.
type fakes struct {
	mu    sync.Mutex
	err   error
	panic any

	deviceErr error // of ByToken

	deadline time.Duration // of the last scan or capture

	scans      []trace.ScanRequest
	codes      []string
	lots       []string // that were asked for
	loggedOut  []string
	awaited    string   // state of whoever links an identity
	linked     []string // login and subject
	readmitted []string
	changes    []warning.Change
	seen       []int64
	filters    []warning.Filter
	keys       []string
	viewers    []string // whose view of the graph was asked for

	principals map[string]access.Principal // by token
	sandbox    *sandboxFake
	trail      trailFake
	levels     map[string]warning.Level // of what is published, by step; yellow where there is none
	asked      []approval.Request
	logins     []access.LoginRequest
	reader     trace.Reader // of the last query of events
	query      *epcis.Query
	received   int64 // bytes of the last large document
	given      []access.NewKey
	papers     []trace.Paper // that were handed in
	orders     []bulk.Order  // imports that were begun
	files      []string      // and their files

	prints   []trace.Print
	broken   int64 // the position after which units cannot be read; 0: all can
	enqueued []job.New
	readings []coldchain.Reading // the last batch
	owners   []job.Owner         // whose jobs were asked for
}

func newFakes() *fakes {
	f := &fakes{
		principals: map[string]access.Principal{
			sellerToken: sellerPrincipal, testToken: testPrincipal, officerToken: officerPrincipal, viewerToken: viewerPrincipal, secondToken: secondPrincipal,
			registrarToken: registrarPrincipal, adminToken: adminPrincipal, auditorToken: auditorPrincipal,
		},
		levels: map[string]warning.Level{stepPublish: content.Level},
	}
	f.sandbox = &sandboxFake{fakes: &fakes{}}
	return f
}

func (f *fakes) services() Services {
	return Services{
		Authenticator: f, Sessions: f, CSRF: f, Firms: firmsFake{f}, Scanner: f, Catalogue: f, Codes: f, Capture: f, Events: f, Links: f, Cold: coldFake{f}, Graph: f, Jobs: jobsFake{f}, Desk: f, Press: f,
		Warnings: warningsFake{f}, Notices: noticesFake{f}, Listings: listingsFake{f}, Finder: f, Devices: f, Holdings: f, Inbox: f, Complaints: f, Imports: importsFake{f}, Documents: documentsFake{f},
		Ready: func(context.Context) error { return f.fail() },

		Trail: &f.trail, Sandbox: f.sandbox.of,
		Account: f, Credentials: f, Enrolments: f, Operators: operatorsFake{f}, Provider: providerFake{f}, Identities: f,
		Authorities: authoritiesFake{f}, Bodies: f, Registry: firmsFake{f}, Invitations: f, Keys: f, Approvals: approvalsFake{f},
		Audit: auditFake{f}, Cases: casesFake{f}, DeviceData: deviceDataFake{f}, CaseData: caseDataFake{f},
		Ledger: ledgerFake{f}, Proofs: ledgerFake{f}, Tiles: ledgerFake{f},
	}
}

// set changes the fakes while requests may be under way.
func (f *fakes) set(change func(*fakes)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// note records a call and gives the error to fail with.
func (f *fakes) note(record func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	record()
	return f.err
}

// left is how long a context has, rounded to seconds.
func left(ctx context.Context) time.Duration {
	at, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return time.Until(at).Round(time.Second)
}

func (f *fakes) fail() error { return f.note(func() {}) }

var errNoToken = fault.New(fault.Unauthenticated, "unauthenticated", "the session or key is unknown or has ended")

func (f *fakes) Authenticate(_ context.Context, token string) (access.Principal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.principals[token]; ok {
		return p, nil
	}
	return access.Principal{}, errNoToken
}

func (f *fakes) Login(_ context.Context, r access.LoginRequest) (access.Session, error) {
	if r.Login != officerPrincipal.ID || r.Password != "correct horse battery" {
		return access.Session{}, fault.New(fault.Unauthenticated, "login_failed", "login, password or one-time code is wrong, or the code was used already")
	}
	return newSession, f.note(func() { f.logins = append(f.logins, r) })
}

func (f *fakes) Logout(_ context.Context, token string) error {
	return f.note(func() { f.loggedOut = append(f.loggedOut, token) })
}

type firmsFake struct{ *fakes }

func (f firmsFake) Get(_ context.Context, id string) (firm.Firm, error) {
	if id == otherFirm {
		return firm.Firm{ID: id, Name: lang.ZhEn("三亚免税店", "Sanya Duty Free"), Kind: firm.DutyFree, Updated: now}, nil
	}
	if id != seller.ID {
		return firm.Firm{}, fault.New(fault.NotFound, "firm_not_found", "there is no firm %s", id)
	}
	return seller, nil
}

func (f *fakes) Scan(ctx context.Context, req trace.ScanRequest) (*trace.Answer, error) {
	err := f.note(func() {
		f.scans, f.deadline = append(f.scans, req), left(ctx)
		if f.panic != nil {
			panic(f.panic)
		}
	})
	if err != nil {
		return nil, err
	}
	return answer(req, trace.Asked{GTIN: req.Ref.GTIN.String(), Lot: req.Ref.Lot, Serial: req.Ref.Serial}), nil
}

func (f *fakes) Resolve(_ context.Context, code string, req trace.ScanRequest) (*trace.Answer, error) {
	err := f.note(func() { f.scans, f.codes = append(f.scans, req), append(f.codes, code) })
	return answer(req, trace.Asked{GTIN: formulaGTIN.String(), Code: code}), err
}

func (f *fakes) PutProduct(_ context.Context, by firm.Firm, p trace.Product) (trace.Product, bool, error) {
	p.Firm, p.Updated = by.ID, now
	return p, p.GTIN == formulaGTIN, f.fail()
}

func (f *fakes) Product(_ context.Context, g gs1.GTIN) (*trace.ProductView, error) {
	if g != formulaGTIN {
		return nil, fault.New(fault.NotFound, "product_not_found", "no firm has registered the product %s", g)
	}
	return &productView, f.fail()
}

func (f *fakes) PutLot(_ context.Context, by firm.Firm, l trace.Lot) (trace.Lot, bool, error) {
	l.Firm, l.Updated = by.ID, now
	return l, false, f.note(func() { f.lots = append(f.lots, l.Lot) })
}

func (f *fakes) Lot(_ context.Context, _ gs1.GTIN, lot string) (*trace.LotView, error) {
	v := lotView
	v.Lot = lot
	return &v, f.note(func() { f.lots = append(f.lots, lot) })
}

func (f *fakes) IssueCodes(_ context.Context, by firm.Firm, g gs1.GTIN, lot string, count int, key string) ([]trace.Unit, error) {
	units := make([]trace.Unit, count)
	for i := range units {
		units[i] = trace.Unit{GTIN: g, Serial: fmt.Sprintf("%s%02d", serialGiven[:14], i), Lot: lot, Firm: by.ID, State: trace.UnitIssued, Batch: batch.ID, Issued: now}
	}
	return units, f.note(func() { f.keys = append(f.keys, key) })
}

func (f *fakes) Unit(_ context.Context, g gs1.GTIN, serial string) (trace.Unit, error) {
	if serial != serialGiven && serial != "A/B" {
		return trace.Unit{}, fault.New(fault.NotFound, "unit_not_found", "no unit %s of product %s was issued here", serial, g)
	}
	return trace.Unit{GTIN: g, Serial: serial, Lot: formulaLot, Firm: seller.ID, State: trace.UnitIssued, Batch: batch.ID, Issued: now}, f.fail()
}

func (f *fakes) PutForeignCodes(_ context.Context, _ firm.Firm, _ gs1.GTIN, _ string, codes []trace.ForeignCode) (int, error) {
	return len(codes), f.fail()
}

func (f *fakes) CaptureEvent(_ context.Context, _ firm.Firm, e *epcis.Event) (trace.Captured, error) {
	return trace.Captured{EventID: e.ID(), Status: "new", Confirmed: true}, f.fail()
}

func (f *fakes) Capture(ctx context.Context, _ firm.Firm, doc *epcis.Document) (trace.CaptureResult, error) {
	f.set(func(f *fakes) { f.deadline = left(ctx) })
	res := trace.CaptureResult{CaptureID: captureDone.ID}
	for _, e := range doc.Events {
		res.Events = append(res.Events, trace.Captured{EventID: e.ID(), Status: "new", Confirmed: true})
	}
	return res, f.fail()
}

func (f *fakes) CaptureLarge(_ context.Context, _ firm.Firm, r io.Reader, behaviour string) (trace.CaptureJob, error) {
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return trace.CaptureJob{}, fmt.Errorf("keep the document: %w", err)
	}
	f.set(func(f *fakes) { f.received = n })
	return trace.CaptureJob{ID: captureDone.ID, Created: now, Running: true, Success: true, Behaviour: behaviour}, f.fail()
}

func (f *fakes) CaptureJob(_ context.Context, _, id string) (trace.CaptureJob, error) {
	if id != captureDone.ID {
		return trace.CaptureJob{}, fault.New(fault.NotFound, "capture_not_found", "there is no capture %s", id)
	}
	return captureDone, f.fail()
}

func (f *fakes) CaptureJobs(context.Context, string, string, int) ([]trace.CaptureJob, string, error) {
	return []trace.CaptureJob{captureDone, captureBad}, "", f.fail()
}

func (f *fakes) Events(_ context.Context, r trace.Reader, q *epcis.Query) (trace.EventPage, error) {
	f.set(func(f *fakes) { f.reader, f.query = r, q })
	page := trace.EventPage{Events: []json.RawMessage{json.RawMessage(recordedEvent)}}
	if q.PerPage == 1 {
		page.Next = "sealed-token"
	}
	return page, f.fail()
}

func (f *fakes) Spoken(_ context.Context, _ string, a epcis.Aspect, _ string, limit int) ([]string, string, error) {
	if limit == 1 {
		return []string{"first of " + string(a)}, "c2hpcHBpbmc", f.fail()
	}
	return spoken[a], "", f.fail()
}

func (f *fakes) Create(_ context.Context, by warning.Author, c warning.Content) (warning.Draft, error) {
	if err := by.May(string(access.WarningDraft), c.Category, warning.Grade{Level: c.Level, Recall: c.Recall}); err != nil {
		return warning.Draft{}, err
	}
	d := draft(1)
	d.Content = c
	return d, f.fail()
}

func (f *fakes) Draft(_ context.Context, no string) (warning.Draft, error) {
	if no != draftNo {
		return warning.Draft{}, fault.New(fault.NotFound, "warning_unknown", "there is no warning %s", no)
	}
	return draft(3), f.fail()
}

func (f *fakes) Drafts(context.Context, string, string, int) ([]warning.Draft, string, error) {
	return []warning.Draft{draft(3)}, "", f.fail()
}

func (f *fakes) UpdateDraft(_ context.Context, by warning.Author, no string, revision int64, c warning.Content) (warning.Draft, error) {
	if by.Authority != authorityNow {
		return warning.Draft{}, fault.New(fault.NotFound, "warning_unknown", "there is no warning %s", no)
	}
	if err := by.May(string(access.WarningDraft), c.Category, warning.Grade{Level: c.Level, Recall: c.Recall}); err != nil {
		return warning.Draft{}, err
	}
	if revision != 3 {
		return warning.Draft{}, fault.New(fault.Conflict, "draft_changed", "draft %s was changed meanwhile, last seen by 陈宇; read it again and put your changes into it", no)
	}
	d := draft(4)
	d.Content = c
	return d, f.fail()
}

// publish asks what the domain asks before it publishes, and asks for approval where nothing else is missing.
func (f *fakes) publish(by warning.Author, step, no string, rev int, kind warning.MessageKind, seen int64, reason lang.Text) (press.Outcome, error) {
	if by.Authority != authorityNow {
		return press.Outcome{}, fault.New(fault.NotFound, "warning_unknown", "there is no warning %s", no)
	}
	f.mu.Lock()
	level := cmp.Or(f.levels[step], warning.Yellow)
	f.mu.Unlock()
	err := by.May(string(access.WarningPublish), content.Category, warning.Grade{Level: level})
	if fault.CodeOf(err) == "four_eyes" {
		r := pending
		r.Action, r.Subject, r.Level, r.Revision, r.Body = "warning."+step, no, level, cmp.Or(seen, r.Revision), mustJSON(order{content, reason})
		return press.Outcome{Asked: &r}, f.note(func() { f.asked = append(f.asked, r) })
	}
	if err != nil {
		return press.Outcome{}, err
	}
	m := message(rev, kind)
	return press.Outcome{Message: &m}, f.note(func() { f.seen = append(f.seen, seen) })
}

func (f *fakes) Publish(_ context.Context, by warning.Author, no string, revision int64) (press.Outcome, error) {
	return f.publish(by, stepPublish, no, 1, warning.KindAlert, revision, nil)
}

func (f *fakes) follow(by warning.Author, step, no string, kind warning.MessageKind, c warning.Change) (press.Outcome, error) {
	f.set(func(f *fakes) { f.changes = append(f.changes, c) })
	return f.publish(by, step, no, 3, kind, int64(c.Seen), c.Reason)
}

func (f *fakes) Amend(_ context.Context, by warning.Author, no string, a warning.Amendment) (press.Outcome, error) {
	return f.follow(by, stepAmend, no, warning.KindUpdate, a.Change)
}

func (f *fakes) Lift(_ context.Context, by warning.Author, no string, c warning.Change) (press.Outcome, error) {
	return f.follow(by, stepLift, no, warning.KindLift, c)
}

func (f *fakes) Retract(_ context.Context, by warning.Author, no string, c warning.Change) (press.Outcome, error) {
	return f.follow(by, stepRetract, no, warning.KindRetract, c)
}

// The steps that publish.
const (
	stepPublish = "publish"
	stepAmend   = "amend"
	stepLift    = "lift"
	stepRetract = "retract"
)

type warningsFake struct{ *fakes }

func (f warningsFake) Get(_ context.Context, no string) (warning.State, error) {
	if no != warningNo {
		return warning.State{}, fault.New(fault.NotFound, "warning_unknown", "there is no warning %s", no)
	}
	return state(), f.fail()
}

func (f warningsFake) List(_ context.Context, filter warning.Filter, _ string, _ int) (warning.Page, error) {
	return warning.Page{Items: []warning.Head{head}, Next: "bmV4dA"}, f.note(func() { f.filters = append(f.filters, filter) })
}

func (f warningsFake) Heads(_ context.Context, nos []string) (map[string]warning.Head, error) {
	out := map[string]warning.Head{}
	for _, no := range nos {
		if no == warningNo {
			out[no] = head
		}
	}
	return out, f.fail()
}

type noticesFake struct{ *fakes }

func (f noticesFake) Notices(context.Context, gs1.GTIN) ([]notice.Notice, error) {
	return []notice.Notice{foreign}, f.fail()
}

func (f noticesFake) List(context.Context, string, string, int) ([]notice.Notice, string, error) {
	return []notice.Notice{foreign}, "", f.fail()
}

func (f noticesFake) GetMany(context.Context, []string) (map[string]notice.Notice, error) {
	return map[string]notice.Notice{foreign.ID: foreign}, f.fail()
}

func (f *fakes) FindWarnings(context.Context, string, warning.Filter, string, int) ([]string, string, error) {
	return []string{"HN-2025-000001", warningNo}, "", f.fail()
}

func (f *fakes) FindNotices(context.Context, string, string, int) ([]string, string, error) {
	return []string{"gone", foreign.ID}, "", f.fail()
}

func (f *fakes) Register(_ context.Context, n consumer.NewDevice) (consumer.Device, string, error) {
	d := device
	d.Platform, d.Lang, d.City = n.Platform, n.Lang, n.City
	return d, deviceToken, f.fail()
}

func (f *fakes) ByToken(_ context.Context, token string) (consumer.Device, error) {
	if f.deviceErr != nil {
		return consumer.Device{}, f.deviceErr
	}
	if token != deviceToken {
		return consumer.Device{}, fault.New(fault.Unauthenticated, "unauthenticated", "the device token is unknown")
	}
	return device, nil
}

func (f *fakes) SetPushToken(context.Context, string, string) error { return f.fail() }

func (f *fakes) SetSubscriptions(_ context.Context, _ string, subs []consumer.Subscription) ([]consumer.Subscription, error) {
	for i := range subs {
		if subs[i].MinLevel == "" {
			subs[i].MinLevel = warning.Blue
		}
	}
	return subs, f.fail()
}

func (f *fakes) AddHolding(_ context.Context, _ string, h consumer.Holding) (consumer.Holding, error) {
	h.ID, h.Created = holding.ID, now
	return h, f.fail()
}

func (f *fakes) Holdings(context.Context, string, string, int) (store.Page[consumer.Holding], error) {
	return store.Page[consumer.Holding]{Items: []store.Doc[consumer.Holding]{{V: holding}}}, f.fail()
}

func (f *fakes) DeleteHolding(_ context.Context, _, id string) error {
	if id != holding.ID {
		return fault.New(fault.NotFound, "holding_not_found", "the device has no holding %q", id)
	}
	return f.fail()
}

func (f *fakes) Inbox(context.Context, string, time.Time, string, int) ([]alert.InboxItem, string, error) {
	return []alert.InboxItem{inboxItem}, "", f.fail()
}

func (f *fakes) File(_ context.Context, _ casefile.NewComplaint, key string) (casefile.Receipt, error) {
	return receipt, f.note(func() { f.keys = append(f.keys, key) })
}

func (f *fakes) Status(_ context.Context, _, secret string) (casefile.View, error) {
	if secret != receipt.Secret {
		return casefile.View{}, fault.New(fault.NotFound, "receipt_unknown", "there is no complaint with this number and secret")
	}
	return complaintView, f.fail()
}
