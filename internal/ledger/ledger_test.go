package ledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

func TestAnEmptyLogHasACheckpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.catchUp()
	h := b.head()
	cp, err := check.ParseCheckpoint([]byte(h.Checkpoint), publicKey())
	must(t, err)
	if cp.Size != 0 || !strings.HasPrefix(cp.Origin, "log.example/ledger/") || !bytes.Equal(cp.Root, rfc6962.DefaultHasher.EmptyRoot()) {
		t.Fatalf("got %+v", cp)
	}
	key, err := check.ParseKey(h.Key)
	if err != nil || !key.Equal(publicKey()) {
		t.Fatalf("key %q: %v", h.Key, err)
	}
	b.inOrder()
	if _, err := b.Leaves(b.ctx, 0, 1); fault.CodeOf(err) != "beyond_log" {
		t.Fatalf("got %v", err)
	}
}

// Whatever runs of leaves come in, each proof is one for transparency-dev's verifier, from every size to every later one that was published.
func TestProofsHoldAfterRandomAppends(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rnd := rand.New(rand.NewPCG(7, 11))
	heads := []ledger.Head{b.head()}
	for b.n < 1400 {
		n := 1 + rnd.IntN(3)
		if rnd.IntN(4) == 0 {
			n = rnd.IntN(400)
		}
		b.write(n)
		b.catchUp()
		heads = append(heads, b.head())
	}
	b.inOrder()
	newest := heads[len(heads)-1]
	for range 300 {
		to := heads[1+rnd.IntN(len(heads)-1)]
		from := heads[rnd.IntN(len(heads))]
		if from.Size > to.Size {
			from, to = to, from
		}
		p, err := b.Consistency(b.ctx, from.Size, to.Size)
		must(t, err)
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from.Size), uint64(to.Size), p.Hashes, from.Root, to.Root); err != nil || !bytes.Equal(p.Root, to.Root) {
			t.Fatalf("consistency of %d and %d: %v", from.Size, to.Size, err)
		}
		if to.Size == 0 {
			continue
		}
		i := rnd.Int64N(to.Size)
		p, err = b.Inclusion(b.ctx, i, to.Size)
		must(t, err)
		leaf, err := b.Leaf(b.ctx, i)
		must(t, err)
		hash := rfc6962.DefaultHasher.HashLeaf(leaf.Entry)
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(to.Size), hash, p.Hashes, to.Root); err != nil || !bytes.Equal(hash, p.LeafHash) {
			t.Fatalf("inclusion of %d in %d: %v", i, to.Size, err)
		}
		size := 1 + rnd.Int64N(newest.Size) // one that was never published has its proofs, too
		p, err = b.Inclusion(b.ctx, rnd.Int64N(size), size)
		must(t, err)
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Index), uint64(size), p.LeafHash, p.Hashes, p.Root); err != nil {
			t.Fatalf("inclusion of %d in %d: %v", p.Index, size, err)
		}
	}
	for _, h := range heads {
		r, err := check.Run(b.ctx, check.Stored(b.Service), check.Options{Key: publicKey(), Against: []byte(h.Checkpoint)})
		if err != nil || r.Broken != nil {
			t.Fatalf("against %d: %v, %v", h.Size, err, r.Broken)
		}
		if h.Size > 300 && h.Size < 1000 {
			break // the rest is the same, and takes a while
		}
	}
}

func TestOutOfRange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(300)
	b.catchUp()
	for name, err := range map[string]error{
		"inclusion of 300":   second(b.Inclusion(b.ctx, 300, 0)),
		"inclusion of -1":    second(b.Inclusion(b.ctx, -1, 0)),
		"inclusion in 301":   second(b.Inclusion(b.ctx, 1, 301)),
		"consistency 301":    second(b.Consistency(b.ctx, 301, 0)),
		"consistency -1":     second(b.Consistency(b.ctx, -1, 0)),
		"tile 2":             second(b.Tile(b.ctx, 0, 2, 1)),
		"tile 1, wide":       second(b.Tile(b.ctx, 0, 1, 45)),
		"tile -1":            second(b.Tile(b.ctx, 0, -1, 1)),
		"level 8":            second(b.Tile(b.ctx, 8, 0, 1)),
		"entries 1, wide":    second(b.Entries(b.ctx, 1, 45)),
		"entries, of none":   second(b.Entries(b.ctx, 0, 0)),
		"leaf 300":           second(b.Leaf(b.ctx, 300)),
		"leaf of an unknown": second(b.Find(b.ctx, "note", "nobody")),
	} {
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if row, err := b.Tile(b.ctx, 0, 1, 44); err != nil || len(row) != 44*32 {
		t.Errorf("got %d bytes, %v", len(row), err)
	}
	if row, err := b.Entries(b.ctx, 0, 256); err != nil || len(row) != 256*34 {
		t.Errorf("got %d bytes, %v", len(row), err)
	}
}

func second[T any](_ T, err error) error { return err }

