package audit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// The bounds of a list.
const (
	DefaultLimit = 50
	MaxLimit     = 200
	maxExamined  = 200 // batches read for one page
	listPage     = 20  // batches in one read
	lookUps      = 8   // outcomes looked up at once
)

// Filter chooses entries. What is empty chooses all; From is inclusive, To exclusive.
type Filter struct {
	Actor, Subject, Action string
	From, To               time.Time
}

// lead is the index that narrows most.
func (f *Filter) lead() (index string, eq store.Key) {
	switch {
	case f.Subject != "":
		return bySubject, store.K(f.Subject)
	case f.Actor != "":
		return byActor, store.K(f.Actor)
	case f.Action != "":
		return byAction, store.K(f.Action)
	}
	return byTime, store.K()
}

func (f *Filter) chooses(w *wire) bool {
	return (f.Subject == "" || f.Subject == w.Subject) && (f.Actor == "" || f.Actor == w.Actor) && (f.Action == "" || f.Action == w.Action)
}

// List gives entries, the newest first, by the time of their batches. limit is 1 to MaxLimit, by default DefaultLimit. A page may be short and
// still have a next one: a search for several things at once examines a bounded number of batches. The Outcome of attempts is
// filled in. From stays sealed; see Address. Malformed (bad_cursor).
func (s *Service) List(ctx context.Context, f Filter, cursor string, limit int) ([]Entry, string, error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	limit = min(limit, MaxLimit)
	f.Actor, f.Subject, f.Action = cut(f.Actor, MaxText), cut(f.Subject, MaxText), cut(f.Action, MaxText)
	q := store.Query{Desc: true, Limit: listPage}
	q.Index, q.Eq = f.lead()
	q.From, q.To = timeRange(f.From, f.To)
	mark, err := f.resume(cursor, &q)
	if err != nil {
		return nil, "", err
	}
	l := &lister{filter: &f, limit: limit}
	for examined := 0; ; {
		p, err := s.batches.Find(ctx, q)
		if err != nil {
			return nil, "", fmt.Errorf("audit: list: %w", err)
		}
		for i := range p.Items {
			full, err := l.take(&p.Items[i].V, mark)
			if err != nil {
				return nil, "", err
			}
			if full {
				return l.entries, f.cursor(l.last), s.outcomes(ctx, l.entries)
			}
		}
		if p.Next == "" {
			return l.entries, "", s.outcomes(ctx, l.entries)
		}
		if examined += len(p.Items); examined >= maxExamined || len(l.entries) >= limit {
			return l.entries, f.cursor(l.last), s.outcomes(ctx, l.entries)
		}
		q.Cursor = p.Next
	}
}

// lister gathers a page.
type lister struct {
	filter  *Filter
	limit   int
	last    place
	entries []Entry
}

// take takes the chosen entries of a batch; full says that the page is full before its end.
func (l *lister) take(b *batch, mark place) (full bool, err error) {
	ws, err := b.decode()
	if err != nil {
		return false, err
	}
	if len(ws) == 0 {
		return false, fmt.Errorf("audit: batch %d is empty; run 'api verify'", b.Position)
	}
	for i, w := range slices.Backward(ws) {
		if !l.filter.chooses(&w) || b.Position == mark.position && w.Seq >= mark.seq {
			continue
		}
		if len(l.entries) == l.limit {
			return true, nil
		}
		e, err := w.entry(b.Entries[i].Hash)
		if err != nil {
			return false, err
		}
		l.entries = append(l.entries, e)
		l.last = place{e.At, b.Position, e.Seq}
	}
	first, err := ws[0].entry("")
	l.last = place{first.At, b.Position, first.Seq}
	return false, err
}

// place is where a page ended.
type place struct {
	at       time.Time
	position int64
	seq      int64
}

// cursor binds a place to the filter.
func (f *Filter) cursor(p place) string {
	b := make([]byte, 0, 32)
	for _, n := range []int64{p.at.UnixMilli(), p.position, p.seq} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return base64.RawURLEncoding.EncodeToString(append(b, f.mark()...))
}

func (f *Filter) mark() []byte {
	k := store.K(f.Actor, f.Subject, f.Action, f.From.UnixMilli(), f.To.UnixMilli())
	sum := sha256.Sum256(k)
	return sum[:8]
}

var errCursor = fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave")

// resume narrows the query to what is not after the cursor's batch.
func (f *Filter) resume(cursor string, q *store.Query) (place, error) {
	if cursor == "" {
		return place{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) != 32 || string(b[24:]) != string(f.mark()) {
		return place{}, errCursor
	}
	n := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	p := place{time.UnixMilli(n(0)).UTC(), n(1), n(2)}
	q.To = store.K(p.at, p.position).After()
	return p, nil
}

// outcomes fills in the outcome of attempts. Most are in the page itself.
func (s *Service) outcomes(ctx context.Context, entries []Entry) error {
	known := map[int64]string{}
	for i := range entries {
		if e := &entries[i]; e.Attempt != 0 {
			known[e.Attempt] = e.Phase
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookUps)
	for i := range entries {
		e := &entries[i]
		if e.Phase != Attempt {
			continue
		}
		if phase, ok := known[e.Seq]; ok {
			e.Outcome = phase
			continue
		}
		g.Go(func() (err error) {
			e.Outcome, err = s.outcome(gctx, e.Seq)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("audit: outcome of an attempt: %w", err)
	}
	return nil
}

func (s *Service) outcome(ctx context.Context, attempt int64) (string, error) {
	p, err := s.batches.Find(ctx, store.Query{Index: byAttempt, Eq: store.K(attempt), Limit: 1})
	if err != nil || len(p.Items) == 0 {
		return Unknown, err
	}
	ws, err := p.Items[0].V.decode()
	if err != nil {
		return "", err
	}
	for i := range ws {
		if ws[i].Attempt == attempt {
			return ws[i].Phase, nil
		}
	}
	return Unknown, nil
}
