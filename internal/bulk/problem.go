package bulk

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/sheet"
)

// Problem is one thing that is wrong with a table: where, and a stable code with what fills its text. It holds no language, so that whoever
// reads it chooses one.
type Problem struct {
	Row    int      `json:"row"`              // as office programs count; 0: the file as a whole
	Cell   string   `json:"cell,omitempty"`   // such as C12
	Column string   `json:"column,omitempty"` // Column.Name
	Value  string   `json:"value,omitempty"`  // the cell's, of at most 120 characters
	Code   string   `json:"code"`
	Args   []string `json:"args,omitempty"`
	Detail string   `json:"detail,omitempty"` // in English, for a code that has no text here
}

func cellName(column, row int) string { return sheet.ColumnName(column) + strconv.Itoa(row) }

// Title is the heading of the problem's column in a language, "" if it has none.
func (p *Problem) Title(k Kind, tag string) string {
	for _, c := range Columns(k) {
		if c.Name == p.Column {
			return c.Title.In(tag)
		}
	}
	return ""
}

// Text says what is wrong and what to do about it, in a language.
func (p *Problem) Text(k Kind, tag string) string {
	t, ok := problemTexts[p.Code]
	if !ok {
		if p.Detail != "" {
			return p.Detail
		}
		return p.Code
	}
	s := t.In(tag)
	for i, a := range p.Args {
		if p.Code == "column_unknown" {
			a = (&Problem{Column: a}).Title(k, tag)
		}
		s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", i), a)
	}
	// A remark in ⟨⟩ is for a problem with arguments that say something.
	if before, rest, ok := strings.Cut(s, "⟨"); ok {
		remark, after, _ := strings.Cut(rest, "⟩")
		if strings.Join(p.Args, "") == "" {
			remark = ""
		} else if p.Code == "column_unknown" && (&Problem{Column: p.Args[0]}).Title(k, tag) == "" {
			remark = ""
		}
		s = before + remark + after
	}
	return s
}

// ofFile makes a problem of an error of the sheet reader.
func ofFile(e *sheet.Error) Problem { return Problem{Row: e.Row, Code: e.Code, Args: []string{e.Arg}} }

// ofFault makes problems of a refusal of the domain. where gives the place of a pointer.
func ofFault(e *fault.Error, where func(pointer string) Problem) []Problem {
	if len(e.Fields) == 0 {
		p := where("")
		p.Code, p.Detail = cmp.Or(domainCodes[e.Code], e.Code), e.Detail
		return []Problem{p}
	}
	out := make([]Problem, 0, len(e.Fields))
	for _, f := range e.Fields {
		p := where(f.Pointer)
		p.Code, p.Detail = cmp.Or(domainCodes[f.Code], f.Code), f.Detail
		out = append(out, p)
	}
	return out
}

