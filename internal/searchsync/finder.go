package searchsync

import (
	"context"

	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/search"
)

// Finder asks the index on behalf of the lists of warnings and notices. What it finds is to be read from the store: the index may
// be behind.
type Finder struct{ Index search.Searcher }

// FindWarnings gives the numbers of published warnings that a text finds, the best first. Unavailable while the index is down.
func (f Finder) FindWarnings(ctx context.Context, text string, by warning.Filter, cursor string, limit int) (nos []string, next string, err error) {
	q := search.Query{Text: text, Kinds: []string{KindWarning}, From: by.From, To: by.To, Cursor: cursor, Limit: limit, Facets: map[string][]string{}}
	if by.GTIN != "" {
		q.Text, q.Sort = text+" "+by.GTIN, search.Newest // which finds only what has all of it
	}
	for name, v := range map[string]string{
		"status": string(by.Status), "level": string(by.Level), "category": by.Category, "hazard": by.Hazard,
	} {
		if v != "" {
			q.Facets[name] = []string{v}
		}
	}
	return f.find(ctx, q)
}

// FindNotices gives the IDs of foreign notices that a text finds, the best first. Unavailable while the index is down.
func (f Finder) FindNotices(ctx context.Context, text, cursor string, limit int) (ids []string, next string, err error) {
	return f.find(ctx, search.Query{Text: text, Kinds: []string{KindNotice}, Cursor: cursor, Limit: limit})
}

func (f Finder) find(ctx context.Context, q search.Query) (ids []string, next string, err error) {
	res, err := f.Index.Search(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for _, h := range res.Hits {
		ids = append(ids, h.ID)
	}
	return ids, res.Next, nil
}
