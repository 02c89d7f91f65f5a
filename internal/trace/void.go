package trace

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/store"
)

// voidAtOnce is how many units are written at once, so that their writes share commits.
const voidAtOnce = 50

// voidPart withdraws the codes of some positions. A position that was never issued, since the job was cancelled, is left out.
func (s *Service) voidPart(ctx context.Context, b Batch, part Span, v Voiding) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(voidAtOnce)
	for at := part.First; at <= part.Last; at++ {
		id := unitID(b.GTIN, s.serial(b.ID, at-1))
		g.Go(func() error {
			d, err := s.units.Update(ctx, id, func(u *Unit) error {
				if u.State == UnitVoid {
					return errNoChange
				}
				void(u, v)
				return nil
			})
			switch {
			case err == nil:
				s.chains.touch(node(d.V.Ref()))
			case errors.Is(err, errNoChange), errors.Is(err, store.ErrNotFound):
				return nil
			}
			return err
		})
	}
	return g.Wait()
}
