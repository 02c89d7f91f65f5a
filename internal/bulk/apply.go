package bulk

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/trace"
)

// Tally counts what became of rows. Of events it counts in New and Unchanged events, and rows elsewhere.
type Tally struct {
	Rows      int64 `json:"rows"` // that were read
	New       int64 `json:"new"`
	Changed   int64 `json:"changed"`
	Unchanged int64 `json:"unchanged"` // were there already, word for word
	Refused   int64 `json:"refused"`   // rows that something is wrong with, or with the event that they are of
	Repaired  int64 `json:"repaired"`  // rows whose GTIN had lost its zeros in front
	Problems  int64 `json:"problems"`  // all that were found, kept or not
}

func (t *Tally) add(o Tally) {
	t.Rows += o.Rows
	t.New += o.New
	t.Changed += o.Changed
	t.Unchanged += o.Unchanged
	t.Refused += o.Refused
	t.Repaired += o.Repaired
	t.Problems += o.Problems
}

func (t *Tally) count(o trace.Outcome) {
	switch o {
	case trace.New:
		t.New++
	case trace.Changed:
		t.Changed++
	case trace.Unchanged:
		t.Unchanged++
	}
}

// atOnce is how many rows are applied at a time: the store commits waiting writes together.
const atOnce = 64

// loader puts rows where the API would put them, by the same calls.
type loader struct {
	world *trace.Service
	firm  firm.Firm
	kind  Kind
	dry   bool // nothing is written
}

// apply applies the rows of a chunk. An error is one of the machinery; then any of the rows may be applied, and all may be applied again.
func (l *loader) apply(ctx context.Context, rows []*row) (Tally, []Problem, error) {
	var err error
	t := Tally{Rows: int64(len(rows))}
	switch l.kind {
	case Products:
		err = l.each(ctx, rows, &t, l.product)
	case Lots:
		err = l.each(ctx, rows, &t, l.lot)
	case Codes:
		err = l.codes(ctx, rows, &t)
	case Events:
		err = l.events(ctx, rows, &t)
	}
	var problems []Problem
	for _, r := range rows {
		if len(r.problems) > 0 {
			t.Refused++
			problems = append(problems, r.problems...)
		}
		if r.repaired {
			t.Repaired++
		}
	}
	t.Problems = int64(len(problems))
	return t, sorted(problems), err
}

// refusal tells what is wrong with a row from what is wrong with the machinery.
func refusal(err error) (*fault.Error, bool) {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return nil, false
	}
	switch e.Kind {
	case fault.Malformed, fault.Invalid, fault.NotFound, fault.Conflict, fault.Forbidden, fault.TooLarge:
		return e, true
	}
	return nil, false
}

// each applies rows that have nothing to do with one another.
func (l *loader) each(ctx context.Context, rows []*row, t *Tally, do func(context.Context, *row) (trace.Outcome, map[string]string, error)) error {
	outcomes := make([]trace.Outcome, len(rows))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, r := range rows {
		g.Go(func() error {
			o, pointers, err := do(ctx, r)
			if e, ok := refusal(err); ok {
				r.refuse(e, pointers)
				return nil
			}
			outcomes[i] = o
			return err
		})
	}
	err := g.Wait()
	for _, o := range outcomes {
		t.count(o)
	}
	return err
}

func (l *loader) product(ctx context.Context, r *row) (trace.Outcome, map[string]string, error) {
	p := r.product()
	if len(r.problems) > 0 {
		return "", nil, nil
	}
	_, o, err := l.world.SaveProduct(ctx, l.firm, p, l.dry)
	return o, productPointers, err
}

func (l *loader) lot(ctx context.Context, r *row) (trace.Outcome, map[string]string, error) {
	lot := r.lotRecord()
	if len(r.problems) > 0 {
		return "", nil, nil
	}
	_, o, err := l.world.SaveLot(ctx, l.firm, lot, l.dry)
	return o, lotPointers, err
}

// codesOfLot are the codes of one lot, with their rows.
type codesOfLot struct {
	codes []trace.ForeignCode
	rows  []*row
}

