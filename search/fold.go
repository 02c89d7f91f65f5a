package search

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

//go:generate go run ./internal/foldgen -out foldtable.go

// variants is the table of variant forms, built at the first Han character: 4,400 entries, 0.3 ms.
var variants = sync.OnceValue(func() map[rune]rune {
	m := make(map[rune]rune, len(variantForms)/3)
	to := mainForms
	for _, from := range variantForms {
		r, n := utf8.DecodeRuneInString(to)
		m[from], to = r, to[n:]
	}
	return m
})

// letters are Latin letters that Unicode does not decompose but that people type without.
var letters = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th", 'ł': "l", 'ħ': "h", 'ı': "i", 'ŋ': "n",
}

// Fold gives the form of a text in which two spellings that a reader takes for the same are equal: compatibility forms and full width
// become plain, letters lower case and without diacritics (Latin, Greek, Cyrillic), Chinese characters their usual simplified form
// whatever script, region or Japanese reform wrote them. It is idempotent, keeps spaces and punctuation, and is
// for comparing and indexing, never for showing: some words that differ become equal (画, 划).
func Fold(s string) string {
	if isFolded(s) {
		return s
	}
	s = norm.NFKC.String(strings.ToValidUTF8(s, "\uFFFD"))
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		foldRune(&b, r)
	}
	// Marks that were dropped may leave neighbours that compose.
	return norm.NFC.String(b.String())
}

// isFolded is true for most of what is folded: lower-case ASCII.
func isFolded(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] >= 'A' && s[i] <= 'Z' {
			return false
		}
	}
	return true
}

func foldRune(b *strings.Builder, r rune) {
	switch {
	case r < utf8.RuneSelf:
		b.WriteRune(unicode.ToLower(r))
	case unicode.Is(unicode.Han, r):
		if to, ok := variants()[r]; ok {
			r = to
		}
		b.WriteRune(r)
	case isDiacritic(r):
	case unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic):
		for _, d := range norm.NFKD.String(string(r)) {
			foldLetter(b, d)
		}
	default:
		b.WriteRune(r)
	}
}

func foldLetter(b *strings.Builder, r rune) {
	if isDiacritic(r) {
		return
	}
	r = unicode.ToLower(r)
	if s, ok := letters[r]; ok {
		b.WriteString(s)
		return
	}
	b.WriteRune(r)
}

// isDiacritic is true for the combining marks of European scripts; those of others (the voicing mark of kana, the vowels of
// Indic scripts) tell words apart.
func isDiacritic(r rune) bool { return r >= 0x300 && r <= 0x36F }

// FoldCode gives the form in which codes are compared: folded, letters and digits only, and a number of eight or more digits without
// leading zeros, so that GTIN-8, 12, 13 and 14 of one item are equal.
func FoldCode(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, Fold(s))
	return trimNumber(s)
}

func trimNumber(s string) string {
	if len(s) < 8 {
		return s
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return s
		}
	}
	if t := strings.TrimLeft(s, "0"); t != "" {
		return t
	}
	return "0"
}
