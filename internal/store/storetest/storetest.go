// Package storetest is the suite that every engine of internal/store passes. A test that holds for one engine and not for the
// other does not belong here: the port promises only what both do exactly alike.
package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

// Factory opens the engine under test. Every test uses collections of its own, so that all may share one database; but the database
// must be fresh for a run of the suite.
type Factory struct {
	// Open opens an engine whose time is now, and closes it at the end of the test.
	Open func(t *testing.T, now clock.Now) store.Engine
	// Again opens a second handle on first's data, as another process would have it, and closes it at the end of the test. The
	// suite may have closed first before. nil: impossible, and the tests that need it are skipped.
	Again func(t *testing.T, first store.Engine, now clock.Now) store.Engine
}

// Run runs the whole suite.
func Run(t *testing.T, f Factory) {
	RunSequential(t, f)
	for _, c := range concurrentTests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, f)
		})
	}
}

// RunSequential runs the part that writes from one goroutine only.
func RunSequential(t *testing.T, f Factory) {
	for _, c := range sequential {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, f)
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, f Factory)
}

var sequential = slices.Concat(crudTests, scanTests, expiryTests, feedTests, indexTests, archiveTests)

// NewClock is a clock that stands at a fixed time.
func NewClock() *clocktest.Clock { return clocktest.New(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)) }