// A sequencer dies at each of its writes, before it and after it. The next one finishes what it left, and gives nothing a second leaf.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			b := setup(t)
			b.write(200)
			b.catchUp()
			before := b.head()
			b.write(130) // fills a bundle, and begins the next
			mortal := storetest.NewMortal(b.eng)
			victim := b.open(mortal)
			mortal.DieAt(at, after)
			err := victim.CatchUp(b.ctx)
			if !mortal.Dead() {
				if err != nil || at < 8 {
					t.Fatalf("at %d: it lived: %v", at, err)
				}
				break
			}
			if h := b.head(); h.Size > before.Size {
				b.inOrder() // what was published is whole already
			}
			heir := b.open(b.eng)
			must(t, heir.CatchUp(b.ctx)) // sees the lease of the dead
			b.clock.Advance(6 * time.Second)
			must(t, heir.CatchUp(b.ctx))
			b.inOrder()
			p, err := b.Consistency(b.ctx, before.Size, 0)
			must(t, err)
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(before.Size), uint64(p.Size), p.Hashes, before.Root, p.Root); err != nil {
				t.Fatalf("at %d: %v", at, err)
			}
		}
	}
}

// Two processes that both believe that the log is theirs make one log.
func TestTwoSequencersMakeOneLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other, err := sqlite.Open(b.ctx, b.path)
	must(t, err)
	t.Cleanup(func() { must(t, other.Close()) })
	services := []*ledger.Service{b.Service, b.open(other)}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for _, s := range services {
		wg.Go(func() {
			for {
				if err := ledger.RoundWithoutLease(b.ctx, s, 1); err != nil {
					t.Errorf("round: %v", err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 60 {
		b.write(17)
	}
	close(stop)
	wg.Wait()
	b.catchUp()
	b.inOrder()
	if services[0].Stats().Conflicts+services[1].Stats().Conflicts == 0 {
		t.Error("no sequencer ever met the other: the test tests nothing")
	}
}

// A sequencer that was slow, and whose lease is another's by now, publishes nothing over what that one published.
func TestTheFence(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(3)
	b.catchUp()
	b.catchUp()
	b.write(1)
	if err := ledger.RoundWithoutLease(b.ctx, b.Service, 0); !ledger.IsFenced(err) {
		t.Fatalf("got %v", err)
	}
	if h := b.head(); h.Size != 3 {
		t.Fatalf("got %d", h.Size)
	}
	b.catchUp()
	b.inOrder()
}

// A document that changes has its leaf already; one that came and went between two rounds gets none.
func TestOneLeafPerDocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(5)
	b.catchUp()
	_, err := b.notes.coll.Update(b.ctx, "n000002", func(*note) error { return nil })
	must(t, err)
	must(t, b.notes.coll.Insert(b.ctx, "brief", note{"gone soon"}))
	must(t, b.notes.coll.Delete(b.ctx, "brief"))
	b.catchUp()
	b.inOrder()
}

// A restored store is another log: with the same leaves, a new origin and checkpoints that cannot pass for those of the old one.
func TestARestoredLogHasANewOrigin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(300)
	b.catchUp()
	kept := b.head()
	recs, err := b.eng.Get(b.ctx, ledger.StateCollection, []string{"log"})
	must(t, err)
	rec, err := ledger.Restored(recs[0])
	must(t, err)
	again, err := ledger.Restored(rec)
	if err != nil || !bytes.Equal(again.Body, rec.Body) {
		t.Fatalf("a state is not the same when it is restored twice: %v", err)
	}
	b.write(10)
	b.catchUp()
	lost := b.head() // published, and not in the backup
	rec.Rev = recs[0].Rev + 1
	must(t, b.eng.Replace(b.ctx, ledger.StateCollection, rec))
	removeAfter(b, 300)

	b.Service = b.open(b.eng)
	h := b.head()
	if h.Origin == kept.Origin || h.Size != 300 || !bytes.Equal(h.Root, kept.Root) || len(h.Before) != 1 || h.Before[0].Origin != kept.Origin || h.Before[0].Size != 300 {
		t.Fatalf("got %+v", h)
	}
	if other := b.open(b.eng); second(other.Head(b.ctx)) != nil || b.head().Origin != h.Origin {
		t.Fatal("the second process made a third origin")
	}
	b.clock.Advance(time.Second)
	must(t, b.notes.coll.Insert(b.ctx, "other", note{"what came instead"}))
	b.catchUp()
	r, err := check.Run(b.ctx, check.Stored(b.Service), check.Options{Key: publicKey(), Against: []byte(kept.Checkpoint)})
	if err != nil || r.Broken != nil {
		t.Fatalf("the log does not hold a checkpoint from before the backup: %v, %v", err, r.Broken)
	}
	r, err = check.Run(b.ctx, check.Stored(b.Service), check.Options{Key: publicKey(), Against: []byte(lost.Checkpoint)})
	if err != nil || r.Broken == nil || b.head().Size < 310 && !strings.Contains(r.Broken.Reason, "restored") {
		t.Fatalf("what was lost does not show: %v, %v", err, r.Broken)
	}
}

// removeAfter takes away what came after a backup: notes and leaves.
func removeAfter(b *bundle, size int) {
	b.Helper()
	for i := size + 1; i <= b.n; i++ {
		must(b, b.notes.coll.Delete(b.ctx, fmt.Sprintf("n%06d", i)))
	}
	all, err := b.eng.All(b.ctx, "ledger_batches", "", store.MaxBatch)
	must(b, err)
	for _, r := range all {
		var bt struct {
			First  int `json:"first"`
			Leaves []struct {
				K   string `json:"k"`
				Key string `json:"key"`
			} `json:"leaves"`
		}
		must(b, json.Unmarshal(r.Body, &bt))
		if bt.First < size {
			continue
		}
		must(b, b.eng.Delete(b.ctx, "ledger_batches", r.ID, 0))
		for _, l := range bt.Leaves {
			must(b, b.eng.Delete(b.ctx, "ledger_leaves", ledger.PointerID(l.K, l.Key), 0))
		}
	}
}

// What is forgotten leaves the tree as it is, and nothing by which a guess at it could be tried.
func TestForget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(40)
	b.catchUp()
	before := b.head()
	i, err := b.Find(b.ctx, "note", "n000007")
	must(t, err)
	must(t, b.notes.coll.Delete(b.ctx, "n000007"))
	must(t, b.Forget(b.ctx, "note", "n000007"))
	l, err := b.Leaf(b.ctx, i)
	must(t, err)
	if l.Nonce != nil || l.Salt != nil || l.Key != "" || l.Found || len(l.Entry) != 32 {
		t.Fatalf("got %+v", l)
	}
	r, err := check.Run(b.ctx, check.Stored(b.Service), check.Options{Key: publicKey(), Against: []byte(before.Checkpoint)})
	if err != nil || r.Broken != nil || r.Forgotten != 1 || r.Leaves != 40 {
		t.Fatalf("got %+v, %v, %v", r, r.Broken, err)
	}
	if err := b.Forget(b.ctx, "note", "n000007"); fault.CodeOf(err) != "not_logged" {
		t.Fatalf("got %v", err)
	}
	recs, err := b.eng.Get(b.ctx, "ledger_batches", []string{"000000000000000"})
	must(t, err)
	if bytes.Contains(recs[0].Body, []byte("n000007")) {
		t.Error("the key of what was forgotten is still there")
	}
}

// The metrics tell how long something has been waiting.
func TestLag(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.catchUp()
	if lag := b.Stats().Lag; lag != 0 {
		t.Fatalf("got %v", lag)
	}
	leases, err := store.OpenLeases(b.ctx, b.eng, "other", 5*time.Second, b.clock.Now)
	must(t, err)
	held, ok, err := leases.Try(b.ctx, "ledger")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	b.write(1)
	b.clock.Advance(3 * time.Second)
	b.catchUp() // another process is about it
	if lag := b.Stats().Lag; lag < 2*time.Second {
		t.Fatalf("got %v", lag)
	}
	must(t, held.Release(b.ctx))
	b.catchUp()
	if st := b.Stats(); st.Lag != 0 || st.Size != 1 {
		t.Fatalf("got %+v", st)
	}
}

// A log in which there is always more does not lag for that.
func TestLagOfABusyLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.catchUp()
	rounds := 0
	b.reading = func() {
		if rounds++; rounds < 10 {
			b.clock.Advance(time.Second)
			b.write(1)
		}
		if lag := b.Stats().Lag; lag > 3*time.Second {
			t.Errorf("round %d: got %v", rounds, lag)
		}
	}
	b.write(1)
	b.catchUp()
	if st := b.Stats(); st.Size != 10 || st.Lag > time.Second {
		t.Errorf("got %+v", st)
	}
}

func TestOpenAndFollowRefuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"a b", "a+b", "", "a\nb"} {
		if _, err := ledger.Open(b.ctx, ledger.Deps{Engine: b.eng, Keys: keyer{}, Now: b.clock.Now, Name: name}); err == nil {
			t.Errorf("%q began an origin", name)
		}
	}
	if err := b.Follow(b.notes); err == nil {
		t.Error("two sources of one kind")
	}
}

// A list of long documents is short, and whoever goes on behind it sees all.
func TestLongDocumentsDoNotAddUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n, long = 40, 900 << 10
	for range n {
		b.n++
		must(t, b.notes.coll.Insert(b.ctx, fmt.Sprintf("n%06d", b.n), note{Text: strings.Repeat("x", long)}))
	}
	b.catchUp()
	ls, err := b.Leaves(b.ctx, 0, n)
	must(t, err)
	size := 0
	for _, l := range ls {
		if !l.Found {
			t.Fatalf("leaf %d has no document", l.Index)
		}
		size += len(l.Sealed)
	}
	if size > 10<<20 || size < 4<<20 {
		t.Errorf("%d leaves with %d bytes", len(ls), size)
	}
	b.inOrder()
}

// The path of a holder's address may be a secret between it and this program: what is told of a failure does not have it.
func TestTheAddressOfAHolderIsNotTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(1)
	b.catchUp()
	const address = "http://127.0.0.1:1/secret"
	err := b.Holders([]string{address}, &http.Client{}).Send(b.ctx, address)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}
