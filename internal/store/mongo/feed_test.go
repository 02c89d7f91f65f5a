package mongo

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// write is a write of a simulated history: it takes its stamp at one time and can be seen from another on.
type write struct {
	change
	seenAt int64 // seconds
}

// history is a changeSource that shows, at a time, the newest visible state of each document.
type history struct {
	writes []write
	now    int64
	reads  int
}

func (h *history) visible(match func(change) bool, n int) []change {
	h.reads++
	newest := map[string]change{}
	for _, w := range h.writes {
		if w.seenAt <= h.now && w.rev > newest[w.id].rev {
			newest[w.id] = w.change
		}
	}
	var out []change
	for _, ch := range newest {
		if match(ch) {
			out = append(out, ch)
		}
	}
	slices.SortFunc(out, func(a, b change) int { return cmp.Or(cmp.Compare(a.stamp, b.stamp), strings.Compare(a.id, b.id)) })
	return out[:min(n, len(out))]
}

func (h *history) since(_ context.Context, stamp uint64, n int) ([]change, error) {
	return h.visible(func(c change) bool { return c.stamp >= stamp }, n), nil
}

func (h *history) between(_ context.Context, after position, end uint64, n int) ([]change, error) {
	return h.visible(func(c change) bool {
		return c.stamp <= end && (c.stamp > after.stamp || c.stamp == after.stamp && c.id > after.id)
	}, n), nil
}

// follower follows a history as a client of Changes does, keeping the token as text between polls.
type follower struct {
	*testing.T
	h     *history
	token string
	limit int
	got   map[string][]int64 // revisions as they came, by ID
	count int
}

func follow(t *testing.T, h *history, limit int) *follower {
	t.Helper()
	return &follower{T: t, h: h, limit: limit, got: map[string][]int64{}}
}

// poll asks once and says how many changes came.
func (f *follower) poll() int {
	f.Helper()
	tok, err := decodeToken(f.token)
	if err != nil {
		f.Fatal(err)
	}
	found, err := tok.follow(f.Context(), f.h, f.limit, time.Unix(f.h.now, 0))
	if err != nil {
		f.Fatal(err)
	}
	if len(found) > f.limit {
		f.Fatalf("a page of %d, the limit is %d", len(found), f.limit)
	}
	tok.trim()
	if len(tok.seen) > maxSeen {
		f.Fatalf("the token remembers %d deliveries", len(tok.seen))
	}
	f.token = tok.encode()
	for _, ch := range found {
		revs := f.got[ch.id]
		if len(revs) > 0 && ch.rev < revs[len(revs)-1] {
			f.Fatalf("%s: revision %d after %d", ch.id, ch.rev, revs[len(revs)-1])
		}
		f.got[ch.id] = append(revs, ch.rev)
		f.count++
	}
	return len(found)
}

// drain polls until nothing comes.
func (f *follower) drain() {
	f.Helper()
	for range 10_000 {
		if f.poll() == 0 {
			return
		}
	}
	f.Fatal("the feed does not end")
}

func (f *follower) delivered(id string) bool { return len(f.got[id]) > 0 }

// complete checks that the newest state of every document was delivered.
func (f *follower) complete() {
	f.Helper()
	newest := map[string]int64{}
	for _, w := range f.h.writes {
		newest[w.id] = max(newest[w.id], w.rev)
	}
	for id, rev := range newest {
		if revs := f.got[id]; len(revs) == 0 || revs[len(revs)-1] != rev {
			f.Errorf("%s: got revisions %v, the newest is %d", id, revs, rev)
		}
	}
}

// at makes a write of a new document, stamped at one second and seen at another.
func at(id string, second, seen int64) write {
	return write{change: change{stamp: uint64(second)<<32 | 1, id: id, rev: 1}, seenAt: seen}
}

func TestLateCommitWithinOverlapComesWithNextPoll(t *testing.T) {
	t.Parallel()
	h := &history{now: 1000, writes: []write{at("early", 990, 990), at("late", 970, 1010), at("newest", 999, 999)}}
	f := follow(t, h, 10)
	f.drain()
	if f.delivered("late") || f.count != 2 {
		t.Fatalf("delivered before it was seen: %v", f.got)
	}
	h.now = 1010
	if f.poll() != 1 || !f.delivered("late") {
		t.Fatalf("the late commit is missing: %v", f.got)
	}
	f.drain()
	if f.count != 3 {
		t.Errorf("%d deliveries of 3 changes", f.count)
	}
}

func TestLateCommitBeyondOverlapComesWithRecheck(t *testing.T) {
	t.Parallel()
	h := &history{now: 1000, writes: []write{at("newest", 999, 999), at("late", 900, 1400)}}
	f := follow(t, h, 10)
	f.drain()
	for h.now = 1001; h.now < 1000+2*int64(recheckEvery/time.Second)+10; h.now++ {
		f.poll()
		if h.now == 1500 && f.delivered("late") {
			t.Error("the late commit came without a recheck: this test tests nothing")
		}
	}
	f.complete()
	if f.count != 2 {
		t.Errorf("%d deliveries of 2 changes: the recheck repeats what the token remembers", f.count)
	}
}

