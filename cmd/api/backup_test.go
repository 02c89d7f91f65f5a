package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/backup"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

// scans gives what a server answers for the demonstration's units, without what each scan changes.
func scans(t *testing.T, p *program, paths []string) []map[string]any {
	t.Helper()
	out := make([]map[string]any, len(paths))
	for i, path := range paths {
		a := p.do(nil, "GET", path, inEnglish, nil, 200).json(t)
		delete(at(t, a, "safety").(map[string]any), "as_of")
		for _, k := range []string{"scan", "scans"} {
			delete(a, k)
		}
		out[i] = a
	}
	return out
}

// storeContent gives everything in the store of a directory, record by record. Leases are as a restore leaves them.
func storeContent(t *testing.T, dir string) map[string]string {
	t.Helper()
	ctx := t.Context()
	eng, err := sqlite.Open(ctx, filepath.Join(dir, sqliteFile))
	check(t, err)
	out := map[string]string{}
	check(t, eng.Snapshot(ctx, func(r store.SnapshotReader) error {
		colls, err := r.Collections(ctx)
		check(t, err)
		for _, c := range colls {
			for after := ""; ; {
				recs, err := r.All(ctx, c.Name, after, store.MaxBatch)
				check(t, err)
				if len(recs) == 0 {
					break
				}
				for _, rec := range recs {
					if c.Name == store.LeaseCollection {
						rec, err = store.FreeLease(rec)
						check(t, err)
					}
					out[c.Name+" "+rec.ID] = fmt.Sprint(rec.Rev, rec.Expires.UnixMilli(), string(rec.Body))
				}
				after = recs[len(recs)-1].ID
			}
		}
		return nil
	}))
	check(t, eng.Close())
	return out
}

// TestBackupAndRestore backs the demonstration up under a server that goes on scanning, and once more at rest; restores that on another
// machine, and has a server answer there as the first did.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, to, moved := t.TempDir(), t.TempDir(), t.TempDir()
	p := start(t, map[string]string{"DATA_DIR": dir})
	var paths []string
	for _, pattern := range []string{`in order +http://[^/]+(\S+)`, `under warning +http://[^/]+(\S+)`, `suspicious one +http://[^/]+(\S+)`} {
		paths = append(paths, printed(t, p, pattern))
	}
	ctx, stopScanning := context.WithCancel(t.Context())
	scanning := make(chan struct{})
	go func() {
		defer close(scanning)
		for ctx.Err() == nil {
			scans(t, p, paths)
		}
	}()
	p.command("", "backup", "-out", to)
	stopScanning()
	<-scanning
	want := scans(t, p, paths)
	check(t, p.stop())
	said := p.command("", "backup", "-out", to, "-data-keys", filepath.Join(to, "apart"))
	if !strings.Contains(said, filepath.Join(to, "blobs")+": 0 new files") {
		t.Errorf("of uploaded files the backup says %q", said)
	}
	if !strings.Contains(said, "records of") || !strings.Contains(said, ".backup: ") || !strings.Contains(said, ".data-keys: ") {
		t.Errorf("the backup says %q", said)
	}
	files, err := filepath.Glob(filepath.Join(to, "*.backup"))
	check(t, err)
	keys, err := filepath.Glob(filepath.Join(to, "apart", "*.data-keys"))
	check(t, err)
	if len(files) != 2 || len(keys) != 1 {
		t.Fatalf("written: %v, %v", files, keys)
	}
	newest := files[0]
	if strings.HasPrefix(said, files[1]) {
		newest = files[1]
	}

	// Another machine has the keys file, and nothing else.
	keysFile := filepath.Join(moved, "old-keys.json")
	text, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	check(t, err)
	check(t, os.WriteFile(keysFile, text, 0o600))
	data := filepath.Join(moved, "data")
	second := &program{t: t, env: map[string]string{"DATA_DIR": data}}
	restore := []string{"restore", "-from", newest, "-data-keys", keys[0], "-keys", keysFile}
	if said := second.command("", append(restore, "-check")...); !strings.Contains(said, "whole;") {
		t.Errorf("the check says %q", said)
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the check made %s: %v", data, err)
	}
	if said := second.command("", restore...); !strings.Contains(said, "restored") {
		t.Errorf("the restore says %q", said)
	}
	for _, f := range []string{sqliteFile, "keys.json"} {
		info, err := os.Stat(filepath.Join(data, f))
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f, info.Mode().Perm())
		}
	}
	original, restored := storeContent(t, dir), storeContent(t, data)
	// The log knows that it was restored, and begins a new origin when it is opened.
	const state = "ledger_state log"
	if was := restored[state]; !strings.Contains(was, `,"restored":true`) || strings.Replace(was, `,"restored":true`, "", 1) != original[state] {
		t.Errorf("the state of the transparency log is restored as %s", was)
	}
	delete(original, state)
	delete(restored, state)
	// The trail of the one goes on with the end of the backup, that of the other with the restore.
	for _, content := range []map[string]string{original, restored} {
		maps.DeleteFunc(content, func(id, _ string) bool { return strings.HasPrefix(id, "audit_batches ") })
	}
	trails := map[string][]string{dir: {"backup attempt", "backup done", "backup attempt", "backup done"}, data: {"backup attempt", "backup done", "backup attempt", "restore attempt", "restore done"}}
	for at, want := range trails {
		d := trailOf{t, at}
		d.with(func(ctx context.Context, _ *app, s *audit.Service) error {
			list, _, err := s.List(ctx, audit.Filter{Actor: byCommand}, "", 10)
			var got []string
			for _, e := range slices.Backward(list) {
				got = append(got, e.Action+" "+e.Phase)
			}
			if !slices.Equal(got, want) || !strings.Contains(string(list[0].After), `.backup"`) {
				t.Errorf("the trail in %s has %q, and ends with %s", at, got, list[0].After)
			}
			return err
		})
		d.mustSay("in order")
	}
	if !maps.Equal(original, restored) || len(original) < 3000 {
		t.Errorf("%d records, restored %d", len(original), len(restored))
		for _, id := range slices.Sorted(maps.Keys(original)) {
			if original[id] != restored[id] {
				t.Fatalf("%s:\n got %s\nwant %s", id, restored[id], original[id])
			}
		}
	}

	again := start(t, map[string]string{"DATA_DIR": data})
	if got := scans(t, again, paths); !reflect.DeepEqual(got, want) {
		t.Errorf("the restored server answers\n%v\nwant\n%v", got, want)
	}
	list := "/v1/warnings?limit=50"
	if got := again.do(nil, "GET", list, inEnglish, nil, 200).json(t); len(at(t, got, "items").([]any)) < 10 {
		t.Errorf("the restored server lists %v", got)
	}
	if got := again.do(nil, "GET", "/v1/ledger", nil, nil, 200).json(t); len(at(t, got, "before").([]any)) != 1 {
		t.Errorf("the restored server's log has the old origin: %v", got)
	}
	check(t, again.stop())
	second.fails(restore, "not empty")
}

