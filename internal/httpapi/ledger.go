package httpapi

import (
	"cmp"
	"context"
	"fmt"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/ledger"
)

// Ledger reads the transparency log.
type Ledger interface {
	Head(ctx context.Context) (ledger.Head, error)
	Leaves(ctx context.Context, from int64, limit int) ([]ledger.Leaf, error)
	Leaf(ctx context.Context, index int64) (ledger.Leaf, error)
	Find(ctx context.Context, kind, key string) (int64, error)
}

// LedgerProofs proves what is in the log.
type LedgerProofs interface {
	Inclusion(ctx context.Context, index, size int64) (ledger.Proof, error)
	Consistency(ctx context.Context, from, to int64) (ledger.Proof, error)
}

// maxLeafBytes ends a page of leaves early, so that long documents do not add up.
const maxLeafBytes = 2 << 20

// GetLedger says where the log ends.
func (s *server) GetLedger(ctx context.Context, _ GetLedgerRequestObject) (GetLedgerResponseObject, error) {
	h, err := s.deps.Services.Ledger.Head(ctx)
	if err != nil {
		return nil, err
	}
	out := GetLedger200JSONResponse{
		Origin: h.Origin, Size: h.Size, Root: h.Root, Published: h.Published, Checkpoint: h.Checkpoint, Key: h.Key, Before: make([]LedgerPast, len(h.Before)),
	}
	for i, p := range h.Before {
		out.Before[i] = LedgerPast{Origin: p.Origin, Size: p.Size, Ended: p.Ended}
	}
	return out, nil
}

// GetLedgerCheckpoint gives the newest checkpoint as it was signed.
func (s *server) GetLedgerCheckpoint(ctx context.Context, _ GetLedgerCheckpointRequestObject) (GetLedgerCheckpointResponseObject, error) {
	h, err := s.deps.Services.Ledger.Head(ctx)
	if err != nil {
		return nil, err
	}
	return GetLedgerCheckpoint200TextResponse(h.Checkpoint), nil
}

// ListLedgerLeaves lists leaves with what is public of them.
func (s *server) ListLedgerLeaves(ctx context.Context, req ListLedgerLeavesRequestObject) (ListLedgerLeavesResponseObject, error) {
	h, err := s.deps.Services.Ledger.Head(ctx)
	if err != nil {
		return nil, err
	}
	leaves, err := s.deps.Services.Ledger.Leaves(ctx, req.Params.From, cmp.Or(req.Params.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListLedgerLeaves200JSONResponse{Items: []LedgerLeaf{}, Size: h.Size}
	size := 0
	for i := range leaves {
		if size += len(leaves[i].Present); size > maxLeafBytes && i > 0 {
			break
		}
		out.Items = append(out.Items, leafBody(&leaves[i]))
	}
	return out, nil
}

// leafBody is what anyone may know of a leaf.
func leafBody(l *ledger.Leaf) LedgerLeaf {
	return LedgerLeaf{Index: l.Index, Kind: l.Kind, Entry: l.Entry, Nonce: l.Nonce, Document: string(l.Present)}
}

// GetLedgerLeaf gives a leaf with its proof under one checkpoint.
func (s *server) GetLedgerLeaf(ctx context.Context, req GetLedgerLeafRequestObject) (GetLedgerLeafResponseObject, error) {
	h, err := s.deps.Services.Ledger.Head(ctx)
	if err != nil {
		return nil, err
	}
	l, err := s.deps.Services.Ledger.Leaf(ctx, req.Index)
	if err != nil {
		return nil, err
	}
	p, err := s.deps.Services.Proofs.Inclusion(ctx, req.Index, h.Size)
	if err != nil {
		return nil, err
	}
	return GetLedgerLeaf200JSONResponse{Leaf: leafBody(&l), Inclusion: inclusionBody(&p), Checkpoint: h.Checkpoint}, nil
}

// noFirm is the ID of no firm: what it owns is for officers alone.
const noFirm = "\x00"

// GetLedgerSealed gives all that is stored behind a leaf to whom it belongs, and to officers.
func (s *server) GetLedgerSealed(ctx context.Context, req GetLedgerSealedRequestObject) (GetLedgerSealedResponseObject, error) {
	l, err := s.deps.Services.Ledger.Leaf(ctx, req.Index)
	if err != nil {
		return nil, err
	}
	if err := allow(ctx, access.Target{Firm: cmp.Or(l.Owner, noFirm)}); err != nil {
		return nil, err
	}
	if l.Sealed == nil {
		return nil, fault.New(fault.NotFound, "nothing_sealed", "nothing but the leaf's hash is kept")
	}
	return GetLedgerSealed200JSONResponse{Index: l.Index, Salt: l.Salt, Sealed: string(l.Sealed)}, nil
}

// FindLedgerLeaf finds the leaf of a document.
func (s *server) FindLedgerLeaf(ctx context.Context, req FindLedgerLeafRequestObject) (FindLedgerLeafResponseObject, error) {
	i, err := s.deps.Services.Ledger.Find(ctx, req.Params.Kind, req.Params.Key)
	if err != nil {
		return nil, err
	}
	return FindLedgerLeaf200JSONResponse{Index: i, Proof: fmt.Sprintf("/v1/ledger/leaves/%d", i)}, nil
}

// ProveLedgerInclusion proves that a leaf is in a tree.
func (s *server) ProveLedgerInclusion(ctx context.Context, req ProveLedgerInclusionRequestObject) (ProveLedgerInclusionResponseObject, error) {
	p, err := s.deps.Services.Proofs.Inclusion(ctx, req.Params.Index, req.Params.Size)
	if err != nil {
		return nil, err
	}
	return ProveLedgerInclusion200JSONResponse(inclusionBody(&p)), nil
}

// ProveLedgerConsistency proves that one tree begins with another.
func (s *server) ProveLedgerConsistency(ctx context.Context, req ProveLedgerConsistencyRequestObject) (ProveLedgerConsistencyResponseObject, error) {
	p, err := s.deps.Services.Proofs.Consistency(ctx, req.Params.From, req.Params.To)
	if err != nil {
		return nil, err
	}
	return ProveLedgerConsistency200JSONResponse{From: p.From, To: p.Size, Root: p.Root, Hashes: hashesBody(p.Hashes)}, nil
}

func inclusionBody(p *ledger.Proof) LedgerInclusion {
	return LedgerInclusion{Index: p.Index, Size: p.Size, LeafHash: p.LeafHash, Root: p.Root, Hashes: hashesBody(p.Hashes)}
}

func hashesBody(hashes [][]byte) LedgerHashes { return append(LedgerHashes{}, hashes...) }
