package alert

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// The late worker follows four feeds: holdings, scans by devices, subscriptions, and edges of the trace graph. What is written after
// a message's fan-out is done is matched against the warnings in force, and the device gets its delivery then. What is written
// before belongs to the closing pass; so a change that meets a fan-out which is not done waits for it.

// errWait says that a change must wait for a fan-out.
var errWait = errors.New("alert: a fan-out is not done yet")

// subscriptionGrace is how long before a subscription a message may have been published for the subscription to count: only as long as one
// written at the moment of publication can have been on its way. Whoever subscribes later has the list of warnings to read, and is
// not flooded with it.
const subscriptionGrace = 30 * time.Second

const feedPage = 200

// feed reads one page behind a token: how to handle it, and the token after it, which is the old one when there is nothing.
type feed func(ctx context.Context, token string) (handle func(ctx context.Context) error, next string, err error)

// feeds are the feeds by the name of their mark.
func (s *Service) feeds() map[string]feed {
	return map[string]feed{
		"holdings":  follow(s.Consumers.HoldingChanges, s.lateHolding),
		"exposures": follow(s.Consumers.ExposureChanges, s.lateExposure),
		"devices":   follow(s.Consumers.DeviceChanges, s.lateDevice),
		"made": func(ctx context.Context, token string) (func(ctx context.Context) error, string, error) {
			made, next, err := s.Graph.MadeChanges(ctx, token, feedPage)
			return func(ctx context.Context) error { return s.lateMade(ctx, made) }, next, err
		},
	}
}

// follow makes a feed of a collection's changes.
func follow[T any](
	changes func(ctx context.Context, token string, limit int) ([]store.Changed[T], string, error),
	handle func(ctx context.Context, v T) error,
) feed {
	return func(ctx context.Context, token string) (func(ctx context.Context) error, string, error) {
		page, next, err := changes(ctx, token, feedPage)
		return func(ctx context.Context) error {
			for _, ch := range page {
				if ch.Deleted {
					continue
				}
				if err := handle(ctx, ch.V); err != nil {
					return err
				}
			}
			return nil
		}, next, err
	}
}

// catchUp handles a feed to its end.
func (s *Service) catchUp(ctx context.Context, name string, f feed) error {
	for {
		more, err := s.lateStep(ctx, name, f)
		if !more || err != nil {
			return err
		}
	}
}

// lateStep handles one page of a feed and remembers how far it came. It says whether there may be more. The lease is taken for a page
// that holds something only: an idle feed costs no write.
func (s *Service) lateStep(ctx context.Context, name string, f feed) (more bool, err error) {
	// A message that the matcher does not know yet was published less than closingDelay ago, so its closing pass is still to come.
	if !s.InForce.Confirm(ctx) {
		return false, nil
	}
	token, err := s.mark(ctx, name)
	if err != nil {
		return false, err
	}
	handle, next, err := f(ctx, token)
	if errors.Is(err, store.ErrBadCursor) { // the feed has forgotten where this was: from the beginning, which tells nobody twice
		handle, next, err = f(ctx, "")
	}
	if err != nil || next == token {
		return false, err
	}
	held, ok, err := s.Leases.Try(ctx, "late/"+name)
	if err != nil || !ok {
		return false, err
	}
	defer func() { _ = held.Release(context.WithoutCancel(ctx)) }() // ends with its term otherwise
	now, err := s.mark(ctx, name)
	if err != nil || now != token {
		return true, err // another process has just handled the page
	}
	err = handle(ctx)
	if errors.Is(err, errWait) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = s.marks.Upsert(ctx, name, func(m *mark) error {
		if m.Fence > held.Fence {
			return errFenced
		}
		m.Token, m.Fence = next, held.Fence
		return nil
	})
	if errors.Is(err, errFenced) {
		return false, nil
	}
	return err == nil, err
}

// mark gives how far a feed was handled; "" is the beginning.
func (s *Service) mark(ctx context.Context, name string) (token string, err error) {
	d, err := s.marks.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return d.V.Token, err
}

