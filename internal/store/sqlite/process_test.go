package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

const (
	contenders = 4 // in each of two processes
	increments = 40
	jobs       = 400
)

type tally struct {
	N int `json:"n"`
}

type job struct {
	Owner string `json:"owner"`
}

func openTallies(ctx context.Context, e store.Engine) (*store.Collection[tally], error) {
	return store.Open(ctx, e, store.Def[tally]{Name: "tallies"})
}

func openJobs(ctx context.Context, e store.Engine) (*store.Collection[job], error) {
	return store.Open(ctx, e, store.Def[job]{Name: "jobs", Indexes: []store.Index[job]{{
		Name: "open", Version: "1", Keys: func(id string, v *job) ([]store.Key, store.Key) {
			if v.Owner != "" {
				return nil, nil
			}
			return []store.Key{store.K()}, store.K(id)
		},
	}}})
}

// contend has contenders claim jobs and then increment one document, and gives the jobs that they won.
func contend(ctx context.Context, e store.Engine, first int) ([]string, error) {
	tallies, err := openTallies(ctx, e)
	if err != nil {
		return nil, err
	}
	queue, err := openJobs(ctx, e)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	won := make([][]string, contenders)
	errs := make([]error, contenders)
	for w := range contenders {
		wg.Go(func() {
			if won[w], errs[w] = claimAll(ctx, queue, fmt.Sprint("worker ", first+w)); errs[w] != nil {
				return
			}
			for range increments {
				if _, err := tallies.Upsert(ctx, "all", func(v *tally) error { v.N++; return nil }); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return slices.Concat(won...), errors.Join(errs...)
}

func claimAll(ctx context.Context, queue *store.Collection[job], owner string) (won []string, err error) {
	for {
		p, err := queue.Find(ctx, store.Query{Index: "open", Eq: store.K(), Limit: 1})
		if err != nil || len(p.Items) == 0 {
			return won, err
		}
		d := p.Items[0]
		d.V.Owner = owner
		if err := queue.Replace(ctx, d); errors.Is(err, store.ErrConflict) {
			continue
		} else if err != nil {
			return won, err
		}
		won = append(won, d.ID)
	}
}

// TestTwoProcesses has four workers here and four in another process contend on one file, as two replicas on one host do.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "t.db")
	e := open(t, path)
	queue, err := openJobs(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	items := make([]store.Item[job], jobs)
	for i := range items {
		items[i].ID = fmt.Sprintf("job%03d", i)
	}
	if _, err := queue.InsertMany(ctx, items); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "contend", path, fmt.Sprint(contenders))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := stdin.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	won, err := contend(ctx, e, 0)
	if err != nil {
		t.Fatal(err)
	}
	others, err := readLines(out)
	if err = errors.Join(err, cmd.Wait()); err != nil {
		t.Fatal(err)
	}

	t.Logf("%d jobs won here, %d in the other process", len(won), len(others))
	all := slices.Sorted(slices.Values(append(won, others...)))
	if len(all) != jobs || len(slices.Compact(all)) != jobs {
		t.Fatalf("%d jobs were won, want each of %d once: %v", len(all), jobs, all)
	}
	tallies, err := openTallies(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	d, err := tallies.Get(ctx, "all")
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 * contenders * increments; d.V.N != want {
		t.Fatalf("%d increments are left of %d", d.V.N, want)
	}
}

// TestKill kills a process in the middle of its inserts. Every insert that it reported as done must be there, with its index
// entry, and the file must be sound.
func TestKill(t *testing.T) {
	t.Parallel()
	const total, killAt = 10_000, 3_000
	path := filepath.Join(t.TempDir(), "t.db")
	cmd := child(t, "insert", path, fmt.Sprint(total))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if len(lines.Bytes()) != ackWidth-1 {
			break // cut by the kill
		}
		acked = append(acked, strings.TrimSpace(lines.Text()))
		if len(acked) == killAt {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the process ended before it was killed")
	}
	if len(acked) < killAt || len(acked) >= total {
		t.Fatalf("%d of %d inserts were acknowledged: not killed in the middle", len(acked), total)
	}

	e := open(t, path)
	if _, err := e.Declare(t.Context(), childSpec); err != nil {
		t.Fatal(err)
	}
	indexed := entriesOf(t, e)
	for batch := range slices.Chunk(acked, store.MaxBatch) {
		recs, err := e.Get(t.Context(), "docs", batch)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) != len(batch) {
			t.Errorf("%d of %d acknowledged documents are gone", len(batch)-len(recs), len(batch))
		}
		for _, id := range batch {
			if !indexed[id] {
				t.Errorf("%s has no index entry", id)
			}
		}
	}
	err = e.read(t.Context(), func(c *conn) error {
		row, err := c.one("PRAGMA integrity_check")
		if err == nil && row[0] != "ok" {
			err = fmt.Errorf("integrity_check says %v", row[0])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged, %d stored", len(acked), len(indexed))
}

// entriesOf walks the index of childSpec.
func entriesOf(t *testing.T, e *Engine) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	s := store.Scan{Index: "a", Eq: store.K("x"), Limit: store.MaxBatch}
	for {
		hits, err := e.Scan(t.Context(), "docs", s, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hits {
			out[h.ID] = true
		}
		if len(hits) < s.Limit {
			return out
		}
		s.After = &hits[len(hits)-1].Position
	}
}
