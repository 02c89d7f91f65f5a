package search

import (
	"strings"
	"unicode"
)

// token is a word of an alphabetic script, or one character of Chinese, Japanese or Korean.
type token struct {
	text  string
	ideo  bool // one character
	glued bool // an ideo that directly follows another
}

// maxWord is the longest word, in characters; what follows is cut off.
const maxWord = 64

// scan splits a text into tokens, after Fold. At most limit characters are read.
func scan(s string, limit int) []token {
	sc := scanner{}
	n := 0
	for _, r := range Fold(s) {
		if n++; n > limit {
			break
		}
		sc.next(r)
	}
	sc.flush()
	return sc.out
}

type scanner struct {
	out    []token
	word   []rune
	inIdeo bool
}

func (sc *scanner) next(r rune) {
	switch {
	case isIdeo(r):
		sc.flush()
		sc.out = append(sc.out, token{text: string(r), ideo: true, glued: sc.inIdeo})
		sc.inIdeo = true
	case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
		sc.inIdeo = false
		if len(sc.word) < maxWord {
			sc.word = append(sc.word, r)
		}
	case (r == '\'' || r == '’') && len(sc.word) > 0: // children's, L'Oréal
	default:
		sc.flush()
		sc.inIdeo = false
	}
}

func (sc *scanner) flush() {
	if len(sc.word) > 0 {
		sc.out = append(sc.out, token{text: stem(trimNumber(string(sc.word)))})
		sc.word = sc.word[:0]
	}
}

func isIdeo(r rune) bool {
	return r >= 0x1100 && (r == 'ー' || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul))
}

// stem removes the English plural by Harman's rules, the first that applies (D. Harman, How effective is suffixing?, 1991), and one more
// for watches, brushes and boxes. A stronger stemmer joins brand names that differ.
func stem(w string) string {
	if len(w) < 4 || w[len(w)-1] != 's' {
		return w
	}
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return w
		}
	}
	switch {
	case strings.HasSuffix(w, "ies"):
		if !hasAnySuffix(w, "eies", "aies") {
			return w[:len(w)-3] + "y"
		}
	case hasAnySuffix(w, "sses", "ches", "shes", "xes"):
		return w[:len(w)-2]
	case strings.HasSuffix(w, "es"):
		if !hasAnySuffix(w, "aes", "ees", "oes") {
			return w[:len(w)-1]
		}
	case !hasAnySuffix(w, "us", "ss"):
		return w[:len(w)-1]
	}
	return w
}

func hasAnySuffix(s string, suffixes ...string) bool {
	for _, x := range suffixes {
		if strings.HasSuffix(s, x) {
			return true
		}
	}
	return false
}

// texts gives the tokens as strings.
func texts(ts []token) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.text
	}
	return out
}

// pairs gives the pairs of neighbouring characters (婴儿配方: 婴儿, 儿配, 配方), which tell words from chance characters.
func pairs(ts []token) []string {
	var out []string
	for i, t := range ts {
		if t.glued {
			out = append(out, ts[i-1].text+t.text)
		}
	}
	return out
}

// fillers carry no meaning in a question; they do not count unless the query has nothing else.
var fillers = map[string]bool{
	"a": true, "an": true, "and": true, "are": true, "for": true, "from": true, "in": true, "is": true, "of": true, "on": true,
	"or": true, "the": true, "this": true, "to": true, "with": true, "的": true, "了": true, "吗": true, "呢": true,
}
