package bulk

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/sheet"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// kindNames head the pages of templates.
var kindNames = map[Kind]lang.Text{
	Products: text("商品", "Products"), Lots: text("批次", "Lots"), Codes: text("溯源码", "Codes"), Events: text("事件", "Events"),
}

// Name is what people call the kind.
func (k Kind) Name() lang.Text { return kindNames[k] }

func titles(k Kind, tag string) []string {
	var out []string
	for _, c := range Columns(k) {
		out = append(out, c.Title.In(tag))
	}
	return out
}

// WriteTemplateCSV writes a table with nothing but headings.
func WriteTemplateCSV(w io.Writer, k Kind, tag string) error {
	c := sheet.NewCSVWriter(w)
	if err := c.Write(titles(k, tag)...); err != nil {
		return err
	}
	return c.Flush()
}

// WriteTemplateXLSX writes a workbook of three pages: the table with its headings, all of whose cells are text; examples; and what the
// columns mean.
func WriteTemplateXLSX(w io.Writer, k Kind, tag string) error {
	widths := make([]int, len(Columns(k)))
	for i := range widths {
		widths[i] = 20
	}
	return sheet.WriteXLSX(w,
		sheet.Page{Name: k.Name().In(tag), Widths: widths, Header: true, Rows: slices.Values([][]string{titles(k, tag)})},
		sheet.Page{Name: text("示例", "Examples").In(tag), Widths: widths, Header: true, Rows: slices.Values(Examples(k, tag))},
		sheet.Page{Name: text("说明", "Instructions").In(tag), Widths: []int{24, 20, 10, 90}, Header: true, Rows: slices.Values(instructions(k, tag))},
	)
}

// Examples gives headings and example rows, such as can be imported.
func Examples(k Kind, tag string) [][]string {
	rows := [][]string{titles(k, tag)}
	columns := Columns(k)
	count := 0
	for _, c := range columns {
		count = max(count, len(c.Examples))
	}
	for i := range count {
		var cells []string
		for _, c := range columns {
			s := ""
			if i < len(c.Examples) {
				s = c.Examples[i]
			}
			cells = append(cells, s)
		}
		rows = append(rows, cells)
	}
	return rows
}

func instructions(k Kind, tag string) [][]string {
	rows := [][]string{{text("列名", "Heading").In(tag), text("代码", "Name").In(tag), text("必填", "Required").In(tag), text("说明", "What it is").In(tag)}}
	for _, c := range Columns(k) {
		required := ""
		if c.Required {
			required = text("是", "yes").In(tag)
		}
		rows = append(rows, []string{c.Title.In(tag), c.Name, required, c.Help.In(tag)})
	}
	rows = append(rows, []string{""})
	for _, t := range []lang.Text{
		text("只读取第一个可见的工作表；第一行非空行是列名，次序不限，不认识的列会被拒绝。", "Only the first visible sheet is read; its first row that is not empty holds the headings, in any order; unknown ones are refused."),
		text("同一文件可以重复导入：内容没有变化的行不会改动任何数据。", "A file may be imported again: rows that have not changed change nothing."),
		text("有问题的行会被拒绝并列出，其余的行照常导入；可以先试运行。", "Rows with something wrong are refused and listed, and the others are taken; a dry run tells first."),
	} {
		rows = append(rows, []string{"", "", "", t.In(tag)})
	}
	var list []warning.Term
	switch k {
	case Products:
		list = warning.Categories
	case Events:
		steps := trace.StepNames()
		for _, word := range slices.SortedFunc(maps.Keys(steps), cmp.Compare) {
			list = append(list, warning.Term{Code: word, Name: steps[word]})
		}
	}
	if list != nil {
		title := text("类别", "Category")
		if k == Events {
			title = text("业务步骤", "Business step")
		}
		rows = append(rows, []string{""}, []string{title.In(tag), text("代码", "Name").In(tag)})
		for _, t := range list {
			rows = append(rows, []string{t.Name.In(tag), t.Code})
		}
	}
	return rows
}

// Report writes problems as CSV that can be opened in an office program: what came from the file cannot become a formula.
type Report struct {
	out  *sheet.CSVWriter
	kind Kind
	tag  string
}

// NewReport begins a report in a language.
func NewReport(w io.Writer, k Kind, tag string) (*Report, error) {
	r := &Report{sheet.NewCSVWriter(w), k, tag}
	heads := strings.Split(text("行,单元格,列,值,代码,问题", "row,cell,column,value,code,problem").In(tag), ",")
	return r, r.out.Write(heads...)
}

// Add writes some problems.
func (r *Report) Add(problems []Problem) error {
	for i := range problems {
		p := &problems[i]
		row := ""
		if p.Row > 0 {
			row = strconv.Itoa(p.Row)
		}
		if err := r.out.Write(row, p.Cell, p.Title(r.kind, r.tag), p.Value, p.Code, p.Text(r.kind, r.tag)); err != nil {
			return err
		}
	}
	return r.out.Flush()
}
