package httpapi

import (
	"log/slog"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// serve answers one prepared request, without a network.
func serve(b *testing.B, h fasthttp.RequestHandler, method, target, body string, headers ...string) {
	b.Helper()
	var rc fasthttp.RequestCtx
	prepare := func() {
		rc.Request.Reset()
		rc.Response.Reset()
		rc.Request.Header.SetMethod(method)
		rc.Request.SetRequestURI(target)
		if body != "" {
			rc.Request.Header.SetContentType("application/json")
			rc.Request.SetBodyString(body)
		}
		for i := 0; i < len(headers); i += 2 {
			rc.Request.Header.Set(headers[i], headers[i+1])
		}
	}
	prepare()
	h(&rc)
	if rc.Response.StatusCode() >= 300 && rc.Response.StatusCode() != 503 {
		b.Fatalf("%d %s", rc.Response.StatusCode(), rc.Response.Body())
	}
	b.ReportAllocs()
	for b.Loop() {
		prepare()
		h(&rc)
	}
}

func quiet(d *Deps) {
	d.Log = slog.New(slog.DiscardHandler)
	d.Limits = &Limits{}
}

// The server's own cost of a scan, the domain answering at once.
func BenchmarkScan(b *testing.B) {
	serve(b, setup(b, quiet).app.Handler(), "GET", unitPath, "", "Accept", "application/json")
}

// The server's own cost of a small write with its checks.
func BenchmarkPutProduct(b *testing.B) {
	serve(b, setup(b, quiet).app.Handler(), "PUT", "/v1/products/06901234567892",
		`{"name":{"zh-Hans":"茶","en":"Tea"},"brand":{"en":"Leaf"},"category":"tea_coffee","origin":"CN","net":"100 g"}`, "Authorization", asSeller)
}

// What it costs to turn a request away, of which there are many in a flood.
func BenchmarkRefusal(b *testing.B) {
	var g *Guard
	app := setup(b, withGuard(b, GuardConfig{Limits: &Limits{}}), func(d *Deps) { g, d.NewToken = d.Guard, nil }).app
	g.gates[costCapture].slots, g.gates[costCapture].room.waiting = 0, 0
	serve(b, app.Handler(), "POST", "/epcis/events", "{}", "Authorization", asSeller, "Host", "x", "X-Forwarded-For", "203.0.113.7")
}

// The checks alone: parameters and body of the same write.
func BenchmarkValidate(b *testing.B) {
	doc, err := loadContract()
	if err != nil {
		b.Fatal(err)
	}
	op, err := newOperation("PUT", "/v1/products/{gtin}", doc.Paths.Value("/v1/products/{gtin}").Put)
	if err != nil {
		b.Fatal(err)
	}
	app := fiber.New(fiber.Config{Immutable: true, DisableStartupMessage: true})
	app.Put(op.path, func(c *fiber.Ctx) error { return op.validate(c) })
	serve(b, app.Handler(), "PUT", "/v1/products/06901234567892",
		`{"name":{"zh-Hans":"茶","en":"Tea"},"brand":{"en":"Leaf"},"category":"tea_coffee","origin":"CN","net":"100 g"}`)
}
