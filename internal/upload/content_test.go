package upload

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strconv"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

// corner is a picture of 40 × 20 whose first corner is red, and the rest white.
func corner() *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, 40, 20))
	for y := range 20 {
		for x := range 40 {
			m.Set(x, y, color.White)
			if x < 8 && y < 8 {
				m.Set(x, y, color.RGBA{R: 255, A: 255})
			}
		}
	}
	return m
}

func pngOf(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// jpegOf has an Exif segment in front that says how the picture is to be turned, and where it was taken.
func jpegOf(t *testing.T, m image.Image, orientation uint16, order binary.AppendByteOrder) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	tiff := []byte("MM\x00\x2a")
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		tiff = []byte("II\x2a\x00")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	for _, e := range [][2]uint16{{0x0100, 40}, {0x0112, orientation}} {
		tiff = order.AppendUint16(order.AppendUint16(tiff, e[0]), 3)
		tiff = order.AppendUint32(tiff, 1)
		tiff = order.AppendUint16(order.AppendUint16(tiff, e[1]), 0)
	}
	tiff = append(tiff, "20.0458N 110.1999E"...)
	app := append([]byte("Exif\x00\x00"), tiff...)
	out := []byte{0xff, 0xd8, 0xff, 0xe1}
	out = binary.BigEndian.AppendUint16(out, uint16(len(app)+2))
	return append(append(out, app...), b.Bytes()[2:]...)
}

func isRed(m image.Image, x, y int) bool {
	r, g, _, _ := m.At(x, y).RGBA()
	return r > 0xc000 && g < 0x6000
}

// A picture is made anew, upright, and nothing but its pixels is left.
func TestPicturesAreMadeAnew(t *testing.T) {
	t.Parallel()
	for o, red := range map[uint16]image.Point{ // where the red corner is when the picture is turned
		1: {3, 3}, 2: {36, 3}, 3: {36, 16}, 4: {3, 16}, 5: {3, 3}, 6: {16, 3}, 7: {16, 36}, 8: {3, 36}, 0: {3, 3}, 9: {3, 3},
	} {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			d, err := Clean(append(jpegOf(t, corner(), o, order), "<script>alert(1)</script>"...))
			if err != nil {
				t.Fatal(err)
			}
			m, err := jpeg.Decode(bytes.NewReader(d.Bytes))
			if err != nil {
				t.Fatal(err)
			}
			if tall := o >= 5 && o <= 8; (m.Bounds().Dy() == 40) != tall || !isRed(m, red.X, red.Y) || d.Media != TypeJPEG || d.Ext() != ".jpg" {
				t.Errorf("orientation %d %v: %v, red at %v: %v", o, order, m.Bounds(), red, isRed(m, red.X, red.Y))
			}
			if bytes.Contains(d.Bytes, []byte("Exif")) || bytes.Contains(d.Bytes, []byte("110.1999E")) || bytes.Contains(d.Bytes, []byte("script")) {
				t.Error("something else of the file is left")
			}
		}
	}
	d, err := Clean(append(pngOf(t, corner()), "PK\x03\x04 behind the end"...))
	if err != nil || d.Media != TypePNG || d.Ext() != ".png" || bytes.Contains(d.Bytes, []byte("behind")) {
		t.Fatal(d.Media, err)
	}
	if m, err := png.Decode(bytes.NewReader(d.Bytes)); err != nil || !isRed(m, 0, 0) || m.Bounds() != image.Rect(0, 0, 40, 20) {
		t.Error(err)
	}
}

// pngSize is a PNG that says it has so many pixels, and has none.
func pngSize(w, h uint32) []byte {
	chunk := []byte("IHDR")
	chunk = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(chunk, w), h)
	chunk = append(chunk, 8, 6, 0, 0, 0)
	out := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n"), 13)
	return binary.BigEndian.AppendUint32(append(out, chunk...), crc32.ChecksumIEEE(chunk))
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// scanned is a progressive JPEG of 4000 × 4000 black pixels, told in so many scans of some forty bytes: each says of all blocks that nothing is added.
func scanned(n int) []byte {
	const side, longestRun = 4000, 1<<15 - 1 // in blocks of 8 × 8 (ITU-T T.81, G.1.2.2)
	out := append([]byte{0xff, 0xd8, 0xff, 0xdb, 0, 67, 0}, bytes.Repeat([]byte{1}, 64)...)
	out = append(out, 0xff, 0xc2, 0, 11, 8, side>>8, side&0xff, side>>8, side&0xff, 1, 1, 0x11, 0)
	out = append(append(out, 0xff, 0xc4, 0, 20, 0x10, 1), make([]byte, 15)...)
	out = append(out, 0xe0) // the one code of its table, "0": a run, whose length is in 14 bits
	var bits string
	for range side/8*(side/8)/longestRun + 1 {
		bits += "0" + strings.Repeat("1", 14)
	}
	bits += strings.Repeat("1", (8-len(bits)%8)%8)
	scan := []byte{0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0}
	for ; bits != ""; bits = bits[8:] {
		b, _ := strconv.ParseUint(bits[:8], 2, 8)
		if scan = append(scan, byte(b)); b == 0xff {
			scan = append(scan, 0)
		}
	}
	return append(append(out, bytes.Repeat(scan, n)...), 0xff, 0xd9)
}

