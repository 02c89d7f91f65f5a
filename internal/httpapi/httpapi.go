// Package httpapi serves the HTTP contract, mobile-contract/openapi.yaml.
//
// A request passes observe (ID, deadline, log line, metrics, problems), then admit, which holds it to the contract (rate,
// credentials, media type, size, parameters, body), then its handler: read, call one service, respond. Handlers of JSON
// operations implement the generated strict server; the scan paths and bodies that are no plain JSON are handled by hand. Errors travel
// up as they are, and problem.go alone says what a client sees of them.
package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"

	"github.com/haisu-trace/haisu/internal/clock"
)

// server has what handlers share. It is safe for concurrent use.
type server struct {
	deps    Deps
	https   bool   // the public address is https
	cookie  string // the name of the session cookie; "": there is none
	maxBody int    // the largest that any operation takes
	metrics *metrics
	guard   *Guard
	doors   map[string]*door // by method and path

	printing *places // for those who make labels
}

var _ StrictServerInterface = (*server)(nil)

// maxHeader has room for a Digital Link of 2 KiB, a token and what browsers send.
const maxHeader = 16 << 10

// New builds the application. It fails only if the embedded contract or the metrics registry do not fit this code.
func New(deps Deps) (*fiber.App, error) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.NewToken == nil {
		deps.NewToken = func() string { return clock.Token(10) }
	}
	if deps.Metrics == nil {
		deps.Metrics = prometheus.NewRegistry()
	}
	deps.PublicURL = strings.TrimSuffix(deps.PublicURL, "/")
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	if deps.Guard == nil {
		deps.Guard, err = NewGuard(GuardConfig{Limits: deps.Limits, Log: deps.Log, Metrics: deps.Metrics, Now: deps.Now})
		if err != nil {
			return nil, err
		}
	}
	s := &server{
		deps: deps, https: strings.HasPrefix(deps.PublicURL, "https://"), cookie: cookieName(deps.PublicURL), metrics: m, guard: deps.Guard,
		printing: newPlaces(printsAtOnce),
	}
	doc, err := loadContract()
	if err != nil {
		return nil, err
	}
	ops, err := operations(doc)
	if err != nil {
		return nil, err
	}
	for _, op := range ops {
		s.maxBody = max(s.maxBody, op.maxBody)
	}
	app := fiber.New(fiber.Config{
		// Strings that handlers keep must not change under them: Fiber reuses the memory of a request.
		Immutable:             true,
		CaseSensitive:         true,
		StrictRouting:         true,
		DisableStartupMessage: true,
		AppName:               "haisu",
		BodyLimit:             s.maxBody,
		StreamRequestBody:     true,
		ReadBufferSize:        maxHeader,
		ReadTimeout:           s.guard.conns.most.Header, // until the handler is asked: bodies are streams
		WriteTimeout:          s.guard.conns.most.Write,
		IdleTimeout:           s.guard.conns.most.Idle,
		ErrorHandler:          s.handleError,
		// The operations that take a form read it as a stream.
		DisablePreParseMultipartForm: true,
	})
	app.Server().HeaderReceived = s.headerReceived
	app.Server().ConnState = connState
	s.screen(app)
	if err := s.routes(app, ops); err != nil {
		return nil, err
	}
	return app, nil
}

// screen answers what Fiber should not see: methods that it does not know, which it would answer by itself and in plain text, and
// requests that can be read in two ways or are beyond all bounds.
func (s *server) screen(app *fiber.App) {
	next := app.Server().Handler
	app.Server().Handler = func(rc *fasthttp.RequestCtx) {
		working(rc.Conn())
		r, closing := s.refusalByHeader(rc)
		if closing {
			rc.SetConnectionClose()
		}
		switch {
		case r == nil && s.turnsAway(rc):
		case r == nil:
			next(rc)
		default:
			c := app.AcquireCtx(rc)
			defer app.ReleaseCtx(c)
			if err := s.handleError(c, r); err != nil {
				rc.Response.SetStatusCode(http.StatusInternalServerError)
			}
		}
		settleBody(rc)
	}
}

// routes is the whole route table. Fiber takes handlers in the order of registration, so what checks comes first.
func (s *server) routes(app *fiber.App, ops []*operation) error {
	app.Use(s.observe)
	app.Get("/01/*", s.scan)
	s.doors = s.guard.doors(ops, s.metrics)
	for _, op := range ops {
		if !strings.HasPrefix(op.path, "/01/") {
			op.register(app, s.admit(op))
		}
	}
	RegisterHandlers(app, NewStrictHandler(s, nil))
	app.Get("/v1/resolve", s.resolve)
	if s.deps.Page != nil {
		app.Get("/resolve", s.resolvePage)
	}
	app.Get("/v1/codes/:gtin/:serial.png", s.codePNG)
	for _, suffix := range []string{".pdf", ".svg.zip", ".png.zip", ".csv"} {
		app.Get("/v1/codes/batches/:batch/labels"+suffix, s.labels)
	}
	app.Get("/v1/codes/:gtin/:serial.svg", s.codeSVG)
	s.epcisRoutes(app, ops)
	app.Get("/v1/sessions/oidc", s.beginOidc)
	app.Get("/v1/sessions/oidc/callback", s.finishOidc)
	app.Get("/v1/audit/export", s.exportAudit)
	app.Get("/v1/imports/templates/:template", s.importTemplate)
	app.Post("/v1/imports", s.createImport)
	app.Get("/v1/imports/:import/errors.csv", s.importReport)

	app.Post("/v1/documents", s.createDocument)
	app.Get("/v1/documents/:document/file", s.documentFile)
	app.Get("/v1/products/:gtin/documents/:document", s.publicDocument)

	app.Get("/healthz", s.health)
	app.Get("/readyz", s.readiness)
	app.Get("/openapi.yaml", s.openAPI)
	app.Get("/.well-known/gs1resolver", s.describeResolver)
	app.Get("/metrics", s.localOnly, adaptor.HTTPHandler(promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{})))
	app.Use(s.admitPage)
	app.Get(tilePath+"*", s.tile)
	if err := s.registerDocs(app); err != nil {
		return err
	}
	if s.deps.Pages != nil {
		s.deps.Pages(app)
	}
	return nil
}

// localOnly hides a path from everybody but the machine and the private network that the process runs in, and from whatever
// comes through a proxy.
func (s *server) localOnly(c *fiber.Ctx) error {
	peer := peerAddr(c)
	if !peer.IsLoopback() && !peer.IsPrivate() || c.Get(fiber.HeaderXForwardedFor) != "" || c.Get("Forwarded") != "" {
		return refuse(http.StatusNotFound, "no_such_path", "there is nothing at this path")
	}
	callOf(c).operation = opMetrics
	return c.Next()
}

// link is an absolute URL on the public address.
func (s *server) link(format string, args ...any) string {
	return s.deps.PublicURL + fmt.Sprintf(format, args...)
}
