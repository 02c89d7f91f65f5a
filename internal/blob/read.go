package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Meter is what engines read the bytes of a Put through: it counts and hashes them, and fails where they would become too many.
type Meter struct {
	ctx  context.Context
	from io.Reader
	max  int64
	n    int64
	sum  hash.Hash
}

// NewMeter begins a Put. ErrBadName; an error for a limit that cannot be.
func NewMeter(ctx context.Context, s Space, r io.Reader, limit int64) (*Meter, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if limit < 1 || limit > MaxSize {
		return nil, fmt.Errorf("blob: a limit of %d bytes", limit)
	}
	return &Meter{ctx: ctx, from: r, max: limit, sum: sha256.New()}, nil
}

// SourceError is an error of the reader that was given to Put, rather than of the engine.
type SourceError struct{ Err error }

// Error implements error.
func (e *SourceError) Error() string { return "blob: reading what is to be put: " + e.Err.Error() }

// Unwrap gives the reader's error.
func (e *SourceError) Unwrap() error { return e.Err }

// Read implements io.Reader. Its errors are io.EOF or a *SourceError.
func (m *Meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, &SourceError{err}
	}
	if int64(len(p)) > m.max-m.n+1 {
		p = p[:m.max-m.n+1] // one more tells too large from just large enough
	}
	n, err := m.from.Read(p)
	if m.n+int64(n) > m.max {
		return 0, &SourceError{fault.New(fault.TooLarge, "file_too_large", "the file is larger than %d bytes", m.max)}
	}
	m.n += int64(n)
	_, _ = m.sum.Write(p[:n]) // a hash never fails
	if err != nil && !errors.Is(err, io.EOF) {
		return n, &SourceError{err}
	}
	return n, err
}

// Ref names what was read up to now.
func (m *Meter) Ref(s Space) Ref {
	return Ref{Space: s, Hash: hex.EncodeToString(m.sum.Sum(nil)), Size: m.n}
}

// Failed gives the error that a Put ends with: the reader's own, or Unavailable for any of the engine.
func Failed(err error) error {
	if s, ok := errors.AsType[*SourceError](err); ok {
		return s
	}
	return Unavailable(err)
}

// Verified is a reader of ref's bytes that checks them against its hash: what r gives last is given on only when all of it is right, else
// there is ErrCorrupt. Closing it closes r.
func Verified(r io.ReadCloser, ref Ref) io.ReadCloser {
	return &verified{from: r, ref: ref, left: ref.Size, sum: sha256.New()}
}

type verified struct {
	from io.ReadCloser
	ref  Ref
	left int64
	sum  hash.Hash
	done error // what every further Read gives
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	if v.done != nil || len(p) == 0 && v.left > 0 {
		return 0, v.done
	}
	if int64(len(p)) > v.left {
		p = p[:v.left]
	}
	n := 0
	if len(p) > 0 {
		var err error
		n, err = v.from.Read(p)
		_, _ = v.sum.Write(p[:n]) // a hash never fails
		v.left -= int64(n)
		switch {
		case v.left == 0: // whatever err is, all bytes are here
		case errors.Is(err, io.EOF):
			return v.end(0, fmt.Errorf("%w: %s is %d bytes short", ErrCorrupt, v.ref.Key(), v.left))
		case err != nil:
			return v.end(n, Unavailable(err))
		default:
			return n, nil
		}
	}
	if hex.EncodeToString(v.sum.Sum(nil)) != v.ref.Hash {
		return v.end(0, fmt.Errorf("%w: %s", ErrCorrupt, v.ref.Key()))
	}
	return v.end(n, io.EOF)
}

func (v *verified) end(n int, err error) (int, error) {
	v.done = err
	return n, err
}

// Close implements io.Closer.
func (v *verified) Close() error { return v.from.Close() }

// Spool copies a blob into a temporary file of dir ("": the system's), for readers that need to seek, such as one of ZIP archives. The bytes are
// verified before it returns. The file has no name any more, so closing it, or the death of the process, frees it. Errors are those of Open and reading.
func Spool(ctx context.Context, s Store, ref Ref, dir string) (*os.File, error) {
	r, err := s.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	f, err := Temp(dir)
	if err != nil {
		return nil, Unavailable(err)
	}
	_, err = io.Copy(f, r)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		return f, nil
	}
	_ = f.Close() // of no use any more
	if errors.Is(err, ErrCorrupt) || fault.KindOf(err) == fault.Unavailable {
		return nil, err
	}
	return nil, Unavailable(err)
}

// Temp makes a temporary file that has no name, so that it is freed with its last handle whatever happens. Mode 0600.
func Temp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".haisu-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
