// Package qr draws QR codes (ISO/IEC 18004) as PNG, as SVG and as outlines.
//
// Error correction is level M: it restores 15 % of a symbol, which scuffs and glue on a label need, while Q and H would make the
// symbol a version or two larger, so its modules smaller on the same label and harder for a phone to resolve. Around the symbol is the
// quiet zone of 4 modules that the standard (section 5.3.8) demands, white also on dark pages.
package qr

import (
	"strconv"

	"github.com/skip2/go-qrcode"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Bounds of what is drawn.
const (
	MinSize = 64   // pixels; below it no Digital Link of a unit can be resolved
	MaxSize = 2048 // pixels; 17 cm at 300 dpi
	MaxText = 512  // bytes; a Digital Link with lot and serial, all escaped, takes under 300

	quietZone = 4 // modules on each side
)

// modules is a QR symbol without its quiet zone: dark modules are true, the first index is the row. It is square.
type modules [][]bool

func encode(text string) (modules, error) {
	if text == "" || len(text) > MaxText {
		return nil, fault.New(fault.Malformed, "qr_text", "a QR code here holds 1 to %d bytes of text, not %d", MaxText, len(text))
	}
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil, fault.New(fault.Malformed, "qr_text", "this text cannot be put into a QR code").Because(err)
	}
	code.DisableBorder = true
	return code.Bitmap(), nil
}

// PNG draws text as a QR code in a black and white image of sizePx by sizePx pixels. Every module has the same whole number of
// pixels, so that no scaling blurs or skews it; what is left over widens the quiet zone evenly.
//
// The codes are qr_text (empty, or over MaxText bytes), qr_size (not MinSize to MaxSize) and qr_size_small (the text needs more
// modules than there are pixels).
func PNG(text string, sizePx int) ([]byte, error) {
	if sizePx < MinSize || sizePx > MaxSize {
		return nil, fault.New(fault.Malformed, "qr_size", "a QR code here is %d to %d pixels wide, not %d", MinSize, MaxSize, sizePx)
	}
	dark, err := encode(text)
	if err != nil {
		return nil, err
	}
	scale := sizePx / (len(dark) + 2*quietZone)
	if scale == 0 {
		return nil, fault.New(fault.Malformed, "qr_size_small",
			"this text needs a QR code at least %d pixels wide, not %d", len(dark)+2*quietZone, sizePx)
	}
	return appendPNG(make([]byte, 0, 4<<10), dark, sizePx, scale), nil
}

// SVG draws text as a QR code in a standalone SVG image without size, one user unit per module, to be scaled by whoever embeds
// it. The dark modules are a single path of outlines, so that no renderer shows seams between them. It holds no script, style,
// identifier or text, and can be embedded in a page any number of times.
//
// The code is qr_text (empty, or over MaxText bytes).
func SVG(text string) ([]byte, error) {
	dark, err := encode(text)
	if err != nil {
		return nil, err
	}
	side := strconv.Itoa(len(dark) + 2*quietZone)
	b := make([]byte, 0, 8<<10)
	b = append(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `+side+` `+side+`" shape-rendering="crispEdges">`...)
	b = append(b, `<path fill="#fff" d="M0 0h`+side+`v`+side+`H0z"/><path fill="#000" d="`...)
	pen := svgPen{b: b}
	draw(dark, &pen)
	return append(pen.b, `"/></svg>`...), nil
}

// Draw draws text as a QR code with a pen, and says how many modules wide it is with its quiet zone. What is enclosed clockwise is dark, and what is
// enclosed counter-clockwise within it is light: the non-zero rule fills the symbol.
//
// The code is qr_text (empty, or over MaxText bytes).
func Draw(text string, pen Pen) (side int, err error) {
	dark, err := encode(text)
	if err != nil {
		return 0, err
	}
	draw(dark, pen)
	return len(dark) + 2*quietZone, nil
}
