package alert

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/store"
)

// erase takes out of a delivery what it says of its device. The random ID stays, which is a place in the order of the chunk, and leads nowhere
// once the device is gone; so counts stay true, and a repeated expansion does not tell the device again.
func (d *Delivery) erase() { *d = Delivery{Device: d.Device, State: StateErased} }

// Forget erases a device's alerts. It may be repeated, and killed at any instruction.
func (s *Service) Forget(ctx context.Context, device string) error {
	for {
		found, _, err := s.chunks.Keys(ctx, store.Query{Index: byDevice, Eq: store.K(device), Limit: 100})
		if err != nil {
			return fmt.Errorf("find the alerts of device %s: %w", device, err)
		}
		for _, p := range found {
			if _, err := s.chunks.Update(ctx, p.ID, func(c *chunk) error {
				for i := range c.Deliveries {
					if c.Deliveries[i].Device == device {
						c.Deliveries[i].erase()
					}
				}
				return nil
			}); err != nil {
				return fmt.Errorf("erase the alerts of device %s: %w", device, err)
			}
		}
		if len(found) == 0 {
			return nil
		}
	}
}

// Told gives a page of what is kept of a device, the newest first. store.ErrBadCursor.
func (s *Service) Told(ctx context.Context, device, cursor string, limit int) ([]consumer.Told, string, error) {
	p, err := s.chunks.Find(ctx, store.Query{Index: byDevice, Eq: store.K(device), Desc: true, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	var out []consumer.Told
	for _, d := range p.Items {
		for _, del := range d.V.Deliveries {
			if del.Device != device {
				continue
			}
			reasons, err := json.Marshal(del.Reasons)
			if err != nil {
				return nil, "", fmt.Errorf("alert %s: %w", d.ID, err)
			}
			out = append(out, consumer.Told{No: d.V.No, Rev: d.V.Rev, Received: d.V.Created, State: del.State, Reasons: reasons})
		}
	}
	return out, p.Next, nil
}
