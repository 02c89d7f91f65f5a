package bulk

import (
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/sheet"
	"github.com/haisu-trace/haisu/internal/trace"
)

// row is a row of a table with what was found wrong in it.
type row struct {
	*header
	sheet.Row
	date1904 bool
	problems []Problem
	repaired bool // zeros were put back
}

func (r *row) cell(column string) sheet.Cell {
	i, ok := r.index[column]
	if !ok {
		return sheet.Cell{}
	}
	return r.Cell(i)
}

// at is the place of a column in the row.
func (r *row) at(column string) Problem {
	p := Problem{Row: r.Number, Column: column}
	if i, ok := r.index[column]; ok {
		p.Cell, p.Value = cellName(i, r.Number), clip(r.Cell(i).Text)
	}
	return p
}

// add notes what is wrong with a column; nil is nothing.
func (r *row) add(column string, w *wrong) {
	if w != nil {
		p := r.at(column)
		p.Code, p.Args, p.Detail = w.code, w.args, w.detail
		r.problems = append(r.problems, p)
	}
}

// refuse notes what the domain refuses. columns says which column a pointer is about; the longest that is a prefix counts.
func (r *row) refuse(err *fault.Error, columns map[string]string) {
	r.problems = append(r.problems, ofFault(err, func(pointer string) Problem {
		column, longest := columns[""], -1
		for prefix, c := range columns {
			if strings.HasPrefix(pointer, prefix) && len(prefix) > longest {
				column, longest = c, len(prefix)
			}
		}
		return r.at(column)
	})...)
}

// required notes the columns that are required and empty here.
func (r *row) required() {
	for _, c := range Columns(r.kind) {
		if c.Required && r.cell(c.Name).Kind == sheet.Empty {
			r.add(c.Name, bad("required"))
		}
	}
}

// read reads a cell by a function of value.go, if it is not empty.
func read[T any](r *row, column string, f func(sheet.Cell) (T, *wrong)) T {
	var zero T
	c := r.cell(column)
	if c.Kind == sheet.Empty {
		return zero
	}
	v, w := f(c)
	r.add(column, w)
	if w != nil {
		return zero
	}
	return v
}

func (r *row) day(column string) string {
	return read(r, column, func(c sheet.Cell) (string, *wrong) { return day(c, r.date1904) })
}

func (r *row) gtin() gs1.GTIN {
	return read(r, "gtin", func(c sheet.Cell) (gs1.GTIN, *wrong) {
		g, repaired, w := gtin(c)
		r.repaired = r.repaired || repaired
		return g, w
	})
}

// lot and serial hold the cell to what GS1 allows.
func (r *row) lot() string {
	return read(r, "lot", func(c sheet.Cell) (string, *wrong) { return checked(c, gs1.ValidLot) })
}

func (r *row) serial() string {
	return read(r, "serial", func(c sheet.Cell) (string, *wrong) { return checked(c, gs1.ValidSerial) })
}

func checked(c sheet.Cell, valid func(string) error) (string, *wrong) {
	s, w := code(c)
	if w == nil {
		if err := valid(s); err != nil {
			c := fault.CodeOf(err)
			if c == "serial_characters" {
				c = "serial"
			}
			w = &wrong{code: c, detail: err.Error()}
		}
	}
	return s, w
}

func (r *row) texts(zh, en string) lang.Text {
	t := lang.ZhEn(read(r, zh, prose), read(r, en, prose))
	if len(t) == 0 {
		return nil
	}
	return t
}

func (r *row) product() trace.Product {
	r.required()
	p := trace.Product{
		GTIN: r.gtin(), Name: r.texts("name_zh", "name_en"), Brand: r.texts("brand_zh", "brand_en"), Category: read(r, "category", category),
		Origin: read(r, "origin", country), Net: read(r, "net", prose), Description: r.texts("description_zh", "description_en"),
		LotHint: r.texts("lot_hint_zh", "lot_hint_en"),
	}
	if p.Name == nil && !slices.ContainsFunc(r.problems, func(p Problem) bool { return strings.HasPrefix(p.Column, "name_") }) {
		column := "name_zh"
		if !r.has(column) {
			column = "name_en"
		}
		r.add(column, bad("required"))
	}
	return p
}

// productPointers are the columns of the fields of a product.
var productPointers = map[string]string{
	"": "gtin", "/name": "name_zh", "/name/en": "name_en", "/brand": "brand_zh", "/brand/en": "brand_en", "/category": "category", "/origin": "origin",
	"/net": "net", "/description": "description_zh", "/description/en": "description_en", "/lot_hint": "lot_hint_zh", "/lot_hint/en": "lot_hint_en",
}

func (r *row) lotRecord() trace.Lot {
	r.required()
	return trace.Lot{
		GTIN: r.gtin(), Lot: r.lot(), Produced: r.day("produced"), Expires: r.day("expires"), Quantity: read(r, "quantity", whole),
		Declaration: read(r, "declaration", code), Inspection: read(r, "inspection", code),
	}
}

var lotPointers = map[string]string{
	"": "gtin", "/lot": "lot", "/produced": "produced", "/expires": "expires", "/quantity": "quantity", "/declaration": "declaration", "/inspection": "inspection",
}

func (r *row) foreignCode() trace.ForeignCode {
	r.required()
	c := trace.ForeignCode{
		Scheme: trace.SchemeDutyFree, Code: read(r, "code", code), GTIN: r.gtin(), Lot: r.lot(), Serial: r.serial(),
	}
	if s := read(r, "scheme", prose); s != "" {
		c.Scheme = s
	}
	if fold(c.Scheme) == fold("离岛免税商品溯源码") || fold(c.Scheme) == fold("离岛免税") {
		c.Scheme = trace.SchemeDutyFree
	}
	return c
}
