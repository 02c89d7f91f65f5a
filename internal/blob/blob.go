// Package blob is the port for large bytes: uploaded files, documents, exports. The engines are internal/blob/disk and internal/blob/s3;
// internal/blob/blobtest is the suite that both pass.
//
// # What is kept
//
// A blob belongs to one record, which a Space names: what the bytes are for, and whose they are. It is named by its content: within a space the
// same bytes are one blob, and putting them again changes nothing. Two spaces share nothing, so whoever deletes a record deletes its blobs
// and no other's; nobody counts references.
//
//	ref, err := blobs.Put(ctx, blob.Space{Purpose: "documents", Record: id}, body, 10<<20)
//	… store ref in the record …
//
// Put first and store the Ref after: a process that is killed in between leaves a blob that no record knows, never a record whose
// blob is missing. Sweep finds and deletes what was left. A record that may be put anew, because what brings it is repeated, gives each attempt a
// Space of its own: else the end of one attempt, or the sweep of what one left behind long ago, could delete what another has just put.
//
// # Guarantees that every engine MUST give
//
//   - A blob is durable before Put returns nil: it survives the death of the process and, on a disk, of the machine.
//   - There is a whole blob or none: a Put that fails, is cancelled or is killed leaves nothing that Open or List finds.
//   - A reader never gives the last bytes of a blob that is not what its hash says; it gives ErrCorrupt instead.
//   - Put, Delete, Open and List may be called by any number of goroutines and processes at once.
//
// # Personal data
//
// Blobs are stored as they are given. Bytes that belong to somebody who may be erased are encrypted by the caller, under the record's data
// key (internal/privacy), so that destroying the key erases every copy.
package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
)

// The errors of the port, beside faults. Engines wrap them; test with errors.Is.
var (
	ErrNotFound = errors.New("blob: not found")
	ErrCorrupt  = errors.New("blob: the bytes are not those that were put")
	ErrBadName  = errors.New("blob: a space or hash that cannot be")
)

// MaxSize is the largest limit of Put, in bytes: what S3 takes in one request.
const MaxSize = 5 << 30

// MaxList is the largest number of blobs that List gives at once.
const MaxList = 1000

// Space is the one record that a blob belongs to. Purpose ("documents", "imports", …) is what retention goes by; Record is the record's ID
// or, where that may hold other letters, a hash of it. Both are 1 to 64 of a-z, 0-9, '-' and '_'.
type Space struct {
	Purpose string `json:"purpose"`
	Record  string `json:"record"`
}

// Ref names a blob. It is what a record stores.
type Ref struct {
	Space
	Hash string `json:"hash"` // SHA-256 of the bytes, 64 lower-case hexadecimal digits
	Size int64  `json:"size"` // bytes
}

// Info is a blob as List sees it.
type Info struct {
	Ref
	Put time.Time // when it was put last, by the clock of whoever keeps it
}

// Store keeps blobs.
type Store interface {
	// Put reads r to its end and keeps what it read, unless that is more than limit bytes (1..MaxSize). An error of r comes back wrapped.
	// fault TooLarge (file_too_large); fault Unavailable (files_unavailable): nothing is wrong with the bytes, try again; ErrBadName.
	Put(ctx context.Context, s Space, r io.Reader, limit int64) (Ref, error)
	// Open gives the bytes of a blob from their beginning. Close it. For random access see Spool. ErrNotFound, also where the blob's size
	// is another than ref's; fault Unavailable; ErrBadName. Reading gives ErrCorrupt at the end at the latest.
	Open(ctx context.Context, ref Ref) (io.ReadCloser, error)
	// Delete deletes a blob for good. It is no error if there is none. fault Unavailable, ErrBadName.
	Delete(ctx context.Context, ref Ref) error
	// List gives up to limit (1..MaxList) blobs of a purpose in order of their keys, beginning after the one that after names ("": at the
	// beginning). Fewer than limit is the end. fault Unavailable, ErrBadName.
	List(ctx context.Context, purpose, after string, limit int) ([]Info, error)
}

// Key is the blob's name in a store: "documents/3f/3f9a….{record}". Keys of a purpose are ordered by hash.
func (r Ref) Key() string { return r.Purpose + "/" + r.Hash[:2] + "/" + r.Hash + "." + r.Record }

// ParseKey reads a key; the size is not in it. ErrBadName.
func ParseKey(key string) (Ref, error) {
	const tail = 1 + 2 + 1 + 64 + 1 // "/3f/3f9a….", between the purpose and the record
	for i := range key {
		if key[i] != '/' {
			continue
		}
		if len(key) <= i+tail {
			break
		}
		r := Ref{Space: Space{Purpose: key[:i], Record: key[i+tail:]}, Hash: key[i+4 : i+4+64]}
		if err := r.Check(); err != nil {
			return Ref{}, err
		}
		if r.Key() != key {
			break
		}
		return r, nil
	}
	return Ref{}, fmt.Errorf("%w: key %q", ErrBadName, clip(key))
}

// Check says whether the space can be. ErrBadName.
func (s Space) Check() error {
	if !word(s.Purpose) || !word(s.Record) {
		return fmt.Errorf("%w: %q/%q", ErrBadName, clip(s.Purpose), clip(s.Record))
	}
	return nil
}

// Check says whether the reference can be. ErrBadName.
func (r Ref) Check() error {
	if err := r.Space.Check(); err != nil {
		return err
	}
	if b, err := hex.DecodeString(r.Hash); err != nil || len(b) != 32 || hex.EncodeToString(b) != r.Hash || r.Size < 0 {
		return fmt.Errorf("%w: hash %q, %d bytes", ErrBadName, clip(r.Hash), r.Size)
	}
	return nil
}

// CheckPurpose says whether a purpose can be. ErrBadName.
func CheckPurpose(p string) error {
	if !word(p) {
		return fmt.Errorf("%w: purpose %q", ErrBadName, clip(p))
	}
	return nil
}

func word(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

func clip(s string) string { return s[:min(len(s), 80)] }

// Unavailable is the fault of an engine that cannot do its work now.
func Unavailable(err error) error {
	return &fault.Error{
		Kind: fault.Unavailable, Code: "files_unavailable", Detail: "files cannot be stored or read for now; try again", Retry: 5 * time.Second, Err: err,
	}
}
