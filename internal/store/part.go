package store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxID is the longest ID in bytes.
const MaxID = 512

// MaxStoredID is the longest ID that an engine stores: a part's documents have theirs behind the name of the part.
const MaxStoredID = len(partMark) + maxPart + len(partEnd) + MaxID

// In the database an ID of part p is "\x01p/id".
const (
	partMark = "\x01"
	partEnd  = "/"
	maxPart  = 40
)

// maxPartPages bounds how far one call of a part's Changes looks through the changes of other parts.
const maxPartPages = 16

// CheckID is what an engine asks of an ID: 1 to MaxID bytes of UTF-8, behind the name of its part if it has one.
func CheckID(id string) error {
	_, own := splitPart(id)
	if len(own) == 0 || len(own) > MaxID {
		return fmt.Errorf("store: an ID of %d bytes; 1 to %d are allowed", len(own), MaxID)
	}
	if !utf8.ValidString(own) {
		return fmt.Errorf("store: ID %q is not UTF-8", own)
	}
	return nil
}

// splitPart gives the part that an ID of the database belongs to, "" if none, and the ID within it.
func splitPart(id string) (name, own string) {
	rest, marked := strings.CutPrefix(id, partMark)
	name, own, ended := strings.Cut(rest, partEnd)
	if !marked || !ended || !partName(name) {
		return "", id
	}
	return name, own
}

func partName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= maxPart
}

// Part gives a view of eng that sees the documents of one part of each collection and no others. Every ID and every equality key carries
// the part's name in the database, so any number of parts share the collections of one declaration, and a part that nobody wrote to costs
// nothing. Names are of [a-z0-9-], 1 to 40 bytes. A collection is used through parts or without them, never both ways.
//
// What is cheaper or only right for a whole collection is done for all its parts, whichever is asked: Open rebuilds the indexes of all; Sweep
// deletes the expired documents of all, and counts them; Wake tells of writes to any. A backup of eng has all parts.
//
// Changes reads past what other parts wrote, at most 16 pages in one call. Tokens are the collection's: an empty list with a new token means
// 'nothing within these pages', and the next call goes on from there.
//
// The database stays eng's: Close of the view closes nothing.
func Part(eng Engine, name string) (Engine, error) {
	if !partName(name) {
		return nil, fmt.Errorf("store: %q names no part", name)
	}
	if _, nested := eng.(*part); nested {
		return nil, fmt.Errorf("store: a part %q of a part", name)
	}
	return newPart(eng, name), nil
}

func newPart(eng Engine, name string) *part {
	return &part{eng: eng, prefix: partMark + name + partEnd, eq: K(name)}
}

// part does not embed the engine, for the reason that prefixed does not.
type part struct {
	eng    Engine
	prefix string // of its IDs
	eq     Key    // what its equality keys begin with
}

var _ Engine = (*part)(nil)

// inside makes a record of the database the part's.
func (p *part) inside(r Record) Record {
	r.ID = r.ID[len(p.prefix):]
	return r
}

// outside makes a record of the part the database's. ids are checked here, since one that is empty would be a valid one behind the prefix.
func (p *part) outside(r Record) (Record, error) {
	id, err := p.id(r.ID)
	if err != nil {
		return r, err
	}
	r.ID = id
	entries := make([]Entry, len(r.Entries))
	for i, e := range r.Entries {
		e.Eq = p.key(e.Eq)
		entries[i] = e
	}
	r.Entries = entries
	return r, nil
}

func (p *part) id(id string) (string, error) {
	if own := p.prefix + id; len(id) > 0 && len(id) <= MaxID {
		return own, nil
	}
	return "", fmt.Errorf("store: an ID of %d bytes; 1 to %d are allowed", len(id), MaxID)
}

func (p *part) key(eq Key) Key {
	k := make(Key, 0, len(p.eq)+len(eq))
	return append(append(k, p.eq...), eq...)
}

func (p *part) scan(s Scan) Scan {
	s.Eq = p.key(s.Eq)
	if s.After != nil {
		s.After = &Position{Order: s.After.Order, ID: p.prefix + s.After.ID}
	}
	return s
}

func (p *part) Get(ctx context.Context, coll string, ids []string) ([]Record, error) {
	own := make([]string, len(ids))
	for i := range ids {
		var err error
		if own[i], err = p.id(ids[i]); err != nil {
			return nil, err
		}
	}
	recs, err := p.eng.Get(ctx, coll, own)
	for i := range recs {
		recs[i] = p.inside(recs[i])
	}
	return recs, err
}

