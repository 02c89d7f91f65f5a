package trace

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// cold gives the bundle a cold chain, and product A limits of 2 to 8 °C.
func (b *bundle) cold() *coldchain.Service {
	b.t.Helper()
	s, err := coldchain.Open(b.t.Context(), coldchain.Deps{Engine: b.engine, Now: b.clock.Now})
	must(b.t, err)
	b.deps.Cold = s
	lo, hi := 2.0, 8.0
	_, _, err = s.SetByFirm(b.t.Context(), b.maker, gtinA, coldchain.Rules{Temperature: &coldchain.Range{Min: &lo, Max: &hi}, ExcursionMinutes: 30, GapMinutes: 60})
	must(b.t, err)
	return s
}

// measure has the maker's logger tell temperatures, half an hour apart.
func (b *bundle) measure(s *coldchain.Service, begin string, celsius ...float64) {
	b.t.Helper()
	at, err := time.Parse(time.RFC3339, begin)
	must(b.t, err)
	batch := make([]coldchain.Reading, len(celsius))
	for i, c := range celsius {
		batch[i] = coldchain.Reading{Logger: "L", Time: at.Add(time.Duration(i) * 30 * time.Minute), Quantity: coldchain.Temperature, Value: c, UOM: "CEL"}
	}
	_, err = s.Take(b.t.Context(), b.maker.ID, batch)
	must(b.t, err)
}

func (b *bundle) followCold(s *coldchain.Service) {
	b.t.Helper()
	for more := true; more; {
		var err error
		more, err = s.Follow(b.t.Context(), b.ColdGraph(), 1)
		must(b.t, err)
	}
	b.clock.Advance(time.Hour) // no chain is remembered
	b.chains.chains.InvalidateAll()
}

func bindAll(t *testing.T, b *bundle, s *coldchain.Service, thing, from, to string) {
	t.Helper()
	begin, err := time.Parse(time.RFC3339, from)
	must(t, err)
	end, err := time.Parse(time.RFC3339, to)
	must(t, err)
	_, err = s.Bind(t.Context(), b.maker, "L", thing, begin, end)
	must(t, err)
}

