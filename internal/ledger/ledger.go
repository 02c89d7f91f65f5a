// Package ledger is the transparency log: an append-only Merkle tree (RFC 6962) whose leaves are the documents that the public must be
// able to hold the program to. What was published or captured once can be corrected by a later leaf; it cannot be changed or taken away
// without the tree showing it to everybody who kept a checkpoint.
//
// # A leaf
//
// A leaf's document is a JSON text with two parts: what anyone may read, and the hash of everything that is stored, under a nonce of its
// own. A leaf's entry is SHA-256(nonce ‖ document): short texts can be guessed, and a hash that nobody can guess may stay when
// the text must go. Forget destroys both nonces; the entry, and with it the tree, stays as it was. So anyone can rebuild the tree from what is
// public, and whoever may see the whole document can tell that it is the one that was logged.
//
// # Who writes
//
// Leaves get their positions in batches, and a batch's ID is its first position. Of two sequencers that stand at the same end of the log
// one inserts and the other is refused, so the log cannot fork, whoever holds the lease; the lease only saves the work. What follows
// from a batch (pointers from documents to leaves, tiles, the checkpoint) is found again from it and may be repeated. A document
// gets its leaf once: before a sequencer looks up which documents have leaves, everything up to its end of the log is followed up.
//
// A round costs O(batch + log n): inner nodes are kept as tiles of 256 (C2SP tlog-tiles), and what a sequencer needs of them is the right edge.
//
// # Who reads
//
// A checkpoint (C2SP tlog-checkpoint, a signed note) is published after everything that it covers is durable and readable. Without
// holders outside nothing is provable: see Holders. The checker in internal/ledger/check shares no code with the sequencer.
//
// # Origins
//
// A log is known by its origin. A restored store may be behind checkpoints that were published, so a restore makes the log another one: the
// same leaves up to there, under a new origin. Old checkpoints that it still contains can be compared with it; those that it does
// not contain show what was lost.
package ledger

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

// Document is a document that has, or is to have, a leaf.
type Document struct {
	Public []byte // a JSON text that anyone may read; nil: nothing of it
	Sealed []byte // a JSON text of everything that is stored; for its owner and for officers
	Owner  string // the firm that may read Sealed; "": officers alone
}

// Page is a part of a source's feed.
type Page struct {
	Keys []string // of documents; one has at most 512 bytes
	Next string   // the token behind it; the same as before says that there is nothing for now
	Last bool     // whether nothing was behind it when it was read
}

// Source is a kind of documents of which each gets a leaf.
type Source interface {
	// Kind names it, in [a-z_]; it is part of every leaf, and never changes.
	Kind() string
	// Changes gives the keys of documents that are there since token, at least once each; see store.Feeder, of which it also has the errors.
	Changes(ctx context.Context, token string, limit int) (Page, error)
	// Documents gives the documents that are stored under keys, byte for byte the same each time as long as nobody alters them.
	Documents(ctx context.Context, keys []string) (map[string]Document, error)
	// Wake gives channels that get a value soon after this process wrote such a document.
	Wake() []<-chan struct{}
}

// Keyer gives the key that signs checkpoints; secret.Box does. It must be the same in every replica.
type Keyer interface {
	SigningKey(purpose string) ed25519.PrivateKey
}

// keyPurpose is what the key of checkpoints is derived for.
const keyPurpose = "ledger/1"

// Deps are what the log works with.
type Deps struct {
	Engine store.Engine
	Keys   Keyer
	Leases *store.Leases
	// Name begins the origin of a new log: a host name, or what else is this installation's own. It has no effect on one that is there.
	Name string
	Rand io.Reader // of nonces
	Now  clock.Now
	Log  *slog.Logger // may be nil
}

// Service is the log. It is safe for concurrent use.
type Service struct {
	deps    Deps
	key     ed25519.PrivateKey
	log     *slog.Logger
	now     clock.Now
	sources map[string]Source

	batches *store.Collection[batch]
	leaves  *store.Collection[pointer]
	tiles   *store.Collection[tile]
	states  *store.Collection[state]
	holders *store.Collection[holderDoc]

	mu       sync.Mutex // held by the one sequencer of this process
	edge     *edge      // the right edge of the tree, where it is known
	tokens   map[string]string
	peeked   map[string]peek
	progress progress
	wake     chan struct{} // tells the sequencer that there is something
}

// Open opens the collections, makes the log if there is none, and gives a restored one its new origin.
func Open(ctx context.Context, d Deps) (*Service, error) {
	if strings.ContainsAny(d.Name, "+ \t\n") || d.Name == "" {
		return nil, fmt.Errorf("ledger: %q cannot begin an origin", d.Name)
	}
	s := &Service{deps: d, log: d.Log, now: d.Now, key: d.Keys.SigningKey(keyPurpose), sources: map[string]Source{}, tokens: map[string]string{}, peeked: map[string]peek{}, wake: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var all []error
	var err error
	s.batches, err = store.Open(ctx, d.Engine, batchDef)
	all = append(all, err)
	s.leaves, err = store.Open(ctx, d.Engine, store.Def[pointer]{Name: "ledger_leaves"})
	all = append(all, err)
	s.tiles, err = store.Open(ctx, d.Engine, store.Def[tile]{Name: "ledger_tiles"})
	all = append(all, err)
	s.states, err = store.Open(ctx, d.Engine, store.Def[state]{Name: StateCollection})
	all = append(all, err)
	s.holders, err = store.Open(ctx, d.Engine, store.Def[holderDoc]{Name: "ledger_holders"})
	all = append(all, err)
	if err := errors.Join(all...); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	s.progress.caughtUp = s.now()
	if _, err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return s, nil
}

// Follow adds a source. It is called before anything else is done with the log: what scans say of it comes from the log itself, so
// it is there before its sources are.
func (s *Service) Follow(src Source) error {
	if k := src.Kind(); !validKind(k) || s.sources[k] != nil {
		return fmt.Errorf("ledger: a source of kind %q", k)
	}
	s.sources[src.Kind()] = src
	return nil
}

func validKind(k string) bool {
	return k != "" && strings.Trim(k, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// progress is what this process knows of how far the log has come.
type progress struct {
	mu        sync.Mutex
	size      int64
	caughtUp  time.Time // when it last saw that nothing was waiting
	conflicts int64     // batches that another sequencer was faster with
}

func (p *progress) update(f func(p *progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

// Stats is what metrics show.
type Stats struct {
	Size      int64         // leaves under the last checkpoint that this process saw
	Lag       time.Duration // for how long something has been waiting for its leaf, at most
	Conflicts int64         // batches that another sequencer was faster with, since the process began
}

// Stats gives the present numbers.
func (s *Service) Stats() Stats {
	s.progress.mu.Lock()
	defer s.progress.mu.Unlock()
	return Stats{Size: s.progress.size, Lag: max(s.now().Sub(s.progress.caughtUp)-idleEvery, 0), Conflicts: s.progress.conflicts}
}
