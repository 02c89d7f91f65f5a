package check

import "crypto/sha256"

// The hashes of RFC 6962, 2.1, written out once more: a checker that shares the writer's code shares its mistakes.

type hash [sha256.Size]byte

func hashLeaf(entry []byte) hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(entry)
	return hash(h.Sum(nil))
}

func hashNode(left, right hash) hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// tree is a Merkle tree that grows to the right. It keeps the roots of its complete subtrees, the largest first, which are one
// for each bit of size.
type tree struct {
	size  int64
	roots []hash
}

func (t *tree) add(leaf hash) {
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		leaf = hashNode(t.roots[last], leaf)
		t.roots = t.roots[:last]
	}
	t.roots = append(t.roots, leaf)
	t.size++
}

// root is MTH of RFC 6962, 2.1.
func (t *tree) root() hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	last := len(t.roots) - 1
	r := t.roots[last]
	for i := last - 1; i >= 0; i-- {
		r = hashNode(t.roots[i], r)
	}
	return r
}
