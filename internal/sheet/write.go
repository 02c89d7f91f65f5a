package sheet

import (
	"archive/zip"
	"bufio"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// Page is a worksheet to be written. All of its cells are text, in columns that stay text when somebody types a number into them: so a GTIN
// keeps its zeros and does not become 6.90123E+12.
type Page struct {
	Name   string // at most 31 characters, without any of []:*?/\
	Widths []int  // of the columns, in characters
	Header bool   // the first row is bold and stays in view
	Rows   iter.Seq[[]string]
}

// WriteXLSX writes a workbook, row by row. The same pages give the same bytes.
func WriteXLSX(w io.Writer, pages ...Page) error {
	z := zip.NewWriter(w)
	b := bookWriter{zip: z}
	b.put("[Content_Types].xml", contentTypes(len(pages)))
	b.put("_rels/.rels", relationships(relationshipOf("rId1", "officeDocument", "xl/workbook.xml")))
	var sheets, rels strings.Builder
	for i, p := range pages {
		fmt.Fprintf(&sheets, `<sheet name="%s" sheetId="%d" r:id="rId%d"/>`, escaped(p.Name), i+1, i+1)
		rels.WriteString(relationshipOf(fmt.Sprintf("rId%d", i+1), "worksheet", fmt.Sprintf("worksheets/sheet%d.xml", i+1)))
	}
	rels.WriteString(relationshipOf(fmt.Sprintf("rId%d", len(pages)+1), "styles", "styles.xml"))
	b.put("xl/workbook.xml", `<workbook xmlns="`+nsMain+`" xmlns:r="`+nsRelations+`"><sheets>`+sheets.String()+`</sheets></workbook>`)
	b.put("xl/_rels/workbook.xml.rels", relationships(rels.String()))
	b.put("xl/styles.xml", styles)
	for i, p := range pages {
		b.page(fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1), p)
	}
	if b.err != nil {
		return b.err
	}
	return z.Close()
}

const (
	nsMain      = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	nsRelations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	nsPackage   = "http://schemas.openxmlformats.org/package/2006/"
)

func contentTypes(pages int) string {
	const office = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	var b strings.Builder
	b.WriteString(`<Types xmlns="` + nsPackage + `content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="` + office + `sheet.main+xml"/>` +
		`<Override PartName="/xl/styles.xml" ContentType="` + office + `styles+xml"/>`)
	for i := range pages {
		fmt.Fprintf(&b, `<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="%sworksheet+xml"/>`, i+1, office)
	}
	return b.String() + `</Types>`
}

func relationships(list string) string {
	return `<Relationships xmlns="` + nsPackage + `relationships">` + list + `</Relationships>`
}

func relationshipOf(id, kind, target string) string {
	return `<Relationship Id="` + id + `" Type="` + nsRelations + "/" + kind + `" Target="` + target + `"/>`
}

// styles has two formats: 1 is text (number format 49, "@"), 2 the same in bold.
const styles = `<styleSheet xmlns="` + nsMain + `"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>` +
	`<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill>` +
	`<fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>` +
	`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3">` +
	`<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>` +
	`<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>` +
	`<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs></styleSheet>`

// bookWriter writes parts until the first error.
type bookWriter struct {
	zip *zip.Writer
	err error
}

// create begins a part. The time is ZIP's first, so that the bytes do not depend on the clock.
func (b *bookWriter) create(name string) io.Writer {
	w, err := b.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		b.err = err
		return io.Discard
	}
	return w
}

func (b *bookWriter) put(name, text string) {
	if b.err == nil {
		if _, err := io.WriteString(b.create(name), xml.Header+text); err != nil {
			b.err = err
		}
	}
}

func (b *bookWriter) page(name string, p Page) {
	if b.err != nil {
		return
	}
	w := bufio.NewWriterSize(b.create(name), 32<<10)
	_, _ = w.WriteString(xml.Header + `<worksheet xmlns="` + nsMain + `">`) // a bufio.Writer keeps its first error, and Flush gives it
	if p.Header {
		_, _ = w.WriteString(`<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>`)
	}
	if len(p.Widths) > 0 {
		_, _ = w.WriteString(`<cols>`)
		for i, width := range p.Widths {
			_, _ = fmt.Fprintf(w, `<col min="%d" max="%d" width="%d" customWidth="1" style="1"/>`, i+1, i+1, width)
		}
		_, _ = w.WriteString(`</cols>`)
	}
	_, _ = w.WriteString(`<sheetData>`)
	row := 0
	for cells := range p.Rows {
		row++
		style := 1
		if row == 1 && p.Header {
			style = 2
		}
		_, _ = fmt.Fprintf(w, `<row r="%d">`, row)
		for i, text := range cells {
			if text == "" {
				continue
			}
			_, _ = fmt.Fprintf(w, `<c r="%s%d" s="%d" t="inlineStr"><is><t xml:space="preserve">%s</t></is></c>`, ColumnName(i), row, style, escaped(text))
		}
		_, _ = w.WriteString(`</row>`)
	}
	_, _ = w.WriteString(`</sheetData></worksheet>`)
	if err := w.Flush(); err != nil && b.err == nil {
		b.err = err
	}
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

// CSVWriter writes CSV that office programs open as it is meant: with a byte order mark, since without one Chinese Excel takes UTF-8 for
// GB18030, and with an apostrophe in front of whatever a program would take for a formula. So it must not be used where the
// bytes matter to another program.
type CSVWriter struct {
	w     *csv.Writer
	begun bool
	out   io.Writer
}

// NewCSVWriter writes to w.
func NewCSVWriter(w io.Writer) *CSVWriter {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	return &CSVWriter{w: c, out: w}
}

// Write writes one row.
func (c *CSVWriter) Write(cells ...string) error {
	if !c.begun {
		if _, err := io.WriteString(c.out, "\uFEFF"); err != nil {
			return err
		}
		c.begun = true
	}
	safe := make([]string, len(cells))
	for i, s := range cells {
		safe[i] = Inert(s)
	}
	return c.w.Write(safe)
}

// Flush writes what is waiting.
func (c *CSVWriter) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// Inert puts an apostrophe in front of a text that an office program would compute, full-width signs included.
func Inert(s string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, " \u00A0\u3000"))
	if strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) && s != "" {
		return "'" + s
	}
	return s
}
