package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"slices"
)

// Query names a declared index, an equality tuple and, if wanted, a range of the order tuple.
type Query struct {
	Index    string
	Eq       Key
	Or       []Key // more equality tuples: what is under any of them is found, each document once, in one order
	From, To Key   // [From, To) of the order tuple
	Desc     bool
	Limit    int    // default 50, at most MaxBatch
	Cursor   string // opaque, from the page before
}

// Page is one page; Next is "" on the last.
type Page[T any] struct {
	Items []Doc[T]
	Next  string
}

// Find gives a page of documents. ErrBadCursor.
func (c *Collection[T]) Find(ctx context.Context, q Query) (Page[T], error) {
	hits, next, err := c.scan(ctx, q, false)
	if err != nil {
		return Page[T]{}, err
	}
	p := Page[T]{Items: make([]Doc[T], 0, len(hits)), Next: next}
	for _, h := range hits {
		d, err := c.doc(*h.Record)
		if err != nil {
			return Page[T]{}, err
		}
		p.Items = append(p.Items, d)
	}
	return p, nil
}

// Keys gives a page of positions without reading documents. ErrBadCursor.
func (c *Collection[T]) Keys(ctx context.Context, q Query) ([]Position, string, error) {
	hits, next, err := c.scan(ctx, q, true)
	if err != nil {
		return nil, "", err
	}
	out := make([]Position, len(hits))
	for i, h := range hits {
		out[i] = h.Position
	}
	return out, next, nil
}

func (c *Collection[T]) scan(ctx context.Context, q Query, keysOnly bool) ([]Hit, string, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, MaxBatch-1)
	after, err := decodeCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	scan := Scan{Index: q.Index, Eq: q.Eq, From: q.From, To: q.To, Desc: q.Desc, Limit: limit + 1, After: after}
	hits, err := c.eng.Scan(ctx, c.def.Name, scan, keysOnly)
	if err != nil {
		return nil, "", err
	}
	for _, eq := range q.Or {
		scan.Eq = eq
		more, err := c.eng.Scan(ctx, c.def.Name, scan, keysOnly)
		if err != nil {
			return nil, "", err
		}
		hits = append(hits, more...)
	}
	if len(q.Or) > 0 {
		hits = inOneOrder(hits, q.Desc)
	}
	next := ""
	if len(hits) > limit {
		hits = hits[:limit]
		next = encodeCursor(hits[limit-1].Position)
	}
	return hits, next, nil
}

// inOneOrder sorts the hits of several scans. A cursor is a position, which means the same under every equality tuple, so the page
// after it is cut from the scans alike.
func inOneOrder(hits []Hit, desc bool) []Hit {
	slices.SortFunc(hits, func(a, b Hit) int {
		c := cmp.Or(bytes.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
		if desc {
			return -c
		}
		return c
	})
	return slices.CompactFunc(hits, func(a, b Hit) bool { return a.ID == b.ID && bytes.Equal(a.Order, b.Order) })
}

// Each calls f for every document that the query finds, page by page, until f fails. Cursor and Limit of q are not used.
func (c *Collection[T]) Each(ctx context.Context, q Query, f func(Doc[T]) error) error {
	q.Limit, q.Cursor = 500, ""
	for {
		p, err := c.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, d := range p.Items {
			if err := f(d); err != nil {
				return err
			}
		}
		if p.Next == "" {
			return nil
		}
		q.Cursor = p.Next
	}
}

// Count counts what is found under q.Eq, stopping at limit; q.Or is not used, since a document may be under several tuples.
func (c *Collection[T]) Count(ctx context.Context, q Query, limit int) (int, error) {
	return c.eng.Count(ctx, c.def.Name, Scan{Index: q.Index, Eq: q.Eq, From: q.From, To: q.To}, limit)
}

// All walks every document in ID order: for rebuilds and exports only, never for an answer.
func (c *Collection[T]) All(ctx context.Context, f func(Doc[T]) error) error {
	after := ""
	for {
		recs, err := c.eng.All(ctx, c.def.Name, after, MaxBatch)
		if err != nil || len(recs) == 0 {
			return err
		}
		for _, r := range recs {
			after = r.ID
			d, err := c.doc(r)
			if err != nil {
				return err
			}
			if err := f(d); err != nil {
				return err
			}
		}
	}
}

func encodeCursor(p Position) string {
	b := K(string(p.Order))
	return base64.RawURLEncoding.EncodeToString(append(b, p.ID...))
}

func decodeCursor(s string) (*Position, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no cursor is the beginning
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 3 || b[0] != tagString {
		return nil, ErrBadCursor
	}
	var order Key
	for i := 1; i+1 < len(b); i++ {
		if b[i] != 0 {
			order = append(order, b[i])
			continue
		}
		if b[i+1] == 1 {
			return &Position{Order: order, ID: string(b[i+2:])}, nil
		}
		if b[i+1] != 0xFF {
			return nil, ErrBadCursor
		}
		order = append(order, 0)
		i++
	}
	return nil, ErrBadCursor
}
