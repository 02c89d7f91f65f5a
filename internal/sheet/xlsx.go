package sheet

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
)

// workbook is an XLSX file (ECMA-376, transitional or strict) that is open.
type workbook struct {
	zip  *zip.Reader
	size int64
	lim  Limits

	date1904 bool
	main     string // the part with the list of sheets
	name     string // of the sheet
	sheet    string // its part
	strings  string // the part of the shared strings, "" if there is none
	styles   string
}

// Parts other than the sheet and its strings are small.
const maxOther = 16 << 20

func openXLSX(file io.ReaderAt, size int64, lim Limits) (*Table, error) {
	// zip.NewReader reads the list of parts wherever it begins, and to its end, whatever the file says of its length.
	bounded := &rationed{r: file, left: lim.Directory + 128<<10, size: size}
	z, err := zip.NewReader(bounded, size)
	bounded.free = true
	switch {
	case errors.Is(err, errAllowance):
		return nil, &Error{Code: CodeBomb, Arg: "ZIP", Err: err}
	case err != nil:
		return nil, &Error{Code: CodePackage, Arg: "ZIP", Err: err}
	}
	w := &workbook{zip: z, size: size, lim: lim}
	if err := w.find(); err != nil {
		return nil, err
	}
	rows := &xlsxRows{lim: lim, date1904: w.date1904}
	if w.styles != "" {
		if rows.dates, err = w.dateStyles(); err != nil {
			return nil, err
		}
	}
	if w.strings != "" {
		if rows.strings, err = w.sharedStrings(); err != nil {
			return nil, err
		}
	}
	f := w.part(w.sheet)
	if f == nil {
		return nil, &Error{Code: CodePackage, Arg: w.sheet, Err: errMissing}
	}
	if rows.part, err = w.openFile(f, lim.Unpacked); err != nil {
		return nil, err
	}
	return &Table{
		Format: "xlsx", Sheet: w.name, Date1904: w.date1904, rows: rows, total: int64(min(f.UncompressedSize64, uint64(lim.Unpacked))),
	}, nil
}

var errMissing = errors.New("the part is not there")

var errAllowance = errors.New("the list of parts is too long")

// rationed gives so many bytes and then an error, until it is free.
type rationed struct {
	r    io.ReaderAt
	left int
	size int64
	free bool
}

func (r *rationed) ReadAt(b []byte, at int64) (int, error) {
	if !r.free {
		if r.left -= len(b); r.left < 0 {
			return 0, errAllowance
		}
	}
	return r.r.ReadAt(b, at)
}

// part finds a part by its name; those of OPC are compared without case.
func (w *workbook) part(name string) *zip.File {
	for _, f := range w.zip.File {
		if strings.EqualFold(strings.TrimPrefix(f.Name, "/"), name) {
			return f
		}
	}
	return nil
}

func (w *workbook) openFile(f *zip.File, most int64) (*part, error) {
	r, err := f.Open()
	if err != nil {
		return nil, &Error{Code: CodePackage, Arg: f.Name, Err: err}
	}
	packed := int64(min(f.CompressedSize64, uint64(w.size)))
	return newPart(f.Name, r, min(most, 1<<20+packed*w.lim.Ratio)), nil
}

// elements walks a small part. A part that is not there has no elements.
func (w *workbook) elements(name string, start func(path []string, e xml.StartElement) error) error {
	f := w.part(name)
	if f == nil {
		return nil
	}
	p, err := w.openFile(f, maxOther)
	if err != nil {
		return err
	}
	return errors.Join(p.elements(start), p.close())
}

// find finds the parts: from the package's relations the workbook, from its own the sheets, and the first that is visible.
func (w *workbook) find() error {
	w.main = "xl/workbook.xml"
	err := w.relations("", func(_, kind, target string) {
		if kind == "officeDocument" {
			w.main = target
		}
	})
	if err != nil {
		return err
	}
	var id string
	err = w.elements(w.main, func(_ []string, e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			v := attribute(e, "date1904")
			w.date1904 = v == "1" || v == "true"
		case "sheet":
			if state := attribute(e, "state"); id == "" && (state == "" || state == "visible") {
				id, w.name = relation(e), attribute(e, "name")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = w.relations(w.main, func(rid, kind, target string) {
		switch {
		case kind == "worksheet" && rid == id && id != "":
			w.sheet = target
		case kind == "sharedStrings":
			w.strings = target
		case kind == "styles":
			w.styles = target
		}
	})
	if err == nil && w.sheet == "" {
		err = &Error{Code: CodeNoSheet}
	}
	return err
}

// relations lists the relations of a part ("": of the package): ID, the last word of the type, and the part's name.
func (w *workbook) relations(of string, each func(id, kind, target string)) error {
	dir, base := path.Split(of)
	return w.elements(dir+"_rels/"+base+".rels", func(_ []string, e xml.StartElement) error {
		if e.Name.Local != "Relationship" || attribute(e, "TargetMode") == "External" {
			return nil
		}
		kind, target := attribute(e, "Type"), attribute(e, "Target")
		if !strings.HasPrefix(target, "/") {
			target = dir + target
		}
		each(attribute(e, "Id"), kind[strings.LastIndexByte(kind, '/')+1:], strings.TrimPrefix(path.Clean("/"+target), "/"))
		return nil
	})
}

// maxStyles is how many cell formats Excel itself allows.
const maxStyles = 65_490

// dateStyles says of each cell format whether it shows a date.
func (w *workbook) dateStyles() ([]bool, error) {
	var dates []bool
	own := map[int]bool{}
	err := w.elements(w.styles, func(in []string, e xml.StartElement) error {
		switch {
		case e.Name.Local == "numFmt" && len(own) < maxStyles:
			if id, err := strconv.Atoi(attribute(e, "numFmtId")); err == nil {
				own[id] = showsDate(attribute(e, "formatCode"))
			}
		case e.Name.Local == "xf" && len(in) > 0 && in[len(in)-1] == "cellXfs" && len(dates) < maxStyles:
			id, err := strconv.Atoi(attribute(e, "numFmtId"))
			shows, is := own[id]
			dates = append(dates, err == nil && (shows || !is && builtinDate(id)))
		}
		return nil
	})
	return dates, err
}
