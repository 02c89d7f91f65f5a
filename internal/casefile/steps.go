package casefile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
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
	StepMediationEnded: {lang.ZhEn("调解终止", "Mediation ended"), []string{StepPartiesTold, StepWithdrawn}},
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
// step where the case stands already changes nothing, so a request may be repeated. The first step of a case that nobody has takes it; the
// last one starts the time for which its texts are kept.
//
// NotFound (receipt_unknown); Invalid; Forbidden (other_authority) when another authority has the case; Conflict (illegal_move) with
// the legal steps.
func (s *Service) Move(ctx context.Context, by Officer, no, to string, note lang.Text) (View, error) {
	number, ok := parseNumber(no)
	if !ok {
		return View{}, errNoSuchReceipt()
	}
	if err := checkMove(by, to, note); err != nil {
		return View{}, err
	}
	next := step{Kind: to, At: s.time(), By: by.ID, Authority: by.Authority}
	d, err := s.cases.Get(ctx, number)
	if err == nil {
		err = d.V.move(next) // before the note is sealed: what is not allowed makes no data key
	}
	if err == nil {
		if next.Note, err = s.sealNote(ctx, number, note); err != nil {
			return View{}, err
		}
		d, err = s.cases.Update(ctx, number, func(d *document) error { return d.move(next) })
	}
	if errors.Is(err, store.ErrNotFound) {
		return View{}, errNoSuchReceipt()
	}
	if err != nil && !errors.Is(err, errThere) {
		return View{}, err
	}
	if !d.V.Keep.IsZero() { // also by a repetition: the process may have died before
		if err := s.vault.Retain(ctx, record(number), d.V.Keep); err != nil {
			return View{}, err
		}
	}
	return s.view(ctx, &d.V)
}

func (s *Service) sealNote(ctx context.Context, number string, note lang.Text) (privacy.Sealed, error) {
	if len(note) == 0 {
		return "", nil
	}
	plain, err := json.Marshal(note)
	if err != nil {
		return "", fmt.Errorf("encode note: %w", err)
	}
	sealed, err := s.vault.Seal(ctx, record(number), "steps.note", plain)
	if err != nil {
		return "", fmt.Errorf("case %s: %w", number, err)
	}
	return privacy.Sealed(sealed), nil
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

func (d *document) move(next step) error {
	if d.Authority != "" && d.Authority != next.Authority {
		return fault.New(fault.Forbidden, "other_authority", "complaint %s is with another authority", d.No)
	}
	if d.status() == next.Kind {
		return errThere
	}
	legal := steps[d.status()].next
	if !slices.Contains(legal, next.Kind) {
		possible := strings.Join(legal, ", ")
		if possible == "" {
			possible = "nothing"
		}
		return fault.New(fault.Conflict, "illegal_move", "complaint %s stands at %s; possible now: %s", d.No, d.status(), possible)
	}
	d.Authority = next.Authority
	d.add(next)
	return nil
}

// add appends a step.
func (d *document) add(next step) {
	if last := d.Steps[len(d.Steps)-1]; next.At.Before(last.At) { // another replica's clock is ahead of ours
		next.At = last.At
	}
	d.Steps = append(d.Steps, next)
	if d.closed() {
		d.Keep = privacy.CaseClosed.Until(next.At)
	}
}
