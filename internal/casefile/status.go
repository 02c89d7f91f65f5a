package casefile

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

// errNoSuchReceipt does not tell a wrong number from a wrong secret.
func errNoSuchReceipt() error {
	return fault.New(fault.NotFound, "receipt_unknown", "there is no complaint with this number and secret")
}

// Status tells the filer what became of a complaint. Number and secret may be typed with any spaces and hyphens.
//
// NotFound (receipt_unknown) for a wrong number and for a wrong secret alike; TooMany after ten wrong secrets for one number within
// 15 minutes. The right secret opens the case at any time, however many wrong ones came before: with 83 random bits nobody guesses it, and
// a lock would let anybody who has seen a number shut its owner out.
func (s *Service) Status(ctx context.Context, no, secret string) (View, error) {
	d, err := s.authenticate(ctx, no, secret)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, d)
}

// authenticate gives the case whose secret this is; see Status for its errors.
func (s *Service) authenticate(ctx context.Context, no, secret string) (*document, error) {
	number, ok := parseNumber(no)
	if !ok {
		return nil, errNoSuchReceipt()
	}
	d, err := s.cases.Get(ctx, number)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read case: %w", err)
	}
	right := hmac.Equal([]byte(d.V.Secret), []byte(s.secretHash(number, secret)))
	if known && right {
		return &d.V, nil
	}
	// A number that does not exist is counted as well, or the count and the time that it takes would tell which numbers do.
	return nil, s.countWrong(ctx, number)
}

// erasedNote stands where a note was.
var erasedNote = lang.ZhEn("内容已删除", "This text was erased")

// view is a case as the filer sees it, with its notes.
func (s *Service) view(ctx context.Context, d *document) (View, error) {
	v := s.outline(d)
	for i := range d.Steps {
		plain, err := s.text(ctx, d, "steps.note", d.Steps[i].Note)
		switch {
		case errors.Is(err, privacy.ErrErased):
			v.Timeline[i].Note = erasedNote
			v.Erased = true
		case err != nil:
			return View{}, err
		case plain != "":
			if err := json.Unmarshal([]byte(plain), &v.Timeline[i].Note); err != nil {
				return View{}, fmt.Errorf("case %s: note of step %d: %w", d.No, i, err)
			}
		}
	}
	return v, nil
}

// outline is a case without its notes: nothing is opened.
func (s *Service) outline(d *document) View {
	v := View{
		No: d.No, Kind: d.Kind, Status: d.status(), StatusName: StepName(d.status()), Filed: d.Filed,
		GTIN: d.GTIN, Lot: d.Lot, Serial: d.Serial, Clocks: s.clocks(d), Erased: !d.Erased.IsZero(),
	}
	for _, st := range d.Steps {
		v.Timeline = append(v.Timeline, Entry{Kind: st.Kind, Name: StepName(st.Kind), At: st.At, Authority: st.Authority})
	}
	return v
}

// text opens a text of a case; "" for none. privacy.ErrErased from the order to erase it on.
func (s *Service) text(ctx context.Context, d *document, field string, sealed privacy.Sealed) (string, error) {
	if sealed == "" {
		return "", nil
	}
	if !d.Erased.IsZero() {
		return "", privacy.ErrErased
	}
	plain, err := s.vault.Open(ctx, record(d.No), field, string(sealed))
	if err != nil {
		return "", fmt.Errorf("case %s: %w", d.No, err)
	}
	return string(plain), nil
}

// attempts counts wrong secrets for one number within a window.
type attempts struct {
	Wrong int       `json:"wrong"`
	Ends  time.Time `json:"ends"` // of the window, which begins with the first wrong secret
}

const (
	maxWrong    = 10
	wrongWindow = 15 * time.Minute
)

// errFull stops the counting: a flood of guesses must not become a flood of writes.
var errFull = errors.New("casefile: window is full")

// countWrong counts one wrong secret and gives the answer to it.
func (s *Service) countWrong(ctx context.Context, no string) error {
	now := s.time()
	var retry time.Duration
	_, err := s.attempts.Upsert(ctx, no, func(a *attempts) error {
		if !now.Before(a.Ends) {
			*a = attempts{Ends: now.Add(wrongWindow)}
		}
		if a.Wrong >= maxWrong {
			retry = a.Ends.Sub(now)
			return errFull
		}
		a.Wrong++
		return nil
	})
	if errors.Is(err, errFull) {
		f := fault.New(fault.TooMany, "too_many_attempts", "too many wrong secrets for this number; try again later")
		f.Retry = retry
		return f
	}
	if err != nil { // the answer stays 'wrong'; that it was not counted is for the log
		s.log.WarnContext(ctx, "wrong receipt secret not counted", "error", err)
	}
	return errNoSuchReceipt()
}
