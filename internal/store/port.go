// Package store is the collection port: what the program asks of a database, cut to what SQLite and MongoDB do exactly
// alike. The engines are internal/store/sqlite and internal/store/mongo; internal/store/storetest is the suite that both pass.
//
// Guarantees that every engine MUST give:
//
//   - A write is durable before its call returns nil: it survives the death of the process and of the machine.
//   - Only the ID is unique. A second unique key is a claim document of its own.
//   - There is no transaction over several documents. What must be atomic lives in one document.
//   - A read that starts after a write returned sees the write.
//   - Bodies come back byte for byte as they were written (so that a hash over one stays true). This is why a body is one
//     opaque JSON text to both engines and what is to be found is in the index keys beside it.
package store

import (
	"context"
	"errors"
	"time"
)

// The errors of the port. Engines wrap them; test with errors.Is.
var (
	ErrNotFound    = errors.New("store: not found")
	ErrExists      = errors.New("store: exists")
	ErrConflict    = errors.New("store: changed meanwhile")
	ErrTooLarge    = errors.New("store: document over 1 MiB")
	ErrUnavailable = errors.New("store: unavailable")
	ErrBadCursor   = errors.New("store: bad cursor")
)

// MaxBody is the largest body, in bytes, on every engine.
const MaxBody = 1 << 20

// MaxBatch is the largest number of records or IDs in one call.
const MaxBatch = 1000

// Record is a document as engines see it.
type Record struct {
	ID      string // 1 to MaxID bytes of valid UTF-8
	Rev     int64  // 1 when inserted, +1 by each replace
	Body    []byte // JSON, at most MaxBody
	Entries []Entry
	Expires time.Time // zero: never. From this instant on the document is absent for every read and may be overwritten by Insert.
}

// Entry is one index entry of a document. An index may have several entries for a document, with different Eq, all with
// the same Order.
type Entry struct {
	Index string
	Eq    Key // equality
	Order Key // range and order; may be empty
}

// Scan asks for the entries of one index under one Eq, ordered by (Order, ID).
type Scan struct {
	Index    string
	Eq       Key
	From, To Key // Order in [From, To); nil: open
	Desc     bool
	Limit    int       // 1..MaxBatch
	After    *Position // exclusive start: the position of the last item of the page before
}

// Position is a place in a scan.
type Position struct {
	Order Key
	ID    string
}

// Cursor is what a Query takes to go on behind p.
func (p Position) Cursor() string { return encodeCursor(p) }

// Hit is one result of a scan. Record is without Entries, and nil when only keys were asked for.
type Hit struct {
	Position
	Record *Record
}

// Change is one entry of a collection's change feed. A deleted document has a Record with ID only, and Deleted set.
type Change struct {
	Record  Record
	Deleted bool
}

// Spec declares a collection. Declaring is idempotent. Indexes lists index names with a version that changes when the
// function that computes its entries changes; the engine reports which are new or changed so that they can be rebuilt.
type Spec struct {
	Name    string            // [a-z_]+
	Indexes map[string]string // name → version
	Feed    bool              // keeps a change feed
}

// Reader reads documents.
type Reader interface {
	// Get gives the documents that exist, in any order, in one round trip. At most MaxBatch ids.
	Get(ctx context.Context, coll string, ids []string) ([]Record, error)
	// Scan walks an index. keysOnly leaves Hit.Record nil and reads no document, so it may name an expired one.
	Scan(ctx context.Context, coll string, s Scan, keysOnly bool) ([]Hit, error)
	// Count counts the entries of the scan (After and Limit are not used), stopping at limit.
	Count(ctx context.Context, coll string, s Scan, limit int) (int, error)
}

// Writer writes documents.
type Writer interface {
	// Insert inserts each record with Rev 1, not atomically over several. The slice has an error per record: nil, ErrExists or
	// ErrTooLarge. The second error is for the call as a whole, after which nothing is known about any record.
	Insert(ctx context.Context, coll string, recs []Record) ([]error, error)
	// Replace replaces body, entries and expiry if the stored revision is rec.Rev, and stores Rev+1. ErrNotFound, ErrConflict.
	Replace(ctx context.Context, coll string, rec Record) error
	// Delete deletes if the stored revision is rev, or any if rev is 0. ErrNotFound, ErrConflict.
	Delete(ctx context.Context, coll, id string, rev int64) error
	// Add adds deltas to the named counters of a counter document, creating it; atomic over the document, not idempotent.
	// Counter documents live beside the others: the body is a flat JSON object of integers. They have no index entries, and must
	// be created by Add only. It returns nothing: read with Get.
	Add(ctx context.Context, coll, id string, deltas map[string]int64) error
}

// Feeder follows what is written.
type Feeder interface {
	// Changes gives changes since token ("" is the beginning), at least once, per document in order; a document changed twice
	// may show only its newest state. An empty list with the same or a new token means 'nothing for now'. limit is 1..MaxBatch.
	// ErrBadCursor: deletions after the token, which is older than 30 days, are forgotten; begin anew with "", which gives every
	// document that exists.
	Changes(ctx context.Context, coll, token string, limit int) (changes []Change, next string, err error)
	// Wake gives a channel of the caller's own, to be kept, that gets a value soon after this process wrote to coll's feed; other
	// processes' writes are found by polling.
	Wake(coll string) <-chan struct{}
}

// Engine is one database.
type Engine interface {
	Reader
	Writer
	Feeder
	// Declare creates or updates a collection and returns the indexes that are new or whose version changed. Until Rebuilt is called
	// for them their entries are incomplete and they are returned again.
	Declare(ctx context.Context, spec Spec) (stale []string, err error)
	// All walks every document in ID order, for rebuilds and exports only. after is exclusive.
	All(ctx context.Context, coll, after string, limit int) ([]Record, error)
	// Reindex replaces the entries of a document if its revision is still rec.Rev, without a new revision and without the feed.
	Reindex(ctx context.Context, coll string, rec Record) error
	// Rebuilt marks indexes as complete.
	Rebuilt(ctx context.Context, spec Spec, indexes []string) error
	// Sweep deletes up to limit expired documents of a collection and says how many.
	Sweep(ctx context.Context, coll string, limit int) (int, error)
	// Ping proves that a write could be accepted now.
	Ping(ctx context.Context) error
	// Close waits for writes under way and closes.
	Close() error
}
