package web

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

var languages = []string{lang.ZhHans, lang.En}

// newPages compiles the pages.
func newPages(t testing.TB) *Pages {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

// render collects what a page writes.
func render(t testing.TB, write func(b *bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatalf("render: %v", err)
	}
	return b.String()
}

func pick(tag, zh, en string) string { return lang.ZhEn(zh, en).In(tag) }

var noon = time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC)

// scenes are the answers that the tests look at: one for each status of the headline, and what else differs in kind.
var scenes = []string{
	"ok", "warning_red", "warning_orange", "warning_yellow", "warning_blue", "possible", "recalled", "unconfirmed", "void", "suspicious", "unknown_unit",
	"unknown_code", "cold_excursion", "cold_within", "cold_nothing",
}

// scene makes an answer as package trace makes it.
func scene(name, tag string) *trace.Answer {
	a := baseAnswer(tag)
	if mode, ok := sceneEdits[name]; ok {
		mode(a, tag)
	}
	return a
}

var sceneEdits = map[string]func(a *trace.Answer, tag string){
	"ok": func(a *trace.Answer, tag string) {
		a.Scan.First, a.Scan.Count, a.Scan.FirstAt, a.Scan.Places = true, 0, nil, nil
	},
	"cold_excursion": func(a *trace.Answer, tag string) { a.Cold = coldAnswer(tag, true) },
	"cold_within":    func(a *trace.Answer, tag string) { a.Cold = coldAnswer(tag, false) },
	"cold_nothing": func(a *trace.Answer, tag string) {
		a.Cold = coldAnswer(tag, false)
		a.Cold.State, a.Cold.Provenance, a.Cold.By, a.Cold.Charts = coldchain.StateNoData, trace.ProvMissing, nil, nil
		a.Cold.Text = pick(tag, "该商品有温湿度要求，但没有查到它的记录。", "This product has limits, and no record of it was found.")
	},
	"warning_red": func(a *trace.Answer, tag string) {
		warn(a, tag, "red", pick(tag, "有红色风险预警", "A red safety warning is in force"))
	},
	"warning_orange": func(a *trace.Answer, tag string) {
		warn(a, tag, "orange", pick(tag, "有橙色风险预警", "An orange safety warning is in force"))
	},
	"warning_yellow": func(a *trace.Answer, tag string) {
		warn(a, tag, "yellow", pick(tag, "有黄色风险预警", "A yellow safety warning is in force"))
	},
	"warning_blue": func(a *trace.Answer, tag string) {
		warn(a, tag, "blue", pick(tag, "有蓝色风险预警", "A blue safety warning is in force"))
	},
	"possible": func(a *trace.Answer, tag string) {
		warn(a, tag, "yellow", pick(tag, "部分批次有风险预警", "Some lots are under a safety warning"))
		a.Headline.Todo = pick(tag, "请核对包装上的批号和日期；对得上就不要购买或使用。", "Compare the lot number and date on the package; if they match, do not buy or use it.")
		f := &a.Findings[0]
		f.Match = "possible"
		f.Text = pick(tag, "这条预警只涉及部分批次或时段。请核对包装上的批号和日期。", "This warning concerns certain lots or dates only. Check the lot number and date on the package.")
		a.Asked.Serial, a.Asked.Lot, a.Lot, a.Chain = "", "", nil, []trace.Step{}
	},
	"recalled": func(a *trace.Answer, tag string) {
		warn(a, tag, "red", pick(tag, "正在召回", "Under recall"))
		a.Headline.Status, a.Safety.Status, a.Safety.Text = trace.HeadRecalled, trace.SafeRecalled, pick(tag, "它在召回范围内。", "It is within the scope of a recall.")
		a.Findings[0].Kind, a.Findings[0].Code = "recall", "recall"
	},
	"unconfirmed": func(a *trace.Answer, tag string) {
		a.Headline = trace.Headline{
			Status: trace.HeadUnconfirmed, Title: pick(tag, "暂时无法确认是否安全", "Safety cannot be confirmed right now"),
			Todo: pick(tag, "请稍后再扫一次；确认之前请不要食用或使用，可询问店员。", "Scan again in a moment. Do not eat or use it before that; ask the staff."),
		}
		a.Safety.Status, a.Safety.Text = trace.SafeUnconfirmed, pick(tag, "暂时读不到最新预警，不能说它安全。", "The latest warnings cannot be read right now, so nothing is said about its safety.")
		a.Scan.Recorded = false
	},
	"void": func(a *trace.Answer, tag string) {
		a.Headline = trace.Headline{
			Status: trace.HeadVoid, Title: pick(tag, "此码已作废", "This code has been withdrawn"),
			Todo: pick(tag, "不要购买，请交给店员核查，也可以举报。", "Do not buy it. Show it to the staff; you can also report it."),
		}
		a.Authenticity = trace.Authenticity{Status: trace.AuthVoid, Text: pick(tag, "签发企业已将此码作废。", "The firm that issued this code has withdrawn it.")}
		a.Findings = []trace.Finding{{
			Kind: "code", Code: "void", Title: pick(tag, "此码已作废", "The code has been withdrawn"),
			Text: pick(tag, "标签已销毁或从未使用，不应出现在商品上。", "Its label was destroyed or never used and should not be on a product."),
			Todo: pick(tag, "不要购买，请店员核查，也可以举报。", "Do not buy it; ask the staff to check. You can also report it."),
		}}
	},
	"suspicious": func(a *trace.Answer, tag string) {
		a.Headline = trace.Headline{
			Status: trace.HeadSuspicious, Title: pick(tag, "此码有疑点", "This code looks suspicious"),
			Todo: pick(tag, "码可能被复制。不要购买，请店员核查，也可以举报。", "The code may have been copied. Do not buy it, ask the staff to check; you can also report it."),
		}
		a.Authenticity = trace.Authenticity{Status: trace.AuthSuspicious, Text: pick(tag, "此码已登记，但它的扫码或流通记录有矛盾。", "The code is registered, but its scans or its history contradict each other.")}
		a.Sale = trace.Sale{Status: trace.SaleSoldDutyFree, Text: pick(tag, "已作为离岛免税品售出，不得再次销售。", "It was sold duty-free to a traveller leaving the island and must not be resold.")}
		a.Findings = []trace.Finding{
			{
				Kind: "scan", Code: "far_apart", Title: pick(tag, "同一个码短时间内在两地被扫", "Scanned in two places within an hour"),
				Text: pick(tag, "一件商品不可能同时在两个地方，码可能被复制。", "One unit cannot be in two places at once. The code may have been copied."),
				Todo: pick(tag, "不要购买，请店员核查，也可以举报。", "Do not buy it; ask the staff to check. You can also report it."),
			},
			{
				Kind: "sale", Code: "duty_free_sold", Title: pick(tag, "已作为离岛免税品售出", "Sold duty-free to a traveller"),
				Text: pick(tag, "离岛免税品只供旅客自用，再次销售是违法行为，由海关查处。", "Duty-free goods are for the traveller's own use. Reselling them is illegal; customs handles reports."),
				Todo: pick(tag, "如果有人向你出售，请勿购买并举报。", "If somebody offers it for sale, do not buy it and report it."),
			},
			{
				Kind: "notice", Code: "foreign_notice", Match: "possible", No: "safety-gate/A12/00017/20", Title: "Perfume with a restricted fragrance (BMHCA)",
				Text: pick(tag, "国外通报，供参考；不是本省发布的预警。", "A foreign notice, for information; it is no warning of this province."),
			},
		}
		a.Scan.Count = 214
	},
	"unknown_unit": func(a *trace.Answer, tag string) {
		a.Level = "lot"
		a.Headline = unknownHead(tag)
		a.Authenticity = trace.Authenticity{Status: trace.AuthUnknownUnit, Text: pick(tag, "商品已登记，但没有查到这一件（或这一批）的记录。", "The product is registered, but this very unit (or lot) is not.")}
		a.Findings = []trace.Finding{{
			Kind: "code", Code: "unit_unknown", Title: pick(tag, "没有查到这一件", "This unit is not known"),
			Text: pick(tag, "下面是同一批次或同一商品的信息，不是这一件的。", "What follows is about the lot or the product, not about this unit."),
			Todo: pick(tag, "请核对号码，或请店员核查。", "Check the number, or ask the staff."),
		}}
		a.Scan = trace.ScanFacts{Recorded: true, Count: 0}
	},
	"unknown_code": func(a *trace.Answer, tag string) {
		*a = trace.Answer{
			Lang: tag, Asked: trace.Asked{Code: "https://qr.example.invalid/t/9F3K-77QX?from=poster"}, Level: "none", Headline: unknownHead(tag),
			Authenticity: trace.Authenticity{Status: trace.AuthUnknownProduct, Text: pick(tag, "没有企业登记过这个商品。", "No firm has registered this product.")},
			Safety:       a.Safety, Sale: a.Sale, Chain: []trace.Step{},
			Findings: []trace.Finding{{
				Kind: "code", Code: "code_unknown", Title: pick(tag, "没有查到这个码", "This code is not known"),
				Text: pick(tag, "它不是这里登记的追溯码，也不是商品条码。", "It is neither a registered code nor a product bar code."),
				Todo: pick(tag, "请核对号码，或询问店员。", "Check the number, or ask the staff."),
			}},
		}
	},
}

