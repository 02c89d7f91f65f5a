package httpapi

import (
	"net/http"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access/audit"
)

// stateTerm is how long somebody may take to log in at the provider.
const stateTerm = 10 * time.Minute

// provider is the identity provider, where there is one and a browser can keep a session.
func (s *server) provider() (IdentityProvider, error) {
	if s.deps.Services.Provider == nil || s.cookie == "" || s.deps.Services.CSRF == nil {
		return nil, refuse(http.StatusNotFound, "no_identity_provider", "this installation has no identity provider; log in with a password")
	}
	return s.deps.Services.Provider, nil
}

// beginOidc sends the browser to the identity provider.
func (s *server) beginOidc(c *fiber.Ctx) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	to, state, err := p.Begin(c.UserContext())
	if err != nil {
		return err
	}
	c.Cookie(s.stateCookie(state, s.deps.Now().Add(stateTerm)))
	return c.Redirect(to, http.StatusFound)
}

// stateCookie binds the provider's answer to the browser that asked. The answer comes from another site, so the cookie is Lax.
func (s *server) stateCookie(value string, expires time.Time) *fiber.Cookie {
	return &fiber.Cookie{
		Name: s.cookie + "-oidc", Value: value, Path: "/", Expires: expires, Secure: s.https, HTTPOnly: true, SameSite: fiber.CookieSameSiteLaxMode,
	}
}

// finishOidc takes the browser back from the identity provider, and logs its operator in or links the identity, whichever it was sent for.
func (s *server) finishOidc(c *fiber.Ctx) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	query, err := url.ParseQuery(string(c.Request().URI().QueryString()))
	if err != nil {
		return refuse(http.StatusBadRequest, "malformed", "the query of the URL cannot be read")
	}
	state := c.Cookies(s.cookie + "-oidc")
	who, err := p.Finish(ctx, query, state)
	if err != nil {
		return err
	}
	login, err := s.deps.Services.Identities.IdentityAwaited(ctx, state)
	if err != nil {
		return err
	}
	if login != "" {
		err := s.oneTime().traced(ctx, "finishOidc", operatorUse(login), func(*audit.Change) error {
			return s.deps.Services.Identities.LinkIdentity(ctx, login, who)
		})
		if err != nil {
			return err
		}
		return s.backFromProvider(c)
	}
	v, err := s.deps.Services.Identities.LoginIdentity(ctx, who, whereFrom(ctx, ""))
	if err != nil {
		return err
	}
	if err := s.loggedIn(ctx, &v); err != nil {
		return err
	}
	s.keepSession(ctx, v.Token, v.Expires)
	return s.backFromProvider(c)
}

func (s *server) backFromProvider(c *fiber.Ctx) error {
	c.Cookie(s.stateCookie("", time.Unix(0, 0)))
	return c.Redirect("/", http.StatusSeeOther)
}