// fails runs a command that must fail for a reason.
func (p *program) fails(args []string, why string) {
	p.t.Helper()
	var out, errw bytes.Buffer
	if err := run(p.t.Context(), args, p.getenv, strings.NewReader(""), &out, &errw); err == nil || !strings.Contains(err.Error(), why) {
		p.t.Errorf("%q: %v, want an error with %q; it says %s", args, err, why, out.String())
	}
}

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), t.TempDir()
	p := &program{t: t, env: map[string]string{"DATA_DIR": dir}}
	p.fails([]string{"backup", "-out", to}, "KEYS_FILE: keys file")
	p.command("", "key", "add", "fab", "-name", "海口")
	p.fails([]string{"backup"}, "-out")
	p.fails([]string{"backup", "-out", to, "more"}, "no argument")
	p.command("", "backup", "-out", to)
	files, err := filepath.Glob(filepath.Join(to, "*.backup"))
	check(t, err)
	p.fails([]string{"restore"}, "-from")
	p.fails([]string{"restore", "-from", files[0]}, "not empty")
	p.fails([]string{"restore", "-from", files[0], "-data-keys", filepath.Join(to, "none-such")}, "no such file")

	// A server's keys that are not the backup's, and a store without any.
	own, other := filepath.Join(dir, "keys.json"), t.TempDir()
	p.env = map[string]string{"DATA_DIR": other}
	p.fails([]string{"restore", "-from", files[0]}, "-keys: keys file")
	p.command("", "key", "add", "fab", "-name", "海口")
	p.fails([]string{"restore", "-from", files[0]}, backup.ErrWrongKeys.Error())
	check(t, os.Remove(filepath.Join(other, sqliteFile)))
	p.fails([]string{"restore", "-from", files[0], "-keys", own}, "another installation's")
	p.fails([]string{"backup", "-out", to}, "there is no store")
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_234_567: "1.2 MB", 5_000_000_000: "5.0 GB", 1 << 62: "4611.7 PB"} {
		if got := size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
