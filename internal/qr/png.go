package qr

import (
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
)

// appendPNG writes the modules, scale pixels wide each, in the middle of a white square of size pixels, as a PNG (ISO/IEC 15948) of
// one bit a pixel.
//
// An encoder for any picture spends more time than the symbol itself takes. This one knows the picture: rows of pixels repeat, and within a row
// so do bytes. It says so in the words of DEFLATE without looking for it.
func appendPNG(b []byte, dark modules, size, scale int) []byte {
	b = append(b, "\x89PNG\r\n\x1a\n"...)
	header := binary.BigEndian.AppendUint32(make([]byte, 0, 13), uint32(size))
	header = binary.BigEndian.AppendUint32(header, uint32(size))
	b = appendChunk(b, "IHDR", append(header, 1, 0, 0, 0, 0)) // 1 bit, grey, DEFLATE, filters, not interlaced
	b = appendChunk(b, "IDAT", deflateRows(dark, size, scale))
	return appendChunk(b, "IEND", nil)
}

func appendChunk(b []byte, kind string, data []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	start := len(b)
	b = append(b, kind...)
	b = append(b, data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

// deflateRows gives the rows of pixels as a zlib stream (RFC 1950).
func deflateRows(dark modules, size, scale int) []byte {
	d := deflater{out: make([]byte, 0, 4<<10), sum: adler32.New()}
	d.out = append(d.out, 0x78, 0x01)
	d.bits(1, 1) // the last block
	d.bits(1, 2) // with the fixed codes
	margin := (size - scale*len(dark)) / 2
	row := make([]byte, 1+(size+7)/8) // the first byte says that the row is not filtered
	paintRow(row, nil, size, margin, scale)
	d.rows(row, margin)
	for _, modules := range dark {
		paintRow(row, modules, size, margin, scale)
		d.rows(row, scale)
	}
	paintRow(row, nil, size, margin, scale)
	d.rows(row, size-margin-scale*len(dark))
	return d.end()
}

// paintRow draws one row of pixels, of which a set bit is white.
func paintRow(row []byte, modules []bool, size, margin, scale int) {
	pixels := row[1:]
	for i := range pixels {
		pixels[i] = 0xFF
	}
	if rest := size % 8; rest != 0 {
		pixels[len(pixels)-1] = 0xFF << (8 - rest)
	}
	for x, isDark := range modules {
		if !isDark {
			continue
		}
		from, to := margin+x*scale, margin+(x+1)*scale
		first, last := byte(0xFF)>>(from%8), ^(byte(0xFF) >> (to % 8))
		if from/8 == to/8 {
			pixels[from/8] &^= first & last
			continue
		}
		pixels[from/8] &^= first
		clear(pixels[from/8+1 : to/8])
		if last != 0 {
			pixels[to/8] &^= last
		}
	}
}
