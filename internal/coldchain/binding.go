package coldchain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Binding says what a firm's logger was with, from when to when.
type Binding struct {
	Firm      string    `json:"firm"`
	Logger    string    `json:"logger"`
	Thing     string    `json:"thing"` // node of the trace graph
	GTIN      gs1.GTIN  `json:"gtin,omitempty"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to,omitzero"`         // zero: it still is
	Vouched   bool      `json:"vouched,omitempty"`   // the firm may speak for the thing, or is an authority
	Event     string    `json:"event,omitempty"`     // ID of the trace event that says so
	Withdrawn bool      `json:"withdrawn,omitempty"` // the event was declared an error
}

// MaxBinding is how long a binding counts. What stays beside a logger for longer is bound again.
const MaxBinding = 92 * 24 * time.Hour

// What bounds the bindings of a logger that can count at a time, since every reading is judged under all of them: those that its firm told within MaxBinding, and
// those that trace events made within a day.
const (
	maxBindings = 100
	maxObserved = 2000
)

// Where bindings come from, in the keys of byLogger.
const (
	told     = "told"
	observed = "observed"
)

// end is when the binding ends, at the latest.
func (b *Binding) end() time.Time {
	latest := b.From.Add(MaxBinding)
	if b.To.IsZero() || b.To.After(latest) {
		return latest
	}
	return b.To
}

var bindingDef = store.Def[Binding]{Name: "cold_bindings", Feed: true, Indexes: []store.Index[Binding]{
	{Name: byLogger, Version: "2", Keys: func(_ string, b *Binding) ([]store.Key, store.Key) {
		source := told
		if b.Event != "" {
			source = observed
		}
		return []store.Key{store.K(b.Firm), store.K(b.Firm, b.Logger), store.K(b.Firm, b.Logger, source)}, store.K(b.From)
	}},
	{Name: byThing, Version: "1", Keys: func(_ string, b *Binding) ([]store.Key, store.Key) {
		return []store.Key{store.K(b.Thing)}, store.K(b.From)
	}},
	{Name: byProduct, Version: "1", Keys: func(_ string, b *Binding) ([]store.Key, store.Key) {
		if b.GTIN == "" {
			return nil, nil
		}
		return []store.Key{store.K(string(b.GTIN))}, store.K(b.From)
	}},
}}

// id follows from what makes a binding another one, so that saying it again is no second one.
func (b *Binding) id() string {
	sum := sha256.Sum256([]byte(b.Logger + "\x00" + b.Thing + "\x00" + b.Event))
	return b.Firm + "/" + strconv.FormatInt(b.From.UnixMilli(), 36) + "/" + hex.EncodeToString(sum[:10])
}

// Bind says that a firm's logger is with a thing, an EPC as URN or Digital Link, from one time to another, or until further notice. The same logger, thing
// and beginning again changes the end of that binding, and may be repeated: without an end it leaves the one that is there, so a request that comes late opens
// nothing again. Invalid, Malformed (no EPC), Conflict (too_many_bindings).
func (s *Service) Bind(ctx context.Context, f firm.Firm, logger, thing string, from, to time.Time) (Binding, error) {
	var bad []fault.Field
	add := func(when bool, pointer, code, detail string) {
		if when {
			bad = append(bad, fault.Field{Pointer: pointer, Code: code, Detail: detail})
		}
	}
	epc, node, ref, err := NodeOf(thing)
	if err != nil {
		return Binding{}, err
	}
	latest := s.now().Add(clockSlack)
	add(!validLogger(logger), "/logger", "logger", "a logger's name is of 1 to 200 visible ASCII characters")
	add(from.Year() < firstYear, "/from", "time_out_of_range", "the year is before 2000")
	add(from.After(latest), "/from", "time_in_future", "a binding is reported when it has begun")
	add(!to.IsZero() && to.Before(from), "/to", "date_order", "the end is before the beginning")
	add(to.After(latest), "/to", "time_in_future", "an end is reported when it has come")
	add(!to.IsZero() && to.Sub(from) > MaxBinding, "/to", "too_long", "a binding counts for 92 days; bind the logger again for longer")
	if len(bad) > 0 {
		return Binding{}, fault.InvalidFields(bad...)
	}
	b := Binding{Firm: f.ID, Logger: logger, Thing: node, GTIN: ref.GTIN, From: millis(from), Vouched: vouches(f, epc)}
	if !to.IsZero() {
		b.To = millis(to)
	}
	return s.bind(ctx, b)
}

func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// vouches says whether a firm may speak for what an EPC names.
func vouches(f firm.Firm, epc gs1.EPC) bool {
	digits, ok := epc.CompanyDigits()
	return f.Kind == firm.Authority || ok && f.Owns(digits)
}

func (s *Service) bind(ctx context.Context, b Binding) (Binding, error) {
	near := store.Query{Index: byLogger, Eq: store.K(b.Firm, b.Logger, told), From: store.K(b.From.Add(-MaxBinding)), To: store.K(b.From.Add(MaxBinding))}
	n, err := s.bindings.Count(ctx, near, maxBindings)
	if err != nil {
		return b, err
	}
	if n == maxBindings {
		if _, err := s.bindings.Get(ctx, b.id()); err != nil {
			return b, fault.New(fault.Conflict, "too_many_bindings", "logger %s has %d bindings within %d days of this one", b.Logger, n, int(MaxBinding.Hours()/24)).Because(err)
		}
	}
	d, err := s.bindings.Upsert(ctx, b.id(), func(v *Binding) error {
		end := v.To
		*v = b
		if b.To.IsZero() {
			v.To = end
		}
		return nil
	})
	return d.V, err
}

// Bindings lists what a firm's loggers were with, the newest first; logger "" is all of them. Malformed for a cursor that it did not give.
func (s *Service) Bindings(ctx context.Context, firmID, logger, cursor string, limit int) (list []Binding, next string, err error) {
	eq := store.K(firmID)
	if logger != "" {
		eq = store.K(firmID, logger)
	}
	page, err := s.bindings.Find(ctx, store.Query{Index: byLogger, Eq: eq, Desc: true, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", badCursor(err)
	}
	list = make([]Binding, len(page.Items))
	for i := range page.Items {
		list[i] = page.Items[i].V
	}
	return list, page.Next, nil
}

// during gives the bindings of a logger that count on a day.
func (s *Service) during(ctx context.Context, firmID, logger string, day int64) (ids []string, err error) {
	begin := moment(day * dayMillis)
	end := begin.Add(24 * time.Hour)
	q := store.Query{Index: byLogger, Eq: store.K(firmID, logger), From: store.K(begin.Add(-MaxBinding)), To: store.K(end)}
	err = s.bindings.Each(ctx, q, func(d store.Doc[Binding]) error {
		if !d.V.end().Before(begin) {
			ids = append(ids, d.ID)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("coldchain: bindings of %s: %w", logger, err)
	}
	return ids, nil
}
