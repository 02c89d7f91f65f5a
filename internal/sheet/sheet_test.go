package sheet_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/haisu-trace/haisu/internal/sheet"
)

// read gives all rows as "number: cell|cell", a cell that is no text with its kind in front.
func read(t *testing.T, file []byte, lim sheet.Limits) (*sheet.Table, []string, error) {
	t.Helper()
	table, err := sheet.Open(bytes.NewReader(file), int64(len(file)), lim)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}()
	var rows []string
	var row sheet.Row
	for {
		err := table.Next(&row)
		if errors.Is(err, io.EOF) {
			if done, total := table.Progress(); done != total {
				t.Errorf("at the end progress is %d of %d", done, total)
			}
			return table, rows, nil
		}
		if err != nil {
			return table, rows, err
		}
		rows = append(rows, show(row))
	}
}

var kindNames = [...]string{"", "", "n:", "d:", "b:", "f:", "e:"}

func show(row sheet.Row) string {
	var cells []string
	for _, c := range row.Cells {
		cells = append(cells, kindNames[c.Kind]+c.Text)
	}
	return fmt.Sprintf("%d: %s", row.Number, strings.Join(cells, "|"))
}

func code(err error) string {
	if e, ok := errors.AsType[*sheet.Error](err); ok {
		return fmt.Sprintf("%s %d", e.Code, e.Row)
	}
	return fmt.Sprint(err)
}

