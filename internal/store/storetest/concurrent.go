package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

var concurrentTests = []testCase{
	{"LostUpdates", testLostUpdates},
	{"DoubleClaims", testDoubleClaims},
	{"InsertOnce", testInsertOnce},
	{"DeleteOnce", testDeleteOnce},
	{"ConcurrentAdd", testConcurrentAdd},
	{"ReadYourWrites", testReadYourWrites},
	{"FeedUnderWriters", testFeedUnderWriters},
	{"OutcomesAreApart", testOutcomesApart},
	{"CloseUnderWriters", testCloseUnderWriters},
	{"SnapshotUnderWriters", testSnapshotUnderWriters},
}

// workers is how many write at the same time.
const workers = 8

// together runs f in workers goroutines, on two handles in turn where the engine can have two, and waits.
func (b *bundle) together(f func(worker int, e store.Engine) error) {
	b.Helper()
	handles := []store.Engine{b.eng}
	if b.f.Again != nil {
		handles = append(handles, b.again())
	}
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() { errs[w] = f(w, handles[w%len(handles)]) })
	}
	wg.Wait()
	b.ok(errors.Join(errs...))
}

// counter is a document that several increment.
type counter struct {
	N int `json:"n"`
}

func testLostUpdates(t *testing.T, f Factory) {
	b := setup(t, f)
	const each = 25
	name := b.coll + "_counters"
	b.together(func(_ int, e store.Engine) error {
		c, err := store.Open(b.ctx, e, store.Def[counter]{Name: name})
		if err != nil {
			return err
		}
		for range each {
			if _, err := c.Upsert(b.ctx, "d", func(v *counter) error { v.N++; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	c, err := store.Open(b.ctx, b.eng, store.Def[counter]{Name: name})
	b.ok(err)
	d, err := c.Get(b.ctx, "d")
	b.ok(err)
	equal(b, d.V.N, workers*each, "the number of increments")
	equal(b, d.Rev, workers*each, "the revision")
}

// testDoubleClaims has all workers go over the same jobs, each claiming what nobody has claimed.
func testDoubleClaims(t *testing.T, f Factory) {
	b := setup(t, f)
	const jobs = 60
	for i := range jobs {
		b.insert(rec(fmt.Sprintf("job%02d", i), `""`, in("a", "open", i)))
	}
	var claimed [jobs]atomic.Int32
	b.together(func(w int, e store.Engine) error {
		for {
			hits, err := e.Scan(b.ctx, b.coll, store.Scan{Index: "a", Eq: store.K("open"), Limit: 3}, false)
			if err != nil || len(hits) == 0 {
				return err
			}
			r := *hits[w%len(hits)].Record
			r.Body, r.Entries = fmt.Appendf(nil, `"worker %d"`, w), []store.Entry{in("a", "taken", 0)}
			if err := e.Replace(b.ctx, b.coll, r); errors.Is(err, store.ErrConflict) {
				continue
			} else if err != nil {
				return err
			}
			var i int
			if _, err := fmt.Sscanf(r.ID, "job%d", &i); err != nil {
				return err
			}
			claimed[i].Add(1)
		}
	})
	for i := range claimed {
		equal(b, claimed[i].Load(), 1, fmt.Sprintf("the number of claims of job %d", i))
	}
	equal(b, b.count("a", "taken", 1000), jobs, "the number of taken jobs")
}

func testInsertOnce(t *testing.T, f Factory) {
	b := setup(t, f)
	const ids = 40
	var won [ids]atomic.Int32
	b.together(func(w int, e store.Engine) error {
		for i := range ids {
			errs, err := e.Insert(b.ctx, b.coll, []store.Record{
				rec(fmt.Sprint("d", i), fmt.Sprint(w), in("a", "x", w)), rec(fmt.Sprintf("own%d-%d", w, i), `1`),
			})
			if err = errors.Join(err, errs[1]); err != nil {
				return err
			}
			if errs[0] == nil {
				won[i].Add(1)
			} else if !errors.Is(errs[0], store.ErrExists) {
				return errs[0]
			}
		}
		return nil
	})
	for i := range won {
		equal(b, won[i].Load(), 1, fmt.Sprintf("the number of winners of d%d", i))
	}
	equal(b, b.count("a", "x", 10000), ids, "the number of entries")
}

func testDeleteOnce(t *testing.T, f Factory) {
	b := setup(t, f)
	const ids = 40
	for i := range ids {
		b.insert(rec(fmt.Sprint("d", i), `1`, in("a", "x", i)))
	}
	var deleted atomic.Int32
	b.together(func(_ int, e store.Engine) error {
		for i := range ids {
			err := e.Delete(b.ctx, b.coll, fmt.Sprint("d", i), int64(i%2))
			if err == nil {
				deleted.Add(1)
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	equal(b, deleted.Load(), ids, "the number of successful deletions")
	same(b, b.found("a", "x"), nil, "hits")
}

func testConcurrentAdd(t *testing.T, f Factory) {
	b := setup(t, f)
	const each = 40
	b.together(func(w int, e store.Engine) error {
		for range each {
			if err := e.Add(b.ctx, b.coll, "c", map[string]int64{"all": 1, fmt.Sprint("w", w): 2}); err != nil {
				return err
			}
		}
		return nil
	})
	got := counters(b, "c")
	equal(b, got["all"], workers*each, "the common counter")
	for w := range workers {
		equal(b, got[fmt.Sprint("w", w)], 2*each, fmt.Sprintf("the counter of worker %d", w))
	}
}

func testReadYourWrites(t *testing.T, f Factory) {
	b := setup(t, f)
	b.together(func(w int, e store.Engine) error {
		for i := range 30 {
			id := fmt.Sprintf("w%d-%d", w, i)
			errs, err := e.Insert(b.ctx, b.coll, []store.Record{rec(id, `1`, in("a", fmt.Sprint(w), i))})
			if err = errors.Join(append(errs, err)...); err != nil {
				return err
			}
			recs, err := e.Get(b.ctx, b.coll, []string{id})
			if err != nil || len(recs) != 1 {
				return fmt.Errorf("%s was inserted; Get gives %d documents, %w", id, len(recs), err)
			}
			n, err := e.Count(b.ctx, b.coll, store.Scan{Index: "a", Eq: store.K(fmt.Sprint(w))}, 1000)
			if err != nil || n != i+1 {
				return fmt.Errorf("%d were inserted; Count gives %d, %w", i+1, n, err)
			}
		}
		return nil
	})
}

// testFeedUnderWriters follows the feed while others write: nothing may be skipped.
func testFeedUnderWriters(t *testing.T, f Factory) {
	b := setup(t, f)
	const each = 40
	written := make(chan struct{})
	follower := make(chan error, 1)
	seen := map[string]int64{}
	go func() {
		token, last := "", false
		for {
			chs, next, err := b.eng.Changes(b.ctx, b.coll, token, 7)
			if err != nil {
				follower <- err
				return
			}
			for _, ch := range chs {
				if ch.Record.Rev < seen[ch.Record.ID] {
					follower <- fmt.Errorf("revision %d of %s after %d", ch.Record.Rev, ch.Record.ID, seen[ch.Record.ID])
					return
				}
				seen[ch.Record.ID] = ch.Record.Rev
			}
			token = next
			if len(chs) > 0 {
				continue
			}
			if last {
				follower <- nil
				return
			}
			select {
			case <-written:
				last = true
			default:
			}
		}
	}()
	b.together(func(w int, e store.Engine) error {
		for i := range each {
			id := fmt.Sprintf("w%d-%d", w, i)
			errs, err := e.Insert(b.ctx, b.coll, []store.Record{rec(id, `1`)})
			if err = errors.Join(append(errs, err)...); err != nil {
				return err
			}
			if i%4 == 0 {
				if err := e.Replace(b.ctx, b.coll, rec(id, `2`)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	close(written)
	b.ok(<-follower)
	equal(b, len(seen), workers*each, "the number of documents that the feed gave")
	for w := range workers {
		for i := range each {
			want := int64(1)
			if i%4 == 0 {
				want = 2
			}
			id := fmt.Sprintf("w%d-%d", w, i)
			equal(b, seen[id], want, "the newest revision of "+id)
		}
	}
}

// testOutcomesApart mixes writes that succeed with writes that are refused.
func testOutcomesApart(t *testing.T, f Factory) {
	b := setup(t, f)
	b.insert(rec("taken", `0`), rec("newer", `0`))
	b.ok(b.eng.Replace(b.ctx, b.coll, rec("newer", `1`)))
	b.together(func(w int, e store.Engine) error {
		for i := range 30 {
			var err, want error
			switch (w + i) % 5 {
			case 0:
				var errs []error
				errs, err = e.Insert(b.ctx, b.coll, []store.Record{rec("taken", `1`)})
				err, want = errors.Join(append(errs, err)...), store.ErrExists
			case 1:
				err, want = e.Replace(b.ctx, b.coll, rec("newer", `2`)), store.ErrConflict
			case 2:
				err, want = e.Replace(b.ctx, b.coll, rec("nobody", `2`)), store.ErrNotFound
			case 3:
				err, want = e.Delete(b.ctx, b.coll, "nobody", 0), store.ErrNotFound
			default:
				var errs []error
				errs, err = e.Insert(b.ctx, b.coll, []store.Record{rec(fmt.Sprintf("w%d-%d", w, i), `1`)})
				err = errors.Join(append(errs, err)...)
			}
			if !errors.Is(err, want) {
				return fmt.Errorf("write %d of worker %d gives %w, want %w", i, w, err, want)
			}
		}
		return nil
	})
	equal(b, len(b.all(1000)), 2+workers*30/5, "the number of documents")
}

// testCloseUnderWriters closes while others write: what was acknowledged is there, everything else fails as unavailable.
func testCloseUnderWriters(t *testing.T, f Factory) {
	b := setup(t, f)
	if f.Again == nil {
		b.Skip("no second handle on this engine")
	}
	var wg sync.WaitGroup
	acked := make([][]string, workers)
	errs := make([]error, workers)
	begun := make(chan struct{}, workers)
	for w := range workers {
		wg.Go(func() {
			for i := range 100_000 {
				id := fmt.Sprintf("w%d-%d", w, i)
				results, err := b.eng.Insert(b.ctx, b.coll, []store.Record{rec(id, `1`)})
				if err != nil {
					errs[w] = err
					return
				}
				if errs[w] = results[0]; errs[w] != nil {
					return
				}
				acked[w] = append(acked[w], id)
				if i == 5 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range workers {
		<-begun
	}
	b.ok(b.eng.Close())
	wg.Wait()
	for _, err := range errs {
		b.is(err, store.ErrUnavailable)
	}
	b.eng = b.again()
	for batch := range slices.Chunk(slices.Concat(acked...), store.MaxBatch) {
		equal(b, len(b.get(batch...)), len(batch), "the number of acknowledged documents that are there")
	}
}

// testSnapshotUnderWriters has writers insert first into one collection and then, referring to it, into another. The one that is written
// last is read first, and still every reference holds: both are read as of one point in time.
func testSnapshotUnderWriters(t *testing.T, f Factory) {
	b := setup(t, f)
	const snapshots = 10
	second := store.Spec{Name: b.coll + "_second"}
	_, err := b.eng.Declare(b.ctx, second)
	b.ok(err)
	var enough atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer enough.Store(true)
		last := 0
		for range snapshots {
			err := b.archive(b.eng).Snapshot(b.ctx, func(r store.SnapshotReader) error {
				refs := snapshotIDs(b, r, second.Name, 100)
				there := snapshotIDs(b, r, b.coll, 100)
				for _, id := range refs {
					if _, ok := slices.BinarySearch(there, id); !ok {
						t.Errorf("%s is missing", id)
					}
				}
				if lone := len(there) - len(refs); lone > workers {
					t.Errorf("%d documents without their references; %d workers write", lone, workers)
				}
				if len(there) < last {
					t.Errorf("%d documents after %d", len(there), last)
				}
				last = len(there)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	b.together(func(w int, e store.Engine) error {
		if _, err := e.Declare(b.ctx, second); err != nil {
			return err
		}
		for i := 0; !enough.Load(); i++ {
			id := fmt.Sprintf("d%d/%06d", w, i)
			for _, coll := range []string{b.coll, second.Name} {
				errs, err := e.Insert(b.ctx, coll, []store.Record{rec(id, `1`)})
				if err := errors.Join(append(errs, err)...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	wg.Wait()
}
