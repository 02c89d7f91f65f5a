package trace

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// Hasher turns text into a keyed hash of at least 26 base32 characters; see secret.Box.
type Hasher interface {
	Hash(purpose, token string) string
}

// Firms names firms and places.
type Firms interface {
	GetMany(ctx context.Context, ids []string) (map[string]firm.Firm, error)
	Places(ctx context.Context, uris []string) (map[string]firm.Place, error)
}

// Warnings knows every warning in force.
type Warnings interface {
	// Match appends the warnings that affect s to dst, worst first.
	Match(dst []warning.Match, s warning.Subject) []warning.Match
	// Confirm says whether Match is known to be at most 2 s behind the store.
	Confirm(ctx context.Context) bool
}

// Notices knows foreign notices.
type Notices interface {
	Notices(ctx context.Context, g gs1.GTIN) ([]notice.Notice, error)
}

// Exposures remembers which device scanned what, durably before it returns.
type Exposures interface {
	RecordExposure(ctx context.Context, device string, ref gs1.Ref, at time.Time) error
}

// Leaves knows the positions of documents in the transparency log, by key; those that are not in it yet are left out.
type Leaves interface {
	Positions(ctx context.Context, kind string, keys []string) (map[string]int64, error)
}

// Sealer makes texts that only the installation can read or make; see secret.Box.
type Sealer interface {
	Seal(purpose string, plain []byte) (string, error)
	Open(purpose, sealed string) ([]byte, error)
}

// Deps are what the service works with.
type Deps struct {
	Engine    store.Engine
	Firms     Firms
	Warnings  Warnings
	Notices   Notices   // nil: there are none
	Exposures Exposures // nil: nobody remembers who scanned what
	Hasher    Hasher
	Cold      ColdChain  // nil: nobody measures anything
	Leaves    Leaves     // nil: steps say nothing of the transparency log
	Sealer    Sealer     // nil: queries have one page
	Blobs     blob.Store // with Jobs; nil: no large documents are captured
	Jobs      Jobs
	Log       *slog.Logger // may be nil
	Now       clock.Now
	// Unattended says that nobody runs RunFlow: whoever asks where goods went follows the events first.
	Unattended bool

	tenant   string                        // the firm whose test tenant it is; "" in production
	captures *store.Collection[captureDoc] // those of all test tenants, for one of them
	papers   *store.Collection[Paper]      // likewise
	cleaning chan struct{}                 // likewise
	sizes    cacheSizes                    // zero: production's
}

// Service is the trace side of the program. It is safe for concurrent use.
type Service struct {
	products *store.Collection[Product]
	lots     *store.Collection[Lot]
	units    *store.Collection[Unit]
	batches  *store.Collection[Batch]
	prints   *store.Collection[Print]
	foreign  *store.Collection[ForeignCode]
	events   *store.Collection[eventDoc]
	raws     *store.Collection[rawDoc]
	captures *store.Collection[captureDoc]
	scans    *store.Collection[scanDoc]

	anomalies *store.Collection[anomalyDoc]
	noted     *anomalyCache

	flows     *store.Collection[flowDoc]
	followers *store.Collection[follower]

	papers   *store.Collection[Paper]
	cleaning chan struct{} // held by whoever cleans a document

	links  *store.Collection[LinkSet]
	spoken *store.Collection[spokenDoc]
	plans  *store.Collection[planDoc]
	deps   Deps
	atOnce int       // events of a large document that are worked on at once
	now    clock.Now // in milliseconds, as all times that are stored and answered
	chains *chainCache
	recent *recentCache
	done   *otter.Cache[string, struct{}] // captures known to be complete, which they stay
	heard  *otter.Cache[string, struct{}] // IDs of spokenDocs that are there
}

// The declared indexes.
const (
	byGTIN  = "gtin"
	byLot   = "lot"
	byCode  = "code"
	byEPC   = "epc"
	byInput = "input"
	byUnit  = "unit"
	byState = "state"
	byFirm  = "firm"
	byBatch = "batch"
	byRef   = "ref"

	byAspect = "aspect" // events by what queries ask for, in event time
	byRecord = "record" // events by who may see them, in record time
	byValue  = "value"
)

