package meili

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/meilisearch/meilisearch-go"

	"github.com/haisu-trace/haisu/search"
)

// maxWords is how many words of a query Meilisearch looks at.
const maxWords = 10

// hit is what a search asks for of each document.
type hit struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"`
	Time       int64  `json:"time"`
	Rank       int64  `json:"rank"`
	Federation struct {
		Score float64 `json:"weightedRankingScore"`
	} `json:"_federation"`
}

// Search gives a page.
func (ix *Index) Search(ctx context.Context, q search.Query) (search.Result, error) {
	p, err := search.NewPlan(q)
	if err != nil {
		return search.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	if p.Nothing {
		// Nothing is found where there is an index, as on every other engine.
		return search.Result{}, ix.Ready(ctx)
	}
	if p.Newest {
		return ix.list(ctx, p)
	}
	return ix.find(ctx, p)
}

// list answers by one search, newest first.
func (ix *Index) list(ctx context.Context, p search.Plan) (search.Result, error) {
	resp, err := ix.service.Index(ix.uid).SearchWithContext(ctx, "", listing(p))
	if err != nil {
		return search.Result{}, translate(err)
	}
	return page(p, resp.Hits, resp.EstimatedTotalHits)
}

// find answers by a federated search, which merges the hits of several into one list by their weighted scores.
func (ix *Index) find(ctx context.Context, p search.Plan) (search.Result, error) {
	req := &meilisearch.MultiSearchRequest{
		Federation: &meilisearch.MultiSearchFederation{Offset: int64(p.Offset), Limit: int64(p.Limit) + 1}, Queries: federation(p),
	}
	for _, q := range req.Queries {
		q.IndexUID = ix.uid
	}
	resp, err := ix.service.MultiSearchWithContext(ctx, req)
	if err != nil {
		return search.Result{}, translate(err)
	}
	return page(p, resp.Hits, resp.EstimatedTotalHits)
}

func page(p search.Plan, from meilisearch.Hits, total int64) (search.Result, error) {
	found := make([]hit, len(from))
	hits := make([]search.Hit, len(from))
	for i, h := range from {
		if err := h.DecodeInto(&found[i]); err != nil {
			return search.Result{}, search.Unavailable(err)
		}
		hits[i] = search.Hit{ID: found[i].ID, Kind: found[i].Kind, Score: found[i].Federation.Score}
	}
	at := func(i int) search.Position { return search.Position{Time: found[i].Time, Rank: found[i].Rank} }
	return p.Page(hits, at, int(total)), nil
}

var retrieved = []string{"id", attrKind, attrTime, attrRank}

// listing makes the request of a plan by Newest. It is pure.
func listing(p search.Plan) *meilisearch.SearchRequest {
	req := question(p, p.Units[:min(len(p.Units), maxWords)], 0)
	req.Limit = int64(p.Limit) + 1
	req.Sort = []string{attrTime + ":desc", attrRank + ":asc"}
	return req
}

// Weights of the searches of a federation. A score is at most 1, so what carries the very code that was typed comes first.
const (
	weightCode = 2.0
	weightRest = 0.5
)

// federation makes the requests of a plan by score. It is pure.
//
// Meilisearch cannot ask for 'three of these four': its strategies drop words in one order, from the end or the most frequent first. So there is a
// search for all the words, and one for each set that is still enough. One that holds m of n words has the weight (m/n)²: as its own
// hits score above (m-1)/m, those of a larger set always come before those of a smaller one. Of a long text not all sets
// are asked for; dropping words by frequency stands in for the rest.
func federation(p search.Plan) []*meilisearch.SearchRequest {
	units := p.Units[:min(len(p.Units), maxWords)]
	n := len(units)
	need := min(p.Need, n)
	var out []*meilisearch.SearchRequest
	if len(p.Codes) > 0 {
		q := question(p, nil, weightCode, anyOf(attrCodes, p.Codes))
		out = append(out, q)
	}
	for m := n; m >= need; m-- {
		sets := subsets(n, m)
		if len(out)+len(sets) > maxSearches {
			q := question(p, units, weightRest)
			q.MatchingStrategy = meilisearch.Frequency
			// The rule "words" comes first: a document with k of n words scores above (k-1)/n and at most k/n.
			q.RankingScoreThreshold = float64(need-1)/float64(n) + 1e-9
			return append(out, q)
		}
		for _, set := range sets {
			words := make([]string, m)
			for i, at := range set {
				words[i] = units[at]
			}
			share := float64(m) / float64(n)
			out = append(out, question(p, words, share*share))
		}
	}
	return out
}

// maxSearches bounds a federation: all sets of five Chinese characters, or of four words.
const maxSearches = 16

// subsets gives the sets of m of the numbers below n.
func subsets(n, m int) [][]int {
	if m == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for last := m - 1; last < n; last++ {
		for _, s := range subsets(last, m-1) {
			out = append(out, append(slices.Clone(s), last))
		}
	}
	return out
}

// question asks for all of some of the plan's words, under its filters and others.
func question(p search.Plan, words []string, weight float64, others ...string) *meilisearch.SearchRequest {
	req := &meilisearch.SearchRequest{
		Query: strings.Join(words, " "), MatchingStrategy: meilisearch.All, AttributesToRetrieve: retrieved, Locales: []string{locale},
	}
	if len(words) > 0 && (!p.Prefix || words[len(words)-1] != p.Units[len(p.Units)-1]) {
		// A space after the last word says that it is finished.
		req.Query += " "
	}
	if conditions := append(filters(p), others...); len(conditions) > 0 {
		req.Filter = strings.Join(conditions, " AND ")
	}
	if weight > 0 {
		req.FederationOptions = &meilisearch.SearchFederationOptions{Weight: weight}
	}
	return req
}

func filters(p search.Plan) []string {
	var out []string
	if len(p.Kinds) > 0 {
		out = append(out, anyOf(attrKind, p.Kinds))
	}
	for _, group := range p.Facets {
		out = append(out, anyOf(attrFacets, group))
	}
	if p.From != nil {
		out = append(out, attrTime+" >= "+number(*p.From))
	}
	if p.To != nil {
		out = append(out, attrTime+" < "+number(*p.To))
	}
	if a := p.After; a != nil {
		t := number(a.Time)
		out = append(out, "("+attrTime+" < "+t+" OR ("+attrTime+" = "+t+" AND "+attrRank+" > "+number(a.Rank)+"))")
	}
	return out
}

func anyOf(attribute string, values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	return attribute + " IN [" + strings.Join(quoted, ", ") + "]"
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// quote makes one value of any text in a filter expression.
func quote(s string) string { return `"` + escape.Replace(s) + `"` }

func number(n int64) string { return strconv.FormatInt(n, 10) }
