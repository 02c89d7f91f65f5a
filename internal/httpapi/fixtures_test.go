package httpapi

import (
	"encoding/json"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/alert"
	"github.com/haisu-trace/haisu/internal/casefile"
	"github.com/haisu-trace/haisu/internal/casefile/deadline"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// The world that the fakes live in: one tin of infant formula, its lot under an orange warning.

var now = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)

const (
	sellerToken    = "hk_7k2m9q4t_0123456789abcdefghjkmnpqrstvwxyz"
	officerToken   = "hs_0123456789abcdefghjkmnpqrstvwxyz01234567"
	viewerToken    = "hs_viewer6789abcdefghjkmnpqrstvwxyz01234567"
	secondToken    = "hs_second6789abcdefghjkmnpqrstvwxyz01234567"
	registrarToken = "hs_registrar9abcdefghjkmnpqrstvwxyz01234567"
	adminToken     = "hs_admin56789abcdefghjkmnpqrstvwxyz01234567"
	auditorToken   = "hs_auditor789abcdefghjkmnpqrstvwxyz01234567"
	testToken      = "hk_test_3x6z9b2d_0123456789abcdefghjkmnpqrstvwxyz"
	deviceToken    = "hd_5v8x0z1b3d6f9h2j_0123456789abcdefghjkmnpqrstvwxyz"

	formulaGTIN  = gs1.GTIN("06901234567892")
	formulaLot   = "L24A1"
	serialGiven  = "7K2M9Q4T6V8X0Z1B"
	warningNo    = "HN-2026-000007"
	draftNo      = "HN-2026-000008"
	authorityNow = "海南省市场监督管理局"
)

var seller = firm.Firm{ID: "cdf-haikou", Name: lang.ZhEn("海口免税店", "Haikou Duty Free"), Kind: firm.DutyFree, Country: "CN", Prefixes: []string{"6901234"}}

const otherFirm = "sanya-duty-free"

var sellerPrincipal = access.Principal{Kind: access.KindSeller, ID: "7k2m9q4t", Name: "ERP", Firm: seller.ID, Scopes: access.Scopes}

var testPrincipal = access.Principal{Kind: access.KindSeller, ID: "3x6z9b2d", Name: "ERP", Firm: seller.ID, Scopes: access.Scopes, Test: true}

var officerPrincipal = access.Principal{
	Kind: access.KindOperator, ID: "chen.yu", Name: "陈宇", Roles: []access.Role{access.Officer, access.Publisher}, Authority: authorityNow,
	Classes: []string{access.AllClasses}, Level: warning.Red,
}

var (
	secondPrincipal    = operatorOf("wu.min", "吴敏", access.Publisher)
	registrarPrincipal = operatorOf("xu.jing", "许静", access.Registrar)
	adminPrincipal     = operatorOf("gao.lei", "高磊", access.Administrator)
	auditorPrincipal   = operatorOf("he.fang", "何芳", access.Auditor)
)

func operatorOf(login, name string, roles ...access.Role) access.Principal {
	return access.Principal{
		Kind: access.KindOperator, ID: login, Name: name, Roles: roles, Authority: authorityNow, Classes: []string{access.AllClasses}, Level: warning.Red,
	}
}

var viewerPrincipal = access.Principal{Kind: access.KindOperator, ID: "lin.mei", Name: "林梅", Roles: []access.Role{access.Viewer}, Authority: authorityNow}

var device = consumer.Device{ID: "5v8x0z1b3d6f9h2j", Platform: consumer.Android, Lang: lang.ZhHans, City: "三亚", Created: now}

var product = trace.Product{
	GTIN: formulaGTIN, Firm: seller.ID, Name: lang.ZhEn("婴儿配方奶粉 1 段", "Infant formula stage 1"), Brand: lang.ZhEn("海牛", "Manatee"),
	Category: "infant_formula", Origin: "NZ", Net: "900 g", Description: lang.ZhEn("0 至 6 月龄", "From birth to 6 months"),
	LotHint: lang.ZhEn("罐底第二行", "Second line on the bottom of the tin"), Updated: now,
}