func (l *loader) codes(ctx context.Context, rows []*row, t *Tally) error {
	var lots []*codesOfLot
	for _, r := range rows {
		c := r.foreignCode()
		if len(r.problems) > 0 {
			continue
		}
		i := slices.IndexFunc(lots, func(o *codesOfLot) bool { return o.codes[0].GTIN == c.GTIN && o.codes[0].Lot == c.Lot })
		if i < 0 {
			i, lots = len(lots), append(lots, &codesOfLot{})
		}
		lots[i].codes, lots[i].rows = append(lots[i].codes, c), append(lots[i].rows, r)
	}
	tallies := make([]Tally, len(lots))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, o := range lots {
		g.Go(func() error { return l.ofLot(ctx, o, &tallies[i]) })
	}
	err := g.Wait()
	for _, o := range tallies {
		t.add(o)
	}
	return err
}

// ofLot registers the codes of one lot. Where the domain refuses all for the sake of some, the others are sent again without them.
func (l *loader) ofLot(ctx context.Context, o *codesOfLot, t *Tally) error {
	do := l.world.PutForeignCodes
	if l.dry {
		do = l.world.CheckForeignCodes
	}
	for len(o.codes) > 0 {
		added, err := do(ctx, l.firm, o.codes[0].GTIN, o.codes[0].Lot, o.codes)
		e, refused := refusal(err)
		switch {
		case err == nil:
			t.New += int64(added)
			t.Unchanged += int64(len(o.codes) - added)
			return nil
		case !refused:
			return err
		case len(e.Fields) == 0:
			for _, r := range o.rows {
				r.refuse(e, map[string]string{"": columnOf(e.Code)})
			}
			return nil
		}
		named := o.refuse(e)
		if e.Kind == fault.Conflict { // all the others are stored
			t.New += int64(added)
			t.Unchanged += int64(len(o.codes) - added - named)
			return nil
		}
		o.drop()
	}
	return nil
}

// columnOf is the column that a refusal of all codes of a lot is about.
func columnOf(code string) string {
	if code == "lot_not_found" {
		return "lot"
	}
	return "code"
}

// refuse notes refusals in the rows of the codes that their pointers name, and gives the number of these rows.
func (o *codesOfLot) refuse(e *fault.Error) int {
	named := map[int]bool{}
	for _, f := range e.Fields {
		parts := strings.Split(f.Pointer, "/") // "", codes, index, member
		if len(parts) < 3 {
			continue
		}
		i, err := strconv.Atoi(parts[2])
		if err != nil || i < 0 || i >= len(o.rows) {
			continue
		}
		column := "code"
		if len(parts) > 3 {
			column = parts[3]
		}
		named[i] = true
		o.rows[i].refuse(&fault.Error{Fields: []fault.Field{f}}, map[string]string{"": column})
	}
	if len(named) == 0 { // never to be asked again with the same codes
		for _, r := range o.rows {
			r.refuse(&fault.Error{Code: e.Code, Detail: e.Detail}, map[string]string{"": "code"})
		}
	}
	return len(named)
}

// drop takes out the codes whose rows were refused.
func (o *codesOfLot) drop() {
	var kept codesOfLot
	for i, r := range o.rows {
		if len(r.problems) == 0 {
			kept.codes, kept.rows = append(kept.codes, o.codes[i]), append(kept.rows, r)
		}
	}
	*o = kept
}

func (l *loader) events(ctx context.Context, rows []*row, t *Tally) error {
	all := groups(rows)
	outcomes := make([]trace.Outcome, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, event := range all {
		g.Go(func() error {
			var err error
			outcomes[i], err = l.event(ctx, event)
			return err
		})
	}
	err := g.Wait()
	for i, o := range outcomes {
		t.count(o)
		refused := slices.ContainsFunc(all[i], func(r *row) bool { return len(r.problems) > 0 })
		for _, r := range all[i] {
			if refused && len(r.problems) == 0 {
				t.Refused++ // the others are counted by their problems
			}
		}
	}
	return err
}

func (l *loader) event(ctx context.Context, rows []*row) (trace.Outcome, error) {
	for _, r := range rows {
		if len(r.problems) > 0 { // of its key
			return "", nil
		}
	}
	e := buildEvent(l.firm, rows)
	if e == nil {
		return "", nil
	}
	do := l.world.Capture
	if l.dry {
		do = l.world.CheckCapture
	}
	res, err := do(ctx, l.firm, &epcis.Document{Events: []*epcis.Event{e}})
	if refused, ok := refusal(err); ok {
		for i := range refused.Fields {
			refused.Fields[i].Pointer = strings.TrimPrefix(refused.Fields[i].Pointer, "/epcisBody/eventList/0")
		}
		rows[0].refuse(refused, eventPointers)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if res.Events[0].Status == "known" {
		return trace.Unchanged, nil
	}
	return trace.New, nil
}
