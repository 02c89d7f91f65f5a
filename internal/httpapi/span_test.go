package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Only a trusted proxy's span is the parent of ours.
func TestSpans(t *testing.T) {
	t.Parallel()
	const parent = "0af7651916cd43dd8448eb211c80319c"
	for name, trusted := range map[string]bool{"a trusted proxy's traceparent": true, "a client's traceparent": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept := tracetest.NewInMemoryExporter()
			b := setup(t, func(d *Deps) {
				d.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept)).Tracer("test")
				if trusted {
					d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
				}
			})
			req := httptest.NewRequest(http.MethodGet, "/v1/warnings/"+warningNo, nil)
			req.Header.Set("Traceparent", "00-"+parent+"-b7ad6b7169203331-01")
			resp := b.do(t, req)
			spans := kept.GetSpans()
			if len(spans) != 1 || spans[0].Name != "getWarning" {
				t.Fatalf("%d: %+v", resp.StatusCode, spans)
			}
			if got := spans[0].SpanContext.TraceID().String() == parent; got != trusted {
				t.Errorf("the parent is believed: %t", got)
			}
		})
	}
}
