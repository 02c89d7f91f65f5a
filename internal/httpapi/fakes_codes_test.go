package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/trace"
)

// batch is the one batch of codes that there is.
var batch = trace.Batch{
	ID: "3f7k2m9q4t6v8x0z1b5c7d9f2g", Firm: seller.ID, GTIN: formulaGTIN, Lot: formulaLot, Count: 30, Complete: true, Created: now,
	Printed: []trace.Span{{First: 1, Last: 24}}, Prints: 1,
}

func (f *fakes) PlanBatch(_ context.Context, by firm.Firm, g gs1.GTIN, lot string, count int64, key string) (trace.Batch, error) {
	return trace.Batch{ID: batch.ID, Firm: by.ID, GTIN: g, Lot: lot, Count: count, Created: now}, f.note(func() { f.keys = append(f.keys, key) })
}

func (f *fakes) Batches(context.Context, firm.Firm, string, int) ([]trace.Batch, string, error) {
	return []trace.Batch{batch}, "bmV4dA", f.fail()
}

func (f *fakes) Batch(_ context.Context, by firm.Firm, id string) (trace.Batch, error) {
	if id != batch.ID || by.ID != seller.ID {
		return trace.Batch{}, fault.New(fault.NotFound, "batch_not_found", "the firm issued no batch %s", id)
	}
	return batch, f.fail()
}

func (f *fakes) Part(ctx context.Context, by firm.Firm, id string, from, count int64) (trace.Batch, trace.Span, error) {
	b, err := f.Batch(ctx, by, id)
	if count == 0 {
		count = b.Count - from + 1
	}
	return b, trace.Span{First: from, Last: from + count - 1}, err
}

func (f *fakes) EachUnit(_ context.Context, b trace.Batch, part trace.Span, each func(int64, trace.Unit) error) error {
	f.mu.Lock()
	broken := f.broken // a download goes on after its request was answered
	f.mu.Unlock()
	for n := part.First; n <= part.Last; n++ {
		if broken > 0 && n > broken {
			return fault.New(fault.Unavailable, "unavailable", "the store is gone")
		}
		u := trace.Unit{GTIN: b.GTIN, Serial: fmt.Sprintf("%s%02d", serialGiven[:14], n), Lot: b.Lot, Firm: b.Firm, State: trace.UnitIssued}
		if n == 3 {
			u.State = trace.UnitVoid
		}
		if err := each(n, u); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakes) StartPrint(ctx context.Context, by firm.Firm, p trace.Print, from, count int64) (trace.Batch, trace.Print, error) {
	b, part, err := f.Part(ctx, by, p.Batch, from, count)
	if err == nil && part.First <= 24 && p.Reason == "" {
		err = fault.New(fault.Conflict, "reprint_reason", "printed before")
	}
	if err != nil {
		return b, p, err
	}
	p.ID, p.At, p.Span, p.Again = "p-1", now, part, part.First <= 24
	return b, p, f.note(func() { f.prints = append(f.prints, p) })
}

func (f *fakes) PrintsOf(ctx context.Context, by firm.Firm, id, _ string, _ int) ([]trace.Print, string, error) {
	if _, err := f.Batch(ctx, by, id); err != nil {
		return nil, "", err
	}
	return []trace.Print{{ID: "p-0", Batch: id, Format: "pdf", Span: trace.Span{First: 1, Last: 24}, By: "seller:cdf-haikou/7k2m9q4t", At: now}}, "", f.fail()
}

func (f *fakes) StateOf(context.Context, trace.Unit) (trace.UnitState, error) {
	return trace.UnitActive, f.fail()
}

func (f *fakes) VoidUnit(ctx context.Context, by firm.Firm, g gs1.GTIN, serial string, v trace.Voiding) (before, after trace.Unit, err error) {
	if by.ID != seller.ID {
		return before, after, fault.New(fault.NotFound, "unit_not_found", "no unit %s of product %s was issued here", serial, g)
	}
	if before, err = f.Unit(ctx, g, serial); err != nil {
		return before, after, err
	}
	after = before
	after.State, after.Voided = trace.UnitVoid, &v
	return before, after, nil
}

// jobsFake has one job of every owner.
type jobsFake struct{ f *fakes }

var oneJob = job.Job{
	ID: "issue." + batch.ID, Kind: trace.IssueJob, State: job.Success, Created: now, Started: now.Add(time.Second), Finished: now.Add(9 * time.Second),
	Done: 200_000, Total: 200_000, Result: json.RawMessage(`{"batch":"` + batch.ID + `","count":200000}`),
}

func (f jobsFake) Enqueue(_ context.Context, n job.New) (job.Job, error) {
	id := n.ID
	if id == "" {
		id = "k5q8t1w4z7c0f3j6m9p2s5v8y1b4d7g0k"
	}
	return job.Job{ID: id, Kind: n.Kind, Owner: n.Owner, State: job.Queued, Created: now}, f.f.note(func() { f.f.enqueued = append(f.f.enqueued, n) })
}

func (f jobsFake) Get(_ context.Context, o job.Owner, id string) (job.Job, error) {
	if mine := o.ID == job.Firm(seller.ID, "").ID || o.ID == job.Authority(authorityNow).ID; id != oneJob.ID || !mine {
		return job.Job{}, fault.New(fault.NotFound, "job_not_found", "there is no such job")
	}
	return oneJob, f.f.note(func() { f.f.owners = append(f.f.owners, o) })
}

func (f jobsFake) List(_ context.Context, o job.Owner, _, _ string, _ int) ([]job.Job, string, error) {
	return []job.Job{oneJob}, "", f.f.note(func() { f.f.owners = append(f.f.owners, o) })
}

func (f jobsFake) Cancel(ctx context.Context, o job.Owner, id string) (job.Job, error) {
	j, err := f.Get(ctx, o, id)
	j.State, j.Cancel, j.Result, j.Finished, j.Done = job.Running, true, nil, time.Time{}, 5000
	return j, err
}
