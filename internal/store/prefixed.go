package store

import (
	"context"
	"errors"
)

// Prefixed gives a view of eng in which every collection's name begins with prefix, so that a second set of collections lives beside
// the first in one database and neither can name the other's. prefix is of [a-z_] and not empty: Declare refuses an empty one, since
// such a view would be eng itself.
//
// The database stays eng's: Close of the view closes nothing.
func Prefixed(eng Engine, prefix string) Engine { return &prefixed{eng: eng, prefix: prefix} }

// prefixed does not embed the engine on purpose: a method that is added to the port must be thought about here, or it would
// reach past the prefix.
type prefixed struct {
	eng    Engine
	prefix string
}

var _ Engine = (*prefixed)(nil)

var errNoName = errors.New("store: a collection without a name, or a view without a prefix")

func (p *prefixed) Get(ctx context.Context, coll string, ids []string) ([]Record, error) {
	return p.eng.Get(ctx, p.prefix+coll, ids)
}

func (p *prefixed) Scan(ctx context.Context, coll string, s Scan, keysOnly bool) ([]Hit, error) {
	return p.eng.Scan(ctx, p.prefix+coll, s, keysOnly)
}

func (p *prefixed) Count(ctx context.Context, coll string, s Scan, limit int) (int, error) {
	return p.eng.Count(ctx, p.prefix+coll, s, limit)
}

func (p *prefixed) Insert(ctx context.Context, coll string, recs []Record) ([]error, error) {
	return p.eng.Insert(ctx, p.prefix+coll, recs)
}

func (p *prefixed) Replace(ctx context.Context, coll string, rec Record) error {
	return p.eng.Replace(ctx, p.prefix+coll, rec)
}

func (p *prefixed) Delete(ctx context.Context, coll, id string, rev int64) error {
	return p.eng.Delete(ctx, p.prefix+coll, id, rev)
}

func (p *prefixed) Add(ctx context.Context, coll, id string, deltas map[string]int64) error {
	return p.eng.Add(ctx, p.prefix+coll, id, deltas)
}

func (p *prefixed) Changes(ctx context.Context, coll, token string, limit int) ([]Change, string, error) {
	return p.eng.Changes(ctx, p.prefix+coll, token, limit)
}

func (p *prefixed) Wake(coll string) <-chan struct{} { return p.eng.Wake(p.prefix + coll) }

func (p *prefixed) Declare(ctx context.Context, spec Spec) ([]string, error) {
	if p.prefix == "" || spec.Name == "" {
		return nil, errNoName
	}
	return p.eng.Declare(ctx, p.spec(spec))
}

func (p *prefixed) spec(spec Spec) Spec {
	spec.Name = p.prefix + spec.Name
	return spec
}

func (p *prefixed) All(ctx context.Context, coll, after string, limit int) ([]Record, error) {
	return p.eng.All(ctx, p.prefix+coll, after, limit)
}

func (p *prefixed) Reindex(ctx context.Context, coll string, rec Record) error {
	return p.eng.Reindex(ctx, p.prefix+coll, rec)
}

func (p *prefixed) Rebuilt(ctx context.Context, spec Spec, indexes []string) error {
	return p.eng.Rebuilt(ctx, p.spec(spec), indexes)
}

func (p *prefixed) Sweep(ctx context.Context, coll string, limit int) (int, error) {
	return p.eng.Sweep(ctx, p.prefix+coll, limit)
}

func (p *prefixed) Ping(ctx context.Context) error { return p.eng.Ping(ctx) }

// Close closes nothing: see Prefixed.
func (p *prefixed) Close() error { return nil }
