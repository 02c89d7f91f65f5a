// Package traced is a store.Engine that shows its calls as spans of the request that makes them. Spans name the collection and the number of
// documents, and never an ID or a key.
package traced

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/haisu-trace/haisu/internal/store"
)

// engine passes on what it does not show.
type engine struct {
	store.Engine
	tracer trace.Tracer
}

// Engine gives eng with spans. Calls outside a request that is sampled cost nothing more.
func Engine(eng store.Engine, tracer trace.Tracer) store.Engine { return &engine{eng, tracer} }

// begin starts a span; end takes what the call came to.
func (e *engine) begin(ctx context.Context, call, coll string, n int) (_ context.Context, end func(err error)) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(error) {}
	}
	ctx, span := e.tracer.Start(ctx, "store."+call, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.operation.name", call), attribute.String("db.collection.name", coll), attribute.Int("db.operation.batch.size", n),
	))
	return ctx, func(err error) {
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
			span.SetStatus(codes.Error, "") // its text could name what it failed on
		}
		span.End()
	}
}

// Get implements store.Reader.
func (e *engine) Get(ctx context.Context, coll string, ids []string) (recs []store.Record, err error) {
	ctx, end := e.begin(ctx, "get", coll, len(ids))
	defer func() { end(err) }()
	return e.Engine.Get(ctx, coll, ids)
}

// Scan implements store.Reader.
func (e *engine) Scan(ctx context.Context, coll string, s store.Scan, keysOnly bool) (hits []store.Hit, err error) {
	ctx, end := e.begin(ctx, "scan", coll, s.Limit)
	defer func() { end(err) }()
	return e.Engine.Scan(ctx, coll, s, keysOnly)
}

// Count implements store.Reader.
func (e *engine) Count(ctx context.Context, coll string, s store.Scan, limit int) (n int, err error) {
	ctx, end := e.begin(ctx, "count", coll, limit)
	defer func() { end(err) }()
	return e.Engine.Count(ctx, coll, s, limit)
}

// Insert implements store.Writer.
func (e *engine) Insert(ctx context.Context, coll string, recs []store.Record) (errs []error, err error) {
	ctx, end := e.begin(ctx, "insert", coll, len(recs))
	defer func() { end(err) }()
	return e.Engine.Insert(ctx, coll, recs)
}

// Replace implements store.Writer.
func (e *engine) Replace(ctx context.Context, coll string, rec store.Record) (err error) {
	ctx, end := e.begin(ctx, "replace", coll, 1)
	defer func() { end(err) }()
	return e.Engine.Replace(ctx, coll, rec)
}

// Delete implements store.Writer.
func (e *engine) Delete(ctx context.Context, coll, id string, rev int64) (err error) {
	ctx, end := e.begin(ctx, "delete", coll, 1)
	defer func() { end(err) }()
	return e.Engine.Delete(ctx, coll, id, rev)
}

// Add implements store.Writer.
func (e *engine) Add(ctx context.Context, coll, id string, deltas map[string]int64) (err error) {
	ctx, end := e.begin(ctx, "add", coll, 1)
	defer func() { end(err) }()
	return e.Engine.Add(ctx, coll, id, deltas)
}