// A unit has the record of the pallet, through its case, for as long as it was inside: another unit, which left before it became warm, has none of that.
func TestColdChainThroughContainers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	s := b.cold()
	units, err := b.IssueCodes(t.Context(), b.maker, gtinA, "L1", 2, "two")
	must(t, err)
	one, two, box, pallet := node(units[0].Ref()), node(units[1].Ref()), sscc(1), sscc(2)
	bindAll(t, b, s, pallet, "2026-02-01T00:00:00Z", "2026-02-01T06:00:00Z")
	b.measure(s, "2026-02-01T00:00:00Z", 5, 5, 5, 5, 5, 5, 12, 15, 12, 5, 5, 5, 5) // warm from 03:00 to 04:30
	b.followCold(s)
	if a := b.scan(units[0].Ref(), "v", ""); a.Cold == nil || a.Cold.State != coldchain.StateNoData || a.Cold.Provenance != ProvMissing {
		t.Errorf("nothing was packed: %+v", a.Cold)
	}
	b.capture(b.maker, strings.Join([]string{ // in no order
		event("AggregationEvent", "DELETE", "unpacking", "2026-02-01T02:00:00Z", `"parentID":"`+box+`","childEPCs":["`+two+`"]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-31T02:00:00Z", `"parentID":"`+pallet+`","childEPCs":["`+box+`"]`),
		event("AggregationEvent", "ADD", "packing", "2026-01-31T01:00:00Z", `"parentID":"`+box+`","childEPCs":["`+one+`","`+two+`"]`),
		event("ObjectEvent", "ADD", "commissioning", "2026-01-30T00:00:00Z", `"epcList":["`+one+`","`+two+`"]`),
	}, ","))
	b.followCold(s)
	a := b.scan(units[0].Ref(), "v", "")
	if c := a.Cold; c == nil || c.State != coldchain.StateExcursion || len(c.Excursions) != 1 || c.Excursions[0].Minutes != 90 || c.Excursions[0].Peak != 15 ||
		c.Provenance != ProvClaimed || len(c.By) != 1 || c.By[0].ID != "maker" || !strings.Contains(c.Text, "no finding about safety") {
		t.Errorf("%+v", c)
	}
	if a.Headline.Status != HeadCodeValid || a.Safety.Status != SafeNoneKnown {
		t.Errorf("an excursion is no warning: %+v, %+v", a.Headline, a.Safety)
	}
	text, err := a.AppendJSON(nil)
	must(t, err)
	var back struct {
		Cold map[string]any `json:"cold_chain"`
	}
	if err := json.Unmarshal(text, &back); err != nil || back.Cold["state"] != "excursion" || back.Cold["Charts"] != nil {
		t.Errorf("%s: %v", text, err)
	}
	if c := b.scan(units[1].Ref(), "v", "").Cold; c == nil || c.State != coldchain.StateWithin || !c.To.Equal(time.Date(2026, 2, 1, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("it left at two o'clock: %+v", c)
	}
	if a := b.scan(gs1.Ref{GTIN: gtinA}, "v", ""); a.Cold != nil {
		t.Errorf("a product as such was nowhere: %+v", a.Cold)
	}
}

// A stranger who names itself in events of another's goods, or says that they were in its own container, makes them neither warm nor cold for the public.
func TestColdChainOfStrangers(t *testing.T) {
	t.Parallel()
	for name, thing := range map[string]string{"beside the lot": node(gs1.Ref{GTIN: gtinA, Lot: "L1"}), "in a container": "https://id.gs1.org/00/069555500000000014"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			u := b.goods()
			s := b.cold()
			rival := b.firm(firm.Firm{ID: "rival", Name: lang.ZhEn("对手", "Rival"), Kind: firm.Importer, Prefixes: []string{"69555500"}, GLNs: []string{"6955550000007"}})
			lot := node(gs1.Ref{GTIN: gtinA, Lot: "L1"})
			named := `"sourceList":[{"type":"owning_party","source":"https://id.gs1.org/417/6955550000007"}],`
			if thing == lot {
				b.capture(rival, event("ObjectEvent", "OBSERVE", "receiving", "2026-01-31T00:00:00Z", named+`"quantityList":[{"epcClass":"`+lot+`","quantity":1}]`))
			} else {
				b.capture(rival, event("AggregationEvent", "ADD", "packing", "2026-01-31T00:00:00Z", named+`"parentID":"`+thing+`","childQuantityList":[{"epcClass":"`+lot+`","quantity":1}]`))
			}
			at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
			_, err := s.Bind(t.Context(), rival, "L", thing, at, at.Add(2*time.Hour))
			must(t, err)
			var batch []coldchain.Reading
			for i := range 5 {
				batch = append(batch, coldchain.Reading{Logger: "L", Time: at.Add(time.Duration(i) * 30 * time.Minute), Quantity: coldchain.Temperature, Value: 45, UOM: "CEL"})
			}
			_, err = s.Take(t.Context(), rival.ID, batch)
			must(t, err)
			b.followCold(s)
			list, _, err := s.Excursions(t.Context(), "", gtinA, "", 10)
			must(t, err)
			if len(list) != 1 {
				t.Errorf("officers see %+v", list)
			}
			for _, ref := range []gs1.Ref{u.Ref(), {GTIN: gtinA, Lot: "L1"}} {
				if c := b.scan(ref, "v", "").Cold; c == nil || c.State != coldchain.StateNoData || len(c.By) != 0 {
					t.Errorf("%v: %+v", ref, c)
				}
			}
		})
	}
}

// What is measured beside a lot counts for its units; a product without limits says nothing.
func TestColdChainOfALot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	if a := b.scan(u.Ref(), "v", ""); a.Cold != nil {
		t.Errorf("%+v", a.Cold)
	}
	s := b.cold()
	bindAll(t, b, s, node(gs1.Ref{GTIN: gtinA, Lot: "L1"}), "2026-02-01T00:00:00Z", "2026-02-01T02:00:00Z")
	b.measure(s, "2026-02-01T00:00:00Z", 5, 6, 7, 6, 5)
	b.followCold(s)
	for _, ref := range []gs1.Ref{u.Ref(), {GTIN: gtinA, Lot: "L1"}} {
		if c := b.scan(ref, "v", "").Cold; c == nil || c.State != coldchain.StateWithin || *c.Temperature != (coldchain.Measured{Min: 5, Max: 7}) {
			t.Errorf("%v: %+v", ref, c)
		}
	}
}

// Sensor data of captured events counts, and no longer when the event is declared an error. An event that the firm had no right to counts for nobody.
func TestColdChainOfEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	s := b.cold()
	unit := node(u.Ref())
	const sensors = `"sensorElementList":[{"sensorMetadata":{"startTime":"2026-02-01T00:00:00Z","endTime":"2026-02-01T00:45:00Z","deviceID":"urn:example:logger:9"},
"sensorReport":[{"type":"gs1:Temperature","minValue":4,"maxValue":9.5,"uom":"CEL"},{"type":"gs1:Temperature","value":41,"uom":"FAH","time":"2026-02-01T01:00:00Z"}]}]`
	const id = `"eventID":"urn:uuid:8f5b1c8e-4b1f-4f7b-9d55-0f9a4f4d2a11",`
	e := event("ObjectEvent", "OBSERVE", "sensor_reporting", "2026-02-01T02:00:00Z", id+`"epcList":["`+unit+`"],`+sensors)
	stranger, _ := b.stranger()
	b.capture(stranger, event("ObjectEvent", "OBSERVE", "sensor_reporting", "2026-02-01T02:00:00Z", `"epcList":["`+unit+`"],`+sensors))
	b.followCold(s)
	if c := b.scan(u.Ref(), "v", "").Cold; c == nil || c.State != coldchain.StateNoData {
		t.Errorf("a stranger's: %+v", c)
	}
	b.capture(b.maker, e)
	b.followCold(s)
	if c := b.scan(u.Ref(), "v", "").Cold; c == nil || c.State != coldchain.StateExcursion || c.Excursions[0].Minutes != 60 || c.Excursions[0].Peak != 9.5 {
		t.Errorf("%+v", c)
	}
	b.capture(b.maker, strings.TrimSuffix(e, "}")+`,"errorDeclaration":{"declarationTime":"2026-02-02T00:00:00Z"}}`)
	b.followCold(s)
	if c := b.scan(u.Ref(), "v", "").Cold; c == nil || c.State != coldchain.StateNoData {
		t.Errorf("declared an error: %+v", c)
	}
}
