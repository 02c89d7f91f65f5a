package upload

import (
	"bytes"
	"encoding/binary"
)

// orientation gives how a JPEG is to be turned, 1 to 8; 1 where it does not say so (Exif 2.32, 4.6.4).
func orientation(b []byte) int {
	for at := 2; at+4 <= len(b) && b[at] == 0xff; {
		marker, size := b[at+1], int(binary.BigEndian.Uint16(b[at+2:]))
		if marker == 0xda || size < 2 || at+2+size > len(b) { // the picture itself begins
			return 1
		}
		body := b[at+4 : at+2+size]
		if tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); marker == 0xe1 && ok {
			return tiffOrientation(tiff)
		}
		at += 2 + size
	}
	return 1
}

// tiffOrientation reads the first directory of a TIFF header.
func tiffOrientation(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[0] == 'I' {
		order = binary.LittleEndian
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 1
	}
	entries := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 0x0112 {
			if o := int(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// scans counts the scans of a JPEG up to its end (ITU-T T.81, B.1.1 and B.2), as image/jpeg comes upon them: what is between segments and is no marker
// is passed over.
func scans(b []byte) (n int) {
	for at := 2; at+1 < len(b); {
		switch marker := b[at+1]; {
		case b[at] != 0xff || marker == 0xff:
			at++
		case marker == 0 || marker >= 0xd0 && marker <= 0xd7: // a byte of a scan, or a restart within it
			at += 2
		case marker == 0xd9 || at+4 > len(b):
			return n
		default:
			if marker == 0xda {
				n++
			}
			at += 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		}
	}
	return n
}
