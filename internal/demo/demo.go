// Package demo has the demonstration data: twelve invented firms, sixty products and two thousand units with their way from the
// producer to a counter in Hainan, and twenty warnings. It is loaded through the same code as real input: registrations, codes
// that are issued, EPCIS documents that are decoded and captured, warnings that an officer publishes.
//
// The data are tables: firms and places in Go, products in data/products.csv, warnings in data/warnings.json. Everything else
// follows from them and from the day of loading by fixed rules, so two loads on one day differ in their serials only, which
// the trace service derives from its secret key.
package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// Services are what the data are loaded through. Engine is the store of all of them.
type Services struct {
	Firms       *firm.Service
	Trace       *trace.Service
	Warnings    *warning.Service
	Authorities Authorities // nil: the body that the author acts for is entered elsewhere
	Engine      store.Engine
}

// Authorities keeps the public bodies.
type Authorities interface {
	Put(ctx context.Context, a authority.Authority, revision int64) (before, after authority.Authority, err error)
}

// Summary says what was loaded, and which three units to look at first.
type Summary struct {
	OK         gs1.Ref `json:"ok"`         // in order
	Warning    gs1.Ref `json:"warning"`    // under a warning in force
	Suspicious gs1.Ref `json:"suspicious"` // sold long ago and scanned all over the country since
	Seller     string  `json:"seller"`     // the firm that issued the code of OK
	Firms      int     `json:"firms"`
	Products   int     `json:"products"`
	Lots       int     `json:"lots"`
	Units      int     `json:"units"`
	Events     int     `json:"events"`
	Warnings   int     `json:"warnings"`
}

// marker says how far the load has come. It keeps the base day, so that a load that died is repeated with the same dates.
type marker struct {
	Done    bool    `json:"done"`
	Base    string  `json:"base"` // YYYY-MM-DD
	Summary Summary `json:"summary"`
}

const markerID = "demo"

func openMarker(ctx context.Context, eng store.Engine) (*store.Collection[marker], error) {
	return store.Open(ctx, eng, store.Def[marker]{Name: "demo"})
}

// Showcase gives the summary of a completed load. ok is false when there was none; it reads one document.
func Showcase(ctx context.Context, eng store.Engine) (s Summary, ok bool, err error) {
	m, err := readMarker(ctx, eng)
	return m.Summary, m.Done, err
}

func readMarker(ctx context.Context, eng store.Engine) (marker, error) {
	markers, err := openMarker(ctx, eng)
	if err != nil {
		return marker{}, err
	}
	d, err := markers.Get(ctx, markerID)
	if errors.Is(err, store.ErrNotFound) {
		return marker{}, nil
	}
	return d.V, err
}

// ours are the collections whose documents are somebody's data, and not bookkeeping.
var ours = []string{"firms", "products", "events", "warning_drafts", "notices", "devices", "cases", "operators", "seller_keys"}

// State says whether a load was begun here, and whether the store is empty of all data. The services MUST be open: an undeclared
// collection is an error.
func State(ctx context.Context, eng store.Engine) (begun, empty bool, err error) {
	m, err := readMarker(ctx, eng)
	if err != nil || m.Base != "" {
		return m.Base != "", false, err
	}
	for _, coll := range ours {
		recs, err := eng.All(ctx, coll, "", 1)
		if err != nil {
			return false, false, fmt.Errorf("look into %s: %w", coll, err)
		}
		if len(recs) > 0 {
			return false, false, nil
		}
	}
	return false, true, nil
}

// Load loads the demonstration data as of the present day, with author as the officer who publishes the warnings, and tells progress
// (which may be nil) what it is at. Every part of it may be repeated: a load that died is completed by the next one, and
// after a load that was completed there is nothing to do.
func Load(ctx context.Context, s Services, author warning.Author, now clock.Now, progress func(string)) (Summary, error) {
	if progress == nil {
		progress = func(string) {}
	}
	markers, err := openMarker(ctx, s.Engine)
	if err != nil {
		return Summary{}, err
	}
	d, err := markers.Upsert(ctx, markerID, func(m *marker) error {
		if m.Base == "" {
			m.Base = now().In(china).Format(time.DateOnly)
		}
		return nil
	})
	if err != nil {
		return Summary{}, fmt.Errorf("begin the load: %w", err)
	}
	if d.V.Done {
		return d.V.Summary, nil
	}
	base, err := time.Parse(time.DateOnly, d.V.Base)
	if err != nil {
		return Summary{}, fmt.Errorf("base day: %w", err)
	}
	w, err := newWorld(base)
	if err != nil {
		return Summary{}, err
	}
	l := &loader{Services: s, world: w, progress: progress}
	sum, err := l.load(ctx, author)
	if err != nil {
		return sum, err
	}
	_, err = markers.Update(ctx, markerID, func(m *marker) error { m.Done, m.Summary = true, sum; return nil })
	return sum, err
}