// A few bytes that have all pixels gone over once more are counted before anything is decoded.
func TestScansAreCounted(t *testing.T) {
	t.Parallel()
	if _, err := Clean(scanned(maxScans + 1)); fault.CodeOf(err) != "image_too_large" {
		t.Errorf("got %v", err)
	}
	for _, n := range []int{1, 7} {
		b := scanned(n)
		if d, err := Clean(b); err != nil || scans(b) != n {
			t.Errorf("%d scans are %d, %v", n, scans(b), err)
		} else if scans(d.Bytes) != 1 {
			t.Errorf("what is kept has %d scans", scans(d.Bytes))
		}
	}
	b := jpegOf(t, corner(), 6, binary.BigEndian)
	padded := append(append([]byte{}, b[:2]...), 0xff, 0xfe, 0, 8, 0xff, 0xda, 0, 8, 0xff, 0xda) // a comment, with what looks like scans
	if got := scans(append(append(padded, 0xff), b[2:]...)); got != 1 {
		t.Errorf("got %d scans, want 1", got)
	}
}

const pdfEnd = "\ntrailer << /Root 1 0 R >>\nstartxref\n9\n%%EOF\n"

func objects(stream string) string {
	return "%PDF-1.7\n5 0 obj << /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode >>\nstream\r\n" + stream + "\nendstream endobj" + pdfEnd
}

// What a file is, is told by its content; what is not whole, is locked or acts by itself is refused.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	whole := pngOf(t, corner())
	picture := jpegOf(t, corner(), 1, binary.BigEndian)
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"nothing":            {nil, "file_type"},
		"a page":             {[]byte("<html><script>alert(1)</script>"), "file_type"},
		"SVG":                {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), "file_type"},
		"GIF":                {[]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00"), "file_type"},
		"PDF later":          {[]byte("MZ %PDF-1.7 %%EOF"), "file_type"},
		"cut PNG":            {whole[:len(whole)-20], "image_broken"},
		"cut JPEG":           {picture[:len(picture)/2], "image_broken"},
		"only a head":        {[]byte("\xff\xd8\xff"), "image_broken"},
		"huge PNG":           {pngSize(16_000, 16_000), "image_too_large"},
		"long PNG":           {pngSize(20_000, 1), "image_too_large"},
		"endless PNG":        {pngSize(1<<31-1, 1<<31-1), "image_broken"},
		"cut PDF":            {[]byte("%PDF-1.7\n1 0 obj << >> endobj"), "pdf_broken"},
		"locked PDF":         {[]byte("%PDF-1.7\n1 0 obj << >> endobj\ntrailer << /Root 1 0 R /Encrypt 3 0 R >>\n%%EOF"), "pdf_encrypted"},
		"script":             {[]byte("%PDF-1.7\n1 0 obj << /OpenAction << /S/JavaScript/JS(app.alert\\(1\\)) >> >> endobj" + pdfEnd), "pdf_active"},
		"escaped name":       {[]byte("%PDF-1.7\n1 0 obj << /S /Java#53cript >> endobj" + pdfEnd), "pdf_active"},
		"file within":        {[]byte("%PDF-1.7\n1 0 obj << /Names << /EmbeddedFiles 4 0 R>> >> endobj" + pdfEnd), "pdf_active"},
		"packed script":      {[]byte(objects(packed(t, "7 0 << /S /JavaScript >>"))), "pdf_active"},
		"packed far behind":  {[]byte("%PDF-1.7\n5 0 obj << /Type /ObjStm /Filter /FlateDecode /X (" + strings.Repeat("x", 3000) + ") >>\nstream\n" + packed(t, "7 0 << /S /JavaScript >>") + "\nendstream endobj" + pdfEnd), "pdf_active"},
		"packed behind obj":  {[]byte("%PDF-1.7\n5 0 obj << /Type /ObjStm /Filter /FlateDecode /X (5 obj) >>\nstream\n" + packed(t, "7 0 << /S /JavaScript >>") + "\nendstream endobj" + pdfEnd), "pdf_active"},
		"many packed":        {[]byte("%PDF-1.7\n4 0 obj (stream) endobj" + strings.Repeat("\n5 0 obj << /Type /ObjStm >> stream\n"+packed(t, "")+"\nendstream", maxStreams+1) + pdfEnd), "pdf_broken"},
		"packed otherwise":   {[]byte(objects("7 0 << >>")), "pdf_broken"},
		"packed and broken":  {[]byte(objects(packed(t, "7 0 << /S /Page >>")[:12])), "pdf_broken"},
		"packed without end": {[]byte(objects(packed(t, strings.Repeat(" ", maxUnpacked+1)))), "pdf_broken"},
	} {
		if _, err := Clean(c.file); fault.CodeOf(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}

func TestPDFsAreKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain":          "%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R /JSON (x) /Launcher 3 >> endobj" + pdfEnd,
		"packed":         objects(packed(t, "7 0 << /Type /Page /MediaBox [0 0 1 1] >>")),
		"stream without": "%PDF-1.4\n1 0 obj << /Length 4 >>\nstream\nabcd\nendstream endobj" + pdfEnd,
		"many streams":   "%PDF-1.4\n" + strings.Repeat("1 0 obj << >> stream\n\nendstream\n", maxStreams) + objects(packed(t, "7 0 << /Type /Page >>")),
		"behind the end": "%PDF-1.4\n" + pdfEnd + strings.Repeat(" ", 900),
	} {
		d, err := Clean([]byte(text))
		if err != nil || string(d.Bytes) != text || d.Media != TypePDF || d.Ext() != ".pdf" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzClean feeds anything: it is refused with a code, or what is kept is of its type, and is taken again.
func FuzzClean(f *testing.F) {
	f.Add([]byte(objects("x")))
	f.Add([]byte("%PDF-1.7 stream stream /ObjStm stream\n%%EOF"))
	f.Add(pngSize(3, 3))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x20Exif\x00\x00II\x2a\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		orientation(b)
		d, err := Clean(b)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.Unsupported {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := Clean(d.Bytes)
		if err != nil || again.Media != d.Media {
			t.Fatalf("what was kept is refused: %v", err)
		}
	})
}
