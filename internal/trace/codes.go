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

// MaxCodes is how many serials one request may issue.
const MaxCodes = 10_000

// serialLen is the length of an issued serial: 16 characters of base32 are 80 bits, which nobody guesses.
const serialLen = 16

// IssueCodes issues count unguessable serials for a lot. With an idempotency key a repeated request gives the same serials: they are
// derived from the key, so a request that died in the middle is completed by its repetition. Only the registrant of the
// company prefix or a firm with a grant may issue. Forbidden, Invalid, NotFound.
func (s *Service) IssueCodes(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, count int, idempotencyKey string) ([]Unit, error) {
	if count < 1 || count > MaxCodes {
		return nil, fault.InvalidFields(fault.Field{Pointer: "/count", Code: "range", Detail: fmt.Sprintf("1 to %d", MaxCodes)})
	}
	if !f.Owns(g.CompanyDigits()) {
		return nil, fault.New(fault.Forbidden, "not_registrant",
			"firm %s is neither the registrant of the company prefix of %s nor has a grant for it", f.ID, g)
	}
	if _, err := s.Lot(ctx, g, lot); err != nil {
		return nil, err
	}
	if idempotencyKey == "" {
		idempotencyKey = clock.Token(16)
	}
	batch := s.deps.Hasher.Hash("unit_batch", strings.Join([]string{f.ID, string(g), lot, strconv.Itoa(count), idempotencyKey}, "\x00"))[:26]
	now := s.now().UTC().Truncate(time.Millisecond)
	units := make([]Unit, count)
	items := make([]store.Item[Unit], count)
	for i := range units {
		serial := s.deps.Hasher.Hash("unit_serial", fmt.Sprintf("%s/%d", batch, i))[:serialLen]
		units[i] = Unit{GTIN: g, Serial: serial, Lot: lot, Firm: f.ID, State: UnitIssued, Batch: batch, Issued: now}
		items[i] = store.Item[Unit]{ID: unitID(g, serial), V: units[i]}
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
			if d.V.Batch != batch {
				return nil, fmt.Errorf("serial %s was issued by another request", items[i].ID)
			}
			units[i] = d.V
		default:
			return nil, err
		}
	}
	return units, nil
}

func unitID(g gs1.GTIN, serial string) string { return string(g) + "/" + serial }

// Unit gives an issued unit. NotFound.
func (s *Service) Unit(ctx context.Context, g gs1.GTIN, serial string) (Unit, error) {
	d, err := s.units.Get(ctx, unitID(g, serial))
	if errors.Is(err, store.ErrNotFound) {
		return Unit{}, fault.New(fault.NotFound, "unit_not_found", "no unit %s of product %s was issued here", serial, g).Because(err)
	}
	return d.V, err
}

// VoidUnit withdraws the code of a unit of the firm. It may be repeated. NotFound.
func (s *Service) VoidUnit(ctx context.Context, f firm.Firm, g gs1.GTIN, serial string) error {
	none := fault.New(fault.NotFound, "unit_not_found", "firm %s issued no unit %s of product %s", f.ID, serial, g)
	_, err := s.units.Update(ctx, unitID(g, serial), func(u *Unit) error {
		if u.Firm != f.ID {
			return none
		}
		u.State = UnitVoid
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return none.Because(err)
	}
	s.chains.touch(node(gs1.Ref{GTIN: g, Serial: serial}))
	return err
}