func unknownHead(tag string) trace.Headline {
	return trace.Headline{
		Status: trace.HeadUnknown, Title: pick(tag, "没有查到这个码", "This code is not known here"),
		Todo: pick(tag, "请核对号码后再查一次；免税店内的商品请询问店员。", "Check the number and try again. In a duty-free shop, ask the staff."),
	}
}

func warn(a *trace.Answer, tag, level, title string) {
	advice := pick(tag, "立即停止食用，已购买的请联系购买门店退货；婴幼儿食用后如有呕吐、腹泻请尽快就医。",
		"Stop feeding it at once and return it to the shop. If an infant vomits or has diarrhoea after eating it, see a doctor.")
	a.Headline = trace.Headline{Status: trace.HeadWarning, Level: level, Title: title, Todo: advice}
	a.Safety.Status, a.Safety.Level, a.Safety.Text = trace.SafeWarning, level, pick(tag, "有针对它的有效预警。", "A warning is in force against it.")
	a.Findings = []trace.Finding{{
		Kind: "warning", Code: "warning", Level: level, Match: "certain", No: "HN-2026-000123",
		Title: pick(tag, "部分批次婴幼儿配方乳粉检出克罗诺杆菌", "Cronobacter found in certain lots of infant formula"),
		Text: pick(tag, "抽检样品中检出克罗诺杆菌属（阪崎肠杆菌），可能导致新生儿感染。涉及批号 NL26A04、NL26A05。",
			"Cronobacter was found in a sample; it can cause infections in newborns. The lots NL26A04 and NL26A05 are affected."),
		Todo: advice,
	}}
}

