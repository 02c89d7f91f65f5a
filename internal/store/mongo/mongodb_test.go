package mongo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// server gives the URI of a real MongoDB and the name of a database that is dropped at the end.
func server(t *testing.T) (uri, database string) {
	t.Helper()
	uri = os.Getenv("MONGODB_URI")
	if uri == "" {
		t.Skip("MONGODB_URI is not set: no MongoDB to test against (a replica set, for retried writes)")
	}
	database = "haisu_test_" + clock.Token(8)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		client, err := driver.Connect(clientOptions(uri))
		if err != nil {
			t.Errorf("drop %s: %v", database, err)
			return
		}
		if err := client.Database(database).Drop(ctx); err != nil {
			t.Errorf("drop %s: %v", database, err)
		}
		if err := client.Disconnect(ctx); err != nil {
			t.Errorf("disconnect: %v", err)
		}
	})
	return uri, database
}

func open(t *testing.T, uri, database string, now clock.Now) *Engine {
	t.Helper()
	e, err := Open(t.Context(), uri, database, WithClock(now))
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

// TestSuite is the whole suite, concurrency included.
func TestSuite(t *testing.T) { //nolint:tparallel // the tests of the suite are parallel, inside a group that ends with them
	t.Parallel()
	uri, database := server(t)
	f := storetest.Factory{
		Open: func(t *testing.T, now clock.Now) store.Engine {
			t.Helper()
			return open(t, uri, database, now)
		},
		Again: func(t *testing.T, _ store.Engine, now clock.Now) store.Engine {
			t.Helper()
			return open(t, uri, database, now)
		},
	}
	// In a group, so that the database is dropped after its parallel tests.
	t.Run("suite", func(t *testing.T) { storetest.Run(t, f) })
}

// TestPlans asks MongoDB how it runs the engine's queries: by their index, in its order, and keys without reading documents.
func TestPlans(t *testing.T) {
	t.Parallel()
	uri, database := server(t)
	e := open(t, uri, database, time.Now)
	ctx := t.Context()
	spec := store.Spec{Name: "things", Indexes: map[string]string{"by_firm": "1"}, Feed: true}
	if _, err := e.Declare(ctx, spec); err != nil {
		t.Fatal(err)
	}
	var recs []store.Record
	for i := range 200 {
		recs = append(recs, store.Record{ID: fmt.Sprintf("d%03d", i), Body: []byte(`{}`), Entries: []store.Entry{
			{Index: "by_firm", Eq: store.K("f"), Order: store.K(i / 9)}, {Index: "by_firm", Eq: store.K("g"), Order: store.K(i / 9)},
		}})
	}
	if _, err := e.Insert(ctx, spec.Name, recs); err != nil {
		t.Fatal(err)
	}
	scan := store.Scan{
		Index: "by_firm", Eq: store.K("f"), To: store.K(20), After: &store.Position{Order: store.K(3), ID: "d030"}, Limit: 10,
	}
	filter, err := scanFilter(scan)
	if err != nil {
		t.Fatal(err)
	}
	byFirm := indexPrefix + scan.Index
	for name, c := range map[string]struct {
		filter, sort, projection any
		hint                     any
		limit, docs              int64
	}{
		"scan":    {live(slices.Clone(filter), time.Now()), scanSort(scan), scanProjection(scan, false), byFirm, 10, 10},
		"keys":    {filter, scanSort(scan), scanProjection(scan, true), byFirm, 10, 0},
		"feed":    {sinceFilter(1), feedOrder, feedKeys, feedIndex, 10, 0},
		"recheck": {betweenFilter(position{stamp: 1}, 1<<63), feedOrder, feedKeys, feedIndex, 10, 0},
		"sweep":   {due(nil, time.Now()), bson.D{}, bson.D{}, expiryIndex, 10, 0},
		"all":     {live(nil, time.Now()), idKeys, content, idKeys, 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			find := bson.D{
				{Key: "find", Value: spec.Name}, {Key: "filter", Value: c.filter}, {Key: "sort", Value: c.sort},
				{Key: "projection", Value: c.projection}, {Key: "hint", Value: c.hint}, {Key: "limit", Value: c.limit},
			}
			stages, docs := explain(t, e, find)
			if !slices.Contains(stages, "IXSCAN") || slices.Contains(stages, "COLLSCAN") || slices.Contains(stages, "SORT") {
				t.Errorf("stages are %q", stages)
			}
			if docs > c.docs {
				t.Errorf("%d documents are read, want at most %d", docs, c.docs)
			}
		})
	}
}

// explain gives the stages of the plan that a command is run by, and how many documents it reads.
func explain(t *testing.T, e *Engine, command bson.D) (stages []string, docs int64) {
	t.Helper()
	var out struct {
		Planner bson.Raw `bson:"queryPlanner"`
		Stats   struct {
			Docs int64 `bson:"totalDocsExamined"`
		} `bson:"executionStats"`
	}
	ask := bson.D{{Key: "explain", Value: command}, {Key: "verbosity", Value: "executionStats"}}
	if err := e.db.RunCommand(t.Context(), ask).Decode(&out); err != nil {
		t.Fatal(err)
	}
	plan, ok := out.Planner.Lookup("winningPlan").DocumentOK()
	if !ok {
		t.Fatalf("no winning plan: %v", out.Planner)
	}
	return stagesOf(t, plan, nil), out.Stats.Docs
}

func stagesOf(t *testing.T, d bson.Raw, out []string) []string {
	t.Helper()
	elements, err := d.Elements()
	if err != nil {
		t.Fatal(err)
	}
	for _, el := range elements {
		v := el.Value()
		if s, ok := v.StringValueOK(); ok && el.Key() == "stage" {
			out = append(out, s)
		}
		if sub, ok := v.DocumentOK(); ok {
			out = stagesOf(t, sub, out)
		}
		if arr, ok := v.ArrayOK(); ok {
			out = stagesOf(t, bson.Raw(arr), out)
		}
	}
	return out
}

func TestStagesOf(t *testing.T) {
	t.Parallel()
	raw, err := bson.Marshal(bson.D{
		{Key: "stage", Value: "LIMIT"},
		{Key: "inputStage", Value: bson.D{{Key: "stage", Value: "FETCH"}, {Key: "inputStages", Value: bson.A{bson.D{{Key: "stage", Value: "IXSCAN"}}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := stagesOf(t, raw, nil); !slices.Equal(got, []string{"LIMIT", "FETCH", "IXSCAN"}) {
		t.Errorf("stages are %q", got)
	}
}
