// Package coldchain keeps what loggers measure beside goods, and says whether it stayed within the limits of a product (冷链).
//
// # What is stored
//
// A reading says what a firm's logger measured at a moment. All readings of one logger, quantity and day (UTC) are one document, a window: a logger with a
// reading a minute makes a document a day. A window is a set: readings may come in any order, in any batches and again and again, and the window is the same.
// Two readings of one moment that differ contradict each other; both are kept and count as the range that they span.
//
// A binding says what a logger was with, and when: a container, a lot or a unit. Limits are a product's. From these three a worker derives a record for each
// binding and product, and the excursions in it. Both are a pure function of what is stored, so whatever interrupts the worker, the next run ends with the
// same; and a scan reads records alone, never readings.
//
// # What it says
//
// Between two readings that are at most the product's greatest gap apart, the first is taken to hold. An excursion begins with the first reading outside of the
// limits and ends with the next one inside. Where readings are farther apart there is a gap, of which nothing is said, and certainly not that all was well.
// Nothing here becomes a warning by itself.
package coldchain

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Quantity is what a logger measures.
type Quantity string

// The quantities. Temperatures are in degrees Celsius, relative humidity in percent.
const (
	Temperature Quantity = "temperature"
	Humidity    Quantity = "relative_humidity"
)

var quantities = [...]Quantity{Temperature, Humidity}

// letter stands for a quantity in IDs.
func (q Quantity) letter() string { return string(q[:1]) }

// thousandths is how values are kept: exact, and of one size for all that loggers tell.
const thousandths = 1000

// The values that are taken, in thousandths: from absolute zero to the hottest kiln, and what a percentage can be.
var span = map[Quantity][2]int32{Temperature: {-273_150, 2_000_000}, Humidity: {0, 100_000}}

// units converts what loggers tell, by UN/CEFACT recommendation 20 code.
var units = map[string]struct {
	quantity Quantity
	convert  func(float64) float64
}{
	"CEL": {Temperature, func(v float64) float64 { return v }},
	"FAH": {Temperature, func(v float64) float64 { return (v - 32) / 1.8 }},
	"KEL": {Temperature, func(v float64) float64 { return v - 273.15 }},
	"P1":  {Humidity, func(v float64) float64 { return v }},
}

// measure gives a value in thousandths of the quantity's own unit, rounded half away from zero, and what is wrong with it: a stable code, "" for nothing.
func measure(q Quantity, v float64, uom string) (m int32, code, detail string) {
	u, ok := units[uom]
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, "not_finite", "a value is a finite number"
	case !ok || u.quantity != q:
		return 0, "unit", "temperatures are in CEL, FAH or KEL, relative humidity in P1 (UN/CEFACT recommendation 20)"
	}
	f := math.Round(u.convert(v) * thousandths)
	if s := span[q]; f < float64(s[0]) || f > float64(s[1]) {
		return 0, "out_of_range", "no such value exists: a temperature is from absolute zero to 2000 °C, relative humidity from 0 to 100 %"
	}
	return int32(f), "", ""
}

func value(m int32) float64 { return float64(m) / thousandths }

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

const (
	minuteMillis = 60 * 1000
	dayMillis    = 24 * 60 * minuteMillis
)

// Deps are what the service works with.
type Deps struct {
	Engine store.Engine
	Now    clock.Now
	Log    *slog.Logger // may be nil
}

// Service keeps readings, bindings and limits, and what follows from them. It is safe for concurrent use.
type Service struct {
	limits     *store.Collection[Limits]
	bindings   *store.Collection[Binding]
	windows    *store.Collection[window]
	records    *store.Collection[record]
	excursions *store.Collection[Excursion]
	followers  *store.Collection[position]
	now        clock.Now
	log        *slog.Logger
}

// The declared indexes.
const (
	byLogger  = "logger"
	byThing   = "thing"
	byProduct = "product"
	byBinding = "binding"
	byRecord  = "record"
	bySight   = "sight"
)

// Open declares the collections and rebuilds indexes that changed.
func Open(ctx context.Context, deps Deps) (*Service, error) {
	s := &Service{now: deps.Now, log: deps.Log}
	var err error
	if s.limits, err = store.Open(ctx, deps.Engine, store.Def[Limits]{Name: "cold_limits", Feed: true}); err != nil {
		return nil, fmt.Errorf("coldchain: %w", err)
	}
	if s.bindings, err = store.Open(ctx, deps.Engine, bindingDef); err != nil {
		return nil, fmt.Errorf("coldchain: %w", err)
	}
	if s.windows, err = store.Open(ctx, deps.Engine, windowDef); err != nil {
		return nil, fmt.Errorf("coldchain: %w", err)
	}
	if s.records, err = store.Open(ctx, deps.Engine, recordDef); err != nil {
		return nil, fmt.Errorf("coldchain: %w", err)
	}
	if s.excursions, err = store.Open(ctx, deps.Engine, excursionDef); err != nil {
		return nil, fmt.Errorf("coldchain: %w", err)
	}
	if s.followers, err = store.Open(ctx, deps.Engine, store.Def[position]{Name: "cold_followers"}); err != nil {
		return nil, fmt.Errorf("coldchain: %w", err)
	}
	return s, nil
}

// NodeOf is the node of the trace graph that an EPC, as a URN or a Digital Link, stands for: a unit is known by GTIN and serial alone. ref is zero for a
// container. Malformed for what is no EPC; Invalid for what no logger travels with: a product as a whole, or an identifier of another kind.
func NodeOf(epc string) (e gs1.EPC, node string, ref gs1.Ref, err error) {
	e, err = gs1.ParseEPC(epc)
	if err != nil {
		return e, "", ref, err
	}
	ref, goods := e.Ref()
	switch {
	case goods && ref.Level() == gs1.Product, !goods && e.Key().AI != "00" && e.Key().AI != "8003" && e.Key().AI != "8004":
		return e, "", ref, fault.InvalidFields(fault.Field{
			Pointer: "/thing", Code: "thing", Detail: "a logger travels with a unit, a lot, a logistic unit (SSCC) or an asset (GRAI, GIAI)",
		})
	case goods:
		return e, ref.URI(), ref, nil
	}
	return e, e.String(), ref, nil
}
