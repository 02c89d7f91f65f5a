package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Holding is something that a household has: scanned, or typed from the package. Dates are YYYY-MM-DD or empty.
type Holding struct {
	ID       string    `json:"id"`
	Device   string    `json:"device"`
	GTIN     gs1.GTIN  `json:"gtin"`
	Lot      string    `json:"lot,omitempty"` // as printed, or as typed
	Serial   string    `json:"serial,omitempty"`
	Produced string    `json:"produced,omitempty"`
	Expires  string    `json:"expires,omitempty"`
	Typed    bool      `json:"typed"` // the lot was typed from the package
	Created  time.Time `json:"created"`
}

// AddHolding adds a holding of a device; the same goods twice are one holding. Invalid, TooMany.
func (s *Service) AddHolding(ctx context.Context, device string, h Holding) (Holding, error) {
	if _, err := gs1.ParseGTIN(string(h.GTIN)); err != nil {
		return h, err
	}
	var bad []fault.Field
	for pointer, v := range map[string]string{"/produced": h.Produced, "/expires": h.Expires} {
		if _, err := time.Parse(time.DateOnly, v); v != "" && err != nil {
			bad = append(bad, fault.Field{Pointer: pointer, Code: "date", Detail: "a date as YYYY-MM-DD"})
		}
	}
	if len(h.Lot) > 80 {
		bad = append(bad, fault.Field{Pointer: "/lot", Code: "too_long", Detail: "at most 80 bytes"})
	}
	if h.Serial != "" && gs1.ValidSerial(h.Serial) != nil {
		bad = append(bad, fault.Field{Pointer: "/serial", Code: "serial", Detail: "not a GS1 serial (AI 21)"})
	}
	if bad != nil {
		return h, fault.InvalidFields(bad...)
	}
	// The ID follows from what is held, so that a repeated request finds its holding instead of adding another.
	h.ID = s.hasher.Hash("holding", device+"\x00"+string(h.GTIN)+"\x00"+gs1.FoldLot(h.Lot)+"\x00"+h.Serial+"\x00"+h.Produced)[:16]
	h.Device, h.Created = device, s.now().UTC().Truncate(time.Millisecond)
	id := device + "/" + h.ID
	old, err := s.holdings.Get(ctx, id)
	if err == nil {
		return old.V, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return h, err
	}
	n, err := s.holdings.Count(ctx, store.Query{Index: byDevice, Eq: store.K(device)}, MaxHoldings)
	if err != nil {
		return h, err
	}
	if n >= MaxHoldings {
		return h, fault.New(fault.TooMany, "too_many_holdings", "a device has at most %d holdings; delete one first", MaxHoldings)
	}
	err = s.holdings.Insert(ctx, id, h)
	if errors.Is(err, store.ErrExists) {
		old, err := s.holdings.Get(ctx, id)
		return old.V, err
	}
	return h, err
}

// Holdings gives a page of a device's holdings, the newest first.
func (s *Service) Holdings(ctx context.Context, device, cursor string, limit int) (store.Page[Holding], error) {
	return s.holdings.Find(ctx, store.Query{Index: byDevice, Eq: store.K(device), Desc: true, Limit: limit, Cursor: cursor})
}

// DeleteHolding deletes a holding of a device. NotFound.
func (s *Service) DeleteHolding(ctx context.Context, device, id string) error {
	err := s.holdings.Delete(ctx, device+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "holding_not_found", "the device has no holding %q", id).Because(err)
	}
	return err
}

// Exposure says that a device scanned a unit or a lot.
type Exposure struct {
	Device string    `json:"device"`
	GTIN   gs1.GTIN  `json:"gtin"`
	Lot    string    `json:"lot,omitempty"`
	Serial string    `json:"serial,omitempty"`
	First  time.Time `json:"first"`
}

// Ref is what was scanned.
func (x Exposure) Ref() gs1.Ref { return gs1.Ref{GTIN: x.GTIN, Lot: x.Lot, Serial: x.Serial} }

// RecordExposure records that a device scanned a unit or a lot; it is durable when it returns, and may be repeated.
func (s *Service) RecordExposure(ctx context.Context, device string, ref gs1.Ref, at time.Time) error {
	err := s.exposures.Insert(ctx, device+ref.Path(), Exposure{
		Device: device, GTIN: ref.GTIN, Lot: ref.Lot, Serial: ref.Serial, First: at.UTC().Truncate(time.Millisecond),
	})
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// Stream is a page of devices with what they have, in the order of device IDs. Next is "" at the end.
type Stream[T any] struct {
	Items []T
	Next  string
}

// after is the smallest key above every key of a device, so that a stream can begin after it.
func after(device string) store.Key {
	if device == "" {
		return nil
	}
	return store.K(device + "\x00")
}

// HoldersAfter gives holdings of a product by devices whose IDs are greater than device, in the order of device IDs.
func (s *Service) HoldersAfter(ctx context.Context, g gs1.GTIN, device, cursor string) (Stream[Holding], error) {
	return stream(s.holdings.Find(ctx, store.Query{Index: byGTIN, Eq: store.K(string(g)), From: after(device), Cursor: cursor, Limit: streamPage}))
}

// ScannersAfter gives the exposures to a product of devices whose IDs are greater than device, in the order of device IDs.
func (s *Service) ScannersAfter(ctx context.Context, g gs1.GTIN, device, cursor string) (Stream[Exposure], error) {
	return stream(s.exposures.Find(ctx, store.Query{Index: byGTIN, Eq: store.K(string(g)), From: after(device), Cursor: cursor, Limit: streamPage}))
}

// SubscribersAfter gives the devices with a subscription of a kind and value, in the order of device IDs.
func (s *Service) SubscribersAfter(ctx context.Context, kind, value, device, cursor string) (Stream[Device], error) {
	return stream(s.devices.Find(ctx, store.Query{Index: byCriterion, Eq: store.K(kind, value), From: after(device), Cursor: cursor, Limit: streamPage}))
}

const streamPage = 500

func stream[T any](p store.Page[T], err error) (Stream[T], error) {
	out := Stream[T]{Items: make([]T, len(p.Items)), Next: p.Next}
	for i := range p.Items {
		out.Items[i] = p.Items[i].V
	}
	return out, err
}

// HoldingChanges follows what is written, for late deliveries, as ExposureChanges and DeviceChanges do; see store.Feeder.
func (s *Service) HoldingChanges(ctx context.Context, token string, limit int) ([]store.Changed[Holding], string, error) {
	return s.holdings.Changes(ctx, token, limit)
}

// ExposureChanges is like HoldingChanges.
func (s *Service) ExposureChanges(ctx context.Context, token string, limit int) ([]store.Changed[Exposure], string, error) {
	return s.exposures.Changes(ctx, token, limit)
}

// DeviceChanges is like HoldingChanges.
func (s *Service) DeviceChanges(ctx context.Context, token string, limit int) ([]store.Changed[Device], string, error) {
	return s.devices.Changes(ctx, token, limit)
}
