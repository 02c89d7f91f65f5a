package meili

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meilisearch/meilisearch-go"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/search"
)

// The attributes that settings and filters name.
const (
	primaryKey = "pk"
	attrKey    = "key"
	attrKind   = "kind"
	attrCodes  = "codes"
	attrTitle  = "title"
	attrText   = "text"
	attrFacets = "facets"
	attrTime   = "time"
	attrRank   = "rank"
)

// locale keeps the server from guessing a language per text: the same character must be normalised alike in document and query.
const locale = "cmn"

// record is a document as Meilisearch has it.
type record struct {
	PK      string   `json:"pk"`  // key and version
	Key     string   `json:"key"` // of the ID, which may have characters that Meilisearch does not allow
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Title   string   `json:"title"` // tokens
	Text    string   `json:"text"`  // tokens
	Codes   []string `json:"codes"`
	Facets  []string `json:"facets"`
	Time    int64    `json:"time"`
	Rank    int64    `json:"rank"`
	Version int64    `json:"version"`
}

// keyOf has 128 bits of the ID's hash.
func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func recordOf(p search.Prepared) record {
	key := keyOf(p.ID)
	return record{
		PK: key + "-" + strconv.FormatInt(p.Version, 10), Key: key, ID: p.ID, Kind: p.Kind,
		Title: strings.Join(p.Title, " "), Text: strings.Join(p.Body, " "), Codes: p.Codes, Facets: p.Facets,
		Time: p.Time, Rank: p.Rank, Version: p.Version,
	}
}

// settings are the index's. Every one that ranking depends on is given, so that a new default of the server changes nothing.
func settings() *meilisearch.Settings {
	distinct := attrKey
	return &meilisearch.Settings{
		RankingRules: []string{
			"sort", "words", "typo", "proximity", "attribute", "exactness", attrTime + ":desc", attrRank + ":asc",
		},
		DistinctAttribute:    &distinct,
		SearchableAttributes: []string{attrCodes, attrTitle, attrText},
		DisplayedAttributes:  []string{"*"},
		FilterableAttributes: []string{attrKey, attrKind, attrCodes, attrFacets, attrTime, attrRank},
		SortableAttributes:   []string{attrTime, attrRank},
		LocalizedAttributes:  []*meilisearch.LocalizedAttributes{{Locales: []string{locale}, AttributePatterns: []string{"*"}}},
		Pagination:           &meilisearch.Pagination{MaxTotalHits: search.MaxWindow},
		TypoTolerance: &meilisearch.TypoTolerance{
			// In letters. A Chinese word of the texts sent is one character and never forgiven; numbers and codes are exact.
			Enabled: true, MinWordSizeForTypos: meilisearch.MinWordSizeForTypos{OneTypo: 5, TwoTypos: 9},
			DisableOnWords: []string{}, DisableOnAttributes: []string{attrCodes}, DisableOnNumbers: true,
		},
	}
}

