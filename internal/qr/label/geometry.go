package label

import (
	"github.com/haisu-trace/haisu/internal/fault"
)

// Geometry says where labels are on a sheet. All lengths are in millimetres.
type Geometry struct {
	PageWidth, PageHeight   float64
	Columns, Rows           int
	LabelWidth, LabelHeight float64
	Left, Top               float64 // margins
	GapX, GapY              float64 // between labels
	Symbol                  float64 // the side of the symbol with its quiet zone
	CutMarks                bool
}

// DefaultGeometry is the common sheet of 24 labels of 63.5 by 33.9 mm on A4.
func DefaultGeometry() Geometry {
	return Geometry{
		PageWidth: 210, PageHeight: 297, Columns: 3, Rows: 8, LabelWidth: 63.5, LabelHeight: 33.9, Left: 7.2, Top: 12.9, GapX: 2.55, GapY: 0,
		Symbol: 30, CutMarks: false,
	}
}

// Bounds of a geometry.
const (
	MaxPerPage = 1000
	maxPage    = 1200.0 // A0 and a little more
	// minModule is how wide a module must be: three dots of a label printer of 300 dpi. A phone resolves it at arm's length.
	minModule = 0.25
	inset     = 1.5   // between the edge of a label and its text
	tolerance = 1e-06 // of sums of decimal fractions
)

// PerPage is how many labels a sheet has.
func (g Geometry) PerPage() int { return g.Columns * g.Rows }

// Check says whether all labels are on the sheet and the symbol is on its label. The code is label_geometry.
func (g Geometry) Check() error {
	wide := g.Left + float64(g.Columns)*g.LabelWidth + float64(g.Columns-1)*g.GapX
	high := g.Top + float64(g.Rows)*g.LabelHeight + float64(g.Rows-1)*g.GapY
	switch {
	case g.Columns < 1 || g.Rows < 1 || g.Columns > MaxPerPage || g.Rows > MaxPerPage || g.PerPage() > MaxPerPage:
		return bad("a sheet has 1 to %d labels", MaxPerPage)
	case !(g.PageWidth > 0 && g.PageWidth <= maxPage && g.PageHeight > 0 && g.PageHeight <= maxPage):
		return bad("a page is up to %g mm wide and high", maxPage)
	case !(g.Left >= 0 && g.Top >= 0 && g.GapX >= 0 && g.GapY >= 0 && g.LabelWidth > 0 && g.LabelHeight > 0 && g.Symbol > 0):
		return bad("a length is negative or missing")
	case !(wide <= g.PageWidth+tolerance && high <= g.PageHeight+tolerance):
		return bad("the labels take %.2f by %.2f mm, and the page has %g by %g", wide, high, g.PageWidth, g.PageHeight)
	case !(g.Symbol <= min(g.LabelWidth, g.LabelHeight)+tolerance):
		return bad("a symbol of %g mm does not fit on a label of %g by %g mm", g.Symbol, g.LabelWidth, g.LabelHeight)
	}
	return nil
}

func bad(format string, args ...any) *fault.Error {
	return fault.New(fault.Malformed, "label_geometry", format, args...)
}

// position is the top left corner of a label of the page.
func (g Geometry) position(i int) (x, y float64) {
	return g.Left + float64(i%g.Columns)*(g.LabelWidth+g.GapX), g.Top + float64(i/g.Columns)*(g.LabelHeight+g.GapY)
}
