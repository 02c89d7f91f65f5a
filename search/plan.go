package search

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Plan is a query as engines run it.
type Plan struct {
	// Units are the words and Chinese characters looked for, none twice, in the order typed. A document is found when it holds at least Need
	// of them, or one of Codes. No Units and no Codes: every document is found, unless Nothing is set.
	Units []string
	Need  int
	Codes []string
	Pairs []string // neighbouring characters, which only raise the rank

	// Prefix says that the last unit may be the beginning of a word: the person may still be typing it.
	Prefix  bool
	Nothing bool // the text has no word in it: nothing is found

	Kinds    []string
	Facets   [][]string // of every group one FacetToken
	From, To *int64     // Time in [From, To)

	Newest bool // by Time down, then Rank up; else by score down, Time down, Rank up
	Limit  int
	Offset int // by score
	After  *Position
	Total  int // of the first page, on later pages
	paged  bool
}

// Position is a place in the order of Newest.
type Position struct {
	Time, Rank int64
}

// NewPlan checks a query and reads it. A *fault.Error: kind Invalid with code search_text_too_long, invalid_search_limit or
// invalid_search_filter, or kind Malformed with code bad_cursor.
func NewPlan(q Query) (Plan, error) {
	p := Plan{Limit: q.Limit, Kinds: slices.Clone(q.Kinds)}
	if p.Limit == 0 {
		p.Limit = DefaultLimit
	}
	switch {
	case p.Limit < 1 || p.Limit > MaxLimit:
		return p, fault.New(fault.Invalid, "invalid_search_limit", "a page has 1 to %d hits", MaxLimit)
	case utf8.RuneCountInString(q.Text) > MaxQuery:
		return p, fault.New(fault.Invalid, "search_text_too_long", "a search has at most %d characters", MaxQuery)
	case q.Sort != Relevance && q.Sort != Newest:
		return p, fault.New(fault.Invalid, "invalid_search_filter", "an unknown order")
	}
	if err := p.filter(q); err != nil {
		return p, err
	}
	p.read(q.Text)
	p.Newest = q.Sort == Newest || len(p.Units) == 0
	if p.Newest {
		p.Need = len(p.Units)
	}
	return p, p.resume(q.Cursor)
}

func (p *Plan) filter(q Query) error {
	if len(q.Kinds) > maxFacets || len(q.Facets) > maxFacets {
		return fault.New(fault.Invalid, "invalid_search_filter", "a search has at most %d kinds and %d facets", maxFacets, maxFacets)
	}
	for _, k := range q.Kinds {
		if !isName(k) {
			return fault.New(fault.Invalid, "invalid_search_filter", "a kind is not a name")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.Facets)) {
		values := q.Facets[name]
		if !isName(name) || len(values) > maxFacetValues {
			return fault.New(fault.Invalid, "invalid_search_filter", "a facet must be a name with at most %d values", maxFacetValues)
		}
		var group []string
		for _, v := range values {
			group = append(group, FacetToken(name, v))
		}
		if len(group) > 0 {
			p.Facets = append(p.Facets, group)
		}
	}
	if !q.From.IsZero() {
		t := q.From.UnixMilli()
		p.From = &t
	}
	if !q.To.IsZero() {
		t := q.To.UnixMilli()
		p.To = &t
	}
	return nil
}

// read takes the text apart.
func (p *Plan) read(text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	ts := scan(text, MaxQuery)
	ts = ts[:min(len(ts), MaxUnits)]
	if len(ts) == 0 {
		p.Nothing = true
		return
	}
	p.Pairs = dedupe(pairs(ts))
	chars, words := p.choose(ts)
	p.Need = need(chars, words)
	last, _ := utf8.DecodeLastRuneInString(text)
	p.Prefix = !ts[len(ts)-1].ideo && (unicode.IsLetter(last) || unicode.IsDigit(last)) &&
		p.Units[len(p.Units)-1] == ts[len(ts)-1].text
	p.Codes = codes(text)
}

// choose fills Units and counts them: characters and words.
func (p *Plan) choose(ts []token) (chars, words int) {
	meant := slices.DeleteFunc(slices.Clone(ts), func(t token) bool { return fillers[t.text] })
	if len(meant) == 0 {
		meant = ts
	}
	seen := make(map[string]bool, len(meant))
	for _, t := range meant {
		if seen[t.text] {
			continue
		}
		seen[t.text] = true
		p.Units = append(p.Units, t.text)
		if t.ideo {
			chars++
		} else {
			words++
		}
	}
	return chars, words
}

// need is how many units a document must hold. A Chinese character says little by itself, so three quarters are wanted: both of 香水, three
// of 婴儿奶粉 (婴幼儿配方乳粉 has three). A word says more, so half will do: 'Blinds Shades Cords' finds blinds with cords. A text of
// both is often one thing named twice (SK-II 神仙水), so one less will do.
func need(chars, words int) int {
	n := chars - chars/4 + words - words/2
	if chars > 0 && words > 0 {
		n--
	}
	return n
}

// codes gives what in the text may be a code: the whole of it, each part between spaces, and each long number.
func codes(text string) []string {
	out := []string{FoldCode(text)}
	for part := range strings.FieldsSeq(text) {
		out = append(out, FoldCode(part))
	}
	for _, digits := range strings.FieldsFunc(Fold(text), func(r rune) bool { return r < '0' || r > '9' }) {
		if len(digits) >= 8 {
			out = append(out, trimNumber(digits))
		}
	}
	out = slices.DeleteFunc(out, func(c string) bool { return len(c) < 2 })
	out = dedupe(out)
	return out[:min(len(out), MaxUnits)]
}

func dedupe(ss []string) []string {
	seen := make(map[string]bool, len(ss))
	return slices.DeleteFunc(ss, func(s string) bool {
		if seen[s] {
			return true
		}
		seen[s] = true
		return false
	})
}