var productView = trace.ProductView{
	GTIN: formulaGTIN.String(), Name: product.Name, Brand: product.Brand, Category: product.Category, Origin: product.Origin, Net: product.Net,
	Description: product.Description, LotHint: product.LotHint, Provenance: trace.ProvClaimed, Updated: now,
	Sellers: []trace.FirmName{{ID: seller.ID, Name: seller.Name, Kind: seller.Kind}},
	Facts:   trace.ProductFacts{Name: claimed, Brand: claimed, Category: claimed, Origin: claimed, Net: claimed},
}

var (
	claimed  = trace.Fact{Status: trace.ProvClaimed, By: seller.ID, Own: true}
	verified = trace.Fact{
		Status: trace.ProvVerified, By: "yangpu-customs", Name: lang.ZhEn("洋浦海关", "Yangpu Customs"), Document: "641020260000012345", Date: "2026-01-29",
	}
)

var lotView = trace.LotView{
	GTIN: formulaGTIN.String(), Lot: formulaLot, Produced: "2025-11-03", Expires: "2027-11-02", Quantity: 1200,
	Declaration: "641020260000012345", Inspection: "460000126000123", Provenance: trace.ProvClaimed, Updated: now, Sellers: productView.Sellers,
	Facts:     trace.LotFacts{Produced: claimed, Expires: claimed, Quantity: claimed, Declaration: verified, Inspection: claimed},
	Documents: []trace.PaperView{paperView},
}

func answer(req trace.ScanRequest, asked trace.Asked) *trace.Answer {
	first, at := now.Add(-26*time.Hour), time.Date(2026, 1, 12, 2, 0, 0, 0, time.UTC)
	en := req.Lang == lang.En
	say := func(zh, english string) string {
		if en {
			return english
		}
		return zh
	}
	a := &trace.Answer{
		Lang: req.Lang, Asked: asked, Level: "lot", Product: &productView, Lot: &lotView,
		Headline: trace.Headline{
			Status: trace.HeadWarning, Level: string(warning.Orange), Title: say("该批次有橙色预警", "An orange warning covers this lot"),
			Todo: say("请勿购买、食用，并询问店员。", "Do not buy or use it. Ask the staff."),
		},
		Authenticity: trace.Authenticity{Status: trace.AuthIssued, Text: say("追溯码已登记。追溯码可被复制，不能证明商品为真。", "The code is registered. A code can be copied; it does not prove the goods.")},
		Safety:       trace.Safety{Status: trace.SafeWarning, Level: string(warning.Orange), Text: say("有生效中的预警。", "A warning is in force."), AsOf: now},
		Sale:         trace.Sale{Status: trace.SaleUnsold, Text: say("没有售出记录。", "There is no record of a sale.")},
		Findings: []trace.Finding{{
			Kind: "warning", Code: "warning", Level: string(warning.Orange), Match: "certain", No: warningNo,
			Title: content.Title.In(req.Lang), Todo: content.Advice.In(req.Lang),
		}},
		Chain: []trace.Step{
			{Stage: "production", Time: &at, TimeText: "2026-01-12T15:00:00+13:00", Title: say("生产", "Produced"), Place: "Waikato", Firm: "Manatee Dairy", Provenance: trace.ProvClaimed, EventID: "ni:///sha-256;31d7bfb1a4a5d8e4c2c9b6a7b1d0e5c3f2a19487d6c5b4a39281706f5e4d3c2b?ver=CBV2.0"},
			{Stage: "port", Title: say("口岸查验", "Port inspection"), Provenance: trace.ProvMissing},
		},
		Scan: trace.ScanFacts{Recorded: !req.Preview, First: false, Count: 2, FirstAt: &first, Places: []string{"三亚"}},
	}
	return a
}