// Open declares the collections and rebuilds indexes that changed.
func Open(ctx context.Context, deps Deps) (*Service, error) {
	s := &Service{deps: deps, now: deps.Now.Millis(), atOnce: captureBatch}
	var err error
	open := func(f func() error) {
		if err == nil {
			err = f()
		}
	}
	open(func() (err error) {
		s.products, err = store.Open(ctx, deps.Engine, store.Def[Product]{Name: "products", Indexes: []store.Index[Product]{{
			Name: byGTIN, Version: "1", Keys: func(_ string, p *Product) ([]store.Key, store.Key) {
				return []store.Key{store.K(string(p.GTIN))}, store.K(p.Firm)
			},
		}}})
		return err
	})
	open(func() (err error) {
		s.lots, err = store.Open(ctx, deps.Engine, store.Def[Lot]{Name: "lots", Indexes: []store.Index[Lot]{{
			Name: byLot, Version: "1", Keys: func(_ string, l *Lot) ([]store.Key, store.Key) {
				return []store.Key{store.K(string(l.GTIN), l.Lot)}, store.K(l.Firm)
			},
		}}})
		return err
	})
	open(func() (err error) {
		s.units, err = store.Open(ctx, deps.Engine, store.Def[Unit]{Name: "units", Indexes: []store.Index[Unit]{{
			Name: byLot, Version: "1", Keys: func(_ string, u *Unit) ([]store.Key, store.Key) {
				return []store.Key{store.K(string(u.GTIN), u.Lot)}, store.K(u.Serial)
			},
		}}})
		return err
	})
	open(func() (err error) {
		s.foreign, err = store.Open(ctx, deps.Engine, store.Def[ForeignCode]{Name: "foreign_codes", Indexes: []store.Index[ForeignCode]{{
			Name: byCode, Version: "1", Keys: func(_ string, c *ForeignCode) ([]store.Key, store.Key) {
				return []store.Key{store.K(foldCode(c.Code))}, store.K(c.Scheme)
			},
		}}})
		return err
	})
	open(func() (err error) { s.batches, err = store.Open(ctx, deps.Engine, batchDef); return err })
	open(func() (err error) { s.prints, err = store.Open(ctx, deps.Engine, printDef); return err })
	open(func() (err error) { s.events, err = store.Open(ctx, deps.Engine, eventDef); return err })
	open(func() (err error) {
		s.raws, err = store.Open(ctx, deps.Engine, store.Def[rawDoc]{Name: rawCollection})
		return err
	})
	open(func() (err error) {
		if s.captures = deps.captures; s.captures == nil {
			s.captures, err = store.Open(ctx, deps.Engine, captureDef)
		}
		return err
	})
	open(func() (err error) {
		if s.papers, s.cleaning = deps.papers, deps.cleaning; s.papers == nil {
			s.cleaning = make(chan struct{}, 1)
			s.papers, err = store.Open(ctx, deps.Engine, paperDef)
		}
		return err
	})
	open(func() (err error) { s.plans, err = store.Open(ctx, deps.Engine, planDef); return err })
	open(func() (err error) { s.spoken, err = store.Open(ctx, deps.Engine, spokenDef); return err })
	open(func() (err error) { s.scans, err = store.Open(ctx, deps.Engine, scanDef); return err })
	open(func() (err error) { s.anomalies, err = store.Open(ctx, deps.Engine, anomalyDef); return err })
	open(func() (err error) { s.flows, err = store.Open(ctx, deps.Engine, flowDef); return err })
	open(func() (err error) {
		s.followers, err = store.Open(ctx, deps.Engine, store.Def[follower]{Name: "trace_followers"})
		return err
	})
	open(func() (err error) { s.links, err = store.Open(ctx, deps.Engine, linkDef); return err })
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	sizes := cmp.Or(deps.sizes, productionSizes)
	s.chains = newChainCache(sizes.chainKiB)
	s.recent = newRecentCache(sizes.recent)
	s.noted = newAnomalyCache(sizes.recent)
	s.done = otter.Must(&otter.Options[string, struct{}]{MaximumSize: sizes.captures})
	s.heard = otter.Must(&otter.Options[string, struct{}]{MaximumSize: sizes.captures})
	return s, nil
}

// identity leaves out of a unit its lot, which is a fact about it: with and without the lot a link names the same unit.
func identity(r gs1.Ref) gs1.Ref {
	if r.Serial != "" {
		r.Lot = ""
	}
	return r
}

// node is a unit, lot or product in the graph: its canonical Digital Link.
func node(r gs1.Ref) string { return identity(r).URI() }

func errNoProduct(g gs1.GTIN) *fault.Error {
	return fault.New(fault.NotFound, "product_not_found", "no firm has registered the product %s", g)
}

func errNoLot(g gs1.GTIN, lot string) *fault.Error {
	return fault.New(fault.NotFound, "lot_not_found", "no firm has registered lot %q of product %s", lot, g)
}
