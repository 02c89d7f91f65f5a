package trace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// scanDoc is one scan. It has no address, no device and no exact place: only who-is-who within this one code, as a keyed hash.
type scanDoc struct {
	Ref     string `json:"u"`           // the path of what was scanned, a unit's without the lot
	At      int64  `json:"t"`           // UTC milliseconds
	Visitor string `json:"v,omitempty"` // keyed hash of the visitor and the code; empty: not told
	Place   string `json:"p,omitempty"` // shop code or city
	Head    string `json:"h"`           // the headline that was answered
}

var scanDef = store.Def[scanDoc]{Name: "scans", Indexes: []store.Index[scanDoc]{{
	Name: byUnit, Version: "1", Keys: func(_ string, d *scanDoc) ([]store.Key, store.Key) {
		return []store.Key{store.K(d.Ref)}, store.K(d.At)
	},
}}}

// maxRecent is how many scans of one unit are looked at, the newest.
const maxRecent = 200

// recent is what is known of the scans of one unit.
type recent struct {
	mu      sync.Mutex
	firstAt int64
	scans   []scanDoc // oldest first, at most maxRecent
}

func (r *recent) add(d scanDoc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstAt == 0 {
		r.firstAt = d.At
	}
	if len(r.scans) == maxRecent {
		r.scans = r.scans[1:]
	}
	r.scans = append(r.scans, d)
}

func (r *recent) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.scans) == 0
}

// seen is what a scan may know of the scans before it.
type seen struct {
	others    int // scans by others
	firstAt   int64
	places    []string // the newest first
	visitors  int      // distinct others, in counted scans
	cities    int      // distinct places, in counted scans
	afterSale int      // distinct others since the sale, in counted scans
	near      bool     // two visitors in two places within an hour, lately
}

// Signals fade: whoever scans a code on purpose to discredit a rival's goods does so for a while only.
const (
	countedFor = 30 * 24 * time.Hour
	nearFor    = 7 * 24 * time.Hour
	farApart   = time.Hour // within it, two places cannot be one and the same bottle
)

// seen looks back from a scan. A scan whose visitor is not told counts as another's.
func (r *recent) seen(d scanDoc, soldAt time.Time) seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := seen{firstAt: r.firstAt}
	counted, after, cities := map[string]bool{}, map[string]bool{}, map[string]bool{}
	last := d
	for i := len(r.scans) - 1; i >= 0; i-- {
		x := r.scans[i]
		if other := x.Visitor == "" || x.Visitor != d.Visitor; other {
			s.others++
			who := x.Visitor
			if who == "" {
				who = "scan " + strconv.Itoa(i)
			}
			if d.At-x.At < countedFor.Milliseconds() {
				counted[who] = true
				cities[x.Place] = true
				after[who] = after[who] || !soldAt.IsZero() && x.At > soldAt.UnixMilli()
			}
		}
		if x.Place == "" {
			continue
		}
		if len(s.places) < 8 && !slices.Contains(s.places, x.Place) {
			s.places = append(s.places, x.Place)
		}
		different := x.Visitor == "" || x.Visitor != last.Visitor
		if last.Place != "" && x.Place != last.Place && different && last.At-x.At < farApart.Milliseconds() && d.At-last.At < nearFor.Milliseconds() {
			s.near = true
		}
		last = x
	}
	delete(cities, "")
	s.visitors, s.cities = len(counted), len(cities)
	for _, late := range after {
		if late {
			s.afterSale++
		}
	}
	return s
}

// recentCache keeps the scans of codes that are being scanned. Other replicas' scans show after recentMaxAge.
type recentCache struct {
	byRef *otter.Cache[string, *recent]
}

const recentMaxAge = 10 * time.Second

func newRecentCache() *recentCache {
	return &recentCache{byRef: otter.Must(&otter.Options[string, *recent]{
		MaximumSize: recentEntries, ExpiryCalculator: otter.ExpiryWriting[string, *recent](recentMaxAge),
	})}
}

// recentScans gives what is known of the scans of a code.
func (s *Service) recentScans(ctx context.Context, path string) (*recent, error) {
	if r, ok := s.recent.byRef.GetIfPresent(path); ok {
		return r, nil
	}
	page, err := s.scans.Find(ctx, store.Query{Index: byUnit, Eq: store.K(path), Desc: true, Limit: maxRecent})
	if err != nil {
		return nil, err
	}
	r := &recent{}
	for _, d := range slices.Backward(page.Items) {
		r.add(d.V)
	}
	if page.Next != "" {
		first, err := s.scans.Get(ctx, firstScan(path))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		r.firstAt = first.V.At
	}
	// Two requests that load at once must share one state, or a scan counted in one is lost in the other.
	shared, _ := s.recent.byRef.SetIfAbsent(path, r)
	return shared, nil
}

// firstScan is the ID of the first scan of a unit.
func firstScan(path string) string { return path + "#first" }

// record stores a scan durably and says whether it is the first one of the unit. Which one is first is decided by the insert of
// one fixed ID, so it is true for one scan only, over all replicas.
func (s *Service) record(ctx context.Context, ref gs1.Ref, r *recent, d scanDoc) (first bool, err error) {
	if ref.Level() == gs1.Unit && r.empty() {
		err = s.scans.Insert(ctx, firstScan(d.Ref), d)
		if err == nil {
			r.add(d)
			return true, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return false, err
		}
		s.recent.byRef.Invalidate(d.Ref) // somebody else's first scan is not in r
	}
	// The time comes first, so that scans of a moment lie side by side in the store.
	id := strconv.FormatInt(d.At, 36) + clock.Token(8)
	if err := s.scans.Insert(ctx, id, d); err != nil {
		return false, fmt.Errorf("record scan: %w", err)
	}
	r.add(d)
	return false, nil
}
