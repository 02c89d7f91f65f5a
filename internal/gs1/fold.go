package gs1

import (
	"strings"
	"unicode"
)

// FoldLot folds a lot as people type it from a tin, so that two readings of one print are equal: full-width forms, case,
// spaces, separators and other punctuation, and the letter O against zero. Different lots may fold alike: a match by FoldLot
// is a question to the shopper, never a proof. It is idempotent. Of longer
// input the first 2,048 bytes count. A lot of nothing but separators folds to "".
func FoldLot(s string) string {
	if len(s) > maxInput {
		s = s[:maxInput]
	}
	return strings.Map(func(r rune) rune {
		r = unicode.ToUpper(narrow(r))
		switch {
		case r == 'O':
			return '0'
		case r == unicode.ReplacementChar || !unicode.IsLetter(r) && !unicode.IsDigit(r):
			return -1
		}
		return r
	}, s)
}
