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

// maxRecent is how many scans of one code are looked at, the oldest first.
const maxRecent = 200

// recent is what is known of the scans of one code.
type recent struct {
	mu       sync.Mutex
	scans    []scanDoc // oldest first, at most maxRecent
	visitors map[string]int
}

func (r *recent) add(d scanDoc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.scans) < maxRecent {
		r.scans = append(r.scans, d)
		r.visitors[d.Visitor]++
	}
}

func (r *recent) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.scans) == 0
}

// seen is what a scan may know of the scans before it.
type seen struct {
	total    int // all scans before
	others   int // of them by others
	visitors int // distinct others
	firstAt  int64
	places   []string
	near     bool // two visitors in two places within an hour
}

// farApart is the time within which two places cannot be one and the same bottle.
const farApart = time.Hour

func (r *recent) seen(visitor, place string, now int64) seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := seen{total: len(r.scans)}
	for v, n := range r.visitors {
		switch {
		case v == "":
			s.others, s.visitors = s.others+n, s.visitors+n
		case v != visitor:
			s.others, s.visitors = s.others+n, s.visitors+1
		}
	}
	if len(r.scans) > 0 {
		s.firstAt = r.scans[0].At
	}
	last := scanDoc{At: now, Visitor: visitor, Place: place}
	for i := len(r.scans) - 1; i >= 0; i-- {
		d := r.scans[i]
		if d.Place == "" {
			continue
		}
		if len(s.places) < 8 && !slices.Contains(s.places, d.Place) {
			s.places = append(s.places, d.Place)
		}
		different := d.Visitor == "" || d.Visitor != last.Visitor
		if last.Place != "" && d.Place != last.Place && different && last.At-d.At < farApart.Milliseconds() {
			s.near = true
		}
		last = d
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
	page, err := s.scans.Find(ctx, store.Query{Index: byUnit, Eq: store.K(path), Limit: maxRecent})
	if err != nil {
		return nil, err
	}
	r := &recent{visitors: map[string]int{}}
	for _, d := range page.Items {
		r.scans = append(r.scans, d.V)
		r.visitors[d.V.Visitor]++
	}
	// Two requests that load at once must share one state, or a scan counted in one is lost in the other.
	shared, _ := s.recent.byRef.SetIfAbsent(path, r)
	return shared, nil
}

// record stores a scan durably and says whether it is the first one of the unit. Which one is first is decided by the insert of
// one fixed ID, so it is true for one scan only, over all replicas.
func (s *Service) record(ctx context.Context, ref gs1.Ref, r *recent, d scanDoc) (first bool, err error) {
	if ref.Level() == gs1.Unit && r.empty() {
		err = s.scans.Insert(ctx, d.Ref+"#first", d)
		if err == nil {
			r.add(d)
			return true, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return false, err
		}
		s.recent.byRef.Invalidate(d.Ref) // somebody else's first scan is not in r
	}
	id := d.Ref + "#" + strconv.FormatInt(d.At, 36) + clock.Token(5)
	if err := s.scans.Insert(ctx, id, d); err != nil {
		return false, fmt.Errorf("record scan: %w", err)
	}
	r.add(d)
	return false, nil
}
