package coldchain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// Reading is what a logger measured at a moment.
type Reading struct {
	Logger   string
	Time     time.Time
	Quantity Quantity
	Value    float64
	UOM      string // UN/CEFACT recommendation 20: CEL, FAH, KEL or P1
}

const (
	// MaxReadings bounds a batch: three and a half days of a reading a minute.
	MaxReadings = 5000
	// maxLogger is the longest name of a logger, in bytes.
	maxLogger = 200
	// clockSlack is how far a logger's clock may be ahead of ours.
	clockSlack = 2 * time.Minute
	// maxTold bounds what an answer lists.
	maxTold = 100
	// windowsAtOnce are written at once, so that their writes share commits.
	windowsAtOnce = 16
)

// firstYear is the earliest year of a reading: before it a clock was never set.
const firstYear = 2000

// Taken says what became of a batch.
type Taken struct {
	New      int `json:"new"`
	Repeated int `json:"repeated"` // were there already, word for word

	Contradictions int      `json:"contradictions"` // readings of this batch of whose moment another value is known; they are kept, too
	Contradicting  []string `json:"contradicting"`  // JSON pointers of them, at most 100
}

// Take stores a batch of a firm's readings, durably, and may be repeated: the same readings again change nothing, in whatever order and batches. A batch
// with a reading that breaks a rule stores none; Invalid then lists each, at most 100. A day of a logger with more than 8,640 readings is Invalid
// (window_full): readings of other days may be stored by then.
func (s *Service) Take(ctx context.Context, firmID string, batch []Reading) (Taken, error) {
	t := Taken{Contradicting: []string{}}
	parts, err := s.sort(firmID, batch)
	if err != nil {
		return t, err
	}
	var mu sync.Mutex
	var contradicting []int
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(windowsAtOnce)
	for _, part := range parts {
		g.Go(func() error {
			fresh, other, err := s.store(gctx, part)
			mu.Lock()
			defer mu.Unlock()
			t.New += fresh
			contradicting = append(contradicting, other...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return t, err
	}
	t.Repeated, t.Contradictions = len(batch)-t.New, len(contradicting)
	slices.Sort(contradicting)
	for _, i := range contradicting[:min(len(contradicting), maxTold)] {
		t.Contradicting = append(t.Contradicting, pointer(i, ""))
	}
	return t, nil
}

func pointer(i int, member string) string { return fmt.Sprintf("/readings/%d%s", i, member) }

// part is what a batch has for one window.
type part struct {
	key    windowKey
	points []point
	places []int // in the batch, of each point
}

// sort checks a batch and divides it by window.
func (s *Service) sort(firmID string, batch []Reading) ([]*part, error) {
	if len(batch) == 0 || len(batch) > MaxReadings {
		return nil, fault.InvalidFields(fault.Field{Pointer: "/readings", Code: "count", Detail: fmt.Sprintf("a batch has 1 to %d readings", MaxReadings)})
	}
	latest := s.now().Add(clockSlack)
	var bad []fault.Field
	var parts []*part
	at := map[windowKey]*part{}
	var last *part // most readings are of the window of the one before
	for i := range batch {
		k, p, f := batch[i].point(firmID, latest)
		if f.Code != "" {
			f.Pointer = pointer(i, f.Pointer)
			if bad = append(bad, f); len(bad) == maxTold {
				break
			}
			continue
		}
		if last == nil || last.key != k {
			if last = at[k]; last == nil {
				last = &part{key: k}
				at[k], parts = last, append(parts, last)
			}
		}
		last.points, last.places = append(last.points, p), append(last.places, i)
	}
	if len(bad) > 0 {
		return nil, fault.InvalidFields(bad...)
	}
	return parts, nil
}

// point is what a reading says; f has a code if it breaks a rule.
func (r *Reading) point(firmID string, latest time.Time) (k windowKey, p point, f fault.Field) {
	if !validLogger(r.Logger) {
		return k, p, fault.Field{Pointer: "/logger", Code: "logger", Detail: "a logger's name is of 1 to 200 visible ASCII characters"}
	}
	if r.Time.Year() < firstYear {
		return k, p, fault.Field{Pointer: "/time", Code: "time_out_of_range", Detail: "the logger's clock was not set: the year is before 2000"}
	}
	if r.Time.After(latest) {
		return k, p, fault.Field{Pointer: "/time", Code: "time_in_future", Detail: "the logger's clock is more than two minutes ahead; correct the time and send it again"}
	}
	if r.Quantity != Temperature && r.Quantity != Humidity {
		return k, p, fault.Field{Pointer: "/quantity", Code: "quantity", Detail: "temperature or relative_humidity"}
	}
	m, code, detail := measure(r.Quantity, r.Value, r.UOM)
	if code != "" {
		member := "/value"
		if code == "unit" {
			member = "/uom"
		}
		return k, p, fault.Field{Pointer: member, Code: code, Detail: detail}
	}
	ms := r.Time.UnixMilli()
	return windowKey{firmID, r.Logger, r.Quantity, dayOf(ms)}, point{at: ms, lo: m, hi: m}, f
}

func validLogger(name string) bool {
	if name == "" || len(name) > maxLogger {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}

// errNothingNew ends an update that would change nothing.
var errNothingNew = errors.New("coldchain: nothing new")

// store adds a part to its window. It gives how many readings are new, and the places of those that contradict others.
func (s *Service) store(ctx context.Context, p *part) (fresh int, contradicting []int, err error) {
	sorted := slices.Clone(p.points)
	if !slices.IsSortedFunc(sorted, point.compare) {
		slices.SortFunc(sorted, point.compare)
	}
	sorted = slices.Compact(sorted)
	var all []point
	contradicts := false
	_, err = s.windows.Upsert(ctx, p.key.id(), func(w *window) error {
		var err error
		all, fresh, err = w.add(p.key, sorted)
		contradicts = w.Contradicts > 0
		switch {
		case err != nil:
			return err
		case len(all) > maxPoints:
			return fault.InvalidFields(fault.Field{
				Pointer: pointer(p.places[0], "/time"), Code: "window_full",
				Detail: fmt.Sprintf("logger %s would have more than %d readings of %s", p.key.logger, maxPoints, moment(p.key.day*dayMillis).Format(time.DateOnly)),
			})
		}
		if fresh == 0 {
			return errNothingNew
		}
		return nil
	})
	if errors.Is(err, errNothingNew) {
		err = nil
	}
	if err != nil {
		return 0, nil, err
	}
	if !contradicts {
		return fresh, nil, nil
	}
	several := map[int64]bool{}
	for m, n := range moments(all) {
		if n > 1 {
			several[m.at] = true
		}
	}
	for i, q := range p.points {
		if several[q.at] {
			contradicting = append(contradicting, p.places[i])
		}
	}
	return fresh, contradicting, nil
}

// Windows lists the days of a firm's logger, the newest first. Malformed for a cursor that it did not give.
func (s *Service) Windows(ctx context.Context, firmID, logger, cursor string, limit int) (days []Window, next string, err error) {
	page, err := s.windows.Find(ctx, store.Query{Index: byLogger, Eq: store.K(firmID, logger), Desc: true, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", badCursor(err)
	}
	days = make([]Window, len(page.Items))
	for i := range page.Items {
		days[i] = page.Items[i].V.public()
	}
	return days, page.Next, nil
}

func badCursor(err error) error {
	if errors.Is(err, store.ErrBadCursor) {
		return fault.New(fault.Malformed, "bad_cursor", "the cursor is not one that this list gave").Because(err)
	}
	return err
}
