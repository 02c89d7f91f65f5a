package meilitest

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const (
	maxWords    = 10 // of a query; Meilisearch drops what follows
	maxDistance = 8  // between neighbours
)

// tokens splits at everything but letters and digits.
func tokens(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}

// match says how a document holds the words of a query. The smaller the better, but for words and exact.
type match struct {
	words, typos, distance, attribute, exact int
}

// score nests the ranks as Meilisearch does, so that the first rule decides between whole parts of the range: with k of n words found, it
// is above (k-1)/n and at most k/n.
func (m match) score(n int) float64 {
	if n == 0 {
		return 1
	}
	rank, most := m.words, n
	for _, r := range [][2]int{
		{2*n - m.typos, 2 * n}, {maxDistance*n - m.distance, maxDistance * n}, {100 - min(m.attribute, 99), 100}, {m.exact, n},
	} {
		rank = (rank-1)*r[1] + max(r[0], 1)
		most *= r[1]
	}
	return float64(rank) / float64(most)
}

// place is where a document holds a word.
type place struct{ attribute, position int }

// matcher matches one query against the documents of one search.
type matcher struct {
	ix       *index
	words    []string
	prefix   bool // the last word may go on
	strategy string

	held []map[string][]place // by document: where each word is
	kept [][]int              // the sets of words that are enough, largest first
}

func (m *matcher) read(docs []document) {
	m.held = make([]map[string][]place, len(docs))
	for i, d := range docs {
		m.held[i] = m.ix.placesOf(d)
	}
	all := make([]int, len(m.words))
	for i := range all {
		all[i] = i
	}
	m.kept = [][]int{all}
	if m.strategy == "all" {
		return
	}
	drop := slices.Clone(all)
	if m.strategy == "frequency" {
		slices.SortStableFunc(drop, func(a, b int) int { return m.frequency(a) - m.frequency(b) })
	}
	for n := len(drop) - 1; n > 0; n-- {
		if m.strategy == "frequency" && m.frequency(drop[n]) == m.frequency(drop[n-1]) {
			continue // words of one frequency are dropped together
		}
		m.kept = append(m.kept, slices.Sorted(slices.Values(drop[:n])))
	}
}

// frequency counts the documents that hold a word exactly.
func (m *matcher) frequency(word int) int {
	n := 0
	for _, h := range m.held {
		if len(h[m.words[word]]) > 0 {
			n++
		}
	}
	return n
}

// placesOf remembers places.
func (ix *index) placesOf(d document) map[string][]place {
	id := fmt.Sprint(d[ix.primaryKey])
	p, ok := ix.words[id]
	if !ok {
		p = ix.places(d)
		ix.words[id] = p
	}
	return p
}

// places finds the words of a document. The elements of an array are far apart.
func (ix *index) places(d document) map[string][]place {
	out := map[string][]place{}
	names := ix.settings.SearchableAttributes
	if slices.Contains(names, "*") {
		names = nil
		for name := range d {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	for a, name := range names {
		at := 0
		for _, v := range valuesOf(d[name]) {
			for _, w := range tokens(fmt.Sprint(v)) {
				out[w] = append(out[w], place{a, at})
				at++
			}
			at += maxDistance
		}
	}
	return out
}

// how says how one word, or several written as one, is held.
type how struct {
	places []place
	typos  int
	span   int // words of the query that it stands for
}

func (m *matcher) match(doc int) (match, bool) {
	if len(m.words) == 0 {
		return match{}, true
	}
	got := make([]*how, len(m.words))
	for i := range m.words {
		m.single(doc, i, got)
	}
	for i := range m.words {
		m.joined(doc, i, got)
	}
	for _, set := range m.kept {
		if !slices.ContainsFunc(set, func(i int) bool { return got[i] == nil }) {
			return m.judge(set, got), true
		}
	}
	return match{}, false
}

// single looks for word i: as it is, as a beginning, with typing errors.
func (m *matcher) single(doc, i int, got []*how) {
	w := m.words[i]
	last := m.prefix && i == len(m.words)-1
	for have, places := range m.held[doc] {
		typos := 0
		if have != w && (!last || !strings.HasPrefix(have, w)) {
			typos = m.ix.typos(w, have)
		}
		if typos < 0 {
			continue
		}
		if typos > 0 {
			places = m.ix.tolerant(places)
		}
		if len(places) > 0 && (got[i] == nil || typos < got[i].typos || typos == got[i].typos && have == w) {
			got[i] = &how{places: places, typos: typos, span: 1}
		}
	}
}

// joined looks for two or three neighbouring words written as one.
func (m *matcher) joined(doc, i int, got []*how) {
	for n := 2; n <= 3 && i+n <= len(m.words); n++ {
		places := m.held[doc][strings.Join(m.words[i:i+n], "")]
		if len(places) == 0 {
			continue
		}
		for j := i; j < i+n; j++ {
			if got[j] == nil {
				got[j] = &how{places: places, typos: 1, span: n}
			}
		}
	}
}

func (m *matcher) judge(set []int, got []*how) match {
	out := match{words: len(set), attribute: 1000}
	for n, i := range set {
		h := got[i]
		out.typos += h.typos
		if h.typos == 0 {
			out.exact++
		}
		for _, p := range h.places {
			out.attribute = min(out.attribute, p.attribute)
		}
		if n > 0 && h.span == 1 {
			out.distance += distance(got[set[n-1]].places, h.places) - 1
		}
	}
	return out
}

// distance is the smallest between two words in one attribute.
func distance(from, to []place) int {
	best := maxDistance
	for _, a := range from {
		for _, b := range to {
			if a.attribute == b.attribute && b.position > a.position {
				best = min(best, b.position-a.position)
			}
		}
	}
	return best
}

// typos gives the number of typing errors between a word of the query and one of a document; -1: too many.
func (ix *index) typos(w, have string) int {
	t := ix.settings.TypoTolerance
	if !t.Enabled || slices.Contains(t.DisableOnWords, w) {
		return -1
	}
	if t.DisableOnNumbers && strings.ContainsFunc(w, unicode.IsDigit) {
		return -1
	}
	allowed := 0
	switch n := len([]rune(w)); {
	case n >= t.MinWordSizeForTypos.TwoTypos:
		allowed = 2
	case n >= t.MinWordSizeForTypos.OneTypo:
		allowed = 1
	}
	if d := levenshtein([]rune(w), []rune(have), allowed); d <= allowed && d > 0 {
		return d
	}
	return -1
}

// tolerant gives the places in attributes where typing errors are forgiven.
func (ix *index) tolerant(places []place) []place {
	return slices.DeleteFunc(slices.Clone(places), func(p place) bool {
		names := ix.settings.SearchableAttributes
		return p.attribute < len(names) && slices.Contains(ix.settings.TypoTolerance.DisableOnAttributes, names[p.attribute])
	})
}

// levenshtein gives the edit distance, or anything above most.
func levenshtein(a, b []rune, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
