package httpapi

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// beginSpan starts the span of a request. A trusted proxy's span is its parent (W3C Trace Context); a client's own traceparent is not looked at:
// with it anybody could have all of his requests traced, or tie them together.
func (s *server) beginSpan(ctx context.Context, c *fiber.Ctx) (context.Context, oteltrace.Span) {
	if s.deps.Tracer == nil {
		return ctx, nil
	}
	if parent := c.Get("traceparent"); parent != "" && s.trusted(peerAddr(c)) {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
	}
	return s.deps.Tracer.Start(ctx, "request", oteltrace.WithSpanKind(oteltrace.SpanKindServer))
}

// endSpan names the span by its operation. Like the line in the log it has neither path nor query, headers or address.
func endSpan(span oteltrace.Span, c *fiber.Ctx, k *call, r *httpError) {
	if span == nil {
		return
	}
	defer span.End()
	if !span.IsRecording() {
		return
	}
	status := c.Response().StatusCode()
	span.SetName(k.operation)
	span.SetAttributes(
		attribute.String("haisu.operation", k.operation), attribute.String("haisu.request_id", k.id), attribute.String("haisu.actor", k.actor()),
		attribute.Int("http.response.status_code", status),
	)
	if r != nil {
		span.SetAttributes(attribute.String("error.type", r.code))
	}
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