func baseAnswer(tag string) *trace.Answer {
	first := noon.Add(-72 * time.Hour)
	return &trace.Answer{
		Lang: tag, Level: "unit",
		Asked: trace.Asked{GTIN: "08716200691239", Lot: "NL26A04", Serial: "7QK2M9XA4TBD"},
		Headline: trace.Headline{
			Status: trace.HeadCodeValid, Title: pick(tag, "此码有效，未发现问题", "The code is valid and nothing is known against it"),
			Todo: pick(tag, "码可以被复制：请再核对批号、封口和包装，如有不符请询问店员。",
				"A code can be copied: compare the lot number, the seal and the packaging, and ask the staff if anything differs."),
		},
		Authenticity: trace.Authenticity{
			Status: trace.AuthIssued,
			Text: pick(tag, "此码由登记企业签发，登记在册。这不能证明瓶中之物，因为码可以被复制。",
				"The code was issued by a registered firm. That does not prove what is inside: a printed code can be copied."),
		},
		Safety: trace.Safety{
			Status: trace.SafeNoneKnown, AsOf: noon,
			Text: pick(tag, "截至查询时，没有针对它的有效预警或召回。", "At this moment no warning or recall is in force against it."),
		},
		Sale:     trace.Sale{Status: trace.SaleUnsold, Text: pick(tag, "没有售出记录。", "No sale is recorded.")},
		Findings: []trace.Finding{},
		Product: &trace.ProductView{
			GTIN: "08716200691239", Name: lang.ZhEn("荷蓝婴儿配方奶粉（0–6 月龄，1 段）", "Hollandsche Infant Formula, Stage 1 (0–6 months)"),
			Brand: lang.ZhEn("荷蓝", "Hollandsche"), Category: "infant_formula", Origin: "NL", Net: "800 g", Provenance: trace.ProvClaimed,
			LotHint: lang.ZhEn("罐底喷码第二行", "Second line printed on the bottom of the tin"),
			Facts: trace.ProductFacts{
				Name: said("f-1"), Brand: said("f-1"), Category: said("f-1"), Origin: said("f-1"), Net: said("f-2"),
			},
			Description: lang.ZhEn("以荷兰北部牧场的鲜乳为原料。", ""),
			Sellers: []trace.FirmName{
				{ID: "f-1", Name: lang.ZhEn("荷蓝乳业有限公司", "Hollandsche Zuivel B.V.")},
				{ID: "f-2", Name: lang.ZhEn("海南椰湾免税品经营有限公司", "Hainan Coconut Bay Duty Free Co., Ltd.")},
			},
		},
		Lot: &trace.LotView{
			GTIN: "08716200691239", Lot: "NL26A04", Produced: "2026-01-04", Expires: "2028-01-03", Quantity: 24000,
			Declaration: "640120261000012345", Inspection: "460100126000123001", Provenance: trace.ProvClaimed,
			Facts: trace.LotFacts{
				Produced: said("f-2"), Expires: said("f-2"), Quantity: said("f-2"), Inspection: said("f-2"),
				Declaration: trace.Fact{
					Status: trace.ProvVerified, By: "yangpu-customs", Name: lang.ZhEn("洋浦海关", "Yangpu Customs"), Document: "640120261000012345", Date: "2026-01-29",
				},
			},
			Sellers:   []trace.FirmName{{ID: "f-2", Name: lang.ZhEn("海南椰湾免税品经营有限公司", "Hainan Coconut Bay Duty Free Co., Ltd.")}},
			Documents: documents(),
		},
		Chain: chainSteps(tag),
		Scan: trace.ScanFacts{
			Recorded: true, Count: 3, FirstAt: &first,
			Places: []string{pick(tag, "三亚 椰湾国际免税城", "Coconut Bay Mall, Sanya"), pick(tag, "海口", "Haikou")},
		},
	}
}