func (s *Service) lateHolding(ctx context.Context, h consumer.Holding) error {
	sub, err := s.subject(ctx, gs1.Ref{GTIN: h.GTIN, Lot: h.Lot, Serial: h.Serial}, h.Produced)
	if err != nil {
		return err
	}
	return s.lateMatches(ctx, h.Device, sub, Reason{Code: ReasonHolding, GTIN: string(h.GTIN), Lot: h.Lot, Serial: h.Serial})
}

func (s *Service) lateExposure(ctx context.Context, x consumer.Exposure) error {
	sub, err := s.subject(ctx, x.Ref(), "")
	if err != nil {
		return err
	}
	return s.lateMatches(ctx, x.Device, sub, Reason{Code: ReasonScan, GTIN: string(x.GTIN), Lot: x.Lot, Serial: x.Serial})
}

func (s *Service) lateMatches(ctx context.Context, device string, sub warning.Subject, r Reason) error {
	for _, m := range s.InForce.Match(nil, sub) {
		r.Certain = m.Certain
		if err := s.late(ctx, m.Warning.ID(), device, r); err != nil {
			return err
		}
	}
	return nil
}

// late tells a device of a message whose fan-out is done.
func (s *Service) late(ctx context.Context, id, device string, r Reason) error {
	m, err := s.Warnings.Message(ctx, id) // the matcher's copy may be behind in its fan-out
	if err != nil {
		return err
	}
	if m.Fanout.Phase != warning.FanoutDone {
		return errWait
	}
	return s.tellLate(ctx, &m, device, []Reason{r})
}

func (s *Service) lateDevice(ctx context.Context, d consumer.Device) error {
	for _, m := range s.InForce.InForce() {
		for _, sub := range d.Subscriptions {
			if sub.Since.After(m.Published.Add(subscriptionGrace)) || m.Level.Rank() < sub.MinLevel.Rank() {
				continue
			}
			a := &audience{s: s, m: m}
			if sub.Kind == consumer.SubBrand || sub.Kind == consumer.SubOrigin {
				if err := a.products(ctx); err != nil {
					return err
				}
			}
			for _, c := range a.criteria() {
				if c.Kind != sub.Kind || c.Value != sub.Value {
					continue
				}
				r := Reason{Code: ReasonSubscription, Kind: c.Kind, Value: c.Value, Certain: true}
				if err := s.late(ctx, m.ID(), d.ID, r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// lateMade looks at what was newly made of something, and at what was made of that before: events come in any order. Its holders
// and scanners may be concerned by warnings about what went in.
func (s *Service) lateMade(ctx context.Context, made []gs1.Ref) error {
	var gtins []gs1.GTIN
	for _, ref := range made {
		sub, err := s.Graph.Subject(ctx, ref)
		if err != nil {
			return err
		}
		if len(s.InForce.Match(nil, sub)) == 0 {
			continue
		}
		further, err := s.Graph.Descendants(ctx, &warning.Scope{Clauses: []warning.Clause{trace.ClauseOf(ref)}})
		if err != nil {
			return err
		}
		for _, r := range append(further, ref) {
			if !slices.Contains(gtins, r.GTIN) {
				gtins = append(gtins, r.GTIN)
			}
		}
	}
	for _, g := range gtins {
		if err := s.lateGoods(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// lateGoods looks at everybody who holds or scanned goods of a product.
func (s *Service) lateGoods(ctx context.Context, g gs1.GTIN) error {
	for cursor := ""; ; {
		p, err := s.Consumers.HoldersAfter(ctx, g, "", cursor)
		if err != nil {
			return err
		}
		for _, h := range p.Items {
			if err := s.lateHolding(ctx, h); err != nil {
				return err
			}
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	for cursor := ""; ; {
		p, err := s.Consumers.ScannersAfter(ctx, g, "", cursor)
		if err != nil {
			return err
		}
		for _, x := range p.Items {
			if err := s.lateExposure(ctx, x); err != nil {
				return err
			}
		}
		if cursor = p.Next; cursor == "" {
			return nil
		}
	}
}
