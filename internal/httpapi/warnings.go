package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/warning"
)

// A warning's entity tag is its revision: of the draft, until it is published, and of the last message after that.
const (
	draftTag   = "draft-"
	messageTag = "rev-"
)

func entityTagOf(kind string, revision int64) string {
	return `"` + kind + strconv.FormatInt(revision, 10) + `"`
}

// seenRevision reads If-Match. 0 means that the client did not say what it has seen.
func seenRevision(ifMatch, kind string) (int64, error) {
	if ifMatch == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(strings.Trim(ifMatch, `"`), kind), 10, 64)
	if err != nil || n < 1 {
		return 0, refuse(http.StatusPreconditionFailed, "warning_changed", "the entity tag in If-Match is not one of the warning as it stands")
	}
	return n, nil
}

// precondition turns the conflict with a change that the client has not seen into the status that If-Match has for it.
func precondition(err error) error {
	if fault.KindOf(err) != fault.Conflict || !strings.HasSuffix(fault.CodeOf(err), "_changed") {
		return err
	}
	r := *refusalOf(err)
	r.status = http.StatusPreconditionFailed
	return &r
}

// draftFacts are what the audit trail keeps of a draft: all of it but who typed it, whom the entry itself names.
type draftFacts struct {
	Revision int64           `json:"revision"`
	Content  warning.Content `json:"content"`
}

// CreateWarning drafts a warning.
func (s *server) CreateWarning(ctx context.Context, req CreateWarningRequestObject) (CreateWarningResponseObject, error) {
	by := author(ctx)
	d, err := s.deps.Services.Desk.Create(ctx, by, *req.Body)
	if err != nil {
		return nil, err
	}
	changed(ctx, warningSubject(d.No), nil, draftFacts{d.Revision, d.Content})
	return CreateWarning201JSONResponse{
		Body:    draftBody(d),
		Headers: CreateWarning201ResponseHeaders{ETag: entityTagOf(draftTag, d.Revision), Location: "/v1/warnings/" + d.No},
	}, nil
}

// UpdateWarning replaces the content of a draft.
func (s *server) UpdateWarning(ctx context.Context, req UpdateWarningRequestObject) (UpdateWarningResponseObject, error) {
	seen, err := seenRevision(req.Params.IfMatch, draftTag)
	if err != nil {
		return nil, err
	}
	before, err := s.deps.Services.Desk.Draft(ctx, req.No)
	if err != nil {
		return nil, err
	}
	by := author(ctx)
	d, err := s.deps.Services.Desk.UpdateDraft(ctx, by, req.No, seen, *req.Body)
	if err != nil {
		return nil, precondition(err)
	}
	// A revision is one content: if the write went through, before is what it replaced.
	changed(ctx, warningSubject(d.No), draftFacts{before.Revision, before.Content}, draftFacts{d.Revision, d.Content})
	return UpdateWarning200JSONResponse{
		Body: draftBody(d), Headers: UpdateWarning200ResponseHeaders{ETag: entityTagOf(draftTag, d.Revision)},
	}, nil
}

// PublishWarning puts a draft in force.
func (s *server) PublishWarning(ctx context.Context, req PublishWarningRequestObject) (PublishWarningResponseObject, error) {
	seen, err := seenRevision(req.Params.IfMatch, draftTag)
	if err != nil {
		return nil, err
	}
	o, err := s.deps.Services.Press.Publish(ctx, author(ctx), req.No, seen)
	m, wait, err := outcome(ctx, req.No, o, err)
	switch {
	case err != nil:
		return nil, err
	case wait != nil:
		return PublishWarning202JSONResponse{AwaitsApprovalJSONResponse: *wait}, nil
	}
	return PublishWarning200JSONResponse(*m), nil
}

