package qr

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"
	"github.com/skip2/go-qrcode"

	"github.com/haisu-trace/haisu/internal/fault"
)

const unitLink = "https://haisu.example/01/06901234567892/10/L2026A/21/abcdefgh12345678"

// texts are links of real length, from a short product link to a unit of which every character is escaped, and worse.
var texts = []string{
	"https://a.cn/01/06901234567892",
	unitLink,
	"HTTPS://HAISU.EXAMPLE/01/06901234567892/21/12345678901234567890",
	"https://trace.hainan-dutyfree.example/01/06901234567892/10/" + strings.Repeat("%2F", 20) + "/21/" + strings.Repeat("%2B", 20),
	"海南免税 ¥1,299",
	strings.Repeat("x9_", MaxText/3),
}

// decode reads a QR code with a decoder that shares no code with the encoder.
func decode(t *testing.T, img image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true, gozxing.DecodeHintType_CHARACTER_SET: "UTF-8"}
	result, err := zxing.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		t.Fatalf("not readable: %v", err)
	}
	return result.GetText()
}

func TestPNGIsReadable(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		for _, size := range []int{MinSize, 100, 200, 256, 333, 1000, MaxSize} {
			data, err := PNG(text, size)
			if fault.CodeOf(err) == "qr_size_small" && size <= 100 {
				continue
			}
			if err != nil {
				t.Fatalf("%d px, %.40q: %v", size, text, err)
			}
			img, err := png.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if got := img.Bounds().Size(); got != image.Pt(size, size) {
				t.Errorf("image of %v, want %d pixels", got, size)
			}
			if got := decode(t, img); got != text {
				t.Errorf("%d px reads %q, want %q", size, got, text)
			}
		}
	}
}

// A phone does not know where the symbol is: without the hint of a pure image the decoder must find it too.
func TestPNGIsFound(t *testing.T) {
	t.Parallel()
	data, err := PNG(unitLink, 300)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	result, err := zxing.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil || result.GetText() != unitLink {
		t.Fatalf("found %v, %v", result, err)
	}
	if level := result.GetResultMetadata()[gozxing.ResultMetadataType_ERROR_CORRECTION_LEVEL]; level != "M" {
		t.Errorf("error correction level %v, want M", level)
	}
}

// The quiet zone is white and at least four modules wide on each side, and every module has the same size.
func TestPNGQuietZone(t *testing.T) {
	t.Parallel()
	for _, size := range []int{120, 257, 600} {
		dark, err := encode(unitLink)
		if err != nil {
			t.Fatal(err)
		}
		scale := size / (len(dark) + 2*quietZone)
		img, err := png.Decode(bytes.NewReader(appendPNG(nil, dark, size, scale)))
		if err != nil {
			t.Fatal(err)
		}
		margin := (size - scale*len(dark)) / 2
		if margin < quietZone*scale {
			t.Fatalf("%d px: quiet zone of %d pixels at %d a module", size, margin, scale)
		}
		for y := range size {
			for x := range size {
				mx, my := floorDiv(x-margin, scale), floorDiv(y-margin, scale)
				want := mx >= 0 && my >= 0 && mx < len(dark) && my < len(dark) && dark[my][mx]
				if got := color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y == 0; got != want {
					t.Fatalf("%d px: pixel %d,%d dark is %t, want %t", size, x, y, got, want)
				}
			}
		}
	}
}

func floorDiv(a, b int) int {
	if a < 0 {
		return -1
	}
	return a / b
}

// svgDoc is the structure that SVG promises; strict decoding of the rest would find anything else.
type svgDoc struct {
	XMLName xml.Name   `xml:"http://www.w3.org/2000/svg svg"`
	ViewBox string     `xml:"viewBox,attr"`
	Attrs   []xml.Attr `xml:",any,attr"`
	Paths   []struct {
		Fill  string     `xml:"fill,attr"`
		D     string     `xml:"d,attr"`
		Attrs []xml.Attr `xml:",any,attr"`
	} `xml:"path"`
	Others []struct {
		XMLName xml.Name
	} `xml:",any"`
}

