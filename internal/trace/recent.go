package trace

import (
	"cmp"
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

// maxRecent is how many scans of one unit are read, the newest, and up to how many are counted.
const maxRecent = 200

// Signals fade: whoever scans a code on purpose to discredit a rival's goods does so for a while only.
const (
	countedFor = 30 * 24 * time.Hour
	nearFor    = 7 * 24 * time.Hour
	farApart   = time.Hour // within it, two places cannot be one and the same bottle
)

// recent is what is known of the scans of one unit. It adds up as scans come, since a popular unit is scanned many times a second, and is
// read anew after recentMaxAge.
type recent struct {
	mu       sync.Mutex
	firstAt  int64
	total    int
	visitors map[string]tally // those that are told, at most maxRecent
	lately   int              // how many of them have counted scans
	unknown  tally            // scans whose visitor is not told: each counts as somebody else's
	places   map[string]int64 // when last
	last     scanDoc          // the last one with a place
	nearAt   int64            // when two visitors were last in two places within an hour
	nearGap  int64            // the shortest time between them, since it was that long ago
}

// tally counts the scans of a visitor.
type tally struct {
	scans, counted int   // counted: not older than countedFor
	last           int64 // when
	times          []int64
}

func newRecent() *recent {
	return &recent{visitors: map[string]tally{}, places: map[string]int64{}}
}

// add adds a scan, the oldest first. now is the present.
func (r *recent) add(d scanDoc, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstAt == 0 {
		r.firstAt = d.At
	}
	r.total++
	t := r.unknown
	if d.Visitor != "" {
		t = r.visitors[d.Visitor]
	}
	fresh := t.counted == 0
	t.scans++
	t.last = d.At
	if now-d.At < countedFor.Milliseconds() {
		t.counted++
		if d.Visitor == "" && len(t.times) < maxRecent {
			t.times = append(t.times, d.At)
		}
	}
	if d.Visitor == "" {
		r.unknown = t
	} else if _, known := r.visitors[d.Visitor]; known || len(r.visitors) < maxRecent {
		r.visitors[d.Visitor] = t
		if fresh && t.counted > 0 {
			r.lately++
		}
	}
	if d.Place == "" {
		return
	}
	if r.far(d) {
		if gap := d.At - r.last.At; r.nearAt == 0 || d.At-r.nearAt >= nearFor.Milliseconds() || gap < r.nearGap {
			r.nearGap = gap
		}
		r.nearAt = d.At
	}
	r.last = d
	if _, known := r.places[d.Place]; known || len(r.places) < maxRecent {
		r.places[d.Place] = d.At
	}
}

// far says whether a scan and the last one with a place cannot both be of one bottle.
func (r *recent) far(d scanDoc) bool {
	return r.last.Place != "" && d.Place != "" && d.Place != r.last.Place && (d.Visitor == "" || d.Visitor != r.last.Visitor) &&
		d.At-r.last.At < farApart.Milliseconds()
}

func (r *recent) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total == 0
}

// seen is what a scan may know of the scans before it.
type seen struct {
	others    int // scans by others, up to maxRecent
	firstAt   int64
	places    []string // at most 8, the newest first
	visitors  int      // distinct others, lately
	cities    int      // distinct places, lately
	afterSale int      // distinct others since the sale, lately
	near      bool     // two visitors in two places within an hour, lately
	apart     int64    // the shortest time between them, in seconds
}

// seen looks back from a scan.
func (r *recent) seen(d scanDoc, soldAt time.Time) seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := seen{firstAt: r.firstAt, others: r.total, visitors: r.unknown.counted + r.lately}
	s.near = r.far(d) || r.nearAt != 0 && d.At-r.nearAt < nearFor.Milliseconds()
	if s.near {
		gap := r.nearGap
		if r.far(d) && (gap == 0 || d.At-r.last.At < gap) {
			gap = d.At - r.last.At
		}
		s.apart = gap / 1000
	}
	if own, known := r.visitors[d.Visitor]; known {
		s.others -= own.scans
		if own.counted > 0 {
			s.visitors--
		}
	}
	s.others = min(s.others, maxRecent)
	if !soldAt.IsZero() {
		s.afterSale = r.since(soldAt.UnixMilli(), d.Visitor)
	}
	if len(r.places) == 0 {
		return s
	}
	for place, at := range r.places {
		if d.At-at < countedFor.Milliseconds() {
			s.cities++
		}
		s.places = append(s.places, place)
	}
	slices.SortFunc(s.places, func(a, b string) int { return cmp.Or(cmp.Compare(r.places[b], r.places[a]), cmp.Compare(a, b)) })
	s.places = s.places[:min(len(s.places), 8)]
	return s
}

// since counts the visitors but one whose last counted scan is after a moment.
func (r *recent) since(at int64, but string) (n int) {
	for who, t := range r.visitors {
		if t.counted > 0 && who != but && t.last > at {
			n++
		}
	}
	for _, t := range r.unknown.times {
		if t > at {
			n++
		}
	}
	return n
}

// recentCache keeps the scans of codes that are being scanned. Other replicas' scans show after recentMaxAge.
type recentCache struct {
	byRef *otter.Cache[string, *recent]
}

const recentMaxAge = 10 * time.Second

func newRecentCache(entries int) *recentCache {
	return &recentCache{byRef: otter.Must(&otter.Options[string, *recent]{
		MaximumSize: entries, ExpiryCalculator: otter.ExpiryWriting[string, *recent](recentMaxAge),
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
	r, now := newRecent(), s.now().UnixMilli()
	for _, d := range slices.Backward(page.Items) {
		r.add(d.V, now)
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
			r.add(d, d.At)
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
	r.add(d, d.At)
	return false, nil
}
