// Package notice keeps the alerts of foreign authorities: searchable, shown where a GTIN matches, without a level of ours, and
// never pushed to anybody.
package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Notice is one foreign alert. What was read out of its cells stands beside Original, which is kept as it came.
type Notice struct {
	ID          string          `json:"id"`     // "{source}/{number}"
	Source      string          `json:"source"` // SafetyGate or CAP
	Number      string          `json:"number"` // the authority's own
	Title       string          `json:"title"`
	Product     string          `json:"product,omitempty"` // description of the product
	Brand       string          `json:"brand,omitempty"`
	Category    string          `json:"category,omitempty"` // in the authority's words
	Risk        string          `json:"risk,omitempty"`     // in the authority's words
	Country     string          `json:"country,omitempty"`  // of origin, in the authority's words
	GTINs       []string        `json:"gtins,omitempty"`
	BadBarcodes []string        `json:"bad_barcodes,omitempty"` // what stood among the barcodes and is no GTIN, as it was written
	Batches     []string        `json:"batches,omitempty"`      // as they were written
	Lang        string          `json:"lang,omitempty"`         // of the texts; empty: en
	Original    json.RawMessage `json:"original"`
	Imported    time.Time       `json:"imported"` // when this state was first seen
	Rev         int64           `json:"-"`        // grows with every change; 1 for the first

	// Of messages that are about one another, as CAP's are.
	Reference    string   `json:"reference,omitempty"`     // how others name it
	References   []string `json:"references,omitempty"`    // what it replaces or withdraws
	Cancels      bool     `json:"cancels,omitempty"`       // it withdraws, and says nothing else
	SupersededBy string   `json:"superseded_by,omitempty"` // ID of the notice that replaced or withdrew it
}

// SafetyGate is the source of the alerts of the EU Safety Gate.
const SafetyGate = "safety-gate"

// CAP is the source of messages of the Common Alerting Protocol, whoever sent them.
const CAP = "cap"

// hidden notices are on no list: they were replaced or withdrawn, or do nothing but withdraw.
func (n *Notice) hidden() bool { return n.SupersededBy != "" || n.Cancels }

const (
	indexGTIN      = "gtin"
	indexNew       = "new"
	indexReference = "reference"
)

func def() store.Def[Notice] {
	return store.Def[Notice]{
		Name: "notices",
		Feed: true,
		Indexes: []store.Index[Notice]{
			{Name: indexGTIN, Version: "2", Keys: func(_ string, n *Notice) ([]store.Key, store.Key) {
				if n.hidden() {
					return nil, nil
				}
				var eq []store.Key
				for _, g := range n.GTINs {
					eq = append(eq, store.K(g))
				}
				return eq, store.K(n.Imported)
			}},
			{Name: indexNew, Version: "2", Keys: func(_ string, n *Notice) ([]store.Key, store.Key) {
				if n.hidden() {
					return nil, nil
				}
				return []store.Key{store.K(n.Source)}, store.K(n.Imported)
			}},
			{Name: indexReference, Version: "1", Keys: func(_ string, n *Notice) ([]store.Key, store.Key) {
				var eq []store.Key
				for _, r := range n.References {
					eq = append(eq, store.K(r))
				}
				return eq, nil
			}},
		},
	}
}

// Service imports and finds notices. It is safe for concurrent use.
type Service struct {
	notices *store.Collection[Notice]
	now     clock.Now
}

// Open opens the collection.
func Open(ctx context.Context, eng store.Engine, now clock.Now) (*Service, error) {
	c, err := store.Open(ctx, eng, def())
	if err != nil {
		return nil, err
	}
	return &Service{notices: c, now: now}, nil
}

// maxPerGTIN bounds what is shown for one product.
const maxPerGTIN = 50

// Notices gives the notices about a product, the newest import first, at most 50.
func (s *Service) Notices(ctx context.Context, g gs1.GTIN) ([]Notice, error) {
	p, err := s.notices.Find(ctx, store.Query{Index: indexGTIN, Eq: store.K(string(g)), Desc: true, Limit: maxPerGTIN})
	if err != nil {
		return nil, fmt.Errorf("notices about %s: %w", g, err)
	}
	return withRevs(p.Items), nil
}

// Get gives one notice. NotFound.
func (s *Service) Get(ctx context.Context, id string) (Notice, error) {
	d, err := s.notices.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Notice{}, fault.New(fault.NotFound, "notice_unknown", "there is no notice %s", id).Because(err)
	}
	if err != nil {
		return Notice{}, err
	}
	d.V.Rev = d.Rev
	return d.V, nil
}

// GetMany gives those notices that are on the lists, by ID.
func (s *Service) GetMany(ctx context.Context, ids []string) (map[string]Notice, error) {
	docs, err := s.notices.GetMany(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	out := make(map[string]Notice, len(docs))
	for id, d := range docs {
		if !d.V.hidden() {
			d.V.Rev = d.Rev
			out[id] = d.V
		}
	}
	return out, nil
}

// List gives a source's notices, the newest import first. limit is 1 to 100, default 20. Malformed (bad_cursor).
func (s *Service) List(ctx context.Context, source, cursor string, limit int) (notices []Notice, next string, err error) {
	if limit <= 0 {
		limit = 20
	}
	p, err := s.notices.Find(ctx, store.Query{Index: indexNew, Eq: store.K(source), Desc: true, Limit: min(limit, 100), Cursor: cursor})
	if errors.Is(err, store.ErrBadCursor) {
		return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list notices: %w", err)
	}
	return withRevs(p.Items), p.Next, nil
}

func withRevs(docs []store.Doc[Notice]) []Notice {
	out := make([]Notice, len(docs))
	for i, d := range docs {
		out[i] = d.V
		out[i].Rev = d.Rev
	}
	return out
}

// Changes follows the notices, for projections; see store.Feeder. One that was taken off the lists is given as deleted.
func (s *Service) Changes(ctx context.Context, token string, limit int) ([]store.Changed[Notice], string, error) {
	changes, next, err := s.notices.Changes(ctx, token, limit)
	for i := range changes {
		changes[i].V.Rev = changes[i].Rev
		changes[i].Deleted = changes[i].Deleted || changes[i].V.hidden()
	}
	return changes, next, err
}

// Wake is told soon after this process changed a notice.
func (s *Service) Wake() <-chan struct{} { return s.notices.Wake() }

// All walks every notice that is on the lists, for rebuilds.
func (s *Service) All(ctx context.Context, f func(Notice) error) error {
	return s.notices.All(ctx, func(d store.Doc[Notice]) error {
		if d.V.hidden() {
			return nil
		}
		d.V.Rev = d.Rev
		return f(d.V)
	})
}
