package meilitest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// query is the body of a search.
type query struct {
	Q                     string          `json:"q"`
	Offset                int             `json:"offset"`
	Limit                 *int            `json:"limit"`
	AttributesToRetrieve  []string        `json:"attributesToRetrieve"`
	MatchingStrategy      string          `json:"matchingStrategy"`
	Filter                string          `json:"filter"`
	Sort                  []string        `json:"sort"`
	ShowRankingScore      bool            `json:"showRankingScore"`
	RankingScoreThreshold float64         `json:"rankingScoreThreshold"`
	Locales               []string        `json:"locales"`
	Hybrid                json.RawMessage `json:"hybrid"` // only null
}

const defaultLimit = 20

func (s *Server) search(r *http.Request) (int, any, *apiError) {
	var q query
	if err := decode(r, &q); err != nil {
		return 0, nil, err
	}
	ix, err := s.lookup(r)
	if err != nil {
		return 0, nil, err
	}
	found, err := ix.run(q)
	if err != nil {
		return 0, nil, err
	}
	limit, total := defaultLimit, len(found)
	if q.Limit != nil {
		limit = *q.Limit
	}
	hits := []document{}
	for _, m := range found[min(q.Offset, total):min(q.Offset+limit, total)] {
		hit := pick(m.doc, q.AttributesToRetrieve)
		if q.ShowRankingScore {
			hit["_rankingScore"] = m.score
		}
		hits = append(hits, hit)
	}
	return http.StatusOK, map[string]any{
		"hits": hits, "query": q.Q, "offset": q.Offset, "limit": limit, "estimatedTotalHits": total, "processingTimeMs": 0,
	}, nil
}

// run finds what one query finds, best first, up to the index's maxTotalHits.
func (ix *index) run(q query) ([]ranked, *apiError) {
	if q.MatchingStrategy == "" {
		q.MatchingStrategy = "last"
	}
	if err := ix.check(q); err != nil {
		return nil, err
	}
	keep, err := ix.filter(q.Filter, "invalid_search_filter")
	if err != nil {
		return nil, err
	}
	var docs []document
	for _, id := range slices.Sorted(maps.Keys(ix.docs)) {
		if keep(ix.docs[id]) {
			docs = append(docs, ix.docs[id])
		}
	}
	found := ix.rank(docs, q)
	found = slices.DeleteFunc(found, func(m ranked) bool { return m.score < q.RankingScoreThreshold })
	found = ix.distinct(found)
	if p := ix.settings.Pagination; p != nil {
		found = found[:min(len(found), p.MaxTotalHits)]
	}
	return found, nil
}

func (ix *index) check(q query) *apiError {
	switch {
	case q.MatchingStrategy != "last" && q.MatchingStrategy != "all" && q.MatchingStrategy != "frequency":
		return badRequest("invalid_search_matching_strategy", "Unknown value `"+q.MatchingStrategy+"` at `.matchingStrategy`.")
	case q.RankingScoreThreshold < 0 || q.RankingScoreThreshold > 1:
		return badRequest("invalid_search_ranking_score_threshold", "The value of `rankingScoreThreshold` must be between 0 and 1.")
	case q.Limit != nil && *q.Limit < 0 || q.Offset < 0:
		return badRequest("invalid_search_limit", "A limit or offset is negative.")
	case q.Hybrid != nil && string(q.Hybrid) != "null":
		return badRequest("invalid_search_hybrid", "The fake has no embedders.")
	}
	for _, l := range q.Locales {
		if len(l) != 3 {
			return badRequest("invalid_search_locales", "Unknown value `"+l+"` at `.locales`.")
		}
	}
	for _, s := range q.Sort {
		name, direction, ok := strings.Cut(s, ":")
		if !ok || direction != "asc" && direction != "desc" || !slices.Contains(ix.settings.SortableAttributes, name) {
			return badRequest("invalid_search_sort", "Attribute `"+name+"` is not sortable.")
		}
	}
	return nil
}

// distinct keeps the best document of each value of the distinct attribute.
func (ix *index) distinct(found []ranked) []ranked {
	if ix.settings.DistinctAttribute == nil {
		return found
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(m ranked) bool {
		v := fmt.Sprint(m.doc[*ix.settings.DistinctAttribute])
		if seen[v] {
			return true
		}
		seen[v] = true
		return false
	})
}

// ranked is a document that a query finds.
type ranked struct {
	doc   document
	match match
	score float64
}

// rank finds and orders documents by the index's ranking rules.
func (ix *index) rank(docs []document, q query) []ranked {
	words := tokens(q.Q)
	words = words[:min(len(words), maxWords)]
	m := matcher{ix: ix, words: words, prefix: q.Q != "" && strings.TrimRight(q.Q, " ") == q.Q, strategy: q.MatchingStrategy}
	m.read(docs)
	var found []ranked
	for i, d := range docs {
		if got, ok := m.match(i); ok {
			found = append(found, ranked{doc: d, match: got, score: got.score(len(words))})
		}
	}
	slices.SortStableFunc(found, func(a, b ranked) int {
		for _, rule := range ix.settings.RankingRules {
			if c := compareBy(rule, a, b, q.Sort); c != 0 {
				return c
			}
		}
		return 0
	})
	return found
}

func compareBy(rule string, a, b ranked, sort []string) int {
	switch rule {
	case "words":
		return b.match.words - a.match.words
	case "typo":
		return a.match.typos - b.match.typos
	case "proximity":
		return a.match.distance - b.match.distance
	case "attribute":
		return a.match.attribute - b.match.attribute
	case "exactness":
		return b.match.exact - a.match.exact
	case "sort":
		for _, s := range sort {
			if c := compareAttribute(s, a.doc, b.doc); c != 0 {
				return c
			}
		}
		return 0
	}
	return compareAttribute(rule, a.doc, b.doc)
}

// compareAttribute orders by "name:asc" or "name:desc", numbers only.
func compareAttribute(by string, a, b document) int {
	name, direction, _ := strings.Cut(by, ":")
	c := cmp.Compare(numberOf(a[name]), numberOf(b[name]))
	if direction == "desc" {
		return -c
	}
	return c
}

func numberOf(v any) float64 {
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	f, err := n.Float64()
	if err != nil {
		return 0
	}
	return f
}
