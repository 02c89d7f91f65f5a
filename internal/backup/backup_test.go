package backup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// bundle is a store with something of everything in it, its keys, and a directory for backups.
type bundle struct {
	*testing.T
	ctx   context.Context
	clock *clocktest.Clock
	eng   *sqlite.Engine
	box   *secret.Box
	dir   string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{T: t, ctx: t.Context(), clock: storetest.NewClock(), dir: t.TempDir()}
	b.eng, b.box = b.fresh(), b.keys()
	b.fill()
	return b
}

func (b *bundle) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bundle) is(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error is %v, want %v", err, want)
	}
}

// keys makes a keys file.
func (b *bundle) keys() *secret.Box {
	b.Helper()
	box, err := secret.OpenFile(filepath.Join(b.TempDir(), "keys.json"), true)
	b.ok(err)
	return box
}

// fresh is an empty store.
func (b *bundle) fresh() *sqlite.Engine {
	b.Helper()
	return b.at(filepath.Join(b.TempDir(), "t.db"))
}

func (b *bundle) at(path string) *sqlite.Engine {
	b.Helper()
	e, err := sqlite.Open(b.ctx, path, sqlite.WithClock(b.clock.Now))
	b.ok(err)
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

type thing struct {
	Name  string `json:"name"`
	Noise string `json:"noise,omitempty"`
	Ends  time.Time
}

var thingDef = store.Def[thing]{
	Name: "things", Feed: true, Expires: func(v *thing) time.Time { return v.Ends },
	Indexes: []store.Index[thing]{{Name: "by_name", Version: "1", Keys: func(id string, v *thing) ([]store.Key, store.Key) {
		return []store.Key{store.K(v.Name)}, store.K(id)
	}}},
}

func (b *bundle) fill() {
	b.Helper()
	things, err := store.Open(b.ctx, b.eng, thingDef)
	b.ok(err)
	items := make([]store.Item[thing], 2500)
	for i := range items {
		v := thing{Name: fmt.Sprint("name ", i%7)}
		if i%5 == 0 {
			v.Ends = b.clock.Now().Add(time.Duration(i-100) * time.Hour)
		}
		items[i] = store.Item[thing]{ID: fmt.Sprintf("thing/%04d/海", i), V: v}
	}
	errs, err := things.InsertMany(b.ctx, items)
	b.ok(errors.Join(append(errs, err)...))
	for range 3 {
		_, err = things.Update(b.ctx, "thing/0001/海", func(v *thing) error { v.Name += "!"; return nil })
		b.ok(err)
	}
	_, err = store.Open(b.ctx, b.eng, store.Def[thing]{Name: "nothing"})
	b.ok(err)
	keys, err := store.Open(b.ctx, b.eng, store.Def[thing]{Name: DataKeys})
	b.ok(err)
	b.ok(keys.Insert(b.ctx, "case/1", thing{Name: "wrapped"}))
	_, err = b.eng.Declare(b.ctx, store.Spec{Name: "counts"})
	b.ok(err)
	b.ok(b.eng.Add(b.ctx, "counts", "all", map[string]int64{"x.y": 3, "z": -1}))
	leases, err := store.OpenLeases(b.ctx, b.eng, "dead", time.Minute, b.clock.Now)
	b.ok(err)
	for range 5 {
		h, ok, err := leases.Try(b.ctx, "work")
		b.ok(err)
		if !ok {
			b.Fatal("the lease is not to be had")
		}
		b.ok(h.Release(b.ctx))
	}
	if _, ok, err := leases.Try(b.ctx, "work"); err != nil || !ok {
		b.Fatal(ok, err)
	}
}

// write backs up, later than everything before.
func (b *bundle) write() (data, keys Written) {
	b.Helper()
	b.clock.Advance(time.Second)
	data, keys, err := Write(b.ctx, b.eng, b.box, b.options())
	b.ok(err)
	return data, keys
}

func (b *bundle) options() Options {
	return Options{Dir: b.dir, KeysDir: b.dir, Engine: "sqlite", Now: b.clock.Now}
}

func (b *bundle) verify(path string) *Backup {
	b.Helper()
	v, err := Verify(b.ctx, b.box, Files{Data: path}, nil)
	b.ok(err)
	return v
}

// content gives everything that is in a store, record by record, as text.
func (b *bundle) content(e store.Archive) []string {
	b.Helper()
	var out []string
	b.ok(e.Snapshot(b.ctx, func(r store.SnapshotReader) error {
		colls, err := r.Collections(b.ctx)
		b.ok(err)
		for _, c := range colls {
			out = append(out, fmt.Sprintf("%s %v %v", c.Name, c.Feed, c.Indexes))
			for after := ""; ; {
				recs, err := r.All(b.ctx, c.Name, after, 100)
				b.ok(err)
				if len(recs) == 0 {
					break
				}
				for _, rec := range recs {
					if c.Name == store.LeaseCollection {
						rec, err = store.FreeLease(rec)
						b.ok(err)
					}
					out = append(out, fmt.Sprintf("%s %q %d %d %s", c.Name, rec.ID, rec.Rev, rec.Expires.UnixMilli(), rec.Body))
				}
				after = recs[len(recs)-1].ID
			}
		}
		return nil
	}))
	return out
}

// equal checks that a store has what the bundle's has.
func (b *bundle) equal(e store.Archive) {
	b.Helper()
	got, want := b.content(e), b.content(b.eng)
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			b.Fatalf("at %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
	b.Fatalf("%d lines, want %d", len(got), len(want))
}

// untouched checks that nothing was written into a store.
func (b *bundle) untouched(e *sqlite.Engine) {
	b.Helper()
	colls, err := e.Collections(b.ctx)
	b.ok(err)
	if len(colls) > 0 {
		b.Fatalf("the store has %v", colls)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := setup(t)
	data, keys := b.write()
	if m := keys.Manifest; len(m.Collections) != 1 || m.Collections[0].Name != DataKeys || m.ID != data.Manifest.ID || m.Kind != KindDataKeys {
		t.Errorf("the data keys' manifest is %+v", m)
	}
	if i := slices.IndexFunc(data.Manifest.Collections, func(c Collection) bool { return c.Name == DataKeys }); i >= 0 {
		t.Error("the data keys are among the data")
	}
	for _, w := range []Written{data, keys} {
		info, err := os.Stat(w.Path)
		b.ok(err)
		if info.Mode().Perm() != 0o600 || info.Size() != w.Size {
			t.Errorf("%s has mode %o and %d bytes, told %d", w.Path, info.Mode().Perm(), info.Size(), w.Size)
		}
	}
	told := 0
	v, err := Verify(b.ctx, b.box, Files{Data: data.Path}, func(Progress) { told++ })
	b.ok(err)
	if !v.Data.equal(&data.Manifest) || !v.DataKeys.equal(&keys.Manifest) || v.Older || told == 0 {
		t.Errorf("verified %+v, told %d times", v, told)
	}
	b.ok(v.Opens(b.box))
	b.is(v.Opens(b.keys()), ErrWrongKeys)

	to := b.fresh()
	b.ok(v.Restore(b.ctx, to, nil))
	b.equal(to)
	b.is(v.Restore(b.ctx, to, nil), ErrNotEmpty)

	// A backup of the restored store has the same hashes.
	again := *b
	again.eng = to
	second, _ := again.write()
	for i, c := range second.Manifest.Collections {
		if was := data.Manifest.Collections[i]; c.Name != store.LeaseCollection && (c.SHA256 != was.SHA256 || c.Records != was.Records || c.Bytes != was.Bytes) {
			t.Errorf("%s: %+v, was %+v", c.Name, c, was)
		}
	}
}

// TestRestoredStoreWorks uses what was restored as servers do.
func TestRestoredStoreWorks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token, err := b.eng.Changes(b.ctx, "things", "", 10)
	b.ok(err)
	data, _ := b.write()
	to := b.fresh()
	b.ok(b.verify(data.Path).Restore(b.ctx, to, nil))

	things, err := store.Open(b.ctx, to, thingDef)
	b.ok(err)
	p, err := things.Find(b.ctx, store.Query{Index: "by_name", Eq: store.K("name 1!!!")})
	b.ok(err)
	if len(p.Items) != 1 || p.Items[0].Rev != 4 {
		t.Errorf("the index finds %v", p.Items)
	}
	_, _, err = things.Changes(b.ctx, token, 10)
	b.is(err, store.ErrBadCursor)
	chs, _, err := things.Changes(b.ctx, "", 10)
	b.ok(err)
	if len(chs) == 0 {
		t.Error("the feed is empty")
	}
	_, err = to.Declare(b.ctx, store.Spec{Name: "counts"})
	b.ok(err)
	b.ok(to.Add(b.ctx, "counts", "all", map[string]int64{"z": 11}))
	recs, err := to.Get(b.ctx, "counts", []string{"all"})
	b.ok(err)
	if string(recs[0].Body) != `{"x.y":3,"z":10}` {
		t.Errorf("the counters are %s", recs[0].Body)
	}
	// The dead holder had fence 6 and has not released it.
	leases, err := store.OpenLeases(b.ctx, to, "alive", time.Minute, b.clock.Now)
	b.ok(err)
	h, ok, err := leases.Try(b.ctx, "work")
	b.ok(err)
	if !ok || h.Fence != 7 {
		t.Errorf("the lease is %+v, %v; want fence 7", h, ok)
	}
}

// TestWhileWriting backs up while a writer goes on, who inserts into one collection and then, referring to it, into one that stands before it in the
// file. Every reference holds in every backup.
func TestWhileWriting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	firsts, err := store.Open(b.ctx, b.eng, store.Def[thing]{Name: "z_first"})
	b.ok(err)
	seconds, err := store.Open(b.ctx, b.eng, store.Def[thing]{Name: "a_second"})
	b.ok(err)
	ctx, stop := context.WithCancel(b.ctx)
	begun := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; ctx.Err() == nil && err == nil; i++ {
			id := fmt.Sprintf("%06d", i)
			if err = firsts.Insert(b.ctx, id, thing{}); err == nil {
				err = seconds.Insert(b.ctx, id, thing{})
			}
			if i == 10 {
				close(begun)
			}
		}
		done <- err
	}()
	<-begun
	last := int64(0)
	for range 5 {
		data, _ := b.write()
		to := b.fresh()
		b.ok(b.verify(data.Path).Restore(b.ctx, to, nil))
		counts := map[string]int64{}
		for _, c := range data.Manifest.Collections {
			counts[c.Name] = c.Records
		}
		if lone := counts["z_first"] - counts["a_second"]; lone < 0 || lone > 1 || counts["a_second"] < last {
			t.Errorf("the counts are %v, %d before", counts, last)
		}
		last = counts["a_second"]
		restored := b.content(to)
		for i := range counts["a_second"] {
			if line := fmt.Sprintf(`z_first "%06d" `, i); !slices.ContainsFunc(restored, func(s string) bool { return strings.HasPrefix(s, line) }) {
				t.Fatalf("%s is missing", line)
			}
		}
	}
	stop()
	b.ok(<-done)
}

func TestFilesThatBelongTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, firstKeys := b.write()
	kept := filepath.Join(t.TempDir(), "kept")
	text, err := os.ReadFile(firstKeys.Path)
	b.ok(err)
	b.ok(os.WriteFile(kept, text, 0o600))
	second, secondKeys := b.write()
	if secondKeys.Path != firstKeys.Path || second.Path == first.Path {
		t.Fatalf("the files are %s and %s, after %s and %s", second.Path, secondKeys.Path, first.Path, firstKeys.Path)
	}

	// Older data with newer keys.
	v := b.verify(first.Path)
	if v.Older || v.DataKeys.ID != second.Manifest.ID {
		t.Errorf("verified %+v", v)
	}
	// Newer data with older keys, and without.
	v, err = Verify(b.ctx, b.box, Files{Data: second.Path, DataKeys: kept}, nil)
	b.ok(err)
	if !v.Older {
		t.Error("older keys are not told")
	}
	b.ok(os.WriteFile(secondKeys.Path, text, 0o600))
	_, err = Verify(b.ctx, b.box, Files{Data: second.Path}, nil)
	b.is(err, ErrMismatch)
	b.ok(os.Remove(secondKeys.Path))
	_, err = Verify(b.ctx, b.box, Files{Data: second.Path}, nil)
	b.is(err, os.ErrNotExist)
	v, err = Verify(b.ctx, b.box, Files{Data: second.Path, DataKeys: None}, nil)
	b.ok(err)
	to := b.fresh()
	b.ok(v.Restore(b.ctx, to, nil))
	if got := b.content(to); slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, DataKeys) }) || len(got) < 1000 {
		t.Errorf("without data keys %d lines were restored", len(got))
	}

	// The wrong way round, and of another installation.
	_, err = Verify(b.ctx, b.box, Files{Data: kept}, nil)
	b.is(err, ErrMismatch)
	_, err = Verify(b.ctx, b.box, Files{Data: first.Path, DataKeys: second.Path}, nil)
	b.is(err, ErrMismatch)
	_, err = Verify(b.ctx, b.keys(), Files{Data: first.Path}, nil)
	b.is(err, ErrWrongKeys)
	other := *b
	other.box = b.keys()
	_, otherKeys := other.write()
	_, err = Verify(b.ctx, b.box, Files{Data: first.Path, DataKeys: otherKeys.Path}, nil)
	b.is(err, ErrWrongKeys)
}

