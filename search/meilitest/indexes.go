package meilitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// document is a document as it was sent, numbers as json.Number.
type document map[string]any

// index is one index. Guarded by Server.mu.
type index struct {
	primaryKey       string // empty: not known yet
	created, updated time.Time
	settings         settings
	docs             map[string]document           // by primary key
	words            map[string]map[string][]place // of documents searched before, by primary key
}

// settings are those that the fake knows.
type settings struct {
	RankingRules         []string       `json:"rankingRules"`
	SearchableAttributes []string       `json:"searchableAttributes"`
	DisplayedAttributes  []string       `json:"displayedAttributes"`
	FilterableAttributes []string       `json:"filterableAttributes"`
	SortableAttributes   []string       `json:"sortableAttributes"`
	DistinctAttribute    *string        `json:"distinctAttribute"`
	TypoTolerance        *typoTolerance `json:"typoTolerance"`
	Pagination           *struct {
		MaxTotalHits int `json:"maxTotalHits"`
	} `json:"pagination"`
	LocalizedAttributes []struct {
		Locales           []string `json:"locales"`
		AttributePatterns []string `json:"attributePatterns"`
	} `json:"localizedAttributes"`
}

type typoTolerance struct {
	Enabled             bool `json:"enabled"`
	MinWordSizeForTypos struct {
		OneTypo  int `json:"oneTypo"`
		TwoTypos int `json:"twoTypos"`
	} `json:"minWordSizeForTypos"`
	DisableOnWords      []string `json:"disableOnWords"`
	DisableOnAttributes []string `json:"disableOnAttributes"`
	DisableOnNumbers    bool     `json:"disableOnNumbers"`
}

func newIndex(primaryKey string) *index {
	now := time.Now()
	ix := &index{primaryKey: primaryKey, created: now, updated: now, docs: map[string]document{}, words: map[string]map[string][]place{}}
	ix.settings.RankingRules = []string{"words", "typo", "proximity", "attribute", "sort", "exactness"}
	ix.settings.SearchableAttributes = []string{"*"}
	ix.settings.DisplayedAttributes = []string{"*"}
	ix.settings.TypoTolerance = &typoTolerance{Enabled: true}
	ix.settings.TypoTolerance.MinWordSizeForTypos.OneTypo = 5
	ix.settings.TypoTolerance.MinWordSizeForTypos.TwoTypos = 9
	return ix
}

func (ix *index) view(uid string) map[string]any {
	return map[string]any{
		"uid": uid, "primaryKey": orNull(ix.primaryKey), "createdAt": stamp(ix.created), "updatedAt": stamp(ix.updated),
	}
}

var uidPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,400}$`)

func notFound(uid string) *apiError {
	return &apiError{
		status: http.StatusNotFound, Code: "index_not_found", Type: "invalid_request", Message: fmt.Sprintf("Index `%s` not found.", uid),
	}
}

// lookup finds the index of a request that reads.
func (s *Server) lookup(r *http.Request) (*index, *apiError) {
	uid := r.PathValue("uid")
	if !uidPattern.MatchString(uid) {
		return nil, badRequest("invalid_index_uid", "`"+uid+"` is not a valid index uid.")
	}
	ix, ok := s.indexes[uid]
	if !ok {
		return nil, notFound(uid)
	}
	return ix, nil
}

func (s *Server) getIndex(r *http.Request) (int, any, *apiError) {
	ix, err := s.lookup(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, ix.view(r.PathValue("uid")), nil
}

func (s *Server) getSettings(r *http.Request) (int, any, *apiError) {
	ix, err := s.lookup(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, ix.settings, nil
}

func (s *Server) listIndexes(r *http.Request) (int, any, *apiError) {
	limit, offset := 20, 0
	for name, n := range map[string]*int{"limit": &limit, "offset": &offset} {
		if v := r.URL.Query().Get(name); v != "" {
			var err error
			if *n, err = strconv.Atoi(v); err != nil || *n < 0 {
				return 0, nil, badRequest("invalid_index_"+name, "not a number")
			}
		}
	}
	uids := slices.Sorted(maps.Keys(s.indexes))
	total := len(uids)
	uids = uids[min(offset, total):min(offset+limit, total)]
	results := []any{}
	for _, uid := range uids {
		results = append(results, s.indexes[uid].view(uid))
	}
	return http.StatusOK, map[string]any{"results": results, "offset": offset, "limit": limit, "total": total}, nil
}

func (s *Server) createIndex(r *http.Request) (int, any, *apiError) {
	var body struct {
		UID        string  `json:"uid"`
		PrimaryKey *string `json:"primaryKey"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if !uidPattern.MatchString(body.UID) {
		return 0, nil, badRequest("invalid_index_uid", "`"+body.UID+"` is not a valid index uid.")
	}
	return s.enqueue("indexCreation", body.UID, func() *apiError {
		if _, ok := s.indexes[body.UID]; ok {
			return &apiError{Code: "index_already_exists", Type: "invalid_request", Message: "Index `" + body.UID + "` already exists."}
		}
		key := ""
		if body.PrimaryKey != nil {
			key = *body.PrimaryKey
		}
		s.indexes[body.UID] = newIndex(key)
		return nil
	})
}

func (s *Server) deleteIndex(r *http.Request) (int, any, *apiError) {
	uid := r.PathValue("uid")
	return s.enqueue("indexDeletion", uid, func() *apiError {
		if _, ok := s.indexes[uid]; !ok {
			return notFound(uid)
		}
		delete(s.indexes, uid)
		return nil
	})
}

// updateSettings changes the settings given and leaves the others.
func (s *Server) updateSettings(r *http.Request) (int, any, *apiError) {
	uid := r.PathValue("uid")
	var raw json.RawMessage
	if err := decode(r, &raw); err != nil {
		return 0, nil, err
	}
	var check settings
	if err := strict(raw, &check); err != nil {
		return 0, nil, badRequest("bad_request", err.Error())
	}
	return s.enqueue("settingsUpdate", uid, func() *apiError {
		ix := s.orCreate(uid)
		if err := json.Unmarshal(raw, &ix.settings); err != nil {
			return badRequest("bad_request", err.Error())
		}
		ix.updated = time.Now()
		clear(ix.words)
		return nil
	})
}

// orCreate makes the index that a write names, as Meilisearch does.
func (s *Server) orCreate(uid string) *index {
	ix, ok := s.indexes[uid]
	if !ok {
		ix = newIndex("")
		s.indexes[uid] = ix
	}
	return ix
}

func (s *Server) swapIndexes(r *http.Request) (int, any, *apiError) {
	var body []struct {
		Indexes []string `json:"indexes"`
		Rename  bool     `json:"rename"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	for _, pair := range body {
		if len(pair.Indexes) != 2 || pair.Indexes[0] == pair.Indexes[1] {
			return 0, nil, badRequest("invalid_swap_indexes", "A swap needs two different indexes.")
		}
		if pair.Rename {
			return 0, nil, badRequest("bad_request", "The fake does not rename.")
		}
	}
	return s.enqueue("indexSwap", "", func() *apiError {
		for _, pair := range body {
			for _, uid := range pair.Indexes {
				if _, ok := s.indexes[uid]; !ok {
					return notFound(uid)
				}
			}
		}
		for _, pair := range body {
			a, b := pair.Indexes[0], pair.Indexes[1]
			s.indexes[a], s.indexes[b] = s.indexes[b], s.indexes[a]
		}
		return nil
	})
}
