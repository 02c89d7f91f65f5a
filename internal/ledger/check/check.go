// Package check holds the transparency log to what it signed: it rebuilds the tree from the documents, and names the first leaf that is not what
// was logged. It works on the store, with everything that is stored of a document, and over HTTP, with what anyone may read.
//
// It shares no code with the sequencer, and takes from the log only texts and hashes.
package check

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Leaf is a leaf as the log tells it.
type Leaf struct {
	Index int64
	Kind  string
	Key   string // by which people find the document; "" if it is not told
	Entry []byte
	// Nonce is nil for a leaf that was forgotten: its entry stands alone.
	Nonce    []byte
	Document []byte // nil: there is none although the leaf was not forgotten
}

// Log is where a log is read from. A *BrokenError error says that it is not what it should be; any other that it could not be read.
type Log interface {
	// Checkpoint gives the newest checkpoint as it was signed.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Leaves gives the leaves of bundle n, of which the log has width.
	Leaves(ctx context.Context, n int64, width int) ([]Leaf, error)
	// Tile gives the first hashes of a tile (C2SP tlog-tiles), one after the other.
	Tile(ctx context.Context, level int, n int64, width int) ([]byte, error)
}

// BrokenError says what is not as it was logged.
type BrokenError struct {
	Index  int64 // of the first leaf that is concerned; -1: of none in particular
	Kind   string
	Key    string
	Reason string
}

// Error names the leaf and the document.
func (b *BrokenError) Error() string {
	if b.Index < 0 {
		return b.Reason
	}
	text := fmt.Sprintf("leaf %d", b.Index)
	if b.Kind != "" {
		text += ", " + b.Kind
	}
	if b.Key != "" {
		text += " " + b.Key
	}
	return text + ": " + b.Reason
}

// Options says what to check against.
type Options struct {
	Key      ed25519.PublicKey
	Against  []byte // an older checkpoint that was kept elsewhere; nil for none
	Progress func(done, total int64)
}

// Report says how far the log is in order.
type Report struct {
	Checkpoint Checkpoint   // that the log was checked against
	Against    *Checkpoint  // the older one
	Leaves     int64        // that are in order
	Forgotten  int64        // of these, without a document
	Broken     *BrokenError // nil: the log is in order
}

const (
	bundle  = 256
	workers = 4 // read and hash bundles ahead of the tree
)

// Run rebuilds the tree of a log. The error says that the log could not be read; what is wrong with it is in the report.
func Run(ctx context.Context, log Log, o Options) (Report, error) {
	c := &checker{log: log, o: o}
	err := c.run(ctx)
	if b, ok := errors.AsType[*BrokenError](err); ok {
		c.report.Broken, err = b, nil
	}
	return c.report, err
}

type checker struct {
	log    Log
	o      Options
	report Report
	tree   tree
	rows   []row // by level
}

// row is the tile of a level that is being filled.
type row struct {
	n      int64
	hashes []hash
}

func (c *checker) run(ctx context.Context) error {
	msg, err := c.log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if c.report.Checkpoint, err = ParseCheckpoint(msg, c.o.Key); err != nil {
		return &BrokenError{Index: -1, Reason: "the log's " + err.Error()}
	}
	head := c.report.Checkpoint
	if c.o.Against != nil {
		old, err := ParseCheckpoint(c.o.Against, c.o.Key)
		if err != nil {
			return fmt.Errorf("the checkpoint to compare with: %w", err)
		}
		c.report.Against = &old
		if old.Size > head.Size {
			return &BrokenError{Index: -1, Reason: shorter(old, head)}
		}
		if err := c.compare(); err != nil { // it may be one of nothing
			return err
		}
	}
	if err := c.bundles(ctx, head.Size); err != nil {
		return err
	}
	if r := c.tree.root(); !bytes.Equal(r[:], head.Root) {
		return &BrokenError{Index: -1, Reason: fmt.Sprintf("the %d leaves do not make the tree of the checkpoint", head.Size)}
	}
	for level := range c.rows {
		if err := c.tile(ctx, level); err != nil {
			return err
		}
	}
	return nil
}

func shorter(old, head Checkpoint) string {
	text := fmt.Sprintf("the log has %d leaves, fewer than the %d of the checkpoint", head.Size, old.Size)
	if old.Origin != head.Origin {
		text += ": it was restored from a backup that is older, and goes on as " + head.Origin
	}
	return text
}

// read is a bundle that was read and whose documents were checked.
type read struct {
	leaves []Leaf
	broken *BrokenError // the first leaf that is not what it says
}

