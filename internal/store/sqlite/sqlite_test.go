package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// open opens the file at path for the length of a test.
func open(t testing.TB, path string, opts ...Option) *Engine {
	t.Helper()
	e, err := Open(t.Context(), path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func pathOf(e store.Engine) string { return e.(*Engine).path }

func TestSuite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Factory{
		Open: func(t *testing.T, now clock.Now) store.Engine {
			return open(t, filepath.Join(t.TempDir(), "t.db"), WithClock(now))
		},
		Again: func(t *testing.T, first store.Engine, now clock.Now) store.Engine {
			return open(t, pathOf(first), WithClock(now))
		},
	})
}

// TestSuiteOnOneFile has all tests share one file, each with handles of its own, as many processes would.
func TestSuiteOnOneFile(t *testing.T) { //nolint:tparallel // one subtest, which keeps the file until its parallel parts have ended
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	reopen := func(t *testing.T, now clock.Now) store.Engine {
		return open(t, path, WithClock(now), WithBusyTimeout(time.Minute))
	}
	t.Run("suite", func(t *testing.T) { // returns when its parallel parts have ended
		storetest.RunSequential(t, storetest.Factory{
			Open:  reopen,
			Again: func(t *testing.T, _ store.Engine, now clock.Now) store.Engine { return reopen(t, now) },
		})
	})
}

// behind is a view that owns its database, so that the suite can close it.
type behind struct {
	store.Engine
	eng *Engine
}

func (b behind) Close() error { return b.eng.Close() }

// TestSuiteBehindAPrefix has the view that store.Prefixed gives pass the suite.
func TestSuiteBehindAPrefix(t *testing.T) {
	t.Parallel()
	view := func(t *testing.T, path string, now clock.Now) store.Engine {
		eng := open(t, path, WithClock(now))
		return behind{store.Prefixed(eng, "sandbox_"), eng}
	}
	storetest.RunSequential(t, storetest.Factory{
		Open: func(t *testing.T, now clock.Now) store.Engine {
			return view(t, filepath.Join(t.TempDir(), "t.db"), now)
		},
		Again: func(t *testing.T, first store.Engine, now clock.Now) store.Engine {
			return view(t, first.(behind).eng.path, now)
		},
	})
}

func TestAPrefixSeparates(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	eng := open(t, filepath.Join(t.TempDir(), "t.db"))
	type doc struct{ V string }
	def := store.Def[doc]{Name: "things", Feed: true, Indexes: []store.Index[doc]{{
		Name: "v", Version: "1", Keys: func(_ string, d *doc) ([]store.Key, store.Key) { return []store.Key{store.K(d.V)}, nil },
	}}}
	own, err := store.Open(ctx, eng, def)
	must(t, err)
	view := store.Prefixed(eng, "sandbox_")
	test, err := store.Open(ctx, view, def)
	must(t, err)
	must(t, own.Insert(ctx, "a", doc{"real"}))
	must(t, test.Insert(ctx, "a", doc{"test"}))
	for _, c := range []struct {
		coll *store.Collection[doc]
		v    string
	}{{own, "real"}, {test, "test"}} {
		d, err := c.coll.Get(ctx, "a")
		must(t, err)
		p, err := c.coll.Find(ctx, store.Query{Index: "v", Eq: store.K("real"), Or: []store.Key{store.K("test")}})
		must(t, err)
		changes, _, err := c.coll.Changes(ctx, "", 10)
		must(t, err)
		if d.V.V != c.v || len(p.Items) != 1 || p.Items[0].V.V != c.v || len(changes) != 1 || changes[0].V.V != c.v {
			t.Errorf("%s: %+v, %+v, %+v", c.v, d, p, changes)
		}
	}
	must(t, test.Delete(ctx, "a"))
	if _, err := own.Get(ctx, "a"); err != nil {
		t.Error(err)
	}
	must(t, view.Close())
	must(t, eng.Ping(ctx))
	if _, err := store.Open(ctx, store.Prefixed(eng, ""), def); err == nil {
		t.Error("a view without a prefix was opened")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
