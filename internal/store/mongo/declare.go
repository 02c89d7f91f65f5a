package mongo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/haisu-trace/haisu/internal/store"
)

// metaCollection holds, for each collection, which version of each index is complete, and the document that Ping writes.
const metaCollection = "haisu_meta"

// pingID is not a collection name.
const pingID = "/ping"

// declareTimeout bounds a Declare whose context has no deadline: building an index on a large collection takes its time.
const declareTimeout = time.Hour

// maxUpserts bounds the repetitions of an upsert that met its like; one repetition finds the document of the other.
const maxUpserts = 5

var (
	collectionName = regexp.MustCompile(`^[a-z_]{1,64}$`)
	indexName      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// declared is a document of the meta collection.
type declared struct {
	Indexes map[string]struct {
		Version  string `bson:"v"`
		Complete bool   `bson:"ok"`
	} `bson:"i"`
	// Feed is that a feed is kept; set once the collection was declared.
	Feed bool `bson:"f"`
	// Forgotten is the newest stamp of a tombstone that was removed.
	Forgotten bson.Timestamp `bson:"p"`
	// Restore is the restore that has filled the collection or is filling it, and Epoch the feed's since then.
	Restore string `bson:"s"`
	Epoch   int64  `bson:"h"`

	known bool // there is a document
}

// Declare creates what is missing of a collection and its indexes, waits until they are built, and returns the indexes that are new or
// changed and not yet Rebuilt. MongoDB's index for one that is no longer declared is left alone, because replicas of the version before
// may still use it, but counts as incomplete from now on.
// ErrRestoring, ErrUnavailable.
func (e *Engine) Declare(ctx context.Context, spec store.Spec) ([]string, error) {
	done, err := e.begin()
	if err != nil {
		return nil, err
	}
	defer done()
	if err := checkSpec(spec); err != nil {
		return nil, err
	}
	c := &collection{Collection: e.db.Collection(spec.Name), name: spec.Name, feed: spec.Feed, indexes: map[string]bool{}}
	for name := range spec.Indexes {
		c.indexes[name] = true
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, declareTimeout)
		defer cancel()
	}
	if _, err := c.Indexes().CreateMany(ctx, indexModels(spec)); err != nil {
		return nil, mapError("declare", spec.Name, err)
	}
	have, err := e.declaredAs(ctx, "declare", spec.Name)
	if err != nil {
		return nil, err
	}
	if by, err := e.unfinished(ctx, have); err != nil {
		return nil, err
	} else if by != "" {
		return nil, restoringError(spec.Name, by)
	}
	stale, err := e.stale(ctx, spec, have)
	if err != nil {
		return nil, err
	}
	c.epoch = uint64(have.Epoch)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.colls[spec.Name] = c
	return stale, nil
}

func checkSpec(spec store.Spec) error {
	if !collectionName.MatchString(spec.Name) || spec.Name == metaCollection {
		return fmt.Errorf("mongo: collection name %q", spec.Name)
	}
	for name := range spec.Indexes {
		if !indexName.MatchString(name) {
			return fmt.Errorf("mongo: index name %q of %s", name, spec.Name)
		}
	}
	return nil
}

// indexModels gives the MongoDB indexes of a collection. Those of the declared indexes are partial: documents without entries, counters
// and tombstones are not in them. An equality implies the partial filter, so every scan may use them. None is unique; a sharded
// collection could not have that.
func indexModels(spec store.Spec) []driver.IndexModel {
	var ms []driver.IndexModel
	for _, name := range slices.Sorted(maps.Keys(spec.Indexes)) {
		eq := "e." + name
		ms = append(ms, driver.IndexModel{
			Keys: bson.D{{Key: eq, Value: 1}, {Key: "o." + name, Value: 1}},
			Options: options.Index().SetName(indexPrefix + name).
				SetPartialFilterExpression(bson.D{{Key: eq, Value: bson.D{{Key: "$exists", Value: true}}}}),
		})
	}
	ms = append(ms, driver.IndexModel{
		Keys:    bson.D{{Key: "x", Value: 1}},
		Options: options.Index().SetName(expiryIndex).SetSparse(true),
	})
	if !spec.Feed {
		return ms
	}
	return append(ms,
		driver.IndexModel{Keys: feedKeys, Options: options.Index().SetName(feedIndex)},
		driver.IndexModel{
			Keys:    bson.D{{Key: "d", Value: 1}},
			Options: options.Index().SetName(tombstoneIndex).SetSparse(true),
		})
}

