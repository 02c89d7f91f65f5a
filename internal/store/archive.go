package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrRestoring says that a collection is being filled by a restore that has not ended: nobody may use it until the restore was repeated
// to its end.
var ErrRestoring = errors.New("store: a restore is unfinished")

// ErrSnapshotLost says that the database no longer keeps the point in time that a snapshot reads. The snapshot must be begun anew, and be
// read faster or kept longer; the error's text says how.
var ErrSnapshotLost = errors.New("store: snapshot lost")

// CollectionInfo is a collection as backup and restore see it.
type CollectionInfo struct {
	Spec
	Empty   bool   // it holds no document at all, not even an expired one
	Restore string // the unfinished restore that fills it; "" if none
}

// SnapshotReader reads one point in time. It is for one goroutine at a time.
type SnapshotReader interface {
	// Collections gives every collection that was ever declared, whether or not by this process, in order of names.
	Collections(ctx context.Context) ([]CollectionInfo, error)
	// All walks the documents of a collection in ID order, those left out that had expired when the snapshot began. after is exclusive. A
	// page may end early; only an empty one is the end. Records are without entries.
	All(ctx context.Context, coll, after string, limit int) ([]Record, error)
}

// Archive is what backup and restore ask of a database, beside Engine. None of it needs a collection to be declared by this process, and
// none of it declares one, so that it may run beside servers of any version.
type Archive interface {
	// Collections gives every collection that was ever declared, in order of names.
	Collections(ctx context.Context) ([]CollectionInfo, error)
	// Snapshot calls f with a reader of one point in time over all collections, which is valid until f returns. The point is not before
	// the call. Writers go on meanwhile. ErrSnapshotLost, ErrUnavailable; else f's error as it is.
	Snapshot(ctx context.Context, f func(SnapshotReader) error) error

	// BeginRestore prepares collections to be filled by the restore that id names, and does nothing if it has done so before. Each must
	// hold no document, or be this restore's already: ErrExists; after an error none or some are prepared. From now on Declare of any of them
	// gives ErrRestoring. Their indexes count as incomplete, so that the next Declare returns them. Their feeds start anew: a token from
	// before gives ErrBadCursor, whatever database it is from. ErrExists also if this restore has ended already; ErrRestoring if another
	// restore has prepared one of them.
	BeginRestore(ctx context.Context, id string, specs []Spec) error
	// Restore stores up to MaxBatch records as they were, with revision and expiry, without entries. It may be repeated: a record that is stored
	// already is left alone, and ErrExists if another has its ID. A counter document is known by its body and takes Add again.
	// ErrNotFound if the restore did not prepare the collection, or has ended.
	Restore(ctx context.Context, id, coll string, recs []Record) error
	// EndRestore gives all collections of a restore free at once, and does nothing if it has done so before. ErrNotFound if the restore was
	// never begun.
	EndRestore(ctx context.Context, id string) error
}

// LeaseCollection is the collection of Leases.
const LeaseCollection = "leases"

// FreeLease gives a stored lease as a restored database must have it: held by nobody, since its holder does not know the restored
// database, and with its fence, since documents carry that of whoever wrote them and refuse smaller ones. The next holder has the next fence.
func FreeLease(r Record) (Record, error) {
	var l Lease
	if err := json.Unmarshal(r.Body, &l); err != nil {
		return r, fmt.Errorf("lease %s: %w", r.ID, err)
	}
	l.Owner = ""
	body, err := json.Marshal(l)
	if err != nil {
		return r, fmt.Errorf("lease %s: %w", r.ID, err)
	}
	r.Body = body
	return r, nil
}