// TestEveryLateness has commits of every lateness up to recheckEvery, among others that keep the feed moving.
func TestEveryLateness(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 3, 1000} {
		h := &history{now: 1}
		const length = 1200
		r := rand.New(rand.NewPCG(1, uint64(limit)))
		for s := int64(1); s < length; s += 3 {
			late := int64(0)
			if r.IntN(4) == 0 {
				late = r.Int64N(int64(recheckEvery / time.Second))
			}
			h.writes = append(h.writes, at(fmt.Sprint("d", s), s, s+late))
		}
		f := follow(t, h, limit)
		for ; h.now < length+4*int64(recheckEvery/time.Second); h.now += 7 {
			for range 4 {
				f.poll()
			}
		}
		f.complete()
	}
}

// TestUpdatesKeepOrder rewrites few documents again and again.
func TestUpdatesKeepOrder(t *testing.T) {
	t.Parallel()
	h := &history{now: 1}
	r := rand.New(rand.NewPCG(5, 6))
	free := map[string]int64{}
	rev := map[string]int64{}
	for s := int64(1); s < 400; s++ {
		id := fmt.Sprint("d", r.IntN(5))
		if free[id] > s {
			continue // the write before is not committed yet
		}
		rev[id]++
		late := r.Int64N(5)
		h.writes = append(h.writes, write{change: change{stamp: uint64(s)<<32 | uint64(r.IntN(3)), id: id, rev: rev[id]}, seenAt: s + late})
		free[id] = s + late
	}
	f := follow(t, h, 2)
	for ; h.now < 410; h.now++ {
		f.poll()
	}
	f.drain()
	f.complete()
	if n := len(h.writes); f.count > n {
		t.Errorf("%d deliveries of %d writes", f.count, n)
	}
}

// TestMoreThanTheTokenRemembers loads far more within overlap than a token holds: the feed goes on, ends, and repeats each change once at
// most, in the recheck.
func TestMoreThanTheTokenRemembers(t *testing.T) {
	t.Parallel()
	h := &history{now: 100}
	for i := range 3*maxSeen + 17 {
		h.writes = append(h.writes, write{change: change{stamp: 99<<32 | uint64(i+1), id: fmt.Sprint("d", i), rev: 1}, seenAt: 100})
	}
	f := follow(t, h, 1000)
	f.drain()
	if f.count != len(h.writes) {
		t.Errorf("%d deliveries of %d changes", f.count, len(h.writes))
	}
	for range 4 {
		h.now += int64(recheckEvery/time.Second) + 1
		f.drain()
	}
	f.complete()
	if f.count > 2*len(h.writes) {
		t.Errorf("%d deliveries of %d changes, with rechecks", f.count, len(h.writes))
	}
}

// TestOneStampForMany is what no shard does: it must not stall the feed all the same.
func TestOneStampForMany(t *testing.T) {
	t.Parallel()
	h := &history{now: 100}
	for i := range maxSeen {
		h.writes = append(h.writes, at(fmt.Sprintf("d%05d", i), 99, 99))
	}
	f := follow(t, h, 7)
	f.drain()
	h.writes = append(h.writes, at("e", 101, 101))
	h.now = 102
	f.drain()
	f.complete()
	for range 3 {
		h.now += int64(recheckEvery/time.Second) + 1
		f.drain()
	}
	f.complete()
}

func TestIdleFeedCostsOneRead(t *testing.T) {
	t.Parallel()
	h := &history{now: 1000, writes: []write{at("d", 999, 999)}}
	f := follow(t, h, 10)
	f.drain()
	token := f.token
	h.reads = 0
	f.poll()
	if h.reads != 1 || f.token != token {
		t.Errorf("an idle poll reads %d times, and the token changed: %v", h.reads, f.token != token)
	}
}

func TestClockSetBackOnlyMovesTheRecheck(t *testing.T) {
	t.Parallel()
	h := &history{now: 10_000, writes: []write{at("d", 9_999, 9_999)}}
	f := follow(t, h, 10)
	f.drain()
	tok, err := decodeToken(f.token)
	if err != nil {
		t.Fatal(err)
	}
	tok.schedule(time.Unix(5_000, 0))
	if tok.checked != 5_000_000 || tok.end == 0 {
		t.Errorf("after the clock was set back: checked %d, under way until %d", tok.checked, tok.end)
	}
}

func TestBefore(t *testing.T) {
	t.Parallel()
	if got := before(100<<32|7, 30*time.Second); got != 70<<32|7 {
		t.Errorf("got %d, %d", got>>32, got&0xFFFFFFFF)
	}
	if got := before(7<<32, 30*time.Second); got != 0 {
		t.Errorf("before the beginning: %d", got)
	}
}
