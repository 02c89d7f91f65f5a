package blob

import (
	"context"
	"errors"
)

// Copy brings to dst what it lacks of a purpose, each blob verified on the way, and gives how many blobs and bytes were copied. A blob that is
// corrupt, or cannot be read, is left out and named in the error when all the others are copied. What dst has besides stays.
func Copy(ctx context.Context, dst, src Store, purpose string) (copied int, bytes int64, err error) {
	var bad []error
	after := ""
	for {
		page, err := src.List(ctx, purpose, after, MaxList)
		if err != nil {
			return copied, bytes, errors.Join(append(bad, err)...)
		}
		if len(page) == 0 {
			return copied, bytes, errors.Join(bad...)
		}
		last := page[len(page)-1].Key()
		there, err := keys(ctx, dst, purpose, after, last)
		if err != nil {
			return copied, bytes, errors.Join(append(bad, err)...)
		}
		for _, b := range page {
			if there[b.Ref] {
				continue
			}
			switch err := copyOne(ctx, dst, src, b.Ref); {
			case errors.Is(err, ErrNotFound): // deleted meanwhile
			case errors.Is(err, ErrCorrupt):
				bad = append(bad, err)
			case err != nil:
				return copied, bytes, errors.Join(append(bad, err)...)
			default:
				copied, bytes = copied+1, bytes+b.Size
			}
		}
		after = last
	}
}

// keys gives the blobs of a store after one key and up to another.
func keys(ctx context.Context, s Store, purpose, after, last string) (map[Ref]bool, error) {
	out := map[Ref]bool{}
	for {
		page, err := s.List(ctx, purpose, after, MaxList)
		if err != nil {
			return nil, err
		}
		for _, b := range page {
			if after = b.Key(); after > last {
				return out, nil
			}
			out[b.Ref] = true
		}
		if len(page) < MaxList {
			return out, nil
		}
	}
}

func copyOne(ctx context.Context, dst, src Store, ref Ref) error {
	r, err := src.Open(ctx, ref)
	if err != nil {
		return err
	}
	_, err = dst.Put(ctx, ref.Space, r, max(ref.Size, 1))
	return errors.Join(err, r.Close())
}
