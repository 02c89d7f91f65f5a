package trace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// MaxBatch is how many serials one batch may have.
const MaxBatch = 1_000_000

// Batch is the codes that one request issued. The serial at each position follows from the batch's ID, so that neither needs to be stored to find the
// other: a batch is read, printed and voided by position, and a job that issues it goes on wherever it broke off.
type Batch struct {
	ID       string    `json:"id"`
	Firm     string    `json:"firm"`
	GTIN     gs1.GTIN  `json:"gtin"`
	Lot      string    `json:"lot"`
	Count    int64     `json:"count"`
	Complete bool      `json:"complete"` // all of it is issued
	Created  time.Time `json:"created"`

	Printed []Span `json:"printed,omitempty"` // positions that labels were printed of, in order, apart
	Prints  int64  `json:"prints,omitempty"`  // how often
}

// Span is positions of a batch, from 1 on, both ends included.
type Span struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

var batchDef = store.Def[Batch]{Name: "code_batches", Indexes: []store.Index[Batch]{{
	Name: byFirm, Version: "1", Keys: func(_ string, b *Batch) ([]store.Key, store.Key) {
		return []store.Key{store.K(b.Firm)}, store.K(b.Created)
	},
}}}

// newBatch checks a request to issue codes and describes its batch. The same request with the same idempotency key is the same batch.
func (s *Service) newBatch(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, count int64, idempotencyKey string) (Batch, error) {
	if !f.Owns(g.CompanyDigits()) {
		return Batch{}, fault.New(fault.Forbidden, "not_registrant",
			"firm %s is neither the registrant of the company prefix of %s nor has a grant for it", f.ID, g)
	}
	if _, err := s.Lot(ctx, g, lot); err != nil {
		return Batch{}, err
	}
	if idempotencyKey == "" {
		idempotencyKey = clock.Token(16)
	}
	text := strings.Join([]string{f.ID, string(g), lot, strconv.FormatInt(count, 10), idempotencyKey}, "\x00")
	return Batch{
		ID: s.deps.Hasher.Hash("unit_batch", text)[:26], Firm: f.ID, GTIN: g, Lot: lot, Count: count,
		Created: s.now(),
	}, nil
}

// PlanBatch stores what a job is to issue: a batch of up to MaxBatch codes, of which none is issued yet. FillBatch issues them. Asked again with the same
// idempotency key it gives the same batch. Forbidden, Invalid, NotFound.
func (s *Service) PlanBatch(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, count int64, idempotencyKey string) (Batch, error) {
	if count < 1 || count > MaxBatch {
		return Batch{}, fault.InvalidFields(fault.Field{Pointer: "/count", Code: "range", Detail: fmt.Sprintf("1 to %d", MaxBatch)})
	}
	b, err := s.newBatch(ctx, f, g, lot, count, idempotencyKey)
	if err != nil {
		return b, err
	}
	err = s.batches.Insert(ctx, b.ID, b)
	if errors.Is(err, store.ErrExists) {
		return s.Batch(ctx, f, b.ID)
	}
	return b, err
}

// FillBatch issues the codes of a planned batch from a position on, which begins at 0, and calls step with how many are issued, all of them durable.
// It stops when step fails. Wherever it is cut off, doing a part again issues nothing twice, and the whole is exactly Count codes.
func (s *Service) FillBatch(ctx context.Context, id string, from int64, step func(done int64) error) (Batch, error) {
	b, err := s.batch(ctx, id)
	if err != nil || b.Complete {
		return b, err
	}
	for from < b.Count {
		n := min(store.MaxBatch, b.Count-from)
		if _, err := s.issue(ctx, b, from, n); err != nil {
			return b, err
		}
		from += n
		if err := step(from); err != nil {
			return b, err
		}
	}
	d, err := s.batches.Update(ctx, id, func(b *Batch) error { b.Complete = true; return nil })
	return d.V, err
}