func (p *part) Scan(ctx context.Context, coll string, s Scan, keysOnly bool) ([]Hit, error) {
	hits, err := p.eng.Scan(ctx, coll, p.scan(s), keysOnly)
	for i := range hits {
		hits[i].ID = hits[i].ID[len(p.prefix):]
		if r := hits[i].Record; r != nil {
			*r = p.inside(*r)
		}
	}
	return hits, err
}

func (p *part) Count(ctx context.Context, coll string, s Scan, limit int) (int, error) {
	return p.eng.Count(ctx, coll, p.scan(s), limit)
}

func (p *part) Insert(ctx context.Context, coll string, recs []Record) ([]error, error) {
	own := make([]Record, len(recs))
	for i := range recs {
		var err error
		if own[i], err = p.outside(recs[i]); err != nil {
			return nil, err
		}
	}
	return p.eng.Insert(ctx, coll, own)
}

func (p *part) Replace(ctx context.Context, coll string, rec Record) error {
	own, err := p.outside(rec)
	if err != nil {
		return err
	}
	return p.eng.Replace(ctx, coll, own)
}

func (p *part) Delete(ctx context.Context, coll, id string, rev int64) error {
	own, err := p.id(id)
	if err != nil {
		return err
	}
	return p.eng.Delete(ctx, coll, own, rev)
}

func (p *part) Add(ctx context.Context, coll, id string, deltas map[string]int64) error {
	own, err := p.id(id)
	if err != nil {
		return err
	}
	return p.eng.Add(ctx, coll, own, deltas)
}

func (p *part) Changes(ctx context.Context, coll, token string, limit int) ([]Change, string, error) {
	next := token
	for range maxPartPages {
		page, after, err := p.eng.Changes(ctx, coll, next, limit)
		if err != nil {
			return nil, token, err
		}
		own := page[:0]
		for _, ch := range page {
			if strings.HasPrefix(ch.Record.ID, p.prefix) {
				ch.Record = p.inside(ch.Record)
				own = append(own, ch)
			}
		}
		next = after
		if len(own) > 0 || len(page) == 0 {
			return own, next, nil
		}
	}
	return nil, next, nil
}

func (p *part) Wake(coll string) <-chan struct{} { return p.eng.Wake(coll) }

func (p *part) Declare(ctx context.Context, spec Spec) ([]string, error) {
	return p.eng.Declare(ctx, spec)
}

// All reads at most one page beyond the part's last document.
func (p *part) All(ctx context.Context, coll, after string, limit int) ([]Record, error) {
	recs, err := p.eng.All(ctx, coll, p.prefix+after, limit)
	for i := range recs {
		if !strings.HasPrefix(recs[i].ID, p.prefix) {
			return recs[:i], err
		}
		recs[i] = p.inside(recs[i])
	}
	return recs, err
}

func (p *part) Reindex(ctx context.Context, coll string, rec Record) error {
	own, err := p.outside(rec)
	if err != nil {
		return err
	}
	return p.eng.Reindex(ctx, coll, own)
}

func (p *part) Rebuilt(ctx context.Context, spec Spec, indexes []string) error {
	return p.eng.Rebuilt(ctx, spec, indexes)
}

func (p *part) Sweep(ctx context.Context, coll string, limit int) (int, error) {
	return p.eng.Sweep(ctx, coll, limit)
}

func (p *part) Ping(ctx context.Context) error { return p.eng.Ping(ctx) }

// Close closes nothing: see Part.
func (p *part) Close() error { return nil }

// whole gives the engine that has all documents of eng's collections, and a function that gives the view that one of them belongs to, with
// its record there. Indexes are complete for a whole collection or not at all, so a rebuild must see to all parts.
func whole(eng Engine) (Engine, func(Record) (Engine, Record)) {
	p, ok := eng.(*part)
	if !ok {
		return eng, func(r Record) (Engine, Record) { return eng, r }
	}
	return p.eng, func(r Record) (Engine, Record) {
		name, _ := splitPart(r.ID)
		if name == "" {
			return p.eng, r
		}
		own := newPart(p.eng, name)
		return own, own.inside(r)
	}
}
