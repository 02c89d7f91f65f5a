package meilitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

var idPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,511}$`)

// strict decodes JSON and refuses unknown fields.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// idOf gives the ID of a document as text.
func idOf(d document, key string) (string, *apiError) {
	v, ok := d[key]
	if !ok {
		return "", badRequest("missing_document_id", "Document doesn't have a `"+key+"` attribute.")
	}
	id := fmt.Sprint(v)
	if !idPattern.MatchString(id) {
		return "", badRequest("invalid_document_id", fmt.Sprintf("Document identifier `%q` is invalid.", id))
	}
	return id, nil
}

func (s *Server) addDocuments(r *http.Request) (int, any, *apiError) {
	uid := r.PathValue("uid")
	var docs []document
	if err := decode(r, &docs); err != nil {
		return 0, nil, badRequest("malformed_payload", err.Message)
	}
	key := r.URL.Query().Get("primaryKey")
	return s.enqueue("documentAdditionOrUpdate", uid, func() *apiError {
		ix := s.orCreate(uid)
		name, err := ix.keyFor(docs, key)
		if err != nil {
			return err
		}
		add := map[string]document{}
		for _, d := range docs {
			id, err := idOf(d, name)
			if err != nil {
				return err
			}
			add[id] = d
			delete(ix.words, id)
		}
		ix.primaryKey, ix.updated = name, time.Now()
		maps.Copy(ix.docs, add)
		return nil
	})
}

// keyFor gives the primary key: the index's, the request's, or the only attribute that ends in "id".
func (ix *index) keyFor(docs []document, asked string) (string, *apiError) {
	if ix.primaryKey != "" || asked != "" || len(docs) == 0 {
		if ix.primaryKey == "" {
			return asked, nil
		}
		return ix.primaryKey, nil
	}
	var candidates []string
	for name := range docs[0] {
		if strings.HasSuffix(strings.ToLower(name), "id") {
			candidates = append(candidates, name)
		}
	}
	if len(candidates) != 1 {
		return "", badRequest("index_primary_key_no_candidate_found", "The primary key inference failed.")
	}
	return candidates[0], nil
}

func (s *Server) deleteBatch(r *http.Request) (int, any, *apiError) {
	uid := r.PathValue("uid")
	var ids []any
	if err := decode(r, &ids); err != nil {
		return 0, nil, err
	}
	return s.enqueue("documentDeletion", uid, func() *apiError {
		ix, ok := s.indexes[uid]
		if !ok {
			return notFound(uid)
		}
		for _, id := range ids {
			delete(ix.docs, fmt.Sprint(id))
		}
		return nil
	})
}

func (s *Server) deleteByFilter(r *http.Request) (int, any, *apiError) {
	uid := r.PathValue("uid")
	var body struct {
		Filter string `json:"filter"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if _, err := parseFilter(body.Filter); err != nil {
		return 0, nil, badRequest("invalid_document_filter", err.Error())
	}
	return s.enqueue("documentDeletion", uid, func() *apiError {
		ix, ok := s.indexes[uid]
		if !ok {
			return notFound(uid)
		}
		keep, apiErr := ix.filter(body.Filter, "invalid_document_filter")
		if apiErr != nil {
			return apiErr
		}
		maps.DeleteFunc(ix.docs, func(_ string, d document) bool { return keep(d) })
		return nil
	})
}

// filter makes a predicate of an expression; code is that of the error.
func (ix *index) filter(expr, code string) (func(document) bool, *apiError) {
	if expr == "" {
		return func(document) bool { return true }, nil
	}
	f, err := parseFilter(expr)
	if err != nil {
		return nil, badRequest(code, err.Error())
	}
	for _, name := range f.attributes(nil) {
		if !slices.Contains(ix.settings.FilterableAttributes, name) {
			return nil, badRequest(code, "Attribute `"+name+"` is not filterable.")
		}
	}
	return f.matches, nil
}

func (s *Server) fetchDocuments(r *http.Request) (int, any, *apiError) {
	body := struct {
		Offset int      `json:"offset"`
		Limit  int      `json:"limit"`
		Fields []string `json:"fields"`
		Filter string   `json:"filter"`
	}{Limit: 20}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	ix, err := s.lookup(r)
	if err != nil {
		return 0, nil, err
	}
	keep, err := ix.filter(body.Filter, "invalid_document_filter")
	if err != nil {
		return 0, nil, err
	}
	var found []document
	for _, id := range slices.Sorted(maps.Keys(ix.docs)) {
		if keep(ix.docs[id]) {
			found = append(found, ix.docs[id])
		}
	}
	total := len(found)
	found = found[min(body.Offset, total):min(body.Offset+body.Limit, total)]
	results := []document{}
	for _, d := range found {
		results = append(results, pick(d, body.Fields))
	}
	return http.StatusOK, map[string]any{"results": results, "offset": body.Offset, "limit": body.Limit, "total": total}, nil
}

// pick gives the document with these attributes only; none or "*": all.
func pick(d document, attributes []string) document {
	if len(attributes) == 0 || slices.Contains(attributes, "*") {
		return maps.Clone(d)
	}
	out := document{}
	for _, name := range attributes {
		if v, ok := d[name]; ok {
			out[name] = v
		}
	}
	return out
}
