package httpapi

import (
	"context"
	"io"
	"net/netip"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
)

// call is what is known of one request. Handlers of generated code see it through their context.
type call struct {
	id        string
	operation string // of the contract, or another short name for metrics and logs

	permission access.Action // of the operation
	addr       netip.Addr    // of the client; kept in the audit trail alone, and sealed there
	agent      string        // User-Agent, cut

	token     string // the bearer token that was accepted
	principal access.Principal
	sandbox   Tenant    // of the principal's firm, for a test key
	device    string    // ID of the device, when a device's token was accepted
	receipt   string    // the receipt's secret, as sent
	body      io.Reader // of an operation that reads its body as a stream

	etag   string        // of what a handler of generated code found, when it knows better than a hash
	cookie *fiber.Cookie // that the answer sets if it is no refusal; see keepSession
	once   bool          // the answer has a secret that is shown once; see once
	change audit.Change  // what a handler did, for the audit trail
}

// callKey is the key of the call both in Fiber's locals and in the context.
type callKey struct{}

func callOf(c *fiber.Ctx) *call {
	if v, ok := c.Locals(callKey{}).(*call); ok {
		return v
	}
	return &call{operation: opNone}
}

func callFrom(ctx context.Context) *call {
	if v, ok := ctx.Value(callKey{}).(*call); ok {
		return v
	}
	return &call{operation: opNone}
}

// actor says in a log what kind of client it was: never who.
func (k *call) actor() string {
	switch {
	case k.principal.Kind == access.KindSeller:
		return "seller:" + k.principal.Firm
	case k.principal.Kind != "":
		return k.principal.Kind
	}
	return "anyone"
}

// allow asks the table whether the caller may do the request's action on t. It is what handlers ask once they know t.
func allow(ctx context.Context, t access.Target) error {
	k := callFrom(ctx)
	return access.Allow(&k.principal, k.permission, t)
}

// unseen makes what does not exist look like what belongs to another authority: the difference would tell what others have.
func unseen(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fault.New(fault.NotFound, "not_found", "there is no such thing here").Because(err)
	}
	return err
}

// acting is the body that acts for one now: what a body had that was merged is its successor's.
func (s *server) acting(ctx context.Context, id string) (string, error) {
	if id == "" || s.deps.Services.Bodies == nil {
		return id, nil
	}
	now, err := s.deps.Services.Bodies.ActingID(ctx, id)
	if fault.KindOf(err) == fault.NotFound { // a body that nobody succeeded, or that was never registered
		return id, nil
	}
	return now, err
}

// changed tells the audit trail what a handler did on what, with what was before and what is now; nil is nothing.
func changed(ctx context.Context, subject string, before, after any) {
	k := callFrom(ctx)
	k.change.Subject, k.change.Before, k.change.After = subject, before, after
}

// once says that the answer has a secret that is shown once, and that the write takes the place of another by then: an answer that was held back
// would lose it. So such an answer goes out even where the end of the write cannot be kept in the audit trail, which has the attempt.
func once(ctx context.Context) { callFrom(ctx).once = true }

// sellerFirm is the firm of the seller whose key was used.
func (s *server) sellerFirm(ctx context.Context) (firm.Firm, error) {
	return s.deps.Services.Firms.Get(ctx, callFrom(ctx).principal.Firm)
}