// AmendWarning publishes an update.
func (s *server) AmendWarning(ctx context.Context, req AmendWarningRequestObject) (AmendWarningResponseObject, error) {
	change, err := changeOf(ctx, req.Body.Reason, req.Params.IdempotencyKey, req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	o, err := s.deps.Services.Press.Amend(ctx, author(ctx), req.No, warning.Amendment{Change: change, Content: &req.Body.Content})
	m, wait, err := outcome(ctx, req.No, o, err)
	switch {
	case err != nil:
		return nil, err
	case wait != nil:
		return AmendWarning202JSONResponse{AwaitsApprovalJSONResponse: *wait}, nil
	}
	return AmendWarning201JSONResponse(*m), nil
}

// LiftWarning publishes the all-clear.
func (s *server) LiftWarning(ctx context.Context, req LiftWarningRequestObject) (LiftWarningResponseObject, error) {
	change, err := changeOf(ctx, req.Body.Reason, req.Params.IdempotencyKey, req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	o, err := s.deps.Services.Press.Lift(ctx, author(ctx), req.No, change)
	m, wait, err := outcome(ctx, req.No, o, err)
	switch {
	case err != nil:
		return nil, err
	case wait != nil:
		return LiftWarning202JSONResponse{AwaitsApprovalJSONResponse: *wait}, nil
	}
	return LiftWarning201JSONResponse(*m), nil
}

// RetractWarning publishes that the warning was wrong.
func (s *server) RetractWarning(ctx context.Context, req RetractWarningRequestObject) (RetractWarningResponseObject, error) {
	change, err := changeOf(ctx, req.Body.Reason, req.Params.IdempotencyKey, req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	o, err := s.deps.Services.Press.Retract(ctx, author(ctx), req.No, change)
	m, wait, err := outcome(ctx, req.No, o, err)
	switch {
	case err != nil:
		return nil, err
	case wait != nil:
		return RetractWarning202JSONResponse{AwaitsApprovalJSONResponse: *wait}, nil
	}
	return RetractWarning201JSONResponse(*m), nil
}

func changeOf(ctx context.Context, reason WarningReason, key, ifMatch string) (warning.Change, error) {
	because(ctx, reason)
	seen, err := seenRevision(ifMatch, messageTag)
	return warning.Change{Reason: reason, Key: key, Seen: int(seen)}, err
}

// GetWarning reads a warning; a draft only for operators of its authority.
func (s *server) GetWarning(ctx context.Context, req GetWarningRequestObject) (GetWarningResponseObject, error) {
	k := callFrom(ctx)
	st, err := s.deps.Services.Warnings.Get(ctx, req.No)
	if fault.KindOf(err) == fault.NotFound && k.principal.Kind == access.KindOperator {
		d, draftErr := s.deps.Services.Desk.Draft(ctx, req.No)
		var has string
		if draftErr == nil {
			has, draftErr = s.acting(ctx, d.Authority)
		}
		if draftErr == nil && access.Allow(&k.principal, access.WarningDrafts, access.Target{Authority: has}) == nil {
			k.etag = entityTagOf(draftTag, d.Revision)
			return GetWarning200JSONResponse(draftBody(d)), nil
		}
		if draftErr != nil && fault.KindOf(draftErr) != fault.NotFound {
			return nil, draftErr
		}
	}
	if err != nil {
		return nil, err
	}
	k.etag = entityTagOf(messageTag, int64(st.Current.Rev))
	return GetWarning200JSONResponse(warningBody(&st)), nil
}

// ListWarnings lists what is published, or searches it, or lists an authority's drafts for its operators.
func (s *server) ListWarnings(ctx context.Context, req ListWarningsRequestObject) (ListWarningsResponseObject, error) {
	p := req.Params
	if p.Status == WarningStatusDraft {
		return s.listDrafts(ctx, p)
	}
	f := warning.Filter{
		Status: warning.Status(p.Status), Level: p.Level, Category: string(p.Category), Hazard: string(p.Hazard), GTIN: p.Gtin,
	}
	var err error
	if f.From, err = startOfDay(p.From, 0); err != nil {
		return nil, err
	}
	if f.To, err = startOfDay(p.To, 1); err != nil {
		return nil, err
	}
	if strings.TrimSpace(p.Q) != "" {
		return s.searchWarnings(ctx, p, f)
	}
	page, err := s.deps.Services.Warnings.List(ctx, f, p.Cursor, p.Limit)
	if err != nil {
		return nil, err
	}
	out := ListWarnings200JSONResponse{Items: make([]WarningSummary, 0, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items = append(out.Items, headBody(&page.Items[i]))
	}
	return out, nil
}

// searchWarnings reads what search found from the store: the index is a projection and may name what is gone.
func (s *server) searchWarnings(ctx context.Context, p ListWarningsParams, f warning.Filter) (ListWarningsResponseObject, error) {
	nos, next, err := s.deps.Services.Finder.FindWarnings(ctx, p.Q, f, p.Cursor, p.Limit)
	if err != nil {
		return nil, err
	}
	heads, err := s.deps.Services.Warnings.Heads(ctx, nos)
	if err != nil {
		return nil, err
	}
	out := ListWarnings200JSONResponse{Items: make([]WarningSummary, 0, len(nos)), Next: next}
	for _, no := range nos {
		if h, ok := heads[no]; ok {
			out.Items = append(out.Items, headBody(&h))
		}
	}
	return out, nil
}

func (s *server) listDrafts(ctx context.Context, p ListWarningsParams) (ListWarningsResponseObject, error) {
	k := callFrom(ctx)
	if k.principal.Kind != access.KindOperator {
		return nil, refuse(http.StatusUnauthorized, "credentials_missing", "drafts are listed for officers only")
	}
	if err := access.Allow(&k.principal, access.WarningDrafts, access.Target{Authority: k.principal.Authority}); err != nil {
		return nil, err
	}
	if p.Level != "" || p.Category != "" || p.Hazard != "" || p.Gtin != "" || p.Q != "" || p.From != "" || p.To != "" {
		r := refuse(http.StatusBadRequest, "invalid_parameter", "a parameter breaks a rule; see errors")
		r.errors = []fieldError{{Parameter: "status", Code: "exclusive", Detail: "drafts are listed without other filters"}}
		return nil, r
	}
	drafts, next, err := s.deps.Services.Desk.Drafts(ctx, k.principal.Authority, p.Cursor, p.Limit)
	if err != nil {
		return nil, err
	}
	out := ListWarnings200JSONResponse{Items: make([]WarningSummary, 0, len(drafts)), Next: next}
	for i := range drafts {
		d := &drafts[i]
		out.Items = append(out.Items, WarningSummary{
			No: d.No, Status: WarningStatusDraft, Level: d.Level, Recall: d.Recall, Hazard: Hazard(d.Hazard), Category: Category(d.Category),
			Title: d.Title, Authority: d.Authority, Updated: d.Updated,
		})
	}
	return out, nil
}

// beijing is the civil time of the province, which has no summer time.
var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// startOfDay is midnight in Hainan at the start of a day, or days after it; the zero time for no day.
func startOfDay(day string, days int) (time.Time, error) {
	if day == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, day, beijing)
	if err != nil {
		return time.Time{}, &httpError{status: http.StatusBadRequest, code: "malformed", detail: "there is no such day", err: err}
	}
	return t.AddDate(0, 0, days), nil
}
