package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Backlog is what of the stored documents has no leaf.
type Backlog struct {
	Lost    []Lost // in the order of kinds; those that no sequencer will come to any more
	Waiting int    // those that one will
}

// Lost is a document without a leaf. Whoever wrote it did so past the program, or took its leaf's pointer away.
type Lost struct{ Kind, Key string }

// maxBacklog bounds the documents without a leaf that are held in memory.
const maxBacklog = 100_000

// Backlog looks for documents that are stored and have no leaf: it follows every feed from its beginning, and holds each document's pointer to
// the leaf itself. What came after the place up to which a feed's documents have leaves waits for its turn, which is no fault. It may run beside a
// sequencer. It fails when more than 100,000 documents have none, which a log that begins over a large store may have for a while.
func (s *Service) Backlog(ctx context.Context) (Backlog, error) {
	var out Backlog
	for _, kind := range slices.Sorted(maps.Keys(s.sources)) {
		without := map[string]bool{}
		err := s.follow(ctx, kind, "", func(keys []string) error {
			missing, err := s.astray(ctx, kind, keys)
			for _, k := range missing {
				without[k] = true
			}
			if err == nil && len(without) > maxBacklog {
				err = fmt.Errorf("ledger: more than %d documents of kind %s wait for their leaves; let a server give them first", maxBacklog, kind)
			}
			return err
		})
		if err != nil {
			return Backlog{}, err
		}
		if len(without) == 0 {
			continue
		}
		lost, err := s.lost(ctx, kind, without)
		if err != nil {
			return Backlog{}, err
		}
		for _, k := range lost {
			out.Lost = append(out.Lost, Lost{kind, k})
		}
		out.Waiting += len(without)
	}
	return out, nil
}

// lost gives those of the documents without a leaf to which the feed leads no more, and leaves the others in without.
func (s *Service) lost(ctx context.Context, kind string, without map[string]bool) ([]string, error) {
	st, err := s.published(ctx) // after they were found without: what a sequencer has passed by now has its leaf by now
	if err != nil {
		return nil, err
	}
	waiting := map[string]bool{}
	err = s.follow(ctx, kind, st.Tokens[kind], func(keys []string) error {
		for _, k := range keys {
			if without[k] {
				waiting[k] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var rest []string
	for k := range without {
		if !waiting[k] {
			rest = append(rest, k)
			delete(without, k)
		}
	}
	slices.Sort(rest)
	var lost []string
	for part := range slices.Chunk(rest, pageSize) {
		missing, err := s.astray(ctx, kind, part)
		if err != nil {
			return nil, err
		}
		for few := range slices.Chunk(missing, docsSize) {
			docs, err := s.sources[kind].Documents(ctx, few)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", kind, err)
			}
			for _, k := range few {
				if _, ok := docs[k]; ok { // what is gone never got a leaf, or was forgotten
					lost = append(lost, k)
				}
			}
		}
	}
	return lost, nil
}

// follow gives the keys of a feed from a token to its end, which is where it stood still once.
func (s *Service) follow(ctx context.Context, kind, token string, f func(keys []string) error) error {
	for {
		p, err := s.changes(ctx, kind, token, pageSize)
		if err != nil || p.Next == token {
			return err
		}
		if err := f(p.Keys); err != nil {
			return err
		}
		token = p.Next
	}
}

// astray gives the keys that no pointer leads from, or one that leads to the leaf of another document.
func (s *Service) astray(ctx context.Context, kind string, keys []string) ([]string, error) {
	found, err := s.pointers(ctx, kind, keys)
	if err != nil {
		return nil, err
	}
	var out []string
	at := map[int64][]string{} // by bundle
	for _, k := range keys {
		if i, ok := found[k]; ok {
			at[i/bundleSize] = append(at[i/bundleSize], k)
		} else {
			out = append(out, k)
		}
	}
	for n, keys := range at {
		there := map[string]int64{}
		err := s.eachBatch(ctx, n*bundleSize, (n+1)*bundleSize, func(b *batch) error {
			for i := range b.Leaves {
				if l := &b.Leaves[i]; l.Kind == kind {
					there[l.Key] = b.First + int64(i)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if i, ok := there[k]; !ok || i != found[k] {
				out = append(out, k)
			}
		}
	}
	return out, nil
}
