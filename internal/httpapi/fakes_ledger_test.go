package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/ledger"
)

// ledgerFake is a log of two leaves: an event of the seller's, and a message of a warning.
type ledgerFake struct{ *fakes }

var ledgerLeaves = []ledger.Leaf{
	logged(0, "event", `{"id":"urn:uuid:1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed","firm":"cdf-haikou","step":"stocking"}`, `{"received":{},"parts":[{}]}`, "cdf-haikou"),
	logged(1, "warning_message", `{"no":"HN-2026-000007","rev":1}`, `{"no":"HN-2026-000007","rev":1,"by":"lin.mei"}`, ""),
}

func logged(i int64, kind, public, sealed, owner string) ledger.Leaf {
	nonce, salt := bytes.Repeat([]byte{byte(i + 1)}, 16), bytes.Repeat([]byte{byte(i + 101)}, 16)
	inner := sha256.Sum256(append(bytes.Clone(salt), sealed...))
	doc := ledger.Canonical(kind, []byte(public), inner[:])
	entry := sha256.Sum256(append(bytes.Clone(nonce), doc...))
	return ledger.Leaf{
		Index: i, Kind: kind, Key: "k", Entry: entry[:], Nonce: nonce, Found: true, Public: []byte(public), Sealed: []byte(sealed), Salt: salt, Owner: owner, Present: doc,
	}
}

func leafHash(i int64) []byte {
	h := sha256.Sum256(append([]byte{0}, ledgerLeaves[i].Entry...))
	return h[:]
}

func treeHash() []byte {
	h := sha256.Sum256(append(append([]byte{1}, leafHash(0)...), leafHash(1)...))
	return h[:]
}

var errBeyond = fault.New(fault.NotFound, "beyond_log", "the log has 2 leaves")

func (f ledgerFake) Head(context.Context) (ledger.Head, error) {
	return ledger.Head{
		Origin: "haisu.example/ledger/7k2m9q4t", Size: 2, Root: treeHash(), Published: now, Checkpoint: "haisu.example/ledger/7k2m9q4t\n2\nroot\n\n— haisu.example/ledger/7k2m9q4t sig\n",
		Key: "haisu.example/ledger/7k2m9q4t+00000000+key", Before: []ledger.PastOrigin{{Origin: "haisu.example/ledger/0a", Size: 1, Ended: now}},
	}, f.fail()
}

func (f ledgerFake) Leaves(_ context.Context, from int64, limit int) ([]ledger.Leaf, error) {
	if from >= int64(len(ledgerLeaves)) {
		return nil, errBeyond
	}
	return ledgerLeaves[from:min(int(from)+limit, len(ledgerLeaves))], f.fail()
}

func (f ledgerFake) Leaf(_ context.Context, index int64) (ledger.Leaf, error) {
	if index >= int64(len(ledgerLeaves)) {
		return ledger.Leaf{}, errBeyond
	}
	return ledgerLeaves[index], f.fail()
}

func (f ledgerFake) Find(_ context.Context, kind, key string) (int64, error) {
	if kind != "warning_message" || key != "HN-2026-000007/1" {
		return 0, fault.New(fault.NotFound, "not_logged", "there is no leaf of this document")
	}
	return 1, f.fail()
}

func (f ledgerFake) Inclusion(_ context.Context, index, size int64) (ledger.Proof, error) {
	if index > 1 || size > 2 {
		return ledger.Proof{}, errBeyond
	}
	return ledger.Proof{Index: index, Size: 2, LeafHash: leafHash(index), Root: treeHash(), Hashes: [][]byte{leafHash(1 - index)}}, f.fail()
}

func (f ledgerFake) Consistency(_ context.Context, from, to int64) (ledger.Proof, error) {
	if from > 2 || to > 2 {
		return ledger.Proof{}, errBeyond
	}
	return ledger.Proof{From: from, Size: 2, Root: treeHash(), Hashes: [][]byte{leafHash(1)}}, f.fail()
}

func (f ledgerFake) Tile(_ context.Context, level uint, n int64, width int) ([]byte, error) {
	if level > 0 || n > 0 || width > 2 {
		return nil, errBeyond
	}
	return append(leafHash(0), leafHash(1)...)[:width*32], f.fail()
}

func (f ledgerFake) Entries(_ context.Context, n int64, width int) (out []byte, err error) {
	if n > 0 || width > 2 {
		return nil, errBeyond
	}
	for _, l := range ledgerLeaves[:width] {
		out = append(append(out, 0, 32), l.Entry...)
	}
	return out, f.fail()
}