var content = warning.Content{
	Level: warning.Orange, Regime: "food", Hazard: "biological", Category: "infant_formula", Recall: true,
	Title:   lang.ZhEn("婴儿配方奶粉检出克罗诺杆菌", "Cronobacter found in infant formula"),
	Advice:  lang.ZhEn("立即停止食用；凭购物凭证到原购买门店退货退款；婴儿如有发热、拒食，请立即就医。", "Stop feeding it. Return it to the shop for a refund. See a doctor at once if the infant has a fever or refuses to eat."),
	Summary: lang.ZhEn("监督抽检一批次不合格。", "One lot failed a supervision sample."),
	Scope: warning.Scope{Clauses: []warning.Clause{{
		GTINs: []string{formulaGTIN.String()}, Lots: []string{formulaLot}, ProducedFrom: "2025-11-01", ProducedTo: "2025-11-30",
	}}},
	Issuer: lang.ZhEn(authorityNow, "Hainan Administration for Market Regulation"), DocumentNo: "琼市监〔2026〕7号", LegalBasis: "食品安全法第六十三条",
}

var reason = lang.ZhEn("复检合格，风险解除。", "The re-test passed; the danger is over.")

func message(rev int, kind warning.MessageKind) warning.Message {
	m := warning.Message{
		No: warningNo, Rev: rev, Kind: kind, Content: content, By: "chen.yu", ByName: "陈宇", Authority: authorityNow,
		Published: now.Add(time.Duration(rev) * time.Hour), Key: "5f0c1f9e2f5c4ad5",
		Fanout: warning.Fanout{Phase: warning.FanoutDone, Told: 41},
	}
	if rev > 1 {
		m.Reason, m.References = reason, warning.MessageID(warningNo, rev-1)
	}
	return m
}

func state() warning.State {
	st, err := warning.Fold([]warning.Message{message(1, warning.KindAlert), message(2, warning.KindUpdate)})
	if err != nil {
		panic(err)
	}
	return st
}

func draft(revision int64) warning.Draft {
	return warning.Draft{Revision: revision, DraftDoc: warning.DraftDoc{
		No: draftNo, Content: content, By: "chen.yu", ByName: "陈宇", Authority: authorityNow, Created: now, Updated: now, Nonce: "nonce-nonce",
	}}
}

var head = warning.Head{
	No: warningNo, Rev: 2, Status: warning.StatusInForce, Level: content.Level, Recall: true, Regime: content.Regime, Hazard: content.Hazard,
	Category: content.Category, Title: content.Title, Advice: content.Advice, Issuer: content.Issuer, Authority: authorityNow,
	GTINs: []string{formulaGTIN.String()}, Issued: now.Add(time.Hour), Updated: now.Add(2 * time.Hour),
}

var foreign = notice.Notice{
	ID: "safety-gate/A12/00017/20", Source: notice.SafetyGate, Number: "A12/00017/20", Title: "Toy slime", Product: "Slime in a plastic pot.",
	Brand: "Barrel O", Category: "Toys", Risk: "Chemical", Country: "China", GTINs: []string{"05060165951710"}, BadBarcodes: []string{"5060165951711"},
	Batches: []string{"HD019"}, Original: []byte(`{}`), Imported: now,
}

var holding = consumer.Holding{
	ID: "3f6h9k2m5p8r1t4v", Device: device.ID, GTIN: formulaGTIN, Lot: formulaLot, Produced: "2025-11-03", Expires: "2027-11-02", Typed: true, Created: now,
}

var inboxItem = alert.InboxItem{
	ID: "HN-2026-000007/2", Message: message(2, warning.KindUpdate), Received: now.Add(3 * time.Hour),
	Reasons: []alert.Reason{{Code: alert.ReasonHolding, GTIN: formulaGTIN.String(), Lot: formulaLot, Certain: true}, {Code: alert.ReasonToldBefore, Certain: true}},
}

var decisionClock = deadline.Clock{
	Code: "complaint_decision", Name: lang.ZhEn("决定是否受理", "Accept or refuse"), Start: now, State: deadline.Running,
	Due: time.Date(2026, 3, 11, 15, 59, 59, 0, time.UTC), Basis: "《市场监督管理投诉举报处理暂行办法》第十四条",
}

