package web

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// sources is the text of the templates and of the code, without the table of texts itself.
func sources(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if path == "words.go" || strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
		}
	}
	return b.String()
}

func scanPage(t testing.TB, name, tag string) document {
	t.Helper()
	p := newPages(t)
	return parse(t, render(t, func(b *bytes.Buffer) error { return p.RenderScan(b, tag, scene(name, tag)) }))
}

func TestHeadlineByStatus(t *testing.T) {
	t.Parallel()
	want := map[string]struct{ tone, icon string }{
		"ok": {"t-green", "#i-ok"}, "warning_red": {"t-red", "#i-alert"}, "warning_orange": {"t-orange", "#i-alert"}, "warning_yellow": {"t-yellow", "#i-alert"},
		"warning_blue": {"t-blue", "#i-alert"}, "possible": {"t-yellow", "#i-alert"}, "recalled": {"t-red", "#i-stop"}, "unconfirmed": {"t-slate", "#i-wait"},
		"void": {"t-ink", "#i-ban"}, "suspicious": {"t-plum", "#i-doubt"}, "unknown_unit": {"t-slate", "#i-ask"}, "unknown_code": {"t-slate", "#i-ask"},
		// An excursion is no warning.
		"cold_excursion": {"t-green", "#i-ok"}, "cold_within": {"t-green", "#i-ok"}, "cold_nothing": {"t-green", "#i-ok"},
	}
	for _, tag := range languages {
		for _, name := range scenes {
			t.Run(tag+"/"+name, func(t *testing.T) {
				t.Parallel()
				a, d := scene(name, tag), scanPage(t, name, tag)
				banner := d.class("banner")
				if len(banner) != 1 {
					t.Fatalf("%d banners", len(banner))
				}
				if classes := strings.Fields(attr(banner[0], "class")); !slices.Contains(classes, want[name].tone) {
					t.Errorf("classes %q, want %s", classes, want[name].tone)
				}
				b := document{root: banner[0]}
				for n := range banner[0].Descendants() {
					b.all = append(b.all, n)
				}
				if icon := attr(b.find("use")[0], "href"); icon != want[name].icon {
					t.Errorf("icon %s, want %s", icon, want[name].icon)
				}
				if got := text(b.find("h1")[0]); got != a.Headline.Title {
					t.Errorf("headline %q, want %q", got, a.Headline.Title)
				}
				if !strings.Contains(text(banner[0]), a.Headline.Todo) {
					t.Errorf("no %q in %q", a.Headline.Todo, text(banner[0]))
				}
			})
		}
	}
}

func TestScanPageHasEverythingInOrder(t *testing.T) {
	t.Parallel()
	for _, tag := range languages {
		a := scene("suspicious", tag)
		body := scanPage(t, "suspicious", tag).text()
		parts := []string{a.Headline.Title, a.Headline.Todo, a.Authenticity.Text, a.Safety.Text, a.Sale.Text}
		for _, f := range a.Findings {
			parts = append(parts, f.Title, f.Text)
		}
		parts = append(parts, a.Product.Name.In(tag), a.Product.Brand.In(tag), country(tag, "NL"), day(tag, a.Lot.Produced), day(tag, a.Lot.Expires), a.Lot.Declaration, a.Lot.Inspection)
		at := 0
		for _, s := range a.Chain {
			parts = append(parts, s.Title, word(tag, "prov.", s.Provenance))
			if s.Time != nil {
				parts = append(parts, momentAt(tag, s.Time).Text, s.Place+" "+s.Firm)
			}
		}
		parts = append(parts, scannedBefore(tag, a.Scan.Count), momentAt(tag, a.Scan.FirstAt).Text, a.Scan.Places[0], "12315", "(01) 08716200691239", "(21) 7QK2M9XA4TBD", words["copied"].in(tag))
		for _, part := range parts {
			i := strings.Index(body[at:], part)
			if i < 0 {
				t.Fatalf("%s: no %q after %q", tag, part, body[max(0, at-60):at])
			}
			at += i
		}
	}
}

