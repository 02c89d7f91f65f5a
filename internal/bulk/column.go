package bulk

import (
	"slices"
	"strings"

	"golang.org/x/text/width"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/sheet"
)

// Kind is what the rows of a table are.
type Kind string

// The kinds.
const (
	Products Kind = "products"
	Lots     Kind = "lots"
	Codes    Kind = "codes" // codes of other schemes, above all those of the official duty-free label
	Events   Kind = "events"
)

// Kinds are all kinds, in the order in which a new seller needs them: a lot's product must be known, and a code's lot.
var Kinds = []Kind{Products, Lots, Codes, Events}

// Valid says whether there is such a kind.
func (k Kind) Valid() bool { return slices.Contains(Kinds, k) }

// Column is one column of a kind's table.
type Column struct {
	Name     string    // stable, lower_snake_case; may head the column, as may Title and Aliases
	Title    lang.Text // heads the column in templates
	Aliases  []string  // what ERP systems call it
	Required bool      // the column must be there, and its cells filled
	Help     lang.Text // for the page of instructions
	Examples []string  // cells of the template's examples
}

// Columns gives the columns of a kind, in the order of its template. They are not to be changed.
func Columns(k Kind) []Column { return tables[k] }

// fold is what spellings of a heading have in common: half width, lower case, no space, no marks, and no remark in brackets at the end.
func fold(heading string) string {
	s := strings.ToLower(width.Fold.String(heading))
	if i := strings.LastIndexAny(s, "([【"); i > 0 {
		s = s[:i]
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n_-*:/.、", r) || r == '\u3000' || r == '\u00A0' {
			return -1
		}
		return r
	}, s)
}

// names are all that a column may be headed with, folded.
func (c *Column) names() []string {
	out := []string{fold(c.Name)}
	for _, t := range c.Title {
		out = append(out, fold(t))
	}
	for _, a := range c.Aliases {
		out = append(out, fold(a))
	}
	return out
}

// header says where the columns of a kind are in a file.
type header struct {
	kind  Kind
	index map[string]int // by Column.Name
}

// readHeader finds the columns in the first row. Every heading must be known, since a misspelt column that is passed over would be data that is
// lost without a word, and every column that is required must be there.
func readHeader(k Kind, row *sheet.Row) (header, []Problem) {
	h := header{kind: k, index: map[string]int{}}
	var bad []Problem
	columns := Columns(k)
	for i, cell := range row.Cells {
		if cell.Kind == sheet.Empty {
			continue
		}
		at := Problem{Row: row.Number, Cell: cellName(i, row.Number), Value: clip(cell.Text)}
		folded := fold(cell.Text)
		found := slices.IndexFunc(columns, func(c Column) bool { return slices.Contains(c.names(), folded) })
		switch {
		case found < 0:
			at.Code, at.Args = "column_unknown", []string{nearest(columns, folded)}
			bad = append(bad, at)
		case h.has(columns[found].Name):
			at.Code, at.Column, at.Args = "column_twice", columns[found].Name, []string{sheet.ColumnName(h.index[columns[found].Name])}
			bad = append(bad, at)
		default:
			h.index[columns[found].Name] = i
		}
	}
	for _, c := range columns {
		if c.Required && !h.has(c.Name) {
			bad = append(bad, Problem{Row: row.Number, Column: c.Name, Code: "column_missing"})
		}
	}
	for _, group := range eitherOf[k] {
		if !slices.ContainsFunc(group, h.has) {
			bad = append(bad, Problem{Row: row.Number, Column: group[0], Code: "column_missing"})
		}
	}
	return h, bad
}

// eitherOf are columns of which one must be there.
var eitherOf = map[Kind][][]string{Products: {{"name_zh", "name_en"}}, Events: {{"epc", "gtin", "parent"}}}

func (h *header) has(column string) bool {
	_, ok := h.index[column]
	return ok
}

// nearest is the name of the column whose heading is most like one that is unknown; "" if none is.
func nearest(columns []Column, folded string) string {
	best, least := "", 1+len([]rune(folded))/2
	for _, c := range columns {
		for _, name := range c.names() {
			d := distance([]rune(folded), []rune(name))
			if len(folded) >= 6 && (strings.Contains(name, folded) || strings.Contains(folded, name)) {
				d = 1
			}
			if d < least {
				best, least = c.Name, d
			}
		}
	}
	return best
}

// distance is Levenshtein's, of short texts: of longer ones the first 40 characters count.
func distance(a, b []rune) int {
	a, b = a[:min(len(a), 40)], b[:min(len(b), 40)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
