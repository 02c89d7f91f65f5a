package coldchain

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

func TestStates(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		readings   []Reading
		state      State
		excursions []Outside
		gaps       []Interval
	}{
		"nothing":                        {state: StateNoData},
		"inside":                         {readings: each(2, 5, 8), state: StateWithin},
		"outside for as long as allowed": {readings: each(5, 9, 9, 7), state: StateWithin},
		"outside for longer": {readings: each(5, 9, 12.5, 9, 7), state: StateExcursion, excursions: []Outside{
			{Quantity: Temperature, From: noon.Add(10 * time.Minute), To: noon.Add(40 * time.Minute), Minutes: 30, Peak: 12.5, Limit: 8},
		}},
		"too cold": {readings: each(5, 1, -4, 1, 3), state: StateExcursion, excursions: []Outside{
			{Quantity: Temperature, From: noon.Add(10 * time.Minute), To: noon.Add(40 * time.Minute), Minutes: 30, Peak: -4, Limit: 2},
		}},
		"a gap": {readings: []Reading{at(0, 5), at(31, 5)}, state: StateGap, gaps: []Interval{{noon, noon.Add(31 * time.Minute)}}},
		"what happens in a gap is not known": {
			readings: []Reading{at(0, 5), at(10, 9), at(50, 9), at(60, 5)}, state: StateGap, gaps: []Interval{{noon.Add(10 * time.Minute), noon.Add(50 * time.Minute)}},
		},
		"none until the end": {readings: append(each(5, 5), at(90, 5)), state: StateGap, gaps: []Interval{{noon.Add(10 * time.Minute), noon.Add(90 * time.Minute)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.limit(fridge())
			end := noon.Add(time.Minute)
			if len(tt.readings) > 0 {
				b.take(tt.readings...)
				end = tt.readings[len(tt.readings)-1].Time
			}
			b.bind(maker, lotA, noon, end)
			b.settle()
			v := b.look()
			if v.State != tt.state || !slices.Equal(v.Excursions, tt.excursions) || !slices.Equal(v.Gaps, tt.gaps) {
				t.Errorf("%+v", v)
			}
			list, _, err := b.Excursions(t.Context(), "maker", "", "", 10)
			if err != nil || len(list) != len(tt.excursions) {
				t.Errorf("listed: %+v, %v", list, err)
			}
		})
	}
}

// An open binding whose logger fell silent has a gap up to now; one that still speaks has none.
func TestSilence(t *testing.T) {
	t.Parallel()
	b := setupAt(t, noon.Add(30*time.Minute))
	b.limit(fridge())
	b.take(each(5, 9, 9, 9)...)
	b.bind(maker, lotA, noon, time.Time{})
	b.settle()
	if v := b.look(); v.State != StateWithin { // 20 minutes outside are allowed, and no reading says that there were more
		t.Errorf("%+v", v)
	}
	b.clock.Advance(90 * time.Minute)
	b.take(at(40, 9))
	b.settle()
	v := b.look()
	if v.State != StateExcursion || !v.Excursions[0].Ongoing || len(v.Gaps) != 1 || v.Gaps[0] != (Interval{noon.Add(40 * time.Minute), noon.Add(2 * time.Hour)}) {
		t.Errorf("%+v", v)
	}
}

// A reading that comes late joins two excursions into one, and one that takes an excursion away leaves none behind.
func TestLateReadings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limit(fridge())
	b.bind(maker, lotA, noon, noon.Add(2*time.Hour))
	b.take(at(0, 9), at(30, 9), at(40, 5), at(50, 9), at(80, 9), at(90, 5), at(120, 5))
	b.settle()
	if v := b.look(); len(v.Excursions) != 2 {
		t.Fatalf("%+v", v.Excursions)
	}
	b.take(at(40, 9)) // contradicts the reading that was inside
	b.settle()
	if v := b.look(); len(v.Excursions) != 1 || v.Excursions[0].Minutes != 90 {
		t.Errorf("%+v", v.Excursions)
	}
	lax := fridge()
	lax.ExcursionMinutes = 200
	b.limit(lax)
	b.settle()
	list, _, err := b.Excursions(t.Context(), "", gtinA, "", 10)
	if v := b.look(); v.State != StateWithin || err != nil || len(list) != 0 {
		t.Errorf("under other limits: %+v, %+v, %v", v, list, err)
	}
}

