package coldchain

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// point is what a logger told of a moment, in thousandths: a value, or the range of a summary that it made itself.
type point struct {
	at     int64 // UTC milliseconds
	lo, hi int32
}

func (p point) compare(q point) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.lo, q.lo), cmp.Compare(p.hi, q.hi))
}

// maxPoints bounds a window: one reading in ten seconds, all day.
const maxPoints = 8640

// window has what a logger told of one quantity on one day (UTC).
type window struct {
	Firm     string   `json:"firm"`
	Logger   string   `json:"logger"`
	Quantity Quantity `json:"quantity"`
	Day      int64    `json:"day"` // since 1970-01-01

	// What follows is made of Points whenever they change.
	Count       int   `json:"count"` // moments
	Contradicts int   `json:"contradicts,omitempty"`
	Min         int32 `json:"min"`
	Max         int32 `json:"max"`
	Sum         int64 `json:"sum"` // of the middles
	First       int64 `json:"first"`
	Last        int64 `json:"last"`

	Points string `json:"points"` // see pack
}

var windowDef = store.Def[window]{Name: "cold_windows", Feed: true, Indexes: []store.Index[window]{{
	Name: byLogger, Version: "1", Keys: func(_ string, w *window) ([]store.Key, store.Key) {
		return []store.Key{store.K(w.Firm, w.Logger), store.K(w.Firm, w.Logger, string(w.Quantity))}, store.K(w.Day)
	},
}}}

// windowKey names a window.
type windowKey struct {
	firm, logger string
	quantity     Quantity
	day          int64
}

// id has the logger last: it may hold anything.
func (k windowKey) id() string {
	return k.firm + "/" + k.quantity.letter() + "/" + strconv.FormatInt(k.day, 10) + "/" + k.logger
}

func dayOf(ms int64) int64 {
	d := ms / dayMillis
	if ms%dayMillis < 0 {
		d--
	}
	return d
}

// add makes the window the union of what it has and more, which is sorted. It gives all of it, and how many are new. More than maxPoints do not fit: then the window
// stays as it was.
func (w *window) add(k windowKey, more []point) (all []point, fresh int, err error) {
	all, err = unpack(w.Points, k.day, len(more))
	if err != nil {
		return nil, 0, err
	}
	have := len(all)
	all = append(all, more...)
	if have > 0 && len(more) > 0 && all[have-1].compare(more[0]) >= 0 { // else what comes is newer than all there is, as mostly
		slices.SortFunc(all, point.compare)
		all = slices.Compact(all)
	}
	if fresh = len(all) - have; fresh == 0 || len(all) > maxPoints {
		return all, fresh, nil
	}
	w.Firm, w.Logger, w.Quantity, w.Day = k.firm, k.logger, k.quantity, k.day
	w.Points = pack(all, k.day)
	w.sum(all)
	return all, fresh, nil
}

func (w *window) sum(all []point) {
	w.Count, w.Contradicts, w.Sum = 0, 0, 0
	w.Min, w.Max = all[0].lo, all[0].hi
	w.First, w.Last = all[0].at, all[len(all)-1].at
	for p, n := range moments(all) {
		w.Count++
		w.Contradicts += n - 1
		w.Min, w.Max = min(w.Min, p.lo), max(w.Max, p.hi)
		w.Sum += (int64(p.lo) + int64(p.hi)) / 2
	}
}

// moments goes through sorted points, those of one moment as the range that they span, with how many they are.
func moments(all []point) func(yield func(point, int) bool) {
	return func(yield func(point, int) bool) {
		for i := 0; i < len(all); {
			p, n := all[i], 1
			for ; i+n < len(all) && all[i+n].at == p.at; n++ {
				p.lo, p.hi = min(p.lo, all[i+n].lo), max(p.hi, all[i+n].hi)
			}
			if !yield(p, n) {
				return
			}
			i += n
		}
	}
}

// pack writes sorted points of one day: of each how long after the one before, how much lower or higher, and the width of its range, as variable-length
// integers. A reading a minute takes some 8 bytes.
func pack(all []point, day int64) string {
	b := make([]byte, 0, 8*len(all))
	at, lo := day*dayMillis, int32(0)
	for _, p := range all {
		b = binary.AppendUvarint(b, uint64(p.at-at))
		b = binary.AppendVarint(b, int64(p.lo)-int64(lo))
		b = binary.AppendUvarint(b, uint64(p.hi-p.lo))
		at, lo = p.at, p.lo
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

// unpack reads what pack wrote, into a list with room for so many more.
func unpack(text string, day int64, room int) ([]point, error) {
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("coldchain: a window: %w", err)
	}
	out := make([]point, 0, len(b)/4+room)
	at, lo := day*dayMillis, int64(0)
	for len(b) > 0 {
		dt, n := binary.Uvarint(b)
		b = b[max(n, 0):]
		dlo, m := binary.Varint(b)
		b = b[max(m, 0):]
		width, o := binary.Uvarint(b)
		b = b[max(o, 0):]
		at, lo = at+int64(dt), lo+dlo
		if n <= 0 || m <= 0 || o <= 0 || dayOf(at) != day {
			return nil, fmt.Errorf("coldchain: a window of day %d is damaged", day)
		}
		out = append(out, point{at: at, lo: int32(lo), hi: int32(lo + int64(width))})
	}
	return out, nil
}

// Window is a day of a logger, for its firm.
type Window struct {
	Logger         string    `json:"logger"`
	Quantity       Quantity  `json:"quantity"`
	Day            string    `json:"day"` // YYYY-MM-DD, UTC
	Count          int       `json:"count"`
	Contradictions int       `json:"contradictions"`
	Min            float64   `json:"min"`
	Max            float64   `json:"max"`
	Mean           float64   `json:"mean"` // of the readings, however they are spread
	First          time.Time `json:"first"`
	Last           time.Time `json:"last"`
}

func (w *window) public() Window {
	return Window{
		Logger: w.Logger, Quantity: w.Quantity, Day: moment(w.Day * dayMillis).Format(time.DateOnly), Count: w.Count, Contradictions: w.Contradicts,
		Min: value(w.Min), Max: value(w.Max), Mean: value(int32(w.Sum / int64(w.Count))), First: moment(w.First), Last: moment(w.Last),
	}
}
