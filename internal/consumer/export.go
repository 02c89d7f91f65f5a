package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// Export is a page of everything that is kept of a device (PIPL, article 45). The first page has the device itself; every page has entries of one
// of the lists. Next is "" on the last.
type Export struct {
	Device    *Exported  `json:"device,omitempty"`
	Holdings  []Holding  `json:"holdings,omitempty"`
	Exposures []Exposure `json:"exposures,omitempty"`
	Alerts    []Told     `json:"alerts,omitempty"`
	Next      string     `json:"next,omitempty"`
}

// Exported is a device as it is given to its owner.
type Exported struct {
	ID            string         `json:"id"`
	Platform      string         `json:"platform"`
	Lang          string         `json:"lang"`
	City          string         `json:"city,omitempty"`
	PushToken     string         `json:"push_token,omitempty"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Created       time.Time      `json:"created"`
	Seen          string         `json:"seen"` // YYYY-MM
}

// Told is one alert that a device got.
type Told struct {
	No       string          `json:"no"`
	Rev      int             `json:"rev"`
	Received time.Time       `json:"received"`
	State    string          `json:"state"`
	Reasons  json.RawMessage `json:"reasons"`
}

// The parts of an export, in their order. A cursor is a part, ".", and the part's own cursor.
const (
	partHoldings  = "h"
	partExposures = "e"
	partAlerts    = "a"
)

// Export gives a page of what is kept of a device. limit is 1 to 500, default 100. Malformed (bad_cursor); Unauthenticated for a device that does
// not exist.
func (s *Service) Export(ctx context.Context, id, cursor string, limit int) (Export, error) {
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 500)
	var out Export
	part, inner, _ := strings.Cut(cursor, ".")
	if cursor == "" {
		d, err := s.exported(ctx, id)
		if err != nil {
			return Export{}, err
		}
		out.Device, part = d, partHoldings
	}
	q := store.Query{Index: byDevice, Eq: store.K(id), Limit: limit, Cursor: inner}
	var next, after string
	var err error
	switch part {
	case partHoldings:
		after = partExposures
		out.Holdings, next, err = values(s.holdings.Find(ctx, q))
	case partExposures:
		after = partAlerts
		out.Exposures, next, err = values(s.exposures.Find(ctx, q))
	case partAlerts:
		in := s.inbox.Load()
		if in == nil {
			return Export{}, errNoInbox
		}
		out.Alerts, next, err = (*in).Told(ctx, id, inner, limit)
	default:
		err = store.ErrBadCursor
	}
	if errors.Is(err, store.ErrBadCursor) {
		return Export{}, fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this export gave").Because(err)
	}
	if err != nil {
		return Export{}, fmt.Errorf("export device %s: %w", id, err)
	}
	switch {
	case next != "":
		out.Next = part + "." + next
	case after != "":
		out.Next = after + "."
	}
	return out, nil
}

func values[T any](p store.Page[T], err error) ([]T, string, error) {
	var out []T
	for _, d := range p.Items {
		out = append(out, d.V)
	}
	return out, p.Next, err
}

func (s *Service) exported(ctx context.Context, id string) (*Exported, error) {
	devices, err := s.Devices(ctx, []string{id})
	if err != nil {
		return nil, fmt.Errorf("export device %s: %w", id, err)
	}
	d, ok := devices[id]
	if !ok {
		return nil, errToken
	}
	tokens, unreadable, err := s.PushTokens(ctx, devices)
	if err = errors.Join(err, unreadable[id]); err != nil {
		return nil, fmt.Errorf("export device %s: %w", id, err)
	}
	return &Exported{
		ID: d.ID, Platform: d.Platform, Lang: d.Lang, City: d.City, PushToken: tokens[id], Subscriptions: d.Subscriptions,
		Created: d.Created, Seen: d.seen(),
	}, nil
}
