package alert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// maxTries is how often a delivery is tried: with doubling pauses from firstPause to maxPause that is over a day.
const (
	maxTries   = 60
	firstPause = 2 * time.Second
	maxPause   = 30 * time.Minute
)

// sendLane sends what is due in a lane.
func (s *Service) sendLane(ctx context.Context, lane int) error {
	due := store.Query{Index: byLane, Eq: store.K(lane), To: store.K(s.Now().Add(time.Millisecond)), Limit: 20}
	first, err := s.chunks.Find(ctx, due)
	if err != nil || len(first.Items) == 0 {
		return err
	}
	held, ok, err := s.Leases.Try(ctx, fmt.Sprintf("send/%d", lane))
	if err != nil || !ok {
		return err
	}
	defer func() { _ = held.Release(context.WithoutCancel(ctx)) }() // ends with its term otherwise
	for {
		page, err := s.chunks.Find(ctx, due)
		if err != nil || len(page.Items) == 0 {
			return err
		}
		for _, d := range page.Items {
			if err := s.keepLease(ctx, held); err != nil {
				return err
			}
			if err := s.sendChunk(ctx, d, held); err != nil {
				return err
			}
		}
		due.To = store.K(s.Now().Add(time.Millisecond))
	}
}

// sendChunk sends the pending deliveries of a chunk and stores what became of them. A crash between the two repeats the sending;
// the device shows one notification all the same, since both have one tag.
func (s *Service) sendChunk(ctx context.Context, d store.Doc[chunk], held *store.Held) error {
	c := &d.V
	if c.Fence > held.Fence {
		return store.ErrLeaseLost
	}
	m, err := s.Warnings.Message(ctx, warning.MessageID(c.No, c.Rev))
	if err != nil {
		return err
	}
	superseded, err := s.superseded(ctx, &m)
	if err != nil {
		return err
	}
	var wait time.Duration
	if superseded {
		for i := range c.Deliveries {
			if c.Deliveries[i].State == StatePending {
				c.Deliveries[i].State = StateSuperseded
			}
		}
	} else if wait, err = s.sendPending(ctx, &m, c); err != nil {
		return err
	}
	s.settle(c, wait)
	c.Fence = held.Fence
	err = s.chunks.Replace(ctx, d)
	if errors.Is(err, store.ErrConflict) {
		return store.ErrLeaseLost
	}
	return err
}

// sendPending sends to the devices that have a push token, group by group of one reason, and gives the longest pause asked for.
func (s *Service) sendPending(ctx context.Context, m *warning.Message, c *chunk) (wait time.Duration, err error) {
	groups, to, err := s.addresses(ctx, m, c)
	if err != nil {
		return 0, err
	}
	for out, at := range groups {
		group := make([]Address, len(at))
		for i, k := range at {
			group[i] = to[k]
		}
		for i, r := range s.Sender.Send(ctx, out, group) {
			del := &c.Deliveries[at[i]]
			del.State, del.Detail = r.State, r.Detail
			wait = max(wait, r.RetryAfter)
			if r.State == StateUnreachable {
				if err := s.Consumers.DropPushToken(ctx, del.Device, group[i].Token); err != nil {
					return wait, err
				}
			}
		}
	}
	return wait, nil
}

// detailUnreadable is of a delivery that waits because its device's push token does not open.
const detailUnreadable = "token_unreadable"

// addresses gives the addresses of the pending deliveries, by their place in the chunk, and the places that share a reason. It settles the
// deliveries that have no address.
func (s *Service) addresses(ctx context.Context, m *warning.Message, c *chunk) (map[Outgoing][]int, map[int]Address, error) {
	ids := make([]string, 0, len(c.Deliveries))
	for _, del := range c.Deliveries {
		if del.State == StatePending {
			ids = append(ids, del.Device)
		}
	}
	devices, err := s.Consumers.Devices(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	tokens, unreadable, err := s.Consumers.PushTokens(ctx, devices)
	if err != nil {
		return nil, nil, err
	}
	groups, to := map[Outgoing][]int{}, map[int]Address{}
	var first error
	for i := range c.Deliveries {
		del := &c.Deliveries[i]
		if del.State != StatePending {
			continue
		}
		d, exists := devices[del.Device]
		token := tokens[del.Device]
		switch {
		case !exists: // it was erased while the chunk was being written
			del.erase()
		case unreadable[del.Device] != nil:
			del.Detail, first = detailUnreadable, unreadable[del.Device]
		case token == "":
			del.State = StateInbox
		default:
			out := Outgoing{Message: m, Reason: del.Reasons[0].Code, Certain: del.Reasons[0].Certain}
			groups[out] = append(groups[out], i)
			to[i] = Address{Device: d.ID, Token: token, Platform: d.Platform, Lang: d.Lang}
		}
	}
	if first != nil {
		s.Log.ErrorContext(ctx, "push tokens do not open; tried again later", "devices", len(unreadable), "error", first)
	}
	return groups, to, nil
}

// settle decides whether the chunk is done, and when it is tried again.
func (s *Service) settle(c *chunk, wait time.Duration) {
	c.Open = false
	c.Tries++
	for i := range c.Deliveries {
		del := &c.Deliveries[i]
		switch {
		case del.State != StatePending:
		case c.Tries >= maxTries:
			del.State = StateFailed
		default:
			c.Open = true
		}
	}
	pause := maxPause
	if c.Tries < 12 {
		pause = min(firstPause<<(c.Tries-1), maxPause)
	}
	c.Due = s.Now().UTC().Truncate(time.Millisecond).Add(max(pause, wait))
}

func notFound(err error) bool { return fault.KindOf(err) == fault.NotFound }

// Run does all the background work until ctx ends: expansion with its closing passes, the late deliveries of each feed, and the
// sending of each lane, all beside each other, so that a long fan-out is sent while it is still being expanded. Whatever fails is
// logged and tried again in the next round; nothing is lost, since all of it is found again in the store.
func (s *Service) Run(ctx context.Context) error {
	var g errgroup.Group
	begin := func(what string, wake <-chan struct{}, work func(context.Context) error) {
		g.Go(func() error { return s.repeat(ctx, what, wake, work) })
	}
	begin("expand", s.Warnings.Wake(), s.expandOpen)
	for name, f := range s.feeds() {
		begin("late "+name, nil, func(ctx context.Context) error { return s.catchUp(ctx, name, f) })
	}
	for lane := range lanes {
		begin("send", s.nudge[lane], func(ctx context.Context) error { return s.sendLane(ctx, lane) })
	}
	return g.Wait()
}

// roundEvery is how often the work is looked for when nothing in this process calls for it.
const roundEvery = time.Second

// repeat works at once, then whenever it is woken and every roundEvery, until ctx ends.
func (s *Service) repeat(ctx context.Context, what string, wake <-chan struct{}, work func(context.Context) error) error {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		if err := work(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrLeaseLost) {
			s.Log.ErrorContext(ctx, "alerts", "work", what, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-tick.C:
		}
	}
}
