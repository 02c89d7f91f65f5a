package job_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// A job that counts sheep, ten at a step.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "job")
	check(err)
	defer func() { check(os.RemoveAll(dir)) }()
	engine, err := sqlite.Open(ctx, filepath.Join(dir, "haisu.db"))
	check(err)
	defer func() { check(engine.Close()) }()
	leases, err := store.OpenLeases(ctx, engine, "example", 20*time.Second, time.Now)
	check(err)

	jobs, err := job.Open(ctx, job.Deps{Engine: engine, Leases: leases, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	check(err)
	jobs.Register("sheep", func(ctx context.Context, r *job.Run) (any, error) {
		defer stop() // so that this example ends; a server runs on
		var sheep, at int64
		if err := r.Input(&sheep); err != nil {
			return nil, err
		}
		if err := r.Cursor(&at); err != nil {
			return nil, err
		}
		for at < sheep {
			at = min(at+10, sheep)
			if err := r.Progress(ctx, at, sheep, at); err != nil {
				return nil, err
			}
		}
		return fmt.Sprintf("%d sheep", at), nil
	})

	firm := job.Firm("f1", "")
	j, err := jobs.Enqueue(ctx, job.New{Kind: "sheep", Owner: firm, Input: 25, IdempotencyKey: "tonight"})
	check(err)
	check(jobs.Run(ctx))
	j, err = jobs.Get(context.Background(), firm, j.ID)
	check(err)
	fmt.Println(j.State, j.Done, j.Total, string(j.Result))
	// Output: success 25 25 "25 sheep"
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
