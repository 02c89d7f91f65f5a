package casefile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// The steps of a complaint. The deadline rules name them.
const (
	StepFiled          = "filed"
	StepAccepted       = "accepted"
	StepRefused        = "refused"
	StepSettled        = "settled"
	StepMediationEnded = "mediation_ended"
	StepPartiesTold    = "parties_told"
	StepWithdrawn      = "withdrawn"
)

// steps has, for each step, its name and the steps that may follow.
var steps = map[string]struct {
	name lang.Text
	next []string
}{
	StepFiled:          {lang.ZhEn("已收到", "Received"), []string{StepAccepted, StepRefused, StepWithdrawn}},
	StepAccepted:       {lang.ZhEn("已受理，调解中", "Accepted, in mediation"), []string{StepSettled, StepMediationEnded, StepWithdrawn}},
	StepRefused:        {lang.ZhEn("不予受理", "Not accepted"), nil},
	StepSettled:        {lang.ZhEn("已达成调解协议", "Settled by agreement"), nil},
	StepMediationEnded: {lang.ZhEn("调解终止", "Mediation ended"), []string{StepPartiesTold}},
	StepPartiesTold:    {lang.ZhEn("已告知双方", "Both parties told"), nil},
	StepWithdrawn:      {lang.ZhEn("已撤回", "Withdrawn"), nil},
}

// StepName is what people call a step; nil for an unknown one.
func StepName(kind string) lang.Text { return steps[kind].name }

// Officer is who moves a case on.
type Officer struct {
	ID        string
	Authority string
}

// maxNote is the longest note of a step, in characters of each language.
const maxNote = 2000

// Move takes a case one step on, with a note that the filer reads. To refuse and to end mediation need a note in Chinese. Moving to the
// step where the case stands already changes nothing, so a request may be repeated.
//
// NotFound (receipt_unknown); Invalid; Forbidden (other_authority) once another authority has the case; Conflict (illegal_move) with
// the legal steps.
func (s *Service) Move(ctx context.Context, by Officer, no, to string, note lang.Text) (View, error) {
	number, ok := parseNumber(no)
	if !ok {
		return View{}, errNoSuchReceipt()
	}
	if err := checkMove(by, to, note); err != nil {
		return View{}, err
	}
	at := s.time()
	d, err := s.cases.Update(ctx, number, func(d *document) error { return d.move(by, to, note, at) })
	if errors.Is(err, store.ErrNotFound) {
		return View{}, errNoSuchReceipt()
	}
	if err != nil && !errors.Is(err, errThere) {
		return View{}, err
	}
	return s.view(&d.V), nil
}

func checkMove(by Officer, to string, note lang.Text) error {
	if by.ID == "" || by.Authority == "" {
		return fault.New(fault.Forbidden, "no_authority", "cases are handled for an authority")
	}
	if _, known := steps[to]; !known || to == StepFiled {
		return fault.InvalidFields(fault.Field{Pointer: "/step", Code: "unknown_code", Detail: "there is no such step"})
	}
	var fields []fault.Field
	if (to == StepRefused || to == StepMediationEnded) && strings.TrimSpace(note[lang.ZhHans]) == "" {
		fields = append(fields, fault.Field{Pointer: "/note/zh-Hans", Code: "required", Detail: "tell the filer why"})
	}
	for _, tag := range slices.Sorted(maps.Keys(note)) {
		if !lang.Valid(tag) || !printable(note[tag], true) || len([]rune(note[tag])) > maxNote {
			fields = append(fields, fault.Field{
				Pointer: "/note", Code: "text", Detail: fmt.Sprintf("notes are in zh-Hans and en, of at most %d characters", maxNote),
			})
			break
		}
	}
	if len(fields) > 0 {
		return fault.InvalidFields(fields...)
	}
	return nil
}

// errThere stops an update of a case that stands where it should.
var errThere = errors.New("casefile: already there")

func (d *document) move(by Officer, to string, note lang.Text, at time.Time) error {
	last := d.Steps[len(d.Steps)-1]
	if last.Authority != "" && last.Authority != by.Authority {
		return fault.New(fault.Forbidden, "other_authority", "complaint %s is with another authority", d.No)
	}
	if last.Kind == to {
		return errThere
	}
	legal := steps[last.Kind].next
	if !slices.Contains(legal, to) {
		possible := strings.Join(legal, ", ")
		if possible == "" {
			possible = "nothing"
		}
		return fault.New(fault.Conflict, "illegal_move", "complaint %s stands at %s; possible now: %s", d.No, last.Kind, possible)
	}
	if at.Before(last.At) { // another replica's clock is ahead of ours
		at = last.At
	}
	d.Steps = append(d.Steps, step{Kind: to, At: at, By: by.ID, Authority: by.Authority, Note: note})
	return nil
}

// Record is a case as officers read it, decrypted.
type Record struct {
	View
	Complaint NewComplaint `json:"complaint"`
}

// Read decrypts a case for an officer. The caller writes the access to the audit trail. NotFound (receipt_unknown).
func (s *Service) Read(ctx context.Context, no string) (Record, error) {
	number, ok := parseNumber(no)
	if !ok {
		return Record{}, errNoSuchReceipt()
	}
	d, err := s.cases.Get(ctx, number)
	if errors.Is(err, store.ErrNotFound) {
		return Record{}, errNoSuchReceipt()
	}
	if err != nil {
		return Record{}, fmt.Errorf("read case: %w", err)
	}
	v := &d.V
	r := Record{View: s.view(v), Complaint: NewComplaint{Kind: v.Kind, GTIN: v.GTIN, Lot: v.Lot, Serial: v.Serial, Lang: v.Lang}}
	for field, text := range r.Complaint.sealed() {
		sealed, ok := v.Sealed[field]
		if !ok {
			continue
		}
		plain, err := s.keys.Open(purpose(v.No, field), sealed)
		if err != nil {
			return Record{}, fmt.Errorf("complaint %s: %w", v.No, err)
		}
		*text = string(plain)
	}
	return r, nil
}

// List gives the cases that stand at a step, the oldest first: those whose clocks press. limit is 1 to 100, default 20. Nothing is
// decrypted. Malformed (bad_cursor).
func (s *Service) List(ctx context.Context, status, cursor string, limit int) (views []View, next string, err error) {
	if limit <= 0 {
		limit = 20
	}
	p, err := s.cases.Find(ctx, store.Query{Index: indexStatus, Eq: store.K(status), Limit: min(limit, 100), Cursor: cursor})
	if errors.Is(err, store.ErrBadCursor) {
		return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list cases: %w", err)
	}
	for i := range p.Items {
		views = append(views, s.view(&p.Items[i].V))
	}
	return views, p.Next, nil
}
