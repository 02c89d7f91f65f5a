package bulk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/sheet"
	"github.com/haisu-trace/haisu/internal/trace"
)

func TestHeadingsOfAKindAreDifferent(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds {
		of := map[string]string{}
		for _, c := range Columns(k) {
			for _, name := range c.names() {
				if other, ok := of[name]; ok && other != c.Name || name == "" {
					t.Errorf("%s: %q heads %s and %s", k, name, other, c.Name)
				}
				of[name] = c.Name
			}
		}
	}
}

func TestHeadings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		kind Kind
		file string
		want []string
	}{
		"Chinese, other order":   {Lots, "批号 *,商品条码（GTIN）\nL1,06901234567892\n", []string{"B2 gtin product_not_found"}},
		"English":                {Lots, "Lot Number;GTIN\nL1;06901234567892\n", []string{"B2 gtin product_not_found"}},
		"an unknown column":      {Lots, "gtin,lot,生产曰期\n1,2,3\n", []string{"C1 column_unknown"}},
		"twice":                  {Lots, "gtin,lot,批次\n1,2,3\n", []string{"C1 lot column_twice"}},
		"missing":                {Products, "name\nx\n", []string{"1 gtin column_missing", "1 category column_missing"}},
		"neither name":           {Products, "gtin,category\nx,y\n", []string{"1 name_zh column_missing"}},
		"nothing below":          {Lots, "gtin,lot\n", []string{"0 file_no_rows"}},
		"nothing":                {Lots, "\n\n", []string{"0 file_empty"}},
		"an old workbook":        {Lots, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", []string{"0 file_old_excel"}},
		"a quote that is broken": {Lots, "gtin,lot\n06901234567892,\"L1\n", []string{"2 file_quotes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, got := b.load(c.kind, true, c.file)
			if !slices.Equal(got, c.want) || o.Problems != int64(len(got)) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	p := Problem{Code: "column_unknown", Args: []string{nearest(Columns(Lots), fold("生产曰期"))}}
	if got := p.Text(Lots, lang.ZhHans); !strings.Contains(got, "是不是“生产日期”") {
		t.Errorf("%q", got)
	}
	p.Args = []string{nearest(Columns(Lots), fold("备注"))}
	if got := p.Text(Lots, lang.En); got != "There is no such column; use the headings of the template, or delete the column." && strings.Contains(got, "is it") {
		t.Errorf("%q", got)
	}
}

func TestProducts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := "商品条码,商品名称,英文名称,类别,原产国,净含量,品牌\n" +
		"06901234567892,白兰地,Brandy,烈酒,法国,700 mL,示例\n" +
		"6.90123E+12,甲,,烈酒,,,\n" +
		"6901234567890,乙,,烈酒,,,\n" +
		"12345678905,丙,,wine,us,,\n" +
		"06901234567892,又一,,wine,,,\n" +
		"69012345678x,,,没有,火星,,\n" +
		",=A1,,,,,\n" +
		"6901230000000,丁,,wine,,,\n"
	want := []string{
		"A3 gtin gtin_scientific", "A4 gtin gtin_check_digit", "A6 gtin row_repeated", "7 name_zh required",
		"A7 gtin gtin_digits", "D7 category category", "E7 origin country", "A8 gtin required", "B8 name_zh formula", "D8 category required", "A9 gtin gtin_rounded",
	}
	dry, got := b.load(Products, true, file)
	for i := range got { // an empty cell has a place
		if got[i] == "B7 name_zh required" {
			got[i] = "7 name_zh required"
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if _, err := b.world.Product(t.Context(), "06901234567892"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a dry run stored something: %v", err)
	}
	first, _ := b.load(Products, false, file)
	if !reflect.DeepEqual(first, dry) || first.Rows != 8 || first.New != 2 || first.Refused != 6 || first.Repaired != 1 || !first.Complete {
		t.Errorf("it did %+v, and said %+v", first, dry)
	}
	again, _ := b.load(Products, false, file)
	if again.New != 0 || again.Changed != 0 || again.Unchanged != 2 {
		t.Errorf("the same file again: %+v", again)
	}
	v, err := b.world.Product(t.Context(), "06901234567892")
	must(t, err)
	if v.Name["en"] != "Brandy" || v.Category != "spirits" || v.Origin != "FR" || v.Net != "700 mL" || v.Brand["zh-Hans"] != "示例" {
		t.Errorf("%+v", v)
	}
	if v, err = b.world.Product(t.Context(), "00012345678905"); err != nil || v.Origin != "US" {
		t.Errorf("zeros that were lost: %+v %v", v, err)
	}
	if o, _ := b.load(Products, false, "gtin,name_zh,category\n06901234567892,XO,spirits\n"); o.Changed != 1 {
		t.Errorf("a new name: %+v", o)
	}
}

func TestLots(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	o, got := b.load(Lots, false, "gtin\tlot\tproduced\texpires\tquantity\t报关单号\n"+
		"06901234567892\tA1\t2025-03-01\t2027年3月1日\t1,200\t460120251000000001\n"+
		"06901234567892\tA2\t2025/3/1\t20270301\t5\t\n"+
		"06901234567892\tA3\t45717\t46447.0\t\t\n"+
		"06901234567892\tA4\t2025-02-30\t3.1.2025\t-1\t4.60120E+17\n"+
		"06901234567892\tA5\t2025-03-01\t2024-03-01\t\t\n"+
		"06901234567908\tA6\t\t\t\t\n"+
		"06901234567892\t批号\t\t\t\t\n")
	want := []string{
		"C5 produced date_missing", "D5 expires date", "E5 quantity number", "F5 declaration scientific", "D6 expires date_order",
		"A7 gtin product_not_found", "B8 lot lot_characters",
	}
	if !slices.Equal(got, want) || o.New != 3 {
		t.Errorf("%+v %q", o, got)
	}
	for _, lot := range []string{"A1", "A2", "A3"} {
		v, err := b.world.Lot(t.Context(), "06901234567892", lot)
		if err != nil || v.Produced != "2025-03-01" || v.Expires != "2027-03-01" {
			t.Errorf("%s: %+v %v", lot, v, err)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	file := "溯源码,商品条码,批号,系列号\nHN1,06901234567892,L1,\nHN2,06901234567892,L1,S2\nHN3,06901234567892,L9,\nHN2,06901234567892,L1,S2\n1234567890123456789,06901234567892,L1,有\n"
	want := []string{"C4 lot lot_not_found", "A5 code row_repeated", "D6 serial serial"}
	for i, o := range []Outcome{{Tally: Tally{New: 2}}, {Tally: Tally{New: 2}}, {Tally: Tally{Unchanged: 2}}} {
		got, bad := b.load(Codes, i == 0, file)
		if got.New != o.New || got.Unchanged != o.Unchanged || got.Refused != 3 || !slices.Equal(bad, want) {
			t.Errorf("%d: %+v %q", i, got, bad)
		}
	}
	o, bad := b.load(Codes, false, "code,gtin,lot,serial,scheme\nHN2,06901234567892,L1,S3,\nHN4,06901234567892,L1,S4,\n6901234567892,06901234567892,L1,,bad scheme\nHN5,06901234567892,L1,S5,\n")
	if o.New != 2 || !slices.Equal(bad, []string{"A2 code code_taken", "E4 scheme scheme"}) {
		t.Errorf("%+v %q", o, bad)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	file := "事件编号,事件类型,时间,业务步骤,读取点,对象编码,商品条码,批号,系列号,数量,容器编码,收货方,单据号,单据类型,投入产出\n" +
		"C1,,2025-03-01 10:00,commissioning,6901234500004,,06901234567892,L1,S1,,,,,,\n" +
		"C1,,,,,,06901234567892,L1,S2,,,,,,\n" +
		"P1,聚合,2025年3月2日 9时30分,装箱,,,06901234567892,,S1,,106901234500000010,,,,\n" +
		"R1,,2025-03-03T08:00:00Z,收货,6901234500004,https://id.gs1.org/00/106901234500000010,,,,,,6901234500004,PO-7,采购订单,\n" +
		",,45719.5,storing,,,06901234567892,L1,,24,,,,,\n" +
		"T1,转换,2025-03-04 08:00,assembling,,,06901234567892,L1,,5,,,,,投入\n" +
		"T1,,,,,,06901234567892,L2,,5,,,,,产出\n"
	for i, o := range []Tally{{New: 5}, {New: 5}, {Unchanged: 5}} {
		got, bad := b.load(Events, i == 0, file)
		if got.New != o.New || got.Unchanged != o.Unchanged || got.Rows != 7 || bad != nil {
			t.Fatalf("%d: %+v %q", i, got, bad)
		}
	}
	a, err := b.world.Scan(t.Context(), trace.ScanRequest{Ref: gs1.Ref{GTIN: "06901234567892", Serial: "S1"}, Lang: lang.En, Preview: true})
	must(t, err)
	var ids []string
	for _, s := range a.Chain {
		if s.EventID == EventID(b.firm.ID, "C1") {
			ids = append(ids, s.TimeText)
		}
	}
	if want := []string{"2025-03-01T10:00:00.000+08:00"}; !slices.Equal(ids, want) {
		t.Errorf("the unit was commissioned at %q, want %q", ids, want)
	}

	o, got := b.load(Events, false, "event,time,step,gtin,lot,serial,quantity,action,zone,document,read_point\n"+
		"C1,2025-03-01 10:00,commissioning,06901234567892,L1,S9,,,,,\n"+ // another event of that number
		"E1,2025-03-01,receiving,06901234567892,L1,,5,,,,\n"+
		"E2,2025-03-01 25:00,飞,06901234567892,L1,S1,5,走,东八,\"A B\",123\n"+
		"E3,2025-03-01 10:00,receiving,06901234567892,L1,,5,,,,\n"+
		"E3,2025-03-01 11:00,,06901234567892,L1,,5,,,,\n"+
		"E1,2025-03-01 10:00,receiving,06901234567892,L1,,5,,,,\n"+
		"E4,2025-03-01 10:00,receiving,,L1,,,,,,\n"+
		"E5,2025-03-01 10:00,receiving,,,,,,,,\n")
	want := []string{
		"A2 event event_id_taken", "B3 time time_missing", "B4 time zone", "C4 step step", "G4 quantity quantity_of_one", "H4 action action", "J4 document document", "K4 read_point place",
		"B6 time event_differs", "A7 event event_again", "D8 gtin gtin_missing", "A9 event nothing_named",
	}
	for i := range got {
		if got[i] == "I4 zone zone" {
			got[i] = "B4 time zone"
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || o.New != 0 || o.Refused != o.Rows {
		t.Errorf("%+v\n%q\n%q", o, got, want)
	}
}

func TestAnEventHasABound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f strings.Builder
	f.WriteString("event,time,step,gtin,serial\n")
	for i := range maxEventRows + 700 {
		fmt.Fprintf(&f, "E1,2025-03-01 10:00,receiving,06901234567892,S%d\n", i)
	}
	f.WriteString("E2,2025-03-01 10:00,receiving,06901234567892,S1\n")
	o, got := b.load(Events, false, f.String())
	if !slices.Equal(got, []string{"A2 event event_rows"}) || o.New != 1 {
		t.Errorf("%+v %q", o, got)
	}
}

// TestResume stops an import after every step in turn, as a process that is killed would, and goes on from the cursor that was stored: what comes of
// it is what comes of an import that is not stopped, but that what was new may be found unchanged.
func TestResume(t *testing.T) {
	t.Parallel()
	file := lotsCSV(3*chunkRows + 100)
	bad := strings.Replace(file, "L000700,", "L 700,", 1)
	stop := errors.New("killed")
	for _, lose := range []bool{false, true} { // the step was stored, or lost with the process
		b := setup(t)
		b.goods()
		at := cursor{}
		l := loader{b.world, b.firm, Lots, false}
		var problems []Problem
		for rounds := 0; !at.Ended; rounds++ {
			if rounds > 20 {
				t.Fatal("it does not end")
			}
			work := at
			lost := lose && rounds%2 == 0
			err := load(t.Context(), l, strings.NewReader(bad), int64(len(bad)), &work, func(p []Problem, _, _ int64) error {
				if !lost {
					at, problems = work, append(problems, p...)
				}
				return stop
			})
			if !errors.Is(err, stop) {
				t.Fatal(err)
			}
		}
		if at.Rows != 3*chunkRows+100 || at.New+at.Unchanged != at.Rows-1 || !lose && at.New != at.Rows-1 || at.Refused != 1 || len(problems) != 1 || problems[0].Row != 702 {
			t.Errorf("lose %v: %+v %v", lose, at, problems)
		}
		if o, _ := b.load(Lots, false, bad); o.Unchanged != at.Rows-1 {
			t.Errorf("again: %+v", o)
		}
	}
}

func lotsCSV(rows int) string {
	var f strings.Builder
	f.WriteString("gtin,lot,produced,expires,quantity\n")
	for i := range rows {
		fmt.Fprintf(&f, "06901234567892,L%06d,2025-03-01,2027-03-01,%d\n", i, i)
	}
	return f.String()
}

func TestImports(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	var f strings.Builder
	f.WriteString(lotsCSV(700))
	for i := range 250 {
		fmt.Fprintf(&f, "06901234567892,有%d,,,\n", i)
	}
	i := b.begin(Order{Kind: Lots, IdempotencyKey: "k"}, f.String())
	if again := b.begin(Order{Kind: Lots, IdempotencyKey: "k"}, f.String()); again.Job.ID != i.Job.ID {
		t.Errorf("one key made %s and %s", i.Job.ID, again.Job.ID)
	}
	if _, err := b.Begin(ctx, Order{Firm: b.firm.ID, Kind: Lots, IdempotencyKey: "k"}, strings.NewReader("x")); fault.CodeOf(err) != "idempotency_key_reused" {
		t.Errorf("one key for two files: %v", err)
	}
	i = b.work(i)
	if i.Job.State != job.Success || i.New != 700 || i.Refused != 250 || i.Problems != 250 || i.Kept != 250 || !i.Complete || i.Job.Done != i.Job.Total {
		t.Fatalf("%+v %+v", i.Job, i.Outcome)
	}
	var rows []int
	from := ""
	for pages := 0; ; pages++ {
		_, page, next, err := b.Problems(ctx, i.Job.Owner, i.Job.ID, from, 70)
		must(t, err)
		for _, p := range page {
			rows = append(rows, p.Row)
		}
		if from = next; from == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if len(rows) != 250 || !slices.IsSorted(rows) || rows[0] != 702 {
		t.Errorf("%d problems: %v", len(rows), rows[:5])
	}
	for _, cursor := range []string{"x", "1", "-1-0", "0-100", "0--1"} {
		if _, _, _, err := b.Problems(ctx, i.Job.Owner, i.Job.ID, cursor, 10); fault.CodeOf(err) != "bad_cursor" {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	if _, err := b.Get(ctx, job.Firm("other", ""), i.Job.ID); fault.CodeOf(err) != "import_not_found" {
		t.Errorf("another firm: %v", err)
	}
	if blobs, err := b.deps.Blobs.List(ctx, Purpose, "", 10); err != nil || len(blobs) != 0 {
		t.Errorf("%d files are left, %v", len(blobs), err)
	}
}

// Files that no open import has go after a day: of attempts that died, of one that runs from another's file, and of one that ended.
func TestFilesThatWereLeftBehindAreSwept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.goods()
	ctx := t.Context()
	open := b.begin(Order{Kind: Lots, IdempotencyKey: "open"}, lotsCSV(2))
	files := func() int {
		t.Helper()
		all, err := b.deps.Blobs.List(ctx, Purpose, "", 10)
		must(t, err)
		return len(all)
	}
	b.begin(Order{Kind: Lots, IdempotencyKey: "open"}, lotsCSV(2))
	if n := files(); n != 1 {
		t.Fatalf("sent twice, an import has %d files", n)
	}
	for _, record := range []string{open.Job.ID + "-died", "nobody-died", "old"} {
		_, err := b.deps.Blobs.Put(ctx, blob.Space{Purpose: Purpose, Record: record}, strings.NewReader(lotsCSV(2)), MaxBytes)
		must(t, err)
	}
	sweep := func(after time.Duration, want, left int) {
		t.Helper()
		b.blobs.Now = func() time.Time { return time.Now().Add(after) }
		if n, err := b.Sweep(ctx, 100); err != nil || n != want || files() != left {
			t.Errorf("after %v %d files were swept and %d are left, %v", after, n, files(), err)
		}
	}
	sweep(0, 0, 4)
	sweep(23*time.Hour, 0, 4)
	sweep(25*time.Hour, 3, 1)
	b.blobs.Now = time.Now
	if i := b.work(open); i.Job.State != job.Success || i.New != 2 || files() != 0 {
		t.Errorf("%+v, %d files", i, files())
	}
}

func TestATestTenantHasItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	i := b.work(b.begin(Order{Kind: Products, Tenant: b.firm.ID}, "gtin,name_zh,category\n06901234567892,白兰地,spirits\n"))
	if i.New != 1 {
		t.Fatalf("%+v", i)
	}
	if _, err := b.world.Product(t.Context(), "06901234567892"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("production has the test's product: %v", err)
	}
	if _, err := b.test.Product(t.Context(), "06901234567892"); err != nil {
		t.Error(err)
	}
}

func TestProblemsAreKeptUpToABound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	i := b.work(b.begin(Order{Kind: Lots, DryRun: true}, "gtin,lot\n"+strings.Repeat("x,y\n", MaxProblems+700)))
	if i.Problems != MaxProblems+700 || i.Kept != MaxProblems {
		t.Errorf("%+v", i.Outcome)
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds {
		for _, tag := range []string{lang.ZhHans, lang.En} {
			var x, c bytes.Buffer
			must(t, WriteTemplateXLSX(&x, k, tag))
			must(t, WriteTemplateCSV(&c, k, tag))
			for _, file := range [][]byte{x.Bytes(), c.Bytes()} {
				r, bad, err := NewReader(k, bytes.NewReader(file), int64(len(file)))
				if err != nil || bad != nil || len(r.header.index) != len(Columns(k)) {
					t.Fatalf("%s %s: %v %+v", k, tag, err, bad)
				}
				if rows, bad, err := r.chunk(); err != nil || len(rows) != 0 || len(bad) != 1 {
					t.Errorf("%s %s: %v %v", k, tag, rows, bad)
				}
			}
		}
	}
}

// TestExamples imports the templates' own examples, in both languages.
func TestExamples(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, tag := range []string{lang.ZhHans, lang.En} {
		for _, k := range Kinds {
			rows := Examples(k, tag)
			if k == Products { // two examples of one product
				rows = rows[:2]
			}
			var x bytes.Buffer
			must(t, sheet.WriteXLSX(&x, sheet.Page{Name: "a", Rows: slices.Values(rows)}))
			if o, bad := b.load(k, false, x.String()); bad != nil || o.New+o.Unchanged == 0 || tag == lang.En && o.New+o.Changed > 0 {
				t.Errorf("%s %s: %+v %q", k, tag, o, bad)
			}
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r, err := NewReport(&out, Lots, lang.ZhHans)
	must(t, err)
	must(t, r.Add([]Problem{{Row: 3, Cell: "B3", Column: "lot", Value: "=cmd()", Code: "lot_characters"}, {Code: sheet.CodeEncoding}}))
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), "\uFEFF"))).ReadAll()
	must(t, err)
	if len(rows) != 3 || !slices.Equal(rows[1][:5], []string{"3", "B3", "批号", "'=cmd()", "lot_characters"}) || !strings.HasPrefix(rows[1][5], "批号只能用") {
		t.Errorf("%q", rows)
	}
}

// A cell of a workbook may be a few bytes that stand for a long text: what is held of a file follows from neither its size nor its number of rows.
func TestRowsAreHeldInBoundedMemory(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100<<10)
	for kind, head := range map[Kind]string{Products: "gtin,name_en,category,description_en", Events: "event,time,step,gtin,read_point"} {
		var f strings.Builder
		f.WriteString(head + "\n")
		for i := range 200 {
			if kind == Products {
				fmt.Fprintf(&f, "06901234567892,%d,spirits,%s\n", i, long)
			} else {
				fmt.Fprintf(&f, "E%d,2025-03-01 10:00,receiving,06901234567892,%s\n", i/150, long)
			}
		}
		r, problems, err := NewReader(kind, strings.NewReader(f.String()), int64(f.Len()))
		must(t, err)
		if kind == Products && problems != nil || r == nil {
			t.Fatalf("%s: %v", kind, problems)
		}
		var codes []string
		most, total := 0, 0
		for {
			rows, _, err := r.chunk()
			must(t, err)
			if len(rows) == 0 {
				break
			}
			held := 0
			for _, row := range rows {
				held += weight(row)
				for _, p := range row.problems {
					codes = append(codes, p.Code)
				}
			}
			most, total = max(most, held), total+len(rows)
		}
		if most > 2*chunkBytes+(1<<20) {
			t.Errorf("%s: %d bytes are held at once", kind, most)
		}
		if kind == Events && !slices.Contains(codes, "event_too_large") || kind == Products && total != 200 {
			t.Errorf("%s: %d rows, %q", kind, total, slices.Compact(codes))
		}
	}
}

// Files are kept until their jobs run: one firm's must not fill the disk, and another tenant has room of its own.
func TestImportsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range MaxWaiting {
		b.begin(Order{Kind: Lots}, "gtin,lot\n")
	}
	o := Order{Firm: b.firm.ID, Kind: Lots}
	if _, err := b.Begin(t.Context(), o, strings.NewReader("gtin,lot\n")); fault.CodeOf(err) != "jobs_waiting" || fault.KindOf(err) != fault.TooMany {
		t.Errorf("%v", err)
	}
	o.Tenant = b.firm.ID
	if _, err := b.Begin(t.Context(), o, strings.NewReader("gtin,lot\n")); err != nil {
		t.Error(err)
	}
}
