// Package mongo is the MongoDB engine of the collection port.
//
// # What a document looks like
//
//	_id  the ID; the only unique field, and (hashed) the shard key when the collection is sharded
//	r    revision, int64
//	b    body: binary, because only that comes back byte for byte whatever it holds
//	n    counters by name, in counter documents only, which have no b
//	e    {index: [equality keys]}
//	o    {index: place}: the order key and the ID in one string, see place
//	x    expiry; absent: never. 1970-01-01 in tombstones, so that every read leaves them out
//	d    when it was deleted; tombstones only
//	u    cluster time of the last write, set by the server
//
// e and o are two trees and not one, so that the one array in an index (e.<index>) has no path prefix in common with what the index
// sorts by (o.<index>): MongoDB sorts in memory when bounds on an array share a prefix with the sort pattern.
//
// # Guarantees
//
// Writes are acknowledged by a majority with its journal on disk. Reads go to the primary with read concern majority. The
// primary acknowledges a majority write only after its majority snapshot has it, so a read that starts afterwards sees
// it. One case is left: a primary cut off from its majority serves reads until it notices, electionTimeoutMillis (10 s by
// default) at most. A client that has heard of the new primary no longer asks the old one; another process may read old state
// for that long. Linearizable reads would close this gap, but they exist for single documents only and cost a majority write each, and
// nothing is decided by a read: Insert, Replace, Delete and Add are conditional writes that only the true primary can acknowledge.
//
// The driver repeats a write once after a network error or an election, and the server recognises the repetition, so that Replace
// does not conflict with itself and Add does not count twice. When that fails too, the error is ErrUnavailable and the caller does not know
// whether the write happened: a repeated Insert may meet its own document (put a nonce into what must be told
// apart), a repeated Replace its own revision, and a repeated Add may count twice. Repetition needs a replica set
// or a sharded cluster; a standalone server is for development only.
//
// Expiry is judged by this process's clock; processes whose clocks differ by a second disagree for a second.
//
// # Deployment
//
// The server must be MongoDB 4.4 or later. To shard a collection: sh.shardCollection("db.coll", {_id: "hashed"}). Every write and Get
// then goes to the shards of its IDs alone; Scan, Count, Changes, All and Sweep ask every shard. The user needs the role readWrite.
// Snapshot needs MongoDB 5.0 or later.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

// defaultTimeout bounds an operation whose context has no deadline. The URI's timeoutMS overrides it.
const defaultTimeout = 30 * time.Second

// closeTimeout bounds the time that Close waits for connections to come back to the pool.
const closeTimeout = 10 * time.Second

var errClosed = fmt.Errorf("mongo: closed: %w", store.ErrUnavailable)

// Engine is a MongoDB database. It is safe for concurrent use.
type Engine struct {
	client *driver.Client
	db     *driver.Database
	meta   *driver.Collection
	now    clock.Now
	wakes  wakes

	mu     sync.RWMutex
	colls  map[string]*collection
	closed bool
	busy   sync.WaitGroup
}

var _ store.Engine = (*Engine)(nil)

// collection is a declared collection.
type collection struct {
	*driver.Collection
	name    string
	feed    bool
	epoch   uint64 // of the feed: another in each restored database, 0 in one that is not restored
	indexes map[string]bool
}

// Option changes a default of Open.
type Option func(*Engine)

// WithClock sets the clock that expiry is judged by.
func WithClock(now clock.Now) Option { return func(e *Engine) { e.now = now } }

// Open connects to the deployment of a mongodb:// or mongodb+srv:// URI and proves that its primary answers. Write concern, read
// concern, read preference and retries in the URI are overruled: the port's guarantees rest on them. ErrUnavailable.
func Open(ctx context.Context, uri, database string, opts ...Option) (*Engine, error) {
	co := clientOptions(uri)
	if err := co.Validate(); err != nil {
		return nil, fmt.Errorf("mongo: options: %w", err)
	}
	client, err := driver.Connect(co)
	if err != nil {
		return nil, fmt.Errorf("mongo: connect: %w", err)
	}
	if err := client.Ping(ctx, readpref.Primary()); err != nil {
		cause := mapError("connect", "", err)
		return nil, errors.Join(cause, client.Disconnect(context.WithoutCancel(ctx)))
	}
	db := client.Database(database)
	e := &Engine{
		client: client, db: db, meta: db.Collection(metaCollection),
		now: time.Now, colls: map[string]*collection{},
	}
	for _, o := range opts {
		o(e)
	}
	return e, nil
}

func clientOptions(uri string) *options.ClientOptions {
	journal := true
	co := options.Client().SetAppName("haisu").SetTimeout(defaultTimeout).ApplyURI(uri)
	return co.
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}).
		SetReadConcern(readconcern.Majority()).
		SetReadPreference(readpref.Primary()).
		SetRetryWrites(true).
		SetRetryReads(true)
}

// enter gives a declared collection and keeps Close waiting until done is called.
func (e *Engine) enter(name string) (c *collection, done func(), err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, nil, errClosed
	}
	c, ok := e.colls[name]
	if !ok {
		return nil, nil, fmt.Errorf("mongo: collection %q is not declared", name)
	}
	e.busy.Add(1)
	return c, e.busy.Done, nil
}

// begin is enter for calls that need no declared collection.
func (e *Engine) begin() (done func(), err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, errClosed
	}
	e.busy.Add(1)
	return e.busy.Done, nil
}

// Ping proves that a write could be accepted now, by writing: a primary without its majority still answers the ping command.
// ErrUnavailable.
func (e *Engine) Ping(ctx context.Context) error {
	done, err := e.begin()
	if err != nil {
		return err
	}
	defer done()
	update := bson.D{{Key: "$currentDate", Value: bson.D{{Key: "at", Value: true}}}}
	return e.upsertMeta(ctx, pingID, update)
}

// Close waits for calls under way and disconnects. Calls made later give ErrUnavailable.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	e.busy.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := e.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("mongo: disconnect: %w", err)
	}
	return nil
}