// coldAnswer is of a voyage of four days, with humidity; troubled, it has an excursion and a gap.
func coldAnswer(tag string, troubled bool) *trace.ColdAnswer {
	lo, hi, wet := 2.0, 8.0, 75.0
	begin := noon.Add(-96 * time.Hour)
	a := &trace.ColdAnswer{
		View: coldchain.View{
			State: coldchain.StateWithin, Limits: coldchain.Rules{Temperature: &coldchain.Range{Min: &lo, Max: &hi}, Humidity: &coldchain.Range{Max: &wet}, ExcursionMinutes: 30, GapMinutes: 60},
			Charts: []coldchain.Chart{
				{Quantity: coldchain.Temperature, Limits: coldchain.Range{Min: &lo, Max: &hi}, From: begin, To: noon},
				{Quantity: coldchain.Humidity, Limits: coldchain.Range{Max: &wet}, From: begin, To: noon},
			},
		},
		Text:       pick(tag, "有记录的时间内，温湿度都在规定范围内，记录没有中断。", "Whenever it was recorded, it was within the limits, without a gap."),
		Provenance: trace.ProvClaimed, By: []trace.FirmName{{ID: "f-2", Name: lang.ZhEn("海南椰湾免税品经营有限公司", "Hainan Coconut Bay Duty Free Co., Ltd.")}},
	}
	for i := range 96 {
		col := coldchain.Column{From: begin.Add(time.Duration(i) * time.Hour), To: begin.Add(time.Duration(i+1) * time.Hour)}
		swing := math.Sin(float64(i) / 7)
		wet := coldchain.Column{From: col.From, To: col.To, Lo: 55 + 8*swing, Hi: 58 + 8*swing}
		col.Lo, col.Hi = 4.4+swing, 5.2+swing
		if troubled && i >= 30 && i < 37 {
			col.Hi = 11.4
		}
		if troubled && i >= 60 && i < 70 {
			continue
		}
		a.Charts[0].Columns, a.Charts[1].Columns = append(a.Charts[0].Columns, col), append(a.Charts[1].Columns, wet)
	}
	if troubled {
		a.State, a.Text = coldchain.StateExcursion, pick(tag, "记录显示曾超出规定范围，超过了允许的时间。这不是安全结论；如有疑问，请询问店员。",
			"It was outside of the limits for longer than allowed. This is no finding about safety; if in doubt, ask the staff.")
		a.Excursions = []coldchain.Outside{{Quantity: coldchain.Temperature, From: begin.Add(30 * time.Hour), To: begin.Add(37 * time.Hour), Minutes: 420, Peak: 11.4, Limit: 8}}
		a.Gaps = []coldchain.Interval{{From: begin.Add(60 * time.Hour), To: begin.Add(70 * time.Hour)}}
		a.Charts[0].Outside, a.Charts[0].Gaps, a.Charts[1].Gaps = []coldchain.Interval{{From: a.Excursions[0].From, To: a.Excursions[0].To}}, a.Gaps, a.Gaps
		a.More = 3
	}
	return a
}

