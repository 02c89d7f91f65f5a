package ferretdb

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/FerretDB/FerretDB/ferretdb"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/mongo"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// skipped are the tests of the suite that FerretDB v1 cannot pass, each with the reason.
var skipped = map[string]string{
	"SnapshotStandsStill":  noSnapshots,
	"SnapshotOfEverything": noSnapshots,
	"SnapshotEnds":         noSnapshots,
	"TypedRebuild":         "it reads all 1,500 documents for each of the 1,500 that are reindexed, which takes minutes; TestRebuild does it with 40",
}

const noSnapshots = "it ignores read concern snapshot, which TestSnapshotIsRefused has; that the engine reads one point in time, a real MongoDB shows only"

// starting is held while a FerretDB is made: New writes a variable of its package.
var starting sync.Mutex

// start gives the proxy of a FerretDB of the test's own.
func start(t *testing.T) *proxy {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Handler:   "sqlite",
		SQLiteURL: (&url.URL{Scheme: "file", Path: t.TempDir() + "/"}).String(),
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := db.Run(ctx); err != nil {
			t.Errorf("FerretDB: %v", err)
		}
	})
	uri, err := url.Parse(db.MongoDBURI())
	if err != nil {
		t.Fatal(err)
	}
	p := startProxy(t, uri.Host)
	t.Cleanup(func() {
		p.close()
		stop()
		running.Wait()
	})
	return p
}

var databases atomic.Int64

func open(t *testing.T, p *proxy, database string, now clock.Now) *mongo.Engine {
	t.Helper()
	e, err := mongo.Open(t.Context(), p.uri(), database, mongo.WithClock(now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// factory gives each engine a database of its own: FerretDB loses updates of one document, and engines that declare at the same time
// share the documents of the meta collection.
func factory(p *proxy) storetest.Factory {
	var names sync.Map
	return storetest.Factory{
		Open: func(t *testing.T, now clock.Now) store.Engine {
			t.Helper()
			if why, ok := skipped[path.Base(t.Name())]; ok {
				t.Skip("FerretDB v1: " + why)
			}
			name := fmt.Sprintf("haisu_%d", databases.Add(1))
			e := open(t, p, name, now)
			names.Store(e, name)
			return e
		},
		Again: func(t *testing.T, first store.Engine, now clock.Now) store.Engine {
			t.Helper()
			loaded, _ := names.Load(first)
			name, ok := loaded.(string)
			if !ok {
				t.Fatal("an engine that this factory did not open")
			}
			return open(t, p, name, now)
		},
	}
}

func TestSuiteSequential(t *testing.T) { //nolint:tparallel // the tests of the suite are parallel, inside a group that ends with them
	t.Parallel()
	for _, g := range gaps {
		t.Logf("filled by the proxy: %s: %s", g.name, g.reason)
	}
	p := start(t)
	t.Run("suite", func(t *testing.T) { storetest.RunSequential(t, factory(p)) })
}