func TestSVGIsReadable(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		data, err := SVG(text)
		if err != nil {
			t.Fatal(err)
		}
		var doc svgDoc
		if err := xml.Unmarshal(data, &doc); err != nil { //nolint:musttag // XMLName is known by its name
			t.Fatal(err)
		}
		if len(doc.Paths) != 2 || len(doc.Others) != 0 || len(doc.Paths[1].Attrs) != 0 || bytes.Contains(data, []byte("script")) {
			t.Fatalf("unexpected content: %.200s", data)
		}
		var side int
		if _, err := fmt.Sscanf(doc.ViewBox, "0 0 %d %d", &side, &side); err != nil {
			t.Fatalf("viewBox %q: %v", doc.ViewBox, err)
		}
		dark, err := encode(text)
		if err != nil {
			t.Fatal(err)
		}
		if side != len(dark)+2*quietZone {
			t.Fatalf("viewBox of %d for %d modules", side, len(dark))
		}
		ground := rasterise(t, doc.Paths[0].D, side)
		symbol := rasterise(t, doc.Paths[1].D, side)
		for y := range side {
			for x := range side {
				mx, my := x-quietZone, y-quietZone
				want := mx >= 0 && my >= 0 && mx < len(dark) && my < len(dark) && dark[my][mx]
				if !ground[y][x] || symbol[y][x] != want {
					t.Fatalf("%.40q: module %d,%d: ground %t, dark %t, want %t", text, mx, my, ground[y][x], symbol[y][x], want)
				}
			}
		}
		if got := decode(t, enlarge(symbol, 4)); got != text {
			t.Errorf("reads %q, want %q", got, text)
		}
	}
}

// rasterise fills SVG path data of the commands M, H, h, v and z at one pixel a unit, by the non-zero rule: each vertical
// edge changes the winding number of everything to its right.
func rasterise(t *testing.T, d string, side int) [][]bool {
	t.Helper()
	delta := make([][]int, side)
	for i := range delta {
		delta[i] = make([]int, side+1)
	}
	x, y, startX, startY := 0, 0, 0, 0
	vertical := func(to int) {
		for ; y < to; y++ {
			delta[y][x]++
		}
		for ; y > to; y-- {
			delta[y-1][x]--
		}
	}
	for d != "" {
		command := d[0]
		end := strings.IndexAny(d[1:], "MHhvz") + 1
		if end == 0 {
			end = len(d)
		}
		var args []int
		for field := range strings.FieldsSeq(d[1:end]) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatalf("path command %q: %v", d[:end], err)
			}
			args = append(args, n)
		}
		d = d[end:]
		switch {
		case command == 'M' && len(args) == 2:
			x, y = args[0], args[1]
			startX, startY = x, y
		case command == 'H' && len(args) == 1:
			x = args[0]
		case command == 'h' && len(args) == 1:
			x += args[0]
		case command == 'v' && len(args) == 1:
			vertical(y + args[0])
		case command == 'z' && len(args) == 0 && (x == startX || y == startY):
			vertical(startY)
			x = startX
		default:
			t.Fatalf("unexpected path command %q with %v", command, args)
		}
	}
	filled := make([][]bool, side)
	for row := range filled {
		filled[row] = make([]bool, side)
		winding := 0
		for col := range side {
			winding += delta[row][col]
			filled[row][col] = winding != 0
		}
	}
	return filled
}