// stale compares a declaration with what is recorded, and records the versions that are now being built, so that a process that declares
// the version before does not take a half rebuilt index for complete.
func (e *Engine) stale(ctx context.Context, spec store.Spec, have declared) ([]string, error) {
	var stale []string
	var set bson.D
	if !have.known || spec.Feed && !have.Feed {
		set = append(set, bson.E{Key: "f", Value: spec.Feed})
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Indexes)) {
		old, ok := have.Indexes[name]
		same := ok && old.Version == spec.Indexes[name]
		if same && old.Complete {
			continue
		}
		stale = append(stale, name)
		if !same {
			v := bson.D{{Key: "v", Value: spec.Indexes[name]}, {Key: "ok", Value: false}}
			set = append(set, bson.E{Key: "i." + name, Value: v})
		}
	}
	var update bson.D
	if set != nil {
		update = append(update, bson.E{Key: "$set", Value: set})
	}
	// What this process writes has no entries in an index that it does not declare, so that is no longer complete.
	if unset := dropped(have, spec); unset != nil {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	if update == nil {
		return stale, nil
	}
	return stale, e.upsertMeta(ctx, spec.Name, update)
}

// dropped gives the recorded indexes that are not declared any more, as fields to unset.
func dropped(have declared, spec store.Spec) bson.D {
	var d bson.D
	for _, name := range slices.Sorted(maps.Keys(have.Indexes)) {
		if _, ok := spec.Indexes[name]; !ok {
			d = append(d, bson.E{Key: "i." + name, Value: ""})
		}
	}
	return d
}

// declaredAs gives what is recorded of a collection; zero if nothing is.
func (e *Engine) declaredAs(ctx context.Context, op, coll string) (declared, error) {
	var have declared
	err := e.meta.FindOne(ctx, byID(coll)).Decode(&have)
	if errors.Is(err, driver.ErrNoDocuments) {
		return declared{}, nil
	}
	have.known = err == nil
	return have, mapError(op, coll, err)
}

// upsertMeta updates or creates a document of the meta collection.
func (e *Engine) upsertMeta(ctx context.Context, id string, update bson.D) error {
	var err error
	for range maxUpserts {
		_, err = e.meta.UpdateOne(ctx, byID(id), update, options.UpdateOne().SetUpsert(true))
		if !driver.IsDuplicateKeyError(err) {
			break
		}
	}
	return mapError("update", metaCollection, err)
}

// Rebuilt marks indexes as complete. ErrConflict when another process declared another version meanwhile: then they are not.
func (e *Engine) Rebuilt(ctx context.Context, spec store.Spec, indexes []string) error {
	done, err := e.begin()
	if err != nil {
		return err
	}
	defer done()
	if len(indexes) == 0 {
		return nil
	}
	filter := byID(spec.Name)
	var set bson.D
	for _, name := range indexes {
		version, ok := spec.Indexes[name]
		if !ok {
			return fmt.Errorf("mongo: %s does not declare index %q", spec.Name, name)
		}
		filter = append(filter, bson.E{Key: "i." + name + ".v", Value: version})
		set = append(set, bson.E{Key: "i." + name + ".ok", Value: true})
	}
	res, err := e.meta.UpdateOne(ctx, filter, bson.D{{Key: "$set", Value: set}})
	if err != nil {
		return mapError("rebuilt", spec.Name, err)
	}
	if res.MatchedCount == 0 {
		return fmt.Errorf("mongo: rebuilt %s: another version was declared: %w", spec.Name, store.ErrConflict)
	}
	return nil
}
