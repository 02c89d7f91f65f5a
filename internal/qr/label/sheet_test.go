package label

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/qr/pdf"
	"github.com/haisu-trace/haisu/internal/qr/pdf/pdftest"
)

// sheetFile writes a document of so many labels.
func sheetFile(t *testing.T, g Geometry, count int64, font *pdf.Font) string {
	t.Helper()
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := NewSheet(&b, g, info, font)
	for n := range count {
		if err := w.Add(numbered(n + 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "labels.pdf")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// What a printer makes of the document is read again: a symbol of every label, where it should be, by a decoder that shares no code with the encoder.
func TestRenderedLabelsAreRead(t *testing.T) {
	t.Parallel()
	small := DefaultGeometry()
	small.Columns, small.Rows, small.LabelWidth, small.LabelHeight, small.Symbol = 10, 11, 19, 24, 17
	small.Left, small.Top, small.GapX, small.GapY, small.CutMarks = 5, 10, 1, 1, true
	for name, g := range map[string]Geometry{"text beside": DefaultGeometry(), "text below": small} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const count = 50
			file := sheetFile(t, g, count, chinese(t))
			dir := t.TempDir()
			const dpi = 250
			pdftest.Tool(t, "pdftoppm", "-r", fmt.Sprint(dpi), "-gray", "-png", file, filepath.Join(dir, "p"))
			pages, err := filepath.Glob(filepath.Join(dir, "p-*.png"))
			if want := (count + g.PerPage() - 1) / g.PerPage(); err != nil || len(pages) != want {
				t.Fatalf("%d pages, want %d: %v", len(pages), want, err)
			}
			for n := range count {
				page := readPNG(t, pages[n/g.PerPage()])
				x, y := g.position(n % g.PerPage())
				mm := func(v float64) int { return int(v * dpi / 25.4) }
				cell := image.Rect(mm(x), mm(y), mm(x+g.LabelWidth), mm(y+g.LabelHeight))
				if got, want := scan(t, page, cell), numbered(int64(n+1)).Link; got != want {
					t.Errorf("label %d reads %q, want %q", n+1, got, want)
				}
			}
		})
	}
}

func readPNG(t *testing.T, name string) image.Image {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func scan(t *testing.T, page image.Image, cell image.Rectangle) string {
	t.Helper()
	part := image.NewGray(image.Rect(0, 0, cell.Dx(), cell.Dy()))
	draw.Draw(part, part.Bounds(), page, cell.Min, draw.Src)
	bitmap, err := gozxing.NewBinaryBitmapFromImage(part)
	if err != nil {
		t.Fatal(err)
	}
	result, err := zxing.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		t.Fatalf("the label at %v: %v", cell, err)
	}
	return result.GetText()
}

// The structure is sound, and the text can be searched.
func TestSheetStructure(t *testing.T) {
	t.Parallel()
	one := Geometry{PageWidth: 60, PageHeight: 30, Columns: 1, Rows: 1, LabelWidth: 60, LabelHeight: 30, Symbol: 28}
	for _, pages := range []int64{1, 65} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			t.Parallel()
			file := sheetFile(t, one, pages, chinese(t))
			if out := pdftest.Tool(t, "qpdf", "--check", file); !strings.Contains(out, "No syntax or stream encoding errors found") {
				t.Errorf("qpdf: %s", out)
			}
			if got := strings.TrimSpace(pdftest.Tool(t, "qpdf", "--show-npages", file)); got != fmt.Sprint(pages) {
				t.Errorf("%s pages, want %d", got, pages)
			}
			out := filepath.Join(t.TempDir(), "text")
			last := fmt.Sprint(pages)
			pdftest.Tool(t, "pdftotext", "-enc", "UTF-8", "-f", last, "-l", last, "-raw", file, out)
			text, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			flat := strings.ReplaceAll(strings.Join(strings.Fields(string(text)), ""), "\f", "")
			for _, want := range []string{"陈年白兰地", "(01)06901234567892", "(10)L2026A", "(21)" + numbered(pages).Serial, "扫码查追溯"} {
				if !strings.Contains(flat, want) {
					t.Errorf("the text of page %d lacks %s: %s", pages, want, text)
				}
			}
			fonts := strings.Split(strings.TrimSpace(pdftest.Tool(t, "pdffonts", file)), "\n")[2:]
			for _, f := range fonts { // embedded, and with a table to Unicode
				if !strings.Contains(f, "Type 3") || !strings.Contains(f, " yes no  yes") {
					t.Errorf("a font is left out: %s", f)
				}
			}
			if len(fonts) != 3 {
				t.Errorf("%d fonts, want those for Latin, for codes and for Chinese", len(fonts))
			}
		})
	}
}

