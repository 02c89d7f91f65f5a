package coldchain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Graph is the trace graph as the worker uses it.
type Graph interface {
	// Handling says what was in a container between two times, whatever deep, and whether the firm reported an event of it that counts. At most 50 products.
	Handling(ctx context.Context, thing, firm string, from, to time.Time) (Handling, error)
	// Observed follows the captured events: those with sensor data, and those that pack or unpack. See store.Feeder for its guarantees.
	Observed(ctx context.Context, token string, limit int) (seen []Observation, next string, err error)
	// Wake is told soon after this process captured events.
	Wake() <-chan struct{}
}

// Observation is what a captured event has for the cold chain.
type Observation struct {
	Firm    firm.Firm // who captured it
	Event   string    // its ID
	Wrong   bool      // it was declared an error
	Packed  []string  // the container that it packs or unpacks, and those around it
	Things  []string  // what was measured: EPCs
	Reports []Report
}

// Report is a measured value of an event: of a moment, or the range of a period.
type Report struct {
	Logger   string // "": the event's own
	From, To time.Time
	Quantity Quantity
	Lo, Hi   float64
	UOM      string
}

// position is how far the worker has come in its feeds. Its fence is that of the lease under which it was written last, so that a worker that lost the lease
// and does not know it yet cannot set the position back.
type position struct {
	Windows  string `json:"windows"`
	Bindings string `json:"bindings"`
	Limits   string `json:"limits"`
	Events   string `json:"events"`
	Fence    int64  `json:"fence"`
}

const (
	follower    = "records/2" // another name derives all records anew
	followBatch = 200
	// maxThings bounds the bindings that one event makes.
	maxThings = 50
)

// Run keeps records and excursions in step with readings, bindings, limits and captured events, in one process at a time, until ctx ends. It may be killed
// at any instruction: what it did since it last noted its position it does again, with the same end.
func (s *Service) Run(ctx context.Context, leases *store.Leases, g Graph) error {
	wake := make(chan struct{}, 1)
	done := make(chan struct{})
	defer close(done)
	for _, c := range []<-chan struct{}{s.windows.Wake(), s.bindings.Wake(), s.limits.Wake(), g.Wake()} {
		go func() {
			for {
				select {
				case <-c:
					select {
					case wake <- struct{}{}:
					default:
					}
				case <-done:
					return
				}
			}
		}()
	}
	return leases.Follow(ctx, store.Following{Lease: "coldchain", Wake: wake, Log: s.log, Step: func(ctx context.Context, fence int64) (bool, error) {
		return s.Follow(ctx, g, fence)
	}})
}

// Follow takes the next changes into the records, and says whether there may be more.
func (s *Service) Follow(ctx context.Context, g Graph, fence int64) (more bool, err error) {
	d, err := s.followers.Get(ctx, follower)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	at := d.V
	concerned := map[string]bool{} // IDs of bindings
	for _, feed := range []struct {
		token  *string
		follow func(ctx context.Context, token string, concerned map[string]bool) (n int, next string, err error)
	}{
		{&at.Events, func(ctx context.Context, token string, concerned map[string]bool) (int, string, error) {
			return s.followEvents(ctx, g, token, concerned)
		}},
		{&at.Windows, s.followWindows}, {&at.Bindings, s.followBindings}, {&at.Limits, s.followLimits},
	} {
		n, next, err := feed.follow(ctx, *feed.token, concerned)
		if errors.Is(err, store.ErrBadCursor) { // a restored store's feeds start anew
			n, next, err = followBatch, "", nil
		}
		if err != nil {
			return false, err
		}
		*feed.token, more = next, more || n == followBatch
	}
	for _, id := range slices.Sorted(maps.Keys(concerned)) {
		if err := s.derive(ctx, g, id, fence); err != nil {
			return false, fmt.Errorf("coldchain: the records of %s: %w", id, err)
		}
	}
	if at == d.V {
		return more, nil
	}
	_, err = s.followers.Upsert(ctx, follower, func(v *position) error {
		if v.Fence > fence {
			return store.ErrLeaseLost
		}
		*v = at
		v.Fence = fence
		return nil
	})
	return more, err
}

func (s *Service) followWindows(ctx context.Context, token string, concerned map[string]bool) (n int, next string, err error) {
	changes, next, err := s.windows.Changes(ctx, token, followBatch)
	for i := range changes {
		w := &changes[i].V
		ids, err := s.during(ctx, w.Firm, w.Logger, w.Day)
		if err != nil {
			return 0, token, err
		}
		for _, id := range ids {
			concerned[id] = true
		}
	}
	return len(changes), next, err
}

func (s *Service) followBindings(ctx context.Context, token string, concerned map[string]bool) (n int, next string, err error) {
	changes, next, err := s.bindings.Changes(ctx, token, followBatch)
	for i := range changes {
		concerned[changes[i].ID] = true
	}
	return len(changes), next, err
}