var problemTexts = map[string]lang.Text{
	// The file.
	sheet.CodeEmpty:    text("文件是空的。", "The file is empty."),
	sheet.CodeOldExcel: text("这是旧版 Excel（.xls）或带密码的文件。请另存为 .xlsx，不设密码。", "This is an old Excel file (.xls), or one with a password. Save it as .xlsx without a password."),
	sheet.CodeUnknown:  text("文件既不是 CSV 也不是 XLSX。", "The file is neither CSV nor XLSX."),
	sheet.CodeEncoding: text("文件的文字编码认不出来。请另存为“CSV UTF-8”或 .xlsx。", "The file's character encoding is not one that is known here. Save it as 'CSV UTF-8' or as .xlsx."),
	sheet.CodeQuotes:   text("引号不成对，或引号之后还有文字；从这一行起无法再读。", "A quotation mark is not closed, or something follows one that is; nothing can be read from this row on."),
	sheet.CodeRowTooLong: text("这一行太长，多半是前面有引号没有成对；从这一行起无法再读。",
		"The row is too long; most likely a quotation mark was not closed. Nothing can be read from this row on."),
	sheet.CodeCellTooLong: text("单元格太长⟨（{0}）⟩。", "A cell is too long⟨ ({0})⟩."),
	sheet.CodeColumns:     text("列太多：最多 {0} 列。", "There are too many columns: at most {0}."),
	sheet.CodeRows:        text("行太多：一个文件最多 {0} 行，请分成几个文件。", "There are too many rows: a file may have {0}. Divide it."),
	sheet.CodePackage:     text("XLSX 文件已损坏⟨（{0}）⟩。请在 Excel 中打开后重新保存。", "The XLSX file is damaged⟨ ({0})⟩. Open it in Excel and save it again."),
	sheet.CodeBomb:        text("XLSX 文件解压后过大⟨（{0}）⟩。请把数据复制到新文件，或另存为 CSV。", "The XLSX file unpacks to too much⟨ ({0})⟩. Copy the data to a new file, or save it as CSV."),
	sheet.CodeNoSheet:     text("文件中没有可见的工作表。", "There is no visible worksheet in the file."),
	sheet.CodeStrings:     text("文件中不同的文字太多。请另存为 CSV，或分成几个文件。", "There are too many different texts in the file. Save it as CSV, or divide it."),
	"file_no_rows":        text("标题行下面没有数据。", "There is no row below the headings."),

	// The headings.
	"column_unknown": text("没有这一列⟨，是不是“{0}”⟩？请改用模板中的列名，或删除这一列。", "There is no such column⟨; is it '{0}'⟩? Use the headings of the template, or delete the column."),
	"column_twice":   text("这一列与 {0} 列重复。", "The column is the same as column {0}."),
	"column_missing": text("缺少这一列。", "The column is missing."),

	// Cells.
	"required":           text("必填。", "It must be filled."),
	"formula":            text("单元格里是公式而没有值。请“选择性粘贴”为值。", "The cell holds a formula without a value. Paste it as a value."),
	"cell_error":         text("单元格是错误值（如 #N/A）。", "The cell holds an error, such as #N/A."),
	"mojibake":           text("单元格里有乱码。", "The cell holds characters that were lost in a conversion."),
	"control_characters": text("单元格里有看不见的控制字符。", "The cell holds control characters."),
	"became_date":        text("Excel 把它变成了日期。请把这一列设为“文本”后重新填写。", "Excel turned it into a date. Format the column as text and fill it again."),
	"digits_lost":        text("Excel 只保留 15 位数字，其余已丢失。请把这一列设为“文本”后重新填写。", "Excel keeps 15 digits of a number; the others are lost. Format the column as text and fill it again."),
	"scientific": text("Excel 把它写成了科学计数法，后几位已丢失。请把这一列设为“文本”后重新填写。",
		"Excel wrote it in scientific notation, and its last digits are lost. Format the column as text and fill it again."),
	"gtin_scientific": text("Excel 把条码写成了科学计数法，后几位已丢失。请把这一列设为“文本”，再从原始数据重新填写条码。",
		"Excel wrote the GTIN in scientific notation, and its last digits are lost. Format the column as text and fill in the GTINs again from their source."),
	"gtin_rounded": text("条码末尾是一串 0，多半是被 Excel 改过。请把这一列设为“文本”后重新填写。",
		"The GTIN ends in a row of zeros, as if Excel had rounded it. Format the column as text and fill it again."),
	"gtin_digits":      text("条码只能有数字。", "A GTIN has digits only."),
	"gtin_length":      text("条码应有 8、12、13 或 14 位数字，这里是 {0} 位。", "A GTIN has 8, 12, 13 or 14 digits; this one has {0}."),
	"gtin_check_digit": text("校验位不对，应为 {0}：请核对条码。", "The check digit should be {0}: compare the number with the package."),
	"number":           text("应为数字，如 1200 或 0.75。", "A number is wanted, such as 1200 or 0.75."),
	"whole_number":     text("应为整数。", "A whole number is wanted."),
	"range":            text("数字太大。", "The number is too large."),
	"date":             text("日期写作 2025-03-01、2025/3/1、20250301 或 2025年3月1日。", "Write a date as 2025-03-01, 2025/3/1, 20250301 or 2025年3月1日."),
	"date_missing":     text("没有这一天。", "There is no such day."),
	"date_range":       text("年份应在 1970 到 2199 之间。", "The year must be from 1970 to 2199."),
	"date_order":       text("到期日期早于生产日期。", "The expiry date is before the production date."),
	"time":             text("时刻写作 10:30 或 10:30:00。", "Write the time of day as 10:30 or 10:30:00."),
	"time_missing":     text("缺少时刻：写作 2025-03-01 10:30。", "The time of day is missing: write 2025-03-01 10:30."),
	"zone":             text("时区写作 +08:00。", "Write the time zone as +08:00."),
	"zone_differs":     text("时间里的时区与时区一列不同。", "The time has another offset than the time zone says."),
	"country":          text("没有这个国家（地区）：用两个字母的代码，如 FR。", "There is no such country: use the two-letter code, such as FR."),
	"category":         text("没有这个类别：见模板“说明”页。", "There is no such category: see the template's instructions."),
	"too_long":         text("文字太长。", "The text is too long."),
	"lot_length":       text("批号应为 1 到 20 个字符。", "A lot has 1 to 20 characters."),
	"lot_characters":   text("批号只能用字母、数字和 ! \" % & ' ( ) * + , - . / : ; < = > ? _，不能有空格或汉字。", "A lot has letters, digits and ! \" % & ' ( ) * + , - . / : ; < = > ? _ only; no spaces."),
	"serial_length":    text("系列号应为 1 到 20 个字符。", "A serial has 1 to 20 characters."),
	"serial":           text("系列号最多 20 个字母、数字或符号，不能有空格或汉字。", "A serial has at most 20 letters, digits and signs; no spaces."),
	"scheme":           text("码制写作 2 到 40 个小写字母、数字或下划线。", "A scheme is written with 2 to 40 of a-z, 0-9 and '_'."),
	"code_invalid":     text("码应为 1 到 200 个字节。", "A code has 1 to 200 bytes."),
	"reference":        text("只能用字母、数字、“-”和“/”，最多 40 个。", "Letters, digits, '-' and '/' only, at most 40."),

	// Rows against one another and against what is there.
	"row_repeated":      text("与第 {0} 行重复。", "The same as row {0}."),
	"product_not_found": text("商品还没有登记：请先导入商品。", "The product is not registered yet: import it first."),
	"lot_not_found":     text("贵司还没有登记这个批号：请先导入批次。", "Your firm has not registered the lot: import it first."),
	"not_duty_free":     text("只有离岛免税经营企业可以登记免税溯源码。", "Official duty-free labels are registered by duty-free operators."),
	"not_registrant":    text("这个码本身是 GS1 码，只有条码的注册企业或获授权者可以登记。", "The code reads as a GS1 code, which only the registrant of the company prefix may register."),
	"code_taken":        text("这个码已经登记给别的商品、批次或企业。", "The code stands for another unit, lot or firm already."),

	// Events.
	"event_again":     text("这个事件编号在第 {0} 行已经用过；同一事件的各行要连在一起。", "This event was in row {0} already; the rows of one event must follow one another."),
	"event_rows":      text("一个事件最多 {0} 行。", "An event has at most {0} rows."),
	"event_differs":   text("与同一事件第 {0} 行不同：同一事件只能有一个值，后面的行可以留空。", "It differs from row {0} of the same event: leave it empty in the later rows."),
	"event_id_taken":  text("这个事件编号已经用于另一个内容不同的事件。已记录的事件不能更改，请用新的编号。", "The event's number stands for another event already. A recorded event is not changed: use a new number."),
	"event_too_large": text("事件太大，请分成几个事件。", "The event is too large: divide it."),
	"event_type":      text("事件类型为 物品、聚合、交易、转换、关联 之一。", "The type is object, aggregation, transaction, transformation or association."),
	"action":          text("动作为 ADD、OBSERVE、DELETE 之一。", "The action is ADD, OBSERVE or DELETE."),
	"step":            text("没有这个业务步骤：见模板“说明”页。", "There is no such business step: see the template's instructions."),
	"role":            text("投入或产出（input、output）。", "input or output."),
	"role_unexpected": text("只有转换事件有投入和产出。", "Only transformations have inputs and outputs."),
	"nothing_named":   text("这一行没有说是什么商品：填对象编码，或条码加批号、系列号。", "The row names nothing: fill EPC, or GTIN with lot or serial."),
	"epc":             text("认不出的编码：用 EPC URN、Digital Link、(01)…(21)… 或 18 位 SSCC。", "Not a code that is known here: use an EPC URN, a Digital Link, (01)…(21)… or an SSCC of 18 digits."),
	"epc_and_gtin":    text("对象编码与条码不要同时填。", "Fill either EPC or GTIN, not both."),
	"gtin_missing":    text("填了批号、系列号或数量就要填条码。", "A lot, a serial or a quantity needs a GTIN."),
	"quantity_of_one": text("一件商品没有数量：删去数量或系列号。", "A single unit has no quantity: delete the quantity or the serial."),
	"sscc":            text("SSCC 的校验位不对。", "The SSCC's check digit is not right."),
	"place":           text("填 13 位 GLN（校验位正确），或 SGLN 的 URN 或链接。", "Fill a GLN of 13 digits with a right check digit, or an SGLN as URN or link."),
	"party":           text("填 13 位 GLN（校验位正确），或参与方的 URN 或链接。", "Fill a GLN of 13 digits with a right check digit, or a party as URN or link."),
	"document":        text("单据号只能用字母、数字和 - . _ / 等，最多 60 个。", "A document number has letters, digits and - . _ / only, at most 60."),
	"document_gln":    text("贵司没有登记 GLN，单据号无法写入事件：请先登记 GLN，或填单据的 URI。", "Your firm has no GLN on record, which a document number needs: have it registered, or fill the document's URI."),
	"document_type":   text("没有这种单据类型。", "There is no such type of document."),
	"unknown_term":    text("这不是 CBV 2.0 的词语。", "This is not a word of CBV 2.0."),
}

// domainCodes are codes of the domain that have another name here, where the same word says something of a cell.
var domainCodes = map[string]string{"code": "code_invalid", "number": "reference"}
