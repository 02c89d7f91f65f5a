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

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// registerDocs serves Swagger UI from the module that carries it. Its page is rendered once, so its inline scripts can be named
// in the content policy by hash. The policy also sees to it that the page loads nothing from anywhere else.
func (s *server) registerDocs(app *fiber.App) error {
	ui := v5emb.New("Haisu API", "/openapi.yaml", docsPath)
	rec := httptest.NewRecorder()
	ui.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), http.MethodGet, docsPath+"/", nil))
	page := rec.Body.Bytes()
	scripts := []string{"'self'"}
	for _, m := range inlineScript.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(m[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	if rec.Code != http.StatusOK || len(scripts) == 1 {
		return errors.New("the API reference cannot be rendered")
	}
	policy := "default-src 'none'; script-src " + strings.Join(scripts, " ") + "; style-src 'self' 'unsafe-inline'; " +
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
		if c.Response().StatusCode() >= http.StatusBadRequest {
			return fiber.ErrNotFound
		}
		c.Set(fiber.HeaderCacheControl, "public, max-age=86400")
		return nil
	})
	return nil
}
