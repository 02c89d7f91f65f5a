package meilitest

import (
	"cmp"
	"net/http"
	"slices"
)

// multiSearch answers federated searches only.
func (s *Server) multiSearch(r *http.Request) (int, any, *apiError) {
	var body struct {
		Federation *struct {
			Offset int  `json:"offset"`
			Limit  *int `json:"limit"`
		} `json:"federation"`
		Queries []struct {
			query
			IndexUID          string `json:"indexUid"`
			FederationOptions *struct {
				Weight float64 `json:"weight"`
			} `json:"federationOptions"`
		} `json:"queries"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if body.Federation == nil {
		return 0, nil, badRequest("bad_request", "The fake does only federated searches.")
	}
	var all []federated
	for i, q := range body.Queries {
		if q.Limit != nil || q.Offset != 0 {
			return 0, nil, badRequest("invalid_multi_search_query_pagination", "A query of a federation has no limit and no offset.")
		}
		ix, ok := s.indexes[q.IndexUID]
		if !ok {
			return 0, nil, notFound(q.IndexUID)
		}
		found, err := ix.run(q.query)
		if err != nil {
			return 0, nil, err
		}
		weight := 1.0
		if q.FederationOptions != nil {
			weight = q.FederationOptions.Weight
		}
		for _, m := range found {
			all = append(all, federated{ranked: m, index: q.IndexUID, key: m.doc[ix.primaryKey], query: i, score: weight * m.score, fields: q.AttributesToRetrieve})
		}
	}
	limit := defaultLimit
	if body.Federation.Limit != nil {
		limit = *body.Federation.Limit
	}
	all = merge(all)
	hits := []document{}
	for _, f := range all[min(body.Federation.Offset, len(all)):min(body.Federation.Offset+limit, len(all))] {
		hit := pick(f.doc, f.fields)
		hit["_federation"] = map[string]any{"indexUid": f.index, "queriesPosition": f.query, "weightedRankingScore": f.score}
		hits = append(hits, hit)
	}
	return http.StatusOK, map[string]any{
		"hits": hits, "offset": body.Federation.Offset, "limit": limit, "estimatedTotalHits": len(all), "processingTimeMs": 0,
	}, nil
}

// federated is a hit of one of the queries.
type federated struct {
	ranked
	index  string
	key    any
	query  int
	score  float64 // weighted
	fields []string
}

// merge orders by weighted score and keeps the best hit of each document.
func merge(all []federated) []federated {
	slices.SortStableFunc(all, func(a, b federated) int { return cmp.Compare(b.score, a.score) })
	type identity struct {
		index string
		key   any
	}
	seen := map[identity]bool{}
	return slices.DeleteFunc(all, func(f federated) bool {
		id := identity{f.index, f.key}
		if seen[id] {
			return true
		}
		seen[id] = true
		return false
	})
}