// documents are one that an authority has verified, one that a firm claims and whose file is not public, and one that has expired.
func documents() []trace.PaperView {
	shop := trace.FirmName{ID: "f-2", Name: lang.ZhEn("海南椰湾免税品经营有限公司", "Hainan Coconut Bay Duty Free Co., Ltd.")}
	hash := strings.Repeat("0e9d1c4f6ab3a6f3", 4)
	return []trace.PaperView{
		{
			ID: "d1", Kind: trace.PaperInspection, Number: "460100126000123001", Issuer: "海口海关", Issued: "2026-01-29", State: trace.PaperVerified, Firm: shop,
			Fact:  trace.Fact{Status: trace.ProvVerified, By: "haikou-customs", Name: lang.ZhEn("海口海关", "Haikou Customs"), Document: "460100126000123001", Date: "2026-02-01"},
			Media: "application/pdf", Hash: hash, File: "/v1/products/08716200691239/documents/d1",
		},
		{ID: "d2", Kind: trace.PaperDeclaration, Issuer: "洋浦海关", From: "2026-01-01", State: trace.PaperUnverified, Fact: said("f-2"), Firm: shop, Media: "image/jpeg", Hash: hash},
		{
			ID: "d3", Kind: trace.PaperLab, Number: "A-1", Issuer: "Eurofins", From: "2025-01-01", Until: "2025-12-31", State: trace.PaperExpired, Fact: said("f-2"),
			Firm: shop, Media: "image/png", Hash: hash, File: "/v1/products/08716200691239/documents/d3",
		},
	}
}

