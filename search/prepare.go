package search

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Prepared is a document as engines index it: every text folded and split, so that no engine's own analysis takes part.
type Prepared struct {
	ID, Kind string

	Title, TitlePairs []string // tokens, in reading order, and pairs of neighbouring Chinese characters
	Body, BodyPairs   []string // the same of text and keywords
	Codes             []string // FoldCode of the keywords
	Facets            []string // FacetToken of each

	Time    int64 // UTC milliseconds
	Rank    int64 // 48 bits drawn from the ID: the order, the same on every engine, of documents of one time
	Version int64
}

const (
	maxID          = 512
	maxFacets      = 16
	maxFacetValues = 64
	maxFacetValue  = 256 // bytes, folded
)

// Prepare checks a document and makes it ready for an engine. A *fault.Error of kind Invalid, code invalid_search_document.
func Prepare(d Document) (Prepared, error) {
	switch {
	case d.ID == "" || len(d.ID) > maxID || !utf8.ValidString(d.ID):
		return Prepared{}, badDocument(d, "its ID must be 1 to %d bytes of UTF-8", maxID)
	case !isName(d.Kind):
		return Prepared{}, badDocument(d, "its kind %q is not a name", d.Kind)
	case d.Version < 0:
		return Prepared{}, badDocument(d, "its version is negative")
	case len(d.Keywords) > MaxKeywords:
		return Prepared{}, badDocument(d, "it has more than %d keywords", MaxKeywords)
	}
	p := Prepared{ID: d.ID, Kind: d.Kind, Time: d.Time.UnixMilli(), Rank: rankOf(d.ID), Version: d.Version}
	p.Title, p.TitlePairs = split(d.Title)
	p.Body, p.BodyPairs = split(d.Text)
	for _, k := range d.Keywords {
		ts := scan(k, MaxQuery)
		p.Body = append(p.Body, texts(ts)...)
		p.BodyPairs = append(p.BodyPairs, pairs(ts)...)
		if c := FoldCode(k); c != "" && len(c) <= maxFacetValue {
			p.Codes = append(p.Codes, c)
		}
	}
	slices.Sort(p.Codes)
	p.Codes = slices.Compact(p.Codes)
	var err error
	p.Facets, err = facetTokens(d)
	return p, err
}

// PrepareBatch prepares documents and keeps of each ID the highest version, the later of equal ones.
func PrepareBatch(docs []Document) ([]Prepared, error) {
	at := make(map[string]int, len(docs))
	out := make([]Prepared, 0, len(docs))
	for _, d := range docs {
		p, err := Prepare(d)
		if err != nil {
			return nil, err
		}
		i, ok := at[p.ID]
		switch {
		case !ok:
			at[p.ID] = len(out)
			out = append(out, p)
		case p.Version >= out[i].Version:
			out[i] = p
		}
	}
	return out, nil
}

func badDocument(d Document, format string, args ...any) error {
	e := fault.New(fault.Invalid, "invalid_search_document", format, args...)
	e.Detail = "document " + strings.ToValidUTF8(d.ID[:min(len(d.ID), 64)], "") + ": " + e.Detail
	return e
}

// split gives the tokens and pairs of a text in all its languages, in the order of their tags.
func split(byLang map[string]string) (words, neighbours []string) {
	left := MaxText
	for _, lang := range slices.Sorted(maps.Keys(byLang)) {
		ts := scan(byLang[lang], left)
		words = append(words, texts(ts)...)
		neighbours = append(neighbours, pairs(ts)...)
		if left -= utf8.RuneCountInString(byLang[lang]); left <= 0 {
			break
		}
	}
	return words, neighbours
}

func facetTokens(d Document) ([]string, error) {
	if len(d.Facets) > maxFacets {
		return nil, badDocument(d, "it has more than %d facets", maxFacets)
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(d.Facets)) {
		values := d.Facets[name]
		if !isName(name) || len(values) > maxFacetValues {
			return nil, badDocument(d, "its facet %q must be a name with at most %d values", name, maxFacetValues)
		}
		for _, v := range values {
			out = append(out, FacetToken(name, v))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// FacetToken is a facet and one of its values as one exact term.
func FacetToken(name, value string) string {
	v := Fold(strings.TrimSpace(value))
	for len(v) > maxFacetValue {
		_, n := utf8.DecodeLastRuneInString(v)
		v = v[:len(v)-n]
	}
	return name + "=" + v
}

// isName is [a-z][a-z0-9_]*, at most 32 bytes.
func isName(s string) bool {
	if s == "" || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// rankOf has 48 bits, because engines keep numbers as float64. Two documents of one millisecond collide once in 10¹⁴ pairs.
func rankOf(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 16)
}
