package sheet

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
)

// xlsxRows reads the rows of a worksheet (ECMA-376, part 1, 18.3.1.73).
type xlsxRows struct {
	*part
	lim      Limits
	strings  *stringTable
	dates    []bool
	date1904 bool
	number   int  // of the last row
	begun    bool // sheetData has begun
	value    []byte
}

func (x *xlsxRows) position() int64 { return x.in.read }

func (x *xlsxRows) next(row *Row) error {
	for {
		token, err := x.part.next()
		if err != nil {
			return err
		}
		switch v := token.(type) {
		case xml.StartElement:
			switch {
			case v.Name.Local == "sheetData":
				x.begun = true
			case v.Name.Local == "row" && x.begun:
				return x.row(v, row)
			}
		case xml.EndElement:
			if v.Name.Local == "sheetData" {
				return io.EOF
			}
		}
	}
}

func (x *xlsxRows) row(start xml.StartElement, row *Row) error {
	number := x.number + 1
	if r := attribute(start, "r"); r != "" {
		n, err := strconv.Atoi(r)
		if err != nil || n < number {
			return x.broken(errors.New("the rows are not in order"))
		}
		number = n
	}
	if number > x.lim.Rows {
		return &Error{Code: CodeRows, Row: number, Arg: strconv.Itoa(x.lim.Rows)}
	}
	x.number, row.Number = number, number
	next, size := 0, 0
	for {
		token, err := x.within()
		if err != nil {
			return err
		}
		switch v := token.(type) {
		case xml.EndElement:
			if v.Name.Local == "row" {
				return nil
			}
		case xml.StartElement:
			if v.Name.Local != "c" {
				continue
			}
			column := next
			if r := attribute(v, "r"); r != "" {
				if column = columnOf(r); column < next {
					return x.broken(errors.New("the cells are not in order"))
				}
			}
			next = column + 1
			cell, err := x.cell(v)
			if err != nil {
				return err
			}
			if cell.Kind == Empty {
				continue
			}
			if column >= x.lim.Columns {
				return &Error{Code: CodeColumns, Row: number, Arg: strconv.Itoa(x.lim.Columns)}
			}
			if size += len(cell.Text); size > x.lim.Row {
				return &Error{Code: CodeRowTooLong, Row: number}
			}
			for len(row.Cells) < column {
				row.Cells = append(row.Cells, Cell{})
			}
			row.Cells = append(row.Cells, cell)
		}
	}
}

// within is next where the part must not end.
func (x *xlsxRows) within() (xml.Token, error) {
	token, err := x.part.next()
	if errors.Is(err, io.EOF) {
		err = x.broken(io.ErrUnexpectedEOF)
	}
	return token, err
}

// columnOf is the column of a reference such as AB12, from 0; -1 for what is none.
func columnOf(ref string) int {
	n := 0
	for i := 0; i < len(ref) && i < 4; i++ {
		switch c := ref[i]; {
		case c >= 'A' && c <= 'Z':
			n = n*26 + int(c-'A') + 1
		case c >= 'a' && c <= 'z':
			n = n*26 + int(c-'a') + 1
		default:
			return n - 1
		}
	}
	return -1
}

// cell reads a cell (18.3.1.4) up to its end.
func (x *xlsxRows) cell(start xml.StartElement) (Cell, error) {
	kind, style := attribute(start, "t"), attribute(start, "s")
	x.value = x.value[:0]
	inline, formula, value := "", false, false
	for {
		token, err := x.within()
		if err != nil {
			return Cell{}, err
		}
		switch v := token.(type) {
		case xml.StartElement:
			switch v.Name.Local {
			case "is":
				if inline, err = x.richText("is", x.lim.Cell); err != nil {
					return Cell{}, err
				}
			case "v":
				value = true
			case "f":
				formula = true
			}
		case xml.EndElement:
			switch v.Name.Local {
			case "v":
				value = false
			case "c":
				if kind == "inlineStr" {
					return textCell(inline), nil
				}
				return x.valued(kind, style, formula)
			}
		case xml.CharData:
			if !value {
				continue
			}
			if len(x.value)+len(v) > x.lim.Cell {
				return Cell{}, &Error{Code: CodeCellTooLong, Row: x.number, Arg: attribute(start, "r")}
			}
			x.value = append(x.value, v...)
		}
	}
}

func textCell(s string) Cell {
	if s = Trim(s); s == "" {
		return Cell{}
	}
	return Cell{Text, s}
}

// valued makes a cell of its stored value (18.18.11).
func (x *xlsxRows) valued(kind, style string, formula bool) (Cell, error) {
	if len(x.value) == 0 {
		if formula {
			return Cell{Kind: Formula}, nil
		}
		return Cell{}, nil
	}
	if kind == "s" {
		s, ok := x.strings.get(x.value)
		if !ok {
			return Cell{}, x.broken(errors.New("a cell names a shared string that is not there"))
		}
		return textCell(s), nil
	}
	v := Trim(string(x.value))
	switch kind {
	case "str":
		return textCell(unescape(v)), nil
	case "b":
		if v == "0" || v == "false" {
			return Cell{Bool, "FALSE"}, nil
		}
		return Cell{Bool, "TRUE"}, nil
	case "e":
		return Cell{Failed, v}, nil
	case "d":
		return Cell{Date, v}, nil
	}
	if _, err := strconv.ParseFloat(v, 64); err != nil {
		return Cell{}, x.broken(errors.New("a cell of numbers holds something else"))
	}
	if i, err := strconv.Atoi(style); err == nil && i >= 0 && i < len(x.dates) && x.dates[i] {
		if s, ok := dateText(v, x.date1904); ok {
			return Cell{Date, s}, nil
		}
	}
	return Cell{Number, v}, nil
}
