// Package audit is the audit trail: who did what, on what, with what was before and after, why and from where.
//
// The trail only grows. Its entries are numbered from 1 without a gap and chained: each has the hash
//
//	hash = SHA-256(hash of the entry before ‖ the entry)
//
// over 32 bytes and the bytes of the entry's JSON as they are stored and exported. Before entry 1 stands the genesis, a keyed hash of the
// installation, so that a trail cannot be passed off as another installation's. Entries are stored in batches, and every batch
// carries a keyed MAC: whoever can write to the database and has not the keys file can remove and destroy, and cannot forge.
// What was cut off at the end shows against a Checkpoint that an auditor keeps elsewhere; everything else shows by itself. Verify says
// where the first break is and of what kind.
//
// There is one chain for all replicas. A batch is a document whose ID is its position, and the insert decides: who comes second is refused by
// the store, reads on, and tries one position later. Two writers cannot fork the chain, and no lease is needed.
//
// Guarantees:
//
//   - Begin and Record return nil only after their entry is durable. An action that is begun this way cannot happen without a trace.
//   - An entry is written once, however often an insert's answer is lost: a batch carries a nonce, and is recognised by it.
//   - An attempt whose outcome was not recorded is shown as Unknown: still under way, or cut short by the end of the process.
//   - What callers give as Before and After is kept up to MaxState bytes, beyond that as a Digest. Numbers stay as they were written.
//
// Personal data does not stand in Before and After in clear: callers give documents as they are stored, whose personal fields are
// sealed. The network address is sealed here, under a data key of the month.
package audit

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

// The phases of an action.
const (
	Attempt = "attempt" // it is about to be done
	Done    = "done"    // it was done
	Failed  = "failed"  // it was refused or failed; Outcome says why
	Read    = "read"    // something was read; a single fact without attempt
)

// Unknown is the Outcome that List shows for an attempt without a recorded outcome.
const Unknown = "unknown"

// Entry is one entry of the trail. Seq, At and Hash are given by the trail. Texts are cut to MaxText bytes, Why to MaxWhy.
type Entry struct {
	Seq       int64
	At        time.Time // when it was written, by the clock of the replica that wrote it; UTC, milliseconds
	Actor     string    // "operator:chen.yu", "seller:firm/key", "command:operator add"
	Authority string    // the body that the actor acts for
	Action    string    // as the permission table names it
	Subject   string    // what it was done on: "warning/HN-2026-0007"
	Phase     string
	Outcome   string // Failed: the stable code of the failure; in a List, of an attempt: Done, Failed or Unknown
	Why       string // the reason that the actor gave
	RequestID string
	From      string // network address; given in clear, and kept sealed (see Address)
	Attempt   int64  // Done, Failed: Seq of the attempt

	Before, After             json.RawMessage // canonical when read
	BeforeDigest, AfterDigest *Digest         // instead of a Before or After that is too large

	Hash string // hexadecimal
}

// Digest stands for a document over MaxState bytes.
type Digest struct {
	Bytes  int    `json:"bytes"`  // of the canonical JSON
	SHA256 string `json:"sha256"` // of the canonical JSON, hexadecimal
}

// Keyer makes keyed hashes: a *secret.Box. The purpose is bound into the hash. Whoever has the key can forge the trail, and nobody else.
type Keyer interface {
	Hash(purpose, text string) string
}

// Vault seals network addresses: a *privacy.Vault.
type Vault interface {
	// Seal encrypts one field under the record's data key, which it makes at first use.
	Seal(ctx context.Context, record, field string, plain []byte) (string, error)
	// Retain sets when the record's data key is destroyed. It may be repeated.
	Retain(ctx context.Context, record string, until time.Time) error
}

// Deps is what the trail needs.
type Deps struct {
	Engine store.Engine
	Keys   Keyer
	Vault  Vault // nil: addresses are not kept
	Now    clock.Now
	Log    *slog.Logger // told when the store does not take the trail; nil: nobody
}

// collection is the name of the trail's collection.
const collection = "audit_batches"

// Service is the trail. It is safe for concurrent use, and any number of them may write to one store.
type Service struct {
	batches *store.Collection[batch]
	raw     store.Engine // reads bodies as they are stored, to check them
	keys    Keyer
	vault   Vault
	now     clock.Now
	log     *slog.Logger
	genesis digest

	sealing months
	counts  counts

	queue  queue
	ctx    context.Context // ends when Close gives up
	cancel context.CancelFunc
	head   *head // the writer's own; nil: not known
}

// Open declares the collection. Close ends what it may begin.
func Open(ctx context.Context, d Deps) (*Service, error) {
	s := &Service{raw: d.Engine, keys: d.Keys, vault: d.Vault, now: d.Now, log: d.Log, genesis: genesis(d.Keys)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.batches, err = store.Open(ctx, d.Engine, store.Def[batch]{Name: collection, Indexes: indexes}); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// closeLimit is how long Close waits for the store.
const closeLimit = 5 * time.Second

// Close refuses further entries, waits until those that wait are durable, 5 s at most, and answers the rest with Unavailable. The store
// must be closed after it.
func (s *Service) Close() error {
	idle := s.queue.close()
	if idle != nil {
		limit := time.AfterFunc(closeLimit, s.cancel)
		<-idle
		limit.Stop()
	}
	s.cancel()
	return nil
}

// Stats counts what this process wrote, since it opened the trail.
type Stats struct {
	Entries   int64 // durable
	Batches   int64 // inserts that they took
	Conflicts int64 // positions that another writer took first
	Recovered int64 // inserts whose answer was lost, and that were found again by their nonce
	Failures  int64 // calls of the store that failed
	Refused   int64 // entries refused because the queue was full
	Waiting   int   // entries that wait now
}

// Stats gives the counts, for metrics.
func (s *Service) Stats() Stats {
	return Stats{
		Entries: s.counts.entries.Load(), Batches: s.counts.batches.Load(), Conflicts: s.counts.conflicts.Load(),
		Recovered: s.counts.recovered.Load(), Failures: s.counts.failures.Load(), Refused: s.counts.refused.Load(),
		Waiting: s.queue.len(),
	}
}

// months are the months whose data keys this process has given a term.
type months struct {
	mu   sync.Mutex
	done map[string]bool
}
