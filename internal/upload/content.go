package upload

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"github.com/haisu-trace/haisu/internal/fault"
)

// The media types of documents that are taken.
const (
	TypePDF  = "application/pdf"
	TypeJPEG = "image/jpeg"
	TypePNG  = "image/png"
)

// The bounds of a picture. A page of A4 at 400 dots per inch has 15.5 million; decoding takes up to eight bytes for each, and a
// progressive JPEG twelve.
const (
	MaxPixels = 16_000_000
	maxSide   = 16_000
	// maxScans bounds those of a JPEG. Encoders make ten of a progressive one; each goes over all pixels, and may be of some forty bytes.
	maxScans = 100
)

// jpegQuality keeps small print legible: what is below blurs stamps over text.
const jpegQuality = 90

// Document is a document as it may be kept and handed out.
type Document struct {
	Media string
	Bytes []byte
}

// Ext is what the name of a file with the document ends with.
func (d *Document) Ext() string {
	switch d.Media {
	case TypePDF:
		return ".pdf"
	case TypeJPEG:
		return ".jpg"
	}
	return ".png"
}

// Clean reads a file for what it is, whatever it is called, and gives what may be kept of it. A picture is made anew from its pixels, upright, so that
// nothing else that was in the file is left: no place, no camera, no second file behind the end. A PDF is kept as it is, if it is whole, anybody may
// open it, and nothing in it acts by itself. Unsupported (file_type); Invalid (image_broken, image_too_large, pdf_broken, pdf_encrypted, pdf_active).
//
// It takes some hundred megabytes for the largest picture: callers do one at a time.
func Clean(b []byte) (Document, error) {
	switch {
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return Document{TypePDF, b}, checkPDF(b)
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		cfg, err := jpeg.DecodeConfig(bytes.NewReader(b))
		return redraw(TypeJPEG, b, cfg, err)
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		cfg, err := png.DecodeConfig(bytes.NewReader(b))
		return redraw(TypePNG, b, cfg, err)
	}
	return Document{}, fault.New(fault.Unsupported, "file_type", "a document is a PDF, or a picture as JPEG or PNG")
}

func brokenImage(err error) error {
	return fault.New(fault.Invalid, "image_broken", "the picture cannot be read to its end").Because(err)
}

func redraw(media string, b []byte, cfg image.Config, err error) (Document, error) {
	if err != nil {
		return Document{}, brokenImage(err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > maxSide || cfg.Height > maxSide || cfg.Width*cfg.Height > MaxPixels {
		return Document{}, fault.New(fault.Invalid, "image_too_large", "the picture has %d × %d pixels; at most %d in all, and %d a side", cfg.Width, cfg.Height, MaxPixels, maxSide)
	}
	var out bytes.Buffer
	if media == TypePNG {
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			return Document{}, brokenImage(err)
		}
		if err := png.Encode(&out, img); err != nil {
			return Document{}, brokenImage(err)
		}
		return Document{media, out.Bytes()}, nil
	}
	if n := scans(b); n > maxScans {
		return Document{}, fault.New(fault.Invalid, "image_too_large", "the picture is in %d scans; at most %d", n, maxScans)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return Document{}, brokenImage(err)
	}
	if err := jpeg.Encode(&out, upright(img, orientation(b)), &jpeg.Options{Quality: jpegQuality}); err != nil {
		return Document{}, brokenImage(err)
	}
	return Document{media, out.Bytes()}, nil
}

// turned is a picture as the camera says that it is to be looked at.
type turned struct {
	image.Image
	bounds image.Rectangle
	from   func(x, y int) (int, int) // where a point of it is in the picture, from the corner
}

func (t *turned) Bounds() image.Rectangle { return t.bounds }

func (t *turned) At(x, y int) color.Color {
	corner := t.Image.Bounds().Min
	x, y = t.from(x, y)
	return t.Image.At(corner.X+x, corner.Y+y)
}

// upright turns a picture by its orientation, 1 to 8 (Exif 2.32, tag 0x0112).
func upright(img image.Image, o int) image.Image {
	w, h := img.Bounds().Dx()-1, img.Bounds().Dy()-1
	var from func(x, y int) (int, int)
	switch o {
	case 2:
		from = func(x, y int) (int, int) { return w - x, y }
	case 3:
		from = func(x, y int) (int, int) { return w - x, h - y }
	case 4:
		from = func(x, y int) (int, int) { return x, h - y }
	case 5:
		from = func(x, y int) (int, int) { return y, x }
	case 6:
		from = func(x, y int) (int, int) { return y, h - x }
	case 7:
		from = func(x, y int) (int, int) { return w - y, h - x }
	case 8:
		from = func(x, y int) (int, int) { return w - y, x }
	default:
		return img
	}
	bounds := image.Rect(0, 0, w+1, h+1)
	if o >= 5 {
		bounds = image.Rect(0, 0, h+1, w+1)
	}
	return &turned{img, bounds, from}
}
