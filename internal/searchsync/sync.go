// Package searchsync keeps the search index in step with the store. It follows the feeds of what is public, and nothing waits for it:
// while the index is down, search is late and everything else goes on.
//
// Positions are saved in the store after the documents are in the index, so a killed process repeats a little; documents carry versions,
// so a repetition, and an older document that comes late, change nothing.
package searchsync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/search"
)

// Index is what is kept in step.
type Index interface {
	search.Writer
	search.Rebuilder
}

// mark is the position in one source's feed up to which one index is known to be complete.
type mark struct {
	Token string    `json:"token"`
	Saved time.Time `json:"saved"`
}

const (
	followEvery = 2 * time.Second // how often other processes' writes are looked for
	batchSize   = 200             // changes followed at once
	minPause    = 500 * time.Millisecond
	maxPause    = 30 * time.Second
)

// Syncer keeps one index in step. One goroutine at a time may use Run, Step or Rebuild.
type Syncer struct {
	marks   *store.Collection[mark]
	index   Index
	name    string
	sources []Source
	now     func() time.Time
	log     *slog.Logger
}

// Open makes a Syncer for the index called name. Every index that is filled on its own needs a name of its own: a local one is this
// process's, a shared one is called alike by all replicas.
func Open(ctx context.Context, eng store.Engine, index Index, name string, now func() time.Time, log *slog.Logger, sources ...Source) (*Syncer, error) {
	marks, err := store.Open(ctx, eng, store.Def[mark]{Name: "search_marks"})
	if err != nil {
		return nil, err
	}
	return &Syncer{marks: marks, index: index, name: name, sources: sources, now: now, log: log}, nil
}

// Run keeps the index in step until ctx ends, then returns nil. It may be killed at any instruction. While the index or the store
// fails it tries again after pauses that grow to 30 s.
func (s *Syncer) Run(ctx context.Context) error {
	wake, stop := s.wakes(ctx)
	defer stop()
	pause := minPause
	for {
		err := s.Step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait, early := followEvery, wake
		if err != nil {
			s.log.WarnContext(ctx, "search is behind", "index", s.name, "retry_in", pause, "error", err)
			wait, early = pause/2+rand.N(pause/2), nil // new writes are no reason to ask a failing index again
			pause = min(2*pause, maxPause)
		} else {
			pause = minPause
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-early:
		}
		timer.Stop()
	}
}

// wakes joins the sources' channels. stop ends what it started.
func (s *Syncer) wakes(ctx context.Context) (joined <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for _, src := range s.sources {
		in := src.Wake()
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-in:
				}
				select {
				case out <- struct{}{}:
				default:
				}
			}
		})
	}
	return out, func() {
		cancel()
		wg.Wait()
	}
}

// Step brings the index up to the feeds, rebuilding it first if it is incomplete.
func (s *Syncer) Step(ctx context.Context) error {
	err := s.index.Ready(ctx)
	if errors.Is(err, search.ErrNeedsRebuild) {
		return s.Rebuild(ctx)
	}
	if err != nil {
		return fmt.Errorf("search index: %w", err)
	}
	for _, src := range s.sources {
		err := s.follow(ctx, src)
		if errors.Is(err, store.ErrBadCursor) {
			return s.Rebuild(ctx) // the index was left alone for so long that deletions are forgotten
		}
		if err != nil {
			return fmt.Errorf("follow %s: %w", src.Name(), err)
		}
	}
	return nil
}

func (s *Syncer) markID(src Source) string { return s.name + "/" + src.Name() }

func (s *Syncer) token(ctx context.Context, src Source) (string, error) {
	d, err := s.marks.Get(ctx, s.markID(src))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return d.V.Token, err
}

func (s *Syncer) save(ctx context.Context, src Source, token string) error {
	_, err := s.marks.Upsert(ctx, s.markID(src), func(m *mark) error {
		m.Token, m.Saved = token, s.now().UTC().Truncate(time.Millisecond)
		return nil
	})
	return err
}

// follow puts everything new of one source into the index.
func (s *Syncer) follow(ctx context.Context, src Source) error {
	token, err := s.token(ctx, src)
	if err != nil {
		return err
	}
	for {
		b, err := src.Follow(ctx, token, batchSize)
		if err != nil {
			return err
		}
		if docs := s.fit(ctx, b.Docs); len(docs) > 0 {
			if err := s.index.Put(ctx, docs); err != nil {
				return err
			}
		}
		if len(b.Deleted) > 0 {
			if err := s.index.Delete(ctx, b.Deleted); err != nil {
				return err
			}
		}
		if r, ok := src.(remembering); ok {
			r.stored(b.Docs)
		}
		if b.Next != token {
			token = b.Next
			if err := s.save(ctx, src, token); err != nil {
				return err
			}
		}
		if b.End {
			return nil
		}
	}
}

// remembering is a source that wants to know what has reached the index.
type remembering interface{ stored(docs []search.Document) }

// fit leaves out documents that no index can take: one of them must not hold up all that come after it.
func (s *Syncer) fit(ctx context.Context, docs []search.Document) []search.Document {
	return slices.DeleteFunc(slices.Clone(docs), func(d search.Document) bool {
		_, err := search.Prepare(d)
		if err != nil {
			s.log.ErrorContext(ctx, "left out of search", "document", d.ID, "error", err)
		}
		return err != nil
	})
}

// Rebuild fills the index anew from the store. Feeds are followed afterwards from where they stood before it began, so nothing that is
// written meanwhile is missed.
func (s *Syncer) Rebuild(ctx context.Context) error {
	tokens := make([]string, len(s.sources))
	for i, src := range s.sources {
		var err error
		if tokens[i], err = s.end(ctx, src); err != nil {
			return fmt.Errorf("rebuild search, %s: %w", src.Name(), err)
		}
	}
	start := s.now()
	n := 0
	if err := s.index.Rebuild(ctx, s.all(ctx, &n)); err != nil {
		return fmt.Errorf("rebuild search: %w", err)
	}
	for i, src := range s.sources {
		if err := s.save(ctx, src, tokens[i]); err != nil {
			return fmt.Errorf("rebuild search, %s: %w", src.Name(), err)
		}
	}
	s.log.InfoContext(ctx, "search index rebuilt", "index", s.name, "documents", n, "took", s.now().Sub(start))
	return nil
}

// end walks a feed to its end and gives the token there.
func (s *Syncer) end(ctx context.Context, src Source) (string, error) {
	token, err := s.token(ctx, src)
	if err != nil {
		return "", err
	}
	for {
		b, err := src.Follow(ctx, token, store.MaxBatch)
		if errors.Is(err, store.ErrBadCursor) && token != "" {
			token = ""
			continue
		}
		if err != nil || b.End {
			return b.Next, err
		}
		token = b.Next
	}
}

func (s *Syncer) all(ctx context.Context, n *int) iter.Seq2[search.Document, error] {
	return func(yield func(search.Document, error) bool) {
		for _, src := range s.sources {
			for d, err := range src.All(ctx) {
				if err == nil && len(s.fit(ctx, []search.Document{d})) == 0 {
					continue
				}
				if !yield(d, err) || err != nil {
					return
				}
				*n++
			}
		}
	}
}
