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