// enlarge makes an image of modules, scale pixels each.
func enlarge(dark [][]bool, scale int) image.Image {
	img := image.NewGray(image.Rect(0, 0, len(dark)*scale, len(dark)*scale))
	for y := range len(dark) * scale {
		for x := range len(dark) * scale {
			if !dark[y/scale][x/scale] {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return img
}

func TestOutlines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows []string
		want string
	}{
		{[]string{"  ", "  "}, ""},
		{[]string{"##", "##"}, "M4 4h2v2h-2z"},
		{[]string{"# ", "##"}, "M4 4h1v1h1v1h-2z"},
		{[]string{"# ", " #"}, "M4 4h1v1h-1zM5 5h1v1h-1z"},
		{[]string{" #", "# "}, "M5 4h1v1h-1zM4 5h1v1h-1z"},
		{[]string{"###", "# #", "###"}, "M4 4h3v3h-3zM5 6h1v-1h-1z"},
	} {
		dark := make(modules, len(c.rows))
		for y, row := range c.rows {
			for _, r := range row {
				dark[y] = append(dark[y], r == '#')
			}
		}
		var pen svgPen
		draw(dark, &pen)
		if got := string(pen.b); got != c.want {
			t.Errorf("%q: %s, want %s", c.rows, got, c.want)
		}
	}
}

// The encoder of pictures knows one kind of picture; whatever the modules and the size are, a decoder sees each pixel as it should be.
func TestPNGOfAnyModules(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		dark := make(modules, 1+r.IntN(60))
		share := r.IntN(5)
		for y := range dark {
			dark[y] = make([]bool, len(dark))
			for x := range dark[y] {
				dark[y][x] = r.IntN(4) < share
			}
		}
		scale := 1 + r.IntN(12)
		size := scale*len(dark) + r.IntN(70)
		img, err := png.Decode(bytes.NewReader(appendPNG(nil, dark, size, scale)))
		if err != nil {
			t.Fatalf("%d modules at %d in %d pixels: %v", len(dark), scale, size, err)
		}
		margin := (size - scale*len(dark)) / 2
		for y := range size {
			for x := range size {
				mx, my := floorDiv(x-margin, scale), floorDiv(y-margin, scale)
				want := mx >= 0 && my >= 0 && mx < len(dark) && my < len(dark) && dark[my][mx]
				if got := img.At(x, y).(color.Gray).Y == 0; got != want {
					t.Fatalf("%d modules at %d in %d pixels: pixel %d,%d dark is %t", len(dark), scale, size, x, y, got)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxText+1)
	for _, c := range []struct {
		text string
		size int
		code string
	}{
		{"", 200, "qr_text"},
		{long, 200, "qr_text"},
		{unitLink, MinSize - 1, "qr_size"},
		{unitLink, MaxSize + 1, "qr_size"},
		{unitLink, -4, "qr_size"},
		{strings.Repeat("x", MaxText), MinSize, "qr_size_small"},
	} {
		data, err := PNG(c.text, c.size)
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Code != c.code || e.Kind != fault.Malformed || data != nil {
			t.Errorf("%.20q at %d: %v, want %s", c.text, c.size, err, c.code)
		}
	}
	for _, text := range []string{"", long} {
		if data, err := SVG(text); fault.CodeOf(err) != "qr_text" || data != nil {
			t.Errorf("%.20q: %v, want qr_text", text, err)
		}
	}
}

// A symbol of 256 pixels, against the library's own PNG of the same symbol in the same run. What we hold ourselves to is that the metric speed is
// at least 2: the symbol itself, which both share, is some 0.4 of the library's time.
func BenchmarkPNG(b *testing.B) {
	b.ReportAllocs()
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		data, err := PNG(unitLink, 256)
		middle := time.Now()
		if err != nil {
			b.Fatal(err)
		}
		peer, err := qrcode.Encode(unitLink, qrcode.Medium, 256)
		if err != nil {
			b.Fatal(err)
		}
		ours += middle.Sub(start)
		theirs += time.Since(middle)
		b.ReportMetric(float64(len(data)), "bytes")
		b.ReportMetric(float64(len(peer)), "peer-bytes")
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns/png")
	b.ReportMetric(float64(theirs)/float64(ours), "speed")
}

func BenchmarkSVG(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		data, err := SVG(unitLink)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(data)), "bytes")
	}
}