var receipt = casefile.Receipt{
	No: "TS-20260302-K7M2QPX", Secret: "48213 90571 66204 13987 55012", Filed: now, Clocks: []deadline.Clock{decisionClock},
}

var complaintView = casefile.View{
	No: receipt.No, Kind: casefile.Complaint, Status: casefile.StepFiled, StatusName: casefile.StepName(casefile.StepFiled), Filed: now,
	GTIN: formulaGTIN.String(), Lot: formulaLot, Clocks: receipt.Clocks,
	Timeline: []casefile.Entry{{Kind: casefile.StepFiled, Name: casefile.StepName(casefile.StepFiled), At: now}},
}

var newSession = access.Session{
	Token: officerToken, ID: "4n7q0s3v6y9b2e5h", CSRF: csrfToken, Device: "ht_0123456789abcdefghjkmnpqrstvwxyz", Started: now,
	Expires: now.Add(access.SessionTerm), IdleExpires: now.Add(30 * time.Minute), Operator: officerPrincipal,
}

const csrfToken = "c0123456789abcdefghjkmnpqrstvwxyz"

var link = access.Link{Token: "hi_0123456789abcdefghjkmnpqrstvwxyz", Expires: now.Add(72 * time.Hour)}

var operatorGiven = access.Operator{
	Login: "lin.mei", Name: "林梅", Authority: authorityNow, Roles: []access.Role{access.Viewer}, SecondFactor: true, Enrolled: true,
	Created: now.Add(-240 * time.Hour), LastLogin: now.Add(-time.Hour), Revision: 3,
}

var market = authority.Authority{
	ID: "hn-amr", Name: lang.ZhEn("海南省市场监督管理局", "Hainan Administration for Market Regulation"), Kind: "market", From: "2018-10-01",
	Competences: []authority.Competence{{Matters: []string{"warning", "complaint", "tip"}, Stages: []string{"market"}, Places: []string{"46"}}},
	Revision:    4,
}

var keyGiven = access.Key{
	ID: "7k2m9q4t", Firm: seller.ID, Label: "ERP", Prefix: "hk_7k2m9q4t", Scopes: []access.Scope{access.ScopeCapture, access.ScopeKeys}, Created: now,
	CreatedBy: "operator:xu.jing", LastUsed: now,
}

var pending = approval.Request{
	ID: "ap_5q8t1w4z7c0f3j6m9p2s5v8y-1", Action: "warning.publish", Subject: draftNo, Level: content.Level, Class: content.Category,
	Authority: authorityNow, Revision: 3, Body: mustJSON(order{Content: content}), By: "chen.yu", ByName: "陈宇", Requested: now,
	Expires: now.Add(7 * 24 * time.Hour), State: "pending",
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

var auditEntry = audit.Entry{
	Seq: 41, At: now, Actor: "operator:chen.yu", Authority: authorityNow, Action: "updateWarning", Subject: warningSubject(draftNo), Phase: "done",
	Why: "复检结果", RequestID: "8z4q1w6r2t9y5v7x", From: "203.0.113.7", Attempt: 40,
	Before: []byte(`{"revision":3}`), After: []byte(`{"revision":4}`),
}

var caseRecord = casefile.Record{
	View: complaintView,
	Complaint: casefile.NewComplaint{
		Kind: casefile.Complaint, GTIN: formulaGTIN.String(), Lot: formulaLot, What: "罐口漏粉", Asked: "退款", Lang: lang.ZhHans,
		Contact: casefile.Contact{Name: "王女士", Phone: "138 0000 0000"},
	},
}

var deviceExport = consumer.Export{
	Device: &consumer.Exported{
		ID: device.ID, Platform: device.Platform, Lang: device.Lang, City: device.City, PushToken: "fGx9b1Qk3n0", Created: now, Seen: "2026-03",
		Subscriptions: []consumer.Subscription{{Kind: consumer.SubCategory, Value: "infant_formula", MinLevel: warning.Yellow, Since: now}},
	},
	Holdings: []consumer.Holding{holding},
	Alerts:   []consumer.Told{{No: warningNo, Rev: 1, Received: now, State: "sent"}},
	Next:     "e.",
}
