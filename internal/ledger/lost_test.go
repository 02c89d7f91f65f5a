package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store"
)

func (b *bundle) backlog(waiting int, lost ...string) {
	b.Helper()
	got, err := b.Backlog(b.ctx)
	must(b, err)
	var keys []string
	for _, l := range got.Lost {
		if l.Kind != "note" {
			b.Errorf("kind %q", l.Kind)
		}
		keys = append(keys, l.Key)
	}
	slices.Sort(keys)
	if got.Waiting != waiting || !slices.Equal(keys, lost) {
		b.Fatalf("got %+v, want %d that wait and %q", got, waiting, lost)
	}
}

// What waits for its leaf is counted, and what was written or hidden past the program is named.
func TestDocumentsWithoutALeafAreFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.backlog(0)
	b.write(600)
	b.backlog(600)
	b.catchUp()
	b.backlog(0)
	b.write(7)
	b.backlog(7)
	_, err := b.notes.coll.Update(b.ctx, "n000003", func(n *note) error { n.Text += "!"; return nil }) // has its leaf, and comes by once more
	must(t, err)
	b.backlog(7)

	// Whoever has the database takes the way to a leaf away, or points a document to the leaf of another.
	for _, key := range []string{"n000002", "n000300"} {
		must(t, b.eng.Delete(b.ctx, "ledger_leaves", ledger.PointerID("note", key), 0))
	}
	b.rewrite("ledger_leaves", ledger.PointerID("note", "n000500"), func([]byte) []byte { return []byte(`{"i":2}`) })
	b.backlog(7, "n000002", "n000300", "n000500")

	// What is gone needs no leaf.
	must(t, b.notes.coll.Delete(b.ctx, "n000300"))
	b.backlog(7, "n000002", "n000500")
}

// A document whose place in the feed was passed, as by one that was stored with a place from before, is found.
func TestADocumentThatTheFeedHasPassedIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(20)
	b.catchUp()
	b.write(1) // comes behind the place up to which documents have leaves
	all, err := b.notes.Changes(b.ctx, "", store.MaxBatch)
	must(t, err)
	b.rewrite(ledger.StateCollection, "log", withToken(t, all.Next))
	b.backlog(0, fmt.Sprintf("n%06d", b.n))
}
