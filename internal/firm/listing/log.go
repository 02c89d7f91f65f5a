package listing

import (
	"context"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store"
)

// KindEntry is the kind of entries in the transparency log.
const KindEntry = "serious_violation"

// EntryLog gives every entry to the transparency log. A leaf's key is the entry's ID, "{no}/{rev}". All of it is sealed. The public part stays
// for ever and so says neither whom the listing is about nor why: nothing public outlives the publication period.
type EntryLog struct {
	s   *Service
	eng store.Engine
}

var _ ledger.Source = EntryLog{}

// EntryLog is the source of the service's entries, which are stored in eng.
func (s *Service) EntryLog(eng store.Engine) EntryLog { return EntryLog{s, eng} }

// publicEntry lists the members of an Entry that anyone may read for ever.
var publicEntry = []string{"no", "rev", "kind", "decided", "until", "authority", "acting", "published"}

// Kind implements ledger.Source.
func (EntryLog) Kind() string { return KindEntry }

// Wake implements ledger.Source.
func (l EntryLog) Wake() []<-chan struct{} { return []<-chan struct{}{l.s.entries.Wake()} }

// Changes implements ledger.Source.
func (l EntryLog) Changes(ctx context.Context, token string, limit int) (ledger.Page, error) {
	changes, next, err := l.s.entries.Changes(ctx, token, limit)
	p := ledger.Page{Next: next, Last: len(changes) < limit}
	for _, ch := range changes {
		if !ch.Deleted {
			p.Keys = append(p.Keys, ch.ID)
		}
	}
	return p, err
}

// Documents implements ledger.Source.
func (l EntryLog) Documents(ctx context.Context, keys []string) (map[string]ledger.Document, error) {
	recs, err := l.eng.Get(ctx, entriesCollection, keys)
	if err != nil {
		return nil, err
	}
	out := make(map[string]ledger.Document, len(recs))
	for _, r := range recs {
		d := ledger.Document{Sealed: r.Body}
		d.Public, _ = ledger.Pick(r.Body, publicEntry...)
		out[r.ID] = d
	}
	return out, nil
}