// What contradicts itself in the records is shown beside them, with the word that it says nothing about the goods.
func TestContradictionsAreShown(t *testing.T) {
	t.Parallel()
	for _, tag := range languages {
		a := scene("ok", tag)
		show := func() string {
			return parse(t, render(t, func(b *bytes.Buffer) error { return newPages(t).RenderScan(b, tag, a) })).text()
		}
		if strings.Contains(show(), words["clash"].in(tag)) {
			t.Error("contradictions are announced, and there are none")
		}
		a.Contradictions = []trace.Contradiction{
			{Code: trace.ExpiryDiffers, Text: "the dates differ", Says: []string{"2027-03-01", "2027-09-01"}, At: noon},
			{Code: trace.ReceivedBeforeShipped, Text: "received too early", At: noon},
		}
		body, at := show(), 0
		for _, part := range []string{words["clash"].in(tag), "the dates differ", "2027-03-01 / 2027-09-01", "received too early", momentOf(tag, noon).Text, words["clash.note"].in(tag)} {
			i := strings.Index(body[at:], part)
			if i < 0 {
				t.Fatalf("%s: no %q in order", tag, part)
			}
			at += i
		}
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	link := func(d document) string {
		for _, n := range d.class("more") {
			return attr(n, "href")
		}
		return ""
	}
	if got, want := link(scanPage(t, "warning_red", lang.En)), "/warnings/HN-2026-000123?lang=en"; got != want {
		t.Errorf("link to the warning %q, want %q", got, want)
	}
	if got := link(scanPage(t, "suspicious", lang.En)); got != "" {
		t.Errorf("a foreign notice has no page here: %q", got)
	}
	if body := scanPage(t, "possible", lang.ZhHans).text(); !strings.Contains(body, "可能涉及，请核对包装") {
		t.Error("a possible match does not say so")
	}
	d := scanPage(t, "warning_red", lang.En)
	if n := strings.Count(d.text(), scene("warning_red", lang.En).Headline.Todo); n != 1 {
		t.Errorf("the advice is given %d times", n)
	}
	if body := scanPage(t, "recalled", lang.En).text(); !strings.Contains(body, "Recall · Red (level I)") {
		t.Error("a recall without its level")
	}
	if len(scanPage(t, "ok", lang.En).class("findings")) != 0 {
		t.Error("a list of findings where there are none")
	}
}

func TestNothingIsSaidOfTheSafetyOfAnUnreadableCode(t *testing.T) {
	t.Parallel()
	if c := checks(lang.En, scene("unknown_code", lang.En)); c[1].Tone == "green" {
		t.Error("a code that names no product looks safe")
	}
	if c := checks(lang.En, scene("unknown_unit", lang.En)); c[1].Tone != "green" {
		t.Errorf("tone %s", c[1].Tone)
	}
}

func TestScanFacts(t *testing.T) {
	t.Parallel()
	unit := trace.Asked{GTIN: "08716200691239", Serial: "A"}
	cases := []struct {
		asked trace.Asked
		facts trace.ScanFacts
		want  []string // zh-Hans, en; nil for none
	}{
		{trace.Asked{GTIN: "08716200691239"}, trace.ScanFacts{Recorded: true, Count: 5}, nil},
		{unit, trace.ScanFacts{Recorded: true, First: true}, []string{"第一次", "first time"}},
		{unit, trace.ScanFacts{Recorded: true}, []string{"没有别人", "Nobody else"}},
		{unit, trace.ScanFacts{Recorded: true, Count: 1}, []string{"别人扫过 1 次", "once before"}},
		{unit, trace.ScanFacts{Recorded: true, Count: 12}, []string{"别人扫过 12 次", "12 times"}},
		{unit, trace.ScanFacts{Recorded: true, Count: 200}, []string{"至少扫过 200 次", "at least 200 times"}},
		{unit, trace.ScanFacts{}, []string{"没有记入扫码记录", "was not recorded"}},
		{unit, trace.ScanFacts{Count: 3}, []string{"没有记入扫码记录", "was not recorded"}},
	}
	for _, c := range cases {
		for i, tag := range languages {
			got := scans(tag, &trace.Answer{Asked: c.asked, Scan: c.facts})
			switch {
			case c.want == nil && got != nil:
				t.Errorf("%+v: %q, want nothing", c.facts, got.Text)
			case c.want != nil && !strings.Contains(got.Text, c.want[i]):
				t.Errorf("%+v: %q, want %q", c.facts, got.Text, c.want[i])
			}
		}
	}
	if got := scans(lang.En, &trace.Answer{Asked: unit, Scan: trace.ScanFacts{First: true}}); strings.Contains(got.Text, "first time") {
		t.Errorf("a scan that is not recorded claims to be the first: %q", got.Text)
	}
}

func TestLongChainKeepsItsEnds(t *testing.T) {
	t.Parallel()
	chain := make([]trace.Step, 500)
	for i := range chain {
		chain[i] = trace.Step{Stage: "other", Title: string(rune('A' + i%26)), Provenance: trace.ProvClaimed, EventID: "e"}
	}
	chain[0].Title, chain[499].Title = "origin", "counter"
	got := steps(lang.En, chain)
	if len(got) != firstSteps+lastSteps || got[0].Title != "origin" || got[len(got)-1].Title != "counter" {
		t.Fatalf("%d steps from %q to %q", len(got), got[0].Title, got[len(got)-1].Title)
	}
	for i := range got {
		if got[i].Gap != (i == firstSteps) {
			t.Errorf("step %d: gap %v", i, got[i].Gap)
		}
	}
	if chain[firstSteps].Title != string(rune('A'+firstSteps%26)) {
		t.Error("the answer itself was changed")
	}
}

func TestProductWithoutALotLacksNoChain(t *testing.T) {
	t.Parallel()
	a := scene("possible", lang.En)
	if hasChain(a) {
		t.Error("a product as such is said to lack a chain")
	}
	if a.Asked.Lot = "L1"; !hasChain(a) {
		t.Error("nothing is said of the missing chain of a lot")
	}
}

func TestStepsShowMarksAndTimes(t *testing.T) {
	t.Parallel()
	got := steps(lang.ZhHans, chainSteps(lang.ZhHans))
	if got[0].At.Tag != `<time datetime="2026-01-04T16:30:00+08:00">2026年1月4日 16:30</time>` || got[0].Local != "2026-01-04 09:30 +01:00" {
		t.Errorf("time %+v, there %q", got[0].At, got[0].Local)
	}
	if got[0].Stage != "生产" || got[1].Stage != "" || got[2].Stage != "发运" {
		t.Errorf("stages %q, %q, %q: want each named once", got[0].Stage, got[1].Stage, got[2].Stage)
	}
	if !got[2].Wrong || !strings.Contains(string(got[3].Mark), "已核验") || !got[9].Missing || !strings.Contains(string(got[9].Mark), "缺失") {
		t.Errorf("marks: %+v", got)
	}
	if m := vouched("by hearsay"); m != trace.ProvMissing {
		t.Errorf("an unknown provenance is marked %s", m)
	}
}

// Documents say who stands behind them, whether they have expired, and where the file is if anybody may have it.
func TestDocumentsOnThePage(t *testing.T) {
	t.Parallel()
	zh := papers(lang.ZhHans, "关于该批次", documents())
	en := papers(lang.En, "About the lot", documents())
	if zh[0].Kind != "检验检疫证明" || !strings.Contains(string(zh[0].Mark), "已核验") || !strings.Contains(zh[0].By, "海口海关") || zh[0].Link == "" || zh[0].Type != "PDF" {
		t.Errorf("got %+v", zh[0])
	}
	if en[1].Kind != "Customs declaration" || !strings.Contains(string(zh[1].Mark), "企业") || en[1].By != "Hainan Coconut Bay Duty Free Co., Ltd." || en[1].Link != "" || zh[1].Valid != "2026年1月1日起" {
		t.Errorf("got %+v, %q", en[1], zh[1].Valid)
	}
	if zh[2].Chip != "已过有效期" || en[2].Chip != "expired" || en[0].Chip != "" || zh[2].Valid != "2025年1月1日 至 2025年12月31日" {
		t.Errorf("got %+v, %q", en[2], zh[2].Valid)
	}
	if v := validity(lang.En, "", "2026-12-31"); v != "until "+day(lang.En, "2026-12-31") {
		t.Error(v)
	}
	page := render(t, func(b *bytes.Buffer) error { return newPages(t).RenderScan(b, lang.En, scene("ok", lang.En)) })
	if strings.Count(page, "Download the file") != 2 || !strings.Contains(page, `href="/v1/products/08716200691239/documents/d1" download`) {
		t.Error("the files are not linked")
	}
}

// The page tells how many steps the log has, and links the proof of the last; nothing where the answer says nothing of the log.
func TestTheLogOfTheSteps(t *testing.T) {
	t.Parallel()
	at := func(i int64) *trace.StepLog {
		return &trace.StepLog{State: trace.LogLogged, Index: &i, Proof: "/v1/ledger/leaves/" + strconv.FormatInt(i, 10)}
	}
	wait := &trace.StepLog{State: trace.LogPending}
	for _, c := range []struct {
		logs         []*trace.StepLog
		zh, en, link string
	}{
		{[]*trace.StepLog{nil, nil}, "", "", ""},
		{[]*trace.StepLog{at(4), nil, at(9)}, "2 条记录已写入透明日志", "2 records are in the transparency log", "/v1/ledger/leaves/9"},
		{[]*trace.StepLog{at(0), wait}, "1 条正在写入", "; 1 is being added", "/v1/ledger/leaves/0"},
		{[]*trace.StepLog{wait, wait}, "2 条正在写入", "2 are being added", ""},
	} {
		for tag, want := range map[string]string{lang.ZhHans: c.zh, lang.En: c.en} {
			a := scene("ok", tag)
			for i := range a.Chain {
				a.Chain[i].Log = nil
			}
			for i, l := range c.logs {
				a.Chain[i].Log = l
			}
			page := render(t, func(b *bytes.Buffer) error { return newPages(t).RenderScan(b, tag, a) })
			if !strings.Contains(page, want) || want == "" && strings.Contains(page, "透明日志") {
				t.Errorf("%s %v: %q is not said", tag, c.logs, want)
			}
			if got := strings.Contains(page, "/v1/ledger/leaves/"); got != (c.link != "") || !strings.Contains(page, c.link) {
				t.Errorf("%s: the proof %q is linked: %v", tag, c.link, got)
			}
		}
	}
}

func TestLanguageSwitchKeepsTheQuestion(t *testing.T) {
	t.Parallel()
	d := scanPage(t, "unknown_code", lang.ZhHans)
	if got, want := attr(d.class("switch")[0], "href"), "?code=https%3A%2F%2Fqr.example.invalid%2Ft%2F9F3K-77QX%3Ffrom%3Dposter&lang=en"; got != want {
		t.Errorf("switch of /resolve %q, want %q", got, want)
	}
	if got := attr(scanPage(t, "ok", lang.En).class("switch")[0], "href"); got != "?lang=zh-Hans" {
		t.Errorf("switch of a scan %q", got)
	}
	p := newPages(t)
	d = parse(t, render(t, func(b *bytes.Buffer) error {
		return p.RenderWarnings(b, lang.En, WarningList{Query: "奶粉", Next: "a b&c"})
	}))
	if got, want := attr(d.class("switch")[0], "href"), "?lang=zh-Hans&q=%E5%A5%B6%E7%B2%89"; got != want {
		t.Errorf("switch of a search %q, want %q", got, want)
	}
	if got, want := attr(d.class("button")[0], "href"), "/warnings?cursor=a+b%26c&lang=en&q=%E5%A5%B6%E7%B2%89"; got != want {
		t.Errorf("next page %q, want %q", got, want)
	}
}

func TestForeignNameTellsItsLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text lang.Text
		want spoken
	}{
		{lang.ZhEn("荷蓝", "Hollandsche"), spoken{Text: "Hollandsche"}},
		{lang.ZhEn("荷蓝", ""), spoken{Text: "荷蓝", Lang: lang.ZhHans}},
		{nil, spoken{}},
	} {
		if got := speak(lang.En, c.text); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.text, got, c.want)
		}
	}
	if got := speak(lang.ZhHans, lang.ZhEn("", "Hollandsche")); got.Lang != lang.En {
		t.Errorf("%+v", got)
	}
}