// Any order, splitting and repetition of readings ends with the same windows, records and excursions.
func TestOrderMakesNoDifference(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			var all []Reading
			for minute := 0; minute < 3000; minute += 1 + r.IntN(25) {
				all = append(all, at(minute, 5+4*r.NormFloat64()))
				if r.IntN(20) == 0 { // a contradiction
					all = append(all, at(minute, 5+4*r.NormFloat64()))
				}
				if r.IntN(3) == 0 {
					all = append(all, Reading{Logger: "log-1", Time: all[len(all)-1].Time, Quantity: Humidity, Value: 100 * r.Float64(), UOM: "P1"})
				}
			}
			rules := fridge()
			wet := 90.0
			rules.Humidity = &Range{Max: &wet}
			end := noon.Add(51 * time.Hour)
			one := setup(t)
			one.limit(rules)
			one.bind(maker, lotA, noon, end)
			one.take(all...)
			one.settle()

			two := setup(t)
			mixed := append(slices.Clone(all), all[:len(all)/2]...)
			r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			bound := false
			for len(mixed) > 0 {
				n := 1 + r.IntN(min(len(mixed), 60))
				two.take(mixed[:n]...)
				mixed = mixed[n:]
				if !bound && r.IntN(5) == 0 {
					two.bind(maker, lotA, noon, end)
					two.limit(rules)
					bound = true
				}
				if r.IntN(3) == 0 {
					two.settle()
				}
			}
			two.bind(maker, lotA, noon, end)
			two.limit(rules)
			two.settle()
			for _, coll := range []string{"cold_windows", "cold_bindings", "cold_records", "cold_excursions"} {
				if a, b := bodies(t, one, coll), bodies(t, two, coll); !reflect.DeepEqual(a, b) || len(a) == 0 {
					t.Errorf("%s differ: %d and %d", coll, len(a), len(b))
				}
			}
			if a, b := one.look(), two.look(); !reflect.DeepEqual(a, b) || len(a.Excursions) == 0 {
				t.Errorf("the views differ, or have nothing:\n%+v\n%+v", a, b)
			}
		})
	}
}

// updated is the one thing in these documents that depends on when they were written.
var updated = []byte(`"updated":"2026-03-04T12:00:00Z"`)

func bodies(t *testing.T, b *bundle, coll string) map[string]string {
	t.Helper()
	recs, err := b.engine.All(t.Context(), coll, "", 1000)
	must(t, err)
	out := map[string]string{}
	for _, r := range recs {
		out[r.ID] = string(bytes.ReplaceAll(r.Body, updated, nil))
	}
	return out
}

// A process that is killed at any write, of a batch or of what follows from it, changes nothing about the end: the sender repeats the batch, and the next
// worker goes on.
func TestKilledAtAnyWrite(t *testing.T) {
	t.Parallel()
	batch := append(each(5, 9, 12, 9, 5), Reading{Logger: "log-1", Time: noon.Add(12 * time.Hour), Quantity: Humidity, Value: 50, UOM: "P1"}, at(24*60, 9), at(24*60+30, 9))
	want := map[string]map[string]string{}
	collections := []string{"cold_windows", "cold_records", "cold_excursions", "cold_followers"}
	killed := 0
	for left := 0; left == 0 || killed == left-1; left++ { // until nothing is killed any more
		b := setup(t)
		b.limit(fridge())
		b.bind(maker, lotA, noon, noon.Add(36*time.Hour))
		b.settle()
		b.engine.killAfter(left)
		_, err := b.Take(t.Context(), "maker", batch)
		for more := err == nil; more && err == nil; {
			more, err = b.Follow(t.Context(), b.graph, 1)
		}
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if err != nil {
			killed++
		}
		b.engine.killAfter(0)
		b.take(batch...)
		b.settle()
		for _, coll := range collections {
			got := bodies(t, b, coll)
			if coll == "cold_followers" {
				continue
			}
			if left == 0 {
				want[coll] = got
			} else if !reflect.DeepEqual(got, want[coll]) {
				t.Errorf("killed at write %d: %s differ\n%v\n%v", left, coll, got, want[coll])
			}
		}
	}
	if killed < 6 || len(want["cold_excursions"]) != 2 {
		t.Errorf("%d writes were killed; %v", killed, want["cold_excursions"])
	}
}

