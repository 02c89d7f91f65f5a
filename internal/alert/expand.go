package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// chunkSize is how many deliveries one document holds: 200 with their reasons stay far below the 1 MiB of a document, and cost
// 0.005 documents a message.
const chunkSize = 200

// closingDelay is how long after publication the closing pass begins at the earliest. Until then a scan, holding or
// subscription may have been written by a replica whose matcher did not know of the message.
const closingDelay = 5 * time.Second

// lanes is how many senders can work at once over all processes.
const lanes = 8

// errFenced says that another process has taken the fan-out over.
var errFenced = errors.New("alert: another process took the fan-out over")

// expandOpen moves every unfinished fan-out on, as far as it will go now.
func (s *Service) expandOpen(ctx context.Context) error {
	var all error
	cursor := ""
	for {
		open, next, err := s.Warnings.Unfinished(ctx, cursor, 100)
		if err != nil {
			return errors.Join(all, err)
		}
		for i := range open {
			if err := s.expandLeased(ctx, &open[i]); err != nil {
				all = errors.Join(all, fmt.Errorf("fan-out %s: %w", open[i].ID(), err))
			}
		}
		if next == "" {
			return all
		}
		cursor = next
	}
}

func (s *Service) expandLeased(ctx context.Context, m *warning.Message) error {
	held, ok, err := s.Leases.Try(ctx, "expand/"+m.ID())
	if err != nil || !ok {
		return err
	}
	defer func() { _ = held.Release(context.WithoutCancel(ctx)) }() // a lease that is not released ends with its term
	fresh, err := s.Warnings.Message(ctx, m.ID())                   // what it was before the lease may be old
	if err != nil {
		return err
	}
	err = s.expand(ctx, &fresh, held)
	if errors.Is(err, errFenced) || errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	return err
}

// expand moves one fan-out on from where it stands.
func (s *Service) expand(ctx context.Context, m *warning.Message, held *store.Held) error {
	if m.Rev > 1 {
		before, err := s.Warnings.Message(ctx, warning.MessageID(m.No, m.Rev-1))
		if err != nil {
			return err
		}
		if before.Fanout.Phase != warning.FanoutDone {
			return nil // whom it told is not yet known; it ends itself when it sees that it is superseded
		}
	}
	a, err := s.newAudience(ctx, m)
	if err != nil {
		return err
	}
	if m.Fanout.Phase == warning.FanoutPending || m.Fanout.Phase == warning.FanoutExpanding {
		if err := s.pass(ctx, a, held); err != nil {
			return err
		}
	}
	superseded, err := s.superseded(ctx, m)
	if err != nil {
		return err
	}
	if !superseded && s.Now().Sub(m.Published) < closingDelay {
		return nil // a later round closes
	}
	if err := s.closingPass(ctx, a, held); err != nil {
		return err
	}
	return s.setFanout(ctx, m, held, func(f *warning.Fanout) {
		f.Phase, f.Ended = warning.FanoutDone, s.Now().UTC()
	})
}

// setFanout writes the fan-out with the lease's fence, unless a later holder wrote before.
func (s *Service) setFanout(ctx context.Context, m *warning.Message, held *store.Held, change func(f *warning.Fanout)) error {
	f, err := s.Warnings.SetFanout(ctx, m.ID(), func(f *warning.Fanout) error {
		if f.Fence > held.Fence {
			return errFenced
		}
		change(f)
		f.Fence, f.Updated = held.Fence, s.Now().UTC()
		return nil
	})
	if err == nil {
		m.Fanout = f
	}
	return err
}

// pass walks the audience once, from the cursor on, and writes chunks.
func (s *Service) pass(ctx context.Context, a *audience, held *store.Held) error {
	m := a.m
	walk := a.after(m.Fanout.Cursor)
	for {
		superseded, err := s.superseded(ctx, m)
		if err != nil {
			return err
		}
		if superseded {
			break
		}
		if err := s.keepLease(ctx, held); err != nil {
			return err
		}
		c, err := s.gather(ctx, m, walk)
		if err != nil {
			return err
		}
		if len(c.Deliveries) == 0 {
			break
		}
		stored, mine, err := s.put(ctx, chunkID(m, m.Fanout.Cursor), c)
		if err != nil {
			return err
		}
		n := len(stored.Deliveries)
		if !mine {
			walk = a.after(stored.Deliveries[n-1].Device)
		}
		err = s.setFanout(ctx, m, held, func(f *warning.Fanout) {
			f.Phase, f.Cursor = warning.FanoutExpanding, stored.Deliveries[n-1].Device
			f.Chunks++
			f.Told += n
		})
		if err != nil {
			return err
		}
	}
	return s.setFanout(ctx, m, held, func(f *warning.Fanout) {
		f.Phase, f.Expanded = warning.FanoutClosing, s.Now().UTC()
	})
}

