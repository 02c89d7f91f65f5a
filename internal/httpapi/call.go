package httpapi

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/warning"
)

// call is what is known of one request. Handlers of generated code see it through their context.
type call struct {
	id        string
	operation string // of the contract, or another short name for metrics and logs

	network   string // that the client is in, for the counts of wrong log-ins
	token     string // the bearer token that was accepted
	principal access.Principal
	device    string // ID of the device, when a device's token was accepted
	receipt   string // the receipt's secret, as sent

	etag   string        // of what a handler of generated code found, when it knows better than a hash
	cookie *fiber.Cookie // that the answer sets if it is no refusal; see keepSession
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
	case k.device != "":
		return "device"
	}
	return "anyone"
}

// author is the officer who acts. Forbidden for operators who only read.
func author(ctx context.Context) (warning.Author, error) {
	p := callFrom(ctx).principal
	if !p.Has(access.Officer) && !p.Has(access.Publisher) {
		return warning.Author{}, refuse(http.StatusForbidden, "not_an_officer", "this is for officers who may draft and publish warnings")
	}
	return warning.Author{ID: p.ID, Name: p.Name, Authority: p.Authority, May: func(action, class string, _ warning.Level) error {
		return access.Allow(&p, access.Action(action), access.Target{Authority: p.Authority, Class: class})
	}}, nil
}

// sellerFirm is the firm of the seller whose key was used.
func (s *server) sellerFirm(ctx context.Context) (firm.Firm, error) {
	return s.deps.Services.Firms.Get(ctx, callFrom(ctx).principal.Firm)
}
