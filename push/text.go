package push

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// languages lists the languages in which an alert has both a title and a body, in a fixed order.
func languages(a Alert) []string {
	var keys []string
	for k, title := range a.Title {
		if strings.TrimSpace(title) != "" && strings.TrimSpace(a.Body[k]) != "" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// choose picks from keys the language for a device: its own tag, its own language in another form, then Chinese before
// English for those who read Chinese or did not say, and English before Chinese for everybody else. Keys must not be empty.
func choose(lang string, keys []string) string {
	lang = strings.ReplaceAll(lang, "_", "-")
	wanted := [4]string{lang, base(lang), "en", "zh"}
	if own := base(lang); own == "zh" || own == "" {
		wanted[2], wanted[3] = "zh", "en"
	}
	for _, w := range wanted {
		for _, k := range keys {
			if strings.EqualFold(k, w) {
				return k
			}
		}
		for _, k := range keys {
			if w != "" && base(k) == strings.ToLower(w) {
				return k
			}
		}
	}
	return keys[0]
}

// base is the primary language subtag, in lower case.
func base(tag string) string {
	b, _, _ := strings.Cut(tag, "-")
	return strings.ToLower(b)
}

// cut shortens s to at most maxChars characters and maxBytes bytes of JSON text, whichever is less, ending it with an ellipsis
// if anything was left out. A character is a grapheme cluster (UAX #29): no rune, combining sequence, emoji sequence or flag
// is split. Bytes that are not UTF-8 are replaced.
func cut(s string, maxChars, maxBytes int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxChars && jsonLen(s) <= maxBytes { // as many characters as bytes at most
		return s
	}
	var (
		chars, size int // consumed so far
		end         int // where to cut so that the ellipsis still fits
	)
	for g := uniseg.NewGraphemes(s); g.Next(); {
		chars++
		size += jsonLen(g.Str())
		if chars > maxChars || size > maxBytes {
			if len(ellipsis) > maxBytes {
				return ""
			}
			return strings.TrimRight(s[:end], " \t\r\n\u3000") + ellipsis
		}
		if chars < maxChars && size+len(ellipsis) <= maxBytes {
			_, end = g.Positions()
		}
	}
	return s
}

// jsonLen is the length of s inside a JSON string as encoding/json writes it.
func jsonLen(s string) int {
	if plain(s) {
		return len(s)
	}
	return len(appendJSON(nil, s)) - len(`""`)
}

// plain reports whether encoding/json writes valid UTF-8 as it is. 0xE2 begins U+2028 and U+2029, which it escapes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == 0x7F || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0xE2 {
			return false
		}
	}
	return true
}

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	if plain(s) && utf8.ValidString(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	q, err := json.Marshal(s)
	if err != nil { // cannot happen for a string
		return append(b, `""`...)
	}
	return append(b, q...)
}
