package trace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Outcome is what saving a record did, or would do.
type Outcome string

// The outcomes.
const (
	New       Outcome = "new"
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged" // it was there, word for word; nothing was written
)

// SaveProduct is PutProduct that says what it did; dry says what it would do, and writes nothing. Invalid.
func (s *Service) SaveProduct(ctx context.Context, f firm.Firm, p Product, dry bool) (stored Product, o Outcome, err error) {
	p.Firm, p.Updated = f.ID, s.now()
	if err := p.validate(); err != nil {
		return p, "", err
	}
	stored, o, err = save(ctx, s.products, string(p.GTIN)+"/"+f.ID, p, dry, func(p *Product) *time.Time { return &p.Updated })
	if !dry {
		s.chains.touch(node(gs1.Ref{GTIN: p.GTIN}))
	}
	return stored, o, err
}

// SaveLot is PutLot that says what it did; dry says what it would do, and writes nothing. Invalid, NotFound.
func (s *Service) SaveLot(ctx context.Context, f firm.Firm, l Lot, dry bool) (stored Lot, o Outcome, err error) {
	l.Firm, l.Updated = f.ID, s.now()
	if err := l.validate(); err != nil {
		return l, "", err
	}
	known, _, err := s.products.Keys(ctx, store.Query{Index: byGTIN, Eq: store.K(string(l.GTIN)), Limit: 1})
	if err != nil {
		return l, "", err
	}
	if len(known) == 0 {
		return l, "", errNoProduct(l.GTIN)
	}
	stored, o, err = save(ctx, s.lots, string(l.GTIN)+"/"+l.Lot+"/"+f.ID, l, dry, func(l *Lot) *time.Time { return &l.Updated })
	if !dry {
		s.chains.touch(node(gs1.Ref{GTIN: l.GTIN, Lot: l.Lot}))
	}
	return stored, o, err
}

// errSame ends an update that would change nothing.
var errSame = errors.New("the record is the same")

// save stores v under id unless the same is there; updated, when it was changed last, makes no difference.
func save[T any](ctx context.Context, c *store.Collection[T], id string, v T, dry bool, updated func(*T) *time.Time) (stored T, o Outcome, err error) {
	change := func(old *T) error {
		compared := v
		*updated(&compared) = *updated(old)
		same, err := alike(*old, compared)
		if err != nil {
			return err
		}
		if same {
			stored = *old
			return errSame
		}
		*old = v
		return nil
	}
	stored = v
	d, err := c.Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound) && dry:
		return v, New, nil
	case errors.Is(err, store.ErrNotFound):
		if err = c.Insert(ctx, id, v); err == nil {
			return v, New, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return v, "", err
		}
		_, err = c.Upsert(ctx, id, change)
	case err != nil:
		return v, "", err
	default:
		// Most of a repeated import is there already: what Get gave saves Update a second reading of it.
		if err = change(&d.V); err == nil && !dry {
			_, err = c.Upsert(ctx, id, change)
		}
	}
	if errors.Is(err, errSame) {
		return stored, Unchanged, nil
	}
	return stored, Changed, err
}

// alike says whether two records are stored as the same text.
func alike[T any](a, b T) (bool, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return bytes.Equal(x, y), err
}

// CheckForeignCodes says what PutForeignCodes would do, and stores nothing: added is how many codes are new.
func (s *Service) CheckForeignCodes(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, codes []ForeignCode) (added int, err error) {
	items, err := s.foreignItems(ctx, f, g, lot, codes)
	if err != nil {
		return 0, err
	}
	ids := make([]string, len(items))
	for i := range items {
		ids[i] = items[i].ID
	}
	there, err := s.foreign.GetMany(ctx, ids)
	if err != nil {
		return 0, err
	}
	errs := make([]error, len(items))
	for i := range items {
		if _, ok := there[items[i].ID]; ok {
			errs[i] = store.ErrExists
		} else {
			there[items[i].ID] = store.Doc[ForeignCode]{ID: items[i].ID, V: items[i].V} // for the same code again in this list
		}
	}
	return settle(items, there, errs)
}

// CheckCapture says what Capture would do, and stores nothing. Its errors are Capture's, but for those of size.
func (s *Service) CheckCapture(ctx context.Context, f firm.Firm, doc *epcis.Document) (CaptureResult, error) {
	if len(doc.Events) == 0 {
		return CaptureResult{}, errNoEvents(doc)
	}
	res := CaptureResult{CaptureID: captureID(f, doc.Events), Events: make([]Captured, len(doc.Events))}
	_, err := s.sift(ctx, f, doc.Events, doc.Pointer, &res)
	return res, err
}

func errNoEvents(doc *epcis.Document) error {
	return fault.InvalidFields(fault.Field{Pointer: doc.ListPointer(), Code: "empty", Detail: "there is no event to capture"})
}
