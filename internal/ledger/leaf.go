package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/haisu-trace/haisu/internal/store"
)

// NonceSize is the size of a nonce in bytes.
const NonceSize = 16

// bundleSize is how many leaves a bundle of entries and a tile have (C2SP tlog-tiles).
const bundleSize = 256

// Canonical is the document of a leaf: a JSON text, of which every byte counts. public may be nil; sealedHash too.
func Canonical(kind string, public, sealedHash []byte) []byte {
	out := append([]byte(`{"v":1,"kind":"`), kind...)
	out = append(out, '"')
	if public != nil {
		out = append(append(out, `,"public":`...), public...)
	}
	if sealedHash != nil {
		out = append(out, `,"sealed":"`...)
		out = hex.AppendEncode(out, sealedHash)
		out = append(out, '"')
	}
	return append(out, '}')
}

// salted is SHA-256(nonce ‖ text).
func salted(nonce, text []byte) []byte {
	h := sha256.New()
	h.Write(nonce)
	h.Write(text)
	return h.Sum(nil)
}

// leafHash is the hash of an entry as a leaf of the tree (RFC 6962, 2.1).
func leafHash(entry []byte) []byte { return rfc6962.DefaultHasher.HashLeaf(entry) }

// leaf is a leaf as it stands in its batch.
type leaf struct {
	Kind  string `json:"k"`
	Key   string `json:"key"`
	Nonce []byte `json:"n,omitempty"` // of the document, then of its sealed part; none: forgotten
	Entry []byte `json:"e"`
}

// newLeaf makes the leaf of a document. nonces has both nonces.
func newLeaf(kind, key string, d Document, nonces []byte) leaf {
	return leaf{Kind: kind, Key: key, Nonce: nonces, Entry: salted(nonces[:NonceSize], documentOf(kind, d, nonces))}
}

func documentOf(kind string, d Document, nonces []byte) []byte {
	var sealed []byte
	if d.Sealed != nil {
		sealed = salted(nonces[NonceSize:], d.Sealed)
	}
	return Canonical(kind, d.Public, sealed)
}

// batch is a run of leaves within one bundle. Its ID is its first position, so the insert of one decides which leaves have these positions.
type batch struct {
	First  int64     `json:"first"`
	At     time.Time `json:"at"`
	Root   []byte    `json:"root"` // of the tree that ends with the batch
	Leaves []leaf    `json:"leaves"`
}

func (b *batch) end() int64 { return b.First + int64(len(b.Leaves)) }

func batchID(first int64) string { return fmt.Sprintf("%015d", first) }

const byFirst = "first"

var batchDef = store.Def[batch]{Name: "ledger_batches", Indexes: []store.Index[batch]{{
	Name: byFirst, Version: "1", Keys: func(_ string, b *batch) ([]store.Key, store.Key) {
		return []store.Key{store.K()}, store.K(b.First)
	},
}}}

// pointer leads from a document to its leaf. It follows from the leaf's batch.
type pointer struct {
	Index int64 `json:"i"`
}

// pointerID is the same length for every key.
func pointerID(kind, key string) string {
	h := sha256.New()
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(key))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// tile has a row of up to 256 inner hashes, from the left. A tile of leaves is stored when it is full, the others grow.
type tile struct {
	Hashes []byte `json:"h"`
}

func (t *tile) width() int { return len(t.Hashes) / hashSize }

func tileID(level uint, n int64) string { return fmt.Sprintf("%d/%015d", level, n) }

const hashSize = sha256.Size
