package httpapi

import (
	"context"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
)

// coldFake keeps nothing, but what it was asked for.
type coldFake struct{ *fakes }

func cold(lo, hi float64) coldchain.Rules {
	return coldchain.Rules{Temperature: &coldchain.Range{Min: &lo, Max: &hi}, ExcursionMinutes: 30, GapMinutes: 60}
}

func (f coldFake) Limits(_ context.Context, g gs1.GTIN) (coldchain.Limits, error) {
	return coldchain.Limits{GTIN: g, Firm: &coldchain.Set{Rules: cold(2, 8), By: seller.ID, Updated: now}}, f.fail()
}

func (f coldFake) SetByFirm(_ context.Context, by firm.Firm, g gs1.GTIN, r coldchain.Rules) (before, after coldchain.Limits, err error) {
	return coldchain.Limits{}, coldchain.Limits{GTIN: g, Firm: &coldchain.Set{Rules: r, By: by.ID, Updated: now}}, f.fail()
}

func (f coldFake) SetByAuthority(_ context.Context, authority string, g gs1.GTIN, r coldchain.Rules) (before, after coldchain.Limits, err error) {
	return coldchain.Limits{}, coldchain.Limits{GTIN: g, Authority: &coldchain.Set{Rules: r, By: authority, Updated: now}}, f.fail()
}

func (f coldFake) Take(_ context.Context, _ string, batch []coldchain.Reading) (coldchain.Taken, error) {
	if batch[0].Time.After(now) {
		return coldchain.Taken{}, fault.InvalidFields(fault.Field{Pointer: "/readings/0/time", Code: "time_in_future", Detail: "the clock is ahead"})
	}
	return coldchain.Taken{New: len(batch) - 1, Repeated: 1, Contradictions: 1, Contradicting: []string{"/readings/1"}}, f.note(func() { f.readings = batch })
}

func (f coldFake) Windows(_ context.Context, _, logger, _ string, _ int) (days []coldchain.Window, next string, err error) {
	return []coldchain.Window{{
		Logger: logger, Quantity: coldchain.Temperature, Day: "2026-03-01", Count: 1440, Contradictions: 1, Min: 3.1, Max: 9.4, Mean: 4.75,
		First: now.Add(-24 * time.Hour), Last: now.Add(-time.Minute),
	}}, "", f.fail()
}

func (f coldFake) Bind(_ context.Context, by firm.Firm, logger, thing string, from, to time.Time) (coldchain.Binding, error) {
	return coldchain.Binding{Firm: by.ID, Logger: logger, Thing: thing, From: from, To: to, Vouched: true}, f.fail()
}

func (f coldFake) Bindings(_ context.Context, firmID, logger, _ string, _ int) (list []coldchain.Binding, next string, err error) {
	return []coldchain.Binding{{Firm: firmID, Logger: logger, Thing: "https://id.gs1.org/00/069012345600000015", From: now.Add(-24 * time.Hour), Vouched: true}}, "", f.fail()
}

func (f coldFake) Excursions(_ context.Context, viewer string, g gs1.GTIN, _ string, _ int) (list []coldchain.Excursion, next string, err error) {
	if g == "" {
		g = "06901234567892"
	}
	return []coldchain.Excursion{{
		Firm: seller.ID, Logger: "TT-0042", Thing: "https://id.gs1.org/00/069012345600000015", GTIN: g, Quantity: coldchain.Temperature,
		From: now.Add(-20 * time.Hour), To: now.Add(-19 * time.Hour), Peak: 9.4, Limit: 8, By: seller.ID, Allowed: 30, Accepted: true,
	}}, "", f.note(func() { f.viewers = append(f.viewers, viewer) })
}
