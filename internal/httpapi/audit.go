package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access/audit"
)

const (
	typeJSONLines = "application/x-ndjson"
	// maxExport is the longest time that one export covers: it must be sent before the connection's time to write is over.
	maxExport = 31 * 24 * time.Hour
	// exportTime is how long an export may take; the connection gives up soon after it.
	exportTime = 50 * time.Second
)

// ListAudit reads the audit trail.
func (s *server) ListAudit(ctx context.Context, req ListAuditRequestObject) (ListAuditResponseObject, error) {
	p := req.Params
	f := audit.Filter{Actor: p.Actor, Subject: p.Subject, Action: p.Action, From: p.From, To: p.To}
	entries, next, err := s.deps.Services.Audit.List(ctx, f, p.Cursor, cmp.Or(p.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListAudit200JSONResponse{Items: make([]AuditEntry, len(entries)), Next: next}
	for i := range entries {
		e := &entries[i]
		out.Items[i] = AuditEntry{
			Seq: e.Seq, At: e.At, Actor: e.Actor, Authority: e.Authority, Action: e.Action, Subject: e.Subject, Phase: AuditEntryPhase(e.Phase),
			Outcome: e.Outcome, Why: e.Why, RequestId: e.RequestID, From: e.From, Attempt: e.Attempt, Before: e.Before, After: e.After,
			BeforeDigest: digestBody(e.BeforeDigest), AfterDigest: digestBody(e.AfterDigest), Hash: e.Hash,
		}
	}
	return out, nil
}

func digestBody(d *audit.Digest) AuditDigest {
	if d == nil {
		return AuditDigest{}
	}
	return AuditDigest{Bytes: d.Bytes, Sha256: d.SHA256}
}

// GetAuditCheckpoint gives the end of the chain.
func (s *server) GetAuditCheckpoint(ctx context.Context, _ GetAuditCheckpointRequestObject) (GetAuditCheckpointResponseObject, error) {
	c, err := s.deps.Services.Audit.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return GetAuditCheckpoint200JSONResponse{Seq: c.Seq, Hash: c.Hash, Mac: c.MAC, At: c.At}, nil
}

// exportAudit sends the entries of a time as they are read. Whoever reads sees from a connection that breaks off that the answer is not whole.
func (s *server) exportAudit(c *fiber.Ctx) error {
	from, err := time.Parse(time.RFC3339, c.Query("from"))
	if err != nil {
		return badTime("from", "syntax")
	}
	to, err := time.Parse(time.RFC3339, c.Query("to"))
	if err != nil {
		return badTime("to", "syntax")
	}
	if !to.After(from) || to.Sub(from) > maxExport {
		return badTime("to", "period")
	}
	c.Set(fiber.HeaderContentType, typeJSONLines)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="audit.jsonl"`)
	id := callOf(c).id
	// The handler's own context ends before the body is sent.
	ctx, cancel := context.WithTimeout(context.Background(), exportTime)
	r, w := io.Pipe()
	go func() {
		defer cancel()
		err := s.deps.Services.Audit.Export(ctx, w, from, to)
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // nobody takes it any more
			s.deps.Log.ErrorContext(ctx, "the export of the audit trail broke off", "request_id", id, "error", err)
		}
		_ = w.CloseWithError(err) // never fails
	}()
	c.Context().SetBodyStream(exportBody{r, cancel}, -1)
	return nil
}

// exportBody is closed when it is sent, or when nobody takes it.
type exportBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close ends the export.
func (b exportBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

func badTime(parameter, code string) error {
	r := refuse(http.StatusBadRequest, "invalid_parameter", "a parameter breaks a rule; see errors")
	r.errors = []fieldError{{Parameter: parameter, Code: code, Detail: "a time after `from`, by at most 31 days"}}
	return r
}

// sentBytes is the size of a response, or 0 of one that is sent as it is read. Asking for such a body would read all of it into memory.
func sentBytes(c *fiber.Ctx) int {
	if c.Response().IsBodyStream() {
		return 0
	}
	return len(c.Response().Body())
}
