package warning

import (
	"context"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

const (
	// pollEvery is how often Run asks the feed.
	pollEvery = 500 * time.Millisecond
	// pollTimeout bounds one round of Run. What a round has read is kept, so a long feed is read over several rounds.
	pollTimeout = 2 * time.Second
	// confirmAge is how old the knowledge may be that a scan is answered from.
	confirmAge = 2 * time.Second
	// confirmTimeout bounds how long Confirm waits for a stuck store.
	confirmTimeout = 500 * time.Millisecond
)

// Run keeps the matcher true: it follows the feed every 500 ms, and at once when this process publishes. It returns nil when ctx ends.
func (m *Matcher) Run(ctx context.Context) error {
	wake := m.feed.Wake()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		err := m.round(ctx, pollTimeout)
		if ctx.Err() != nil {
			return nil
		}
		if (err != nil) != failing {
			failing = err != nil
			m.log.WarnContext(ctx, "matcher of warnings", "failing", failing, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-wake:
		}
	}
}

func (m *Matcher) round(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return m.Refresh(ctx)
}

// Refresh reads the feed to its end. When it returns nil, the matcher knows every message that was published before the call.
func (m *Matcher) Refresh(ctx context.Context) error {
	select {
	case m.poll <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("refresh the matcher: %w", ctx.Err())
	}
	defer func() { <-m.poll }()
	for {
		// An empty answer holds for the instant at which it was asked for, not for that at which it came.
		asked := m.mono()
		changes, next, err := m.feed.Changes(ctx, m.token, store.MaxBatch)
		if err != nil {
			return fmt.Errorf("refresh the matcher: %w", err)
		}
		messages := make([]*Message, 0, len(changes))
		for i := range changes {
			if !changes[i].Deleted {
				msg := changes[i].V // a copy, or one message in force would keep the whole batch in memory
				messages = append(messages, &msg)
			}
		}
		m.Apply(messages...)
		m.token = next
		if len(changes) == 0 {
			m.confirmed.Store(int64(asked))
			return nil
		}
	}
}

// flight is one poll on behalf of everybody who asked Confirm meanwhile.
type flight struct {
	started time.Duration // on the mono clock
	done    chan struct{}
	err     error // to be read after done
}

// Confirm says whether the matcher is known to hold every message that was published more than 2 s ago. If Run has not seen to that it
// polls the feed itself, once for all who ask at the same time, and gives up after 500 ms or when ctx ends: then the
// answer is false, and so is nothing that rests on it.
func (m *Matcher) Confirm(ctx context.Context) (confirmed bool) {
	for {
		if m.fresh() {
			return true
		}
		f := m.joinFlight()
		left := f.started + confirmTimeout - m.mono()
		if left <= 0 {
			return false // that poll is stuck, and its waiters have waited long enough
		}
		timer := time.NewTimer(left)
		select {
		case <-f.done:
			timer.Stop()
			if f.err != nil {
				return false
			}
		case <-timer.C:
			return m.fresh()
		case <-ctx.Done():
			timer.Stop()
			return m.fresh()
		}
	}
}

// fresh says whether the last complete poll started at most confirmAge ago.
func (m *Matcher) fresh() bool {
	at := m.confirmed.Load()
	return at >= 0 && m.mono()-time.Duration(at) <= confirmAge
}

// joinFlight gives the poll under way, or starts one. It has a context of its own, because others may wait for it too.
func (m *Matcher) joinFlight() *flight {
	m.flightMu.Lock()
	defer m.flightMu.Unlock()
	if m.flight != nil {
		return m.flight
	}
	f := &flight{started: m.mono(), done: make(chan struct{})}
	m.flight = f
	go func() {
		f.err = m.round(context.Background(), confirmTimeout)
		m.flightMu.Lock()
		m.flight = nil
		m.flightMu.Unlock()
		close(f.done)
	}()
	return f
}
