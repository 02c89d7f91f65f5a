package ledger_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/store"
)

// rewrite changes a stored body as whoever has the database can.
func (b *bundle) rewrite(coll, id string, change func(body []byte) []byte) {
	b.Helper()
	recs, err := b.eng.Get(b.ctx, coll, []string{id})
	must(b, err)
	if len(recs) != 1 {
		b.Fatalf("no %s in %s", id, coll)
	}
	r := recs[0]
	was := r.Body
	r.Body = change(bytes.Clone(was))
	if bytes.Equal(was, r.Body) {
		b.Fatalf("%s %s was not changed", coll, id)
	}
	if coll == "ledger_batches" {
		var bt struct {
			First int64 `json:"first"`
		}
		must(b, json.Unmarshal(r.Body, &bt))
		r.Entries = []store.Entry{{Index: "first", Eq: store.K(), Order: store.K(bt.First)}}
	}
	must(b, b.eng.Replace(b.ctx, coll, r))
}

func (b *bundle) broken(against string) *check.BrokenError {
	b.Helper()
	o := check.Options{Key: publicKey()}
	if against != "" {
		o.Against = []byte(against)
	}
	r, err := check.Run(b.ctx, check.Stored(b.Service), o)
	must(b, err)
	return r.Broken
}

// Whatever of a document or a leaf is altered, the checker names that leaf, and no earlier or later one.
func TestTheAlteredLeafIsNamed(t *testing.T) {
	t.Parallel()
	member := func(name string, to any) func([]byte) []byte {
		return func(body []byte) []byte {
			var bt map[string]json.RawMessage
			var leaves []map[string]any
			must(t, json.Unmarshal(body, &bt))
			must(t, json.Unmarshal(bt["leaves"], &leaves))
			leaves[5][name] = to
			bt["leaves"], _ = json.Marshal(leaves)
			out, err := json.Marshal(bt)
			must(t, err)
			return out
		}
	}
	salt := base64.StdEncoding.EncodeToString(make([]byte, 2*ledger.NonceSize))
	// Batches are of 256, 44 and 30 leaves: the sixth of the first batch is leaf 5, of the second leaf 261.
	for name, c := range map[string]struct {
		coll, id string
		change   func([]byte) []byte
		leaf     int64
		reason   string
	}{
		"a letter of the text": {"notes", "n000123", func(b []byte) []byte { return bytes.Replace(b, []byte("text"), []byte("test"), 1) }, 122, "altered"},
		"a member more":        {"notes", "n000262", func(b []byte) []byte { return append(b[:len(b)-1], `,"x":1}`...) }, 261, "altered"},
		"a member twice":       {"notes", "n000262", func(b []byte) []byte { return append(b[:len(b)-1], `,"text":"text 262"}`...) }, 261, "altered"},
		"nonce":                {"ledger_batches", "000000000000256", member("n", salt), 261, "altered"},
		"entry":                {"ledger_batches", "000000000000256", member("e", salt), 261, "altered"},
		"kind":                 {"ledger_batches", "000000000000256", member("k", "other"), 261, "gone"},
		"key":                  {"ledger_batches", "000000000000256", member("key", "n000001"), 261, "altered"},
		"tile":                 {"ledger_tiles", "0/000000000000000", tileByte(t, 7), 7, "not the one in the tree"},
		"the first of two":     {"notes", "n000002", func(b []byte) []byte { b[10]++; return b }, 1, "altered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.write(300)
			b.catchUp()
			b.write(30)
			b.catchUp()
			if name == "the first of two" {
				b.rewrite("notes", "n000290", c.change)
			}
			b.rewrite(c.coll, c.id, c.change)
			got := b.broken("")
			if got == nil || got.Index != c.leaf || !strings.Contains(got.Reason, c.reason) {
				t.Fatalf("got %v; want leaf %d: %s", got, c.leaf, c.reason)
			}
			if c.coll == "notes" && got.Key != c.id {
				t.Errorf("it names %q", got.Key)
			}
		})
	}
}

func tileByte(t *testing.T, hash int) func([]byte) []byte {
	t.Helper()
	return func(body []byte) []byte {
		var tile struct {
			H []byte `json:"h"`
		}
		must(t, json.Unmarshal(body, &tile))
		tile.H[hash*32] ^= 1
		out, err := json.Marshal(tile)
		must(t, err)
		return out
	}
}

// What is taken away is missed.
func TestTheMissingLeafIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		coll, id string
		leaf     int64
		reason   string
	}{
		"document":         {"notes", "n000100", 99, "gone"},
		"batch":            {"ledger_batches", "000000000000300", 300, "missing"},
		"first batch":      {"ledger_batches", "000000000000000", 0, "missing"},
		"tile of the tree": {"ledger_tiles", "1/000000000000000", -1, "tile 0 of level 1 is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.write(300)
			b.catchUp()
			b.write(30)
			b.catchUp()
			must(t, b.eng.Delete(b.ctx, c.coll, c.id, 0))
			got := b.broken("")
			if got == nil || got.Index != c.leaf || !strings.Contains(got.Reason, c.reason) {
				t.Fatalf("got %v; want leaf %d: %s", got, c.leaf, c.reason)
			}
		})
	}
}

// Whoever has the database and the key can write another history that agrees with itself; a checkpoint kept elsewhere shows it.
func TestAnotherHistoryShowsAgainstAKeptCheckpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(290)
	b.catchUp()
	kept := b.head()
	forged := setup(t)
	forged.write(280)
	for i := 281; i <= 300; i++ {
		forged.n++
		must(t, forged.notes.coll.Insert(b.ctx, fmt.Sprintf("n%06d", i), note{"another text"}))
	}
	forged.catchUp()
	forged.inOrder()
	if got := forged.broken(kept.Checkpoint); got == nil || !strings.Contains(got.Reason, "the first 290 leaves are not those of the checkpoint") {
		t.Fatalf("got %v", got)
	}
	if got := b.broken(kept.Checkpoint); got != nil {
		t.Fatalf("got %v", got)
	}
	// A published checkpoint that another key signed, or that says something else, is none.
	for _, change := range []func([]byte) []byte{
		func(body []byte) []byte { return bytes.Replace(body, []byte(`\n290\n`), []byte(`\n289\n`), 1) },
		func(body []byte) []byte { return bytes.Replace(body, []byte("log.example"), []byte("lag.example"), 2) },
	} {
		c := setup(t)
		c.write(290)
		c.catchUp()
		c.rewrite(ledger.StateCollection, "log", change)
		if got := c.broken(""); got == nil || !strings.Contains(got.Reason, "no checkpoint that this key signed") {
			t.Fatalf("got %v", got)
		}
	}
}

// withToken has the published state say that all up to a place in the feed have leaves.
func withToken(t *testing.T, token string) func([]byte) []byte {
	t.Helper()
	return func(body []byte) []byte {
		var st map[string]any
		must(t, json.Unmarshal(body, &st))
		st["tokens"] = map[string]string{"note": token}
		out, err := json.Marshal(st)
		must(t, err)
		return out
	}
}