func (s *Service) batch(ctx context.Context, id string) (Batch, error) {
	d, err := s.batches.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Batch{}, errNoBatch(id).Because(err)
	}
	return d.V, err
}

func errNoBatch(id string) *fault.Error {
	return fault.New(fault.NotFound, "batch_not_found", "the firm issued no batch %s", id)
}

// Batch gives a batch of the firm. NotFound.
func (s *Service) Batch(ctx context.Context, f firm.Firm, id string) (Batch, error) {
	b, err := s.batch(ctx, id)
	if err == nil && b.Firm != f.ID {
		return Batch{}, errNoBatch(id)
	}
	return b, err
}

// Batches gives a page of a firm's batches, the newest first. store.ErrBadCursor.
func (s *Service) Batches(ctx context.Context, f firm.Firm, cursor string, limit int) ([]Batch, string, error) {
	p, err := s.batches.Find(ctx, store.Query{Index: byFirm, Eq: store.K(f.ID), Desc: true, Cursor: cursor, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	out := make([]Batch, len(p.Items))
	for i := range p.Items {
		out[i] = p.Items[i].V
	}
	return out, p.Next, nil
}

// EachUnit calls f with the units of a part of a batch, in order, each with its position. It holds no more than a page of them. It stops when f fails.
func (s *Service) EachUnit(ctx context.Context, b Batch, part Span, f func(position int64, u Unit) error) error {
	for at := part.First; at <= part.Last; at += store.MaxBatch {
		ids := make([]string, min(store.MaxBatch, part.Last-at+1))
		for i := range ids {
			ids[i] = unitID(b.GTIN, s.serial(b.ID, at-1+int64(i)))
		}
		units, err := s.units.GetMany(ctx, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			d, ok := units[id]
			if !ok {
				return fmt.Errorf("unit %d of batch %s is missing", at+int64(i), b.ID)
			}
			if err := f(at+int64(i), d.V); err != nil {
				return err
			}
		}
	}
	return nil
}

// part checks a part of a batch: count units from a position on; 0 is all of them from there on. Invalid.
func (b *Batch) part(from, count int64) (Span, error) {
	if count == 0 {
		count = max(b.Count-from+1, 1)
	}
	if from < 1 || count < 1 || from > b.Count || count > b.Count-from+1 {
		return Span{}, fault.New(fault.Malformed, "batch_range", "the batch has positions 1 to %d", b.Count)
	}
	return Span{from, from + count - 1}, nil
}

// VoidBatch withdraws the codes of a part of a firm's batch, as VoidUnit does, and calls step with how many it has done. Those that are void already, or not
// issued, are left as they are. It may be repeated from any step.
func (s *Service) VoidBatch(ctx context.Context, id string, part Span, v Voiding, step func(done int64) error) error {
	b, err := s.batch(ctx, id)
	if err != nil {
		return err
	}
	const perStep = 100
	for at := part.First; at <= part.Last; at += perStep {
		last := min(at+perStep-1, part.Last)
		if err := s.voidPart(ctx, b, Span{at, last}, v); err != nil {
			return err
		}
		if err := step(last - part.First + 1); err != nil {
			return err
		}
	}
	return nil
}

// Part checks which positions of a batch of the firm are meant: count from a position on; 0 is all from there on. NotFound, Malformed.
func (s *Service) Part(ctx context.Context, f firm.Firm, id string, from, count int64) (Batch, Span, error) {
	b, err := s.Batch(ctx, f, id)
	if err != nil {
		return b, Span{}, err
	}
	part, err := b.part(from, count)
	return b, part, err
}

// Ready is nil once all codes are issued: nobody is to print a part of what its job may still be cancelled for. Conflict.
func (b *Batch) Ready() error {
	if !b.Complete {
		return fault.New(fault.Conflict, "batch_incomplete", "the codes of batch %s are not all issued; see its job", b.ID)
	}
	return nil
}
