package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
)

// maxToken is the longest credential that is looked at, in bytes.
const maxToken = 256

// credentialKinds ties what a token begins with to its security scheme, and names it for people.
var credentialKinds = []struct{ prefix, scheme, name string }{
	{"hk_", schemeSeller, "a seller's key (hk_…)"},
	{"hs_", schemeOfficer, "an officer's session (hs_…)"},
	{"hd_", schemeDevice, "a device's token (hd_…)"},
}

func schemeOf(token string) string {
	for _, k := range credentialKinds {
		if strings.HasPrefix(token, k.prefix) {
			return k.scheme
		}
	}
	return ""
}

// authenticate lets a request in that carries what one of the operation's security schemes asks for, and notes in k who it is.
//
// Where credentials are optional, those of another kind are not looked at, and a device's token that is not known makes an anonymous
// request: a phone that was reset must still be able to scan. An officer's session or a seller's key that has ended is told so.
func (s *server) authenticate(ctx context.Context, c *fiber.Ctx, op *operation, k *call) error {
	if len(op.schemes) == 0 {
		return nil
	}
	if op.needsReceipt {
		k.receipt = c.Get("Haisu-Receipt-Secret")
		if k.receipt == "" || len(k.receipt) > maxToken {
			return refuse(http.StatusUnauthorized, "credentials_missing", "this operation needs the receipt's secret in Haisu-Receipt-Secret")
		}
		k.principal = access.Principal{Kind: access.KindFiler} // the handler finds out of which case, and whether the secret is right
		return nil
	}
	token, err := s.credential(c, op)
	if err != nil {
		return err
	}
	scheme := schemeOf(token)
	if !slices.Contains(op.schemes, scheme) {
		switch {
		case op.optional:
			return nil
		case token == "":
			return refuse(http.StatusUnauthorized, "credentials_missing", "this operation needs Authorization: Bearer, followed by %s", op.wants())
		case scheme == "":
			return refuse(http.StatusUnauthorized, "unauthenticated", "this is no token of ours; the operation needs %s", op.wants())
		}
		return refuse(http.StatusForbidden, "wrong_credentials", "this operation needs %s", op.wants())
	}
	k.token = token
	if scheme == schemeDevice {
		d, err := s.deps.Services.Devices.ByToken(ctx, token)
		if op.optional && fault.KindOf(err) == fault.Unauthenticated {
			return nil
		}
		if err != nil {
			return err
		}
		k.device, k.principal = d.ID, access.Principal{Kind: access.KindDevice, ID: d.ID}
		return nil
	}
	p, err := s.deps.Services.Authenticator.Authenticate(ctx, token)
	if err != nil {
		return err
	}
	if (scheme == schemeSeller) != (p.Kind == access.KindSeller) {
		return refuse(http.StatusForbidden, "wrong_credentials", "this operation needs %s", op.wants())
	}
	k.principal = p
	return nil
}

// wants names the credentials of an operation.
func (op *operation) wants() string {
	var names []string
	for _, k := range credentialKinds {
		if slices.Contains(op.schemes, k.scheme) {
			names = append(names, k.name)
		}
	}
	return strings.Join(names, " or ")
}

// bearer gives the token of an Authorization header (RFC 6750, 2.1); "" if there is none or it cannot be one.
func bearer(c *fiber.Ctx) string { return bearerToken(c.Get(fiber.HeaderAuthorization)) }

func bearerToken(h string) string {
	const scheme = "Bearer "
	if len(h) <= len(scheme) || !strings.EqualFold(h[:len(scheme)], scheme) || len(h) > len(scheme)+maxToken {
		return ""
	}
	return strings.TrimSpace(h[len(scheme):])
}