// Without a Chinese font here, the document says which the viewer is to use.
func TestViewersFont(t *testing.T) {
	t.Parallel()
	file := sheetFile(t, DefaultGeometry(), 1, nil)
	if out := pdftest.Tool(t, "qpdf", "--check", file); !strings.Contains(out, "No syntax or stream encoding errors found") {
		t.Errorf("qpdf: %s", out)
	}
	b, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(b, []byte("/STSong-Light-UniGB-UTF16-H /Encoding /UniGB-UTF16-H")) {
		t.Errorf("no Chinese font: %v", err)
	}
}

// The same labels are the same bytes, so that a download can be compared with an earlier one.
func TestSheetIsTheSameAgain(t *testing.T) {
	t.Parallel()
	var before []byte
	for range 2 {
		b, err := os.ReadFile(sheetFile(t, DefaultGeometry(), 30, nil))
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !bytes.Equal(before, b) {
			t.Error("two documents of the same labels differ")
		}
		before = b
	}
}

func TestGeometryRefusals(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Geometry){
		"no columns":            func(g *Geometry) { g.Columns = 0 },
		"too many":              func(g *Geometry) { g.Columns, g.Rows = 40, 40 },
		"overflow":              func(g *Geometry) { g.Columns, g.Rows = 1<<62, 1<<62 },
		"beyond the right edge": func(g *Geometry) { g.Left = 20 },
		"beyond the lower edge": func(g *Geometry) { g.Rows = 9 },
		"negative gap":          func(g *Geometry) { g.GapX = -1 },
		"symbol over the label": func(g *Geometry) { g.Symbol = 34 },
		"no symbol":             func(g *Geometry) { g.Symbol = 0 },
		"huge page":             func(g *Geometry) { g.PageWidth = 1e9 },
		"not a number":          func(g *Geometry) { g.Top = nan },
		"endless":               func(g *Geometry) { g.Columns, g.GapX = 1, inf },
	} {
		g := DefaultGeometry()
		change(&g)
		if err := g.Check(); fault.CodeOf(err) != "label_geometry" || fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := DefaultGeometry().Check(); err != nil {
		t.Error(err)
	}
	g := DefaultGeometry()
	g.Symbol = 8
	if err := g.Fits(numbered(1).Link); fault.CodeOf(err) != "label_symbol_small" {
		t.Errorf("a symbol of 8 mm: %v", err)
	}
	if err := DefaultGeometry().Fits(numbered(1).Link); err != nil {
		t.Error(err)
	}
}

// A reader that goes away ends the work.
func TestSheetStopsWithItsReader(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	w := NewSheet(&failing{left: 5000, err: gone}, DefaultGeometry(), info, nil)
	var err error
	n := int64(0)
	for err == nil && n < 1000 {
		n++
		err = w.Add(numbered(n))
	}
	if !errors.Is(err, gone) || n > 100 {
		t.Errorf("after %d labels: %v", n, err)
	}
	if err := w.Close(); !errors.Is(err, gone) {
		t.Errorf("close: %v", err)
	}
}

type failing struct {
	left int
	err  error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, f.err
	}
	return len(b), nil
}
