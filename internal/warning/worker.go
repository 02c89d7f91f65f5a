package warning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// mark is how far a worker has come in a feed.
type mark struct {
	Token string `json:"token"`
}

// markHeads is the ID of the projection's mark. Replicas share it: each saves only what it has done itself, so a slower one at worst
// makes the others' next start repeat a little.
const markHeads = "heads"

// workEvery is how often the worker looks for what other processes, or ones that were killed, left to do.
const workEvery = time.Second

// Run finishes what a killed process left half done: it publishes sealed drafts and brings the list up to the messages. It returns nil
// when ctx ends, may be killed at any instruction, and may run in every replica.
func (s *Service) Run(ctx context.Context) error {
	wake := s.messages.Wake()
	tick := time.NewTicker(workEvery)
	defer tick.Stop()
	failing := false
	for {
		err := s.Repair(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if (err != nil) != failing {
			failing = err != nil
			s.log.WarnContext(ctx, "projection of warnings", "failing", failing, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-wake:
		}
	}
}

// Repair does everything that is left to do now. Run calls it again and again.
func (s *Service) Repair(ctx context.Context) error {
	return errors.Join(s.publishSealed(ctx), s.projectChanges(ctx))
}

// publishSealed carries out orders to publish whose process died. A request that is being served at this moment may be
// overtaken; both then give the same message.
func (s *Service) publishSealed(ctx context.Context) error {
	return s.drafts.Each(ctx, store.Query{Index: indexSealed, Eq: store.K()}, func(d store.Doc[DraftDoc]) error {
		if d.V.Seal == nil || d.V.Seal.Done {
			return nil
		}
		_, err := s.carryOut(ctx, &Draft{DraftDoc: d.V, Revision: d.Rev})
		return err
	})
}

func (s *Service) projectChanges(ctx context.Context) error {
	saved, err := s.marks.Get(ctx, markHeads)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read mark: %w", err)
	}
	token := saved.V.Token
	for {
		changes, next, err := s.messages.Changes(ctx, token, store.MaxBatch)
		if errors.Is(err, store.ErrBadCursor) && token != "" {
			token = "" // it is from before a restore, or too old: from the beginning, which changes no head that is up to date
			continue
		}
		if err != nil {
			return fmt.Errorf("follow messages: %w", err)
		}
		if err := s.projectBatch(ctx, changes); err != nil {
			return err
		}
		if next != token {
			token = next
			_, err := s.marks.Upsert(ctx, markHeads, func(m *mark) error {
				m.Token = token
				return nil
			})
			if err != nil {
				return fmt.Errorf("save mark: %w", err)
			}
		}
		if len(changes) == 0 {
			return nil
		}
	}
}

// projectBatch projects the warnings whose heads are behind. Most changes are fan-outs that moved: they cost one read for
// all of them together.
func (s *Service) projectBatch(ctx context.Context, changes []store.Changed[Message]) error {
	newest := map[string]int{}
	for i := range changes {
		if m := &changes[i].V; !changes[i].Deleted {
			newest[m.No] = max(newest[m.No], m.Rev)
		}
	}
	nos := make([]string, 0, len(newest))
	for no := range newest {
		nos = append(nos, no)
	}
	heads, err := s.heads.GetMany(ctx, nos)
	if err != nil {
		return fmt.Errorf("read heads: %w", err)
	}
	for no, rev := range newest {
		if heads[no].V.Rev >= rev {
			continue
		}
		err := s.project(ctx, no)
		if _, damaged := errors.AsType[*FoldError](err); damaged { // it must not hold up all that come after it
			s.log.ErrorContext(ctx, "left out of the list", "warning", no, "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
