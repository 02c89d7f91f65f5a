package ferretdb

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/backup"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// TestBackupFromSQLite restores a backup of the other engine.
func TestBackupFromSQLite(t *testing.T) {
	t.Parallel()
	ctx, clock, dir := t.Context(), storetest.NewClock(), t.TempDir()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	from, err := sqlite.Open(ctx, filepath.Join(dir, "t.db"), sqlite.WithClock(clock.Now))
	ok(err)
	t.Cleanup(func() { ok(from.Close()) })
	type item struct{ Name string }
	def := store.Def[item]{Name: "items", Feed: true, Indexes: []store.Index[item]{{
		Name: "i", Version: "1", Keys: func(_ string, v *item) ([]store.Key, store.Key) { return []store.Key{store.K(v.Name)}, nil },
	}}}
	items, err := store.Open(ctx, from, def)
	ok(err)
	ok(items.Insert(ctx, "a", item{"x"}))
	_, err = items.Update(ctx, "a", func(v *item) error { v.Name = "海"; return nil })
	ok(err)
	ok(items.Insert(ctx, "b", item{"x"}))
	_, err = from.Declare(ctx, store.Spec{Name: "counts"})
	ok(err)
	ok(from.Add(ctx, "counts", "c", map[string]int64{"n": 2}))
	leases, err := store.OpenLeases(ctx, from, "dead", time.Minute, clock.Now)
	ok(err)
	_, _, err = leases.Try(ctx, "work")
	ok(err)
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	ok(err)
	data, _, err := backup.Write(ctx, from, box, backup.Options{Dir: dir, KeysDir: dir, Engine: "sqlite", Now: clock.Now})
	ok(err)

	to := open(t, start(t), "restored", clock.Now)
	b, err := backup.Verify(ctx, box, backup.Files{Data: data.Path}, nil)
	ok(err)
	ok(b.Restore(ctx, to, nil))
	restored, err := store.Open(ctx, to, def)
	ok(err)
	p, err := restored.Find(ctx, store.Query{Index: "i", Eq: store.K("海")})
	ok(err)
	if len(p.Items) != 1 || p.Items[0].ID != "a" || p.Items[0].Rev != 2 {
		t.Errorf("the index finds %v", p.Items)
	}
	var ids []string
	ok(restored.All(ctx, func(d store.Doc[item]) error { ids = append(ids, d.ID); return nil }))
	if !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("restored: %v", ids)
	}
	_, err = to.Declare(ctx, store.Spec{Name: "counts"})
	ok(err)
	ok(to.Add(ctx, "counts", "c", map[string]int64{"n": 3}))
	recs, err := to.Get(ctx, "counts", []string{"c"})
	ok(err)
	if len(recs) != 1 || string(recs[0].Body) != `{"n":5}` {
		t.Errorf("the counters are %v", recs)
	}
	leases, err = store.OpenLeases(ctx, to, "alive", time.Minute, clock.Now)
	ok(err)
	if h, taken, err := leases.Try(ctx, "work"); err != nil || !taken || h.Fence != 2 {
		t.Errorf("the lease is %+v, %v, %v; want fence 2", h, taken, err)
	}
}
