// Package tracing sends OpenTelemetry spans to a collector: OTLP over HTTP in protobuf (OpenTelemetry Protocol 1.x, "OTLP/HTTP").
//
// Spans are a sample for finding out why something is slow. They are sent in the background, in batches; what cannot be sent is dropped and
// said in the log, and never holds up a request. They name operations and collections, and never a path, a query, an address or a
// person.
package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Config says where spans go.
type Config struct {
	Endpoint string            // of the collector, without /v1/traces: http://127.0.0.1:4318
	Headers  map[string]string // that it wants, such as a key
	Ratio    float64           // of the requests that begin here, 0 to 1; a trusted proxy's own decision counts before it
	Version  string
	HTTP     *http.Client // with a time-out
	Log      *slog.Logger
}

// Provider makes and sends spans until Close.
type Provider struct {
	sdk *sdktrace.TracerProvider
}

// Open starts sending. The collector is not asked now: one that is down must not stop the start.
func Open(ctx context.Context, cfg Config) (*Provider, error) {
	target, err := url.JoinPath(cfg.Endpoint, "v1", "traces")
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	if cfg.HTTP == nil || cfg.Log == nil || cfg.Ratio < 0 || cfg.Ratio > 1 {
		return nil, errors.New("tracing: incomplete configuration")
	}
	exporter, err := otlptrace.New(ctx, &client{cfg: cfg, target: target})
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return &Provider{sdk: sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.Ratio))),
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "haisu"), attribute.String("service.version", cfg.Version))),
	)}, nil
}

// Tracer gives what makes spans.
func (p *Provider) Tracer() trace.Tracer { return p.sdk.Tracer("github.com/haisu-trace/haisu") }

// closeTime is how long the last spans may take to be sent.
const closeTime = 5 * time.Second

// Close sends the spans that wait, for up to 5 s.
func (p *Provider) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := p.sdk.Shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	return nil
}

// client implements otlptrace.Client. The SDK's own would bring gRPC's gateway along, and could not be held to the outbound allow-list.
type client struct {
	cfg    Config
	target string
}

// Start implements otlptrace.Client.
func (*client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (*client) Stop(context.Context) error { return nil }

// UploadTraces implements otlptrace.Client. The error is for the log; the SDK would write it to standard error in a form of its own.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	if err := c.send(ctx, spans); err != nil {
		c.cfg.Log.WarnContext(ctx, "spans were not sent", "error", err)
	}
	return nil
}

func (c *client) send(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData is, on the wire, what the collector's service calls ExportTraceServiceRequest: field 1, repeated ResourceSpans.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, v := range c.cfg.Headers {
		req.Header.Set(name, v)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the collector answers %d", resp.StatusCode)
	}
	return nil
}

// ParseHeaders reads OTEL_EXPORTER_OTLP_HEADERS: name=value pairs separated by commas, values percent-encoded.
func ParseHeaders(s string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(s, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		v, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || name == "" || err != nil || strings.ContainsAny(name+v, "\r\n\x00") {
			return nil, errors.New("want name=value pairs separated by commas, values percent-encoded")
		}
		out[name] = v
	}
	return out, nil
}
