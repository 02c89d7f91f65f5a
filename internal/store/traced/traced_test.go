package traced_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/traced"
)

// Calls of a sampled request are spans that name collection and call, and no document; others are none. What the engine answers is untouched.
func TestSpans(t *testing.T) {
	t.Parallel()
	disk, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	kept := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept)).Tracer("test")
	type doc struct{ Name string }
	c, err := store.Open(t.Context(), traced.Engine(disk, tracer), store.Def[doc]{Name: "things"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Insert(t.Context(), "before", doc{}); err != nil || len(kept.GetSpans()) != 0 {
		t.Fatalf("a span outside a request: %v %v", kept.GetSpans(), err)
	}
	ctx, request := tracer.Start(t.Context(), "request")
	if err := c.Insert(ctx, "canary-id", doc{"canary"}); err != nil {
		t.Fatal(err)
	}
	if d, err := c.Get(ctx, "canary-id"); err != nil || d.V.Name != "canary" {
		t.Fatalf("%+v %v", d, err)
	}
	if err := c.Delete(ctx, "canary-none"); err == nil {
		t.Error("deleted what is not there")
	}
	request.End()
	var names []string
	for _, s := range kept.GetSpans() {
		names = append(names, s.Name)
		if text := fmt.Sprintf("%+v", s); strings.Contains(text, "canary") {
			t.Errorf("a span tells of a document: %s", text)
		}
	}
	if got := strings.Join(names, " "); got != "store.insert store.get store.delete request" {
		t.Errorf("spans: %s", got)
	}
}
