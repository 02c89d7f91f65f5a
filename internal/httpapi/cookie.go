package httpapi

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// CSRF gives the token that a page must show beside the session's cookie: a keyed hash of the session's token, so that it needs no storage and
// nobody can make one up.
type CSRF interface {
	CSRF(token string) string
}

// An officer's browser may keep its session in a cookie, which scripts cannot read. Programs go on using Authorization.
//
// A browser sends cookies with requests that other sites make it send. So a request that changes something, and carries no Authorization,
// needs the session's CSRF token in Haisu-CSRF, and a browser's word that it comes from a page of ours: Sec-Fetch-Site same-origin (or
// none: the user's own doing), or, from browsers that do not send that, our Origin. SameSite=Strict is the third lock.
const (
	csrfHeader = "Haisu-CSRF"
	// The prefix binds the cookie to this host, its root path and https (RFC 6265bis, 4.1.3.2). Browsers refuse it over plain http, so on
	// a loopback address without https the cookie goes without.
	hostCookie  = "__Host-haisu"
	plainCookie = "haisu"
)

// cookieName is the name of the session cookie on a public address; "" if there is none, because what is sent to it could be read on the way.
func cookieName(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	a, err := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme == "https":
		return hostCookie
	case u.Hostname() == "localhost" || err == nil && a.IsLoopback():
		return plainCookie
	}
	return ""
}

func (s *server) sessionCookie() string { return s.cookie }

// credential gives the token that a request carries: a bearer token, or else the session cookie where the operation is one for officers. "" is
// none. It refuses a request that changes something and that a page of another site may have sent.
func (s *server) credential(c *fiber.Ctx, op *operation) (string, error) {
	if token := bearer(c); token != "" || len(c.Request().Header.Peek(fiber.HeaderAuthorization)) > 0 {
		return token, nil
	}
	if s.cookie == "" || s.deps.Services.CSRF == nil || !slices.Contains(op.schemes, schemeOfficer) {
		return "", nil
	}
	token := c.Cookies(s.cookie)
	if schemeOf(token) != schemeOfficer || len(token) > maxToken {
		return "", nil
	}
	if m := c.Method(); m == http.MethodGet || m == http.MethodHead {
		return token, nil
	}
	given := c.Get(csrfHeader)
	want := s.deps.Services.CSRF.CSRF(token)
	if want == "" || subtle.ConstantTimeCompare([]byte(given), []byte(want)) != 1 {
		return "", refuse(http.StatusForbidden, "csrf", "a session in a cookie needs its CSRF token in "+csrfHeader)
	}
	if !s.ownPage(c) {
		return "", refuse(http.StatusForbidden, "csrf", "a session in a cookie is for pages of this server alone")
	}
	return token, nil
}

// ownPage says whether the browser says that a request comes from a page of ours.
func (s *server) ownPage(c *fiber.Ctx) bool {
	if site := c.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || site == "none"
	}
	return strings.EqualFold(c.Get(fiber.HeaderOrigin), s.deps.PublicURL)
}

// keepSession has the answer put a session into a cookie, if the operation succeeds. It gives false where cookies cannot be had: over plain http,
// but on a loopback address. It is for handlers of generated code, and only for clients that asked for it.
func (s *server) keepSession(ctx context.Context, token string, expires time.Time) bool {
	if s.cookie == "" || s.deps.Services.CSRF == nil {
		return false
	}
	callFrom(ctx).cookie = s.sessionCookieOf(token, expires)
	return true
}

// dropSession has the answer take the session's cookie back, if the operation succeeds.
func (s *server) dropSession(ctx context.Context) {
	if s.cookie != "" {
		k := callFrom(ctx)
		k.cookie = s.sessionCookieOf("", time.Unix(0, 0))
	}
}

func (s *server) sessionCookieOf(value string, expires time.Time) *fiber.Cookie {
	return &fiber.Cookie{
		Name: s.cookie, Value: value, Path: "/", Expires: expires, Secure: s.https, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode,
	}
}

// writeCookie sends the cookie that a handler asked for.
func (k *call) writeCookie(c *fiber.Ctx) {
	if k.cookie != nil && c.Response().StatusCode() < http.StatusBadRequest {
		c.Cookie(k.cookie)
	}
}