// superseded says whether a newer message of the same warning is there: then who was not told yet need not be told of this one.
func (s *Service) superseded(ctx context.Context, m *warning.Message) (bool, error) {
	_, err := s.Warnings.Message(ctx, warning.MessageID(m.No, m.Rev+1))
	if notFound(err) {
		return false, nil
	}
	return err == nil, err
}

// keepLease renews the lease. It is called once per chunk, which takes far less than a term.
func (s *Service) keepLease(ctx context.Context, held *store.Held) error {
	err := held.Renew(ctx)
	if err != nil && held.Valid() {
		return nil
	}
	return err
}

// gather takes the next devices of a walk: chunkSize of them, or fewer where their reasons are long.
func (s *Service) gather(ctx context.Context, m *warning.Message, walk *merged) (chunk, error) {
	c := newChunk(m)
	for size := 0; len(c.Deliveries) < chunkSize && size < store.MaxBody/2; {
		device, reasons, err := walk.next(ctx)
		if err != nil || device == "" {
			return c, err
		}
		d := Delivery{Device: device, Reasons: reasons, State: StatePending}
		b, err := json.Marshal(d)
		if err != nil {
			return c, err
		}
		size += len(b)
		c.Deliveries = append(c.Deliveries, d)
	}
	return c, nil
}

func newChunk(m *warning.Message) chunk {
	return chunk{No: m.No, Rev: m.Rev, Kind: m.Kind, Open: true}
}

// chunkID follows from the place in the walk: the device that it begins after.
func chunkID(m *warning.Message, after string) string { return m.ID() + "/" + after }

// lateID is of the one late delivery that a device can have of a message.
func lateID(m *warning.Message, device string) string { return m.ID() + "/late/" + device }

// put writes a chunk. One that is there already was written before a crash, and stands as it was written; then mine is false.
func (s *Service) put(ctx context.Context, id string, c chunk) (stored chunk, mine bool, err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	c.Lane = int(h.Sum32() % lanes)
	// As late as can be: a device that asks for what came since its last look must not miss what was being gathered then.
	c.Created = s.Now().UTC().Truncate(time.Millisecond)
	c.Due = c.Created
	err = s.chunks.Insert(ctx, id, c)
	if errors.Is(err, store.ErrExists) {
		d, err := s.chunks.Get(ctx, id)
		return d.V, false, err
	}
	if err == nil {
		s.wakeSender(c.Lane)
	}
	return c, true, err
}

// closingPass walks the audience once more and tells whoever came in since.
func (s *Service) closingPass(ctx context.Context, a *audience, held *store.Held) error {
	walk := a.after("")
	for _, late := range []bool{false, true} {
		walk.sources = append(walk.sources, &source{fetch: s.told(a.m.No, a.m.Rev, late, "", reasonTold)})
	}
	for n := 0; ; n++ {
		if n%chunkSize == 0 {
			superseded, err := s.superseded(ctx, a.m)
			if err != nil || superseded {
				return err
			}
			if err := s.keepLease(ctx, held); err != nil {
				return err
			}
		}
		device, reasons, err := walk.next(ctx)
		if err != nil || device == "" {
			return err
		}
		if reasons[0].Code == reasonTold {
			continue
		}
		if err := s.tellLate(ctx, a.m, device, reasons); err != nil {
			return err
		}
	}
}

// tellLate adds a delivery for one device, unless it has one of this message.
func (s *Service) tellLate(ctx context.Context, m *warning.Message, device string, reasons []Reason) error {
	n, err := s.chunks.Count(ctx, store.Query{
		Index: byTold, Eq: store.K(m.No, device), From: store.K(m.Rev), To: store.K(m.Rev + 1),
	}, 1)
	if err != nil || n > 0 {
		return err
	}
	c := newChunk(m)
	c.Late = true
	c.Deliveries = []Delivery{{Device: device, Reasons: reasons, State: StatePending}}
	_, _, err = s.put(ctx, lateID(m, device), c)
	return err
}