func gb(t *testing.T, s string) string {
	t.Helper()
	out, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func utf16(t *testing.T, s string) string {
	t.Helper()
	out, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCSV(t *testing.T) {
	t.Parallel()
	long := "名称,备注\n" + strings.Repeat("a,b\n", 40_000)
	for name, c := range map[string]struct {
		file     string
		encoding string
		comma    rune
		rows     []string
	}{
		"plain":                {"a,b\n1,2\n", "utf-8", ',', []string{"1: a|b", "2: 1|2"}},
		"byte order mark":      {"\uFEFF商品,批号\r\n白兰地,L1\r\n", "utf-8", ',', []string{"1: 商品|批号", "2: 白兰地|L1"}},
		"GB18030":              {gb(t, "商品,批号\n白兰地,L1\n㐀,€\n"), "gb18030", ',', []string{"1: 商品|批号", "2: 白兰地|L1", "3: 㐀|€"}},
		"UTF-16, tabs":         {utf16(t, "商品\t批号\r\n白兰地\tL1\r\n"), "utf-16", '\t', []string{"1: 商品|批号", "2: 白兰地|L1"}},
		"semicolons":           {"a;b\n\"1,5\";2\n", "utf-8", ';', []string{"1: a|b", "2: 1,5|2"}},
		"a comma in quotes":    {"\"a,b,c\";d\n1;2\n", "utf-8", ';', []string{"1: a,b,c|d", "2: 1|2"}},
		"the delimiter said":   {"sep=;\r\na,x;b\r\n1;2\r\n", "utf-8", ';', []string{"2: a,x|b", "3: 1|2"}},
		"lines within cells":   {"a,b\n\"x\r\ny\",2\n\n,,\n3,\"\n\"\"\"\n4,\n", "utf-8", ',', []string{"1: a|b", "2: x\ny|2", "5: 3|\"", "6: 4"}},
		"no end of line":       {"a\n1", "utf-8", ',', []string{"1: a", "2: 1"}},
		"old Mac":              {"a,b\r1,2\r", "utf-8", ',', []string{"1: a|b", "2: 1|2"}},
		"quotes inside":        {"a,b\n27\" TV,x\"y\"\n", "utf-8", ',', []string{"1: a|b", "2: 27\" TV|x\"y\""}},
		"zeros kept":           {"a,b,c\n=\"0012\",'0012,\"=\"\"007\"\"\"\n", "utf-8", ',', []string{"1: a|b|c", "2: 0012|0012|007"}},
		"formulas":             {"a,b\n=1+1,\"=HYPERLINK(\"\"http://x\"\")\"\n", "utf-8", ',', []string{"1: a|b", "2: f:=1+1|f:=HYPERLINK(\"http://x\")"}},
		"space that is unseen": {"\u3000a\u200B,\u00A0b\n", "utf-8", ',', []string{"1: a|b"}},
		"rows of other length": {"a,b\n1\n1,2,3\n", "utf-8", ',', []string{"1: a|b", "2: 1", "3: 1|2|3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, rows, err := read(t, []byte(c.file), sheet.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if table.Encoding != c.encoding || table.Comma != c.comma || !slices.Equal(rows, c.rows) {
				t.Errorf("%s %q %q, want %s %q %q", table.Encoding, table.Comma, rows, c.encoding, c.comma, c.rows)
			}
		})
	}
	t.Run("the first Chinese character comes late", func(t *testing.T) {
		t.Parallel()
		_, rows, err := read(t, []byte(gb(t, long+"末,行\n")), sheet.Limits{})
		if err != nil || rows[len(rows)-1] != "40002: 末|行" {
			t.Errorf("%v %q", err, rows[len(rows)-1])
		}
	})
}

func TestCSVRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"empty":                    {"", "file_empty 0"},
		"an old workbook":          {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 and so on", "file_old_excel 0"},
		"an image":                 {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "file_unknown 0"},
		"neither":                  {"a,b\n\xFF\xFF,\x81\n", "file_encoding 0"},
		"behind a closed quote":    {"a,b\n\n1,2\n\"27\" TV,x\n", "file_quotes 4"},
		"a quote that stays open":  {"a,b\n1,\"2\n" + strings.Repeat("x,y\n", 100), "file_quotes 2"},
		"a quote open, a big file": {"a,b\n1,\"2\n" + strings.Repeat("x,y\n", 100_000), "row_too_long 2"},
		"a row too long":           {"a,b\n1," + strings.Repeat("x", 20_000) + "\n", "cell_too_long 2"},
		"many columns":             {"a,b\n" + strings.Repeat(",", 20) + "x\n", "too_many_columns 2"},
		"many rows":                {strings.Repeat("a\n", 1001), "too_many_rows 1001"},
		"empty rows":               {strings.Repeat("\n", 1001) + "a\n", "too_many_rows 1001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(t, []byte(c.file), sheet.Limits{Row: 64 << 10, Cell: 10_000, Columns: 20, Rows: 1000})
			if code(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// parts makes an XLSX file of parts; those that are not given are usual ones.
func parts(t testing.TB, own map[string]string) []byte {
	t.Helper()
	all := map[string]string{
		"_rels/.rels": `<Relationships><Relationship Id="r1" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": `<workbook xmlns:r="x"><sheets><sheet name="隐藏" state="hidden" r:id="r1"/><sheet name="数据" r:id="r2"/>` +
			`<sheet name="说明" r:id="r3"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Type="http://x/worksheet" Target="worksheets/a.xml"/>` +
			`<Relationship Id="r2" Type="http://x/worksheet" Target="/xl/worksheets/b.xml"/>` +
			`<Relationship Id="r4" Type="http://x/sharedStrings" Target="sharedStrings.xml"/>` +
			`<Relationship Id="r5" Type="http://x/styles" Target="styles.xml"/></Relationships>`,
		"xl/styles.xml": `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/>` +
			`<numFmt numFmtId="165" formatCode="0.00&quot;day&quot;"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>` +
			`<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="22"/></cellXfs></styleSheet>`,
		"xl/sharedStrings.xml": `<sst><si><t>甲</t></si><si><r><t>乙</t></r><r><t xml:space="preserve"> b</t></r><rPh><t>yi</t></rPh></si><si><t/></si>` +
			`<si><t>a_x000A_b_x005F_x000A_</t></si></sst>`,
	}
	maps.Copy(all, own)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, all[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func book(t testing.TB, rows string) []byte {
	t.Helper()
	return parts(t, map[string]string{"xl/worksheets/b.xml": `<x:worksheet><x:sheetData>` + rows + `</x:sheetData><row><c><v>9</v></c></row></x:worksheet>`})
}

func TestXLSX(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ rows, want string }{
		"shared strings":   {`<row r="2"><c r="A2" t="s"><v>0</v></c><c r="C2" t="s"><v>1</v></c><c t="s"><v>2</v></c><c t="s"><v>3</v></c></row>`, "2: 甲||乙 b||a\nb_x000A_"},
		"without places":   {`<row><c><v>1</v></c><c><v>2</v></c></row><row/><row><c><v>3</v></c></row>`, "1: n:1|n:2; 3: n:3"},
		"inline":           {`<row><c t="inlineStr"><is><t> x</t></is></c><c t="str"><v>y &amp; z</v></c></row>`, "1: x|y & z"},
		"numbers as found": {`<row><c><v>6901234567892</v></c><c><v>6.90123E+12</v></c><c s="3"><v>1.5</v></c></row>`, "1: n:6901234567892|n:6.90123E+12|n:1.5"},
		"dates": {`<row><c s="1"><v>45717</v></c><c s="2"><v>45717</v></c><c s="4"><v>45717.41666666666</v></c><c s="1"><v>-1</v></c><c t="d"><v>2025-03-01</v></c></row>`,
			"1: d:2025-03-01|d:2025-03-01|d:2025-03-01T10:00:00|n:-1|d:2025-03-01"},
		"formulas": {`<row><c><f>A1+1</f><v>7</v></c><c t="str"><f>B1</f><v>x</v></c><c><f>C1</f></c><c t="e"><f>1/0</f><v>#DIV/0!</v></c><c t="b"><v>1</v></c></row>`,
			"1: n:7|x|f:|e:#DIV/0!|b:TRUE"},
		"nothing": {`<row r="1"><c r="A1" s="1"/></row><row r="5"/>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, rows, err := read2(t, book(t, c.rows))
			if got := strings.Join(rows, "; "); err != nil || got != c.want || table.Sheet != "数据" {
				t.Errorf("%q %v %s, want %q", got, err, table.Sheet, c.want)
			}
		})
	}
	t.Run("1904", func(t *testing.T) {
		t.Parallel()
		file := parts(t, map[string]string{
			"xl/workbook.xml":     `<workbook xmlns:r="x"><workbookPr date1904="1"/><sheets><sheet name="a" r:id="r2"/></sheets></workbook>`,
			"xl/worksheets/b.xml": `<worksheet><sheetData><row><c s="1"><v>44255</v></c></row></sheetData></worksheet>`,
		})
		table, rows, err := read2(t, file)
		if err != nil || !table.Date1904 || !slices.Equal(rows, []string{"1: d:2025-03-01"}) {
			t.Errorf("%q %v", rows, err)
		}
	})
}

// read2 is read without its check of progress: what follows the rows of a worksheet is not read.
func read2(t *testing.T, file []byte) (*sheet.Table, []string, error) {
	t.Helper()
	table, err := sheet.Open(bytes.NewReader(file), int64(len(file)), sheet.Limits{})
	if err != nil {
		return nil, nil, err
	}
	var rows []string
	var row sheet.Row
	for err = table.Next(&row); err == nil; err = table.Next(&row) {
		rows = append(rows, show(row))
	}
	if !errors.Is(err, io.EOF) {
		return table, rows, err
	}
	return table, rows, table.Close()
}

func TestXLSXRefused(t *testing.T) {
	t.Parallel()
	lim := sheet.Limits{Unpacked: 4 << 20, Ratio: 200, StringBytes: 1000, Strings: 100, Rows: 1000, Columns: 30, Cell: 5000, Directory: 4 << 10}
	many := map[string]string{}
	for i := range 5000 {
		many[fmt.Sprintf("xl/media/image%d.png", i)] = ""
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"a bomb":               {book(t, strings.Repeat("<a/>", 3<<20)), "file_unpacked_large 0"},
		"a big part":           {book(t, strings.Repeat(`<row><c t="inlineStr"><is><t>abcdefgh0123456789</t></is></c></row>`, 990)+strings.Repeat("<!-- 0123456789abc -->", 300_000)), "file_unpacked_large 0"},
		"many parts":           {parts(t, many), "file_unpacked_large 0"},
		"many strings":         {parts(t, map[string]string{"xl/worksheets/b.xml": "<a/>", "xl/sharedStrings.xml": "<sst>" + strings.Repeat("<si><t>a</t></si>", 101) + "</sst>"}), "file_strings_large 0"},
		"long strings":         {parts(t, map[string]string{"xl/worksheets/b.xml": "<a/>", "xl/sharedStrings.xml": "<sst>" + strings.Repeat("<si><t>"+strings.Repeat("a", 100)+"</t></si>", 11) + "</sst>"}), "file_strings_large 0"},
		"a doctype":            {parts(t, map[string]string{"xl/worksheets/b.xml": `<!DOCTYPE x [<!ENTITY a "b">]><worksheet><sheetData><row><c t="str"><v>&a;</v></c></row></sheetData></worksheet>`}), "file_package 0"},
		"an entity":            {book(t, `<row><c t="str"><v>&a;</v></c></row>`), "file_package 0"},
		"a token without end":  {book(t, `<row `+strings.Repeat("a", 600<<10)+`>`), "file_package 0"},
		"no such string":       {book(t, `<row><c t="s"><v>99</v></c></row>`), "file_package 0"},
		"no number":            {book(t, `<row><c><v>abc</v></c></row>`), "file_package 0"},
		"rows out of order":    {book(t, `<row r="5"/><row r="3"/>`), "file_package 0"},
		"cells out of order":   {book(t, `<row><c r="B1"/><c r="A1"/></row>`), "file_package 0"},
		"a row that is far":    {book(t, `<row r="100000"><c><v>1</v></c></row>`), "too_many_rows 100000"},
		"a column that is far": {book(t, `<row><c r="XFD1"><v>1</v></c></row>`), "too_many_columns 1"},
		"a long cell":          {book(t, `<row><c t="str"><v>`+strings.Repeat("a", 6000)+`</v></c></row>`), "cell_too_long 1"},
		"cut off":              {book(t, `<row><c t="str"><v>a</v></c></row>`)[:900], "file_package 0"},
		"no sheet":             {parts(t, map[string]string{"xl/workbook.xml": "<workbook/>"}), "file_no_sheet 0"},
		"the sheet is missing": {parts(t, nil), "file_package 0"},
		"it ends in a row":     {parts(t, map[string]string{"xl/worksheets/b.xml": `<worksheet><sheetData><row><c>`}), "file_package 0"},
		"deep":                 {parts(t, map[string]string{"xl/workbook.xml": strings.Repeat("<a>", 100)}), "file_package 0"},
		"a ZIP that is none":   {[]byte("PK\x03\x04 and so on"), "file_package 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(t, c.file, lim)
			if code(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func rowsOf(rows ...[]string) iter.Seq[[]string] { return slices.Values(rows) }

func TestWriteXLSX(t *testing.T) {
	t.Parallel()
	var b, again bytes.Buffer
	page := sheet.Page{Name: "商品 <1>", Widths: []int{20, 10}, Header: true, Rows: rowsOf([]string{"条码", "a<b"}, []string{"", "  x\n"}, []string{"06901234567892", "=1+1"})}
	for _, w := range []io.Writer{&b, &again} {
		if err := sheet.WriteXLSX(w, page, sheet.Page{Name: "说明", Rows: rowsOf()}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the same pages give other bytes")
	}
	table, rows, err := read2(t, b.Bytes())
	want := []string{"1: 条码|a<b", "2: |x", "3: 06901234567892|=1+1"}
	if err != nil || table.Sheet != page.Name || !slices.Equal(rows, want) {
		t.Errorf("%q %q %v", table.Sheet, rows, err)
	}
}

func TestCSVWriter(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := sheet.NewCSVWriter(&b)
	if err := w.Write("a", "=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx", "＝1", " =1", "b,\"c"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "\uFEFFa,'=cmd|' /C calc'!A0,'+1,'-1,'@x,'\tx,'＝1,' =1,\"b,\"\"c\"\r\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestColumnName(t *testing.T) {
	t.Parallel()
	for i, want := range map[int]string{0: "A", 25: "Z", 26: "AA", 701: "ZZ", 702: "AAA"} {
		if got := sheet.ColumnName(i); got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
}
