package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// MaxLeaves is how many leaves one call lists.
const MaxLeaves = bundleSize

// maxRead ends a call that lists leaves once it has read so many bytes of documents: all that is stored of a document has to be read for its hash.
const maxRead = 8 << 20

// Head is the published end of the log.
type Head struct {
	Origin     string
	Size       int64
	Root       []byte
	Published  time.Time
	Checkpoint string // the signed note
	Key        string // what it is checked with: a verifier key of golang.org/x/mod/sumdb/note
	Before     []PastOrigin
}

// Leaf is a leaf as it is served, with its document as it stands in the store now.
type Leaf struct {
	Index   int64
	Kind    string
	Key     string // the document's; it is public only where Public is
	Entry   []byte
	Nonce   []byte // nil: forgotten
	Found   bool   // the document is in the store
	Public  []byte // as Document
	Sealed  []byte // as Document
	Salt    []byte // the nonce of Sealed
	Owner   string
	Present []byte // the document of the leaf, made from what is stored now; nil if the leaf is forgotten or the document is gone
}

// Proof proves that a leaf is in the tree of a size, or that one tree begins with another.
type Proof struct {
	Index    int64 // of the leaf
	LeafHash []byte
	From     int64 // size of the first tree, for consistency
	Size     int64
	Root     []byte
	Hashes   [][]byte
}

func errBeyond(size int64) *fault.Error {
	return fault.New(fault.NotFound, "beyond_log", "the log has %d leaves", size)
}

// Head gives the published end.
func (s *Service) Head(ctx context.Context) (Head, error) {
	st, err := s.published(ctx)
	if err != nil {
		return Head{}, err
	}
	h := Head{Origin: st.Origin, Size: st.Size, Root: st.Root, Published: st.At, Checkpoint: st.Note, Before: st.Before}
	h.Key, err = verifierKey(st.Origin, s.key)
	return h, err
}

func (s *Service) published(ctx context.Context) (*state, error) {
	d, err := s.states.Get(ctx, stateID)
	if err != nil {
		return nil, fmt.Errorf("ledger: state: %w", err)
	}
	return &d.V, nil
}

// Tile gives the first hashes of a tile of the published tree. NotFound.
func (s *Service) Tile(ctx context.Context, level uint, n int64, width int) ([]byte, error) {
	st, err := s.published(ctx)
	if err != nil {
		return nil, err
	}
	r := s.reader(st.Size)
	if level >= 64/tileBits || n < 0 || width < 1 || width > r.width(level, n) {
		return nil, errBeyond(st.Size)
	}
	return r.row(ctx, level, n, width)
}

// Entries gives the first entries of a bundle, each behind its length (C2SP tlog-tiles, Log entries). NotFound.
func (s *Service) Entries(ctx context.Context, n int64, width int) ([]byte, error) {
	st, err := s.published(ctx)
	if err != nil {
		return nil, err
	}
	if n < 0 || width < 1 || width > s.reader(st.Size).width(0, n) {
		return nil, errBeyond(st.Size)
	}
	var out []byte
	err = s.eachLeaf(ctx, n*bundleSize, n*bundleSize+int64(width), func(_ int64, _ *batch, l *leaf) error {
		out = binary.BigEndian.AppendUint16(out, uint16(len(l.Entry)))
		out = append(out, l.Entry...)
		return nil
	})
	return out, err
}

