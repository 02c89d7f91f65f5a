package ledger_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// keyer gives one key for each purpose.
type keyer struct{}

func (keyer) SigningKey(purpose string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(purpose))
	return ed25519.NewKeyFromSeed(seed[:])
}

// note is a document of the tests' source.
type note struct {
	Text string `json:"text"`
}

// notes is a source over a collection. Notes with a text that begins with "-" have no public part.
type notes struct {
	eng  store.Engine
	coll *store.Collection[note]

	reading func() // called before documents are read
}

func openNotes(t testing.TB, eng store.Engine) *notes {
	t.Helper()
	coll, err := store.Open(context.Background(), eng, store.Def[note]{Name: "notes", Feed: true})
	must(t, err)
	return &notes{eng: eng, coll: coll, reading: func() {}}
}

func (n *notes) Kind() string { return "note" }

func (n *notes) Changes(ctx context.Context, token string, limit int) (ledger.Page, error) {
	changes, next, err := n.coll.Changes(ctx, token, limit)
	p := ledger.Page{Next: next, Last: len(changes) < limit}
	for _, c := range changes {
		if !c.Deleted {
			p.Keys = append(p.Keys, c.ID)
		}
	}
	return p, err
}

func (n *notes) Documents(ctx context.Context, keys []string) (map[string]ledger.Document, error) {
	n.reading()
	recs, err := n.eng.Get(ctx, "notes", keys)
	out := map[string]ledger.Document{}
	for _, r := range recs {
		d := ledger.Document{Sealed: r.Body, Owner: "firm-" + r.ID}
		if string(r.Body[:10]) != `{"text":"-` {
			d.Public = fmt.Appendf(nil, `{"id":%q}`, r.ID)
		}
		out[r.ID] = d
	}
	return out, err
}

func (n *notes) Wake() []<-chan struct{} { return []<-chan struct{}{n.coll.Wake()} }

// bundle is one test's log on a real SQLite file.
type bundle struct {
	testing.TB
	*ledger.Service
	ctx   context.Context
	eng   *sqlite.Engine
	path  string
	clock *clocktest.Clock
	notes *notes
	n     int

	reading func() // called before a source's documents are read; may be nil
}

func setup(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{TB: t, ctx: context.Background(), path: filepath.Join(t.TempDir(), "log.db")}
	b.clock = clocktest.New(time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC))
	var err error
	b.eng, err = sqlite.Open(b.ctx, b.path)
	must(t, err)
	t.Cleanup(func() { must(t, b.eng.Close()) })
	b.notes = openNotes(t, b.eng)
	b.Service = b.open(b.eng)
	return b
}

// open opens the log like another process.
func (b *bundle) open(eng store.Engine) *ledger.Service {
	b.Helper()
	s, err := b.tryOpen(eng)
	must(b, err)
	return s
}

func (b *bundle) tryOpen(eng store.Engine) (*ledger.Service, error) {
	leases, err := store.OpenLeases(b.ctx, eng, "test", 5*time.Second, b.clock.Now)
	if err != nil {
		return nil, err
	}
	coll, err := store.Open(b.ctx, eng, store.Def[note]{Name: "notes", Feed: true})
	if err != nil {
		return nil, err
	}
	s, err := ledger.Open(b.ctx, ledger.Deps{Engine: eng, Keys: keyer{}, Leases: leases, Name: "log.example", Rand: rand.Reader, Now: b.clock.Now})
	if err != nil {
		return nil, err
	}
	return s, s.Follow(&notes{eng: eng, coll: coll, reading: func() {
		if b.reading != nil {
			b.reading()
		}
	}})
}

// write stores n notes.
func (b *bundle) write(n int) {
	b.Helper()
	items := make([]store.Item[note], n)
	for i := range items {
		b.n++
		items[i] = store.Item[note]{ID: fmt.Sprintf("n%06d", b.n), V: note{Text: fmt.Sprintf("text %d", b.n)}}
	}
	errs, err := b.notes.coll.InsertMany(b.ctx, items)
	must(b, err)
	for _, err := range errs {
		must(b, err)
	}
}

func (b *bundle) catchUp() {
	b.Helper()
	must(b, b.CatchUp(b.ctx))
}

func (b *bundle) head() ledger.Head {
	b.Helper()
	h, err := b.Head(b.ctx)
	must(b, err)
	return h
}

func publicKey() ed25519.PublicKey {
	return keyer{}.SigningKey("ledger/1").Public().(ed25519.PublicKey)
}

// inOrder checks the whole log with the checker, and that each note has one leaf.
func (b *bundle) inOrder() check.Report {
	b.Helper()
	r, err := check.Run(b.ctx, check.Stored(b.Service), check.Options{Key: publicKey()})
	must(b, err)
	if r.Broken != nil || r.Checkpoint.Size != int64(b.n) || r.Leaves != int64(b.n) {
		b.Fatalf("%d notes; got %+v, %v", b.n, r, r.Broken)
	}
	keys := make([]string, b.n)
	for i := range keys {
		keys[i] = fmt.Sprintf("n%06d", i+1)
	}
	at, err := b.Positions(b.ctx, "note", keys)
	must(b, err)
	seen := map[int64]bool{}
	for _, i := range at {
		seen[i] = true
	}
	if len(at) != b.n || len(seen) != b.n {
		b.Fatalf("%d notes have %d leaves at %d positions", b.n, len(at), len(seen))
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