// Put stores documents; each is found when it returns.
func (ix *Index) Put(ctx context.Context, docs []search.Document) error {
	for batch := range slices.Chunk(docs, search.MaxBatch) {
		ps, err := search.PrepareBatch(batch)
		if err != nil {
			return err
		}
		err = ix.exclusive(ctx, func() error {
			if err := ix.store(ctx, ix.uid, ps); err != nil {
				return err
			}
			ix.overlay.Wrote(ps)
			if ix.next == "" {
				return nil
			}
			return ix.store(ctx, ix.next, ps)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// store writes documents to an index unless it has newer versions, and removes older ones.
func (ix *Index) store(ctx context.Context, uid string, ps []search.Prepared) error {
	if len(ps) == 0 {
		return nil
	}
	have, err := ix.versions(ctx, uid, ps)
	if err != nil {
		return err
	}
	var records []record
	for _, p := range ps {
		r := recordOf(p)
		if !slices.ContainsFunc(have[r.Key], func(v int64) bool { return v > p.Version }) {
			records = append(records, r)
		}
	}
	if len(records) == 0 {
		return nil
	}
	info, err := ix.service.Index(uid).AddDocumentsWithContext(ctx, records, nil)
	if err := ix.done(ctx, info, err); err != nil {
		return err
	}
	return ix.removeOlder(ctx, uid, ps)
}

// removeOlder reads again, because another process may have written meanwhile, and leaves the highest version of each.
func (ix *Index) removeOlder(ctx context.Context, uid string, ps []search.Prepared) error {
	have, err := ix.versions(ctx, uid, ps)
	if err != nil {
		return err
	}
	var old []string
	for key, versions := range have {
		highest := slices.Max(versions)
		for _, v := range versions {
			if v != highest {
				old = append(old, key+"-"+strconv.FormatInt(v, 10))
			}
		}
	}
	if len(old) == 0 {
		return nil
	}
	info, err := ix.service.Index(uid).DeleteDocumentsWithContext(ctx, old, nil)
	return ix.done(ctx, info, err)
}

// versions reads the versions that the index has of each document, by key.
func (ix *Index) versions(ctx context.Context, uid string, ps []search.Prepared) (map[string][]int64, error) {
	keys := make([]string, len(ps))
	for i, p := range ps {
		keys[i] = keyOf(p.ID)
	}
	out := make(map[string][]int64, len(ps))
	q := meilisearch.DocumentsQuery{Filter: anyOf(attrKey, keys), Fields: []string{attrKey, "version"}, Limit: search.MaxBatch}
	for {
		var page meilisearch.DocumentsResult
		if err := ix.service.Index(uid).GetDocumentsWithContext(ctx, &q, &page); err != nil {
			return nil, translate(err)
		}
		for _, h := range page.Results {
			var r record
			if err := h.DecodeInto(&r); err != nil {
				return nil, search.Unavailable(err)
			}
			out[r.Key] = append(out[r.Key], r.Version)
		}
		if q.Offset += q.Limit; q.Offset >= page.Total {
			return out, nil
		}
	}
}

// Delete removes documents, all versions.
func (ix *Index) Delete(ctx context.Context, ids []string) error {
	for batch := range slices.Chunk(ids, search.MaxBatch) {
		keys := make([]string, len(batch))
		for i, id := range batch {
			keys[i] = keyOf(id)
		}
		err := ix.exclusive(ctx, func() error {
			ix.overlay.Deleted(batch)
			if err := ix.remove(ctx, ix.uid, keys); err != nil || ix.next == "" {
				return err
			}
			return ix.remove(ctx, ix.next, keys)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (ix *Index) remove(ctx context.Context, uid string, keys []string) error {
	info, err := ix.service.Index(uid).DeleteDocumentsByFilterWithContext(ctx, anyOf(attrKey, keys), nil)
	return ix.done(ctx, info, err)
}

const (
	// abandoned is the age from which an index of a rebuild is taken for one whose process died.
	abandoned = 24 * time.Hour
	// cleanUp bounds the end of a rebuild that failed, whose context may be over.
	cleanUp = 10 * time.Second
)

// Rebuild fills an index of its own, swaps it with the live one, and deletes what it then holds.
func (ix *Index) Rebuild(ctx context.Context, docs iter.Seq2[search.Document, error]) error {
	select {
	case ix.rebuild <- struct{}{}:
	case <-ctx.Done():
		return search.Unavailable(ctx.Err())
	}
	defer func() { <-ix.rebuild }()
	uid := ix.uid + "-next-" + clock.Token(10)
	err := ix.begin(ctx, uid)
	if err == nil {
		err = ix.fill(ctx, uid, docs)
	}
	if err == nil {
		err = ix.swap(ctx, uid)
	}
	return errors.Join(err, ix.end(ctx, uid))
}

func (ix *Index) begin(ctx context.Context, uid string) error {
	return ix.exclusive(ctx, func() error {
		if err := ix.removeAbandoned(ctx); err != nil {
			return err
		}
		info, err := ix.service.CreateIndexWithContext(ctx, &meilisearch.IndexConfig{Uid: uid, PrimaryKey: primaryKey})
		if err := ix.done(ctx, info, err); err != nil {
			return err
		}
		info, err = ix.service.Index(uid).UpdateSettingsWithContext(ctx, settings())
		if err := ix.done(ctx, info, err); err != nil {
			return err
		}
		ix.next = uid
		ix.overlay.Begin()
		return nil
	})
}

// removeAbandoned deletes what rebuilds of dead processes left.
func (ix *Index) removeAbandoned(ctx context.Context) error {
	list, err := ix.service.ListIndexesWithContext(ctx, &meilisearch.IndexesQuery{Limit: search.MaxWindow})
	if err != nil {
		return translate(err)
	}
	for _, i := range list.Results {
		if !strings.HasPrefix(i.UID, ix.uid+"-next-") || ix.now().Sub(i.CreatedAt) < abandoned {
			continue
		}
		if err := ix.deleteIndex(ctx, i.UID); err != nil {
			return err
		}
	}
	return nil
}

// deleteIndex deletes an index that may be gone already.
func (ix *Index) deleteIndex(ctx context.Context, uid string) error {
	info, err := ix.service.DeleteIndexWithContext(ctx, uid)
	if err = ix.done(ctx, info, err); errors.Is(err, search.ErrNeedsRebuild) {
		return nil
	}
	return err
}

func (ix *Index) fill(ctx context.Context, uid string, docs iter.Seq2[search.Document, error]) error {
	flush := func(batch []search.Document) error {
		ps, err := search.PrepareBatch(batch)
		if err != nil {
			return err
		}
		return ix.exclusive(ctx, func() error { return ix.store(ctx, uid, ix.overlay.Keep(ps)) })
	}
	batch := make([]search.Document, 0, search.MaxBatch)
	for d, err := range docs {
		if err != nil {
			return fmt.Errorf("read documents for the search index: %w", err)
		}
		if batch = append(batch, d); len(batch) < search.MaxBatch {
			continue
		}
		if err := flush(batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return flush(batch)
}

// swap exchanges the rebuilt index with the live one, which is made first where there is none: without a primary key, by which
// Ready knows it from a complete one.
func (ix *Index) swap(ctx context.Context, uid string) error {
	return ix.exclusive(ctx, func() error {
		info, err := ix.service.CreateIndexWithContext(ctx, &meilisearch.IndexConfig{Uid: ix.uid})
		err = ix.done(ctx, info, err)
		if e, ok := errors.AsType[*TaskError](err); err != nil && (!ok || e.Code != "index_already_exists") {
			return err
		}
		info, err = ix.service.SwapIndexesWithContext(ctx, []*meilisearch.SwapIndexesParams{{Indexes: []string{ix.uid, uid}}})
		return ix.done(ctx, info, err)
	})
}

// end forgets the rebuild and deletes its index, which after a swap is the old one.
func (ix *Index) end(ctx context.Context, uid string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	return ix.exclusive(ctx, func() error {
		ix.next = ""
		ix.overlay.End()
		return ix.deleteIndex(ctx, uid)
	})
}