func TestRepeatedAndContradicting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := each(5, 6, 7)
	if got := b.take(batch...); got.New != 3 || got.Repeated != 0 {
		t.Errorf("%+v", got)
	}
	if got := b.take(batch...); got.New != 0 || got.Repeated != 3 || got.Contradictions != 0 {
		t.Errorf("again: %+v", got)
	}
	other := []Reading{at(30, 5), at(10, 9)}
	for range 2 {
		if got := b.take(other...); got.Contradictions != 1 || !slices.Equal(got.Contradicting, []string{"/readings/1"}) {
			t.Errorf("another value: %+v", got)
		}
	}
	days, next, err := b.Windows(t.Context(), "maker", "log-1", "", 10)
	if err != nil || next != "" || len(days) != 1 || days[0].Count != 4 || days[0].Contradictions != 1 || days[0].Max != 9 || days[0].Mean != 6.125 {
		t.Errorf("%+v, %v", days, err)
	}
	if days, _, err := b.Windows(t.Context(), "carrier", "log-1", "", 10); err != nil || len(days) != 0 {
		t.Errorf("another firm sees %+v, %v", days, err)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		q    Quantity
		v    float64
		uom  string
		want int32
		code string
	}{
		{Temperature, 41, "FAH", 5000, ""}, {Temperature, 38.3, "FAH", 3500, ""}, {Temperature, 277.15, "KEL", 4000, ""}, {Temperature, -18, "CEL", -18000, ""},
		{Humidity, 55.5, "P1", 55500, ""}, {Temperature, 5, "P1", 0, "unit"}, {Humidity, 5, "CEL", 0, "unit"}, {Temperature, 5, "°C", 0, "unit"},
		{Temperature, math.NaN(), "CEL", 0, "not_finite"}, {Temperature, math.Inf(1), "CEL", 0, "not_finite"}, {Temperature, -274, "CEL", 0, "out_of_range"},
		{Temperature, -1, "KEL", 0, "out_of_range"}, {Humidity, 100.001, "P1", 0, "out_of_range"}, {Temperature, 1e300, "FAH", 0, "out_of_range"},
	} {
		if got, code, _ := measure(tt.q, tt.v, tt.uom); got != tt.want || code != tt.code {
			t.Errorf("%s %g %s: %d %q", tt.q, tt.v, tt.uom, got, code)
		}
	}
}

// A batch with a bad reading stores none, and says of each what is wrong and where.
func TestBadReadings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := b.clock.Now()
	ahead, old := at(0, 5), at(0, 5)
	ahead.Time, old.Time = now.Add(clockSlack+time.Millisecond), time.Unix(0, 0)
	noName, noUnit, quantity := at(0, 5), at(0, 5), at(0, 5)
	noName.Logger, noUnit.UOM, quantity.Quantity = "a b", "X", "pressure"
	_, err := b.Take(t.Context(), "maker", []Reading{at(1, 5), ahead, old, noName, noUnit, quantity, at(2, math.NaN())})
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatal(err)
	}
	var got []string
	for _, x := range f.Fields {
		got = append(got, x.Pointer+" "+x.Code)
	}
	want := []string{
		"/readings/1/time time_in_future", "/readings/2/time time_out_of_range", "/readings/3/logger logger", "/readings/4/uom unit",
		"/readings/5/quantity quantity", "/readings/6/value not_finite",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if w := bodies(t, b, "cold_windows"); len(w) != 0 {
		t.Errorf("stored: %v", w)
	}
	for _, batch := range [][]Reading{nil, make([]Reading, MaxReadings+1)} {
		if _, err := b.Take(t.Context(), "maker", batch); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d readings: %v", len(batch), err)
		}
	}
}

// A day has room for a reading in ten seconds; more is refused and leaves the day as it was.
func TestFullWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := make([]Reading, MaxReadings)
	for part := range 2 {
		for i := range batch {
			batch[i] = at(0, 5)
			batch[i].Time = noon.Add(time.Duration(part*MaxReadings+i) * time.Second)
		}
		_, err := b.Take(t.Context(), "maker", batch)
		if part == 0 && err != nil || part == 1 && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("part %d: %v", part, err)
		}
	}
	if days, _, err := b.Windows(t.Context(), "maker", "log-1", "", 10); err != nil || days[0].Count != MaxReadings {
		t.Errorf("%+v, %v", days, err)
	}
}

