package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/haisu-trace/haisu/internal/store"
)

// The limits of a batch. Its document stays under store.MaxBody: one more entry, of 172 KiB at most, fits above maxBatchBytes.
const (
	maxBatchBytes   = 768 << 10
	maxBatchEntries = 256
)

const version = 1

// digest is a hash of the chain.
type digest [sha256.Size]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// parseDigest reads what String writes, and nothing else.
func parseDigest(s string) (d digest, ok bool) {
	if len(s) != 2*len(d) {
		return d, false
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return d, false
	}
	return d, d.String() == s
}

// genesis stands before entry 1. It is another one for every keys file.
func genesis(k Keyer) digest {
	return sha256.Sum256([]byte("haisu audit trail 1\n" + k.Hash("audit.genesis", "")))
}

// link is the rule of the chain.
func link(prev digest, entry []byte) digest {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(entry)
	return digest(h.Sum(nil))
}

// line is an entry with its hash, as it stands in a batch and in an export.
type line struct {
	Hash  string          `json:"hash"`
	Entry json.RawMessage `json:"entry" holds:"wire"` // holds: what a reader of the types finds in it
}

// batch is a document of the trail. Its ID is its position.
type batch struct {
	Version  int    `json:"v"`
	Position int64  `json:"batch"`
	First    int64  `json:"first"` // Seq of the first entry
	Last     int64  `json:"last"`
	Prev     string `json:"prev"`  // hash of entry First-1
	Nonce    string `json:"nonce"` // by which its writer knows it again
	MAC      string `json:"mac"`
	Entries  []line `json:"entries"`

	wires []wire // the entries decoded, where they are known
}

// text is what the MAC is over. The entries are in it by the last hash.
func (b *batch) text() string {
	last := ""
	if n := len(b.Entries); n > 0 {
		last = b.Entries[n-1].Hash
	}
	return fmt.Sprintf("%d\n%d\n%d\n%d\n%s\n%s\n%s", b.Version, b.Position, b.First, b.Last, b.Prev, last, b.Nonce)
}

func (b *batch) mac(k Keyer) string { return k.Hash("audit.batch", b.text()) }

func (b *batch) genuine(k Keyer) bool { return hmac.Equal([]byte(b.mac(k)), []byte(b.MAC)) }

// decode gives the entries decoded.
func (b *batch) decode() ([]wire, error) {
	if b.wires != nil {
		return b.wires, nil
	}
	ws := make([]wire, len(b.Entries))
	for i := range ws {
		if err := json.Unmarshal(b.Entries[i].Entry, &ws[i]); err != nil {
			return nil, fmt.Errorf("audit: batch %d, entry %d: %w", b.Position, b.First+int64(i), err)
		}
	}
	b.wires = ws
	return ws, nil
}

// parseBatch reads a stored body that is exactly as this package writes it: white space, a member's name in other letters or twice is an error.
func parseBatch(body []byte) (*batch, error) {
	var b batch
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	again, err := json.Marshal(&b)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, body) {
		return nil, fmt.Errorf("audit: batch %d is not as it was written", b.Position)
	}
	if b.Version != version {
		return nil, fmt.Errorf("audit: batch %d has version %d, this program knows %d", b.Position, b.Version, version)
	}
	if len(b.Entries) == 0 {
		return nil, fmt.Errorf("audit: batch %d is empty", b.Position)
	}
	return &b, nil
}

// batchID is a position as an ID; IDs are in the order of positions.
func batchID(position int64) string { return fmt.Sprintf("%012d", position) }

func parseBatchID(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n > 0 && batchID(n) == id
}

// The indexes. Every one but the first orders batches by their time; an entry is found through its batch.
const (
	byPosition = "position"
	byTime     = "time"
	byActor    = "actor"
	bySubject  = "subject"
	byAction   = "action"
	byAttempt  = "attempt" // batches that hold the outcome of an attempt
)

var indexes = []store.Index[batch]{
	{Name: byPosition, Version: "1", Keys: func(_ string, b *batch) ([]store.Key, store.Key) {
		return []store.Key{store.K()}, store.K(b.Position)
	}},
	{Name: byTime, Version: "1", Keys: func(_ string, b *batch) ([]store.Key, store.Key) { return []store.Key{store.K()}, b.order() }},
	{Name: byActor, Version: "1", Keys: keysOf(func(w *wire) (store.Key, bool) { return store.K(w.Actor), true })},
	{Name: bySubject, Version: "1", Keys: keysOf(func(w *wire) (store.Key, bool) { return store.K(w.Subject), w.Subject != "" })},
	{Name: byAction, Version: "1", Keys: keysOf(func(w *wire) (store.Key, bool) { return store.K(w.Action), true })},
	{Name: byAttempt, Version: "1", Keys: keysOf(func(w *wire) (store.Key, bool) { return store.K(w.Attempt), w.Attempt != 0 })},
}

// order is the place of a batch among others by time: the time that all its entries have, then its position.
func (b *batch) order() store.Key {
	ws, err := b.decode()
	if err != nil || len(ws) == 0 {
		return store.K(int64(0), b.Position)
	}
	e, err := ws[0].entry("")
	if err != nil {
		return store.K(int64(0), b.Position)
	}
	return store.K(e.At, b.Position)
}

// keysOf makes an index over a member of the entries. A batch that cannot be decoded is in none: Verify is what finds it.
func keysOf(key func(*wire) (store.Key, bool)) func(string, *batch) ([]store.Key, store.Key) {
	return func(_ string, b *batch) (eq []store.Key, order store.Key) {
		ws, err := b.decode()
		if err != nil {
			return nil, nil
		}
		seen := map[string]bool{}
		for i := range ws {
			if k, ok := key(&ws[i]); ok && !seen[string(k)] {
				seen[string(k)] = true
				eq = append(eq, k)
			}
		}
		return eq, b.order()
	}
}
