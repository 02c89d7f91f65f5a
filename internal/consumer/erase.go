package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

// Inbox is what the alerts keep of a device; *alert.Service in production.
type Inbox interface {
	// Forget erases all of it. It may be repeated.
	Forget(ctx context.Context, device string) error
	// Told gives a page of it.
	Told(ctx context.Context, device, cursor string, limit int) ([]Told, string, error)
}

// UseInbox says who keeps the alerts. Without one, erasures are begun and not ended, and nothing is exported.
func (s *Service) UseInbox(in Inbox) { s.inbox.Store(&in) }

var errNoInbox = errors.New("consumer: nobody keeps the alerts in this process")

// The states of the index of lives.
const (
	lifeAlive  = "alive"
	lifeErased = "erased"
)

// Erase erases a device: the order to do it stands in the device itself, which is unknown to every request from then on; then go its data key,
// holdings, scans, alerts and the entry of its push token. When it fails on the way, Sweep carries it through. A device that does not
// exist is erased already.
func (s *Service) Erase(ctx context.Context, id string) error {
	return s.erase(ctx, id, func(*Device) bool { return true })
}

func (s *Service) erase(ctx context.Context, id string, wanted func(d *Device) bool) error {
	at := s.now().UTC().Truncate(time.Millisecond)
	_, err := s.devices.Update(ctx, id, func(d *Device) error {
		if !d.Erased.IsZero() || !wanted(d) {
			return errSame
		}
		*d = Device{ID: id, PushHash: d.PushHash, Erased: at}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil && !errors.Is(err, errSame) {
		return fmt.Errorf("order the erasure of device %s: %w", id, err)
	}
	d, err := s.devices.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && d.V.Erased.IsZero() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read device %s: %w", id, err)
	}
	return s.clear(ctx, &d.V)
}

// clear deletes everything that is kept of an erased device but the device itself.
func (s *Service) clear(ctx context.Context, d *Device) error {
	if err := s.vault.Erase(ctx, record(d.ID)); err != nil {
		return err
	}
	if err := s.disown(ctx, d.ID, d.PushHash); err != nil {
		return fmt.Errorf("push token of device %s: %w", d.ID, err)
	}
	if err := clearAll(ctx, s.holdings, d.ID); err != nil {
		return fmt.Errorf("holdings of device %s: %w", d.ID, err)
	}
	if err := clearAll(ctx, s.exposures, d.ID); err != nil {
		return fmt.Errorf("scans of device %s: %w", d.ID, err)
	}
	in := s.inbox.Load()
	if in == nil {
		return nil // end waits for a process that has one
	}
	return (*in).Forget(ctx, d.ID)
}

// clearWorkers delete at once, so that their writes share commits.
const clearWorkers = 16

// clearAll deletes the documents of a device, page by page.
func clearAll[T any](ctx context.Context, c *store.Collection[T], device string) error {
	for {
		found, _, err := c.Keys(ctx, store.Query{Index: byDevice, Eq: store.K(device), Limit: streamPage})
		if err != nil || len(found) == 0 {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(clearWorkers)
		for _, p := range found {
			g.Go(func() error {
				err := c.Delete(gctx, p.ID)
				if errors.Is(err, store.ErrNotFound) {
					return nil
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
}

// settleFor is how long after the order a device is cleared for the second time and is then gone: a request that was under way when the order
// came may have written once more.
const settleFor = 10 * time.Minute

// end clears an erased device once more, and deletes it.
func (s *Service) end(ctx context.Context, id string) error {
	if s.inbox.Load() == nil {
		return errNoInbox
	}
	d, err := s.devices.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.clear(ctx, &d.V); err != nil {
		return err
	}
	err = s.devices.DeleteRev(ctx, d)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// Sweep is the retention job: it writes down which devices were used, and, up to limit of each, erases the devices that were not used for as
// long as the rule says, and ends the erasures that were begun. It says how much it did. Any number of replicas may run it, and it may be
// killed: who was used is noted again by the next request.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	n, err := s.writeUsed(ctx)
	now := s.now().UTC()
	before := month(now.AddDate(0, -privacy.DeviceUnused.Months, 0))
	unused, err2 := s.each(ctx, lifeAlive, store.K(before), limit, func(ctx context.Context, id string) error {
		return s.erase(ctx, id, func(d *Device) bool { return d.seen() < before })
	})
	if s.inbox.Load() == nil {
		return n + unused, errors.Join(err, err2)
	}
	ended, err3 := s.each(ctx, lifeErased, store.K(now.Add(-settleFor)), limit, s.end)
	return n + unused + ended, errors.Join(err, err2, err3)
}

// each does something for up to limit devices of a state that came into it before a time. One that fails does not keep the others.
func (s *Service) each(ctx context.Context, life string, before store.Key, limit int, do func(ctx context.Context, id string) error) (int, error) {
	found, _, err := s.devices.Keys(ctx, store.Query{Index: byLife, Eq: store.K(life), To: before, Limit: limit})
	if err != nil {
		return 0, fmt.Errorf("find devices: %w", err)
	}
	done := 0
	var all error
	for _, p := range found {
		if err := do(ctx, p.ID); err != nil {
			all = errors.Join(all, err)
			continue
		}
		done++
	}
	return done, all
}

// month is how finely the last use of a device is kept, and how often it is written at most.
func month(t time.Time) string { return t.UTC().Format("2006-01") }

// seen is the month in which a device was last used.
func (d *Device) seen() string {
	if d.Seen == "" {
		return month(d.Created)
	}
	return d.Seen
}

// keepUntil is when a device's data key is gone that was last used in a month: the time runs from the month's end.
func keepUntil(seen string) time.Time {
	start, err := time.Parse("2006-01", seen)
	if err != nil {
		return time.Time{}
	}
	return privacy.DeviceUnused.Until(start.AddDate(0, 1, 0))
}

// used are devices that were used in a month for the first time, to be written down by Sweep and not by the request.
type used struct {
	mu  sync.Mutex
	ids map[string]bool
}

// maxUsed bounds them. Whoever finds no room is noted by a later request.
const maxUsed = 10_000

func (u *used) note(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[string]bool{}
	}
	if len(u.ids) < maxUsed {
		u.ids[id] = true
	}
}

func (u *used) take() map[string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := u.ids
	u.ids = nil
	return ids
}

// writeUsed writes the month of their last use into the devices that were noted.
func (s *Service) writeUsed(ctx context.Context) (int, error) {
	now := month(s.now())
	ids := s.used.take()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(clearWorkers)
	for id := range ids {
		g.Go(func() error {
			if err := s.vault.Retain(gctx, record(id), keepUntil(now)); err != nil {
				return err
			}
			_, err := s.devices.Update(gctx, id, func(d *Device) error {
				if !d.Erased.IsZero() || d.Seen >= now {
					return errSame
				}
				d.Seen = now
				return nil
			})
			if errors.Is(err, errSame) || errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		})
	}
	return len(ids), g.Wait()
}