// bundles reads the bundles side by side and adds them to the tree in order.
func (c *checker) bundles(ctx context.Context, size int64) error {
	g, gctx := errgroup.WithContext(ctx)
	queue := make(chan chan read, workers)
	g.Go(func() error {
		defer close(queue)
		for n := int64(0); n*bundle < size; n++ {
			slot := make(chan read, 1)
			select {
			case queue <- slot:
			case <-gctx.Done():
				return gctx.Err()
			}
			g.Go(func() error {
				r, err := c.read(gctx, n, int(min(size-n*bundle, bundle)))
				slot <- r
				return err
			})
		}
		return nil
	})
	g.Go(func() error {
		for slot := range queue {
			select {
			case r := <-slot:
				if err := c.add(gctx, r, size); err != nil {
					return err
				}
			case <-gctx.Done():
				return gctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

// read reads a bundle and checks its documents. What is broken is told in turn, so that the first is.
func (c *checker) read(ctx context.Context, n int64, width int) (read, error) {
	leaves, err := c.log.Leaves(ctx, n, width)
	if b, ok := errors.AsType[*BrokenError](err); ok {
		return read{leaves, b}, nil
	}
	if err != nil {
		return read{}, fmt.Errorf("read the leaves from %d: %w", n*bundle, err)
	}
	for i := range leaves {
		l := &leaves[i]
		reason := ""
		switch {
		case l.Index != n*bundle+int64(i):
			reason = fmt.Sprintf("stands where leaf %d is to be", n*bundle+int64(i))
		case len(l.Entry) != sha256.Size:
			reason = "has no entry"
		case l.Nonce == nil:
		case l.Document == nil:
			reason = "the document is gone"
		case !bytes.Equal(salted(l.Nonce, l.Document), l.Entry):
			reason = "the document was altered"
		}
		if reason != "" {
			return read{leaves[:i], &BrokenError{l.Index, l.Kind, l.Key, reason}}, nil
		}
	}
	if len(leaves) != width {
		return read{leaves, &BrokenError{Index: n*bundle + int64(len(leaves)), Reason: "the leaf is missing"}}, nil
	}
	return read{leaves: leaves}, nil
}

func salted(nonce, text []byte) []byte {
	h := sha256.New()
	h.Write(nonce)
	h.Write(text)
	return h.Sum(nil)
}

// add adds a bundle to the tree, and holds its hashes to the tile that the log shows.
func (c *checker) add(ctx context.Context, r read, size int64) error {
	var hashes []hash
	for i := range r.leaves {
		hashes = append(hashes, hashLeaf(r.leaves[i].Entry))
	}
	if len(hashes) > 0 {
		first := r.leaves[0].Index
		shown, err := c.log.Tile(ctx, 0, first/bundle, int(min(size-first, bundle)))
		if err != nil {
			return err
		}
		for i, h := range hashes {
			if at := i * sha256.Size; len(shown) < at+sha256.Size || !bytes.Equal(shown[at:at+sha256.Size], h[:]) {
				l := &r.leaves[i]
				return &BrokenError{l.Index, l.Kind, l.Key, "the leaf was altered: it is not the one in the tree"}
			}
			if r.leaves[i].Nonce == nil {
				c.report.Forgotten++
			}
			c.report.Leaves++
			if err := c.leaf(ctx, h); err != nil {
				return err
			}
		}
	}
	if c.o.Progress != nil {
		c.o.Progress(c.report.Leaves, size)
	}
	if r.broken != nil {
		return r.broken
	}
	return nil
}

// leaf adds a leaf to the tree and to the tiles.
func (c *checker) leaf(ctx context.Context, h hash) error {
	c.tree.add(h)
	if err := c.compare(); err != nil {
		return err
	}
	for level := 0; ; level++ {
		if level == len(c.rows) {
			c.rows = append(c.rows, row{})
		}
		r := &c.rows[level]
		r.hashes = append(r.hashes, h)
		if len(r.hashes) < bundle {
			return nil
		}
		if level > 0 { // that of the leaves was compared already
			if err := c.tile(ctx, level); err != nil {
				return err
			}
		}
		t := tree{}
		for _, h := range r.hashes {
			t.add(h)
		}
		h = t.root()
		r.n, r.hashes = r.n+1, r.hashes[:0]
	}
}

// tile holds the tile of a level that is being filled to what the log shows.
func (c *checker) tile(ctx context.Context, level int) error {
	r := &c.rows[level]
	if level == 0 || len(r.hashes) == 0 {
		return nil
	}
	shown, err := c.log.Tile(ctx, level, r.n, len(r.hashes))
	if err != nil {
		return err
	}
	for i, h := range r.hashes {
		if at := i * sha256.Size; len(shown) < at+sha256.Size || !bytes.Equal(shown[at:at+sha256.Size], h[:]) {
			return &BrokenError{Index: -1, Reason: fmt.Sprintf("hash %d of tile %d of level %d is not that of the leaves", i, r.n, level)}
		}
	}
	return nil
}

// compare compares the tree with the older checkpoint when it has that one's size.
func (c *checker) compare() error {
	old := c.report.Against
	if old == nil || c.tree.size != old.Size {
		return nil
	}
	if r := c.tree.root(); !bytes.Equal(r[:], old.Root) {
		return &BrokenError{Index: -1, Reason: fmt.Sprintf("the first %d leaves are not those of the checkpoint", old.Size)}
	}
	return nil
}
