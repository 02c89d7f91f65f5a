package casefile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

// File files a complaint; it is durable when File returns. A retry with the same idempotency key and the same content, within 7 days,
// gets the same receipt, secret included. "" is no idempotency key: every call then files anew.
//
// Invalid with pointers into the complaint; Conflict (idempotency_key_reused) when the key came with another content.
func (s *Service) File(ctx context.Context, c NewComplaint, idempotencyKey string) (Receipt, error) {
	if err := c.normalize(); err != nil {
		return Receipt{}, err
	}
	if len(idempotencyKey) > maxKey {
		return Receipt{}, fault.New(fault.Malformed, "idempotency_key_too_long", "an Idempotency-Key has at most %d bytes", maxKey)
	}
	if idempotencyKey == "" {
		idempotencyKey = clock.Token(20)
	}
	content, err := json.Marshal(c)
	if err != nil {
		return Receipt{}, fmt.Errorf("encode complaint: %w", err)
	}
	claimID := s.hasher.Hash("casefile/idempotency", idempotencyKey)
	filed := s.time()
	mine := claim{Digest: s.hasher.Hash("casefile/digest", string(content)), Filed: filed, Ends: filed.Add(claimFor)}
	mine.No = newNumber(filed, s.token())
	err = s.claims.Insert(ctx, claimID, mine)
	if errors.Is(err, store.ErrExists) {
		d, err := s.claims.Get(ctx, claimID)
		if err != nil {
			return Receipt{}, fmt.Errorf("read claim: %w", err)
		}
		if d.V.Digest != mine.Digest {
			return Receipt{}, fault.New(fault.Conflict, "idempotency_key_reused", "this Idempotency-Key was used for another complaint")
		}
		mine = d.V
	} else if err != nil {
		return Receipt{}, fmt.Errorf("insert claim: %w", err)
	}
	return s.fulfil(ctx, c, claimID, mine, idempotencyKey)
}

// maxNumbers bounds the search for a free number; among 2^30 a day even a second try is rare.
const maxNumbers = 20

// fulfil stores the case that a claim stands for, unless an earlier try has. Where the number belongs to another case the claim takes
// another one first, so that concurrent tries of one request agree.
func (s *Service) fulfil(ctx context.Context, c NewComplaint, claimID string, cl claim, key string) (Receipt, error) {
	for range maxNumbers {
		stored, err := s.cases.Get(ctx, cl.No)
		switch {
		case err == nil && stored.V.Claim == claimID:
			d := &stored.V
			return Receipt{No: d.No, Secret: s.secretFor(d.No, key), Filed: d.Filed, Clocks: s.clocks(d)}, nil
		case err == nil:
			if cl, err = s.renumber(ctx, claimID, cl.No); err != nil {
				return Receipt{}, err
			}
			continue
		case !errors.Is(err, store.ErrNotFound):
			return Receipt{}, fmt.Errorf("read case: %w", err)
		}
		d, err := s.document(ctx, c, cl, claimID, s.secretFor(cl.No, key))
		if err != nil {
			return Receipt{}, err
		}
		// Whether this try stored it, or another one meanwhile, the next look tells.
		if err := s.cases.Insert(ctx, cl.No, d); err != nil && !errors.Is(err, store.ErrExists) {
			return Receipt{}, fmt.Errorf("insert case: %w", err)
		}
	}
	return Receipt{}, fmt.Errorf("no free receipt number after %d tries", maxNumbers)
}

func (s *Service) renumber(ctx context.Context, claimID, taken string) (claim, error) {
	d, err := s.claims.Update(ctx, claimID, func(c *claim) error {
		if c.No == taken {
			c.No = newNumber(c.Filed, s.token())
		}
		return nil
	})
	if err != nil {
		return claim{}, fmt.Errorf("renumber claim: %w", err)
	}
	return d.V, nil
}

// secretFor computes the secret; see the package comment.
func (s *Service) secretFor(no, idempotencyKey string) string {
	return newSecret([]byte(s.hasher.Hash("casefile/secret", no+"\n"+idempotencyKey)))
}

func (s *Service) secretHash(no, secret string) string {
	return s.hasher.Hash("casefile/secret-hash", no+"\n"+plainSecret(secret))
}

// document makes the document of a complaint.
func (s *Service) document(ctx context.Context, c NewComplaint, cl claim, claimID, secret string) (document, error) {
	d := document{
		No: cl.No, Kind: c.Kind, Filed: cl.Filed, Lang: c.Lang, GTIN: c.GTIN, Lot: c.Lot, Serial: c.Serial,
		Class: c.Class, Stage: c.Stage, Place: c.Place, Claim: claimID,
		Secret: s.secretHash(cl.No, secret), Steps: []step{{Kind: StepFiled, At: cl.Filed}},
	}
	var err error
	if d.Authority, err = s.competent(ctx, &d); err != nil {
		return document{}, err
	}
	for _, t := range c.pairs(&d.Texts) {
		if *t.plain == "" {
			continue
		}
		sealed, err := s.vault.Seal(ctx, record(d.No), t.field, []byte(*t.plain))
		if err != nil {
			return document{}, fmt.Errorf("complaint %s: %w", d.No, err)
		}
		*t.sealed = privacy.Sealed(sealed)
	}
	return d, nil
}

// competent gives the authority that a case belongs to; "" where nobody is known to be competent: then whoever takes the first step has it.
func (s *Service) competent(ctx context.Context, d *document) (string, error) {
	if s.authorities == nil {
		return "", nil
	}
	id, err := s.authorities.Competent(ctx, d.Class, d.Stage, d.Place, d.Filed)
	if fault.KindOf(err) == fault.NotFound {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("competent authority: %w", err)
	}
	return id, nil
}

// clocks gives the clocks that run for the authority that has the case.
func (s *Service) clocks(d *document) []deadline.Clock {
	events := make([]deadline.Event, len(d.Steps))
	for i, st := range d.Steps {
		events[i] = deadline.Event{Kind: st.Kind, At: st.At}
	}
	return s.rules.Clocks(d.Kind, d.Authority, events, s.time())
}