// said is a firm's claim.
func said(firm string) trace.Fact { return trace.Fact{Status: trace.ProvClaimed, By: firm} }

// chainSteps are ten steps, with each mark among them.
func chainSteps(tag string) []trace.Step {
	at := func(day, hour int) *time.Time {
		t := time.Date(2026, 1, day, hour, 30, 0, 0, time.UTC)
		return &t
	}
	maker, port := pick(tag, "荷蓝乳业有限公司", "Hollandsche Zuivel B.V."), pick(tag, "洋浦海关", "Yangpu Customs")
	shop := pick(tag, "海南椰湾免税品经营有限公司", "Hainan Coconut Bay Duty Free Co., Ltd.")
	ware := pick(tag, "洋浦 洋浦保税港区 3 号仓库", "Bonded Warehouse 3, Yangpu")
	return []trace.Step{
		{
			Stage: "production", Title: pick(tag, "生产并赋码", "Produced and coded"), Time: at(4, 8), TimeText: "2026-01-04T09:30:00.000+01:00",
			Place: pick(tag, "吕伐登 荷蓝乳业第二工厂", "Plant 2, Leeuwarden"), Firm: maker, Provenance: trace.ProvClaimed,
		},
		{Stage: "production", Title: pick(tag, "装箱", "Packed"), Time: at(4, 11), Place: pick(tag, "吕伐登 荷蓝乳业第二工厂", "Plant 2, Leeuwarden"), Firm: maker, Provenance: trace.ProvClaimed},
		{Stage: "export", Title: pick(tag, "发货", "Shipped"), Time: at(6, 7), Place: pick(tag, "鹿特丹港", "Port of Rotterdam"), Firm: maker, Provenance: trace.ProvClaimed, Corrected: true},
		{Stage: "port", Title: pick(tag, "到达", "Arrived"), Time: at(28, 1), Place: pick(tag, "洋浦港", "Yangpu Port"), Firm: port, Provenance: trace.ProvVerified},
		{
			Stage: "port", Title: pick(tag, "查验", "Inspected"), Time: at(29, 2), Place: pick(tag, "洋浦港", "Yangpu Port"), Firm: port, Provenance: trace.ProvVerified,
			Document: "640120261000012345", Log: &trace.StepLog{State: trace.LogLogged, Proof: "/v1/ledger/leaves/7"},
		},
		{Stage: "warehouse", Title: pick(tag, "入库", "Stored"), Time: at(29, 6), Place: ware, Firm: shop, Provenance: trace.ProvClaimed},
		{Stage: "warehouse", Title: pick(tag, "拣货", "Picked"), Time: at(30, 1), Place: ware, Firm: shop, Provenance: trace.ProvClaimed},
		{Stage: "warehouse", Title: pick(tag, "发货", "Shipped"), Time: at(30, 4), Place: ware, Firm: shop, Provenance: trace.ProvClaimed},
		{Stage: "store", Title: pick(tag, "收货", "Received"), Time: at(30, 9), Place: pick(tag, "三亚 椰湾国际免税城", "Coconut Bay Mall, Sanya"), Firm: shop, Provenance: trace.ProvClaimed},
		{Stage: "store", Title: pick(tag, "门店上架", "Shop"), Provenance: trace.ProvMissing},
	}
}

// demoStart is a start page with demonstration data.
func demoStart() Start {
	return Start{PublicURL: "http://127.0.0.1:8080", Demo: []DemoUnit{
		{Kind: DemoOK, Title: lang.ZhEn("荷蓝婴儿配方奶粉（1 段）", "Hollandsche Infant Formula, Stage 1"), Path: "/01/08716200691239/10/NL26A04/21/7QK2M9XA4TBD"},
		{Kind: DemoWarning, Title: lang.ZhEn("拉贝松 15 年单一麦芽威士忌", "Labeson 15 Single Malt Whisky"), Path: "/01/05012345678900/10/L2204/21/A8T2Y6PW0C1N"},
		{Kind: DemoSuspicious, Title: lang.ZhEn("海雾女士香水", ""), Path: "/01/03541234567896/10/5H01/21/ZZ14RTM3KQ8P"},
	}}
}

