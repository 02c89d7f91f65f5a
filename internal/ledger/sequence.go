package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

const (
	// idleEvery is how often feeds are looked at for what other processes wrote; this process's own writes wake the sequencer.
	idleEvery = 400 * time.Millisecond
	// gatherFor lets a little come together before a round, so that the log adds few commits to those of a busy store. Together with idleEvery
	// and the age of a cached chain it stays under the 2 s for which a scan may say 'pending'.
	gatherFor = 50 * time.Millisecond
	// pageSize bounds the keys that a round asks a source for, and so what it holds in memory.
	pageSize = store.MaxBatch
	// docsSize is how many documents are read at once; one may have some megabytes.
	docsSize = 8
	// lease is the name of the sequencer's lease.
	lease = "ledger"
)

// errRaced says that another sequencer was faster, and that the round is to be begun anew.
var errRaced = errors.New("ledger: another sequencer was faster")

// errFenced says that a later holder of the lease has written.
var errFenced = errors.New("ledger: the lease is another's")

// Run gives leaves to what has none until ctx ends. It may run in every replica, and be killed at any instruction.
func (s *Service) Run(ctx context.Context) error {
	for _, src := range s.sources {
		for _, ch := range src.Wake() {
			go s.forward(ctx, ch)
		}
	}
	t := time.NewTicker(idleEvery)
	defer t.Stop()
	failing := false
	for {
		err := s.CatchUp(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if (err != nil) != failing {
			failing = err != nil
			s.log.WarnContext(ctx, "transparency log", "failing", failing, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.wake:
			if err := pause(ctx, gatherFor); err != nil {
				return nil
			}
		}
	}
}

// forward joins the channels of the sources into one.
func (s *Service) forward(ctx context.Context, ch <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ch:
			select {
			case s.wake <- struct{}{}:
			default: // it is awake already
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// CatchUp gives a leaf to everything that has none, unless another process is about it. An idle log costs no write.
func (s *Service) CatchUp(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.now()
	news, err := s.news(ctx)
	if err != nil {
		return err
	}
	if !news {
		s.progress.update(func(p *progress) { p.caughtUp = begun })
		return nil
	}
	held, ok, err := s.deps.Leases.Try(ctx, lease)
	if err != nil || !ok {
		return err
	}
	defer func() { _ = held.Release(context.WithoutCancel(ctx)) }() // ends with its term otherwise
	for {
		begun := s.now()
		more, last, err := s.round(ctx, held.Fence)
		switch {
		case errors.Is(err, errRaced):
			s.edge = nil
			s.progress.update(func(p *progress) { p.conflicts++ })
			if err := held.Renew(ctx); err != nil { // whoever was faster may have the lease, too
				return err
			}
			continue
		case errors.Is(err, errFenced):
			s.edge = nil
			return nil
		case err != nil:
			s.edge = nil // what was written of the round is not known
			return err
		case last:
			s.progress.update(func(p *progress) { p.caughtUp = begun })
		}
		if !more {
			return nil
		}
		if err := held.Renew(ctx); err != nil {
			return err
		}
	}
}

// news says whether anything waits: for a leaf, or for what follows from a batch.
func (s *Service) news(ctx context.Context) (bool, error) {
	d, err := s.begin(ctx)
	if err != nil {
		return false, err
	}
	n, err := s.batches.Count(ctx, store.Query{Index: byFirst, Eq: store.K(), From: store.K(d.V.Size)}, 1)
	if err != nil || n > 0 {
		return n > 0, err
	}
	for kind := range s.sources {
		if ok, err := s.skip(ctx, kind, &d.V); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// skip passes over what has its leaf: a feed tells of every change of a document. It says whether something is left that has none.
func (s *Service) skip(ctx context.Context, kind string, st *state) (bool, error) {
	for {
		token := s.token(kind, st)
		p, err := s.page(ctx, kind, token)
		if err != nil || p.Next == token {
			return false, err
		}
		fresh, err := s.unlogged(ctx, kind, p.Keys)
		if err != nil || len(fresh) > 0 {
			p.Last = false // by the time that it is used
			s.peeked[kind] = peek{token, p}
			return len(fresh) > 0, err
		}
		s.tokens[kind] = p.Next
	}
}

// token is up to where everything in a feed has its leaf, as far as this process knows. It is stored with the next checkpoint.
func (s *Service) token(kind string, st *state) string {
	if t, ok := s.tokens[kind]; ok {
		return t
	}
	return st.Tokens[kind]
}

// peek is a page of a feed that was read to see whether it has anything new, and not used yet. It stays true: what it names was written, and whether
// it has leaves by now is asked again.
type peek struct {
	token string
	page  Page
}

// page gives the page of a source's feed that was peeked at, or reads it. s.mu is held.
func (s *Service) page(ctx context.Context, kind, token string) (Page, error) {
	seen, ok := s.peeked[kind]
	if delete(s.peeked, kind); ok && seen.token == token {
		return seen.page, nil
	}
	return s.changes(ctx, kind, token, pageSize)
}

// changes reads a source's feed. One that has forgotten the token begins at the beginning, where everything has its leaf already.
func (s *Service) changes(ctx context.Context, kind, token string, limit int) (Page, error) {
	p, err := s.sources[kind].Changes(ctx, token, limit)
	if errors.Is(err, store.ErrBadCursor) && token != "" {
		p, err = s.sources[kind].Changes(ctx, "", limit)
	}
	if err != nil {
		return Page{}, fmt.Errorf("follow %s: %w", kind, err)
	}
	return p, nil
}

// round gives leaves to one page of each source, and publishes a checkpoint over them. It says whether there may be more, and whether
// everything that was there before it has its leaf: in a busy log there is always more.
func (s *Service) round(ctx context.Context, fence int64) (more, last bool, err error) {
	d, err := s.begin(ctx)
	if err != nil {
		return false, false, err
	}
	if d.V.Fence > fence {
		return false, false, errFenced
	}
	if s.edge == nil || s.edge.size != d.V.Size {
		if s.edge, err = s.edgeAt(ctx, d.V.Size); err != nil {
			return false, false, err
		}
	}
	last = true
	// What a sequencer left that died has to be followed up first: only then is it known which documents have leaves.
	if err := s.eachBatch(ctx, d.V.Size, int64(1)<<62, func(b *batch) error { return s.followUp(ctx, b) }); err != nil {
		return false, false, err
	}
	for _, kind := range slices.Sorted(maps.Keys(s.sources)) {
		token := s.token(kind, &d.V)
		p, err := s.page(ctx, kind, token)
		if err != nil {
			return false, false, err
		}
		if err := s.appendAll(ctx, kind, p.Keys); err != nil {
			return false, false, err
		}
		more, last = more || p.Next != token, last && (p.Last || p.Next == token)
		s.tokens[kind] = p.Next
	}
	if s.edge.size == d.V.Size {
		return more, last, nil
	}
	return more, last, s.publish(ctx, d, fence)
}

// publish makes the checkpoint of the present edge the public one.
func (s *Service) publish(ctx context.Context, d store.Doc[state], fence int64) error {
	root, err := rootOf(s.edge.tree)
	if err != nil {
		return fmt.Errorf("root of the tree: %w", err)
	}
	st := &d.V
	st.Size, st.Root, st.At, st.Tokens, st.Fence = s.edge.size, root, s.time(), maps.Clone(s.tokens), fence
	if err := s.sign(st); err != nil {
		return err
	}
	err = s.states.Replace(ctx, d)
	if errors.Is(err, store.ErrConflict) {
		return errRaced
	}
	if err != nil {
		return fmt.Errorf("publish a checkpoint: %w", err)
	}
	s.progress.update(func(p *progress) { p.size = st.Size })
	return nil
}

// appendAll gives leaves to the documents under keys that have none.
func (s *Service) appendAll(ctx context.Context, kind string, keys []string) error {
	keys, err := s.unlogged(ctx, kind, keys)
	if err != nil {
		return err
	}
	var waiting []leaf
	for part := range slices.Chunk(keys, docsSize) {
		docs, err := s.sources[kind].Documents(ctx, part)
		if err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		for _, key := range part {
			doc, ok := docs[key]
			if !ok { // it is gone, and there is nothing to be held to
				continue
			}
			nonces := make([]byte, 2*NonceSize)
			if _, err := io.ReadFull(s.deps.Rand, nonces); err != nil {
				return fmt.Errorf("make a nonce: %w", err)
			}
			waiting = append(waiting, newLeaf(kind, key, doc, nonces))
			if len(s.edge.bundle)+len(waiting) == bundleSize {
				if err := s.appendBatch(ctx, waiting); err != nil {
					return err
				}
				waiting = nil
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	return s.appendBatch(ctx, waiting)
}

// unlogged gives the keys without a leaf, each once.
func (s *Service) unlogged(ctx context.Context, kind string, keys []string) ([]string, error) {
	have, err := s.pointers(ctx, kind, keys)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(keys))
	var out []string
	for _, k := range keys {
		if _, ok := have[k]; !ok && !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out, nil
}

// appendBatch inserts a batch at the end of the log, and does what follows from it. errRaced: the position is another's.
func (s *Service) appendBatch(ctx context.Context, leaves []leaf) error {
	after, err := s.edge.clone()
	if err != nil {
		return err
	}
	for i := range leaves {
		if _, err := after.append(leaves[i].Entry); err != nil {
			return err
		}
	}
	b := batch{First: s.edge.size, At: s.time(), Leaves: leaves}
	if b.Root, err = rootOf(after.tree); err != nil {
		return fmt.Errorf("root of the tree: %w", err)
	}
	err = s.batches.Insert(ctx, batchID(b.First), b)
	if errors.Is(err, store.ErrExists) {
		return errRaced
	}
	if err != nil {
		return fmt.Errorf("append a batch at %d: %w", b.First, err)
	}
	return s.followUp(ctx, &b)
}
