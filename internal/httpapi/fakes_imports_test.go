package httpapi

import (
	"context"
	"io"
	"time"

	"github.com/haisu-trace/haisu/internal/bulk"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/job"
)

const importID = "4f7k2m9q4t6v8x0z1b3d5f7h9k"

// importsFake has one import, of lots, that found three things wrong.
type importsFake struct{ f *fakes }

func anImport(o job.Owner, state job.State) bulk.Import {
	return bulk.Import{
		Job: job.Job{ID: importID, Kind: bulk.JobKind, Owner: o, State: state, Created: now, Started: now.Add(time.Second), Done: 9000, Total: 10000}, Kind: bulk.Lots,
		Outcome: bulk.Outcome{Tally: bulk.Tally{Rows: 1000, New: 900, Changed: 7, Unchanged: 90, Refused: 3, Repaired: 2, Problems: 3}, Kept: 3, Docs: 1},
	}
}

var importProblems = []bulk.Problem{
	{Row: 5, Cell: "A5", Column: "gtin", Value: "6.90123E+12", Code: "gtin_scientific"},
	{Row: 8, Cell: "C8", Column: "produced", Value: "2025-02-30", Code: "date_missing"},
	{Row: 9, Cell: "A9", Column: "gtin", Value: "06901234567908", Code: "product_not_found"},
}

// Begin reads the file to its end, as the real one does.
func (i importsFake) Begin(_ context.Context, o bulk.Order, file io.Reader) (bulk.Import, error) {
	b, err := io.ReadAll(file)
	if err != nil {
		return bulk.Import{}, err
	}
	err = i.f.note(func() { i.f.orders, i.f.files = append(i.f.orders, o), append(i.f.files, string(b)) })
	return bulk.Import{Job: job.Job{ID: importID, Kind: bulk.JobKind, State: job.Queued, Created: now}, Kind: o.Kind, DryRun: o.DryRun}, err
}

func (i importsFake) owned(o job.Owner, id string) error {
	if err := i.f.fail(); err != nil {
		return err
	}
	if id != importID || o.ID != job.Firm(seller.ID, "").ID {
		return fault.New(fault.NotFound, "import_not_found", "there is no such import")
	}
	return nil
}

func (i importsFake) Problems(_ context.Context, o job.Owner, id, cursor string, limit int) (bulk.Import, []bulk.Problem, string, error) {
	if err := i.owned(o, id); err != nil {
		return bulk.Import{}, nil, "", err
	}
	if cursor != "" && cursor != "0-2" {
		return bulk.Import{}, nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave")
	}
	next := ""
	page := importProblems
	if cursor == "0-2" {
		page = page[2:]
	}
	if limit < len(page) {
		page, next = page[:limit], "0-2"
	}
	return anImport(o, job.Running), page, next, nil
}