// eachLeaf gives the leaves from one position to before another, which must be in the log.
func (s *Service) eachLeaf(ctx context.Context, from, end int64, f func(i int64, b *batch, l *leaf) error) error {
	next := from
	err := s.eachBatch(ctx, from/bundleSize*bundleSize, end, func(b *batch) error {
		for ; next < min(end, b.end()); next++ {
			if err := f(next, b, &b.Leaves[next-b.First]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && next < end {
		err = &GapError{next, end}
	}
	return err
}

// Leaves gives up to limit published leaves from a position on, with their documents; fewer where documents are long, and one at least. Only what
// is Public of them, with Nonce, may be shown to everybody. NotFound when the log is shorter.
func (s *Service) Leaves(ctx context.Context, from int64, limit int) ([]Leaf, error) {
	st, err := s.published(ctx)
	if err != nil {
		return nil, err
	}
	if from < 0 || from >= st.Size {
		return nil, errBeyond(st.Size)
	}
	var out []Leaf
	end := min(from+int64(min(max(limit, 1), MaxLeaves)), st.Size)
	err = s.eachLeaf(ctx, from, end, func(i int64, _ *batch, l *leaf) error {
		out = append(out, Leaf{Index: i, Kind: l.Kind, Key: l.Key, Entry: l.Entry})
		if len(l.Nonce) == 2*NonceSize {
			out[len(out)-1].Nonce, out[len(out)-1].Salt = l.Nonce[:NonceSize], l.Nonce[NonceSize:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	read := 0
	for at := 0; at < len(out); at += docsSize {
		part := out[at:min(at+docsSize, len(out))]
		if err := s.fill(ctx, part); err != nil {
			return nil, err
		}
		for i := range part {
			if read += len(part[i].Sealed); read > maxRead {
				return out[:at+i+1], nil
			}
		}
	}
	return out, nil
}

// fill adds the documents to leaves. A leaf whose source this program does not know has none.
func (s *Service) fill(ctx context.Context, leaves []Leaf) error {
	byKind := map[string][]string{}
	for i := range leaves {
		if l := &leaves[i]; l.Nonce != nil {
			byKind[l.Kind] = append(byKind[l.Kind], l.Key)
		}
	}
	for kind, keys := range byKind {
		if s.sources[kind] == nil {
			continue
		}
		docs, err := s.sources[kind].Documents(ctx, keys)
		if err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		for i := range leaves {
			l := &leaves[i]
			d, ok := docs[l.Key]
			if !ok || l.Kind != kind || l.Nonce == nil {
				continue
			}
			l.Found, l.Public, l.Sealed, l.Owner = true, d.Public, d.Sealed, d.Owner
			l.Present = documentOf(kind, d, append(bytes.Clone(l.Nonce), l.Salt...))
		}
	}
	return nil
}

// Leaf gives one published leaf. NotFound.
func (s *Service) Leaf(ctx context.Context, index int64) (Leaf, error) {
	ls, err := s.Leaves(ctx, index, 1)
	if err != nil {
		return Leaf{}, err
	}
	return ls[0], nil
}

// Positions gives the positions of the leaves of documents, by key, where they are published: whoever asks for one of them by the checkpoint
// finds it.
func (s *Service) Positions(ctx context.Context, kind string, keys []string) (map[string]int64, error) {
	found, err := s.pointers(ctx, kind, keys)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	size := s.Stats().Size
	for k, i := range found {
		if i >= size { // published by another process, or about to be
			st, err := s.published(ctx)
			if err != nil {
				return nil, err
			}
			size = st.Size
			s.progress.update(func(p *progress) { p.size = max(p.size, size) })
		}
		if i >= size {
			delete(found, k)
		}
	}
	return found, nil
}

// pointers gives the positions of the leaves of documents, by key, published or not.
func (s *Service) pointers(ctx context.Context, kind string, keys []string) (map[string]int64, error) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = pointerID(kind, k)
	}
	found, err := s.leaves.GetMany(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up leaves: %w", err)
	}
	out := make(map[string]int64, len(found))
	for i, k := range keys {
		if d, ok := found[ids[i]]; ok {
			out[k] = d.V.Index
		}
	}
	return out, nil
}

// Find gives the position of a document's leaf. NotFound (not_logged): it has none yet, or never will.
func (s *Service) Find(ctx context.Context, kind, key string) (int64, error) {
	found, err := s.Positions(ctx, kind, []string{key})
	if err != nil {
		return 0, err
	}
	i, ok := found[key]
	if !ok {
		return 0, fault.New(fault.NotFound, "not_logged", "there is no leaf of this document; a new one has it within two seconds")
	}
	return i, nil
}

// Inclusion proves that a leaf is in the published tree of a size; 0 is the newest. NotFound.
func (s *Service) Inclusion(ctx context.Context, index, size int64) (Proof, error) {
	size, err := s.sizeOf(ctx, size)
	if err != nil {
		return Proof{}, err
	}
	if index < 0 || index >= size {
		return Proof{}, errBeyond(size)
	}
	plan, err := proof.Inclusion(uint64(index), uint64(size))
	if err != nil {
		return Proof{}, fmt.Errorf("ledger: plan a proof: %w", err)
	}
	p := Proof{Index: index, Size: size}
	r := s.reader(size)
	if p.Hashes, p.Root, err = s.prove(ctx, r, plan); err != nil {
		return Proof{}, err
	}
	row, err := r.row(ctx, 0, index/bundleSize, int(index%bundleSize)+1)
	if err != nil {
		return Proof{}, err
	}
	p.LeafHash = row[len(row)-hashSize:]
	return p, nil
}

// Consistency proves that the published tree of size 'to' begins with that of size 'from'; 0 for 'to' is the newest. NotFound.
func (s *Service) Consistency(ctx context.Context, from, to int64) (Proof, error) {
	to, err := s.sizeOf(ctx, to)
	if err != nil {
		return Proof{}, err
	}
	if from < 0 || from > to {
		return Proof{}, errBeyond(to)
	}
	plan, err := proof.Consistency(uint64(from), uint64(to))
	if err != nil {
		return Proof{}, fmt.Errorf("ledger: plan a proof: %w", err)
	}
	p := Proof{From: from, Size: to}
	p.Hashes, p.Root, err = s.prove(ctx, s.reader(to), plan)
	return p, err
}

// sizeOf is the size of the tree that is meant.
func (s *Service) sizeOf(ctx context.Context, size int64) (int64, error) {
	st, err := s.published(ctx)
	if err != nil {
		return 0, err
	}
	if size < 0 || size > st.Size {
		return 0, errBeyond(st.Size)
	}
	if size == 0 {
		return st.Size, nil
	}
	return size, nil
}

// prove reads what a proof is made of, and the root of its tree.
func (s *Service) prove(ctx context.Context, r *treeReader, plan proof.Nodes) (hashes [][]byte, root []byte, err error) {
	if hashes, err = r.nodes(ctx, plan.IDs); err != nil {
		return nil, nil, err
	}
	if hashes, err = plan.Rehash(hashes, rfc6962.DefaultHasher.HashChildren); err != nil {
		return nil, nil, fmt.Errorf("ledger: make a proof: %w", err)
	}
	root, err = r.root(ctx)
	return hashes, root, err
}

// Forget destroys the nonces of a leaf, after which nobody can tell what was logged, and nobody's guess can be tried. The tree stays as it is.
// It is for documents whose text must go, and may be repeated. NotFound.
func (s *Service) Forget(ctx context.Context, kind, key string) error {
	index, err := s.Find(ctx, kind, key)
	if err != nil {
		return err
	}
	first := int64(-1)
	if err := s.eachLeaf(ctx, index, index+1, func(_ int64, b *batch, _ *leaf) error { first = b.First; return nil }); err != nil {
		return err
	}
	_, err = s.batches.Update(ctx, batchID(first), func(b *batch) error {
		b.Leaves[index-b.First].Nonce, b.Leaves[index-b.First].Key = nil, ""
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget leaf %d: %w", index, err)
	}
	err = s.leaves.Delete(ctx, pointerID(kind, key))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
