package bleve

import (
	"context"
	"errors"

	blevesearch "github.com/blevesearch/bleve/v2"
	blevehit "github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/haisu-trace/haisu/search"
)

// Weights of a match, relative to one of a word somewhere in the document. On the recalls of searchtest, title weights from 0.7 to 3 differ by
// less than 0.003 in precision.
const (
	boostTitle = 1.5  // the word is in the title
	boostPair  = 1.0  // two characters are neighbours
	boostCode  = 10.0 // a code is exactly what was typed
	boostStart = 0.3  // the word only begins like it
	boostTypo  = 0.2  // the word is one letter off
)

// Typing errors and unfinished words are looked for only in words long enough that few others are meant.
const (
	minTypo   = 5 // letters
	minPrefix = 3
)

// Search gives a page.
func (ix *Index) Search(ctx context.Context, q search.Query) (search.Result, error) {
	p, err := search.NewPlan(q)
	if err != nil {
		return search.Result{}, err
	}
	g := ix.acquire()
	if g == nil {
		return search.Result{}, ix.notReady()
	}
	if p.Nothing {
		g.use.RUnlock()
		return search.Result{}, nil
	}
	var res *blevesearch.SearchResult
	err = protect(func() error {
		var err error
		res, err = g.idx.SearchInContext(ctx, request(p))
		return err
	})
	g.use.RUnlock()
	if errors.Is(err, errDamaged) {
		ix.fail(g, err)
	}
	if err != nil {
		return search.Result{}, search.Unavailable(err)
	}
	return page(p, res), nil
}

// acquire gives the live generation, which the caller must release by use.RUnlock; nil: there is none.
func (ix *Index) acquire() *generation {
	for {
		g := ix.live.Load()
		if g == nil {
			return nil
		}
		g.use.RLock()
		if !g.closed {
			return g
		}
		// A rebuild put another in its place meanwhile.
		g.use.RUnlock()
	}
}

func page(p search.Plan, res *blevesearch.SearchResult) search.Result {
	hits := make([]search.Hit, len(res.Hits))
	for i, h := range res.Hits {
		kind, _ := h.Fields[fieldKind].(string)
		hits[i] = search.Hit{ID: h.ID, Kind: kind}
		if !p.Newest {
			hits[i].Score = h.Score
		}
	}
	at := func(i int) search.Position {
		return search.Position{Time: number(res.Hits[i], fieldTime), Rank: number(res.Hits[i], fieldRank)}
	}
	return p.Page(hits, at, int(res.Total))
}

func number(h *blevehit.DocumentMatch, field string) int64 {
	n, _ := h.Fields[field].(float64)
	return int64(n)
}

// request makes Bleve's request of a plan. It is pure.
func request(p search.Plan) *blevesearch.SearchRequest {
	req := blevesearch.NewSearchRequestOptions(where(p), p.Limit+1, p.Offset, false)
	req.Fields = []string{fieldKind, fieldTime, fieldRank}
	if p.Newest {
		req.Score = "none"
		req.SortBy([]string{"-" + fieldTime, fieldRank})
	} else {
		req.SortBy([]string{"-_score", "-" + fieldTime, fieldRank})
	}
	return req
}

func where(p search.Plan) query.Query {
	must := filters(p)
	if len(p.Units) > 0 {
		must = append(must, match(p))
	}
	if len(must) == 0 {
		return query.NewMatchAllQuery()
	}
	var should []query.Query
	if !p.Newest {
		should = preferences(p)
	}
	return query.NewBooleanQuery(must, should, nil)
}

// match finds documents with enough of the units, or one of the codes.
func match(p search.Plan) query.Query {
	units := make([]query.Query, len(p.Units))
	for i, u := range p.Units {
		units[i] = unit(u, p.Prefix && i == len(p.Units)-1)
	}
	enough := query.NewDisjunctionQuery(units)
	enough.SetMin(float64(p.Need))
	ways := []query.Query{enough}
	for _, c := range p.Codes {
		ways = append(ways, term(fieldCode, c, boostCode))
	}
	return query.NewDisjunctionQuery(ways)
}

func unit(u string, unfinished bool) query.Query {
	ways := []query.Query{term(fieldAll, u, 1)}
	if unfinished && len(u) >= minPrefix {
		q := query.NewPrefixQuery(u)
		q.SetField(fieldAll)
		q.SetBoost(boostStart)
		ways = append(ways, q)
	}
	if len(u) >= minTypo && isLetters(u) {
		q := query.NewFuzzyQuery(u)
		q.SetField(fieldAll)
		q.SetPrefix(1)
		q.SetBoost(boostTypo)
		ways = append(ways, q)
	}
	if len(ways) == 1 {
		return ways[0]
	}
	return query.NewDisjunctionQuery(ways)
}

func isLetters(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// preferences find nothing by themselves: every one is about a unit that counts for match too.
func preferences(p search.Plan) []query.Query {
	var out []query.Query
	for _, u := range p.Units {
		out = append(out, term(fieldTitle, u, boostTitle))
	}
	for _, pair := range p.Pairs {
		out = append(out, term(fieldAll, pair, boostPair), term(fieldTitle, pair, boostPair*boostTitle))
	}
	return out
}

// filters must hold and have no part in the score.
func filters(p search.Plan) []query.Query {
	var out []query.Query
	if len(p.Kinds) > 0 {
		out = append(out, anyOf(fieldKind, p.Kinds))
	}
	for _, group := range p.Facets {
		out = append(out, anyOf(fieldFacet, group))
	}
	if p.From != nil || p.To != nil {
		out = append(out, between(fieldTime, p.From, p.To))
	}
	if p.After != nil {
		t, after := p.After.Time, p.After.Rank+1
		next := t + 1
		same := query.NewConjunctionQuery([]query.Query{between(fieldTime, &t, &next), between(fieldRank, &after, nil)})
		same.SetBoost(0)
		out = append(out, query.NewDisjunctionQuery([]query.Query{between(fieldTime, nil, &t), same}))
	}
	return out
}

func anyOf(field string, values []string) query.Query {
	terms := make([]query.Query, len(values))
	for i, v := range values {
		terms[i] = term(field, v, 0)
	}
	return query.NewDisjunctionQuery(terms)
}

func term(field, text string, boost float64) query.Query {
	q := query.NewTermQuery(text)
	q.SetField(field)
	q.SetBoost(boost)
	return q
}

// between is from ≤ field < to, for integers; nil is open.
func between(field string, from, to *int64) query.Query {
	yes, no := true, false
	q := query.NewNumericRangeInclusiveQuery(asFloat(from), asFloat(to), &yes, &no)
	q.SetField(field)
	q.SetBoost(0)
	return q
}

func asFloat(n *int64) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}
