package mongo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/haisu-trace/haisu/internal/store"
)

var _ store.Archive = (*Engine)(nil)

// Collections gives every collection that the meta collection knows. ErrUnavailable.
func (e *Engine) Collections(ctx context.Context) ([]store.CollectionInfo, error) {
	done, err := e.begin()
	if err != nil {
		return nil, err
	}
	defer done()
	return e.collections(ctx)
}

// collections is as of one point in time if ctx carries a snapshot session.
func (e *Engine) collections(ctx context.Context) ([]store.CollectionInfo, error) {
	var recorded []struct {
		ID       string   `bson:"_id"`
		Declared declared `bson:",inline"`
	}
	cur, err := e.meta.Find(ctx, bson.D{}, options.Find().SetSort(idKeys))
	if err == nil {
		err = cur.All(ctx, &recorded)
	}
	if err != nil {
		return nil, mapSnapshotError("collections", metaCollection, err)
	}
	var out []store.CollectionInfo
	for _, d := range recorded {
		if strings.HasPrefix(d.ID, "/") {
			continue // not a collection name
		}
		info := store.CollectionInfo{Spec: store.Spec{Name: d.ID, Indexes: map[string]string{}, Feed: d.Declared.Feed}}
		for name, ix := range d.Declared.Indexes {
			info.Indexes[name] = ix.Version
		}
		if info.Restore, err = e.unfinished(ctx, d.Declared); err != nil {
			return nil, err
		}
		if info.Empty, err = e.bare(ctx, d.ID); err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	return out, nil
}

// bare says whether a collection holds nothing, tombstones included.
func (e *Engine) bare(ctx context.Context, coll string) (bool, error) {
	err := e.db.Collection(coll).FindOne(ctx, bson.D{}, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
	if errors.Is(err, driver.ErrNoDocuments) {
		return true, nil
	}
	return false, mapSnapshotError("collections", coll, err)
}

// Snapshot reads in a snapshot session: the server picks a point of majority-committed data with the first read and gives the same to all that
// follow, on every shard. It needs MongoDB 5.0 or later, and a replica set or sharded cluster. Through a mongos that has not heard of the
// newest writes of others, the point may be a moment before the call.
//
// The servers keep the past for minSnapshotHistoryWindowInSeconds, 300 by default; a snapshot that is read for longer ends with
// ErrSnapshotLost. A transaction would not do instead: it is ended after transactionLifetimeLimitSeconds, 60 by default, and holds
// back what the storage engine may forget.
func (e *Engine) Snapshot(ctx context.Context, f func(store.SnapshotReader) error) error {
	done, err := e.begin()
	if err != nil {
		return err
	}
	defer done()
	s, err := e.client.StartSession(options.Session().SetSnapshot(true))
	if err != nil {
		return mapSnapshotError("snapshot", "", err)
	}
	defer s.EndSession(context.WithoutCancel(ctx))
	r := &snapshot{e: e, s: s, now: e.now()}
	if _, err := r.Collections(ctx); err != nil {
		return fmt.Errorf("%w (a snapshot needs MongoDB 5.0 or later, as replica set or sharded cluster)", err)
	}
	if s.SnapshotTime().IsZero() {
		// The driver would read on, each time at another point.
		return errors.New("mongo: snapshot: the server names no point in time; it must be MongoDB 5.0 or later, as replica set or sharded cluster")
	}
	return f(r)
}

type snapshot struct {
	e   *Engine
	s   *driver.Session
	now time.Time
}

func (r *snapshot) Collections(ctx context.Context) ([]store.CollectionInfo, error) {
	return r.e.collections(driver.NewSessionContext(ctx, r.s))
}

func (r *snapshot) All(ctx context.Context, coll, after string, limit int) ([]store.Record, error) {
	if !collectionName.MatchString(coll) {
		return nil, fmt.Errorf("mongo: collection name %q", coll)
	}
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	c := &collection{Collection: r.e.db.Collection(coll), name: coll}
	docs, err := c.allPage(driver.NewSessionContext(ctx, r.s), after, r.now, limit)
	if err != nil {
		return nil, snapshotError(err)
	}
	return records(docs)
}

// lostCodes say that the server no longer has, or does not have yet, a collection as it was at the point in time.
var lostCodes = map[int]bool{
	239: true, // SnapshotTooOld
	246: true, // SnapshotUnavailable: an index or the collection itself was made or dropped about then
}

const lostRemedy = "the servers do not keep that point in time: begin anew and, if the backup takes longer than they keep it, let them keep it for longer on " +
	"every data-bearing member, db.adminCommand({setParameter: 1, minSnapshotHistoryWindowInSeconds: 3600}), which is 300 by default"

// snapshotError adds what to do to the error of a snapshot that is lost.
func snapshotError(err error) error {
	if err == nil || !hasCode(err, lostCodes) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", store.ErrSnapshotLost, lostRemedy, err)
}

func mapSnapshotError(op, coll string, err error) error {
	return snapshotError(mapError(op, coll, err))
}
