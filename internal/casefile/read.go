package casefile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

// Record is a case with everything that is kept of it, opened. Of an erased one the texts are empty.
type Record struct {
	View
	Authority string       `json:"authority,omitempty"` // who has the case
	Complaint NewComplaint `json:"complaint"`
	Keep      *time.Time   `json:"keep,omitempty"` // until when the texts are kept; nil while the case is open
}

// Read opens a case for an officer. The caller has checked that it belongs to the officer's authority, and writes the access to the audit
// trail. NotFound (receipt_unknown).
func (s *Service) Read(ctx context.Context, no string) (Record, error) {
	number, ok := parseNumber(no)
	if !ok {
		return Record{}, errNoSuchReceipt()
	}
	d, err := s.cases.Get(ctx, number)
	if errors.Is(err, store.ErrNotFound) {
		return Record{}, errNoSuchReceipt()
	}
	if err != nil {
		return Record{}, fmt.Errorf("read case: %w", err)
	}
	return s.record(ctx, &d.V)
}

// Authority tells who has a case, for the check before Read and Move; "" while nobody has. NotFound (receipt_unknown).
func (s *Service) Authority(ctx context.Context, no string) (string, error) {
	number, ok := parseNumber(no)
	if !ok {
		return "", errNoSuchReceipt()
	}
	d, err := s.cases.Get(ctx, number)
	if errors.Is(err, store.ErrNotFound) {
		return "", errNoSuchReceipt()
	}
	if err != nil {
		return "", fmt.Errorf("read case: %w", err)
	}
	return d.V.Authority, nil
}

func (s *Service) record(ctx context.Context, d *document) (Record, error) {
	v, err := s.view(ctx, d)
	if err != nil {
		return Record{}, err
	}
	r := Record{View: v, Authority: d.Authority, Complaint: NewComplaint{
		Kind: d.Kind, GTIN: d.GTIN, Lot: d.Lot, Serial: d.Serial, Lang: d.Lang, Class: d.Class, Stage: d.Stage, Place: d.Place,
	}}
	if !d.Keep.IsZero() {
		keep := d.Keep
		r.Keep = &keep
	}
	for _, t := range r.Complaint.pairs(&d.Texts) {
		*t.plain, err = s.text(ctx, d, t.field, *t.sealed)
		if errors.Is(err, privacy.ErrErased) {
			r.Erased = true
			continue
		}
		if err != nil {
			return Record{}, err
		}
	}
	return r, nil
}

// Queue gives the cases of an authority that stand at a step, or all its open ones for "", the oldest first: those whose clocks press.
// The authority "" has the cases that nobody has taken. limit is 1 to 100, default 20. Nothing is opened: the views have no notes. Malformed
// (bad_cursor).
func (s *Service) Queue(ctx context.Context, authority, status, cursor string, limit int) (views []View, next string, err error) {
	if limit <= 0 {
		limit = 20
	}
	p, err := s.cases.Find(ctx, store.Query{Index: indexQueue, Eq: store.K(authority, status), Limit: min(limit, 100), Cursor: cursor})
	if errors.Is(err, store.ErrBadCursor) {
		return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list cases: %w", err)
	}
	for i := range p.Items {
		views = append(views, s.outline(&p.Items[i].V))
	}
	return views, p.Next, nil
}
