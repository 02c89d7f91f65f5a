// Package backup writes a whole store into encrypted files while servers go on, and restores one from them, into either engine.
//
// # Two files
//
// A backup is one point in time over all collections, in two files. The file of data, NAME.backup, has every collection but data_keys;
// it is to be kept for as long as backups are kept. The file of data keys has the collection data_keys alone: the wrapped keys of the
// records with personal data, one of which is destroyed when a record is erased. A copy of a destroyed key would undo the erasure in every
// older file of data. So the file of data keys has one name per installation, and each backup replaces it; a file of data is restored with
// the newest file of data keys, and what has been erased since stays unreadable. It is put in place before the file of data, so that a
// killed backup leaves no data whose keys are not there. A restore refuses a file of data keys that is older than the data, unless it is
// named by hand.
//
// # Keys
//
// Each file is encrypted under a key of its own, which stands in the file's header, sealed with the installation's keys (KEYS_FILE). A
// key for backups alone would gain nothing: passwords' hashes, one-time code secrets and data keys in the backup need the same KEYS_FILE, so
// nobody can use a restored store without it. So a file needs one of the keys that KEYS_FILE had when it was written: keep a copy of KEYS_FILE, apart from the
// backups, from before keys are retired, for as long as a backup from that time is kept.
//
// # Damage
//
// A file is a stream of Tink's streaming AEAD (AES-256-GCM-HKDF, segments of 1 MiB), with the header as associated data: a segment that was altered, moved,
// left out, added or taken from another file does not decrypt, and a file that is cut off has no last segment. Within it a manifest at the end has
// count and SHA-256 of each collection. A restore reads both files to their ends before it writes anything, and reads them once more to write; so
// it needs no space of its own, and what it writes is authentic even if somebody changes a file in between.
package backup

import (
	"context"
	"errors"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// Format is the version of the files that this package writes, and the only one that it reads.
const Format = 1

// DataKeys is the collection that has a file of its own.
const DataKeys = "data_keys"

var (
	// ErrDamaged says that a file is not what was written: cut off, altered, or put together from others.
	ErrDamaged = errors.New("backup: the file is damaged")
	// ErrWrongKeys says that the keys file is not the one of the backup, or no longer has its key.
	ErrWrongKeys = errors.New("backup: the keys file does not open the backup")
	// ErrNotEmpty says that the store to restore into holds something.
	ErrNotEmpty = errors.New("backup: the store is not empty")
	// ErrMismatch says that the two files do not belong together.
	ErrMismatch = errors.New("backup: the data keys do not belong to the data")
)

// Box seals the key of a file, and marks the installation; secret.Box does.
type Box interface {
	Seal(purpose string, plain []byte) (string, error)
	Open(purpose, sealed string) ([]byte, error)
	Hash(purpose, token string) string
}

// Source is what is backed up.
type Source interface {
	Snapshot(ctx context.Context, f func(store.SnapshotReader) error) error
}

// Target is what is restored into.
type Target interface {
	Collections(ctx context.Context) ([]store.CollectionInfo, error)
	BeginRestore(ctx context.Context, id string, specs []store.Spec) error
	Restore(ctx context.Context, id, coll string, recs []store.Record) error
	EndRestore(ctx context.Context, id string) error
}

// Manifest is what a file says of itself, at its end.
type Manifest struct {
	Format       int          `json:"format"`
	Kind         string       `json:"kind"`         // KindData or KindDataKeys
	ID           string       `json:"id"`           // both files of one backup have the same
	Installation string       `json:"installation"` // the same for all backups under one KEYS_FILE
	Made         time.Time    `json:"made"`         // when the snapshot was taken
	Engine       string       `json:"engine"`       // sqlite or mongodb
	Collections  []Collection `json:"collections"`  // in order of names
}

// The kinds of files.
const (
	KindData     = "data"
	KindDataKeys = "data_keys"
)

// Collection is one collection in a file.
type Collection struct {
	Name    string            `json:"name"`
	Feed    bool              `json:"feed,omitempty"`
	Indexes map[string]string `json:"indexes,omitempty"` // versions by name
	Records int64             `json:"records"`
	Bytes   int64             `json:"bytes"`  // of the records, before compression
	SHA256  string            `json:"sha256"` // of the records as they stand in the file; the same from both engines
}

func (c *Collection) spec() store.Spec {
	return store.Spec{Name: c.Name, Indexes: c.Indexes, Feed: c.Feed}
}

// Totals gives the numbers of records and bytes of all collections.
func (m *Manifest) Totals() (records, bytes int64) {
	for _, c := range m.Collections {
		records += c.Records
		bytes += c.Bytes
	}
	return records, bytes
}

// Progress is how far a backup or restore has come. It is told after each page.
type Progress struct {
	Phase          string // "write", "verify" or "restore"
	Collection     string
	Records, Bytes int64 // of all collections of the file
}

// Tell is told of progress; nil: nobody is.
type Tell func(Progress)

func (t Tell) tell(p Progress) {
	if t != nil {
		t(p)
	}
}