func (s *Service) followLimits(ctx context.Context, token string, concerned map[string]bool) (n int, next string, err error) {
	changes, next, err := s.limits.Changes(ctx, token, followBatch)
	for i := range changes {
		if err := s.ofProduct(ctx, changes[i].V.GTIN, concerned); err != nil {
			return 0, token, err
		}
	}
	return len(changes), next, err
}

// ofProduct adds the bindings that concern a product. A binding whose records are not there yet is in the feed of bindings.
func (s *Service) ofProduct(ctx context.Context, g gs1.GTIN, concerned map[string]bool) error {
	return s.records.Each(ctx, store.Query{Index: byProduct, Eq: store.K(string(g))}, func(d store.Doc[record]) error {
		concerned[d.V.Binding] = true
		return nil
	})
}

func (s *Service) followEvents(ctx context.Context, g Graph, token string, concerned map[string]bool) (n int, next string, err error) {
	seen, next, err := g.Observed(ctx, token, followBatch)
	if err != nil {
		return 0, token, err
	}
	for i := range seen {
		for _, thing := range seen[i].Packed {
			if err := s.bindings.Each(ctx, store.Query{Index: byThing, Eq: store.K(thing)}, func(d store.Doc[Binding]) error {
				concerned[d.ID] = true
				return nil
			}); err != nil {
				return 0, token, err
			}
		}
		if err := s.observe(ctx, &seen[i]); err != nil {
			return 0, token, err
		}
	}
	if next != token { // the feed passes over events that have nothing for it, so there may be more behind them
		return followBatch, next, nil
	}
	return 0, next, nil
}

// observe takes the reports of an event as readings of its loggers, and the event as their binding to what it names.
func (s *Service) observe(ctx context.Context, o *Observation) error {
	latest := s.now().Add(clockSlack)
	parts := map[windowKey]*part{}
	spans := map[string][2]int64{} // by logger
	for _, r := range o.Reports {
		if r.Logger == "" || !validLogger(r.Logger) {
			r.Logger = o.Event
		}
		lo, badLo, _ := measure(r.Quantity, r.Lo, r.UOM)
		hi, badHi, _ := measure(r.Quantity, r.Hi, r.UOM)
		if badLo != "" || badHi != "" || hi < lo || r.From.Year() < firstYear || r.To.After(latest) || !validLogger(r.Logger) {
			continue // the event stays as it is; what cannot be read as a measurement is none
		}
		for _, at := range []int64{r.From.UnixMilli(), r.To.UnixMilli()} {
			k := windowKey{o.Firm.ID, r.Logger, r.Quantity, dayOf(at)}
			if parts[k] == nil {
				parts[k] = &part{key: k}
			}
			parts[k].points, parts[k].places = append(parts[k].points, point{at, lo, hi}), append(parts[k].places, 0)
			was, ok := spans[r.Logger]
			if !ok {
				was = [2]int64{at, at}
			}
			spans[r.Logger] = [2]int64{min(was[0], at), max(was[1], at)}
		}
	}
	for _, p := range parts {
		if _, _, err := s.store(ctx, p); err != nil {
			return err
		}
	}
	for logger, period := range spans {
		for _, thing := range o.Things[:min(len(o.Things), maxThings)] {
			epc, node, ref, err := NodeOf(thing)
			if err != nil {
				continue // a product as a whole, or a scheme of another kind: nothing that travels
			}
			b := Binding{
				Firm: o.Firm.ID, Logger: logger, Thing: node, GTIN: ref.GTIN, From: moment(period[0]), To: moment(period[1]), Event: o.Event,
				Vouched: vouches(o.Firm, epc), Withdrawn: o.Wrong,
			}
			if b.To.Sub(b.From) > MaxBinding {
				b.To = b.From.Add(MaxBinding)
			}
			if err := s.bindObserved(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// bindObserved keeps the binding that an event makes. Of more than maxObserved on one day of a logger nobody could make sense; they are left out.
func (s *Service) bindObserved(ctx context.Context, b Binding) error {
	day := b.From.Truncate(24 * time.Hour)
	n, err := s.bindings.Count(ctx, store.Query{
		Index: byLogger, Eq: store.K(b.Firm, b.Logger, observed), From: store.K(day), To: store.K(day.Add(24 * time.Hour)),
	}, maxObserved)
	if err != nil {
		return err
	}
	if n == maxObserved {
		if _, err := s.bindings.Get(ctx, b.id()); errors.Is(err, store.ErrNotFound) {
			if s.log != nil {
				s.log.WarnContext(ctx, "too many events with sensor data of one logger and day", "firm", b.Firm, "logger", b.Logger, "event", b.Event)
			}
			return nil
		}
	}
	return change(ctx, s.bindings, b.id(), func(v *Binding) error {
		*v = b
		return nil
	})
}