func TestStartPage(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for _, tag := range languages {
		d := parse(t, render(t, func(b *bytes.Buffer) error { return p.RenderStart(b, tag, demoStart()) }))
		if n := len(d.class("qr")); n != 3 {
			t.Fatalf("%d QR codes", n)
		}
		body := d.text()
		for _, want := range []string{"http://127.0.0.1:8080/01/08716200691239/10/NL26A04/21/7QK2M9XA4TBD", "扫一扫，看清进口商品的来路", "Scan a code, see where"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q", tag, want)
			}
		}
		form := d.find("form")[0]
		if attr(form, "action") != "/resolve" || attr(form, "method") != "get" {
			t.Errorf("form to %s by %s", attr(form, "action"), attr(form, "method"))
		}
	}
	long := Start{PublicURL: "https://haisu.example", Demo: []DemoUnit{{Kind: DemoOK, Path: "/01/" + strings.Repeat("1", 600)}}}
	if err := p.RenderStart(&bytes.Buffer{}, lang.En, long); err == nil {
		t.Error("a link that no QR code holds is not refused")
	}
	bare := parse(t, render(t, func(b *bytes.Buffer) error { return p.RenderStart(b, lang.En, Start{}) }))
	if len(bare.class("demo")) != 0 || len(bare.find("form")) != 1 {
		t.Error("the start page without demonstration data is not sensible")
	}
}