// Goods have what was measured while they were in the container, and nothing of the time before and after.
func TestContainment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limit(fridge())
	b.graph.inside[pallet] = []gs1.GTIN{gtinA}
	b.bind(maker, pallet, noon, noon.Add(80*time.Minute))
	b.take(each(9, 9, 9, 9, 5, 5, 5, 5, 5)...) // until 12:40 too warm
	b.settle()
	for _, tt := range []struct {
		from, to int
		want     State
	}{{0, 80, StateExcursion}, {10, 80, StateExcursion}, {20, 80, StateWithin}, {40, 80, StateWithin}, {-60, -10, StateNoData}, {90, 100, StateNoData}} {
		v := b.look(Stay{Thing: pallet, GTIN: gtinA, From: noon.Add(time.Duration(tt.from) * time.Minute), To: noon.Add(time.Duration(tt.to) * time.Minute)})
		if v.State != tt.want {
			t.Errorf("inside from %d to %d: %+v", tt.from, tt.to, v)
		}
	}
}

// What was packed is known only later: then it has a record, too. What was not in it has none.
func TestPackedLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limit(fridge())
	b.bind(maker, pallet, noon, noon.Add(40*time.Minute))
	b.take(each(5, 12, 12, 12, 5)...)
	b.settle()
	stay := Stay{Thing: pallet, GTIN: gtinA}
	if v := b.look(stay); v.State != StateNoData {
		t.Errorf("%+v", v)
	}
	b.graph.inside[pallet] = []gs1.GTIN{gtinA}
	b.graph.seen = append(b.graph.seen, Observation{Packed: []string{pallet}})
	b.settle()
	if v := b.look(stay); v.State != StateExcursion {
		t.Errorf("packed: %+v", v)
	}
	b.graph.inside[pallet] = nil // the event was declared an error
	b.graph.seen = append(b.graph.seen, Observation{Packed: []string{pallet}})
	b.settle()
	if list, _, err := b.Excursions(t.Context(), "", "", "", 10); err != nil || len(list) != 0 || len(bodies(t, b, "cold_records")) != 0 {
		t.Errorf("taken back: %+v, %v", list, err)
	}
}

// A stranger's logger says nothing to shoppers or to the maker, until it took part.
func TestStrangers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limit(fridge())
	b.bind(carrier, lotA, noon, noon.Add(40*time.Minute))
	_, err := b.Take(t.Context(), "carrier", each(20, 20, 20, 20, 20))
	must(t, err)
	b.settle()
	listed := func(who string) int {
		list, _, err := b.Excursions(t.Context(), who, "", "", 10)
		must(t, err)
		return len(list)
	}
	if v := b.look(); v.State != StateNoData || listed("carrier") != 1 || listed("maker") != 0 || listed("") != 1 {
		t.Errorf("%+v; %d %d %d", v, listed("carrier"), listed("maker"), listed(""))
	}
	if v := b.look(Stay{Thing: lotA, GTIN: gtinA, Firms: []string{"carrier"}}); v.State != StateExcursion {
		t.Errorf("it reported an event: %+v", v)
	}
	b.graph.reported[lotA+" carrier"] = true
	b.bind(carrier, lotA, noon, noon.Add(41*time.Minute))
	b.settle()
	if listed("maker") != 1 {
		t.Errorf("%d", listed("maker"))
	}
}

// However many loggers a stranger says are with goods, those that are believed are read.
func TestStrangersCrowdNobodyOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ party, events bool }{
		"a stranger": {}, "who names itself a receiver": {party: true}, "in whose events sensor data is": {party: true, events: true},
	} {
		b := setup(t)
		b.limit(fridge())
		b.bind(maker, lotA, noon, noon.Add(40*time.Minute))
		b.take(each(5, 20, 20, 20, 20)...)
		stay := Stay{Thing: lotA, GTIN: gtinA}
		if c.party {
			stay.Firms = []string{"carrier"}
			b.graph.reported[lotA+" carrier"] = true
		}
		for i := range maxRecords {
			at := noon.Add(-time.Hour - time.Duration(i)*time.Second)
			if c.events {
				b.graph.seen = append(b.graph.seen, Observation{
					Firm: carrier, Event: fmt.Sprint("urn:x:", i), Things: []string{lotA}, Reports: []Report{{From: at, To: at, Quantity: Temperature, Lo: 5, Hi: 5, UOM: "CEL"}},
				})
				continue
			}
			_, err := b.Bind(t.Context(), carrier, "log-1", lotA, at, noon)
			must(t, err)
		}
		b.settle()
		if v := b.look(stay); v.State != StateExcursion {
			t.Errorf("%s: got %s", name, v.State)
		}
	}
}

