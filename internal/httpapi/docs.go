package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/swaggest/swgui/v5emb"
)

const docsPath = "/docs"

var (
	inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	inlineStyle  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
)

// registerDocs serves Swagger UI from the module that carries it. Its page is rendered once, so its inline scripts and styles can be
// named in the content policy by hash. The policy also sees to it that the page loads nothing from anywhere else.
func (s *server) registerDocs(app *fiber.App) error {
	ui := v5emb.New("Haisu API", "/openapi.yaml", docsPath)
	rec := httptest.NewRecorder()
	ui.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), http.MethodGet, docsPath+"/", nil))
	page := rec.Body.Bytes()
	scripts, styles := hashesOf(inlineScript, page), hashesOf(inlineStyle, page)
	if rec.Code != http.StatusOK || scripts == "" || styles == "" {
		return errors.New("the API reference cannot be rendered")
	}
	policy := "default-src 'none'; script-src 'self'" + scripts + "; style-src 'self'" + styles + "; " +
		"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

	front := func(c *fiber.Ctx) error {
		callOf(c).operation = opDocs
		c.Set(fiber.HeaderContentSecurityPolicy, policy)
		c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
		c.Set(fiber.HeaderCacheControl, "no-cache")
		return c.Send(page)
	}
	app.Get(docsPath, front)
	app.Get(docsPath+"/", front)
	assets := adaptor.HTTPHandler(ui)
	app.Get(docsPath+"/*", func(c *fiber.Ctx) error {
		callOf(c).operation = opDocs
		if err := assets(c); err != nil {
			return err
		}
		c.Response().Header.Del(fiber.HeaderXContentTypeOptions) // net/http adds one of its own to what it does not find
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		if c.Response().StatusCode() >= http.StatusBadRequest {
			return fiber.ErrNotFound
		}
		c.Set(fiber.HeaderCacheControl, "public, max-age=86400")
		return nil
	})
	return nil
}

// hashesOf gives the hash of each part of the page that pattern finds, as a content policy has them.
func hashesOf(pattern *regexp.Regexp, page []byte) string {
	var out strings.Builder
	for _, m := range pattern.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(m[1])
		out.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	return out.String()
}