func TestWarningPage(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	page := func(status warning.Status, tag string) document {
		return parse(t, render(t, func(b *bytes.Buffer) error { return p.RenderWarning(b, tag, warningState(t, status)) }))
	}
	body := page(warning.StatusInForce, lang.ZhHans).text()
	for _, want := range []string{
		"生效中 · 橙色（Ⅱ级） · 召回", "立即停止食用。", "2026年1月1日 至 2026年1月31日", "1000 至 2000", "2025年12月1日起", "全部批次", "显示其余 (8)", "HN-2026-000123",
		"海南省市场监督管理局", "琼市监预警〔2026〕12号", "《中华人民共和国食品安全法》第二十二条", "又有两个批次检出。", "2026年3月14日 12:00（北京时间）", "更新预警 橙色（Ⅱ级）", "发布预警 黄色（Ⅲ级）",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, "officer name") || strings.Contains(body, "op-1") {
		t.Error("the page names the officer")
	}
	for status, want := range map[warning.Status]string{warning.StatusLifted: "All affected lots have been recalled.", warning.StatusRetracted: "The re-test found nothing"} {
		d := page(status, lang.En)
		banner := d.class("banner")[0]
		if !strings.Contains(text(banner), want) || strings.Contains(text(banner), "Stop using it at once") {
			t.Errorf("%s: %q", status, text(banner))
		}
		if !slices.Contains(strings.Fields(attr(banner, "class")), "t-slate") {
			t.Errorf("%s: still in the colour of its level", status)
		}
	}
}