// Sensor data of an event counts like a logger's readings, until the event is declared an error.
func TestObservedEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limit(fridge())
	o := Observation{
		Firm: maker, Event: "urn:uuid:1", Things: []string{lotA},
		Reports: []Report{
			{From: noon, To: noon.Add(30 * time.Minute), Quantity: Temperature, Lo: 4, Hi: 11, UOM: "CEL"},
			{From: noon.Add(40 * time.Minute), To: noon.Add(40 * time.Minute), Quantity: Temperature, Lo: 41, Hi: 41, UOM: "FAH"},
			{From: noon, To: noon, Quantity: Temperature, Lo: 4, Hi: 4, UOM: "KGM"},
		},
	}
	b.graph.seen = append(b.graph.seen, o)
	b.settle()
	if v := b.look(); v.State != StateExcursion || v.Excursions[0].Peak != 11 || v.Temperature.Min != 4 {
		t.Errorf("%+v", v)
	}
	o.Wrong = true
	b.graph.seen = append(b.graph.seen, o)
	b.settle()
	if v := b.look(); v.State != StateNoData {
		t.Errorf("declared wrong: %+v", v)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.Limits(t.Context(), gtinA); fault.CodeOf(err) != "no_limits" {
		t.Error(err)
	}
	if _, _, err := b.SetByFirm(t.Context(), carrier, gtinA, fridge()); fault.CodeOf(err) != "not_registrant" {
		t.Error(err)
	}
	b.limit(fridge())
	frozen := -18.0
	official := Rules{Temperature: &Range{Max: &frozen}, GapMinutes: 10}
	if _, _, err := b.SetByAuthority(t.Context(), "海南省市场监督管理局", gtinA, official); err != nil {
		t.Error(err)
	}
	b.limit(fridge())
	if l, err := b.Limits(t.Context(), gtinA); err != nil || l.InForce().By != "海南省市场监督管理局" || l.Firm.By != "maker" {
		t.Errorf("%+v, %v", l, err)
	}
	nan, lo := math.NaN(), -300.0
	for name, r := range map[string]Rules{
		"none":    {GapMinutes: 10},
		"open":    {Temperature: &Range{}, GapMinutes: 10},
		"nan":     {Temperature: &Range{Min: &nan}, GapMinutes: 10},
		"cold":    {Temperature: &Range{Min: &lo}, GapMinutes: 10},
		"crossed": {Temperature: &Range{Min: official.Temperature.Max, Max: &lo}, GapMinutes: 10},
		"no gap":  {Temperature: official.Temperature},
		"long":    {Temperature: official.Temperature, GapMinutes: 10, ExcursionMinutes: maxExcursionMinutes + 1},
	} {
		if _, _, err := b.SetByFirm(t.Context(), maker, gtinA, r); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBindings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for name, tt := range map[string]struct {
		logger, thing string
		from, to      time.Time
	}{
		"product": {"l", "https://id.gs1.org/01/06901234567892", noon, time.Time{}},
		"place":   {"l", "https://id.gs1.org/414/6901234560022", noon, time.Time{}},
		"logger":  {"", lotA, noon, time.Time{}},
		"future":  {"l", lotA, b.clock.Now().Add(time.Hour), time.Time{}},
		"order":   {"l", lotA, noon, noon.Add(-time.Second)},
		"long":    {"l", lotA, noon.Add(-MaxBinding), noon.Add(time.Second)},
	} {
		if _, err := b.Bind(ctx, maker, tt.logger, tt.thing, tt.from, tt.to); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Bind(ctx, maker, "l", "no such", noon, time.Time{}); fault.KindOf(err) != fault.Malformed && fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
	b.bind(maker, "urn:epc:id:sgtin:690123456.0789.7x", noon, time.Time{})
	b.bind(maker, "https://example.com/01/06901234567892/10/L9/21/7x", noon, noon.Add(time.Hour)) // the same unit: its binding ends
	b.bind(maker, "urn:epc:id:sgtin:690123456.0789.7x", noon, time.Time{})                        // the first request again: it opens nothing
	list, _, err := b.Bindings(ctx, "maker", "log-1", "", 10)
	if err != nil || len(list) != 1 || !list[0].To.Equal(noon.Add(time.Hour)) || list[0].GTIN != gtinA || !list[0].Vouched {
		t.Errorf("%+v, %v", list, err)
	}
	for i := range maxBindings - 1 {
		b.bind(maker, lotA, noon.Add(time.Duration(i)*time.Minute), time.Time{})
	}
	if _, err := b.Bind(ctx, maker, "log-1", lotA, noon.Add(-time.Minute), time.Time{}); fault.CodeOf(err) != "too_many_bindings" {
		t.Error(err)
	}
	b.bind(maker, lotA, noon, noon.Add(time.Minute)) // one that is there can still end
}

// A worker that lost its lease does not overwrite what its successor derived.
func TestFence(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limit(fridge())
	b.bind(maker, lotA, noon, noon.Add(time.Hour))
	if _, err := b.Follow(t.Context(), b.graph, 2); err != nil {
		t.Fatal(err)
	}
	b.take(each(5, 5)...)
	if _, err := b.Follow(t.Context(), b.graph, 1); !errors.Is(err, store.ErrLeaseLost) {
		t.Error(err)
	}
}

// The chart has few columns, however long the time, and misses no extreme.
func TestChartIsBounded(t *testing.T) {
	t.Parallel()
	rules := fridge()
	j := newJudge(&rules, Temperature, 0, math.MaxInt64, true)
	for i := range int64(92 * 1440) {
		p := point{at: noon.UnixMilli() + i*minuteMillis, lo: 5000, hi: 5000}
		if i == 77777 {
			p.hi = 30000
		}
		j.add(p, 1)
	}
	o := j.end()
	if len(o.Dots) > maxDots || len(o.Dots) < maxDots/3 || !slices.ContainsFunc(o.Dots, func(d Dot) bool { return d.Hi == 30000 }) {
		t.Errorf("%d columns of %d ms", len(o.Dots), o.Column)
	}
}

// Many short excursions are counted, and the longest kept.
func TestManyExcursions(t *testing.T) {
	t.Parallel()
	rules := fridge()
	rules.ExcursionMinutes = 0
	j := newJudge(&rules, Temperature, 0, math.MaxInt64, true)
	ms := noon.UnixMilli()
	for i := range int64(1000) {
		for k := range 1 + i%7 {
			j.add(point{at: ms + k*minuteMillis, lo: 9000, hi: 9000}, 1)
		}
		ms += (1 + i%7) * minuteMillis
		j.add(point{at: ms, lo: 5000, hi: 5000}, 1)
		ms += minuteMillis
	}
	o := j.end()
	if len(o.Excursions) != maxStretches || o.MoreExcursions != 1000-maxStretches || o.Excursions[0].To-o.Excursions[0].From != 7*minuteMillis {
		t.Errorf("%d and %d more; %+v", len(o.Excursions), o.MoreExcursions, o.Excursions[0])
	}
}

// A logger that reports by thousands of events can still be bound by its firm, and the bindings of one day are bounded.
func TestManyObservedEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var items []store.Item[Binding]
	for i := range maxObserved - 1 {
		v := Binding{Firm: "maker", Logger: "log-1", Thing: lotA, GTIN: gtinA, From: noon, To: noon, Event: fmt.Sprint("urn:x:", i)}
		items = append(items, store.Item[Binding]{ID: v.id(), V: v})
	}
	_, err := b.bindings.InsertMany(t.Context(), items)
	must(t, err)
	for i := range 3 {
		must(t, b.bindObserved(t.Context(), Binding{Firm: "maker", Logger: "log-1", Thing: lotA, GTIN: gtinA, From: noon, To: noon, Event: fmt.Sprint("urn:y:", i)}))
	}
	must(t, b.bindObserved(t.Context(), Binding{Firm: "maker", Logger: "log-1", Thing: lotA, GTIN: gtinA, From: noon, To: noon, Event: "urn:x:0", Withdrawn: true}))
	b.bind(maker, lotA, noon, time.Time{})
	n, err := b.bindings.Count(t.Context(), store.Query{Index: byLogger, Eq: store.K("maker", "log-1")}, 10_000)
	d, gerr := b.bindings.Find(t.Context(), store.Query{Index: byThing, Eq: store.K(lotA), Limit: 1})
	if err != nil || gerr != nil || n != maxObserved+1 || len(d.Items) != 1 {
		t.Errorf("%d bindings, %v, %v", n, err, gerr)
	}
}
