package trace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// MaxCodes is how many serials one request may issue at once; beyond it, up to MaxBatch, it takes a job.
const MaxCodes = 10_000

// serialLen is the length of an issued serial: 16 characters of base32 are 80 bits, which nobody guesses.
const serialLen = 16

// IssueCodes issues count unguessable serials for a lot, as a batch. With an idempotency key a repeated request gives the same serials: they are
// derived from the key, so a request that died in the middle is completed by its repetition. Only the registrant of the
// company prefix or a firm with a grant may issue. Forbidden, Invalid, NotFound.
func (s *Service) IssueCodes(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, count int, idempotencyKey string) ([]Unit, error) {
	if count < 1 || count > MaxCodes {
		return nil, fault.InvalidFields(fault.Field{Pointer: "/count", Code: "range", Detail: fmt.Sprintf("1 to %d", MaxCodes)})
	}
	b, err := s.newBatch(ctx, f, g, lot, int64(count), idempotencyKey)
	if err != nil {
		return nil, err
	}
	units := make([]Unit, 0, count)
	for from := int64(0); from < b.Count; from += store.MaxBatch {
		page, err := s.issue(ctx, b, from, min(store.MaxBatch, b.Count-from))
		if err != nil {
			return nil, err
		}
		units = append(units, page...)
	}
	b.Complete = true
	if err := s.batches.Insert(ctx, b.ID, b); err != nil && !errors.Is(err, store.ErrExists) {
		return nil, err
	}
	return units, nil
}

// issue stores some units of a batch, from the position from (which begins at 0) on, and gives all of them as they are stored. Doing it twice does no harm: what
// is stored follows from the batch and the position.
func (s *Service) issue(ctx context.Context, b Batch, from, count int64) ([]Unit, error) {
	units := make([]Unit, count)
	items := make([]store.Item[Unit], count)
	for i := range units {
		serial := s.serial(b.ID, from+int64(i))
		units[i] = Unit{GTIN: b.GTIN, Serial: serial, Lot: b.Lot, Firm: b.Firm, State: UnitIssued, Batch: b.ID, Issued: b.Created}
		items[i] = store.Item[Unit]{ID: unitID(b.GTIN, serial), V: units[i]}
	}
	errs, err := s.units.InsertMany(ctx, items)
	if err != nil {
		return nil, err
	}
	there, err := existing(ctx, s.units, items, errs)
	if err != nil {
		return nil, err
	}
	for i, err := range errs {
		switch {
		case err == nil:
			s.chains.touch(node(units[i].Ref()))
		case errors.Is(err, store.ErrExists):
			// The repetition of a request; 80 bits do not collide with another's.
			d := there[items[i].ID]
			if d.V.Batch != b.ID {
				return nil, fmt.Errorf("serial %s was issued by another request", items[i].ID)
			}
			units[i] = d.V
		default:
			return nil, err
		}
	}
	return units, nil
}

// serial is the serial at a position of a batch, from 0 on. Nobody without the keys of the installation can tell one from the others.
func (s *Service) serial(batch string, position int64) string {
	return s.deps.Hasher.Hash("unit_serial", fmt.Sprintf("%s/%d", batch, position))[:serialLen]
}

func unitID(g gs1.GTIN, serial string) string { return string(g) + "/" + serial }

// Unit gives an issued unit. NotFound.
func (s *Service) Unit(ctx context.Context, g gs1.GTIN, serial string) (Unit, error) {
	d, err := s.units.Get(ctx, unitID(g, serial))
	if errors.Is(err, store.ErrNotFound) {
		return Unit{}, ErrNoUnit(g, serial).Because(err)
	}
	return d.V, err
}

// ErrNoUnit says that no such unit was issued here.
func ErrNoUnit(g gs1.GTIN, serial string) *fault.Error {
	return fault.New(fault.NotFound, "unit_not_found", "no unit %s of product %s was issued here", serial, g)
}

// StateOf is where a unit's code stands. That it is active is nowhere stored: it follows from the events, when it is asked for, so that no event can be
// captured without it.
func (s *Service) StateOf(ctx context.Context, u Unit) (UnitState, error) {
	if u.State == UnitVoid {
		return UnitVoid, nil
	}
	c, err := s.chain(ctx, u.Ref())
	if err != nil {
		return "", err
	}
	switch {
	case c.void():
		return UnitVoid, nil
	case c.commissioned:
		return UnitActive, nil
	}
	return UnitIssued, nil
}

// Voiding says when a code was withdrawn, by whom (the credentials' name in the audit trail) and why.
type Voiding struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// VoidUnit withdraws the code of a unit of the firm, for good. Repeated, it changes nothing: the first reason stands. It gives the unit as it was before and
// as it is now. NotFound.
func (s *Service) VoidUnit(ctx context.Context, f firm.Firm, g gs1.GTIN, serial string, v Voiding) (before, after Unit, err error) {
	none := fault.New(fault.NotFound, "unit_not_found", "firm %s issued no unit %s of product %s", f.ID, serial, g)
	d, err := s.units.Update(ctx, unitID(g, serial), func(u *Unit) error {
		if u.Firm != f.ID {
			return none
		}
		before = *u
		if u.State == UnitVoid {
			return errNoChange
		}
		void(u, v)
		return nil
	})
	switch {
	case errors.Is(err, errNoChange):
		return before, before, nil
	case errors.Is(err, store.ErrNotFound):
		return before, after, none.Because(err)
	case err != nil:
		return before, after, err
	}
	s.chains.touch(node(gs1.Ref{GTIN: g, Serial: serial}))
	return before, d.V, nil
}

// errNoChange stops an update that would change nothing.
var errNoChange = errors.New("trace: nothing to change")

// void makes a unit void.
func void(u *Unit, v Voiding) {
	v.At, v.Reason = v.At.UTC().Truncate(time.Millisecond), strings.TrimSpace(v.Reason)
	u.State, u.Voided = UnitVoid, &v
}
