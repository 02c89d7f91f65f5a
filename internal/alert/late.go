package alert

import (
	"context"
	"errors"
	"time"

	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
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

// feeds are the feeds by the name of their mark.
func (s *Service) feeds() map[string]func(ctx context.Context, token string) (string, error) {
	return map[string]func(ctx context.Context, token string) (string, error){
		"holdings":  follow(s.Consumers.HoldingChanges, s.lateHolding),
		"exposures": follow(s.Consumers.ExposureChanges, s.lateExposure),
		"devices":   follow(s.Consumers.DeviceChanges, s.lateDevice),
		"made":      s.lateMade,
	}
}

// follow makes one step of a feed: it handles a page and gives the token after it, or the old token and an error.
func follow[T any](
	changes func(ctx context.Context, token string, limit int) ([]store.Changed[T], string, error),
	handle func(ctx context.Context, v T) error,
) func(ctx context.Context, token string) (string, error) {
	return func(ctx context.Context, token string) (string, error) {
		page, next, err := changes(ctx, token, feedPage)
		if err != nil {
			return token, err
		}
		for _, ch := range page {
			if ch.Deleted {
				continue
			}
			if err := handle(ctx, ch.V); err != nil {
				return token, err
			}
		}
		return next, nil
	}
}

// lateStep reads one page of a feed and remembers how far it came. It says whether there may be more.
func (s *Service) lateStep(ctx context.Context, name string, step func(ctx context.Context, token string) (string, error)) (more bool, err error) {
	// A message that the matcher does not know yet was published less than closingDelay ago, so its closing pass is still to come.
	if !s.InForce.Confirm(ctx) {
		return false, nil
	}
	held, ok, err := s.Leases.Try(ctx, "late/"+name)
	if err != nil || !ok {
		return false, err
	}
	defer func() { _ = held.Release(context.WithoutCancel(ctx)) }() // ends with its term otherwise
	d, err := s.marks.Get(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	token := d.V.Token
	next, err := step(ctx, token)
	if errors.Is(err, errWait) {
		return false, nil
	}
	if err != nil || next == token {
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
			for _, g := range m.Scope.GTINs() {
				if err := a.product(ctx, gs1.GTIN(g)); err != nil {
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

// lateMade looks at what was newly made of something: its holders and scanners may be concerned by warnings about what went in.
func (s *Service) lateMade(ctx context.Context, token string) (string, error) {
	made, next, err := s.Graph.MadeChanges(ctx, token, feedPage)
	if err != nil {
		return token, err
	}
	for _, ref := range made {
		sub, err := s.Graph.Subject(ctx, ref)
		if err != nil {
			return token, err
		}
		if len(s.InForce.Match(nil, sub)) == 0 {
			continue
		}
		if err := s.lateGoods(ctx, ref.GTIN); err != nil {
			return token, err
		}
	}
	return next, nil
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