// warningState is a warning in the given status, with its history.
func warningState(t testing.TB, status warning.Status) warning.State {
	t.Helper()
	content := warning.Content{
		Level: warning.Orange, Regime: "food", Hazard: "biological", Category: "infant_formula", Recall: true,
		Title:   lang.ZhEn("部分批次婴幼儿配方乳粉检出克罗诺杆菌", "Cronobacter found in certain lots of infant formula"),
		Advice:  lang.ZhEn("立即停止食用。\n已购买的请联系门店退货。", "Stop using it at once.\nReturn it to the shop."),
		Summary: lang.ZhEn("抽检样品中检出克罗诺杆菌属（阪崎肠杆菌）。", "Cronobacter was found in a sample."),
		Scope: warning.Scope{Clauses: []warning.Clause{
			{GTINs: []string{"08716200691239"}, Lots: manyLots(20), ProducedFrom: "2026-01-01", ProducedTo: "2026-01-31"},
			{GTINs: []string{"05012345678900", "03541234567896"}, SerialFrom: "1000", SerialTo: "2000"},
			{GTINs: []string{"04006381333931"}, ProducedFrom: "2025-12-01"},
		}},
		Issuer: lang.ZhEn("海南省市场监督管理局", "Hainan Administration for Market Regulation"), DocumentNo: "琼市监预警〔2026〕12号",
		LegalBasis: "《中华人民共和国食品安全法》第二十二条",
	}
	first := warning.Message{No: "HN-2026-000123", Rev: 1, Kind: warning.KindAlert, Content: content, By: "op-1", ByName: "officer name", Authority: "hn-amr", Published: noon}
	first.Level = warning.Yellow
	messages := []warning.Message{first}
	next := func(kind warning.MessageKind, reason lang.Text) {
		before := messages[len(messages)-1]
		messages = append(messages, warning.Message{
			No: before.No, Rev: before.Rev + 1, Kind: kind, Content: content, Reason: reason, By: "op-1", ByName: "officer name", Authority: "hn-amr",
			Published: before.Published.Add(24 * time.Hour), References: before.ID(),
		})
	}
	next(warning.KindUpdate, lang.ZhEn("又有两个批次检出。", "Two more lots were found to be affected."))
	switch status {
	case warning.StatusLifted:
		next(warning.KindLift, lang.ZhEn("涉及批次已全部召回。", "All affected lots have been recalled."))
	case warning.StatusRetracted:
		next(warning.KindRetract, lang.ZhEn("复检未检出，原结果系样品混淆所致。", "The re-test found nothing; samples had been mixed up."))
	}
	st, err := warning.Fold(messages)
	if err != nil {
		t.Fatalf("fold: %v", err)
	}
	return st
}

func manyLots(n int) []string {
	lots := make([]string, n)
	for i := range lots {
		lots[i] = "NL26A" + string(rune('A'+i))
	}
	return lots
}

func warningList(t testing.TB) WarningList {
	t.Helper()
	var l WarningList
	for _, status := range []warning.Status{warning.StatusInForce, warning.StatusLifted, warning.StatusRetracted} {
		st := warningState(t, status)
		c := st.Current
		l.Items = append(l.Items, warning.Head{
			No: st.No, Rev: c.Rev, Status: st.Status, Level: c.Level, Recall: c.Recall, Regime: c.Regime, Hazard: c.Hazard, Category: c.Category,
			Title: c.Title, Advice: c.Advice, Issuer: c.Issuer, Authority: st.Authority, Issued: st.Issued, Updated: c.Published,
		})
	}
	l.Next = "b2Zmc2V0"
	return l
}