func TestKeysDirectory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.options()
	o.KeysDir = t.TempDir()
	data, keys, err := Write(b.ctx, b.eng, b.box, o)
	b.ok(err)
	if filepath.Dir(data.Path) != o.Dir || filepath.Dir(keys.Path) != o.KeysDir {
		t.Errorf("written to %s and %s", data.Path, keys.Path)
	}
	v, err := Verify(b.ctx, b.box, Files{Data: data.Path, DataKeys: keys.Path}, nil)
	b.ok(err)
	to := b.fresh()
	b.ok(v.Restore(b.ctx, to, nil))
	b.equal(to)
}

// TestNeverBackToOlderKeys stands for two backups at once of which the earlier ends later.
func TestNeverBackToOlderKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	data, keys := b.write()
	b.clock.Advance(-time.Hour)
	_, _, err := Write(b.ctx, b.eng, b.box, b.options())
	if err == nil || !strings.Contains(err.Error(), "a clock was wrong") {
		t.Errorf("older data keys in place of newer ones: %v", err)
	}
	if v := b.verify(data.Path); !v.DataKeys.equal(&keys.Manifest) {
		t.Error("the data keys are not what they were")
	}
	if left := b.files(""); len(left) != 2 {
		t.Errorf("the directory has %v", left)
	}
	b.ok(os.WriteFile(keys.Path, []byte("no backup"), 0o600))
	b.write()
}

func TestRestoreIntoEmptyStoreOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	data, _ := b.write()
	v := b.verify(data.Path)
	to := b.fresh()
	others, err := store.Open(b.ctx, to, store.Def[thing]{Name: "others"})
	b.ok(err)
	b.ok(v.Vacant(b.ctx, to)) // a collection without documents is no document
	b.ok(others.Insert(b.ctx, "o", thing{}))
	b.is(v.Restore(b.ctx, to, nil), ErrNotEmpty)
	colls, err := to.Collections(b.ctx)
	b.ok(err)
	if len(colls) != 1 {
		t.Errorf("the store has %v", colls)
	}
	// Another restore is unfinished.
	to = b.fresh()
	b.ok(to.BeginRestore(b.ctx, "another", []store.Spec{{Name: "things"}}))
	b.is(v.Restore(b.ctx, to, nil), ErrNotEmpty)
	// And what is unfinished is not backed up.
	_, _, err = Write(b.ctx, to, b.box, b.options())
	b.is(err, store.ErrRestoring)
}

func TestEndedContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	data, _ := b.write()
	v := b.verify(data.Path)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, _, err := Write(ctx, b.eng, b.box, b.options())
	b.is(err, context.Canceled)
	_, err = Verify(ctx, b.box, Files{Data: data.Path}, nil)
	b.is(err, context.Canceled)
	to := b.fresh()
	b.is(v.Restore(ctx, to, nil), context.Canceled)
	b.untouched(to)
	if left := b.files(""); len(left) != 2 {
		t.Errorf("the directory has %v", left)
	}
}

// files gives the names in the directory with an end.
func (b *bundle) files(end string) (out []string) {
	b.Helper()
	all, err := os.ReadDir(b.dir)
	b.ok(err)
	for _, f := range all {
		if strings.HasSuffix(f.Name(), end) {
			out = append(out, f.Name())
		}
	}
	return out
}

// noise is a text that does not compress.
func noise(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[r.IntN(64)]
	}
	return string(b)
}
