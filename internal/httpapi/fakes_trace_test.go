package httpapi

import (
	"context"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
)

var tracePlace = trace.PlaceName{
	URI: "https://id.gs1.org/414/6901234560022", Name: lang.ZhEn("海口日月广场店", "Haikou Sun and Moon Plaza"), City: lang.ZhEn("海口", "Haikou"),
}

func (f *fakes) Whereabouts(_ context.Context, _ trace.Start, at time.Time, viewer string) (*trace.Whereabouts, error) {
	firm := trace.FirmName{ID: seller.ID, Name: seller.Name, Kind: seller.Kind}
	w := &trace.Whereabouts{
		At: at, AsOf: now, Units: 1200,
		Positions: []trace.Position{
			{GTIN: "06901234567892", Lot: "L24A1", State: trace.GoodsHere, Firm: firm, Place: tracePlace, Units: 700, Last: now},
			{GTIN: "06901234567892", Lot: "L24A1", State: trace.GoodsSold, Firm: firm, Place: tracePlace, Units: 480, Last: now},
		},
		Reported: []trace.Reported{{
			GTIN: "06901234567892", Lot: "L24A1", Step: "shipping", Firm: firm, Place: tracePlace, Events: 2, Amount: "12.5", UOM: "KGM", Last: now,
		}},
		Made:      []trace.Made{{GTIN: "06901234567908", Lot: "SET1", Firm: firm, Units: 40, Depth: 1, First: now}},
		Truncated: []string{},
	}
	if viewer != "" {
		w.Withheld = trace.Withheld{Units: 20, Rows: 1, Firms: 1}
	}
	return w, f.note(func() { f.viewers = append(f.viewers, viewer) })
}

func (f *fakes) Ancestors(_ context.Context, start trace.Start, at time.Time, viewer string) (*trace.Lineage, error) {
	into := start.Ref.URI()
	if start.SSCC != "" {
		into = "https://id.gs1.org/00/" + start.SSCC
	}
	return &trace.Lineage{
		At: at,
		Items: []trace.Ancestor{{
			GTIN: "06901234567908", Lot: "M7", EPC: "https://id.gs1.org/01/06901234567908/10/M7", Into: into, Relation: trace.RelInput, Quantity: "12.5KGM",
			Firm: trace.FirmName{ID: seller.ID, Name: seller.Name, Kind: seller.Kind}, Place: tracePlace,
			EventID: "urn:uuid:8f5b1c8e-4b1f-4f7b-9d55-0f9a4f4d2a11", Time: now, Depth: 1,
		}},
		Truncated: []string{},
	}, f.note(func() { f.viewers = append(f.viewers, viewer) })
}

var anomalyGiven = trace.Anomaly{
	GTIN: "06901234567892", Lot: "L24A1", Serial: "7k2m9q4t6v8x0z1b", Grade: trace.GradeDoubt,
	Signals: []trace.Signal{{Code: trace.SignalFarApart, Grade: trace.GradeDoubt, Text: "一小时内在两地被不同的人扫过，可能被复制。"}},
	Scans:   7, Visitors: 4, Places: []string{"三亚", "海口"}, Apart: 300, First: now.Add(-time.Hour), Last: now,
}

func (f *fakes) Anomalies(_ context.Context, g gs1.GTIN, _, viewer, _ string, _ int) (list []trace.Anomaly, next string, err error) {
	if g == "" || g == anomalyGiven.GTIN {
		list = []trace.Anomaly{anomalyGiven}
	}
	return list, "", f.note(func() { f.viewers = append(f.viewers, viewer) })
}

func (f *fakes) Contradictions(_ context.Context, ref gs1.Ref, tag, viewer string) (list []trace.Contradiction, more bool, err error) {
	if ref.Level() == gs1.Lot {
		return []trace.Contradiction{{
			Code: trace.ExpiryDiffers, Grade: trace.GradeDoubt, Text: lang.ZhEn("不同企业登记的保质期截止日期不一致。", "Firms record different expiry dates.").In(tag),
			First: "jiangnan-tea", Second: "haikou-df", Says: []string{"2027-03-01", "2027-09-01"}, At: now,
		}}, false, f.note(func() { f.viewers = append(f.viewers, viewer) })
	}
	text := lang.ZhEn("有两次零售记录，其中至少一次不是它，或漏报了退货。", "Two retail sales are recorded; one was not of this unit, or a return was not reported.")
	return []trace.Contradiction{{
		Code: trace.SoldTwice, Grade: trace.GradeSerious, Text: text.In(tag),
		First: "urn:uuid:8f5b1c8e-4b1f-4f7b-9d55-0f9a4f4d2a11", Second: "urn:uuid:8f5b1c8e-4b1f-4f7b-9d55-0f9a4f4d2a12", At: now,
	}}, false, f.note(func() { f.viewers = append(f.viewers, viewer) })
}
