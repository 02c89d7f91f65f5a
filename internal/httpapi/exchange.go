package httpapi

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

// Exchange carries counts between replicas.
type Exchange interface {
	// Swap publishes what this replica granted, in place of what it published before, and gives what the others have published. It must never
	// give anything that is older than countsTerm.
	Swap(ctx context.Context, own Counts) (others []Counts, err error)
}

// Counts are what one replica granted of late to those keys that are near their limits. A key is a keyed hash: nobody finds an address in it who
// has not the installation's keys.
type Counts struct {
	Replica string   `json:"replica"`
	Windows []Window `json:"windows"` // the newest last; at most windowsKept
	Expires int64    `json:"expires"` // Unix milliseconds
}

// Window is what was granted between two exchanges, by limiter and key.
type Window struct {
	Seq     int64                        `json:"seq"` // +1 each time
	Granted map[string]map[string]uint32 `json:"granted"`
}

const (
	exchangeEvery = time.Second
	exchangeTime  = 900 * time.Millisecond // how long one may take
	windowsKept   = 3                      // so that two exchanges may fail and nothing is lost
	countsTerm    = 10 * time.Second
)

// swapper exchanges the counts of this replica's limiters with others.
//
// A replica counts its own grants at once and those of others when it hears of them, and adds all to one debt per key. So the lasting rate
// of a key is that of the table, whatever the number of replicas and however its requests are spread. What is heard late is granted too
// much. With n replicas that exchange every second, a key gets within any time t at most
//
//	Burst + t/Every + (n-1) × (Burst + 2 s/Every)
//
// requests, rounded up for each replica: the last term is the overshoot. It is paid back by refusals that last longer, up to three bursts. So
// the lasting rate holds as long as the replicas together grant no more than that between two exchanges, (n-1) × max(1, 2 s/Every) ≤
// 3 × Burst, which is true of 16 replicas in every row of the table. Keys that use less than a sixteenth of their limit on each replica
// are not told of; beyond maxHeavy keys per limiter those that use most are. When the exchange fails each replica limits by itself.
type swapper struct {
	exchange Exchange
	limiters map[string]*limiter
	log      *slog.Logger
	replica  string

	seq     int64
	windows []Window
	heard   map[string]int64 // by replica: the newest window that was counted
	failing bool
}

func newSwapper(e Exchange, limiters map[string]*limiter, log *slog.Logger) *swapper {
	return &swapper{exchange: e, limiters: limiters, log: log, replica: clock.Token(10), heard: map[string]int64{}}
}

func (s *swapper) run(ctx context.Context) error {
	t := time.NewTicker(exchangeEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		within, cancel := context.WithTimeout(ctx, exchangeTime)
		err := s.once(within)
		cancel()
		if failed := err != nil && ctx.Err() == nil; failed != s.failing {
			s.failing = failed
			if failed {
				s.log.Warn("counts are not exchanged; each replica limits by itself", "error", err)
			} else {
				s.log.Info("counts are exchanged again")
			}
		}
	}
}

// once is one exchange.
func (s *swapper) once(ctx context.Context) error {
	s.seq++
	w := Window{Seq: s.seq, Granted: map[string]map[string]uint32{}}
	for name, l := range s.limiters {
		if heavy := l.heavy(exchangeEvery); heavy != nil {
			w.Granted[name] = heavy
		}
	}
	s.windows = append(s.windows, w)
	if len(s.windows) > windowsKept {
		s.windows = slices.Delete(s.windows, 0, len(s.windows)-windowsKept)
	}
	others, err := s.exchange.Swap(ctx, Counts{Replica: s.replica, Windows: slices.Clone(s.windows)})
	if err != nil {
		return err
	}
	present := map[string]bool{}
	for _, o := range others {
		if o.Replica == s.replica {
			continue
		}
		present[o.Replica] = true
		s.hear(o)
	}
	maps.DeleteFunc(s.heard, func(replica string, _ int64) bool { return !present[replica] })
	for _, l := range s.limiters {
		l.fade()
	}
	return nil
}

// hear counts the windows of another replica that were not counted before.
func (s *swapper) hear(o Counts) {
	for _, w := range o.Windows {
		if w.Seq <= s.heard[o.Replica] {
			continue
		}
		s.heard[o.Replica] = w.Seq
		for name, granted := range w.Granted {
			l := s.limiters[name]
			if l == nil {
				continue // of a replica with another table
			}
			for key, n := range granted {
				l.hear(key, n)
			}
		}
	}
}

// storeExchange keeps the counts of each replica in a document that expires.
type storeExchange struct {
	counts *store.Collection[Counts]
	now    clock.Now
	turns  int
	quiet  bool // what is stored of this replica says nothing, or nothing is stored
}

const (
	maxReplicas = 200 // bounds what one exchange reads
	sweepTurns  = 64  // how often what replicas left behind that are gone is deleted
)

// OpenExchange exchanges counts through the store, in the collection rate_counts. It is for one Guard. A replica that granted nothing
// worth telling writes nothing; each second costs one read of an index.
func OpenExchange(ctx context.Context, eng store.Engine, now clock.Now) (Exchange, error) {
	counts, err := store.Open(ctx, eng, store.Def[Counts]{
		Name:    "rate_counts",
		Expires: func(c *Counts) time.Time { return time.UnixMilli(c.Expires) },
		Indexes: []store.Index[Counts]{{
			Name: "all", Version: "1", Keys: func(string, *Counts) ([]store.Key, store.Key) { return []store.Key{store.K("all")}, nil },
		}},
	})
	if err != nil {
		return nil, err
	}
	return &storeExchange{counts: counts, now: now, quiet: true}, nil
}

func (e *storeExchange) Swap(ctx context.Context, own Counts) ([]Counts, error) {
	quiet := !slices.ContainsFunc(own.Windows, func(w Window) bool { return len(w.Granted) > 0 })
	if !quiet || !e.quiet {
		own.Expires = e.now().Add(countsTerm).UnixMilli()
		if _, err := e.counts.Upsert(ctx, own.Replica, func(c *Counts) error { *c = own; return nil }); err != nil {
			return nil, err
		}
		e.quiet = quiet
	}
	if e.turns++; e.turns%sweepTurns == 0 {
		if _, err := e.counts.Sweep(ctx, maxReplicas); err != nil {
			return nil, err
		}
	}
	page, err := e.counts.Find(ctx, store.Query{Index: "all", Eq: store.K("all"), Limit: maxReplicas})
	if err != nil {
		return nil, err
	}
	out := make([]Counts, 0, len(page.Items))
	for _, d := range page.Items {
		out = append(out, d.V)
	}
	return out, nil
}