func TestWarningHistoryIsBounded(t *testing.T) {
	t.Parallel()
	messages := make([]warning.Message, 120)
	for i := range messages {
		messages[i] = warning.Message{Kind: warning.KindUpdate, Rev: i + 1, Published: noon.Add(time.Duration(i) * time.Hour)}
	}
	got, omitted := history(lang.En, messages)
	if len(got) != maxHistory || !omitted || got[0].At != momentOf(lang.En, messages[119].Published) {
		t.Errorf("%d messages, omitted %v, first %+v", len(got), omitted, got[0])
	}
	if got, omitted := history(lang.En, messages[:3]); len(got) != 3 || omitted {
		t.Errorf("%d messages, omitted %v", len(got), omitted)
	}
}

func TestProblemPage(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	cases := []struct {
		status       int
		code, detail string
		want, not    string
	}{
		{400, "gtin_check_digit", "the last digit is 8", "商品条码的校验位不对", ""},
		{400, "never_heard_of", "the last digit is 8", "the last digit is 8", ""},
		{404, "no_such_path", "there is nothing at this path", "没有找到这个页面", ""},
		{429, "rate_limited", "too many requests; wait 3 s", "请过一会儿再刷新本页。", "too many requests"},
		{503, "unavailable", "the server cannot do this now", "暂时无法查询", "cannot do this"},
		{500, "internal", "the server made a mistake", "系统出错了", ""},
		{418, "teapot", "", "无法处理这个请求", ""},
	}
	for _, c := range cases {
		d := parse(t, render(t, func(b *bytes.Buffer) error {
			return p.RenderProblem(b, lang.ZhHans, c.status, c.code, c.detail, "req-1")
		}))
		body := d.text()
		if !strings.Contains(body, c.want) || c.not != "" && strings.Contains(body, c.not) || !strings.Contains(body, "req-1") {
			t.Errorf("%d %s: %s", c.status, c.code, body)
		}
	}
}

func TestCountryNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ code, zh, en string }{
		{"FR", "法国", "France"}, {"TW", "中国台湾", "Taiwan, China"}, {"HK", "中国香港", "Hong Kong, China"}, {"CN", "中国", "China"}, {"ZZ", "ZZ", "ZZ"}, {"", "", ""}, {"<b>", "<b>", "<b>"},
	} {
		if zh, en := country(lang.ZhHans, c.code), country(lang.En, c.code); zh != c.zh || en != c.en {
			t.Errorf("%s: %q, %q", c.code, zh, en)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	got := []string{
		thousands(0), thousands(999), thousands(1000), thousands(1234567), thousands(-123456),
		span(lang.En, "a", "b"), span(lang.En, "a", ""), span(lang.En, "", "b"), span(lang.En, "a", "a"), span(lang.ZhHans, "a", ""), span(lang.ZhHans, "", "b"), span(lang.En, "", ""),
		join(lang.En, []string{"a", "b", "c"}, 2), join(lang.ZhHans, []string{"a", "b", "c"}, 2), join(lang.ZhHans, []string{"a", "b"}, 2),
		localTime("2026-01-04T09:30:00+08:00"), localTime("2026-01-04T09:30:00Z"), localTime("2026-01-04T09:30:00.5-03:30"), localTime("soon"),
		day(lang.En, "2026-02-30"), day(lang.En, "2026-02-03"), momentOf(lang.En, noon).Text, momentOf(lang.En, time.Time{}).Text,
	}
	want := []string{
		"0", "999", "1,000", "1,234,567", "-123,456",
		"a to b", "from a on", "up to b", "a", "a起", "b及以前", "",
		"a, b, …", "a、b 等", "a、b",
		"", "", "2026-01-04 09:30 -03:30", "",
		"2026-02-30", "3 Feb 2026", "14 Mar 2026, 12:00", "",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostiles {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, misleading) || utf8.RuneCountInString(got) > maxShown+1 {
			t.Errorf("clean(%.100q) = %.100q", s, got)
		}
		if clean(got) != got && utf8.RuneCountInString(got) <= maxShown {
			t.Errorf("%.100q is not clean after one pass", got)
		}
	})
}

func BenchmarkRenderScan(b *testing.B) {
	p, a := newPages(b), scene("warning_red", lang.ZhHans)
	var w bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		if err := p.RenderScan(&w, lang.ZhHans, a); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(w.Len()), "bytes/page")
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newPages(b)
	}
}
