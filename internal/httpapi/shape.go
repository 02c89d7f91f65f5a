package httpapi

import (
	"net/http"
)

// The bounds of a JSON text, which hold before it is decoded: decoding takes memory and time by the number of values, not by the size of the text,
// and walks recursively.
const (
	maxDepth = 32
	// bytesPerValue is how many bytes of the allowed size stand for one allowed value. Nothing that the contract describes has more
	// values for its size; a list of zeros has eight times as many.
	bytesPerValue = 16
)

// checkShape bounds the depth and the number of values of a JSON text of an operation that takes maxBody bytes. It reads the text once and needs
// no memory. It does not say whether the text is JSON: for one that is not it stops somewhere, and the decoder says so.
func checkShape(body []byte, maxBody int) error {
	depth, values, most := 0, 0, maxBody/bytesPerValue
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			if i = stringEnd(body, i); i < 0 {
				return nil
			}
		case '{', '[':
			values++
			if depth++; depth > maxDepth {
				return errShape("nested more than %d levels deep", maxDepth)
			}
		case '}', ']':
			depth--
		case ',':
			if values++; values > most {
				return errShape("made of more than %d values", most)
			}
		}
	}
	return nil
}

// stringEnd gives the index of the quote that ends the string that begins at i; -1 if there is none.
func stringEnd(body []byte, i int) int {
	for i++; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

func errShape(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "json_too_complex", "the JSON text is "+format, args...)
}
